/**
 * A simulated Linux kernel: tables with the kernel's rules, no packets queued.
 *
 * It refuses what Linux refuses, with the same errno, and does by itself what
 * Linux does by itself: connected routes, inherited MTUs, and everything on a
 * link vanishing with it. One contract suite holds it to a real kernel.
 *
 * Not modelled: link-local addresses and their routes, the local table,
 * neighbour states (all entries are permanent), carrier, namespaces (a pod has
 * a kernel of its own).
 *
 * Cost: a Map entry an object; an operation is O(1), removal of a link is linear
 * in what hangs on it, `snapshot` is free until the next change.
 *
 * @module
 */
import { assertNever, invariant } from '../src/errors.ts'
import {
  DEFAULT_METRIC,
  identity,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type Link,
  type LinkKind,
  linkChanges,
  linkOf,
  NFT_TABLE,
  type Route,
  renderOp,
} from '../src/kernel/mod.ts'
import {
  ADDRESS_BITS,
  containsIp,
  type Ip,
  ipFamily,
  macFromName,
  prefixFamily,
  prefixOf,
} from '../src/net/mod.ts'
import { type KernelListener, KernelTables } from './kernel-tables.ts'

/** rtm_protocol of routes the kernel makes itself. Source: rtnetlink.h, RTPROT_KERNEL. */
export const PROTOCOL_KERNEL = 2
/** Metric of IPv6 connected routes. Source: ipv6_route.h, IP6_RT_PRIO_ADDRCONF. */
const CONNECTED_METRIC = { 4: 0, 6: 256 } as const
/** ETH_MIN_MTU and ETH_DATA_LEN. Source: if_ether.h. */
const MTU_BYTES_MIN = 68
const MTU_BYTES_DEFAULT = 1500
/** VXLAN_HEADROOM and VXLAN6_HEADROOM. Source: include/net/vxlan.h. */
const VXLAN_HEADROOM_BYTES = { 4: 50, 6: 70 } as const

type Errno =
  | 'EEXIST'
  | 'ENOENT'
  | 'ESRCH'
  | 'ENODEV'
  | 'EADDRNOTAVAIL'
  | 'ENETUNREACH'
  | 'EHOSTUNREACH'
  | 'ENETDOWN'
  | 'EINVAL'
  | 'ERANGE'
  | 'EOPNOTSUPP'

/** Errno of removing what is not there. */
const MISSING = {
  link: 'ENODEV',
  addr: 'EADDRNOTAVAIL',
  route: 'ESRCH',
  neigh: 'ENOENT',
  fdb: 'ENOENT',
  vni: 'ENOENT',
  'offload-off': 'ENOENT',
  'nft-table': 'ENOENT',
  'nft-set': 'ENOENT',
  'nft-element': 'ENOENT',
  'nft-chain': 'ENOENT',
  sysctl: 'ENOENT',
} as const satisfies Record<KernelObject['kind'], Errno>

export class SimKernel extends KernelTables {
  /** Operations that were carried out. */
  operations = 0

  private readonly hostName: string

