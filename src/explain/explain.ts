/**
 * Why A cannot reach B: the way there and back in each family, and the first
 * object that breaks it.
 *
 * @module
 */
import type { AllowedPort } from '../../ipam/records.ts'
import type { AttachmentRecord, ClusterView } from '../cluster/view.ts'
import { TriviumError, unreachable } from '../errors.ts'
import { type Ip, type IpFamily, ipFamily } from '../net/mod.ts'
import type { Hop } from './hop.ts'
import type { Packet } from './packet.ts'
import { podBytes } from './pod.ts'
import type { NodeSnapshot } from './snapshot.ts'
import { type End, walk } from './walk.ts'
import { podPlaceOf, podWords, type Side, sideOf } from './world.ts'

/** An endpoint as the store knows it. */
export type Endpoint =
  | { readonly kind: 'pod'; readonly attachment: AttachmentRecord; readonly ips: readonly Ip[] }
  | { readonly kind: 'node'; readonly node: string; readonly ips: readonly Ip[] }
  | { readonly kind: 'outside'; readonly ips: readonly Ip[] }

/** What is asked, and all that is known. */
export interface Question {
  readonly from: Endpoint
  readonly to: Endpoint
  /** undefined: any protocol; closed ports are then not asked for. */
  readonly port?: AllowedPort
  /** With a UDP port: the payload begins like a VXLAN packet of this id. */
  readonly vni?: number
  /** Views of the nodes of both ends, by name. */
  readonly views: ReadonlyMap<string, ClusterView>
  /** Nodes that were seen, by name. */
  readonly snapshots: ReadonlyMap<string, NodeSnapshot>
  /** Why others were not seen, by name. */
  readonly silent?: ReadonlyMap<string, string>
}

/** A node that was not seen. */
export interface Unseen {
  readonly node: string
  readonly reason: string
}

/**
 * - `reachable`: nothing that was seen stops a packet, and both sides were seen.
 * - `broken`: something does.
 * - `unknown`: nothing seen does, but a side was not seen, or something may.
 */
export type Verdict = 'reachable' | 'broken' | 'unknown'

/** One packet's way. */
export interface Path {
  readonly family: IpFamily
  readonly direction: 'there' | 'back'
  readonly from: Ip
  readonly to: Ip
  readonly verdict: Verdict
  readonly hops: readonly Hop[]
}

export interface Explanation {
  readonly from: string
  readonly to: string
  readonly verdict: Verdict
  readonly paths: readonly Path[]
  /** The first hop that is broken, or else the first that is suspect. */
  readonly cause?: Hop
  readonly unseen: readonly Unseen[]
}

/** MTU of a packet that a node sends by itself, where its link does not say. */
const NODE_BYTES = 1280

/**
 * Walks there and back in each family that both ends have.
 *
 * @throws {TriviumError} USAGE when the packet would start outside the cluster.
 */
export function explain(question: Question): Explanation {
  const { from, to, snapshots } = question
  if (from.kind === 'outside') throw stranger(from.ips)
  const sides = new Map<string, Side>()
  for (const [name, view] of question.views) sides.set(name, sideOf(view, snapshots.get(name)))
  const [a, b] = [endOf(from, sides), endOf(to, sides)]
  const families = ([4, 6] as const).filter((family) => ipOf(a, family) && ipOf(b, family))
  const paths = families.flatMap((family) => both(a, b, family, question))
  const hops = paths.length > 0 ? paths.flatMap((path) => path.hops) : [noFamily(from, to)]
  const cause =
    hops.find(({ status }) => status === 'broken') ??
    hops.find(({ status }) => status === 'suspect')
  const unseen = [...sides.values()]
    .filter(({ seen }) => !seen)
    .map(({ node }) => ({ node, reason: question.silent?.get(node) ?? 'nobody looked' }))
  return {
    from: endWords(from),
    to: endWords(to),
    verdict: verdictOf(hops),
    paths,
    unseen,
    ...(cause === undefined ? {} : { cause }),
  }
}

