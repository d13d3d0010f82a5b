/**
 * Reservations, exclusions and history: invariants 9 and 10 of the README.
 *
 * @module
 */
import { containsIp, containsPrefix, ipFamily, offsetIn } from '../../src/net/mod.ts'
import { counted } from '../../src/words.ts'
import { blockOf, reservedOffsets } from '../blocks.ts'
import { misplacedHistory } from '../history.ts'
import { keys } from '../keys.ts'
import type { AttachmentRecord } from '../records.ts'
import { isPod, podText } from '../reservations.ts'
import type { Reader } from '../store.ts'
import type { Books, KeptAt, KeptFor } from './books.ts'
import type { IpamFinding } from './finding.ts'

export function* checkReservations(books: Books): Generator<IpamFinding> {
  const reserved = new Set(books.reservations.map(({ reservation }) => reservation.ip))
  const holders = new Map<string, AttachmentRecord>()
  // Whoever lists it: what is written down of the address may be wrong, and mended.
  for (const attachment of reserved.size === 0 ? [] : books.attachments()) {
    for (const ip of attachment.ips) {
      if (reserved.has(ip)) holders.set(`${attachment.network}/${ip}`, attachment)
    }
  }
  for (const kept of books.reservations) yield* checkReservation(books, kept, holders)
  yield* checkIndex(books)
  for (const { name, pools, exclusions = [] } of books.networks.values()) {
    for (const range of exclusions) {
      if (pools.some(({ cidr }) => containsPrefix(cidr, range))) continue
      const base = { code: 'exclusion-outside-pool', severity: 'warn', subject: range } as const
      yield { ...base, network: name, found: 'in no pool', wanted: 'a range of one pool' }
    }
  }
}

function* checkReservation(
  books: Books,
  { key, network, reservation }: KeptAt,
  holders: ReadonlyMap<string, AttachmentRecord>,
): Generator<IpamFinding> {
  const { ip, pod } = reservation
  const base = { subject: ip, network } as const
  const record = books.networks.get(network)
  const pool = record?.pools.find(({ cidr }) => containsIp(cidr, ip))
  const block = pool && blockOf(pool, ip)
  if (pool === undefined || block === undefined || keys.reservation(network, block, ip) !== key) {
    const found = `reserved for ${podText(pod)}, ${block === undefined ? 'in no pool' : `not with block ${block}`}`
    const wanted = block === undefined ? 'no reservation' : 'where an allocation looks for it'
    const repair = { kind: 'place-reservation', network, ip } as const
    yield { ...base, code: 'reservation-misplaced', severity: 'fail', found, wanted, repair }
    return
  }
  const place = { cidr: block, pool: pool.cidr, first: pool.floating !== true }
  const why = record && reservedOffsets(record, place).get(Number(offsetIn(block, ip)))
  if (why !== undefined) {
    const found = `reserved for ${podText(pod)}, it is or may become ${why}`
    const wanted = 'one that pods may have'
    yield { ...base, code: 'reservation-unusable', severity: 'warn', found, wanted }
  }
  const holder = holders.get(`${network}/${ip}`)
  if (holder === undefined || isPod(pod, holder.pod)) return
  const who = holder.pod === undefined ? `container ${holder.containerId}` : podText(holder.pod)
  const found = `reserved for ${podText(pod)}, held by ${who}`
  const wanted = 'its pod, or nobody: end one of the two'
  yield { ...base, code: 'reservation-held', severity: 'warn', node: holder.node, found, wanted }
}

/** What a pod is told, against the reservations that name it. */
function* checkIndex({ reservations, reserved }: Books): Generator<IpamFinding> {
  const told = new Map(reserved.map((each) => [nameOf(each), each]))
  const kept = new Map<string, KeptFor>()
  for (const { network, reservation } of reservations) {
    const { pod, ip } = reservation
    const ips = kept.get(nameOf({ network, pod }))?.ips ?? []
    kept.set(nameOf({ network, pod }), { network, pod, ips: [...ips, ip] })
  }
  for (const [name, { network, pod, ips }] of new Map([...told, ...kept])) {
    const base = { subject: podText(pod), network, severity: 'fail' } as const
    const is = (kept.get(name)?.ips ?? []).toSorted().join(' and ')
    const says = (told.get(name)?.ips ?? []).toSorted().join(' and ')
    if (is !== says) {
      const found = `it is told ${says || 'none'}, reserved is ${is || 'none'}`
      const repair = { kind: 'index-reservations', network, pod } as const
      yield { ...base, code: 'reservation-index', found, wanted: is || 'no list', repair }
    }
    const families = new Set(ips.map(ipFamily))
    if (!kept.has(name) || ips.length === families.size) continue
    const wanted = 'one a family: unreserve the others'
    yield { ...base, code: 'reservation-twice', found: `it has ${is}`, wanted }
  }
}

const nameOf = ({ network, pod }: Pick<KeptFor, 'network' | 'pod'>): string =>
  `${network}/${pod.namespace}/${pod.name}`

/** One finding a network: the past frees nothing and gives nothing. */
export function* checkHistory(reader: Reader, { networks }: Books): Generator<IpamFinding> {
  const misplaced = new Map<string, number>()
  for (const [, { network }] of misplacedHistory(reader, networks)) {
    misplaced.set(network, (misplaced.get(network) ?? 0) + 1)
  }
  for (const [network, count] of misplaced) {
    const repair = { kind: 'trim-history', network } as const
    const found = `${counted(count, 'record')} of its past in no block of it`
    const base = { code: 'history-misplaced', severity: 'warn', network } as const
    yield { ...base, subject: `network ${network}`, found, wanted: 'none', repair }
  }
}
