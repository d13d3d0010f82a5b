/**
 * Through a tunnel: device, neighbour and forwarding entry (or the tunnel in
 * the route), the outer packet, and the device on the other side.
 *
 * @module
 */
import { type Link, type LinkKind, type Route, sameLinkKind } from '../kernel/mod.ts'
import { type Ip, ipFamily, type Mac } from '../net/mod.ts'
import { guard, others } from './firewall.ts'
import { broken, commandOf, fine, repairOf, type Steps, wordsOf } from './hop.ts'
import { fits, linkUp } from './links.ts'
import type { Packet } from './packet.ts'
import { asPlanned, wrongRoute } from './routes.ts'
import { kindOf } from './tables.ts'
import { inward, outward } from './underlay.ts'
import type { Side } from './world.ts'

/** Bytes in front of the inner packet. Source: RFC 7348 section 5, draft-ietf-nvo3-vxlan-gpe-13 section 3. */
const OVERHEAD_BYTES = { vxlan: { 4: 50, 6: 70 }, 'vxlan-gpe': { 4: 36, 6: 56 } } as const

type Vxlan = Extract<LinkKind, { type: 'vxlan' }>
type Gpe = Extract<LinkKind, { type: 'vxlan-gpe' }>

/** What the outer packet carries besides the inner one. */
interface Tunnelled {
  readonly vni: number
  readonly port: number
  readonly src: Ip | undefined
  readonly dst: Ip
  /** MAC the inner frame is sent to; a GPE tunnel carries none. */
  readonly mac?: Mac
}

/** Sends by the tunnel of `route`. Answers the name of the link by which it comes in at `peer`. */
export function* through(side: Side, peer: Side, route: Route, packet: Packet): Steps<string> {
  const link = yield* linkUp(side, route.link ?? '')
  if (link === undefined) return undefined
  if (!(yield* fits(side, link, packet.bytes, 'a packet'))) return undefined
  const { link: kind } = link
  const sent =
    kind.type === 'vxlan'
      ? yield* classic(side, kind, route, packet.dst)
      : kind.type === 'vxlan-gpe'
        ? yield* inRoute(side, kind, route, packet.dst)
        : yield* wrongRoute(side, route, packet.dst, `${link.name} is no tunnel`)
  if (sent === undefined || (kind.type !== 'vxlan' && kind.type !== 'vxlan-gpe')) return undefined
  const overhead = OVERHEAD_BYTES[kind.type][ipFamily(sent.dst)]
  const outer = { dst: sent.dst, bytes: packet.bytes + overhead, what: 'a tunnel packet' }
  if (!(yield* aimed(side, peer, route, packet.dst, sent))) return undefined
  if (!(yield* others(side, ipFamily(sent.dst), ['output', 'postrouting']))) return undefined
  const by = yield* outward(side, outer)
  if (by === undefined || !(yield* inward(side, peer, outer))) return undefined
  const src = sent.src ?? side.tables.addresses(by).find((ip) => sameFamily(ip, sent.dst))
  return yield* received(side, peer, link, { ...sent, src })
}

const sameFamily = (left: Ip, right: Ip): boolean => ipFamily(left) === ipFamily(right)

/** Flannel's layout: gateway, its MAC, and where that MAC is. */
function* classic(side: Side, kind: Vxlan, route: Route, dst: Ip): Steps<Tunnelled> {
  const link = route.link ?? ''
  const nextHop = route.via ?? dst
  const mac = side.tables.neighbour(link, nextHop)
  const neigh = side.planned.get(`neigh ${link} ${nextHop}`)
  if (mac === undefined) {
    yield broken(side, {
      object: neigh === undefined ? `neigh ${nextHop} dev ${link}` : wordsOf(neigh),
      found: 'missing: nobody in the tunnel answers for it',
      wanted: 'a permanent entry',
      command: neigh === undefined ? `ip neigh show dev ${link}` : repairOf(neigh),
      planned: neigh,
    })
    return undefined
  }
  yield fine(side, `neigh ${nextHop} lladdr ${mac} dev ${link} nud permanent`)
  if (neigh?.kind === 'neigh' && neigh.mac !== mac) {
    yield broken(side, {
      object: `neigh ${nextHop} dev ${link}`,
      found: `lladdr ${mac}`,
      wanted: `lladdr ${neigh.mac}`,
      command: repairOf(neigh),
      planned: neigh,
    })
    return undefined
  }
  const fdb = kindOf(side.tables.get(`fdb ${link} ${mac}`), 'fdb')
  const wanted = side.planned.get(`fdb ${link} ${mac}`)
  if (fdb === undefined) {
    yield broken(side, {
      object: wanted === undefined ? `fdb ${mac} dev ${link}` : wordsOf(wanted),
      found: 'missing: the tunnel does not know where the MAC is',
      wanted: 'a permanent entry',
      command: wanted === undefined ? `bridge fdb show dev ${link}` : repairOf(wanted),
      planned: wanted,
    })
    return undefined
  }
  yield fine(side, wordsOf(fdb))
  if (!side.tables.locals.has(kind.local)) {
    yield broken(side, {
      object: `link ${link} local ${kind.local}`,
      found: `${side.node} has no address ${kind.local}`,
      wanted: `one of ${side.tables.addresses(side.record.underlayLink).join(', ') || 'its underlay addresses'}`,
      command: `ip -d link show dev ${link}`,
    })
    return undefined
  }
  return { vni: kind.vni, port: kind.port, src: kind.local, dst: fdb.dst, mac }
}