const stranger = (ips: readonly Ip[]): TriviumError =>
  new TriviumError(
    'USAGE',
    `Cannot follow a packet from ${ips.join(', ')}: it is outside the cluster, wanted a pod or a node`,
    'Ask the other way round: trivium explain B A walks until the packet leaves the cluster',
  )

/** Two ends that have no way to speak. */
const noFamily = (from: Endpoint, to: Endpoint): Hop => ({
  status: 'broken',
  place: 'store',
  node: '',
  object: 'addresses',
  found: `${from.ips.join(', ')} and ${to.ips.join(', ')}`,
  wanted: 'an IP family that both have',
  command: 'trivium network show',
})

/** `pod default/web (10.42.0.5, node n1)`. */
export function endWords(end: Endpoint): string {
  const ips = end.ips.join(' ')
  if (end.kind === 'pod') return `${podWords(end.attachment)} (${ips}, node ${end.attachment.node})`
  return end.kind === 'node' ? `node ${end.node} (${ips})` : ips
}

function endOf(end: Endpoint, sides: ReadonlyMap<string, Side>): End {
  if (end.kind === 'outside') return end
  const name = end.kind === 'pod' ? end.attachment.node : end.node
  const side = sides.get(name) ?? unreachable(`node ${name} has a view`)
  if (end.kind === 'node') return { kind: 'node', side, ips: end.ips }
  return { kind: 'pod', side, pod: podPlaceOf(end.attachment, side), ips: end.ips }
}

const ipOf = ({ ips }: End, family: IpFamily): Ip | undefined =>
  ips.find((ip) => ipFamily(ip) === family)

function both(
  a: End,
  b: End,
  family: IpFamily,
  { port, vni }: Pick<Question, 'port' | 'vni'>,
): readonly Path[] {
  const dst = ipOf(b, family)
  const src = sourceOf(a, b, family)
  if (dst === undefined || src === undefined) return []
  const asked = { ...(port !== undefined && { port }), ...(vni !== undefined && { vni }) }
  const there: Packet = { family, src: src.sent, dst, bytes: bytesOf(a), reply: false, ...asked }
  const back: Packet = { family, src: dst, dst: src.answered, bytes: bytesOf(b), reply: true }
  const home: End =
    src.answered !== src.sent && a.kind === 'pod'
      ? { kind: 'node', side: a.side, ips: [src.answered] }
      : a
  const ways: Path[] = [pathOf('there', there, walk(a, b, there))]
  if (b.kind !== 'outside') ways.push(pathOf('back', back, walk(b, home, back)))
  return ways
}

const bytesOf = (end: End): number => (end.kind === 'pod' ? podBytes(end.pod) : NODE_BYTES)

interface Source {
  readonly sent: Ip
  /** What the other end answers to: the node's, where pods leave under its address. */
  readonly answered: Ip
}

function sourceOf(a: End, b: End, family: IpFamily): Source | undefined {
  const own = ipOf(a, family)
  if (own === undefined || a.kind === 'outside') return undefined
  const { side } = a
  if (a.kind === 'pod') {
    const { mode, options } = a.pod.network
    const isRouted = mode === 'vxlan' || mode === 'route'
    const translated = b.kind !== 'pod' && isRouted && options.masquerade !== false
    const underlay = side.record.underlayIps.find((ip) => ipFamily(ip) === family)
    return { sent: own, answered: (translated ? underlay : undefined) ?? own }
  }
  // The kernel takes the first address of the link by which the packet leaves.
  const link = side.tables.route(ipOf(b, family) ?? own)?.link ?? ''
  const sent = side.tables.addresses(link).find((ip) => ipFamily(ip) === family) ?? own
  return { sent, answered: sent }
}

const pathOf = (
  direction: Path['direction'],
  { family, src, dst }: Packet,
  hops: readonly Hop[],
): Path => ({ family, direction, from: src, to: dst, verdict: verdictOf(hops), hops })

function verdictOf(hops: readonly Hop[]): Verdict {
  if (hops.some(({ status }) => status === 'broken')) return 'broken'
  return hops.some(({ status }) => status !== 'ok') ? 'unknown' : 'reachable'
}
