/**
 * Mends what `checkIpam` found, inside one transaction.
 *
 * Each repair is tried again on what the store says now: what has changed since
 * the look is left alone and told as stale.
 *
 * @module
 */

import { containsIp, type Ip, type Prefix } from '../src/net/mod.ts'
import { release } from './allocator.ts'
import { blockOf, unused } from './blocks.ts'
import { type Books, readBooks } from './check/books.ts'
import type { Repair } from './check/finding.ts'
import { cooled, resting, restingIn } from './cooling.ts'
import { misplacedHistory } from './history.ts'
import { keys } from './keys.ts'
import type { PodName } from './records.ts'
import { isPod } from './reservations.ts'
import type { Tx } from './store.ts'

/** A repair that the store alone can take. */
export type StoreRepair = Exclude<Repair, { readonly kind: 'remove-link' }>

export interface Repaired {
  readonly repair: Repair
  readonly outcome: 'done' | 'stale' | 'refused'
  /** What was found instead. */
  readonly why?: string
}

/** When, and since which boot addresses need rest before their reuse. */
export interface RepairMoment {
  readonly nowMs: number
  /** This node's. undefined: every released address rests. */
  readonly bootId?: string
}

/** Numbers and records first, then counters, then releases, which count down. */
export function applyRepairs(
  tx: Tx,
  repairs: readonly StoreRepair[],
  moment: RepairMoment,
): readonly Repaired[] {
  const books = readBooks(tx)
  const touched = new Set<string>()
  const results = new Map<StoreRepair, Repaired>()
  const keep = (repair: StoreRepair, why: string | undefined): void => {
    results.set(
      repair,
      why === undefined ? { repair, outcome: 'done' } : { repair, outcome: 'stale', why },
    )
  }
  for (const repair of repairs) {
    if (repair.kind !== 'release') keep(repair, mend(tx, books, repair, touched, moment))
    else for (const block of blocksOf(books, repair)) touched.add(block)
  }
  recount(tx, books, touched)
  for (const repair of repairs) {
    if (repair.kind === 'release') keep(repair, letGo(tx, repair, moment))
  }
  return repairs.flatMap((repair) => results.get(repair) ?? [])
}

type Mend = Exclude<StoreRepair, { readonly kind: 'release' }>

/** @returns why nothing was done; undefined: it was. */
function mend(
  tx: Tx,
  books: Books,
  repair: Mend,
  touched: Set<string>,
  { nowMs }: RepairMoment,
): string | undefined {
  switch (repair.kind) {
    case 'remove-address':
      return removeAddress(tx, books, repair, touched, nowMs)
    case 'write-address':
      return writeAddress(tx, books, repair, touched)
    case 'count-block': {
      const owner = books.claimOf(repair.network, repair.cidr)?.node
      if (owner !== repair.node)
        return `the block is ${owner === undefined ? 'free' : `${owner}'s`}`
      touched.add(`${repair.network} ${repair.cidr}`)
      return undefined
    }
    case 'remove-use': {
      const { node, network, cidr } = repair
      if (books.claimOf(network, cidr)?.node === node) return 'the node has the block'
      tx.remove(keys.use(node, network, cidr))
      return undefined
    }
    case 'raise-sequence':
      if (books.sequenceOf(repair.node) < repair.to) tx.put(keys.sequence(repair.node), repair.to)
      return undefined
    case 'place-reservation':
      return placeReservation(tx, books, repair)
    case 'index-reservations':
      indexReservations(tx, repair.network, repair.pod)
      return undefined
    case 'trim-history':
      for (const [key, { network }] of [...misplacedHistory(tx, books.networks)]) {
        if (network === repair.network) tx.remove(key)
      }
      return undefined
  }
}

type Of<Kind extends Repair['kind']> = Extract<Repair, { readonly kind: Kind }>

function removeAddress(
  tx: Tx,
  books: Books,
  { network, ip, sequence }: Of<'remove-address'>,
  touched: Set<string>,
  nowMs: number,
): string | undefined {
  const address = books.addressOf(network, ip)
  if (address === undefined) return 'the address is free'
  if (address.sequence !== sequence) return `it was given again, number ${address.sequence}`
  if (books.attachmentsOf(address).some(({ ips }) => ips.includes(ip))) return 'it is held'
  tx.remove(keys.address(network, ip))
  touched.add(`${network} ${address.block}`)
  // Whose it was nobody says, and whoever it was may have had it until now.
  const owner = books.claimOf(network, address.block)?.node
  const use = owner === undefined ? undefined : tx.get(keys.use(owner, network, address.block))
  const record = books.networks.get(network)
  if (owner !== undefined && use !== undefined && record !== undefined) {
    tx.put(keys.use(owner, network, address.block), cooled(record, use, address, nowMs))
  }
  return undefined
}

