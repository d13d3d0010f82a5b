/**
 * A backup back into a store, inside one transaction, or a part of it in each of several.
 *
 * The store may have records of its own, as long as the two agree: what is here
 * stays as it is, what is missing is added, and what contradicts is a conflict,
 * for which the caller gives the whole transaction up. So an address that
 * somebody has is never given to somebody else, and doing it again changes nothing.
 *
 * Everything that must be looked for in ranges is read before the first write.
 *
 * @module
 */
import { isTriviumError } from '../../src/errors.ts'
import { containsIp, type Ip, ipFamily, type Prefix, prefixFamily } from '../../src/net/mod.ts'
import { blockOf, unused } from '../blocks.ts'
import { tellKey } from '../check/addresses.ts'
import { COOLING_MAX, resting, restingIn } from '../cooling.ts'
import { HISTORY_MAX } from '../history.ts'
import { keys } from '../keys.ts'
import { fittingNetwork } from '../networks.ts'
import { refuseMember } from '../rearrange/plan.ts'
import type {
  AddressRecord,
  AttachmentRecord,
  BlockClaim,
  BlockUse,
  HistoryRecord,
  NetworkRecord,
  NodeRecord,
  Reservation,
} from '../records.ts'
import { isPod, podText, reservationOf } from '../reservations.ts'
import type { Key, KeyRange, Reader, Tx } from '../store.ts'
import type { Image } from './image.ts'

/** Where backup and store contradict each other. */
export interface RestoreConflict {
  readonly subject: string
  /** In the store. */
  readonly found: string
  /** By the backup. */
  readonly wanted: string
}

/** Added records by kind, in the words of a person. */
export type RestoreCounts = Readonly<
  Record<'networks' | 'nodes' | 'blocks' | 'attachments' | 'addresses' | 'reservations', number>
>

export interface RestoreReport {
  readonly added: RestoreCounts
  /** Attachments that the store had already. */
  readonly present: number
  /** Attachments whose end the store remembers: they stay ended. */
  readonly ended: number
  readonly conflicts: readonly RestoreConflict[]
  /** Keys of those that ended. */
  readonly skipped: ReadonlySet<string>
}

/** What is carried from one part of a backup to the next. */
export interface RestoreRun {
  /** Keys of attachments of parts before that stay ended. */
  readonly skipped: ReadonlySet<string>
  /** New blocks give no address before the whole backup is there: `thaw`. */
  readonly freezes: boolean
  /** Only what all nodes of a cluster share: the rest is the nodes' own. */
  readonly sharedOnly: boolean
}

export const restoreRun = (how: Partial<RestoreRun> = {}): RestoreRun => ({
  skipped: new Set(),
  freezes: false,
  sharedOnly: false,
  ...how,
})

/**
 * Writes what the store lacks of a backup, or of a part of one (`parts.ts`). With
 * conflicts the caller must throw, so that nothing of it stays.
 *
 * @throws {TriviumError} CONFLICT in the store of a cluster's member
 */
export function restore(tx: Tx, image: Image, run: RestoreRun = restoreRun()): RestoreReport {
  refuseMember(tx, 'restore')
  const work: Work = {
    tx,
    run,
    before: whatWasHere(tx, image),
    conflicts: [],
    added: { networks: 0, nodes: 0, blocks: 0, attachments: 0, addresses: 0, reservations: 0 },
    counts: { present: 0, ended: 0 },
    held: new Map(),
    skipped: new Set(),
  }
  each<NetworkRecord>(image, 'network', (key, network) => addNetwork(work, key, network))
  addNodes(work, image)
  // What is here is newer. A claim's incarnation comes back with its member: another machine stays out.
  for (const kind of ['allow', 'member', 'dispute']) {
    each<unknown>(image, kind, (key, record) => {
      if (tx.get(key) === undefined) tx.put(key, record)
    })
  }
  each<BlockClaim>(image, 'claim', (key, claim) => addClaim(work, key, claim))
  if (!run.sharedOnly) addOwn(work, image)
  each<Reservation>(image, 'reservation', (key, one) => addReservation(work, key, one))
  if (!run.sharedOnly) addUses(work, image, addHistory(work, image))
  const { added, conflicts, skipped } = work
  return { added, ...work.counts, conflicts, skipped }
}

