/**
 * When pools are full, and what is stranded in them.
 *
 * Nothing is counted for it: when the holders of now came stands in their
 * attachments, and those of the past stand in the history, whose rings forget. So
 * a window is only used as far back as every ring remembers. The rate is the
 * difference between the ends of the window, drawn on as a line: it knows no weekends.
 *
 * Cost: every attachment, block and remembered release once.
 *
 * @module
 */
import { containsIp, type Ip, type Prefix, prefixSize } from '../src/net/mod.ts'
import { usableAddresses } from './blocks.ts'
import { coolingIn } from './cooling.ts'
import { HISTORY_MAX } from './history.ts'
import { keys } from './keys.ts'
import type { NetworkRecord, Pool } from './records.ts'
import { keptCounter } from './show-kept.ts'
import type { Reader } from './store.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
/** From the longest; the first that is known whole is used. */
const WINDOWS_MS = [30 * DAY_MS, 7 * DAY_MS, DAY_MS] as const
/** Less of the past is no history. */
const PAST_MS_MIN = HOUR_MS
/** Fewer pods that came or went are chance. */
const CHANGES_MIN = 10
/** Beyond a hundred years nothing is full. */
const HORIZON_MS = 36_500 * DAY_MS

/** What a pool's line says. */
export interface PoolForecast {
  readonly network: string
  readonly cidr: Prefix
  /** Addresses that pods may have, less what is reserved or excluded. A digit string where a number is not exact. */
  readonly ipsUsable: number | string
  readonly ipsInUse: number
  readonly blocksTotal: number | string
  readonly blocksClaimed: number
  /** Free addresses in blocks of nodes: only pods of those nodes get them. */
  readonly ipsStranded: number
  readonly outlook: Outlook
}

export type Outlook =
  | { readonly kind: 'full'; readonly why: 'addresses' | 'blocks' }
  | {
      readonly kind: 'grows'
      readonly perDay: number
      readonly windowMs: number
      /** When it is full by that rate. */
      readonly fullMs: number
      readonly by: 'addresses' | 'blocks'
    }
  | { readonly kind: 'steady'; readonly perDay: number; readonly windowMs: number }
  | { readonly kind: 'unknown'; readonly why: string }

/** Free addresses that one node keeps from the others. */
export interface Stranded {
  readonly network: string
  readonly node: string
  /** Whether the node is there. */
  readonly known: boolean
  readonly blocks: number
  readonly ipsInUse: number
  readonly ipsStranded: number
}

export interface Forecast {
  readonly pools: readonly PoolForecast[]
  /** Most first. */
  readonly stranded: readonly Stranded[]
}

export function forecast(
  reader: Reader,
  nowMs: number,
  only: string | undefined = undefined,
): Forecast {
  const pools: PoolForecast[] = []
  const stranded: Stranded[] = []
  for (const [, network] of reader.range(keys.networks)) {
    if (only !== undefined && network.name !== only) continue
    const past = pastOf(reader, network)
    const blocks = blocksOf(reader, network, nowMs)
    const kept = keptCounter(reader, network)
    for (const pool of network.pools) {
      pools.push(poolForecast(network, pool, { past, blocks, kept, nowMs }))
    }
    stranded.push(...strandedOf(reader, network, blocks))
  }
  stranded.sort((a, b) => b.ipsStranded - a.ipsStranded || (a.node < b.node ? -1 : 1))
  return { pools, stranded }
}

/** When an address was taken or given up. */
interface Step {
  readonly ip: Ip
  readonly ms: number
  readonly by: 1 | -1
}

interface Past {
  readonly steps: readonly Step[]
  /** Before this, rings have forgotten something of a prefix. */
  readonly forgottenMs: (cidr: Prefix) => number
}

function pastOf(reader: Reader, { name }: NetworkRecord): Past {
  const steps: Step[] = []
  const rings = new Map<string, { count: number; oldestMs: number; ip: Ip }>()
  for (const [key, { ip, fromMs, toMs }] of reader.range(keys.networkHistory(name))) {
    steps.push({ ip, ms: fromMs, by: 1 }, { ip, ms: toMs, by: -1 })
    const ring = key.slice(0, key.lastIndexOf('/'))
    const known = rings.get(ring) ?? { count: 0, oldestMs: toMs, ip }
    rings.set(ring, {
      ip,
      count: known.count + 1,
      oldestMs: Math.min(known.oldestMs, toMs),
    })
  }
  const nodes = new Set([...reader.range(keys.claims(name))].map(([, { node }]) => node))
  for (const node of nodes) {
    for (const [, { ips, addedMs }] of reader.range(keys.networkAttachments(node, name))) {
      for (const ip of ips) steps.push({ ip, ms: addedMs, by: 1 })
    }
  }
  const full = [...rings.values()].filter(({ count }) => count >= HISTORY_MAX)
  return {
    steps,
    forgottenMs: (cidr) =>
      full.reduce(
        (last, { ip, oldestMs }) => (containsIp(cidr, ip) ? Math.max(last, oldestMs) : last),
        0,
      ),
  }
}

/** A claimed block. */
interface Block {
  readonly pool: Prefix
  readonly node: string
  readonly claimedMs: number
  readonly used: number
  readonly free: number
}

