/**
 * Addresses kept for one pod, by namespace and name, and ranges that no pod gets.
 *
 * A reservation is two records: by address, beside the others of its block, so
 * that an allocation looks at one short range a block; and by pod, so that its
 * owner finds it with one read. Excluded ranges are few and stand in the
 * network's record, which every allocation reads anyway.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import {
  containsIp,
  containsPrefix,
  type Ip,
  type IpFamily,
  ipFamily,
  ipToInteger,
  type Mac,
  macFromName,
  networkAddress,
  offsetIn,
  type Prefix,
  prefixesOverlap,
  prefixFamily,
  prefixSize,
} from '../src/net/mod.ts'
import { blockOf, reservedOffsets } from './blocks.ts'
import { keys } from './keys.ts'
import type { BlockUse, NetworkRecord, PodIdentity, PodName, Reservation } from './records.ts'
import type { Reader, Tx } from './store.ts'

/** Every allocation looks at all of them. */
export const EXCLUSIONS_MAX = 100

/** RFC 1123 subdomain and label, as Kubernetes names pods and namespaces. */
const POD_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const NAMESPACE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** An address to keep for a pod. */
export interface ReserveRequest {
  readonly network: string
  readonly ip: Ip
  readonly pod: PodName
  /** MAC of the pod's end wherever it runs. @default made from the pod's name */
  readonly mac?: Mac
  readonly nowMs: number
}

/** What a change did. */
export interface ReservationChange<Kind extends string> {
  readonly kind: Kind | 'unchanged'
  readonly reservation: Reservation
}

/**
 * Keeps an address for a pod. Doing it again changes nothing.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG for an address that no pod may
 * have; CONFLICT when it is another pod's, or the pod has one of this family.
 */
export function reserve(tx: Tx, request: ReserveRequest): ReservationChange<'reserved'> {
  const { ip, pod, nowMs } = request
  const network = networkOf(tx, request.network)
  const block = reservableBlock(network, ip)
  checkPodName(pod)
  const key = keys.reservation(network.name, block, ip)
  const present = tx.get(key)
  const mac = request.mac ?? macFromName(`${network.name}/${pod.namespace}/${pod.name}`)
  if (present !== undefined && isPod(present.pod, pod) && present.mac === mac) {
    return { kind: 'unchanged', reservation: present }
  }
  if (present !== undefined && !isPod(present.pod, pod)) {
    throw conflict(ip, `it is reserved for ${podText(present.pod)}`)
  }
  const ownerKey = keys.reservedFor(network.name, pod)
  const own = tx.get(ownerKey) ?? []
  const other = own.find((each) => ipFamily(each) === ipFamily(ip) && each !== ip)
  if (other !== undefined) throw conflict(ip, `${podText(pod)} has ${other} reserved`)
  const holder = holderPod(tx, network, block, ip)
  if (holder !== undefined && !isPod(holder, pod)) {
    throw conflict(ip, `it is in use by ${podText(holder)}`)
  }
  const { namespace, name } = pod
  const reservation = { network: network.name, ip, pod: { namespace, name }, mac, madeMs: nowMs }
  tx.put(key, reservation)
  if (!own.includes(ip)) tx.put(ownerKey, [...own, ip])
  return { kind: 'reserved', reservation }
}

/** @throws {TriviumError} NOT_FOUND when the address is not reserved. */
export function unreserve(tx: Tx, name: string, ip: Ip): Reservation {
  const network = networkOf(tx, name)
  const reservation = reservationOf(tx, network, ip)
  if (reservation === undefined) throw notReserved(ip, name)
  const { pod } = reservation
  tx.remove(keys.reservation(name, blockOf(poolOf(network, ip)!, ip), ip))
  const left = (tx.get(keys.reservedFor(name, pod)) ?? []).filter((each) => each !== ip)
  if (left.length === 0) tx.remove(keys.reservedFor(name, pod))
  else tx.put(keys.reservedFor(name, pod), left)
  return reservation
}

/**
 * Keeps a range from every pod that it is not reserved for. Those that have
 * addresses of it keep them.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG outside the pools, or for too many.
 */
export function exclude(tx: Tx, name: string, range: Prefix): NetworkRecord {
  const network = networkOf(tx, name)
  const { exclusions = [] } = network
  if (exclusions.includes(range)) return network
  if (!network.pools.some(({ cidr }) => containsPrefix(cidr, range))) {
    throw new TriviumError('BAD_CONFIG', `Cannot exclude ${range}: ${outside(network)}`)
  }
  if (exclusions.length >= EXCLUSIONS_MAX) {
    const found = `network ${name} has ${EXCLUSIONS_MAX} excluded ranges`
    throw new TriviumError('BAD_CONFIG', `Cannot exclude ${range}: ${found}, wanted fewer, larger`)
  }
  const after = { ...network, exclusions: [...exclusions, range].sort() }
  tx.put(keys.network(name), after)
  return after
}

/** @throws {TriviumError} NOT_FOUND when the range is not excluded as it is. */
export function include(tx: Tx, name: string, range: Prefix): NetworkRecord {
  const { exclusions = [], ...network } = networkOf(tx, name)
  if (!exclusions.includes(range)) {
    const found = exclusions.length === 0 ? 'nothing is' : `${exclusions.join(', ')} are`
    throw new TriviumError('NOT_FOUND', `Cannot include ${range}: ${found} excluded`)
  }
  const left = exclusions.filter((each) => each !== range)
  const after = left.length === 0 ? network : { ...network, exclusions: left }
  tx.put(keys.network(name), after)
  return after
}

