/**
 * One node's records against its kernel.
 *
 * The kernel is read before the store: a link that an ADD makes in between has a
 * record by then. The other way round an ADD that is under way shows a record
 * without a link, so whoever looks from outside looks twice (`confirmed`).
 *
 * @module
 */
import type { AttachmentKey, AttachmentRecord } from '../records.ts'
import { tellKey, trimmed } from './addresses.ts'
import type { Books } from './books.ts'
import type { IpamFinding, KernelLook, PodLink } from './finding.ts'

/** @param linkName The name of the pair's host end; other names are looked past. */
export function* checkKernel(books: Books, look: KernelLook): Generator<IpamFinding> {
  const own = [...books.attachmentsOn(look.node)]
  const names = new Set(look.links.map(({ name }) => name))
  for (const attachment of own) yield* checkRecord(attachment, look, names)
  const recorded = new Map<string, AttachmentRecord>()
  for (const attachment of own) {
    if (attachment.hostLink !== undefined) recorded.set(attachment.hostLink, attachment)
  }
  for (const link of look.links) yield* checkLink(link, recorded.get(link.name), look)
}

function* checkRecord(
  attachment: AttachmentRecord,
  look: KernelLook,
  links: ReadonlySet<string>,
): Generator<IpamFinding> {
  const { network, node, sequence, hostLink, netns, bootId } = attachment
  const subject = tellKey(attachment)
  const base = { subject, network, node } as const
  const ips = attachment.ips.join(' and ')
  const repair = trimmed({
    kind: 'release',
    node,
    key: attachment as AttachmentKey,
    sequence,
  } as const)
  if (bootId !== look.bootId) {
    const found = `has ${ips} since boot ${bootId}`
    const wanted = `boot ${look.bootId}, or no record`
    yield { ...base, code: 'earlier-boot', severity: 'warn', found, wanted, repair }
    return
  }
  const hasLink = hostLink !== undefined && links.has(hostLink)
  // A link is as good as a pod: its namespace may have lost its name only.
  if (hasLink) return
  // Imported: nobody said where its namespace is.
  if (netns === '') return
  if (look.namespace(netns) === false) {
    const found = `has ${ips}, no namespace at ${netns}`
    const wanted = 'a living pod, or no record'
    yield { ...base, code: 'namespace-gone', severity: 'warn', found, wanted, repair }
  } else if (hostLink !== undefined) {
    const found = `has ${ips}, no link ${hostLink}`
    const wanted = `link ${hostLink}, which only a new pod brings back`
    yield { ...base, code: 'record-without-link', severity: 'fail', found, wanted, repair }
  }
}

function* checkLink(
  { name, owner }: PodLink,
  record: AttachmentRecord | undefined,
  { node }: KernelLook,
): Generator<IpamFinding> {
  if (record !== undefined && (owner === undefined || owner.sequence === record.sequence)) return
  const who = owner === undefined ? 'nobody' : `${tellKey(owner)}, number ${owner.sequence}`
  yield {
    code: 'link-without-record',
    severity: 'fail',
    subject: `link ${name}`,
    network: owner?.network ?? '',
    node,
    found: `it says ${who}; ${record === undefined ? 'no record has it' : `the record is number ${record.sequence}`}`,
    wanted: 'a record of the same number, or no link',
    repair: { kind: 'remove-link', name, ...(owner === undefined ? {} : { owner }) },
  }
}

/** What both looks found: the rest was an ADD or a DEL under way. */
export function confirmed(
  earlier: readonly IpamFinding[],
  later: readonly IpamFinding[],
): readonly IpamFinding[] {
  const name = ({ code, subject, found }: IpamFinding): string => `${code} ${subject} ${found}`
  const known = new Set(earlier.map(name))
  return later.filter((finding) => known.has(name(finding)))
}