/** What nodes keep themselves. */
function addOwn(work: Work, image: Image): void {
  const { tx } = work
  each<number>(image, 'sequence', (key, sequence) => {
    if ((tx.get(key) ?? 0) < sequence) tx.put(key, sequence)
  })
  each<AttachmentRecord>(image, 'attachment', (key, one) => addAttachment(work, key, one))
  each<AddressRecord>(image, 'address', (key, address) => addLeak(work, key, address))
}

interface Work {
  readonly tx: Tx
  readonly run: RestoreRun
  readonly before: Before
  readonly conflicts: RestoreConflict[]
  readonly added: Record<keyof RestoreCounts, number>
  readonly counts: { present: number; ended: number }
  /** Addresses that were added, by network and block. */
  readonly held: Map<string, number>
  /** Keys of attachments that stay ended. */
  readonly skipped: Set<string>
}

/** Of the store as it was, as far as the image asks for it. */
interface Before {
  /** First blocks by network, node and family. */
  readonly firsts: Map<string, Prefix>
  /** Who had which address since when, and has it no longer. */
  readonly past: ReadonlySet<string>
  /** History by the keys of its rings. */
  readonly rings: ReadonlyMap<string, readonly (readonly [Key<HistoryRecord>, HistoryRecord])[]>
  /** Nodes by underlay address and tunnel MAC. */
  readonly places: Map<string, string>
}

const pastName = (
  one: Pick<HistoryRecord, 'network' | 'ip' | 'containerId' | 'ifname' | 'fromMs'>,
): string => `${one.network}/${one.ip}/${one.containerId}/${one.ifname}/${one.fromMs}`

const firstName = ({ network, node, cidr }: BlockClaim): string =>
  `${network}/${node}/${prefixFamily(cidr)}`

const ringOf = (key: string): string => key.slice(0, key.lastIndexOf('/'))

function whatWasHere(reader: Reader, image: Image): Before {
  const firsts = new Map<string, Prefix>()
  const past = new Set<string>()
  const rings = new Map<string, (readonly [Key<HistoryRecord>, HistoryRecord])[]>()
  const places = new Map<string, string>()
  const networks = new Set<string>()
  each<BlockClaim>(image, 'claim', (_, { network }) => networks.add(network))
  for (const name of networks) {
    for (const [, claim] of reader.range(keys.claims(name))) {
      if (claim.first) firsts.set(firstName(claim), claim.cidr)
    }
  }
  for (const ring of ringsOf(reader, image)) {
    const pairs = [...reader.range(`${ring}/` as KeyRange<HistoryRecord>)]
    if (pairs.length > 0) rings.set(ring, pairs)
    for (const [, record] of pairs) past.add(pastName(record))
  }
  const nodes = [...pairsOf<NodeRecord>(image, 'node')]
  if (nodes.length > 0) {
    for (const [, node] of reader.range(keys.nodes)) {
      for (const place of placesOf(node)) places.set(place, node.name)
    }
  }
  return { firsts, past, rings, places }
}

/** Of the blocks with attachments or history in the image. */
function ringsOf(reader: Reader, image: Image): ReadonlySet<string> {
  const found = new Set<string>()
  each<HistoryRecord>(image, 'history', (key) => found.add(ringOf(key)))
  each<AttachmentRecord>(image, 'attachment', (_, { network, ips }) => {
    const pools = (reader.get(keys.network(network)) ?? image.pairs.get(keys.network(network))) as
      | NetworkRecord
      | undefined
    for (const ip of ips) {
      const pool = pools?.pools.find(({ cidr }) => containsIp(cidr, ip))
      if (pool !== undefined) found.add(ringOf(keys.historySlot(network, blockOf(pool, ip), 0)))
    }
  })
  return found
}

const placesOf = ({ underlayIps, vtepMac }: NodeRecord): readonly string[] => [
  ...underlayIps,
  vtepMac,
]

