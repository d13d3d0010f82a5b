/**
 * Sessions between nodes that are no longer wanted stay for a moment beside those
 * that take their place: when a cluster goes from each with each to reflectors, or
 * another node reflects, what was known by the old way is known by the new one first.
 *
 * @module
 */
import type { PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { Ip } from '../../net/mod.ts'

/** How long: every node has heard of the change by then, and its new sessions are up. */
export const LINGER_MS = 30_000

/**
 * The wanted configuration with the sessions of the one in use that may stay: to nodes
 * that are still there. Nobody lingers where this end becomes another speaker.
 */
export function lingering(
  used: SpeakerConfig,
  wanted: SpeakerConfig,
  { nodes }: ClusterView,
): SpeakerConfig {
  if (used.asn !== wanted.asn || used.routerId !== wanted.routerId) return wanted
  const known = new Set<Ip>(wanted.peers.map(({ address }) => address))
  const left = used.peers.filter((peer) => isNode(peer) && !known.has(peer.address))
  if (left.length === 0) return wanted
  const there = new Set<Ip>([...nodes.values()].flatMap(({ underlayIps }) => underlayIps))
  const kept = left.filter(({ address }) => there.has(address))
  return kept.length === 0 ? wanted : { ...wanted, peers: [...wanted.peers, ...kept] }
}

const isNode = ({ description = '' }: PeerConfig): boolean => description.startsWith('node ')
