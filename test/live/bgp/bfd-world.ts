/**
 * Two namespaces with addresses of both families on a switch that can be cut.
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Addresses of the sides. */
export const [HERE, THERE] = [
  ['10.7.0.1', 'fd07::1'],
  ['10.7.0.2', 'fd07::2'],
] as const

let worlds = 0

export interface World {
  readonly folder: string
  /** Namespaces: ours, the neighbour's. */
  readonly names: readonly [string, string]
  exec(side: 0 | 1, ...command: readonly string[]): string
  start(side: 0 | 1, ...command: readonly string[]): ChildProcess
  /** Whether the switch carries what comes from and goes to us. */
  carry(isCarried: boolean): void
}

export function world(t: Test): World {
  const id = `trvbfd-${process.pid}-${worlds++}`
  const folder = mkdtempSync(join(tmpdir(), `${id}-`))
  const names = [`${id}-a`, `${id}-b`, `${id}-sw`] as const
  const children: ChildProcess[] = []
  t.teardown(() => {
    for (const child of children) child.kill('SIGKILL')
    for (const name of names) {
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
      } catch {}
    }
    rmSync(folder, { recursive: true, force: true })
  })
  const ip = (name: string, ...args: readonly string[]): string =>
    execFileSync('ip', ['-n', name, ...args], { encoding: 'utf8' })
  for (const name of names) execFileSync('ip', ['netns', 'add', name])
  ip(names[2], 'link', 'add', 'br0', 'type', 'bridge')
  ip(names[2], 'link', 'set', 'br0', 'up')
  for (const side of [0, 1] as const) {
    const name = names[side]
    ip(name, 'link', 'set', 'lo', 'up')
    ip(name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `p${side}`, 'netns', names[2])
    ip(names[2], 'link', 'set', `p${side}`, 'master', 'br0', 'up')
    ip(name, 'link', 'set', 'eth0', 'up')
    const [ip4, ip6] = [HERE, THERE][side]!
    ip(name, 'addr', 'add', `${ip4}/24`, 'dev', 'eth0')
    ip(name, 'addr', 'add', `${ip6}/64`, 'dev', 'eth0', 'nodad')
  }
  return {
    folder,
    names: [names[0], names[1]],
    exec: (side, ...command) =>
      execFileSync('ip', ['netns', 'exec', names[side], ...command], { encoding: 'utf8' }),
    start(side, ...command) {
      const child = spawn('ip', ['netns', 'exec', names[side], ...command], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      children.push(child)
      return child
    },
    carry: (isCarried) => void ip(names[2], 'link', 'set', 'p0', isCarried ? 'up' : 'down'),
  }
}