/** The pairs of one kind. */
function* pairsOf<T>(image: Image, kind: string): Generator<readonly [Key<T>, T]> {
  const start = `${kind}/`
  for (const [key, value] of image.pairs)
    if (key.startsWith(start)) yield [key as Key<T>, value as T]
}

function each<T>(image: Image, kind: string, visit: (key: Key<T>, value: T) => void): void {
  for (const [key, value] of pairsOf<T>(image, kind)) visit(key, value)
}

function addNetwork(
  { tx, added, conflicts }: Work,
  key: Key<NetworkRecord>,
  network: NetworkRecord,
): void {
  const subject = `network ${network.name}`
  const present = tx.get(key)
  if (present !== undefined) {
    const [found, wanted] = [meaningOf(present), meaningOf(network)]
    if (found !== wanted) conflicts.push({ subject, found, wanted })
    return
  }
  try {
    tx.put(key, fittingNetwork(tx, network))
    added.networks++
  } catch (thrown) {
    if (!isTriviumError(thrown)) throw thrown
    conflicts.push({ subject, found: thrown.message, wanted: 'a store in which it fits' })
  }
}

const meaningOf = ({ mode, pools, options }: NetworkRecord): string => {
  const parts = pools.map((pool) => JSON.stringify(Object.entries(pool).sort()))
  return `${mode}, pools ${parts.join(' ')}, ${JSON.stringify(Object.entries(options).sort())}`
}

/** What an agent said of itself since is newer: it stays. */
function addNodes({ tx, added, conflicts, before: { places } }: Work, image: Image): void {
  each<NodeRecord>(image, 'node', (key, node) => {
    if (tx.get(key) !== undefined) return
    const taken = placesOf(node).find((place) => (places.get(place) ?? node.name) !== node.name)
    if (taken !== undefined) {
      const found = `node ${places.get(taken)} has ${taken}`
      conflicts.push({ subject: `node ${node.name}`, found, wanted: 'one of its own' })
      return
    }
    for (const place of placesOf(node)) places.set(place, node.name)
    tx.put(key, node)
    added.nodes++
  })
}

function addClaim(
  { tx, run, added, conflicts, before: { firsts } }: Work,
  key: Key<BlockClaim>,
  claim: BlockClaim,
): void {
  const { cidr, node, first, pool } = claim
  const subject = `block ${cidr}`
  const present = tx.get(key)
  const wanted = `node ${node}'s${first ? ', with its tunnel endpoint' : ''}`
  if (present !== undefined) {
    const isSame = present.node === node && present.cidr === cidr && present.first === first
    if (isSame && present.pool === pool) return
    const found = `${present.cidr} is node ${present.node}'s${present.first ? ', with its tunnel endpoint' : ''}`
    conflicts.push({ subject, found, wanted })
    return
  }
  const other = firsts.get(firstName(claim))
  if (first && other !== undefined) {
    const found = `node ${node} has its tunnel endpoint in ${other}`
    conflicts.push({ subject, found, wanted })
    return
  }
  if (first) firsts.set(firstName(claim), cidr)
  tx.put(key, claim)
  added.blocks++
  if (run.sharedOnly) return
  const use = unused(claim)
  tx.put(keys.use(node, claim.network, cidr), run.freezes ? { ...use, frozen: true } : use)
}