function writeAddress(
  tx: Tx,
  books: Books,
  { node, key, ip, sequence }: Of<'write-address'>,
  touched: Set<string>,
): string | undefined {
  const attachment = tx.get(keys.attachment(node, key))
  if (attachment?.sequence !== sequence || !attachment.ips.includes(ip)) return 'nobody has it now'
  const present = tx.get(keys.address(key.network, ip))
  const isTheirs = present?.containerId === key.containerId && present.ifname === key.ifname
  if (present !== undefined && !isTheirs) return `container ${present.containerId} has it`
  const block = ownBlock(books, node, key.network, ip)
  if (block === undefined) return `node ${node} has no block with it`
  const { network, containerId, ifname } = key
  tx.put(keys.address(network, ip), { ip, block, network, containerId, ifname, sequence })
  touched.add(`${network} ${block}`)
  return undefined
}

const ownBlock = (books: Books, node: string, network: string, ip: Ip): Prefix | undefined =>
  books.claims.find(
    (claim) => claim.node === node && claim.network === network && containsIp(claim.cidr, ip),
  )?.cidr

/** Blocks whose counters a release lowers: they have to be right before. */
function blocksOf(books: Books, { key, node }: Of<'release'>): readonly string[] {
  return books
    .attachmentsOf(key)
    .filter((attachment) => attachment.node === node)
    .flatMap(({ ips }) => ips.map((ip) => books.addressOf(key.network, ip)?.block))
    .flatMap((block) => (block === undefined ? [] : [`${key.network} ${block}`]))
}

/** Makes `used` and what rests what they stand for: one look at the addresses of each network. */
function recount(tx: Tx, books: Books, touched: ReadonlySet<string>): void {
  const networks = new Set([...touched].map((name) => name.split(' ')[0] ?? ''))
  for (const network of networks) {
    const held = new Map<string, number>()
    for (const [, { block }] of tx.range(keys.addresses(network))) {
      held.set(block, (held.get(block) ?? 0) + 1)
    }
    for (const claim of books.claims) {
      if (claim.network !== network || !touched.has(`${network} ${claim.cidr}`)) continue
      const key = keys.use(claim.node, network, claim.cidr)
      const use = tx.get(key) ?? unused(claim)
      const rest = restingIn(use, (ip) => tx.get(keys.address(network, ip)) !== undefined)
      tx.put(key, { ...resting(use, rest), used: held.get(claim.cidr) ?? 0 })
    }
  }
}

function placeReservation(
  tx: Tx,
  books: Books,
  { network, ip }: Of<'place-reservation'>,
): string | undefined {
  const pool = books.networks.get(network)?.pools.find(({ cidr }) => containsIp(cidr, ip))
  const right = pool && keys.reservation(network, blockOf(pool, ip), ip)
  const pods: PodName[] = []
  for (const [key, reservation] of [...tx.range(keys.reservations(network))]) {
    if (reservation.ip !== ip || key === right) continue
    pods.push(reservation.pod)
    tx.remove(key)
    // The one that allocations have looked at wins.
    if (right !== undefined && tx.get(right) === undefined) tx.put(right, reservation)
  }
  for (const pod of pods) indexReservations(tx, network, pod)
  return pods.length === 0 ? 'it is where it belongs' : undefined
}

function indexReservations(tx: Tx, network: string, pod: PodName): void {
  const ips = [...tx.range(keys.reservations(network))]
    .filter(([, reservation]) => isPod(pod, reservation.pod))
    .map(([, { ip }]) => ip)
  if (ips.length === 0) tx.remove(keys.reservedFor(network, pod))
  else tx.put(keys.reservedFor(network, pod), ips)
}

function letGo(
  tx: Tx,
  { node, key, sequence }: Of<'release'>,
  { nowMs, bootId }: RepairMoment,
): string | undefined {
  const attachment = tx.get(keys.attachment(node, key))
  if (attachment === undefined) return 'it is released'
  if (attachment.sequence !== sequence) return `it was made again, number ${attachment.sequence}`
  // What ended with an earlier boot has no connections left that could be met.
  release(tx, node, key, nowMs, bootId === undefined || attachment.bootId === bootId)
  return undefined
}
