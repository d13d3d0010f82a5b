/**
 * Small tests share a process: starting one with TypeScript and tap costs a
 * second of a processor, more than most of them need.
 *
 * @module
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'

/** Folders of tests without effects, and what none of those that share may use: it belongs to the whole process. */
const PURE =
  /^test\/(agent|backend|bench|bgp|cluster|cni|explain|ipam|kernel|metrics|net|netlink-ts|simulator|wire)\//
const OWN_PROCESS =
  /\bownFolder\b|\bt\.(setTimeout|teardown|before|after|plan|jobs)\b|child_process|process\.|global|\/live\/|\.live\./

/** Enough to save the starts, few enough that jobs side by side share the work. */
const FILES_MAX = 8

export interface Together {
  /** What tap is to run: a file that imports several, or a test by itself. */
  readonly files: readonly string[]
  /** The files that each of those of ours stands for. */
  readonly members: ReadonlyMap<string, readonly string[]>
  remove(): void
}

/** Joins neighbours of one folder. */
export function together(files: readonly string[]): Together {
  const place = join('.tap', `together-${process.pid}`)
  const groups: string[][] = []
  for (const file of files) {
    const last = groups.at(-1)
    const fits = last !== undefined && last.length < FILES_MAX && mayShare(last[0] ?? '')
    if (fits && mayShare(file) && dirname(last[0] ?? '') === dirname(file)) last.push(file)
    else groups.push([file])
  }
  const members = new Map<string, readonly string[]>()
  const run = groups.map((group, index) => {
    const [first = ''] = group
    if (group.length === 1) return first
    const path = join(place, `${basename(dirname(first))}-${index}.test.mjs`)
    members.set(path, group)
    return path
  })
  if (members.size > 0) mkdirSync(place, { recursive: true })
  for (const [path, group] of members) {
    writeFileSync(path, group.map((file) => `import '${relative(place, file)}'\n`).join(''))
  }
  return { files: run, members, remove: () => rmSync(place, { recursive: true, force: true }) }
}

const mayShare = (file: string): boolean =>
  PURE.test(file) && !OWN_PROCESS.test(readFileSync(file, 'utf8'))
