/**
 * The whole store at one instant, indexed for the checks.
 *
 * Cost: blocks, reservations and what is wrong are kept; addresses and attachments
 * are read anew each time, in pieces.
 *
 * @module
 */
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { addressPlace, attachmentPlace } from '../attachment-words.ts'
import { keys } from '../keys.ts'
import type {
  AddressRecord,
  AttachmentKey,
  AttachmentRecord,
  BlockClaim,
  BlockUse,
  NetworkRecord,
  PodName,
  Reservation,
} from '../records.ts'
import { type Key, type Reader, scan, texts } from '../store.ts'

/** A reservation and where it stands. */
export interface KeptAt {
  readonly key: Key<Reservation>
  readonly network: string
  readonly reservation: Reservation
}

/** What a pod is told of its reservations. */
export interface KeptFor {
  readonly network: string
  readonly pod: PodName
  readonly ips: readonly Ip[]
}

/** A use and whose it is, which only its key tells. */
export interface OwnedUse extends BlockUse {
  readonly node: string
  readonly network: string
}

export interface Books {
  readonly networks: ReadonlyMap<string, NetworkRecord>
  /** In key order: by network, family and address. */
  readonly claims: readonly BlockClaim[]
  readonly claimOf: (network: string, cidr: Prefix) => BlockClaim | undefined
  readonly uses: readonly OwnedUse[]
  /** Whether uses of the node belong here: a member of a cluster has only its own. */
  readonly keepsUsesOf: (node: string) => boolean
  readonly useOf: (node: string, network: string, cidr: Prefix) => OwnedUse | undefined
  readonly addresses: () => Iterable<AddressRecord>
  readonly addressOf: (network: string, ip: Ip) => AddressRecord | undefined
  readonly attachments: () => Iterable<AttachmentRecord>
  readonly attachmentsOn: (node: string) => Iterable<AttachmentRecord>
  readonly attachmentOf: (node: string, key: AttachmentKey) => AttachmentRecord | undefined
  /** By name and not by node: an address does not say which node holds it. */
  readonly attachmentsOf: (key: AttachmentKey) => readonly AttachmentRecord[]
  /** Address records that name the block. */
  readonly heldIn: (network: string, cidr: Prefix) => number
  readonly sequenceOf: (node: string) => number
  /** By node, of its attachments. */
  readonly highestSequences: () => ReadonlyMap<string, number>
  readonly reservations: readonly KeptAt[]
  readonly reserved: readonly KeptFor[]
}

const nameOf = ({ network, containerId, ifname }: AttachmentKey): string =>
  `${network}/${containerId}/${ifname}`

export function readBooks(reader: Reader): Books {
  const claims = values(reader.range(keys.allClaims))
  const uses = [...reader.range(keys.allUses)].map(([key, use]): OwnedUse => {
    return { ...use, node: partOf(key, 1), network: partOf(key, 2) }
  })
  const networks = values(reader.range(keys.networks))
  const isMember = reader.get(keys.membership) !== undefined
  const users = new Set(uses.map(({ node }) => node))
  const claimMap = new Map(claims.map((claim) => [`${claim.network}/${claim.cidr}`, claim]))
  const useMap = new Map(uses.map((use) => [`${use.node}/${use.network}/${use.cidr}`, use]))
  const addresses = (): Iterable<AddressRecord> => each(scan(reader, keys.allAddresses))
  const attachments = (): Iterable<AttachmentRecord> => each(scan(reader, keys.allAttachments))
  const held = once(() => heldByBlock(reader))
  const holders = once(() => nodesByName(attachments()))
  return {
    networks: new Map(networks.map((network) => [network.name, network])),
    claims,
    claimOf: (network, cidr) => claimMap.get(`${network}/${cidr}`),
    uses,
    keepsUsesOf: (node) => !isMember || users.has(node),
    useOf: (node, network, cidr) => useMap.get(`${node}/${network}/${cidr}`),
    addresses,
    addressOf: (network, ip) => reader.get(keys.address(network, ip)),
    attachments,
    attachmentsOn: (node) => each(scan(reader, keys.attachments(node))),
    attachmentOf: (node, key) => reader.get(keys.attachment(node, key)),
    attachmentsOf: (key) =>
      (holders().get(nameOf(key)) ?? []).flatMap(
        (node) => reader.get(keys.attachment(node, key)) ?? [],
      ),
    heldIn: (network, cidr) => held().get(`${network}/${cidr}`) ?? 0,
    sequenceOf: (node) => reader.get(keys.sequence(node)) ?? 0,
    highestSequences: () => highestSequences(reader),
    reservations: [...reader.range(keys.allReservations)].map(([key, reservation]) => ({
      key,
      network: partOf(key, 1),
      reservation,
    })),
    reserved: [...reader.range(keys.allReserved)].map(([key, ips]) => ({
      network: partOf(key, 1),
      pod: { namespace: partOf(key, 2), name: partOf(key, 3) },
      ips,
    })),
  }
}

function heldByBlock(reader: Reader): ReadonlyMap<string, number> {
  const held = new Map<string, number>()
  texts(reader, keys.allAddresses, (text) => {
    const { network, block } = addressPlace(text)
    const name = `${network}/${block}`
    held.set(name, (held.get(name) ?? 0) + 1)
  })
  return held
}

function highestSequences(reader: Reader): ReadonlyMap<string, number> {
  const highest = new Map<string, number>()
  texts(reader, keys.allAttachments, (text) => {
    const { node, sequence } = attachmentPlace(text)
    if (sequence > (highest.get(node) ?? 0)) highest.set(node, sequence)
  })
  return highest
}

function nodesByName(
  attachments: Iterable<AttachmentRecord>,
): ReadonlyMap<string, readonly string[]> {
  const nodes = new Map<string, string[]>()
  for (const attachment of attachments) {
    const name = nameOf(attachment)
    const known = nodes.get(name)
    if (known === undefined) nodes.set(name, [attachment.node])
    else known.push(attachment.node)
  }
  return nodes
}

/** Made when somebody asks: where nothing is wrong, nobody does. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function* each<T>(pairs: Iterable<readonly [string, T]>): Generator<T> {
  for (const [, value] of pairs) yield value
}

const partOf = (key: string, index: number): string => key.split('/')[index] ?? ''

const values = <T>(pairs: Iterable<readonly [string, T]>): readonly T[] =>
  [...pairs].map(([, value]) => value)