function blocksOf(reader: Reader, network: NetworkRecord, nowMs: number): readonly Block[] {
  return [...reader.range(keys.claims(network.name))].map(([, claim]) => {
    const use = reader.get(keys.use(claim.node, network.name, claim.cidr))
    const used = use?.used ?? 0
    const cooling = use === undefined ? 0 : coolingIn(network, use, nowMs).length
    const usable = usableAddresses(network, { ...claim, cursor: 0, used })
    const { pool, node, claimedMs } = claim
    return { pool, node, claimedMs, used, free: Math.max(0, usable - used - cooling) }
  })
}

interface Known {
  readonly past: Past
  readonly blocks: readonly Block[]
  readonly kept: (cidr: Prefix) => bigint
  readonly nowMs: number
}

function poolForecast(
  network: NetworkRecord,
  { cidr, blockLength }: Pool,
  { past, blocks, kept, nowMs }: Known,
): PoolForecast {
  const own = blocks.filter(({ pool }) => pool === cidr)
  const inUse = own.reduce((sum, { used }) => sum + used, 0)
  const usable = prefixSize(cidr) - kept(cidr) - edges(cidr)
  const blocksTotal =
    prefixSize(cidr) / prefixSize(`${cidr.split('/')[0]}/${blockLength}` as Prefix)
  const free = Math.max(0, Number(usable) - inUse)
  const freeBlocks = Number(blocksTotal) - own.length
  const outlook = (): Outlook => {
    if (free === 0) return { kind: 'full', why: 'addresses' }
    if (freeBlocks === 0 && own.every((block) => block.free === 0)) {
      return { kind: 'full', why: 'blocks' }
    }
    const steps = past.steps.filter(({ ip }) => containsIp(cidr, ip))
    const startMs = Math.max(past.forgottenMs(cidr), network.createdMs)
    return lineOf(steps, own, { startMs, nowMs, free, freeBlocks })
  }
  return {
    network: network.name,
    cidr,
    ipsUsable: exact(usable),
    ipsInUse: inUse,
    blocksTotal: exact(blocksTotal),
    blocksClaimed: own.length,
    ipsStranded: own.reduce((sum, block) => sum + block.free, 0),
    outlook: outlook(),
  }
}

/** Network address and, for IPv4, broadcast address. */
const edges = (cidr: Prefix): bigint => (cidr.includes(':') ? 1n : 2n)

const exact = (value: bigint): number | string =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()

interface Line {
  /** Since when everything is known. */
  readonly startMs: number
  readonly nowMs: number
  readonly free: number
  readonly freeBlocks: number
}

function lineOf(
  steps: readonly Step[],
  blocks: readonly Block[],
  { startMs, nowMs, free, freeBlocks }: Line,
): Outlook {
  const pastMs = nowMs - startMs
  if (pastMs < PAST_MS_MIN) {
    return { kind: 'unknown', why: `only ${spanText(pastMs)} of history, wanted an hour` }
  }
  const windowMs = WINDOWS_MS.find((each) => each <= pastMs) ?? pastMs
  const fromMs = nowMs - windowMs
  const within = steps.filter(({ ms }) => ms > fromMs && ms <= nowMs)
  if (within.length < CHANGES_MIN) {
    const changes = within.length === 1 ? '1 change' : `${within.length} changes`
    return {
      kind: 'unknown',
      why: `only ${changes} in ${spanText(windowMs)}, wanted ${CHANGES_MIN}`,
    }
  }
  const days = windowMs / DAY_MS
  const perDay = within.reduce((sum, { by }) => sum + by, 0) / days
  const claims = blocks.filter(({ claimedMs }) => claimedMs > fromMs).length / days
  const byAddresses = perDay > 0 ? (free / perDay) * DAY_MS : Infinity
  // Blocks that nodes claimed and gave back since are not known: this line is steep at worst.
  const byBlocks = perDay > 0 && claims > 0 ? (freeBlocks / claims) * DAY_MS : Infinity
  const leftMs = Math.min(byAddresses, byBlocks)
  if (leftMs > HORIZON_MS) return { kind: 'steady', perDay, windowMs }
  const by = byBlocks < byAddresses ? 'blocks' : 'addresses'
  return { kind: 'grows', perDay, windowMs, fullMs: nowMs + leftMs, by }
}

/** A span of time in its two largest words at most. */
export function spanText(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000))
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h`
  return `${Math.floor(hours / 24)} days`
}

function strandedOf(
  reader: Reader,
  { name }: NetworkRecord,
  blocks: readonly Block[],
): readonly Stranded[] {
  const rows = new Map<string, Stranded>()
  for (const { node, used, free } of blocks) {
    const known = reader.get(keys.node(node)) !== undefined
    const before = rows.get(node) ?? {
      network: name,
      node,
      known,
      blocks: 0,
      ipsInUse: 0,
      ipsStranded: 0,
    }
    rows.set(node, {
      ...before,
      blocks: before.blocks + 1,
      ipsInUse: before.ipsInUse + used,
      ipsStranded: before.ipsStranded + free,
    })
  }
  return [...rows.values()].filter(({ ipsStranded }) => ipsStranded > 0)
}