  /** @param hostName Seed of the MACs that the kernel chooses. */
  constructor(hostName: string, listener?: KernelListener) {
    super(listener)
    this.hostName = hostName
    for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
      this.insert({ kind: 'sysctl', name, value: '0' })
    }
  }

  /** Carries out one operation; undefined is success. */
  apply(op: KernelOp): KernelFailure | undefined {
    const errno = this.perform(op)
    if (errno !== undefined) return { code: errno, message: `Cannot ${renderOp(op)}: ${errno}` }
    this.operations++
    return undefined
  }

  private perform(op: KernelOp): Errno | undefined {
    switch (op.kind) {
      case 'add':
        return this.get(identity(op.object)) !== undefined && op.object.kind !== 'sysctl'
          ? 'EEXIST'
          : this.set(op.object)
      case 'change':
        return op.to.kind === 'link' && op.from.kind === 'link'
          ? this.changeLink(op.from, op.to)
          : this.set(op.to)
      case 'remove':
        return this.remove(op.object)
      default:
        return assertNever(op)
    }
  }

  /** Adds, or replaces what has the same identity (NLM_F_REPLACE). */
  private set(object: KernelObject): Errno | undefined {
    switch (object.kind) {
      case 'link':
        return this.addLink(object)
      case 'addr':
        return this.addAddress(object)
      case 'route':
        return this.routeError(object) ?? this.insert(object)
      case 'neigh':
        return this.link(object.link) === undefined ? 'ENODEV' : this.insert(object)
      case 'fdb': {
        const link = this.link(object.link)
        if (link === undefined) return 'ENODEV'
        return link.link.type === 'vxlan' ? this.insert(object) : 'EOPNOTSUPP'
      }
      case 'vni':
      case 'offload-off':
        return this.link(object.link) === undefined ? 'ENODEV' : this.insert(object)
      case 'nft-table':
        return this.insert(object)
      case 'nft-set':
      case 'nft-chain':
        return this.get(`nft-table ${NFT_TABLE}`) === undefined ? 'ENOENT' : this.insert(object)
      case 'nft-element':
        return this.get(`nft-set ${object.set}`) === undefined ? 'ENOENT' : this.insert(object)
      case 'sysctl':
        return this.get(identity(object)) !== undefined ? this.insert(object) : 'ENOENT'
      default:
        return assertNever(object)
    }
  }

  private addLink(wanted: Link): Errno | undefined {
    const kind = wanted.link
    const under = linkOf(wanted)
    const lower = under === undefined ? undefined : this.link(under)
    if (under !== undefined && lower === undefined) return 'ENODEV'
    const masterError = this.masterError(wanted.master)
    if (masterError !== undefined) return masterError
    if (this.hasTwin(kind)) return 'EEXIST'
    const lowerMtu = lower?.mtuBytes ?? MTU_BYTES_DEFAULT
    const most =
      kind.type === 'vxlan' ? lowerMtu - VXLAN_HEADROOM_BYTES[ipFamily(kind.local)] : lowerMtu
    // A VXLAN link is made smaller in silence, a VLAN link is refused.
    if (kind.type === 'vlan' && (wanted.mtuBytes ?? most) > most) return 'EINVAL'
    if (kind.type === 'vlan' && wanted.up && lower?.up === false) return 'ENETDOWN'
    const mtuBytes =
      kind.type === 'vxlan'
        ? Math.min(wanted.mtuBytes ?? most, most)
        : (wanted.mtuBytes ?? (lower === undefined ? MTU_BYTES_DEFAULT : most))
    if (mtuBytes < MTU_BYTES_MIN) return 'EINVAL'
    const inherited = kind.type === 'vlan' ? lower?.mac : undefined
    const { adopt: _planned, ...link } = wanted
    return this.insert({
      ...link,
      link: kind.type === 'veth' ? { type: 'veth' } : kind,
      mac: wanted.mac ?? inherited ?? macFromName(`${this.hostName}/${wanted.name}`),
      mtuBytes,
    })
  }

  /** Two tunnels of one id and port, or two VLANs of one id on one link, cannot be told apart. */
  private hasTwin(kind: LinkKind): boolean {
    if (kind.type !== 'vxlan' && kind.type !== 'vlan') return false
    return [...this.links()].some(({ link: twin }) =>
      kind.type === 'vxlan'
        ? twin.type === 'vxlan' && twin.vni === kind.vni && twin.port === kind.port
        : twin.type === 'vlan' && twin.parent === kind.parent && twin.id === kind.id,
    )
  }

  private masterError(master: string | undefined): Errno | undefined {
    if (master === undefined || master === '') return undefined
    const bridge = this.link(master)
    if (bridge === undefined) return 'ENODEV'
    return bridge.link.type === 'bridge' ? undefined : 'EOPNOTSUPP'
  }

  private changeLink(from: Link, to: Link): Errno | undefined {
    const link = this.link(to.name)
    if (link === undefined) return 'ENODEV'
    const { up, ...changes } = linkChanges(from, to)
    const error = this.masterError(changes.master) ?? this.mtuError(link, changes.mtuBytes)
    if (error !== undefined) return error
    const { master: _left, ...free } = link
    const base = changes.master === '' ? free : link
    const { master, ...settings } = changes
    this.insert({
      ...base,
      ...settings,
      ...(master === undefined || master === '' ? {} : { master }),
    })
    if (changes.mtuBytes !== undefined) this.lowerMtuAbove(to.name, changes.mtuBytes)
    if (up === undefined || up === link.up) return undefined
    return up ? this.setUp(to.name) : this.setDown(to.name)
  }

  private mtuError(link: Link, mtuBytes: number | undefined): Errno | undefined {
    if (mtuBytes === undefined) return undefined
    const under = linkOf(link)
    const most = under === undefined ? undefined : this.link(under)?.mtuBytes
    if (mtuBytes < MTU_BYTES_MIN) return 'EINVAL'
    if (most === undefined) return undefined
    if (link.link.type === 'vlan') return mtuBytes > most ? 'ERANGE' : undefined
    if (link.link.type !== 'vxlan') return undefined
    return mtuBytes > most - VXLAN_HEADROOM_BYTES[ipFamily(link.link.local)] ? 'EINVAL' : undefined
  }

  /** VLAN links never offer more than what carries them. */
  private lowerMtuAbove(name: string, mtuBytes: number): void {
    for (const link of this.linksOver(name)) {
      if (link.link.type !== 'vlan' || (link.mtuBytes ?? 0) <= mtuBytes) continue
      this.insert({ ...link, mtuBytes })
      this.lowerMtuAbove(link.name, mtuBytes)
    }
  }

  private setUp(name: string): Errno | undefined {
    const link = this.link(name)
    invariant(link !== undefined, `link ${name} exists`)
    if (link.link.type === 'vlan' && this.link(link.link.parent)?.up !== true) return 'ENETDOWN'
    this.insert({ ...link, up: true })
    for (const object of this.hangingOn(name)) {
      if (object.kind === 'addr') this.connect(object.ip, object.prefixLength, name)
    }
    for (const above of this.linksOver(name)) if (above.link.type === 'vlan') this.setUp(above.name)
    return undefined
  }

  /** Routes and neighbours go, and IPv6 addresses (keep_addr_on_down is 0). */
  private setDown(name: string): undefined {
    const link = this.link(name)
    invariant(link !== undefined, `link ${name} exists`)
    this.insert({ ...link, up: false })
    for (const object of this.hangingOn(name)) {
      const gone =
        object.kind === 'route' ||
        object.kind === 'neigh' ||
        (object.kind === 'addr' && ipFamily(object.ip) === 6)
      if (gone) this.erase(object)
    }
    for (const above of this.linksOver(name)) {
      if (above.link.type === 'vlan' && above.up) this.setDown(above.name)
    }
    return undefined
  }

  private addAddress(addr: KernelObject & { readonly kind: 'addr' }): Errno | undefined {
    const link = this.link(addr.link)
    if (link === undefined) return 'ENODEV'
    if (ipFamily(addr.ip) === 6) {
      // IPv6 knows an address by itself, IPv4 by address and mask.
      for (const other of this.hangingOn(addr.link)) {
        if (other.kind === 'addr' && other.ip === addr.ip) return 'EEXIST'
      }
    }
    this.insert(addr)
    if (link.up) this.connect(addr.ip, addr.prefixLength, addr.link)
    return undefined
  }

  private connect(ip: Ip, prefixLength: number, link: string): void {
    const family = ipFamily(ip)
    // fe80::/64 is on every link: one route each, which a state keyed by prefix cannot hold.
    if (prefixLength === ADDRESS_BITS[family] || /^fe[89ab]/.test(ip)) return
    const route = connectedRoute(ip, prefixLength, link)
    if (this.get(identity(route)) === undefined) this.insert(route)
  }

  /** Why the kernel refuses a route; undefined when it does not. */
  private routeError(route: Route): Errno | undefined {
    if (route.type === 'blackhole') return undefined
    if (route.link === undefined) return 'ENODEV'
    const link = this.link(route.link)
    if (link === undefined) return 'ENODEV'
    if (!link.up) return 'ENETDOWN'
    const { via } = route
    if (via === undefined || route.onlink === true) return undefined
    if (/^fe[89ab]/.test(via)) return undefined
    for (const near of this.direct.get(route.link)?.values() ?? []) {
      if (containsIp(near.dst, via)) return undefined
    }
    return ipFamily(via) === 4 ? 'ENETUNREACH' : 'EHOSTUNREACH'
  }

  private remove(object: KernelObject): Errno | undefined {
    const found = this.get(identity(object))
    if (found === undefined) return MISSING[object.kind]
    if (found.kind === 'route' && object.kind === 'route' && !sameHop(found, object)) return 'ESRCH'
    if (found.kind === 'sysctl') return 'EOPNOTSUPP'
    if (found.kind === 'link') this.removeLink(found)
    else if (found.kind === 'addr') this.removeAddress(found)
    else this.erase(found)
    return undefined
  }

  private removeLink(link: Link): void {
    for (const object of this.hangingOn(link.name)) {
      if (object.kind === 'link') this.removeLink(object)
      else this.erase(object)
    }
    if (link.link.type === 'bridge') {
      for (const port of this.links()) {
        if (port.master !== link.name) continue
        const { master: _gone, ...free } = port
        this.insert(free)
      }
    }
    this.erase(link)
  }

  private removeAddress(addr: KernelObject & { readonly kind: 'addr' }): void {
    this.erase(addr)
    const family = ipFamily(addr.ip)
    let siblings = 0
    for (const other of this.hangingOn(addr.link)) {
      if (other.kind === 'addr' && ipFamily(other.ip) === family) siblings++
    }
    const connected = this.get(identity(connectedRoute(addr.ip, addr.prefixLength, addr.link)))
    if (connected?.kind === 'route' && connected.protocol === PROTOCOL_KERNEL) this.erase(connected)
    if (family === 6 || siblings > 0) return
    // The last IPv4 address takes the link's IPv4 routes and neighbours with it (fib_disable_ip).
    for (const object of this.hangingOn(addr.link)) {
      const ofIpv4 =
        (object.kind === 'route' && prefixFamily(object.dst) === 4) ||
        (object.kind === 'neigh' && ipFamily(object.ip) === 4)
      if (ofIpv4) this.erase(object)
    }
  }
}

function connectedRoute(ip: Ip, prefixLength: number, link: string): Route {
  const family = ipFamily(ip)
  return {
    kind: 'route',
    dst: prefixOf(ip, prefixLength),
    type: 'unicast',
    link,
    metric: CONNECTED_METRIC[family] ?? DEFAULT_METRIC[family],
    protocol: PROTOCOL_KERNEL,
  }
}

/** RTM_DELROUTE matches what it names. */
function sameHop(found: Route, named: Route): boolean {
  return (
    found.type === named.type &&
    (named.link === undefined || found.link === named.link) &&
    found.via === named.via &&
    found.protocol === named.protocol
  )
}
