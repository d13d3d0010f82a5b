/**
 * ADD and CHECK as data: which operations in which namespace, and which result.
 *
 * @module
 */
import type { PodPlan } from '../backend/backend.ts'
import { backends } from '../backend/registry.ts'
import { podMac } from '../backend/routed-pod.ts'
import {
  type AttachmentRecord,
  type ClusterView,
  isLinkOurs,
  type NetworkRecord,
  type NodeRecord,
} from '../cluster/view.ts'
import { TriviumError } from '../errors.ts'
import {
  identity,
  isNft,
  type KernelObject,
  type KernelOp,
  type KernelState,
  type Link,
  nftPlace,
  type SegmentGuard,
  sameLinkKind,
  satisfies,
} from '../kernel/mod.ts'
import { isRecord } from './json.ts'
import { type CniResult, resultAddresses } from './result.ts'

/** An attachment's objects on both sides, as its network's road wants them. */
export function planPod(
  attachment: AttachmentRecord,
  network: NetworkRecord,
  self: NodeRecord,
): PodPlan {
  // A pod's own link depends on no peer and no other pod.
  const alone = { network, claims: [], attachments: [] }
  const view: ClusterView = { self, nodes: new Map(), networks: [alone], allows: [] }
  return backends[network.mode].pod(attachment, alone, view)
}

export interface AddPlan {
  /** Asked of the node's kernel: a link in the pod's namespace. Absent where the node's are a pair. */
  readonly link?: KernelOp
  /** In the pod's namespace, before anything can be sent. */
  readonly guard?: SegmentGuard
  /** On the node: the pair first, if there is one, then what leads to the pod. */
  readonly node: readonly KernelOp[]
  /** In the pod's namespace, once the link exists. */
  readonly pod: readonly KernelOp[]
}

export function planAdd(plan: PodPlan, ifname: string): AddPlan {
  const add = (object: KernelObject): KernelOp => ({ kind: 'add', object })
  const { link, guard } = plan
  const born: Link = { kind: 'link', name: ifname, link: { type: 'veth' }, up: false }
  const raised: Link = { ...born, up: true, mtuBytes: plan.mtuBytes }
  const ways = { node: plan.node.map(add), pod: plan.pod.map(add) }
  if (link === undefined) {
    return { node: ways.node, pod: [{ kind: 'change', from: born, to: raised }, ...ways.pod] }
  }
  // An alias needs a message of its own, in the pod's namespace.
  const { alias: _named, ...nameless } = link
  const lowered: Link = { ...nameless, up: false }
  return {
    link: add(lowered),
    ...(guard === undefined ? {} : { guard }),
    node: ways.node,
    pod: [{ kind: 'change', from: lowered, to: link }, ...ways.pod],
  }
}

/** The result of ADD: the host's end first, then the pod's, as the reference plugins order them. */
export function addResult(plan: PodPlan, attachment: AttachmentRecord, netns: string): CniResult {
  const { mtuBytes } = plan
  const host = plan.node.find((object): object is Link => object.kind === 'link')
  const hostEnd = host?.mac === undefined ? [] : [{ name: host.name, mac: host.mac, mtuBytes }]
  const podEnd = { name: attachment.ifname, mac: podMac(attachment), mtuBytes, sandbox: netns }
  return {
    interfaces: [...hostEnd, podEnd],
    ips: plan.ips.map((ip) => ({ ...ip, interface: hostEnd.length })),
    routes: plan.routes,
  }
}

/**
 * CHECK: everything ADD made must still be there. What later plugins of the
 * chain may change (MTU, MAC, more routes and addresses) is not looked at.
 *
 * @param isTableKept Whether an agent keeps the nftables table. Without one, ADD
 * works without table, too.
 * @throws {TriviumError} CHECK_FAILED naming the first difference.
 */
