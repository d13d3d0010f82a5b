/**
 * When pools are full, and what is stranded in them.
 *
 * Nothing is counted for it: when the holders of now came stands in their
 * attachments, and those of the past stand in the history, whose rings forget. So
 * a window is only used as far back as every ring remembers. The rate is the
 * difference between the ends of the window, drawn on as a line: it knows no weekends.
 *
 * Cost: every block, and what `forecast-past.ts` reads.
 *
 * @module
 */
import { type Prefix, prefixSize } from '../src/net/mod.ts'
import { usableAddresses } from './blocks.ts'
import { coolingIn } from './cooling.ts'
import { DAY_MS, HOUR_MS, type Past, pastOf } from './forecast-past.ts'
import { keys } from './keys.ts'
import type { NetworkRecord, Pool } from './records.ts'
import { keptCounter } from './show-kept.ts'
import type { Reader } from './store.ts'

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
    const pasts = pastOf(reader, network, nowMs)
    const blocks = blocksOf(reader, network, nowMs)
    const kept = keptCounter(reader, network)
    for (const pool of network.pools) {
      const past = pasts.get(pool.cidr)!
      pools.push(poolForecast(network, pool, { past, blocks, kept, nowMs }))
    }
    stranded.push(...strandedOf(reader, network, blocks))
  }
  stranded.sort((a, b) => b.ipsStranded - a.ipsStranded || (a.node < b.node ? -1 : 1))
  return { pools, stranded }
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
    return lineOf(past, own, { nowMs, free, freeBlocks })
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
  readonly nowMs: number
  readonly free: number
  readonly freeBlocks: number
}

function lineOf(
  { pastMs, windowMs, changes, grown }: Past,
  blocks: readonly Block[],
  { nowMs, free, freeBlocks }: Line,
): Outlook {
  if (pastMs < PAST_MS_MIN) {
    return { kind: 'unknown', why: `only ${spanText(pastMs)} of history, wanted an hour` }
  }
  if (changes < CHANGES_MIN) {
    const counted = changes === 1 ? '1 change' : `${changes} changes`
    return {
      kind: 'unknown',
      why: `only ${counted} in ${spanText(windowMs)}, wanted ${CHANGES_MIN}`,
    }
  }
  const days = windowMs / DAY_MS
  const perDay = grown / days
  const claims = blocks.filter(({ claimedMs }) => claimedMs > nowMs - windowMs).length / days
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
