/**
 * The links of a simulated kernel: how they come, change and go, and what goes
 * along.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { identity, type Link, type LinkKind, linkChanges, linkOf } from '../src/kernel/mod.ts'
import { ADDRESS_BITS, type Ip, ipFamily, type Mac, macFromName } from '../src/net/mod.ts'
import { KernelNft } from './kernel-nft.ts'
import {
  areTwins,
  connectedRoute,
  type Errno,
  fightForPort,
  isStacked,
  MTU_BYTES_DEFAULT,
  MTU_BYTES_MAX,
  mtuError,
  newMtu,
} from './kernel-rules.ts'
import type { KernelListener } from './kernel-tables.ts'

const NO_MAC = '00:00:00:00:00:00' as Mac

export class KernelLinks extends KernelNft {
  private readonly hostName: string
  /** Bridges whose MAC somebody chose (NET_ADDR_SET), or whose MTU somebody changed; the others follow their ports. */
  private readonly chosenMacs = new Set<string>()
  private readonly chosenMtus = new Set<string>()

  /** @param hostName Seed of the MACs that the kernel chooses. */
  constructor(hostName: string, listener?: KernelListener) {
    super(listener)
    this.hostName = hostName
  }

  protected addLink(wanted: Link): Errno | undefined {
    const kind = this.kindOf(wanted)
    const under = linkOf({ ...wanted, link: kind })
    const lower = under === undefined ? undefined : this.link(under)
    if (under !== undefined && lower === undefined) return 'ENODEV'
    if (kind.type === 'macvlan' && lower !== undefined) {
      // One reader of a link's frames: a bridge or macvlans (netdev_rx_handler_register).
      if (lower.master !== undefined) return 'EBUSY'
      if (lower.link.type === 'vxlan-gpe') return 'EINVAL'
    }
    const masterError = this.masterError(wanted.master, wanted)
    if (masterError !== undefined) return masterError
    if (isShared(kind) && this.has((twin) => areTwins(twin.link, kind))) return 'EEXIST'
    const mtuBytes = newMtu(wanted, lower)
    if (typeof mtuBytes === 'string') return mtuBytes
    const upError = wanted.up ? this.upError({ ...wanted, link: kind }) : undefined
    if (upError !== undefined) return upError
    const { adopt: _planned, mac, ...link } = wanted
    const inherited = kind.type === 'vlan' ? lower?.mac : undefined
    const chosen = mac ?? inherited ?? macFromName(`${this.hostName}/${wanted.name}`)
    if (kind.type === 'bridge' && mac !== undefined) this.chosenMacs.add(wanted.name)
    this.insert({
      ...link,
      link: kind.type === 'veth' ? { type: 'veth' } : kind,
      // ARPHRD_NONE: whatever address was asked for, it has none.
      ...(kind.type === 'vxlan-gpe' ? {} : { mac: chosen }),
      mtuBytes,
      // The other end is born with the same.
      ...(kind.type === 'veth' && kind.peer !== undefined ? { peerMtuBytes: mtuBytes } : {}),
    })
    this.followPorts(wanted.master)
    return undefined
  }

  protected changeLink(from: Link, to: Link): Errno | undefined {
    const link = this.link(to.name)
    if (link === undefined) return 'ENODEV'
    const { up, ...changes } = linkChanges(from, to)
    if (changes.mac !== undefined && link.link.type === 'vxlan-gpe') return 'EOPNOTSUPP'
    const error =
      this.masterError(changes.master, link) ??
      (link.up && changes.mac !== undefined
        ? this.macError({ ...link, mac: changes.mac })
        : undefined) ??
      this.mtuError(link, changes.mtuBytes) ??
      this.mtuError({ ...link, link: { type: 'veth' } }, changes.peerMtuBytes)
    if (error !== undefined) return error
    const { master: _left, ...free } = link
    const base = changes.master === '' ? free : link
    const { master, ...settings } = changes
    this.insert({
      ...base,
      ...settings,
      ...(master === undefined || master === '' ? {} : { master }),
    })
    if (link.link.type === 'bridge') {
      if (changes.mac !== undefined) this.chosenMacs.add(to.name)
      if (changes.mtuBytes !== undefined) this.chosenMtus.add(to.name)
    }
    this.followPorts(link.master)
    this.followPorts(master)
    if (changes.mtuBytes !== undefined) this.lowerMtuAbove(to.name, changes.mtuBytes)
    if (up === undefined || up === link.up) return undefined
    return up ? this.setUp(to.name) : this.setDown(to.name)
  }

  protected removeLink(link: Link): void {
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
    this.chosenMacs.delete(link.name)
    this.chosenMtus.delete(link.name)
    this.erase(link)
    this.followPorts(link.master)
  }

  /**
   * A bridge has the lowest MAC of its ports, and none when the last has left; and
   * the smallest MTU of them, also where another one was asked for at its creation.
   * Source: net/bridge/br_stp_if.c, br_stp_recalculate_bridge_id; br_if.c, br_mtu_auto_adjust.
   */
  private followPorts(name: string | undefined): void {
    const bridge = name === undefined || name === '' ? undefined : this.link(name)
    if (bridge?.link.type !== 'bridge') return
    let lowest: Mac | undefined
    let smallest: number | undefined
    for (const port of this.links()) {
      if (port.master !== name) continue
      if (port.mac !== undefined && (lowest === undefined || port.mac < lowest)) lowest = port.mac
      smallest = Math.min(port.mtuBytes ?? MTU_BYTES_DEFAULT, smallest ?? MTU_BYTES_MAX)
    }
    const mac = this.chosenMacs.has(bridge.name) ? bridge.mac : (lowest ?? NO_MAC)
    const mtuBytes = this.chosenMtus.has(bridge.name)
      ? bridge.mtuBytes
      : (smallest ?? MTU_BYTES_DEFAULT)
    if (mac === bridge.mac && mtuBytes === bridge.mtuBytes) return
    const { mac: _mac, mtuBytes: _mtu, ...rest } = bridge
    this.insert({
      ...rest,
      ...(mac === undefined ? {} : { mac }),
      ...(mtuBytes === undefined ? {} : { mtuBytes }),
    })
  }

  /** The route of an address on a link that is up. */
  protected connect(ip: Ip, prefixLength: number, link: string): void {
    const family = ipFamily(ip)
    // IPv4 makes none for a single address, IPv6 does (net/ipv6/addrconf.c, inet6_addr_add).
    if (family === 4 && prefixLength === ADDRESS_BITS[family]) return
    // fe80::/64 is on every link: one route each, which a state keyed by prefix cannot hold.
    if (/^fe[89ab]/.test(ip)) return
    const route = connectedRoute(ip, prefixLength, link)
    if (this.get(identity(route)) === undefined) this.insert(route)
  }

  protected has(matches: (link: Link) => boolean): boolean {
    for (const link of this.links()) if (matches(link)) return true
    return false
  }

  private masterError(master: string | undefined, { name, link }: Link): Errno | undefined {
    if (master === undefined || master === '') return undefined
    const bridge = this.link(master)
    if (bridge === undefined) return 'ENODEV'
    if (bridge.link.type !== 'bridge') return 'EOPNOTSUPP'
    // Bridges take Ethernet only.
    if (link.type === 'vxlan-gpe') return 'EINVAL'
    return this.linksOver(name).some(({ link }) => link.type === 'macvlan') ? 'EBUSY' : undefined
  }

  /** A macvlan on a macvlan is one beside it (drivers/net/macvlan.c, macvlan_common_newlink). */
  private kindOf({ link: kind }: Link): LinkKind {
    if (kind.type !== 'macvlan' || kind.parent === undefined) return kind
    const below = this.link(kind.parent)?.link
    return below?.type === 'macvlan' ? { ...kind, parent: below.parent ?? kind.parent } : kind
  }

  /** Macvlans that are up, and their parent, have a MAC each (macvlan_addr_busy). */
  private macError({ name, link: kind, mac }: Link): Errno | undefined {
    const parent = kind.type === 'macvlan' ? kind.parent : undefined
    if (parent === undefined || mac === undefined) return undefined
    const isTwin = (other: Link): boolean =>
      other.name !== name && other.up && other.link.type === 'macvlan' && other.mac === mac
    const taken = this.link(parent)?.mac === mac || this.linksOver(parent).some(isTwin)
    return taken ? 'EADDRINUSE' : undefined
  }

  private mtuError(link: Link, mtuBytes: number | undefined): Errno | undefined {
    if (mtuBytes === undefined) return undefined
    const under = linkOf(link)
    return mtuError(link, mtuBytes, under === undefined ? undefined : this.link(under))
  }

  /** VLAN links and macvlans never offer more than what carries them. */
  private lowerMtuAbove(name: string, mtuBytes: number): void {
    for (const link of this.linksOver(name)) {
      if (!isStacked(link.link) || (link.mtuBytes ?? 0) <= mtuBytes) continue
      this.insert({ ...link, mtuBytes })
      this.lowerMtuAbove(link.name, mtuBytes)
    }
  }

  private upError(link: Link): Errno | undefined {
    const kind = link.link
    if (kind.type === 'macvlan') return this.macError(link)
    if (kind.type === 'vlan' && this.link(kind.parent)?.up !== true) return 'ENETDOWN'
    if (!isShared(kind)) return undefined
    const taken = this.has((other) => other.up && fightForPort(kind, other.link))
    return taken ? 'EADDRINUSE' : undefined
  }

  private setUp(name: string): Errno | undefined {
    const link = this.link(name)
    invariant(link !== undefined, `link ${name} exists`)
    const error = this.upError(link)
    if (error !== undefined) return error
    this.insert({ ...link, up: true })
    for (const object of this.hangingOn(name)) {
      if (object.kind === 'addr') this.connect(object.ip, object.prefixLength, name)
    }
    for (const above of this.linksOver(name)) if (above.link.type === 'vlan') this.setUp(above.name)
    return undefined
  }

  /**
   * Routes and neighbours go, and IPv6 addresses (keep_addr_on_down is 0). VLAN links go
   * down, too; macvlans stay up without a carrier, with all that is on them.
   */
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
}

/** Kinds that others can get in the way of; of pods' pairs there are many, and each is alone. */
const isShared = ({ type }: LinkKind): boolean => type.startsWith('vxlan') || type === 'vlan'
