/**
 * Between two nodes: what leaves by one underlay link and comes in by the other.
 *
 * Routers and switches in between are not seen.
 *
 * @module
 */
import { type Ip, type IpFamily, ipFamily } from '../net/mod.ts'
import { broken, fine, type Steps, suspect, wordsOf } from './hop.ts'
import { fits, linkUp } from './links.ts'
import { hasIp, type Side } from './world.ts'

/** A packet on the wire. */
export interface Outer {
  readonly dst: Ip
  /** Size with its IP header. */
  readonly bytes: number
  /** For messages, e.g. `a tunnel packet`. */
  readonly what: string
}

/** The way of a node's own packet out: route and link. Answers the link's name. */
export function* outward(side: Side, { dst, bytes, what }: Outer): Steps<string> {
  // A link that is down has taken its routes along.
  const underlay = yield* linkUp(side, side.record.underlayLink)
  if (underlay === undefined) return undefined
  const route = side.tables.route(dst)
  if (side.tables.locals.has(dst) || route?.link === undefined || route.type === 'blackhole') {
    yield broken(side, {
      object: route === undefined ? `route ${dst}` : wordsOf(route),
      found: side.tables.locals.has(dst) ? `${dst} is this node itself` : 'no way to the peer',
      wanted: `a route to ${dst} by ${underlay.name}`,
      command: `ip route get ${dst}`,
    })
    return undefined
  }
  yield fine(side, wordsOf(route))
  const link = route.link === underlay.name ? underlay : yield* linkUp(side, route.link)
  if (link === undefined || !(yield* fits(side, link, bytes, what))) return undefined
  yield* crowded(side, ipFamily(dst))
  return link.name
}

/** The peer's end: the address is its own, its link is up and takes the size. */
export function* inward(side: Side, peer: Side, { dst, bytes, what }: Outer): Steps<true> {
  if (!hasIp(peer, dst)) {
    yield strangers(side, peer, dst)
    return undefined
  }
  const link = yield* linkUp(peer, peer.record.underlayLink)
  if (link === undefined || !(yield* fits(peer, link, bytes, what))) return undefined
  return true
}

/** Nobody, or somebody else, has the address. */
function strangers(side: Side, peer: Side, dst: Ip) {
  const own = [...peer.tables.addresses(peer.record.underlayLink)]
  const stale = peer.seen && peer.record.underlayIps.includes(dst)
  return broken(
    { ...peer, words: stale ? 'store' : peer.words },
    {
      object: `address ${dst} of node ${peer.node}`,
      found: stale
        ? `the store says ${peer.record.underlayIps.join(', ')}; ${peer.record.underlayLink} of ${peer.node} has ${own.join(', ') || 'none'}`
        : `node ${peer.node} has ${own.join(', ') || 'none'}, packets of ${side.node} go to ${dst}`,
      wanted: 'the address that the node has: its agent writes it to the store',
      command: `trivium node show ${peer.node}`,
    },
  )
}

/** Resolved neighbours have a limit; entries that we write do not count. */
export function* crowded(side: Side, family: IpFamily): Steps<true> {
  const name = `net.ipv${family}.neigh.default.gc_thresh3`
  const most = Number(side.tables.sysctl(name))
  const used = side.snapshot?.dynamicNeighbours[family] ?? 0
  if (Number.isInteger(most) && used >= most) {
    yield suspect(side, {
      object: `sysctl ${name}`,
      found: `${most}, and ${used} neighbours are resolved: new ones are refused`,
      wanted: `more than ${used * 2}`,
      command: `sysctl -w ${name}=${used * 2}`,
    })
  }
  return true
}
