/**
 * What a kernel does with one packet: local, out of a link, or dropped and why.
 *
 * Longest prefix first, then the lowest metric, as fib_lookup and
 * ip6_route_lookup do. The index is built once a kernel version.
 *
 * @module
 */
import type { KernelObject, Route } from '../src/kernel/mod.ts'
import {
  ADDRESS_BITS,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  prefixOf,
} from '../src/net/mod.ts'
import type { SimKernel } from './kernel.ts'

/** Where a packet goes next. */
export type Hop =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'out'
      readonly link: string
      /** Who must receive the frame: the gateway, or the destination itself. */
      readonly nextHop: Ip
      /** From a permanent neighbour entry; undefined: the kernel would ask. */
      readonly mac: Mac | undefined
      /** The tunnel that the route leads into. */
      readonly encapVni?: number
      readonly encapDst?: Ip
    }
  | { readonly kind: 'drop'; readonly reason: string }

interface Index {
  readonly version: number
  readonly locals: ReadonlySet<Ip>
  /** Prefix lengths in use, longest first, with the best route of each prefix. */
  readonly lengths: Readonly<Record<IpFamily, readonly number[]>>
  readonly routes: ReadonlyMap<string, Route>
}

const FORWARDING = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const

const indexes = new WeakMap<SimKernel, Index>()

/**
 * Looks a destination up.
 *
 * @param arrived Whether the packet came from outside, so that the node must be a router.
 */
export function lookUp(kernel: SimKernel, dst: Ip, arrived: boolean): Hop {
  const index = indexOf(kernel)
  if (index.locals.has(dst)) return { kind: 'local' }
  const family = ipFamily(dst)
  const forwards = kernel.get(`sysctl ${FORWARDING[family]}`)
  if (arrived && (forwards?.kind !== 'sysctl' || forwards.value !== '1')) {
    return { kind: 'drop', reason: `${FORWARDING[family]} is off` }
  }
  for (const length of index.lengths[family]) {
    const route = index.routes.get(prefixOf(dst, length))
    if (route !== undefined) return follow(kernel, route, dst)
  }
  return { kind: 'drop', reason: `no route to ${dst}` }
}

function follow(kernel: SimKernel, route: Route, dst: Ip): Hop {
  if (route.type === 'blackhole' || route.link === undefined) {
    return { kind: 'drop', reason: `${dst} is in blackhole ${route.dst}` }
  }
  if (kernel.link(route.link)?.up !== true) {
    return { kind: 'drop', reason: `link ${route.link} is down` }
  }
  const nextHop = route.via ?? dst
  const neigh = kernel.get(`neigh ${route.link} ${nextHop}`)
  const mac = neigh?.kind === 'neigh' ? neigh.mac : undefined
  const { link, encapVni, encapDst } = route
  const tunnel = encapVni === undefined || encapDst === undefined ? {} : { encapVni, encapDst }
  return { kind: 'out', link, nextHop, mac, ...tunnel }
}

function indexOf(kernel: SimKernel): Index {
  const known = indexes.get(kernel)
  if (known?.version === kernel.version) return known
  const made = buildIndex(kernel.version, kernel.objects())
  indexes.set(kernel, made)
  return made
}

function buildIndex(version: number, objects: Iterable<KernelObject>): Index {
  const locals = new Set<Ip>()
  const lengths = { 4: new Set<number>(), 6: new Set<number>() }
  const routes = new Map<string, Route>()
  for (const object of objects) {
    if (object.kind === 'addr') locals.add(object.ip)
    if (object.kind !== 'route') continue
    const length = Number(object.dst.slice(object.dst.indexOf('/') + 1))
    lengths[object.dst.includes(':') ? 6 : 4].add(length)
    const other = routes.get(object.dst)
    if (other === undefined || object.metric < other.metric) routes.set(object.dst, object)
  }
  const longestFirst = (family: IpFamily): readonly number[] =>
    [...lengths[family]].filter((length) => length <= ADDRESS_BITS[family]).sort((a, b) => b - a)
  return { version, locals, lengths: { 4: longestFirst(4), 6: longestFirst(6) }, routes }
}
