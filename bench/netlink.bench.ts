/**
 * Many routes, forwarding entries and neighbours: by this package, by a C
 * program that sends the very same datagrams, and by `ip -batch` and
 * `bridge -batch`, each in a fresh namespace, with an answer for every request.
 *
 * What the C program does is the floor: it encodes nothing and reads of an answer
 * only whether it is a refusal.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { must, run as runProgram } from '../src/lab/exec.ts'
import { Batch } from '../src/netlink-ts/exchange.ts'
import { NetlinkSocket, openNetns } from '../src/netlink-ts/live/mod.ts'
import { fdb, link, neigh, type Request, route } from '../src/netlink-ts/mod.ts'
import { type Bench, compare, interleave, type Report, type Row, type Variant } from './harness.ts'

const SOURCE = join(import.meta.dirname, 'netlink-c', 'send.c')
/** What a socket of the package puts into one datagram. */
const LIMITS = { bytes: 64 * 1024, messages: 4096 }
/** The kernel takes apart a removed namespace on its own time. */
const SETTLE_MS = 400
/** Rounds are the samples asked for over this: a short turn wants more of them. */
const SAMPLES_PER_ROUND = { long: 10, short: 4 } as const
const LONG_COUNT = 50_000
const WARM_UP = 1
const TO_C_MIN = 0.7
const TO_IP_MIN = 1.5

const C = 'C program'
const EXECUTE = 'execute'
const ENCODE = 'encode + execute'
const PROGRAM = 'ip -batch'

