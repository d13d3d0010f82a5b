/**
 * A simulated Linux kernel: tables with the kernel's rules, no packets queued.
 *
 * It refuses what Linux refuses, with the same errno, and does by itself what
 * Linux does by itself: connected routes, inherited MTUs, and everything on a
 * link vanishing with it. One contract suite holds it to a real kernel.
 *
 * Not modelled: link-local addresses and their routes, the local table,
 * neighbour states (all entries are permanent), carrier, namespaces (a pod has
 * a kernel of its own), neighbours on a VXLAN-GPE link (Linux keeps one for all).
 *
 * Cost: a Map entry an object; an operation is O(1), removal of a link is linear
 * in what hangs on it, an element of an interval set in its elements; a
 * `snapshot` costs an entry for each change after it.
 *
 * @module
 */
import { assertNever } from '../src/errors.ts'
import {
  identity,
  isNft,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  linkOf,
  type Route,
  renderOp,
  type Sysctl,
  type Vni,
} from '../src/kernel/mod.ts'
import { containsIp, ipFamily } from '../src/net/mod.ts'
import { KernelAddresses } from './kernel-addresses.ts'
import { type Errno, MISSING, sameHop } from './kernel-rules.ts'
import type { KernelListener } from './kernel-tables.ts'

export { PROTOCOL_KERNEL } from './kernel-rules.ts'

export class SimKernel extends KernelAddresses {
  /** Operations that were carried out. */
  operations = 0

  /** @param hostName Seed of the MACs that the kernel chooses. */
  constructor(hostName: string, listener?: KernelListener) {
    super(hostName, listener)
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
      case 'add': {
        const key = identity(op.object)
        const isTaken = EXCLUSIVE.has(op.object.kind) && this.get(key) !== undefined
        return isTaken ? 'EEXIST' : this.set(op.object, key)
      }
      case 'change':
        return op.to.kind === 'link' && op.from.kind === 'link'
          ? this.changeLink(op.from, op.to)
          : this.set(op.to, identity(op.to))
      case 'remove':
        return this.remove(op.object)
      default:
        return assertNever(op)
    }
  }

  /** Adds, or replaces what has the same identity (NLM_F_REPLACE). */
  private set(object: KernelObject, key: string): Errno | undefined {
    switch (object.kind) {
      case 'link':
        return this.addLink(object)
      case 'addr':
        return this.addAddress(object)
      case 'route':
        return this.routeError(object) ?? this.insert(object, key)
      case 'neigh':
      case 'offload-off':
        return this.link(object.link) === undefined ? 'ENODEV' : this.insert(object, key)
      case 'fdb':
        return this.fdbError(object.link) ?? this.insert(object, key)
      case 'vni':
        return this.vniError(object) ?? this.insert(object, key)
      case 'nft-table':
      case 'nft-set':
      case 'nft-chain':
      case 'nft-element':
        return this.setNft(object)
      case 'sysctl':
        return this.hasSysctl(object) ? this.insert(object, key) : 'ENOENT'
      default:
        return assertNever(object)
    }
  }

  private hasSysctl(object: Sysctl): boolean {
    const link = linkOf(object)
    if (link !== undefined) return this.link(link) !== undefined
    return this.get(identity(object)) !== undefined || UNSHOWN.has(object.name)
  }

  private fdbError(name: string): Errno | undefined {
    const type = this.link(name)?.link.type
    if (type === undefined) return 'ENODEV'
    if (type === 'vxlan') return undefined
    // Forwarding entries are Ethernet's.
    return type === 'vxlan-gpe' ? 'EINVAL' : 'EOPNOTSUPP'
  }

  /** Links that share a port part its VNIs among them. */
  private vniError({ link: name, vni }: Vni): Errno | undefined {
    const link = this.link(name)?.link
    if (link === undefined) return 'ENODEV'
    if (link.type === 'vxlan') return 'EOPNOTSUPP'
    if (link.type !== 'vxlan-gpe') return 'EINVAL'
    const taken = this.has(
      (other) =>
        other.name !== name &&
        other.link.type === 'vxlan-gpe' &&
        other.link.port === link.port &&
        this.get(`vni ${other.name} ${vni}`) !== undefined,
    )
    return taken ? 'EEXIST' : undefined
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
    if (found === undefined) {
      const on = linkOf(object)
      const isAlone = object.kind !== 'link' && on !== undefined && this.link(on) === undefined
      return isAlone ? 'ENODEV' : MISSING[object.kind]
    }
    if (found.kind === 'route' && object.kind === 'route' && !sameHop(found, object)) return 'ESRCH'
    if (found.kind === 'sysctl') return 'EOPNOTSUPP'
    if (isNft(found)) return this.removeNft(found)
    if (found.kind === 'link') this.removeLink(found)
    else if (found.kind === 'addr') this.removeAddress(found)
    else this.erase(found)
    return undefined
  }
}

/** Settings that are there and not in a state before somebody changes them. */
const UNSHOWN: ReadonlySet<string> = new Set(['net.ipv4.conf.all.promote_secondaries'])

/** What is refused when it is there already. */
const EXCLUSIVE: ReadonlySet<KernelObject['kind']> = new Set(['link', 'addr', 'route', 'fdb'])
