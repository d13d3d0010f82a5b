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
import { unused } from './blocks.ts'
import { type Books, readBooks } from './check/books.ts'
import type { Repair } from './check/finding.ts'
import { keys } from './keys.ts'
import type { Tx } from './store.ts'

/** A repair that the store alone can take. */
export type StoreRepair = Exclude<Repair, { readonly kind: 'remove-link' }>

export interface Repaired {
  readonly repair: Repair
  readonly outcome: 'done' | 'stale' | 'refused'
  /** What was found instead. */
  readonly why?: string
}

/** Numbers and records first, then counters, then releases, which count down. */
export function applyRepairs(tx: Tx, repairs: readonly StoreRepair[]): readonly Repaired[] {
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
    if (repair.kind !== 'release') keep(repair, mend(tx, books, repair, touched))
    else for (const block of blocksOf(books, repair)) touched.add(block)
  }
  recount(tx, books, touched)
  for (const repair of repairs) if (repair.kind === 'release') keep(repair, letGo(tx, repair))
  return repairs.flatMap((repair) => results.get(repair) ?? [])
}

type Mend = Exclude<StoreRepair, { readonly kind: 'release' }>

/** @returns why nothing was done; undefined: it was. */
function mend(tx: Tx, books: Books, repair: Mend, touched: Set<string>): string | undefined {
  switch (repair.kind) {
    case 'remove-address':
      return removeAddress(tx, books, repair, touched)
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
  }
}

type Of<Kind extends Repair['kind']> = Extract<Repair, { readonly kind: Kind }>

function removeAddress(
  tx: Tx,
  books: Books,
  { network, ip, sequence }: Of<'remove-address'>,
  touched: Set<string>,
): string | undefined {
  const address = books.addressOf(network, ip)
  if (address === undefined) return 'the address is free'
  if (address.sequence !== sequence) return `it was given again, number ${address.sequence}`
  if (books.attachmentsOf(address).some(({ ips }) => ips.includes(ip))) return 'it is held'
  tx.remove(keys.address(network, ip))
  touched.add(`${network} ${address.block}`)
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

/** Makes `used` what it stands for: one look at the addresses of each network. */
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
      const used = held.get(claim.cidr) ?? 0
      tx.put(key, { ...(tx.get(key) ?? unused(claim)), used })
    }
  }
}

function letGo(tx: Tx, { node, key, sequence }: Of<'release'>): string | undefined {
  const attachment = tx.get(keys.attachment(node, key))
  if (attachment === undefined) return 'it is released'
  if (attachment.sequence !== sequence) return `it was made again, number ${attachment.sequence}`
  release(tx, node, key)
  return undefined
}
