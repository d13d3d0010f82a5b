/**
 * What is counted of a node's BGP speaker.
 *
 * @module
 */
import { gauge, single } from './meters.ts'
import type { Family } from './text.ts'

/** How a speaker stands at the moment somebody looks. */
export interface BgpNow {
  readonly peers: number
  /** Of these, with a session. */
  readonly established: number
  /** Sessions that ended since the agent began. */
  readonly downs: number
  /** In the kernel. */
  readonly routes: Readonly<Record<'ipv4' | 'ipv6', number>>
  /** That the kernel did not take. */
  readonly failed: number
}

export const bgpFamilies = ({
  peers,
  established,
  downs,
  routes,
  failed,
}: BgpNow): readonly Family[] => [
  single('trivium_bgp_peers', 'Peers that the speaker is to have a session with.', peers),
  single('trivium_bgp_peers_established', 'Peers with a session.', established),
  single('trivium_bgp_sessions_ended_total', 'Sessions that ended.', downs, 'counter'),
  gauge(
    'trivium_bgp_routes',
    'Routes of the speaker in the kernel.',
    (['ipv4', 'ipv6'] as const).map((family) => ({ labels: { family }, value: routes[family] })),
  ),
  single('trivium_bgp_routes_failed', 'Routes that the kernel did not take.', failed),
]
