/**
 * What the tests of netlink-ts share: properties, hex, and network namespaces
 * that are gone afterwards.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import type { Test } from 'tap'
import { NetlinkSocket, openNetns } from '../../src/netlink-ts/live/mod.ts'
import { type LinkKind, link, type Request } from '../../src/netlink-ts/mod.ts'

const seedText = process.env['FC_SEED']
const replay = seedText === undefined ? {} : { seed: Number(seedText) }
const RUNS = 1000

/** One assertion: `check` throws for no value. A failure shows the smallest one and the seed. */
export function holds<T>(
  t: Test,
  name: string,
  values: fc.Arbitrary<T>,
  check: (value: T) => void,
): void {
  const run = fc.check(fc.property(values, check), { numRuns: RUNS, ...replay })
  t.notOk(run.failed, name, { found: run.failed ? fc.defaultReportMessage(run) : 'none' })
}

/** Bytes from hex; spaces are for the reader. */
export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'))

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A file of the netlink corpus. */
export const corpus = (name: string): string =>
  readFileSync(new URL(`../corpus/netlink/${name}`, import.meta.url), 'utf8')

/** Why live tests cannot run here; false when they can. */
export const notRoot: string | false =
  process.getuid?.() === 0 ? false : 'needs root: it makes network namespaces'

/** A namespace of a test, and how to look at it from outside. */
export interface Lab {
  readonly name: string
  readonly fd: number
  readonly socket: NetlinkSocket
  /** Runs a command inside and returns what it prints. */
  exec(...command: readonly string[]): string
  /** Runs `ip -j` or `bridge -j` inside and returns what it prints. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON of another program
  json(...command: readonly string[]): any
}

let labs = 0

/** A fresh namespace, removed when the test ends, however it ends. */
export function lab(t: Test): Lab {
  const name = `nlts-${process.pid}-${labs++}`
  execFileSync('ip', ['netns', 'add', name])
  const undo: (() => void)[] = [() => execFileSync('ip', ['netns', 'delete', name])]
  t.teardown(() => {
    for (const step of undo.reverse()) step()
  })
  const fd = openNetns(`/run/netns/${name}`)
  undo.push(() => closeSync(fd))
  const socket = NetlinkSocket.open({ netnsFd: fd })
  undo.push(() => socket.close())
  const exec = (...command: readonly string[]): string =>
    execFileSync('ip', ['netns', 'exec', name, ...command], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
  const json = ([program, ...rest]: readonly string[]): unknown =>
    JSON.parse(exec(program!, '-j', ...rest) || '[]')
  return { name, fd, socket, exec, json: (...command) => json(command) }
}

/** A lab with the pair v0 (up) and v1 (up), and the index of v0. */
export function pair(t: Test): Lab & { readonly v0: number; readonly v1: number } {
  const l = lab(t)
  l.socket.run(link.add({ name: 'v0', kind: { type: 'veth', peer: { name: 'v1' } } }))
  const [v0, v1] = ['v0', 'v1'].map((name) => l.socket.get(link.get({ name }))!.index)
  l.socket.run(link.set({ index: v0! }, { up: true }))
  l.socket.run(link.set({ index: v1! }, { up: true }))
  return { ...l, v0: v0!, v1: v1! }
}

/** Why this kernel cannot make a link of a kind; false when it can. */
export function lacksKind(kind: LinkKind): string | false {
  if (notRoot !== false) return notRoot
  const name = `nlts-${process.pid}-probe`
  execFileSync('ip', ['netns', 'add', name])
  const fd = openNetns(`/run/netns/${name}`)
  const socket = NetlinkSocket.open({ netnsFd: fd })
  try {
    const below = { name: 'below', kind: { type: 'veth' } } as const
    const on = socket.execute([link.add(below), link.add({ name: 'probe', link: 3, kind })])
    return on[1] === undefined ? false : `this kernel has none: ${on[1].message}`
  } finally {
    socket.close()
    closeSync(fd)
    execFileSync('ip', ['netns', 'delete', name])
  }
}

/** Sends requests that must all be accepted. */
export const succeed = (
  t: { strictSame(a: unknown, b: unknown, m: string): void },
  l: Lab,
  requests: Request[],
) =>
  t.strictSame(
    l.socket.execute(requests).map((error) => error?.message),
    requests.map(() => undefined),
    'every request is accepted',
  )
