/**
 * Route look-ups, and what a look-up needs to be allowed to forward.
 *
 * @module
 */
import { identity, type KernelObject, linkSysctl, type Route, satisfies } from '../kernel/mod.ts'
import { type Ip, type IpFamily, ipFamily, prefixLength } from '../net/mod.ts'
import { broken, fine, type Place, repairOf, type Steps, suspect, wordsOf } from './hop.ts'
import { linkUp } from './links.ts'
import type { Packet } from './packet.ts'
import { isDefaultRoute } from './tables.ts'

const FORWARDING = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const

/** Whether the object is one that the plan asks for, and as it asks. */
export function asPlanned({ planned }: Place, object: KernelObject): boolean {
  const wanted = planned.get(identity(object))
  return wanted !== undefined && satisfies(object, wanted)
}

/** Whether a node passes on what came in by `link`. */
export function* forwards(place: Place, family: IpFamily, link: string): Steps<true> {
  const all = FORWARDING[family]
  const names = family === 4 ? [all, linkSysctl(4, link, 'forwarding')] : [all]
  for (const name of names) {
    const value = place.tables.sysctl(name)
    // A link's own is read only where it exists.
    if (value === '1' || (value === undefined && name !== all)) continue
    yield broken(place, {
      object: `sysctl ${name}`,
      found: value ?? 'nothing',
      wanted: '1',
      command: `sysctl -w ${name}=1`,
      planned: place.planned.get(`sysctl ${name}`),
    })
    return undefined
  }
  yield fine(place, `sysctl ${all}=1`)
  return true
}

/**
 * The reverse-path filter, IPv4 only: 1 wants the way back to leave by the same
 * link, 2 wants any way back. The larger of `all` and the link's own counts.
 * Source: Documentation/networking/ip-sysctl.rst, rp_filter.
 */
export function* reversePath(place: Place, link: string, { family, src }: Packet): Steps<true> {
  if (family === 6) return true
  const names = ['net.ipv4.conf.all.rp_filter', linkSysctl(4, link, 'rp_filter')]
  const values = names.map((name) => Number(place.tables.sysctl(name) ?? 0))
  const most = Math.max(...values)
  if (most === 0) return true
  const name = names[values.indexOf(most)] ?? ''
  const back = place.tables.route(src)
  const same = back?.type === 'unicast' && (most === 2 || back.link === link)
  if (same) {
    yield fine(place, `sysctl ${name}=${most}: ${src} is reached by ${back.link}`)
    return true
  }
  yield broken(place, {
    object: `sysctl ${name}`,
    found: `${most}: packets from ${src} come in by ${link}, the way back is ${back === undefined ? 'missing' : wordsOf(back)}`,
    wanted: most === 1 && back?.type === 'unicast' ? '2 or 0' : '0, or a route back',
    command: `sysctl -w ${name}=${most === 1 ? 2 : 0}`,
  })
  return undefined
}

/** Whether routes to the address are a speaker's, which no plan knows. */
const isHeard = ({ asks }: Place, dst: Ip): boolean => asks?.(dst) !== undefined

const askingFor = ({ asks }: Place, dst: Ip): string => asks?.(dst) ?? `ip route get ${dst}`

/** The route to `dst`. One that leads elsewhere than planned is for the caller to judge. */
export function* routeTo(place: Place, dst: Ip): Steps<Route> {
  const route = place.tables.route(dst)
  const planned = place.planned.route(dst)
  // What is left when ours is gone: the default route, or our own blackhole of the block.
  const isRest =
    route === undefined || (planned !== undefined && isWider(route, planned) && isRemainder(route))
  if (isRest) {
    yield* noRoute(place, dst, route)
    return undefined
  }
  if (route.type === 'blackhole') {
    const own = asPlanned(place, route)
    yield broken(place, {
      object: wordsOf(route),
      found: own
        ? `${dst} is in this node's own block, and no pod here has it`
        : `a blackhole that swallows ${dst}`,
      wanted: planned === undefined || own ? `a route to ${dst}` : wordsOf(planned),
      command: own ? `ip route get ${dst}` : `ip route del blackhole ${route.dst}`,
    })
    return undefined
  }
  if (route.link === undefined) {
    yield suspect(place, {
      object: wordsOf(route),
      found: 'several next hops, which are not followed',
      wanted: planned === undefined ? 'one next hop' : wordsOf(planned),
      command: `ip route get ${dst}`,
    })
    return undefined
  }
  return route
}

const isWider = (left: Route, right: Route): boolean =>
  prefixLength(left.dst) < prefixLength(right.dst)

/** Routes that take what is left over, nobody's in particular. */
const isRemainder = (route: Route): boolean => route.type === 'blackhole' || isDefaultRoute(route)

function* noRoute(place: Place, dst: Ip, taken: Route | undefined): Steps<never> {
  const found = taken === undefined ? 'missing' : `missing, so ${wordsOf(taken)} is taken`
  const planned = place.planned.route(dst)
  if (planned === undefined) {
    yield broken(place, {
      object: `route ${dst}`,
      found: 'none',
      wanted: `${isHeard(place, dst) ? 'one from BGP' : 'a route'}; the plan of this node has none either`,
      command: askingFor(place, dst),
    })
    return undefined
  }
  const cause = yield* lostWithLink(place, planned, found)
  if (cause === true) {
    yield broken(place, {
      object: wordsOf(planned),
      found,
      wanted: 'this route',
      command: repairOf(planned),
      planned,
    })
  }
  return undefined
}

/**
 * A route goes with its link, and an IPv4 route with the last address of its
 * link: then that is what broke. True when neither is the reason.
 */
function* lostWithLink(place: Place, { link, dst }: Route, found: string): Steps<true> {
  if (link === undefined) return true
  const device = place.tables.link(link)
  if (device?.up !== true) {
    yield* linkUp(place, link)
    return undefined
  }
  const family = ipFamily(dst)
  const wanted = place.planned.addresses(link).find((ip) => ipFamily(ip) === family)
  const lost = wanted === undefined ? undefined : addrOf(place, link, wanted)
  if (family === 6 || lost === undefined || place.tables.addresses(link).includes(lost.ip)) {
    return true
  }
  yield broken(place, {
    object: wordsOf(lost),
    found: `missing, and the routes of ${link} went with it (${dst} is ${found})`,
    wanted: 'this address, then its routes',
    command: repairOf(lost),
    planned: lost,
  })
  return undefined
}

function addrOf(place: Place, link: string, ip: Ip) {
  for (const length of [32, 128]) {
    const object = place.planned.get(`addr ${link} ${ip}/${length}`)
    if (object?.kind === 'addr') return object
  }
  return undefined
}

/** A route that leads somewhere else than to where the packet has to go. */
export function* wrongRoute(place: Place, route: Route, dst: Ip, found: string): Steps<never> {
  const planned = place.planned.route(dst)
  const foreign = planned !== undefined && route.protocol !== planned.protocol
  yield broken(place, {
    object: wordsOf(route),
    found: `${found}${foreign ? '; it is not ours, so the agent leaves it alone' : ''}`,
    wanted:
      planned === undefined
        ? `a route to ${dst}${isHeard(place, dst) ? ' from BGP' : ''}`
        : wordsOf(planned),
    command: foreign
      ? wordsOf(route).replace(/^route /, 'ip route del ')
      : planned === undefined
        ? askingFor(place, dst)
        : repairOf(planned),
    planned: foreign ? undefined : planned,
  })
  return undefined
}
