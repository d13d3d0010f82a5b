/**
 * What is counted of a node's BGP speaker.
 *
 * @module
 */
import { counted, gauge, single } from './meters.ts'
import type { Family } from './text.ts'

/** How a speaker stands at the moment somebody looks. */
export interface BgpNow {
  readonly peers: readonly BgpPeerNow[]
  /** Sessions that ended since the agent began. */
  readonly downs: number
  /** In the kernel. */
  readonly routes: Readonly<Record<'ipv4' | 'ipv6', number>>
  /** That the kernel did not take. */
  readonly failed: number
  /** Of an earlier life, and not told again yet. */
  readonly stale: number
}

/** A peer; an administrator named it, so there are not many. */
export interface BgpPeerNow {
  readonly address: string
  readonly asn: number
  readonly isEstablished: boolean
  /** How often its session was established. */
  readonly establishments: number
  readonly messagesIn: number
  readonly messagesOut: number
  /** By family: paths that it taught. */
  readonly paths: Readonly<Partial<Record<'ipv4' | 'ipv6', number>>>
  /** Whether BFD is up; undefined: it does not watch. */
  readonly isBfdUp?: boolean
}

const FAMILIES = ['ipv4', 'ipv6'] as const

export function bgpFamilies(now: BgpNow): readonly Family[] {
  const { peers, downs, routes, failed, stale } = now
  const established = peers.filter(({ isEstablished }) => isEstablished).length
  return [
    single('trivium_bgp_peers', 'Peers that the speaker is to have a session with.', peers.length),
    single('trivium_bgp_peers_established', 'Peers with a session.', established),
    single('trivium_bgp_sessions_ended_total', 'Sessions that ended.', downs, 'counter'),
    gauge(
      'trivium_bgp_routes',
      'Routes of the speaker in the kernel.',
      FAMILIES.map((family) => ({ labels: { family }, value: routes[family] })),
    ),
    single('trivium_bgp_routes_failed', 'Routes that the kernel did not take.', failed),
    single(
      'trivium_bgp_routes_stale',
      'Routes in the kernel of an agent before this one, which no peer has told again yet.',
      stale,
    ),
    ...peerFamilies(peers),
  ]
}

function peerFamilies(peers: readonly BgpPeerNow[]): readonly Family[] {
  const each = (of: (peer: BgpPeerNow) => number | undefined) =>
    peers.flatMap((peer) => {
      const value = of(peer)
      const labels = { peer: peer.address, asn: String(peer.asn) }
      return value === undefined ? [] : [{ labels, value }]
    })
  const paths = peers.flatMap(({ address: peer, asn, paths }) =>
    FAMILIES.flatMap((family) => {
      const value = paths[family]
      return value === undefined ? [] : [{ labels: { peer, asn: String(asn), family }, value }]
    }),
  )
  const messages = peers.flatMap(({ address: peer, asn, messagesIn, messagesOut }) =>
    (
      [
        ['in', messagesIn],
        ['out', messagesOut],
      ] as const
    ).map(([direction, value]) => ({ labels: { peer, asn: String(asn), direction }, value })),
  )
  return [
    gauge(
      'trivium_bgp_peer_established',
      'Whether there is a session with the peer: 1 or 0.',
      each(({ isEstablished }) => Number(isEstablished)),
    ),
    gauge('trivium_bgp_peer_paths', 'Paths that the peer taught, by family.', paths),
    counted(
      'trivium_bgp_peer_establishments_total',
      'How often the session with the peer was established.',
      each(({ establishments }) => establishments),
    ),
    counted(
      'trivium_bgp_peer_messages_total',
      'Messages of the sessions with the peer, by direction.',
      messages,
    ),
    gauge(
      'trivium_bgp_peer_bfd_up',
      'Whether BFD says that the way to the peer is alive: 1 or 0.',
      each(({ isBfdUp }) => (isBfdUp === undefined ? undefined : Number(isBfdUp))),
    ),
  ]
}
