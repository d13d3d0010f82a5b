/**
 * Routes of a speaker as netlink has them, and back.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { ForwardHop, RouteAnswer, RouteChange } from '../../bgp/fib/mod.ts'
import type { Ip, IpFamily, Prefix } from '../../net/mod.ts'

/** Where routes go, and how they are known. */
export interface RoutePlace {
  readonly table: number
  readonly protocol: number
  /** By family: RTA_PRIORITY. */
  readonly metric: Readonly<Record<IpFamily, number>>
}

/** The request for one change. */
export function requestOf(change: RouteChange, family: IpFamily, place: RoutePlace): nl.Request {
  const { prefix, how, hops } = change
  const { table, protocol } = place
  const dst = prefix.endsWith('/0') ? undefined : prefix
  const spec = { family, dst, table, protocol, priority: place.metric[family] }
  if (how === 'remove') return nl.route.remove(spec)
  const whole = { ...spec, ...waysOf(hops) }
  return how === 'add' ? nl.route.add(whole) : nl.route.replace(whole)
}

function waysOf(hops: readonly ForwardHop[]): Partial<nl.RouteSpec> {
  const [only] = hops
  if (hops.length === 1 && only !== undefined) {
    const { gateway, link: oif, isOnlink: onlink, encap } = only
    return { gateway, oif, onlink, encap: encap as nl.IpEncap | undefined }
  }
  return {
    multipath: hops.map(({ gateway, link: oif, weight, isOnlink: onlink, encap }) => ({
      gateway,
      oif,
      weight,
      onlink,
      encap: encap as nl.Encap | undefined,
    })),
  }
}

/** The destination of a route that the kernel told. */
export const destinationOf = ({ family, dst }: nl.Route): Prefix =>
  (dst ?? (family === 4 ? '0.0.0.0/0' : '::/0')) as Prefix

/**
 * Its ways; undefined where it has none of the kind that a speaker makes.
 *
 * @param isUsable Leaves out the others.
 */
export function forwardHopsOf(
  route: nl.Route,
  isUsable: (link: number, hop: nl.NextHop) => boolean = () => true,
): readonly ForwardHop[] | undefined {
  if (route.type !== 'unicast') return undefined
  const hops: readonly nl.NextHop[] = route.multipath ?? [route]
  return hops.flatMap((hop) => {
    const { gateway, oif, onlink, encap } = hop
    if (oif === undefined || !isUsable(oif, hop)) return []
    // Of another encapsulation only the kernel knows how it is written.
    if (encap !== undefined && encap.type !== 'ip' && encap.type !== 'ip6') return []
    return [
      {
        link: oif,
        weight: route.multipath === undefined ? 1 : (hop.weight ?? 1),
        ...(gateway === undefined ? {} : { gateway: gateway as Ip }),
        ...(onlink ? { isOnlink: true as const } : {}),
        ...(encap === undefined ? {} : { encap }),
      },
    ]
  })
}

/** What a looked-up route says about the way to an address. */
export function answerOf(
  route: nl.Route | undefined,
  place: RoutePlace,
  isUp: (link: number) => boolean,
): RouteAnswer {
  if (route === undefined) return { kind: 'none' }
  if (route.type === 'local') return { kind: 'own' }
  const hops = forwardHopsOf(route, (link, { dead }) => isUp(link) && dead !== true)
  if (hops === undefined) return { kind: 'none' }
  return {
    kind: 'route',
    prefix: destinationOf(route),
    isOurs: route.protocol === place.protocol && route.table === place.table,
    metric: route.priority ?? 0,
    hops,
  }
}
