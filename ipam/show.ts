/**
 * What `trivium ipam show` shows, as data.
 *
 * Columns are calicoctl's: GROUPING, CIDR, IPS TOTAL, IPS IN USE, IPS FREE. As
 * there, TOTAL counts every address of the prefix, also the few that no pod
 * gets (network and broadcast address, gateway, tunnel endpoints).
 *
 * Cost: one read of the claims and one record per block.
 *
 * @module
 */
import {
  ADDRESS_BITS,
  containsIp,
  type Ip,
  type Mac,
  offsetIn,
  type Prefix,
  prefixFamily,
  prefixLength,
  prefixOf,
  prefixSize,
} from '../src/net/mod.ts'
import { reservedOffsets } from './blocks.ts'
import { coolingIn } from './cooling.ts'
import { keys } from './keys.ts'
import type { AttachmentRecord, BlockClaim, NetworkRecord } from './records.ts'
import { exclusionOf, podText, reservationOf } from './reservations.ts'
import { keptCounter } from './show-kept.ts'
import type { Reader } from './store.ts'

/** A count: a number, or its decimal digits when a number would not be exact. */
export type AddressCount = number | string

/** One line. */
export interface UsageRow {
  readonly grouping: 'IP Pool' | 'Block'
  readonly network: string
  readonly cidr: Prefix
  readonly ipsTotal: AddressCount
  readonly ipsInUse: AddressCount
  readonly ipsFree: AddressCount
  /** Of the free ones, those that rest before they are given again. */
  readonly ipsCooling: number
  /** Of the free ones, those that are reserved for a pod or excluded. */
  readonly ipsReserved: AddressCount
  /** Addresses in use, in whole percent, rounded. */
  readonly percentInUse: number
  /** Nobody gets an address of it any more; only for pools. */
  readonly draining?: boolean
  /** Its addresses move with their pods, one by one; only for pools. */
  readonly floating?: boolean
  /** Owner; only for blocks. */
  readonly node?: string
}

export interface ShowUsageOptions {
  /** Also a row for each block, after its pool. */
  readonly blocks?: boolean
  /** Only this network. */
  readonly network?: string
  /** What counts as cooling. @default 0: nothing */
  readonly nowMs?: number
}

/** Pools of all networks in name order, each with its blocks in address order. */
export function showUsage(
  reader: Reader,
  { blocks = false, network: only, nowMs = 0 }: ShowUsageOptions = {},
): readonly UsageRow[] {
  const rows: UsageRow[] = []
  for (const [, network] of reader.range(keys.networks)) {
    if (only !== undefined && network.name !== only) continue
    const claims = [...reader.range(keys.claims(network.name))].map(([, claim]) => claim)
    const keptIn = keptCounter(reader, network)
    for (const { cidr, draining, floating } of network.pools) {
      const counts = claims
        .filter((claim) => claim.pool === cidr)
        .map((claim) => [claim, countsIn(reader, network, claim, nowMs)] as const)
      const total = counts.reduce(
        (sum, [, one]) => ({ used: sum.used + one.used, cooling: sum.cooling + one.cooling }),
        { used: 0, cooling: 0 },
      )
      const state = {
        ...(draining === true ? { draining } : {}),
        ...(floating === true ? { floating } : {}),
      }
      const kept = count(keptIn(cidr))
      rows.push({ ...usageRow('IP Pool', network.name, cidr, total), ipsReserved: kept, ...state })
      if (!blocks) continue
      for (const [claim, used] of counts) {
        const row = usageRow('Block', network.name, claim.cidr, used)
        rows.push({ ...row, ipsReserved: count(keptIn(claim.cidr)), node: claim.node })
      }
    }
  }
  return rows
}

/** What is known about one address. */
export type IpState =
  | { readonly kind: 'outside' } // no pool contains it
  | { readonly kind: 'unclaimed'; readonly network: string; readonly pool: Prefix }
  | ({ readonly kind: 'free' } & InBlock)
  | ({ readonly kind: 'cooling'; readonly sinceMs: number; readonly taken?: Mac } & InBlock)
  | ({ readonly kind: 'kept'; readonly why: string } & InBlock)
  | ({ readonly kind: 'reserved'; readonly why: string } & InBlock)
  | ({ readonly kind: 'held'; readonly attachment: AttachmentRecord } & InBlock)

/** Where an address lies. */
export interface InBlock {
  readonly network: string
  readonly pool: Prefix
  readonly block: Prefix
  readonly node: string
}

/** Who holds `ip`, or why nobody does. Pools of different networks never overlap. */
export function showIp(reader: Reader, ip: Ip, nowMs = 0): IpState {
  for (const [, network] of reader.range(keys.networks)) {
    const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
    if (pool === undefined) continue
    const claim = reader.get(keys.claim(network.name, prefixOf(ip, pool.blockLength)))
    if (claim === undefined) return { kind: 'unclaimed', network: network.name, pool: pool.cidr }
    return stateIn(reader, network, claim, ip, nowMs)
  }
  return { kind: 'outside' }
}

function stateIn(
  reader: Reader,
  network: NetworkRecord,
  claim: BlockClaim,
  ip: Ip,
  nowMs: number,
): IpState {
  const place = { network: network.name, pool: claim.pool, block: claim.cidr, node: claim.node }
  const address = reader.get(keys.address(network.name, ip))
  const attachment = address && reader.get(keys.attachment(claim.node, address))
  if (attachment !== undefined) return { kind: 'held', attachment, ...place }
  const offset = Number(offsetIn(claim.cidr, ip))
  const why = reservedOffsets(network, claim).get(offset)
  if (why !== undefined) return { kind: 'reserved', why, ...place }
  const reservation = reservationOf(reader, network, ip)
  const range = exclusionOf(network, ip)
  if (reservation !== undefined) {
    return { kind: 'kept', why: `reserved for ${podText(reservation.pod)}`, ...place }
  }
  if (range !== undefined) return { kind: 'kept', why: `excluded with ${range}`, ...place }
  const use = reader.get(keys.use(claim.node, network.name, claim.cidr))
  const cooling = use && coolingIn(network, use, nowMs).find((each) => each.offset === offset)
  if (cooling === undefined) return { kind: 'free', ...place }
  const { sinceMs, taken } = cooling
  return { kind: 'cooling', sinceMs, ...(taken === undefined ? {} : { taken }), ...place }
}

interface Counts {
  readonly used: number
  readonly cooling: number
}

function countsIn(
  reader: Reader,
  network: NetworkRecord,
  { node, cidr }: BlockClaim,
  nowMs: number,
): Counts {
  const use = reader.get(keys.use(node, network.name, cidr))
  if (use === undefined) return { used: 0, cooling: 0 }
  return { used: use.used, cooling: coolingIn(network, use, nowMs).length }
}

function usageRow(
  grouping: UsageRow['grouping'],
  network: string,
  cidr: Prefix,
  { used, cooling }: Counts,
): Omit<UsageRow, 'ipsReserved'> {
  const total = prefixSize(cidr)
  return {
    grouping,
    network,
    cidr,
    ipsTotal: count(total),
    ipsInUse: used,
    ipsFree: count(total - BigInt(used)),
    ipsCooling: cooling,
    percentInUse: Math.round((used / 2 ** sizeBits(cidr)) * 100),
  }
}

const sizeBits = (cidr: Prefix): number => ADDRESS_BITS[prefixFamily(cidr)] - prefixLength(cidr)

const count = (value: bigint): AddressCount =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