function addAttachment(work: Work, key: Key<AttachmentRecord>, one: AttachmentRecord): void {
  const { tx, added, counts, before } = work
  const { network, containerId, ifname, node, sequence, ips, addedMs } = one
  const present = tx.get(key)
  const wanted = `${ips.join(' and ')} by number ${sequence}`
  if (present !== undefined) {
    if (present.sequence === sequence && present.ips.join() === ips.join()) counts.present++
    else {
      const found = `it has ${present.ips.join(' and ')} by number ${present.sequence}`
      work.conflicts.push({ subject: `${tellKey(one)} on node ${node}`, found, wanted })
    }
    return
  }
  const name = { network, containerId, ifname, fromMs: addedMs }
  if (ips.length > 0 && ips.every((ip) => before.past.has(pastName({ ...name, ip })))) {
    counts.ended++
    work.skipped.add(key)
    return
  }
  const record = tx.get(keys.network(network))
  const conflicts = ips.flatMap((ip) => clashOf(tx, record, one, ip) ?? [])
  work.conflicts.push(...conflicts)
  if (conflicts.length > 0) return
  tx.put(key, one)
  added.attachments++
  for (const ip of ips) {
    const pool = record?.pools.find(({ cidr }) => containsIp(cidr, ip))
    const addressKey = keys.address(network, ip)
    if (pool === undefined || tx.get(addressKey) !== undefined) continue
    hold(work, addressKey, {
      ip,
      block: blockOf(pool, ip),
      network,
      containerId,
      ifname,
      sequence,
    })
  }
}

/** Whose the address is by the store. */
function clashOf(
  tx: Tx,
  network: NetworkRecord | undefined,
  one: AttachmentRecord,
  ip: Ip,
): RestoreConflict | undefined {
  const wanted = `${tellKey(one)} on node ${one.node}`
  const pool = network?.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (network === undefined || pool === undefined) {
    return { subject: ip, found: `in no pool of network ${one.network}`, wanted }
  }
  const claim = tx.get(keys.claim(network.name, blockOf(pool, ip)))
  if (claim?.node !== one.node) {
    const found = claim === undefined ? 'nobody has its block' : `node ${claim.node} has its block`
    return { subject: ip, found, wanted }
  }
  const held = tx.get(keys.address(network.name, ip))
  const isTheirs = held?.containerId === one.containerId && held.ifname === one.ifname
  if (held !== undefined && !(isTheirs && held.sequence === one.sequence)) {
    return { subject: ip, found: `${tellKey(held)} has it by number ${held.sequence}`, wanted }
  }
  const reservation = reservationOf(tx, network, ip)
  if (reservation === undefined || isPod(reservation.pod, one.pod)) return undefined
  return { subject: ip, found: `reserved for ${podText(reservation.pod)}`, wanted }
}

function hold({ tx, added, held }: Work, key: Key<AddressRecord>, address: AddressRecord): void {
  tx.put(key, address)
  added.addresses++
  const block = keys.claim(address.network, address.block)
  held.set(block, (held.get(block) ?? 0) + 1)
}

/** An address that no attachment of the backup has: taken as long as nobody has it. */
function addLeak(work: Work, key: Key<AddressRecord>, address: AddressRecord): void {
  const { tx } = work
  if (tx.get(key) !== undefined) return
  const claim = tx.get(keys.claim(address.network, address.block))
  if (claim === undefined) return
  const holder = keys.attachment(claim.node, address)
  if (work.skipped.has(holder) || work.run.skipped.has(holder)) return
  hold(work, key, address)
}

function addReservation({ tx, added, conflicts }: Work, key: Key<Reservation>, one: Reservation) {
  const { network, ip, pod } = one
  const subject = `reservation of ${ip}`
  const wanted = podText(pod)
  const present = tx.get(key)
  if (present !== undefined) {
    if (isPod(present.pod, pod)) return
    conflicts.push({ subject, found: podText(present.pod), wanted })
    return
  }
  const own = tx.get(keys.reservedFor(network, pod)) ?? []
  const other = own.find((each) => ipFamily(each) === ipFamily(ip) && each !== ip)
  if (other !== undefined) {
    conflicts.push({ subject, found: `${podText(pod)} has ${other} reserved`, wanted })
    return
  }
  const holder = holderOf(tx, network, ip)
  if (holder !== undefined && !isPod(pod, holder.pod)) {
    const who = holder.pod === undefined ? tellKey(holder) : podText(holder.pod)
    conflicts.push({ subject, found: `${who} has it`, wanted })
    return
  }
  tx.put(key, one)
  if (!own.includes(ip)) tx.put(keys.reservedFor(network, pod), [...own, ip])
  added.reservations++
}

