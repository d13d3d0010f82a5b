/**
 * `trivium-ipam`: what the plugin above says, and the result it is given.
 *
 * A gateway of the pool means a default route through it, as in vlan mode. A
 * list `routes` beside `type`, as host-local and static have it, takes its
 * place; an empty one means none.
 *
 * Source: CNI specification 1.1.0, section 4 "Plugin Delegation"; the
 * configuration of host-local and static in containernetworking/plugins.
 *
 * @module
 */
import { DEFAULT_ROUTE } from '../backend/routed-pod.ts'
import type { AttachmentRecord, NetworkRecord, Pool } from '../cluster/view.ts'
import { TriviumError } from '../errors.ts'
import {
  containsIp,
  hostPrefix,
  ipFamily,
  parseIp,
  parsePrefix,
  prefixFamily,
  prefixLength,
} from '../net/mod.ts'
import { isRecord } from './json.ts'
import type { CniResult, ResultRoute } from './result.ts'

export interface Delegation {
  /** undefined: what the pools' gateways say. */
  readonly routes?: readonly ResultRoute[]
  /** Why the plugin above cannot do without a gateway; undefined when it can. */
  readonly needsGateway?: string
}

type Json = Readonly<Record<string, unknown>>

/** More are somebody's mistake: a pod's routes are few. */
const ROUTES_MAX = 256

/**
 * @param raw The whole configuration, the main plugin's.
 * @throws {TriviumError} BAD_CONFIG, naming the route.
 */
export function parseDelegation(raw: Json): Delegation {
  const own = raw['ipam']
  const routes = isRecord(own) ? own['routes'] : undefined
  const needsGateway = reasonForGateway(raw)
  return {
    ...(routes === undefined || routes === null ? {} : { routes: parseRoutes(routes) }),
    ...(needsGateway === undefined ? {} : { needsGateway }),
  }
}

/**
 * `bridge` takes the subnet's first address where it is given no gateway, which
 * is a pod's here; `ptp` has nowhere to lead its routes.
 */
function reasonForGateway({ type, isGateway, isDefaultGateway }: Json): string | undefined {
  if (type === 'ptp') return 'ptp'
  if (type !== 'bridge') return undefined
  if (isDefaultGateway === true) return 'bridge with isDefaultGateway'
  return isGateway === true ? 'bridge with isGateway' : undefined
}

function parseRoutes(raw: unknown): readonly ResultRoute[] {
  const wanted = `a list of at most ${ROUTES_MAX} {"dst", "gw"}`
  if (!Array.isArray(raw) || raw.length > ROUTES_MAX) throw badRoutes(raw, wanted)
  return raw.map((entry: unknown): ResultRoute => {
    const { dst, gw }: Json = isRecord(entry) ? entry : {}
    if (typeof dst !== 'string' || (gw !== undefined && typeof gw !== 'string')) {
      throw badRoutes(entry, wanted)
    }
    const route = { dst: parsePrefix(dst, 'dst in "ipam.routes"') }
    if (gw === undefined) return route
    const via = parseIp(gw, 'gw in "ipam.routes"')
    if (ipFamily(via) !== prefixFamily(route.dst)) {
      throw badRoutes(entry, 'dst and gw of one family')
    }
    return { ...route, via }
  })
}

const badRoutes = (found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot read "ipam.routes": ${String(JSON.stringify(found)).slice(0, 128)}, wanted ${wanted}`,
  )

/** @throws {TriviumError} BAD_CONFIG when a pool lacks the gateway that the plugin above needs. */
export function checkGateways(
  { needsGateway }: Delegation,
  { name, pools }: Pick<NetworkRecord, 'name' | 'pools'>,
): void {
  const without = pools.find(({ gateway }) => gateway === undefined)
  if (needsGateway === undefined || without === undefined) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot serve ${needsGateway}: pool ${without.cidr} of network ${name} has no gateway, wanted one`,
    'Create the network with it: --pool CIDR,gateway=ADDRESS',
  )
}

/** Addresses on the pools' prefixes, and routes; no interfaces, which are the main plugin's. */
export function ipamResult(
  attachment: Pick<AttachmentRecord, 'ips'>,
  { pools }: Pick<NetworkRecord, 'pools'>,
  { routes }: Delegation,
): CniResult {
  const ips = attachment.ips.map((ip) => {
    const pool = pools.find(({ cidr }): boolean => containsIp(cidr, ip))
    return { ip, prefixLength: prefixLength(pool?.cidr ?? hostPrefix(ip)), ...gatewayOf(pool) }
  })
  const defaults = ips.flatMap(({ gateway }): readonly ResultRoute[] =>
    gateway === undefined ? [] : [{ dst: DEFAULT_ROUTE[ipFamily(gateway)], via: gateway }],
  )
  return { interfaces: [], ips, routes: routes ?? defaults }
}

const gatewayOf = (pool: Pool | undefined): Pick<Pool, 'gateway'> =>
  pool?.gateway === undefined ? {} : { gateway: pool.gateway }
