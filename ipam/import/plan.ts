/**
 * From what another address manager holds to records of ours.
 *
 * One node at a time: whether a pod of another node lives, and in which boot it
 * was made, only that node knows. An imported attachment has no link and no
 * namespace of ours: DEL and GC give its addresses back, `check` leaves it alone.
 * Rules are for pods to come: what cools or is excluded is taken over, but what
 * is reserved only for its pod.
 *
 * @module
 */
import {
  containsIp,
  containsPrefix,
  type Ip,
  ipFamily,
  networkAddress,
  offsetIn,
  type Prefix,
  prefixFamily,
  prefixLength,
} from '../../src/net/mod.ts'
import {
  blockOf,
  homeWords,
  isOpen,
  newClaim,
  placeOf,
  putClaim,
  reservedOffsets,
  unused,
} from '../blocks.ts'
import { warmed } from '../cooling.ts'
import { keys } from '../keys.ts'
import type { AttachmentKey, AttachmentRecord, NetworkRecord } from '../records.ts'
import { isPod, podText, reservationOf } from '../reservations.ts'
import type { Reader, Tx } from '../store.ts'
import type { Foreign, ForeignAddress } from './foreign.ts'

export interface ImportInto {
  readonly network: NetworkRecord
  /** The node whose pods these are. */
  readonly node: string
  readonly bootId: string
  readonly nowMs: number
}

export type ImportOperation =
  | { readonly kind: 'claim'; readonly cidr: Prefix; readonly pool: Prefix }
  | {
      readonly kind: 'attach'
      readonly key: AttachmentKey
      readonly ips: readonly Ip[]
      readonly pod?: { readonly namespace: string; readonly name: string }
    }

export interface ImportConflict {
  readonly subject: string
  readonly found: string
  readonly wanted: string
}

export interface ImportPlan {
  readonly operations: readonly ImportOperation[]
  readonly conflicts: readonly ImportConflict[]
  /** Attachments that are here already, as wanted. */
  readonly present: number
}

/** What a change would be. Writes nothing; an attachment is taken whole or not at all. */
export function planImport(reader: Reader, foreign: Foreign, into: ImportInto): ImportPlan {
  const conflicts: ImportConflict[] = foreign.ignored.map((found) => ({
    subject: 'source',
    found,
    wanted: 'something that can be read',
  }))
  const claims = new Map<Prefix, Prefix>()
  const taken = new Map<Ip, string>()
  const attaches: ImportOperation[] = []
  let present = 0
  for (const [name, group] of groupsOf(foreign.addresses, into, conflicts)) {
    const { key, ips, pod } = group
    const known = reader.get(keys.attachment(into.node, key))
    if (known !== undefined && ips.every((ip) => known.ips.includes(ip))) {
      present += 1
      continue
    }
    const troubles = ips.flatMap((ip) => troubleOf(reader, into, ip, pod, taken) ?? [])
    if (known !== undefined) {
      troubles.push({ subject: name, found: `it has ${known.ips.join(' and ')}`, wanted: 'none' })
    }
    if (ips.some((ip, at) => ips.findIndex((one) => ipFamily(one) === ipFamily(ip)) !== at)) {
      const wanted = 'one address a family'
      troubles.push({ subject: name, found: `it has ${ips.join(' and ')}`, wanted })
    }
    conflicts.push(...troubles)
    if (troubles.length > 0) continue
    for (const ip of ips) {
      taken.set(ip, name)
      const pool = into.network.pools.find(({ cidr }) => containsIp(cidr, ip))
      const block = pool && blockOf(pool, ip)
      if (pool === undefined || block === undefined) continue
      if (reader.get(keys.claim(into.network.name, block)) === undefined) {
        claims.set(block, pool.cidr)
      }
    }
    attaches.push({ kind: 'attach', key, ips, ...(pod === undefined ? {} : { pod }) })
  }
  for (const { cidr, node = into.node } of foreign.blocks) {
    const pool = into.network.pools.find((each) => containsPrefix(each.cidr, cidr))
    const isOne = pool !== undefined && prefixLength(cidr) === pool.blockLength
    const isFree = reader.get(keys.claim(into.network.name, cidr)) === undefined
    if (node !== into.node || !isOne || !isFree) continue
    // Nobody would get an address of it.
    const isExcluded = into.network.exclusions?.some((range) => containsPrefix(range, cidr))
    if (isExcluded !== true) claims.set(cidr, pool.cidr)
  }
  // The first becomes the one with the tunnel endpoint: one whose network address no pod has.
  const first = [...claims]
    .map(([cidr, pool]) => ({ kind: 'claim', cidr, pool }) as const)
    .sort(
      (a, b) =>
        Number(taken.has(networkAddress(a.cidr))) - Number(taken.has(networkAddress(b.cidr))),
    )
  return settled(reader, into, { operations: [...first, ...attaches], conflicts, present })
}

interface Group {
  readonly key: AttachmentKey
  readonly ips: Ip[]
  readonly pod: ForeignAddress['pod']
}