function holderOf(tx: Tx, name: string, ip: Ip): AttachmentRecord | undefined {
  const address = tx.get(keys.address(name, ip))
  const claim = address && tx.get(keys.claim(name, address.block))
  return address && claim && tx.get(keys.attachment(claim.node, address))
}

/** @returns the rings that were put together of both: how many releases each now has. */
function addHistory({ tx, before }: Work, image: Image): ReadonlyMap<string, number> {
  const rings = new Map<string, (readonly [Key<HistoryRecord>, HistoryRecord])[]>()
  each<HistoryRecord>(image, 'history', (key, record) => {
    const ring = rings.get(ringOf(key))
    if (ring === undefined) rings.set(ringOf(key), [[key, record]])
    else ring.push([key, record])
  })
  const joined = new Map<string, number>()
  for (const [name, theirs] of rings) {
    const ours = before.rings.get(name)
    if (ours === undefined) {
      for (const [key, record] of theirs) tx.put(key, record)
      continue
    }
    const known = new Set(ours.map(([, one]) => `${pastName(one)}/${one.toMs}`))
    const missing = theirs.filter(([, one]) => !known.has(`${pastName(one)}/${one.toMs}`))
    if (missing.length === 0) continue
    const all = [...ours, ...missing]
      .map(([, one]) => one)
      .sort((a, b) => a.toMs - b.toMs)
      .slice(-HISTORY_MAX)
    for (const [place, record] of all.entries()) {
      tx.put(`${name}/${String(place).padStart(3, '0')}`, record)
    }
    joined.set(name, all.length)
  }
  return joined
}

/** Counters by what is held now; what rests in either of the two rests. */
function addUses({ tx, held }: Work, image: Image, rings: ReadonlyMap<string, number>): void {
  const changed = new Map<Key<BlockUse>, { network: string; cidr: Prefix; theirs?: BlockUse }>()
  for (const block of held.keys()) {
    const claim = tx.get<BlockClaim>(block)
    if (claim === undefined) continue
    const { network, cidr } = claim
    changed.set(keys.use(claim.node, network, cidr), { network, cidr })
  }
  for (const ring of rings.keys()) {
    const claim = tx.get<BlockClaim>(ring.replace(/^history/, 'claim'))
    if (claim === undefined) continue
    const { network, cidr } = claim
    changed.set(keys.use(claim.node, network, cidr), { network, cidr })
  }
  each<BlockUse>(image, 'use', (key, theirs) => {
    const [, , network = ''] = key.split('/')
    if (tx.get(key) !== undefined) changed.set(key, { network, cidr: theirs.cidr, theirs })
  })
  for (const [key, { network, cidr, theirs }] of changed) {
    const ours = tx.get(key)
    if (ours === undefined) continue
    const claimKey = keys.claim(network, cidr)
    const isNew = ours.used === 0 && ours.cursor === 0 && ours.released === undefined
    const { cooling: _ours, ...base } = isNew && theirs !== undefined ? theirs : ours
    const ring = rings.get(claimKey.replace(/^claim/, 'history'))
    const sum = {
      ...base,
      first: ours.first,
      pool: ours.pool,
      ...(ours.frozen === true ? { frozen: true as const } : {}),
      used: ours.used + (held.get(claimKey) ?? 0),
      ...(ring === undefined ? {} : { released: ring }),
    }
    const cooling = joinedCooling(ours, theirs)
    const isHeld = (ip: Ip): boolean => tx.get(keys.address(network, ip)) !== undefined
    tx.put(key, resting(sum, restingIn({ ...sum, cooling }, isHeld).slice(-COOLING_MAX)))
  }
}

/** Of one place the later release, in order of release. */
function joinedCooling({ cooling: ours = [] }: BlockUse, theirs?: BlockUse) {
  const latest = new Map<number, number>()
  for (const { offset, sinceMs } of [...ours, ...(theirs?.cooling ?? [])]) {
    latest.set(offset, Math.max(sinceMs, latest.get(offset) ?? sinceMs))
  }
  return [...latest]
    .map(([offset, sinceMs]) => ({ offset, sinceMs }))
    .sort((a, b) => a.sinceMs - b.sinceMs)
}
