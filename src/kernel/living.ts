/**
 * Which pods a node's kernel leads to, by itself: what a store that was lost is
 * rebuilt from.
 *
 * @module
 */
import type { Ip, Mac, Prefix } from '../net/mod.ts'
import { isPodLinkName, ownsLink, podAliasOwner, ROUTE_PROTOCOL } from './ownership.ts'
import type { KernelState, Route } from './state.ts'

/** A pod's link, with what it says of itself. */
export interface LivingLink {
  readonly network: string
  readonly containerId: string
  readonly ifname: string
  readonly sequence: number
  /** Absent: the pod's link is a macvlan. */
  readonly hostLink?: string
  readonly macvlan?: true
  readonly ips: readonly Ip[]
  /** Of the pod's end. undefined: not known. */
  readonly mac?: Mac
}

/** What the pod's namespace says of the pod's end. */
export interface PodEnd {
  /** Asked only where the pod is behind a bridge: no route of the node tells them. */
  readonly ips: readonly Ip[]
  readonly mac?: Mac
}

export interface Living {
  readonly pods: readonly LivingLink[]
  /** Own blocks: a blackhole lies under each. */
  readonly blocks: readonly Prefix[]
  /** Addresses of tunnels, and of the node's own macvlans. */
  readonly endpoints: readonly Ip[]
  /** Links that lead to a pod whose name is too long for them. */
  readonly unnamed: readonly string[]
}

/** `vxlanLinkName`, `macvlanLinkName` */
const TUNNEL = /^(?:trvx\.[0-9]+b?|trvm\.[0-9]+)$/

/**
 * A link to which no address leads is not among the pods: it is what a crash left
 * of an ADD that was never recorded.
 *
 * @param ends The pods' ends, by host link.
 */
export function livingIn(
  state: KernelState,
  ends: ReadonlyMap<string, PodEnd> = new Map(),
): Living {
  const ips = new Map<string, Ip[]>()
  const blocks: Prefix[] = []
  const endpoints: Ip[] = []
  for (const object of state.values()) {
    if (object.kind === 'addr' && TUNNEL.test(object.link)) endpoints.push(object.ip)
    if (object.kind !== 'route' || object.protocol !== ROUTE_PROTOCOL) continue
    if (object.type === 'blackhole') blocks.push(object.dst)
    else addPodRoute(ips, object)
  }
  const pods: LivingLink[] = []
  const unnamed: string[] = []
  for (const object of state.values()) {
    if (object.kind !== 'link' || !isPodLinkName(object.name) || !ownsLink(object)) continue
    const { ips: inside = [], mac } = ends.get(object.name) ?? {}
    const own = ips.get(object.name) ?? inside
    if (own.length === 0) continue
    const owner = podAliasOwner(object.alias)
    if (owner === undefined) unnamed.push(object.name)
    else
      pods.push({
        ...owner,
        hostLink: object.name,
        ips: own,
        ...(mac === undefined ? {} : { mac }),
      })
  }
  return { pods, blocks, endpoints, unnamed }
}

function addPodRoute(ips: Map<string, Ip[]>, { dst, link }: Route): void {
  const [, address, bits] = /^(.*)\/(32|128)$/.exec(dst) ?? []
  if (link === undefined || address === undefined || bits === undefined) return
  const known = ips.get(link)
  if (known === undefined) ips.set(link, [address as Ip])
  else known.push(address as Ip)
}
