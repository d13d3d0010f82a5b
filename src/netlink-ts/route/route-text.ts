/**
 * Routes in iproute2's words, for errors.
 *
 * @module
 */
import { word, words } from './body.ts'
import { encapText } from './encap.ts'
import type { NextHop } from './nexthop.ts'
import type { RouteSpec } from './route.ts'

/** The words after `ip`, e.g. `route add 10.0.1.0/24 via 10.0.0.2 dev if3 proto 99`. */
export function routeText(verb: string, spec: RouteSpec): string {
  return words(
    spec.family === 6 && '-6',
    `route ${verb}`,
    spec.type === 'unicast' ? undefined : spec.type,
    verb === 'show' ? spec.dst : (spec.dst ?? 'default'),
    hopText(spec),
    word('nhid', spec.nexthopId),
    word('table', spec.table),
    word('proto', spec.protocol),
    word('scope', spec.scope),
    word('src', spec.prefSrc),
    word('metric', spec.priority),
    word('mtu', spec.mtu),
    word('advmss', spec.advmss),
    ...(spec.multipath ?? []).map((hop) => `nexthop ${hopText(hop)}`),
  )
}

function hopText(hop: NextHop): string {
  return words(
    encapText(hop.encap),
    word('via', hop.gateway),
    hop.oif !== undefined && `dev if${hop.oif}`,
    word('weight', hop.weight),
    hop.onlink && 'onlink',
  )
}
