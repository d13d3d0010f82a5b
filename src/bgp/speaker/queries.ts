/**
 * What people ask a speaker. Answers are as of the moment; what waits for a turn is
 * not in them.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import { containsPrefix, type Ip, type Prefix } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import { peersRecord, prefixRecord } from '../mrt/table-dump.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import {
  accepted,
  best,
  covering,
  type ExplainedPath,
  exportOf,
  type Imported,
  type Rib,
  type RouteHop,
  received,
  toldTo,
  used,
  why,
} from '../rib/mod.ts'
import type { Agreed, DownReason, SessionFacts, SessionState } from '../session/types.ts'
import type { SpeakerCore } from './machine.ts'
import { NO_HOP } from './outbound.ts'
import type { Peering } from './peering.ts'
import { configuredPeer, type TrialGround } from './trial.ts'

export interface PeerView {
  readonly address: Ip
  readonly asn: number
  readonly description: string | undefined
  readonly isShutdown: boolean
  /** As configured. */
  readonly localAddress: Ip | undefined
  readonly state: SessionState
  readonly stateSince: Instant
  /** While established. */
  readonly agreed: Agreed | undefined
  readonly upSince: Instant | undefined
  /** Of the session: counters, timers, what is kept of an earlier one. */
  readonly session: SessionFacts
  readonly lastDown: { readonly reason: DownReason; readonly at: Instant } | undefined
  readonly families: readonly PeerFamilyView[]
  /** Faults in what it said, also those that were not reported again. */
  readonly problems: number
  /** Sent since the transport took no more; undefined: it takes everything. */
  readonly blockedOctets: number | undefined
}

export interface PeerFamilyView {
  readonly family: Family
  /** Whether the session has it. */
  readonly isUp: boolean
  /** Paths it taught, those of an earlier session that are kept among them. */
  readonly paths: number
}

export interface RouteFilter {
  /** Only prefixes inside of this one. */
  readonly within?: Prefix
  /** Only those whose best path is of this peer. */
  readonly from?: Ip | 'own'
  /** Only these numbers of the table: a part of it, for who must not take long. */
  readonly part?: { readonly from: number; readonly to: number }
}

export interface Route {
  readonly prefix: Prefix
  readonly best: ExplainedPath
  /** In the kernel; none for own routes. */
  readonly nextHops: readonly RouteHop[]
}

export interface Told {
  readonly prefix: Prefix
  readonly pathId: number
  readonly attributes: Attributes
}

export interface Queries {
  /** Whether connections of this address are to be accepted. */
  has(peer: Ip): boolean
  peer(address: Ip): PeerView | undefined
  peers(): readonly PeerView[]
  /** Best paths; a generator, because there may be a million. */
  routes(family: Family, filter?: RouteFilter): Generator<Route>
  /** Every path of a prefix, and at which step of the decision it lost. */
  why(prefix: Prefix): readonly ExplainedPath[]
  /** What a peer was told: Adj-RIB-Out. */
  toldTo(peer: Ip, family: Family): Generator<Told>
  /** What becomes of a prefix's best path on its way to a peer. */
  exportOf(prefix: Prefix, peer: Ip): Imported | undefined
  /** The prefix, or the longest one around it, that there are paths of. */
  covering(prefix: Prefix): Prefix | undefined
  /** The table in MRT (RFC 6396 section 4.3), a record after the other. @param seconds Since 1970. */
  dump(seconds: number): Generator<Uint8Array>
  /** What it takes to try a prefix at a peer's policies (`trial.ts`); undefined: no such peer. */
  trialGround(prefix: Prefix, peer: Ip): TrialGround | undefined
  /** Bytes of the RIB's tables. */
  readonly bytes: number
  /** For those who look deeper: nothing of it may be changed. */
  readonly rib: Rib | undefined
}

export function queriesOf(core: SpeakerCore): Queries {
  const { peerings } = core
  return {
    has(address) {
      const peering = peerings.get(address)
      return peering !== undefined && peering.config.isShutdown !== true
    },
    peer(address) {
      const peering = peerings.get(address)
      return peering && viewOf(peering, core.rib)
    },
    peers: () => [...peerings.values()].map((peering) => viewOf(peering, core.rib)),
    *routes(family, { within, from, part } = {}) {
      if (!core.isConfigured) return
      for (const route of used(core.rib, family, part)) {
        if (within !== undefined && !containsPrefix(within, route.prefix)) continue
        if (from === undefined || route.best.peer === from) yield route
      }
    },
    why: (prefix) => (core.isConfigured ? why(core.rib, prefix) : []),
    *toldTo(peer, family) {
      if (core.isConfigured) yield* toldTo(core.rib, peer, family)
    },
    exportOf: (prefix, peer) => (core.isConfigured ? exportOf(core.rib, prefix, peer) : undefined),
    covering: (prefix) => (core.isConfigured ? covering(core.rib, prefix) : undefined),
    *dump(seconds) {
      if (core.isConfigured) yield* dumpOf(core, seconds)
    },
    trialGround(prefix, address) {
      const peering = peerings.get(address)
      if (peering === undefined) return undefined
      const { asn, routerId, clusterId } = core.config
      const id = core.rib.peers.find(address)
      const known = id === undefined ? undefined : core.rib.peers.of(id)
      const used = best(core.rib, prefix)
      return {
        self: { asn, routerId, ...(clusterId && { clusterId }) },
        peer: configuredPeer(peering.config, asn, known),
        received: received(core.rib, prefix, address),
        ...(used && { used }),
      }
    },
    get bytes() {
      return core.isConfigured ? core.rib.bytes : 0
    },
    get rib() {
      return core.isConfigured ? core.rib : undefined
    },
  }
}

function* dumpOf({ config, peerings, rib }: SpeakerCore, seconds: number): Generator<Uint8Array> {
  const { asn, routerId } = config
  const others = [...peerings.values()].map(({ address, config: { asn: of }, agreed }) => ({
    address,
    asn: of,
    routerId: agreed?.routerId ?? NO_HOP.ipv4,
  }))
  // As other speakers have it: this one is the first peer, without an address.
  const all = [{ address: NO_HOP.ipv4, asn, routerId }, ...others]
  const places = new Map<Ip | 'own', number>(all.map(({ address }, place) => [address, place]))
  places.set('own', 0)
  yield peersRecord(routerId, all, seconds)
  let sequence = 0
  for (const family of FAMILIES) {
    for (const { prefix, paths } of accepted(rib, family)) {
      const known = paths.flatMap(({ peer, attributes }) => {
        const place = places.get(peer)
        return place === undefined ? [] : [{ peer: place, attributes }]
      })
      if (known.length > 0) yield prefixRecord(prefix, known, sequence++, seconds)
    }
  }
}

function viewOf(peering: Peering, rib: Rib): PeerView {
  const { config, state, stateSince, agreed, upSince, lastDown, blockedOctets } = peering
  const id = rib.peers.find(config.address)
  const { families = FAMILIES } = config
  return {
    address: config.address,
    asn: config.asn,
    description: config.description,
    isShutdown: config.isShutdown ?? false,
    localAddress: config.localAddress,
    state,
    stateSince,
    agreed,
    upSince,
    session: peering.session.facts,
    lastDown,
    families: families.map((family) => ({
      family,
      isUp: agreed?.context.families.includes(family) ?? false,
      paths: id === undefined ? 0 : (rib.families[family].pathsOf[id] ?? 0),
    })),
    problems: peering.problems,
    blockedOctets,
  }
}
