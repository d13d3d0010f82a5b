/**
 * A pod's namespace, and the pair that joins it to its node.
 *
 * @module
 */
import type { Link } from '../kernel/mod.ts'
import { type Ip, ipFamily, type Mac } from '../net/mod.ts'
import { broken, fine, repairOf, type Steps, wordsOf } from './hop.ts'
import { fits, linkUp } from './links.ts'
import type { Packet } from './packet.ts'
import { routeTo } from './routes.ts'
import type { PodPlace, Side } from './world.ts'

/** Bytes of a packet that fills the pod's link. */
export const podBytes = ({ tables, plan, attachment }: PodPlace): number =>
  tables.link(attachment.ifname)?.mtuBytes ?? plan?.mtuBytes ?? 1500

/** Where the pod's frame goes. */
export interface Uplink {
  readonly nextHop: Ip
  /** From a permanent neighbour; undefined: the pod asks. */
  readonly mac: Mac | undefined
}

/** Whether the pod is there with the address. */
export function* present(pod: PodPlace, ip: Ip): Steps<true> {
  const { attachment, problem } = pod
  if (problem !== undefined) {
    yield broken(pod, {
      object: `namespace ${attachment.netns}`,
      found: problem,
      wanted: 'the namespace in which ADD made the interface',
    })
    return undefined
  }
  if ((yield* linkUp(pod, attachment.ifname)) === undefined) return undefined
  if (!pod.tables.locals.has(ip)) {
    const length = ipFamily(ip) === 4 ? 32 : 128
    const planned = pod.planned.get(`addr ${attachment.ifname} ${ip}/${length}`)
    yield broken(pod, {
      object: `addr ${ip} dev ${attachment.ifname}`,
      found: `missing: the interface has ${pod.tables.addresses(attachment.ifname).join(', ') || 'none'}`,
      wanted: 'the address that the store gave the pod',
      command: planned === undefined ? `ip addr show dev ${attachment.ifname}` : repairOf(planned),
    })
    return undefined
  }
  yield fine(pod, `addr ${ip} dev ${attachment.ifname}`)
  return true
}

/** From the pod's own tables to its end of the pair. */
export function* leavePod(pod: PodPlace, { src, dst }: Packet): Steps<Uplink> {
  if (!(yield* present(pod, src))) return undefined
  if (pod.tables.locals.has(dst)) return undefined
  const route = yield* routeTo(pod, dst)
  if (route === undefined) return undefined
  yield fine(pod, wordsOf(route))
  const link = route.link ?? ''
  if (link !== pod.attachment.ifname) {
    yield broken(pod, {
      object: wordsOf(route),
      found: `leads to ${link}`,
      wanted: `dev ${pod.attachment.ifname}`,
      command: `ip route get ${dst}`,
    })
    return undefined
  }
  const nextHop = route.via ?? dst
  const mac = pod.tables.neighbour(link, nextHop)
  const planned = pod.planned.get(`neigh ${link} ${nextHop}`)
  // The IPv6 gateway is an address of the host end, which answers for itself.
  if (mac === undefined && planned !== undefined && ipFamily(nextHop) === 4) {
    yield broken(pod, {
      object: wordsOf(planned),
      found: 'missing: no machine has this gateway, so nobody answers for it',
      wanted: 'a permanent entry',
      command: repairOf(planned),
    })
    return undefined
  }
  if (mac !== undefined) yield fine(pod, `neigh ${nextHop} lladdr ${mac} dev ${link} nud permanent`)
  return { nextHop, mac }
}

/** The host's end, as a packet from the pod finds it. */
export function* hostEndIn(
  side: Side,
  pod: PodPlace,
  { mac, nextHop }: Uplink,
  bytes: number,
): Steps<Link> {
  const name = pod.attachment.hostLink
  if (name === undefined) return undefined
  const link = yield* linkUp(side, name)
  if (link === undefined) return undefined
  if (mac !== undefined && link.master === undefined && mac !== link.mac) {
    const planned = side.planned.link(name)
    if (planned?.mac === mac) {
      yield broken(side, {
        object: `link ${name}`,
        found: `address ${link.mac}`,
        wanted: `address ${mac}: the pod sends there`,
        command: `ip link set dev ${name} address ${mac}`,
      })
    } else {
      yield broken(pod, {
        object: `neigh ${nextHop} dev ${pod.attachment.ifname}`,
        found: `lladdr ${mac}`,
        wanted: `lladdr ${link.mac}: the host's end`,
        command: `ip neigh replace ${nextHop} lladdr ${link.mac} dev ${pod.attachment.ifname} nud permanent`,
      })
    }
    return undefined
  }
  return (yield* fits(side, link, bytes, 'a packet of the pod')) ? link : undefined
}

/** Down the pair into the pod. */
export function* enterPod(side: Side, pod: PodPlace, packet: Packet): Steps<true> {
  const link = yield* linkUp(side, pod.attachment.hostLink ?? '')
  if (link === undefined || !(yield* fits(side, link, packet.bytes, 'a packet'))) return undefined
  return yield* present(pod, packet.dst)
}

/** The pod that has no link of ours: another plugin made it. */
export function* foreignLink(pod: PodPlace): Steps<never> {
  yield broken(pod, {
    object: `attachment ${pod.attachment.containerId} ${pod.attachment.ifname}`,
    found: 'its link was made by another plugin, which took only the address from us',
    wanted: 'a link of ours: its way is not known here',
  })
  return undefined
}