export function checkPod(
  plan: PodPlan,
  ifname: string,
  node: KernelState,
  pod: KernelState,
  isTableKept = false,
): void {
  const type = plan.link?.link.type ?? 'veth'
  const link = checkEnd(pod.get(`link ${ifname}`), type, `interface ${ifname}`, 'the pod')
  if (plan.link !== undefined && !sameLinkKind(link.link, plan.link.link)) {
    throw strange(plan.link, link, 'the pod')
  }
  for (const object of plan.pod) {
    if (object.kind === 'neigh' && !pod.has(identity(object))) checkMac(plan, link)
    checkObject(object, pod, 'the pod')
  }
  for (const object of plan.node) {
    const isLater = isNft(object) && !node.has(`nft-table ${nftPlace(object).table}`)
    if (isLater && !isTableKept) continue
    if (object.kind !== 'link') checkObject(object, node, 'the node')
    else checkEnd(node.get(identity(object)), 'veth', `link ${object.name}`, 'the node')
  }
}

type Side = 'the node' | 'the pod'

/** What a person can do about a difference; CHECK itself repairs nothing. */
const REPAIR: Readonly<Record<Side, string>> = {
  'the node': 'The agent repairs the node within seconds: see that it runs (trivium doctor)',
  'the pod': 'Nobody repairs a pod from outside: let the runtime make it anew',
}

/** An end of the pair, or the pod's macvlan: of its kind and up. */
function checkEnd(found: KernelObject | undefined, type: string, name: string, where: Side): Link {
  if (found?.kind !== 'link') throw missing(name, where)
  const why = !found.up
    ? 'it is down, wanted up'
    : found.link.type !== type
      ? `it is of type ${found.link.type === 'other' ? found.link.name : found.link.type}, wanted ${type}`
      : undefined
  if (why === undefined) return found
  throw new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for ${name} in ${where}: ${why}`,
    REPAIR[where],
  )
}

/**
 * The likely reason for a missing neighbour. Source: net/core/neighbour.c,
 * neigh_changeaddr, which flushes a device's permanent entries, too.
 */
function checkMac(plan: PodPlan, { name, mac }: Link): void {
  const made = plan.node.find((object): object is Link => object.kind === 'link')?.link
  const given = made?.type === 'veth' ? made.peer?.mac : undefined
  if (mac === undefined || given === undefined || mac === given) return
  throw new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for interface ${name}: its MAC was changed from ${given} to ${mac}, and the kernel dropped the neighbour entry of its gateway with it`,
    'Let ADD set the MAC, so that IPv4 keeps its gateway: "capabilities": { "mac": true } belongs to trivium, not to tuning; or CNI_ARGS MAC=',
  )
}

/** @throws {TriviumError} CHECK_FAILED when prevResult names other addresses than the record. */
export function checkPrevResult(
  prevResult: Readonly<Record<string, unknown>> | undefined,
  attachment: AttachmentRecord,
): void {
  const { ifname, ips } = attachment
  if (prevResult === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      'required prevResult missing',
      'CHECK compares with the result of ADD',
    )
  }
  const named = resultAddresses(prevResult).map((address) => address.split('/')[0] ?? '')
  for (const ip of ips) {
    if (named.includes(ip)) continue
    throw new TriviumError(
      'CHECK_FAILED',
      `Cannot vouch for ${ip}: prevResult names [${named.join(', ')}], the store gave this attachment [${ips.join(', ')}]`,
    )
  }
  const { interfaces } = prevResult
  // A delegated plugin made no link; up to 0.2.0 a result names none.
  if (!isLinkOurs(attachment) || !Array.isArray(interfaces)) return
  const names = interfaces.map((each: unknown) => (isRecord(each) ? each['name'] : undefined))
  if (names.includes(ifname)) return
  throw new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for interface ${ifname}: prevResult names [${names.join(', ')}], wanted it among them`,
  )
}

function checkObject(wanted: KernelObject, state: KernelState, where: Side): void {
  const found = state.get(identity(wanted))
  if (found === undefined) throw missing(identity(wanted), where)
  if (satisfies(found, wanted)) return
  throw strange(wanted, found, where)
}

function strange(wanted: KernelObject, found: KernelObject, where: Side): TriviumError {
  return new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for ${identity(wanted)} in ${where}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`,
    REPAIR[where],
  )
}

function missing(what: string, where: Side): TriviumError {
  return new TriviumError(
    'CHECK_FAILED',
    `Cannot find ${what} in ${where}: it was made by ADD and is gone`,
    REPAIR[where],
  )
}
