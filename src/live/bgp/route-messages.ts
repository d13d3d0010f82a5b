/**
 * Routes of a speaker as netlink has them, and back.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { ForwardHop, RouteAnswer, RouteChange } from '../../bgp/fib/mod.ts'
import type { PrefixTable } from '../../bgp/rib/prefix-table.ts'
import type { Ip, IpFamily, Prefix } from '../../net/mod.ts'

/** Where routes go, and how they are known. */
export interface RoutePlace {
  readonly table: number
  readonly protocol: number
  /** By family: RTA_PRIORITY. */
  readonly metric: Readonly<Record<IpFamily, number>>
}

/** Makes the requests for some changes of one family. */
export class RouteWriter {
  readonly #table: PrefixTable
  readonly #family: IpFamily
  readonly #place: RoutePlace
  readonly #templates = new Map<string, nl.RouteTemplate>()
  readonly #octets = new Uint8Array(1 + 16)

  constructor(table: PrefixTable, place: RoutePlace) {
    this.#table = table
    this.#family = table.family === 'ipv4' ? 4 : 6
    this.#place = place
  }

  request({ row, how, forward, hops }: RouteChange): nl.Request {
    const key = `${how} ${forward}`
    let template = this.#templates.get(key)
    if (template === undefined) {
      template = nl.routeTemplate(how, this.#spec(how === 'remove' ? [] : hops))
      this.#templates.set(key, template)
    }
    this.#table.write(row, this.#octets, 0)
    return template(this.#octets.subarray(1), this.#octets[0]!)
  }

  #spec(hops: readonly ForwardHop[]): nl.RouteSpec {
    const { table, protocol, metric } = this.#place
    const family = this.#family
    const spec = { family, table, protocol, priority: metric[family] }
    return hops.length === 0 ? spec : { ...spec, ...waysOf(hops) }
  }
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
