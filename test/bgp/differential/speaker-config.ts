/**
 * A router of a topology as a configuration of our speaker.
 *
 * @module
 */
import type { PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import type { Ip } from '../../../src/net/mod.ts'
import {
  addressOf,
  type End,
  endAddress,
  FAMILIES,
  type Router,
  routerOf,
  type Session,
  sidesOf,
  type Topology,
} from './topology.ts'

/** @param cut Sessions that the administrator keeps down. */
export function speakerConfig(
  topology: Topology,
  { id, asn, routerId, clusterId, originate }: Router,
  cut: ReadonlySet<number>,
): SpeakerConfig {
  const { alwaysCompareMed, medMissing } = topology
  return {
    ...{ asn, routerId, originate, alwaysCompareMed, medMissing },
    ...(clusterId && { clusterId }),
    peers: sidesOf(topology, id).map(({ session, near, far }) => ({
      ...peerConfig(topology, session, near, far),
      isShutdown: cut.has(session.id),
    })),
  }
}

function peerConfig(topology: Topology, session: Session, near: End, far: End): PeerConfig {
  const { kind, role, importPolicy, exportPolicy, router, alias } = near
  const nextHops: Record<string, Ip> = {}
  for (const family of FAMILIES) nextHops[family] = addressOf(router, alias, family)
  return {
    address: endAddress(session, far),
    localAddress: endAddress(session, near),
    asn: routerOf(topology, far.router).asn,
    families: session.families,
    nextHops,
    gracefulRestart: false,
    isClient: kind === 'client',
    ...(role && { role }),
    ...(importPolicy && { importPolicy }),
    ...(exportPolicy && { exportPolicy }),
  }
}
