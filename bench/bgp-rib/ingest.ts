/**
 * One turn of the RIB bench, in a process of its own: prefixes in UPDATEs that are
 * made beforehand, learnt from one eBGP peer, decided, and packed for one group.
 * Prints one line of JSON.
 *
 *     node … bench/bgp-rib/ingest.ts PREFIXES PER_UPDATE
 */
import { readFileSync } from 'node:fs'
import type { Attributes } from '../../src/bgp/attributes.ts'
import type { Update } from '../../src/bgp/nlri.ts'
import type { Policy } from '../../src/bgp/policy/policy.ts'
import type { Peer } from '../../src/bgp/rib/peers.ts'
import { Rib } from '../../src/bgp/rib/rib.ts'
import type { Ip } from '../../src/net/mod.ts'

const [prefixes = 500_000, perUpdate = 100] = process.argv.slice(2).map(Number)
const ALL: Policy = { name: 'all', rules: [], otherwise: 'accept' }
const self = { nextHop: '192.0.2.1' as Ip }

function peer(last: number): Peer {
  const ip = `192.0.2.${last}` as Ip
  const families = { ipv4: { self } }
  const policies = { importPolicy: ALL, exportPolicy: ALL }
  return { address: ip, kind: 'ebgp', asn: 65_000 + last, routerId: ip, families, ...policies }
}

/** Distinct /24s in an order that caches do not like, `perUpdate` with the same attributes. */
function updates(last: number): { readonly update: Update; readonly attributes: Attributes }[] {
  const made = []
  for (let first = 0; first < prefixes; first += perUpdate) {
    const count = Math.min(perUpdate, prefixes - first)
    const bytes = new Uint8Array(4 * count)
    for (let index = 0; index < count; index++) {
      // A permutation of 22 bits.
      const network = (Math.imul(first + index, 0x9e3779b1) >>> 0) & 0x3f_ffff
      bytes.set([24, 16 + (network >>> 16), network >>> 8, network], 4 * index)
    }
    // Five thousand sets for half a million prefixes, however many there are in a message.
    const set = Math.floor(first / 100)
    const path = [65_002, 65_100 + (set % 977), 70_000 + set, last]
    const text = `ORIGIN igp AS_PATH ${path.join(' ')} NEXT_HOP 192.0.2.2`
    const key = new TextEncoder().encode(text)
    const attributes: Attributes = {
      origin: 'igp',
      asPath: [{ kind: 'sequence', asns: path }],
      nextHop: '192.0.2.2' as Ip,
    }
    const slice = { family: 'ipv4', bytes, start: 0, end: bytes.length, hasPathIds: false } as const
    const update: Update = {
      withdrawn: [],
      announced: [slice],
      attributes: { bytes: key, start: 0, end: key.length },
      endOfRib: undefined,
    }
    made.push({ update, attributes })
  }
  return made
}

interface Turn {
  readonly ms: number
  /** The main thread's own, whoever else uses the machine. */
  readonly cpuMs: number
  readonly told: number
  readonly stretchMs: number
}

const threadMs = (): number =>
  Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6

function learn(rib: Rib, from: Ip, messages: ReturnType<typeof updates>): Turn {
  const began = performance.now()
  const cpu = threadMs()
  let [told, stretchMs] = [0, 0]
  const work = (): void => {
    const start = performance.now()
    for (const output of rib.work()) if (output.kind === 'update') told += output.count
    stretchMs = Math.max(stretchMs, performance.now() - start)
  }
  for (const [index, { update, attributes }] of messages.entries()) {
    rib.learn(from, update, () => attributes)
    // As a speaker does that reads 64 KiB at a time.
    if ((index * perUpdate) % 8192 === 0) work()
  }
  while (!rib.isIdle) work()
  return { ms: performance.now() - began, cpuMs: threadMs() - cpu, told, stretchMs }
}

function memory(): number {
  for (let round = 0; round < 4; round++) globalThis.gc?.()
  return process.memoryUsage().rss
}

const first = updates(4_200_000)
const changed = updates(4_200_001)
// Compiled before it counts, as in a speaker that has run for a second.
const warm = new Rib({ asn: 65_000, routerId: '192.0.2.1' as Ip, costOf: () => 0 })
for (const last of [2, 3]) warm.peerUp(peer(last))
const cold = learn(warm, '192.0.2.2' as Ip, first.slice(0, Math.ceil(50_000 / perUpdate)))
const before = memory()
const rib = new Rib({ asn: 65_000, routerId: '192.0.2.1' as Ip, costOf: () => 0 })
for (const last of [2, 3]) rib.peerUp(peer(last))
const ingest = learn(rib, '192.0.2.2' as Ip, first)
const rssBytes = memory() - before
const churn = learn(rib, '192.0.2.2' as Ip, changed)
const again = learn(rib, '192.0.2.2' as Ip, changed)
const afterChurn = memory() - before
const start = threadMs()
rib.peerDown('192.0.2.2' as Ip)
let withdrawn = 0
while (!rib.isIdle) {
  for (const output of rib.work()) if (output.kind === 'update') withdrawn += output.count
}
console.log(
  JSON.stringify({
    prefixes,
    cold,
    ingest,
    churn,
    again,
    downMs: threadMs() - start,
    withdrawn,
    columnsPerRoute: rib.bytes / prefixes,
    rssPerRoute: rssBytes / prefixes,
    rssAfterChurn: afterChurn / prefixes,
  }),
)