/** One kind of object, many of it. */
interface Work {
  readonly name: string
  readonly count: number
  /** Our requests; `index` is that of the link they are about. */
  requests(index: number): readonly Request[]
  /** The same in iproute2's words. */
  readonly program: 'ip' | 'bridge'
  readonly lines: string
  /** Creates the link and says its name. */
  readonly link: string
  /** Prints a line for each object that is there. */
  readonly show: readonly string[]
}

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n)
const address = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`
const mac = (n: number): string =>
  `02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`

const ROUTES = numbers(100_000)
const ENTRIES = numbers(5_000)

const WORKS: readonly Work[] = [
  {
    name: '100 000 routes',
    count: ROUTES.length,
    requests: (oif) =>
      ROUTES.map((n) => route.add({ family: 4, dst: `${address(n)}/32`, oif, protocol: 84 })),
    program: 'ip',
    lines: ROUTES.map((n) => `route add ${address(n)}/32 dev v0 proto 84\n`).join(''),
    link: 'v0',
    show: ['ip', 'route', 'show', 'proto', '84'],
  },
  {
    name: '5 000 forwarding entries',
    count: ENTRIES.length,
    requests: (index) => ENTRIES.map((n) => fdb.add({ index, mac: mac(n), dst: address(n) })),
    program: 'bridge',
    lines: ENTRIES.map((n) => `fdb add ${mac(n)} dev vx0 dst ${address(n)}\n`).join(''),
    link: 'vx0',
    show: ['bridge', 'fdb', 'show', 'dev', 'vx0'],
  },
  {
    name: '5 000 neighbours',
    count: ENTRIES.length,
    requests: (index) => ENTRIES.map((n) => neigh.add({ index, address: address(n), mac: mac(n) })),
    program: 'ip',
    lines: ENTRIES.map(
      (n) => `neigh add ${address(n)} lladdr ${mac(n)} dev v0 nud permanent\n`,
    ).join(''),
    link: 'v0',
    show: ['ip', 'neigh', 'show', 'nud', 'permanent'],
  },
]

/** A throw-away namespace with the links that every work needs. */
interface Place {
  readonly name: string
  readonly socket: NetlinkSocket
  readonly index: number
}

let places = 0

async function inFreshPlace<T>(work: Work, use: (place: Place) => Promise<T>): Promise<T> {
  const name = `nlbench-${process.pid}-${places++}`
  await must(['ip', 'netns', 'add', name])
  try {
    const netnsFd = openNetns(`/run/netns/${name}`)
    const socket = NetlinkSocket.open({ netnsFd })
    closeSync(netnsFd)
    try {
      socket.run(link.add({ name: 'v0', up: true, kind: { type: 'veth', peer: { name: 'v1' } } }))
      socket.run(link.set({ name: 'v1' }, { up: true }))
      const vxlan = { type: 'vxlan', vni: 1, learning: false, port: 4789 } as const
      socket.run(link.add({ name: 'vx0', up: true, kind: vxlan }))
      const index = socket.get(link.get({ name: work.link }))?.index ?? 0
      const result = await use({ name, socket, index })
      await checkEffect(work, name)
      return result
    } finally {
      socket.close()
    }
  } finally {
    await must(['ip', 'netns', 'delete', name])
    await sleep(SETTLE_MS)
  }
}

async function checkEffect({ name, count, show }: Work, netns: string): Promise<void> {
  const [program = '', ...args] = show
  const text = await must([program, '-n', netns, ...args])
  const found = text.split('\n').filter((line) => line !== '').length
  if (found < count) throw new Error(`Cannot trust ${name}: ${found} are there, not ${count}`)
}

/** Ours: the requests made before the clock starts, or while it runs. */
function ours(work: Work, variant: typeof EXECUTE | typeof ENCODE): Variant {
  return {
    name: variant,
    run: () =>
      inFreshPlace(work, async ({ socket, index }) => {
        const prepared = variant === EXECUTE ? work.requests(index) : undefined
        const start = performance.now()
        const results = socket.execute(prepared ?? work.requests(index))
        const ms = performance.now() - start
        const [refused] = results.filter((error) => error !== undefined)
        if (refused !== undefined) throw refused
        return { [work.name]: ms }
      }),
  }
}

function inC(work: Work, binary: string, dir: string): Variant {
  return {
    name: C,
    run: () =>
      inFreshPlace(work, async ({ name, index }) => {
        const file = join(dir, 'batches')
        writeFileSync(file, batchesOf(work.requests(index)))
        const printed = await must([binary, `/run/netns/${name}`, file])
        const [ns = 0, refused = 0] = printed.split(' ').map(Number)
        if (refused > 0) throw new Error(`Cannot trust the C program: ${refused} refused`)
        return { [work.name]: ns / 1e6 }
      }),
  }
}

/** The datagrams that `execute` would send, each after its size and number of requests. */
function batchesOf(requests: readonly Request[]): Uint8Array {
  const batch = new Batch(requests, LIMITS, 1)
  const parts: Uint8Array[] = []
  for (let out = batch.next(); out !== undefined; out = batch.next()) {
    parts.push(new Uint8Array(Uint32Array.of(out.length, batch.waiting).buffer), out.slice())
    batch.waiting = 0
  }
  return Buffer.concat(parts)
}

function byProgram(work: Work, dir: string): Variant {
  return {
    name: PROGRAM,
    run: () =>
      inFreshPlace(work, async ({ name }) => {
        const file = join(dir, 'lines')
        writeFileSync(file, work.lines)
        const start = performance.now()
        const { status, stderr } = await runProgram([work.program, '-n', name, '-batch', file])
        const ms = performance.now() - start
        if (status !== 0) throw new Error(`Cannot trust ${work.program} -batch: ${stderr.trim()}`)
        return { [work.name]: ms }
      }),
  }
}

/** Rates, and both ratios against what was wanted. */
function noteOf({ name, count }: Work, rows: readonly Row[]): string {
  const rate = (variant: string): number => {
    const row = rows.find((each) => each.what === name && each.variant === variant)
    return row === undefined ? Number.NaN : count / row.medianMs
  }
  const verdict = (ratio: number, wanted: number): string =>
    `${ratio.toFixed(2)} (wanted ${wanted.toFixed(2)}${ratio < wanted ? ': MISSED' : ''})`
  const rates = [EXECUTE, ENCODE, C, PROGRAM]
    .map((variant) => `${variant} ${Math.round(rate(variant))}`)
    .join(', ')
  const toC = verdict(rate(EXECUTE) / rate(C), TO_C_MIN)
  const toIp = verdict(rate(ENCODE) / rate(PROGRAM), TO_IP_MIN)
  return `${name}: thousands a second: ${rates}; execute/C ${toC}; encode + execute/ip ${toIp}`
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const dir = mkdtempSync(join(tmpdir(), 'nlbench-'))
  try {
    const binary = join(dir, 'send')
    await must(['cc', '-O2', '-Wall', '-o', binary, SOURCE])
    const rows: Row[] = []
    const notes: string[] = []
    for (const work of WORKS) {
      const turn = work.count >= LONG_COUNT ? 'long' : 'short'
      const rounds = { rounds: Math.ceil(samples / SAMPLES_PER_ROUND[turn]), warmUp: WARM_UP }
      say(`${work.name}: ${rounds.rounds} rounds`)
      const variants = [
        ours(work, EXECUTE),
        ours(work, ENCODE),
        inC(work, binary, dir),
        byProgram(work, dir),
      ]
      const compared = compare(await interleave(variants, rounds), C)
      rows.push(...compared)
      notes.push(noteOf(work, compared))
    }
    return {
      bench: 'netlink: many requests, an answer for each (time until the last answer)',
      rows,
      notes: [
        ...notes,
        'The C program sends the same datagrams, encoded beforehand; ip -batch (for entries bridge -batch) parses its lines.',
      ],
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

export const bench: Bench = {
  about: 'netlink-ts against a C program and ip -batch',
  unable() {
    if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
    try {
      execFileSync('cc', ['--version'])
    } catch {
      return 'there is no C compiler (Debian: gcc)'
    }
    return undefined
  },
  run: ({ samples, say }) => run(samples, say),
}