/** Whether anything is: stores remember ranges, so this spares each allocation a look for its own. */
export const hasReservations = (reader: Reader, { name }: NetworkRecord): boolean =>
  reader.range(keys.reservations(name)).length > 0

/** What is kept for the pod in one family of the network. */
export function reservedFor(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  pod: PodName | undefined,
): Reservation | undefined {
  if (pod === undefined || !hasReservations(reader, network)) return undefined
  const ips = reader.get(keys.reservedFor(network.name, pod)) ?? []
  const ip = ips.find((each) => ipFamily(each) === family)
  return ip === undefined ? undefined : reservationOf(reader, network, ip)
}

/** Whose the address is, whoever holds it now. */
export function reservationOf(
  reader: Reader,
  network: NetworkRecord,
  ip: Ip,
): Reservation | undefined {
  const pool = poolOf(network, ip)
  return pool && reader.get(keys.reservation(network.name, blockOf(pool, ip), ip))
}

/** The excluded range that the address is of. */
export const exclusionOf = ({ exclusions = [] }: NetworkRecord, ip: Ip): Prefix | undefined =>
  exclusions.find((range) => containsIp(range, ip))

/** What is reserved in a range of the network. */
export const reservationsIn = (
  reader: Reader,
  network: string,
  range: Prefix,
): readonly Reservation[] =>
  [...reader.range(keys.reservations(network))]
    .map(([, reservation]) => reservation)
    .filter(({ ip }) => containsIp(range, ip))

/** Excluded ranges within a range. */
export const exclusionsIn = (
  { exclusions = [] }: NetworkRecord,
  range: Prefix,
): readonly Prefix[] => exclusions.filter((each) => containsPrefix(range, each))

/** Places in the block that are kept from just any pod, and that nobody holds now. */
export function* keptOffsets(
  reader: Reader,
  network: NetworkRecord,
  { cidr }: BlockUse,
): Generator<number> {
  for (const range of network.exclusions ?? []) {
    if (!prefixesOverlap(range, cidr)) continue
    const family = prefixFamily(cidr)
    const start = ipToInteger(networkAddress(cidr))
    const last = start + prefixSize(cidr) - 1n
    const first = ipToInteger(networkAddress(range))
    const end = first + prefixSize(range) - 1n
    for (let at = first > start ? first : start; at <= end && at <= last; at++) {
      if (reader.get(keys.addressAt(network.name, family, at)) === undefined)
        yield Number(at - start)
    }
  }
  if (!hasReservations(reader, network)) return
  for (const [, { ip }] of reader.range(keys.blockReservations(network.name, cidr))) {
    if (reader.get(keys.address(network.name, ip)) === undefined) yield Number(offsetIn(cidr, ip))
  }
}

export const isPod = (left: PodName, right: PodName | undefined): boolean =>
  left.namespace === right?.namespace && left.name === right.name

export const podText = ({ namespace, name }: PodName): string => `pod ${namespace}/${name}`

const poolOf = (network: NetworkRecord, ip: Ip) =>
  network.pools.find(({ cidr }) => containsIp(cidr, ip))

/** The block of an address that a pod may have whichever node owns the block. */
function reservableBlock(network: NetworkRecord, ip: Ip): Prefix {
  const pool = poolOf(network, ip)
  if (pool === undefined) {
    throw new TriviumError('BAD_CONFIG', `Cannot reserve ${ip}: ${outside(network)}`)
  }
  if (pool.draining === true) {
    const found = `pool ${pool.cidr} drains`
    throw new TriviumError('BAD_CONFIG', `Cannot reserve ${ip}: ${found}, wanted another pool`)
  }
  const block = blockOf(pool, ip)
  // The first block that a node claims gives its network address to the tunnel.
  const use = { cidr: block, pool: pool.cidr, first: pool.floating !== true }
  const why = reservedOffsets(network, use).get(Number(offsetIn(block, ip)))
  if (why === undefined) return block
  const isStart = use.first && ip === networkAddress(block)
  const found = isStart ? `it begins block ${block}` : `it is ${why}`
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot reserve ${ip}: ${found}, wanted one that pods may have`,
  )
}

function holderPod(
  reader: Reader,
  network: NetworkRecord,
  block: Prefix,
  ip: Ip,
): PodIdentity | undefined {
  const address = reader.get(keys.address(network.name, ip))
  const claim = reader.get(keys.claim(network.name, block))
  if (address === undefined || claim === undefined) return undefined
  const held = reader.get(keys.attachment(claim.node, address))
  return held?.pod ?? { namespace: '?', name: `of container ${address.containerId}`, uid: '' }
}

function checkPodName({ namespace, name }: PodName): void {
  if (NAMESPACE.test(namespace) && POD_NAME.test(name)) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot reserve for pod ${JSON.stringify(`${namespace}/${name}`.slice(0, 100))}: wanted NAMESPACE/NAME in lower-case letters, digits, "-" and "."`,
  )
}

function networkOf(reader: Reader, name: string): NetworkRecord {
  const network = reader.get(keys.network(name))
  if (network !== undefined) return network
  throw new TriviumError('NOT_FOUND', `Cannot find network ${name}: the store has none of the name`)
}

const outside = ({ name, pools }: NetworkRecord): string =>
  `it is in no pool of network ${name}, which has ${pools.map(({ cidr }) => cidr).join(' and ')}`

const conflict = (ip: Ip, found: string): TriviumError =>
  new TriviumError(
    'CONFLICT',
    `Cannot reserve ${ip}: ${found}, wanted a free one and a pod without`,
  )

const notReserved = (ip: Ip, network: string): TriviumError =>
  new TriviumError('NOT_FOUND', `Cannot unreserve ${ip}: it is not reserved in network ${network}`)