/** The lightweight layout: the route says where the tunnel ends. */
function* inRoute(side: Side, kind: Gpe, route: Route, dst: Ip): Steps<Tunnelled> {
  const { encapVni: vni, encapDst } = route
  if (vni === undefined || encapDst === undefined) {
    yield* wrongRoute(side, route, dst, 'no encap: the tunnel does not know where to')
    return undefined
  }
  return { vni, port: kind.port, src: undefined, dst: encapDst }
}

/** Whether the outer packet is meant for the right node. */
function* aimed(
  side: Side,
  peer: Side,
  route: Route,
  inner: Ip,
  { dst, mac, vni }: Tunnelled,
): Steps<true> {
  const planned = side.planned.route(inner)?.encapVni
  if (mac === undefined && planned !== undefined && vni !== planned) {
    yield* wrongRoute(side, route, inner, `id ${vni} is another network's`)
    return undefined
  }
  if (peer.record.underlayIps.includes(dst) || peer.tables.locals.has(dst)) return true
  const other = [...side.view.nodes.values()].find(({ underlayIps }) => underlayIps.includes(dst))
  const found = `leads to ${other === undefined ? dst : `node ${other.name}`}, not to ${peer.node}`
  const link = route.link ?? ''
  const fdb = mac === undefined ? undefined : side.tables.get(`fdb ${link} ${mac}`)
  const wanted = mac === undefined ? undefined : side.planned.get(`fdb ${link} ${mac}`)
  if (fdb === undefined || wanted === undefined || asPlanned(side, fdb)) {
    yield* wrongRoute(side, route, inner, found)
    return undefined
  }
  yield broken(side, {
    object: wordsOf(fdb),
    found,
    wanted: wordsOf(wanted),
    command: repairOf(wanted),
    planned: wanted,
  })
  return undefined
}

/** The other side: the guard, then the device that listens for this id. */
function* received(side: Side, peer: Side, near: Link, sent: Tunnelled): Steps<string> {
  const family = ipFamily(sent.dst)
  if (!(yield* others(peer, family, ['prerouting', 'input']))) return undefined
  if (sent.src !== undefined && !(yield* guard(peer, sent, sent.src, family))) return undefined
  const far = listening(peer, near.link.type, sent)
  if (far === undefined) {
    yield* deaf(side, peer, near, sent)
    return undefined
  }
  if ((yield* linkUp(peer, far.name)) === undefined) return undefined
  if (far.link.type === 'vxlan-gpe') {
    const vni = { kind: 'vni', link: far.name, vni: sent.vni } as const
    if (peer.tables.get(`vni ${far.name} ${sent.vni}`) === undefined) {
      yield broken(peer, {
        object: wordsOf(vni),
        found: 'missing: the device does not take this id',
        wanted: 'an entry in its filter',
        command: repairOf(vni),
        planned: peer.planned.get(`vni ${far.name} ${sent.vni}`),
      })
      return undefined
    }
    yield fine(peer, wordsOf(vni))
  }
  if (sent.mac !== undefined && far.mac !== sent.mac) {
    const planned = peer.planned.link(far.name)
    yield broken(peer, {
      object: `link ${far.name}`,
      found: `address ${far.mac}`,
      wanted: `address ${sent.mac}: ${side.node} sends there`,
      command:
        planned === undefined
          ? `ip link set dev ${far.name} address ${sent.mac}`
          : commandOf({ kind: 'change', from: far, to: { ...planned, mac: sent.mac } }),
      planned,
    })
    return undefined
  }
  return far.name
}

const listening = (peer: Side, type: LinkKind['type'], { vni, port }: Tunnelled) =>
  peer.tables.links.find(({ link }) =>
    link.type === 'vxlan'
      ? type === 'vxlan' && link.vni === vni && link.port === port
      : link.type === 'vxlan-gpe' && type === 'vxlan-gpe' && link.port === port,
  )

/** Nobody listens: the device is gone, another one, or ours sends what is nobody's. */
function* deaf(side: Side, peer: Side, near: Link, { vni, port }: Tunnelled): Steps<never> {
  const [here, there] = [side.planned.link(near.name), peer.planned.link(near.name)]
  if (here !== undefined && !sameLinkKind(near.link, here.link)) {
    yield broken(side, {
      object: `link ${near.name}`,
      found: `id ${vni} dstport ${port}`,
      wanted: wordsOf(here),
      command: `ip link del dev ${near.name}`,
      planned: here,
    })
    return undefined
  }
  const found = peer.tables.link(near.name)
  if (found === undefined) {
    yield* linkUp(peer, near.name)
    return undefined
  }
  yield broken(peer, {
    object: wordsOf(found),
    found: `it does not listen for id ${vni} on port ${port}`,
    wanted: there === undefined ? `id ${vni} dstport ${port}` : wordsOf(there),
    command: `ip link del dev ${near.name}`,
    planned: there,
  })
  return undefined
}
