/**
 * A router of a topology as a configuration of our speaker.
 *
 * @module
 */
import type { PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import {
  addressOf,
  type End,
  type Event,
  endAddress,
  FAMILIES,
  type Router,
  routerOf,
  type Session,
  sidesOf,
  type Topology,
} from './topology.ts'

/** What events change of a topology. */
export interface Course {
  readonly topology: Topology
  /** As they are configured now, by id. */
  readonly routers: Map<number, Router>
  /** Sessions that the administrator keeps down. */
  readonly cut: Set<number>
  /** All that were ever announced. */
  readonly prefixes: Set<Prefix>
}

/** @returns the routers whose configuration is another now. */
export function happen(
  { topology, routers, cut, prefixes }: Course,
  event: Event,
): readonly number[] {
  if (event.kind === 'cut') {
    cut.add(event.session)
    return endsOf(topology, event.session)
  }
  const router = routers.get(event.router)!
  const prefix = event.kind === 'announce' ? event.route.prefix : event.prefix
  const others = router.originate.filter((each) => each.prefix !== prefix)
  const originate = event.kind === 'announce' ? [...others, event.route] : others
  prefixes.add(prefix)
  routers.set(event.router, { ...router, originate })
  return [event.router]
}

/** The routers of a session. */
export const endsOf = ({ sessions }: Topology, session: number): readonly number[] =>
  sessions.find(({ id }) => id === session)?.ends.map(({ router }) => router) ?? []

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
