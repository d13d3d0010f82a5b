/**
 * Settings of a link that are files: what a new link would not have by itself.
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LinkSetting } from '../../kernel/take-over/model.ts'
import { sysctlPath } from '../../kernel/take-over/render.ts'

const ROOT = '/proc/sys/net'
const TABLES = ['ipv4/conf', 'ipv6/conf', 'ipv4/neigh', 'ipv6/neigh'] as const

/**
 * Not the same thing on another link: how it makes addresses goes by netlink, where a change does
 * nothing else; its secret would make other addresses; the MTU follows the link's.
 */
const APART: ReadonlySet<string> = new Set([
  'addr_gen_mode',
  'stable_secret',
  'mtu',
  'mc_forwarding',
])

/** In which settings the link differs from the other, by templates such as `ipv6.conf.%.accept_ra`. */
export function linkSettings(link: string, other: string): readonly LinkSetting[] {
  return TABLES.flatMap((table) =>
    namesIn(join(ROOT, table, link)).flatMap((key): readonly LinkSetting[] => {
      if (APART.has(key)) return []
      const value = read(join(ROOT, table, link, key))
      const was = read(join(ROOT, table, other, key))
      if (value === undefined || was === undefined || value === was) return []
      return [{ name: `${table.replace('/', '.')}.%.${key}`, value, was }]
    }),
  )
}

/** Writes one of `linkSettings`, with the link in it. @throws The kernel's refusal. */
export const writeSetting = (name: string, value: string): void =>
  writeFileSync(join(ROOT, sysctlPath(name)), value)

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