/** Addresses of one interface belong together. */
function groupsOf(
  addresses: readonly ForeignAddress[],
  { network, node }: ImportInto,
  conflicts: ImportConflict[],
): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>()
  for (const { ip, containerId, ifname = 'eth0', pod, node: host = node } of addresses) {
    if (containerId === undefined || host !== node) {
      const found = containerId === undefined ? 'nobody says whose it is' : `a pod of node ${host}`
      conflicts.push({ subject: ip, found, wanted: `a container of node ${node}` })
      continue
    }
    const name = `${ifname} of container ${containerId}`
    const known = groups.get(name)
    if (known !== undefined) known.ips.push(ip)
    else groups.set(name, { key: { network: network.name, containerId, ifname }, ips: [ip], pod })
  }
  return groups
}

function troubleOf(
  reader: Reader,
  { network, node }: ImportInto,
  ip: Ip,
  pod: ForeignAddress['pod'],
  taken: ReadonlyMap<Ip, string>,
): ImportConflict | undefined {
  const trouble = (found: string, wanted: string): ImportConflict => ({
    subject: ip,
    found,
    wanted,
  })
  const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined) return trouble('in no pool', `a pool of network ${network.name}`)
  const other = taken.get(ip)
  if (other !== undefined) return trouble(`${other} has it too`, 'one holder')
  const block = blockOf(pool, ip)
  const claim = reader.get(keys.claim(network.name, block))
  if (claim !== undefined && claim.node !== node) {
    return trouble(`block ${block} belongs to node ${claim.node}`, `a block of node ${node}`)
  }
  if (claim === undefined && !isOpen(pool, placeOf(reader, node))) {
    return trouble(`pool ${pool.cidr} is for ${homeWords(pool)}`, `a pool for node ${node}`)
  }
  const held = reader.get(keys.address(network.name, ip))
  if (held !== undefined) return trouble(`container ${held.containerId} has it`, 'a free one')
  const use = claim ?? { cidr: block, pool: pool.cidr, first: false }
  const why = reservedOffsets(network, use).get(Number(offsetIn(block, ip)))
  if (why !== undefined) return trouble(`it is ${why}`, 'one that pods may have')
  const reservation = reservationOf(reader, network, ip)
  if (reservation === undefined || isPod(reservation.pod, pod)) return undefined
  const whose = podText(reservation.pod)
  return trouble(`it is reserved for ${whose}`, `${whose}, or trivium ipam unreserve first`)
}

/** A node's first block has a tunnel endpoint: no pod can keep the address. */
function settled(reader: Reader, { network, node }: ImportInto, plan: ImportPlan): ImportPlan {
  const endpoints = new Set<Ip>()
  for (const family of [4, 6] as const) {
    const own = [...reader.range(keys.familyUses(node, network.name, family))]
    const claim = plan.operations.find(
      (each) => each.kind === 'claim' && prefixFamily(each.cidr) === family,
    )
    if (own.length === 0 && claim?.kind === 'claim') {
      endpoints.add(networkAddress(claim.cidr))
    }
  }
  const conflicts = [...plan.conflicts]
  const operations = plan.operations.filter((operation) => {
    const ip =
      operation.kind === 'attach' ? operation.ips.find((one) => endpoints.has(one)) : undefined
    if (ip === undefined) return true
    const found = `it becomes the tunnel endpoint of node ${node}`
    conflicts.push({ subject: ip, found, wanted: 'one that pods may have' })
    return false
  })
  return { ...plan, operations, conflicts }
}

/**
 * Plans and writes in one transaction, so that nothing comes in between.
 *
 * @returns what was done.
 */
export function applyImport(tx: Tx, foreign: Foreign, into: ImportInto): ImportPlan {
  const plan = planImport(tx, foreign, into)
  const { network, node, nowMs } = into
  for (const operation of plan.operations) {
    if (operation.kind === 'attach') {
      attach(tx, operation, into)
      continue
    }
    const pool = network.pools.find(({ cidr }) => cidr === operation.pool)
    if (pool !== undefined) putClaim(tx, newClaim(tx, network, pool, operation.cidr, node, nowMs))
  }
  return plan
}

type Attach = Extract<ImportOperation, { readonly kind: 'attach' }>

function attach(
  tx: Tx,
  { key, ips, pod }: Attach,
  { network, node, bootId, nowMs }: ImportInto,
): void {
  const sequence = (tx.get(keys.sequence(node)) ?? 0) + 1
  tx.put(keys.sequence(node), sequence)
  for (const ip of ips) {
    const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
    const claim = pool && tx.get(keys.claim(network.name, blockOf(pool, ip)))
    if (claim === undefined) continue
    tx.put(keys.address(network.name, ip), { ip, block: claim.cidr, ...key, sequence })
    const useKey = keys.use(node, network.name, claim.cidr)
    const use = tx.get(useKey) ?? unused(claim)
    const offset = Number(offsetIn(claim.cidr, ip))
    tx.put(useKey, { ...warmed(network, use, offset, nowMs), used: use.used + 1 })
  }
  const whose = pod === undefined ? {} : { pod: { ...pod, uid: '' } }
  const rest = { node, ips, netns: '', ...whose, sequence, bootId, addedMs: nowMs }
  const attachment: AttachmentRecord = { ...key, ...rest }
  tx.put(keys.attachment(node, key), attachment)
}
