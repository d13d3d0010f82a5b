/**
 * Addresses of a simulated kernel: which connected route comes and goes with
 * them, and which other addresses.
 *
 * @module
 */
import { type Addr, identity } from '../src/kernel/mod.ts'
import { ipFamily, prefixFamily, prefixOf } from '../src/net/mod.ts'
import { KernelLinks } from './kernel-links.ts'
import { connectedRoute, type Errno, PROTOCOL_KERNEL } from './kernel-rules.ts'

/** Off in the kernel as it is; systemd, for one, switches it on. */
const PROMOTE = 'sysctl net.ipv4.conf.all.promote_secondaries'

export class KernelAddresses extends KernelLinks {
  protected addAddress(addr: Addr): Errno | undefined {
    const link = this.link(addr.link)
    if (link === undefined) return 'ENODEV'
    // IPv6 knows an address by itself, IPv4 by address and mask.
    if (ipFamily(addr.ip) === 6 && this.addressesOn(addr).some(({ ip }) => ip === addr.ip)) {
      return 'EEXIST'
    }
    this.insert(addr)
    if (link.up) this.connect(addr.ip, addr.prefixLength, addr.link)
    return undefined
  }

  protected removeAddress(addr: Addr): void {
    const siblings = this.addressesOn(addr).filter((other) => sameSubnet(other, addr))
    const isPrimary = siblings[0]?.ip === addr.ip
    this.erase(addr)
    const others = siblings.filter(({ ip }) => ip !== addr.ip)
    if (ipFamily(addr.ip) === 6) {
      // net/ipv6/addrconf.c, check_cleanup_prefix_route: another one needs it.
      if (others.length === 0) this.disconnect(addr)
      return
    }
    // net/ipv4/devinet.c, __inet_del_ifa: the first of a subnet takes the others along.
    const promoted = this.promotes && others.length > 0
    if (isPrimary && !promoted) {
      for (const secondary of others) this.erase(secondary)
      this.disconnect(addr)
    }
    if (this.addressesOn(addr).length === 0) this.disableIpv4(addr.link)
  }

  private get promotes(): boolean {
    const setting = this.get(PROMOTE)
    return setting?.kind === 'sysctl' && setting.value !== '0'
  }

  /** Of the same family, in the order in which they came. */
  private addressesOn({ link, ip }: Addr): readonly Addr[] {
    const family = ipFamily(ip)
    return this.hangingOn(link).flatMap((object) =>
      object.kind === 'addr' && ipFamily(object.ip) === family ? [object] : [],
    )
  }

  private disconnect({ ip, prefixLength, link }: Addr): void {
    const found = this.get(identity(connectedRoute(ip, prefixLength, link)))
    if (found?.kind !== 'route' || found.protocol !== PROTOCOL_KERNEL) return
    if (found.link !== link) return
    this.erase(found)
    // Another link that has it, too, had a route all the time; a state keyed by prefix holds one.
    for (const other of this.links()) {
      if (!other.up || other.name === link) continue
      const again = this.hangingOn(other.name).find(
        (object) =>
          object.kind === 'addr' && object.ip === ip && object.prefixLength === prefixLength,
      )
      if (again === undefined) continue
      this.connect(ip, prefixLength, other.name)
      return
    }
  }

  /** The last IPv4 address takes the link's IPv4 routes and neighbours with it (fib_disable_ip). */
  private disableIpv4(link: string): void {
    for (const object of this.hangingOn(link)) {
      const ofIpv4 =
        (object.kind === 'route' && prefixFamily(object.dst) === 4) ||
        (object.kind === 'neigh' && ipFamily(object.ip) === 4)
      if (ofIpv4) this.erase(object)
    }
  }
}

const sameSubnet = (left: Addr, right: Addr): boolean =>
  prefixOf(left.ip, left.prefixLength) === prefixOf(right.ip, right.prefixLength)
