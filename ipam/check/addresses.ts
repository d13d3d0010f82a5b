/**
 * Addresses, attachments and sequence numbers: invariants 1, 5 and 7 of the README.
 *
 * @module
 */
import { containsIp, offsetIn, prefixOf } from '../../src/net/mod.ts'
import { reservedOffsets } from '../blocks.ts'
import type { AddressRecord, AttachmentKey, AttachmentRecord } from '../records.ts'
import type { Books } from './books.ts'
import type { IpamFinding } from './finding.ts'

export const tellKey = ({ containerId, ifname }: AttachmentKey): string =>
  `${ifname} of container ${containerId}`

export function* checkAddresses(books: Books): Generator<IpamFinding> {
  for (const address of books.addresses()) yield* checkAddress(books, address)
  const holders = new Map<string, AttachmentRecord>()
  for (const attachment of books.attachments()) yield* checkAttachment(books, attachment, holders)
  yield* sequences(books)
}

/** A leak: nobody lists it. What an attachment lists is judged from there. */
function* checkAddress(books: Books, address: AddressRecord): Generator<IpamFinding> {
  const { network, ip, sequence } = address
  const owner = books.claimOf(network, address.block)?.node
  const known = owner === undefined ? undefined : books.attachmentOf(owner, address)
  if (known?.ips.includes(ip) === true) return
  const holders = books.attachmentsOf(address)
  if (holders.some(({ ips }) => ips.includes(ip))) return
  const who = `${tellKey(address)}, number ${sequence}`
  const found = holders.length === 0 ? `held by ${who}, which is not there` : `${who} has others`
  const node = owner
  yield {
    code: 'address-without-attachment',
    severity: 'warn',
    subject: ip,
    network,
    ...(node === undefined ? {} : { node }),
    found,
    wanted: 'an attachment that lists it',
    repair: { kind: 'remove-address', network, ip, sequence },
  }
}

function* checkAttachment(
  books: Books,
  attachment: AttachmentRecord,
  holders: Map<string, AttachmentRecord>,
): Generator<IpamFinding> {
  const { network, node, sequence } = attachment
  const record = books.networks.get(network)
  if (record === undefined) {
    const repair = { kind: 'release', node, key: attachment, sequence } as const
    const found = `attached to network ${network}, which is not there`
    const base = { code: 'unknown-network', severity: 'fail', network, node } as const
    yield {
      ...base,
      subject: tellKey(attachment),
      found,
      wanted: 'no attachment',
      repair: trimmed(repair),
    }
  }
  for (const ip of attachment.ips) {
    const base = { severity: 'fail', subject: ip, network, node } as const
    const address = books.addressOf(network, ip)
    const isTheirs =
      address?.containerId === attachment.containerId && address.ifname === attachment.ifname
    // As it should be; of whom else has it, the record tells.
    const owner = address && books.claimOf(network, address.block)?.node
    if (isTheirs && address?.sequence === sequence && owner === node) {
      yield* checkPlace(books, attachment, ip, address)
      continue
    }
    const other = holders.get(`${network}/${ip}`)
    if (other !== undefined) {
      const found = `held by ${tellKey(other)} on node ${other.node} and ${tellKey(attachment)} on node ${node}`
      yield { ...base, code: 'address-twice', found, wanted: 'one holder: end one of the two' }
      continue
    }
    holders.set(`${network}/${ip}`, attachment)
    if (address === undefined || (isTheirs && address.sequence !== sequence)) {
      const found =
        address === undefined
          ? `${tellKey(attachment)} has it, no record says so`
          : `number ${address.sequence}, ${tellKey(attachment)} has it by number ${sequence}`
      const wanted = `taken by ${tellKey(attachment)}`
      const repair = { kind: 'write-address', node, key: attachment, ip, sequence } as const
      yield { ...base, code: 'attachment-without-address', found, wanted, repair: trimmed(repair) }
    } else if (!isTheirs) {
      const found = `${tellKey(attachment)} has it, ${tellKey(address)} is written down`
      yield { ...base, code: 'address-twice', found, wanted: 'one holder: end one of the two' }
    }
    yield* checkPlace(books, attachment, ip, address)
  }
}

/** In a block of its node, and none that no pod may have. */
function* checkPlace(
  books: Books,
  { network, node, ips }: AttachmentRecord,
  ip: AttachmentRecord['ips'][number],
  address: AddressRecord | undefined,
): Generator<IpamFinding> {
  const record = books.networks.get(network)
  const pool = record?.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (record === undefined || !ips.includes(ip)) return
  const base = { severity: 'fail', subject: ip, network, node } as const
  const block = address?.block ?? (pool && prefixOf(ip, pool.blockLength))
  const claim = block && books.claimOf(network, block)
  if (block === undefined || claim?.node !== node || !containsIp(block, ip)) {
    const owner = claim === undefined ? 'nobody' : `node ${claim.node}`
    const found =
      block === undefined ? 'in no pool' : `written down in ${block}, which ${owner} has`
    yield { ...base, code: 'address-outside-block', found, wanted: `a block of node ${node}` }
    return
  }
  const why = reservedOffsets(record, claim).get(Number(offsetIn(block, ip)))
  if (why === undefined) return
  yield { ...base, code: 'address-reserved', found: `it is ${why}`, wanted: 'no pod that has it' }
}

function* sequences(books: Books): Generator<IpamFinding> {
  for (const [node, to] of books.highestSequences()) {
    const last = books.sequenceOf(node)
    if (last >= to) continue
    yield {
      code: 'sequence-behind',
      severity: 'fail',
      subject: `sequence of node ${node}`,
      network: '',
      node,
      found: `${last}, an attachment has ${to}`,
      wanted: `${to} or more`,
      repair: { kind: 'raise-sequence', node, to },
    }
  }
}

/** A repair that goes into a report names the attachment, and carries no more of it. */
export function trimmed<R extends { readonly key: AttachmentKey }>(repair: R): R {
  const { network, containerId, ifname } = repair.key
  return { ...repair, key: { network, containerId, ifname } }
}
