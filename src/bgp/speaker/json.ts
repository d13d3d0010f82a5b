/**
 * A speaker's answers as plain JSON, in the field's words: what `-o json` prints and
 * the control socket says.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Attributes } from '../attributes.ts'
import type { ExplainedPath } from '../rib/mod.ts'
import { asPathText } from '../wire/as-path.ts'
import { communityText, extendedCommunityText, largeCommunityText } from '../wire/communities.ts'
import { errorName } from '../wire/iana.ts'
import type { PeerView, Route, Told } from './queries.ts'
import type { TrialGround } from './trial.ts'

export interface AttributesJson {
  readonly nextHop: string
  readonly linkLocal?: string
  readonly asPath: string
  readonly origin: string
  readonly localPref?: number
  readonly med?: number
  readonly atomicAggregate?: true
  readonly aggregator?: string
  readonly communities?: readonly string[]
  readonly extendedCommunities?: readonly string[]
  readonly largeCommunities?: readonly string[]
  readonly originatorId?: string
  readonly clusterList?: readonly string[]
  readonly onlyToCustomer?: number
  /** Codes of those that are passed on unread. */
  readonly unknown?: readonly number[]
}

export function attributesJson(attributes: Attributes): AttributesJson {
  const { nextHop, linkLocal, asPath, origin, localPref, med, aggregator, clusterList } = attributes
  const { atomicAggregate, originatorId, onlyToCustomer, communities, largeCommunities } =
    attributes
  return {
    nextHop,
    ...(linkLocal && { linkLocal }),
    asPath: asPathText(asPath),
    origin,
    ...(localPref !== undefined && { localPref }),
    ...(med !== undefined && { med }),
    ...(atomicAggregate && { atomicAggregate }),
    ...(aggregator && { aggregator: `${aggregator.asn} ${aggregator.id}` }),
    ...(communities && { communities: communities.map((each) => colons(communityText(each))) }),
    ...(attributes.extendedCommunities && {
      extendedCommunities: attributes.extendedCommunities.map((each) =>
        colons(extendedCommunityText(each)),
      ),
    }),
    ...(largeCommunities && {
      largeCommunities: largeCommunities.map((each) => colons(largeCommunityText(each))),
    }),
    ...(originatorId && { originatorId }),
    ...(clusterList && { clusterList }),
    ...(onlyToCustomer !== undefined && { onlyToCustomer }),
    ...(attributes.unknown && { unknown: attributes.unknown.map(({ code }) => code) }),
  }
}

/** As files and routers' commands write them: `65001:100` for `(65001,100)`. */
const colons = (text: string): string => text.replace(/[()]/g, '').replace(/, */g, ':')

export interface PathJson extends AttributesJson {
  /** The peer's address, or `own`. */
  readonly from: string
  readonly pathId?: number
  readonly isStale?: true
  /** `best`, `multipath`, or what it lost or was rejected by. */
  readonly standing: string
}

export function pathJson({ peer, pathId, attributes, isStale, standing }: ExplainedPath): PathJson {
  const because =
    standing.kind === 'lost'
      ? `lost by ${standing.step}`
      : standing.kind === 'rejected'
        ? `rejected: ${standing.reason}`
        : standing.kind
  return {
    from: peer,
    ...(pathId !== 0 && { pathId }),
    ...(isStale && { isStale }),
    standing: because,
    ...attributesJson(attributes),
  }
}

export interface RouteJson extends AttributesJson {
  readonly prefix: string
  readonly from: string
  readonly isStale?: true
  /** What the kernel is given; none for own routes. */
  readonly nextHops: readonly string[]
}

export function routeJson({ prefix, best, nextHops }: Route): RouteJson {
  const { peer, isStale, attributes } = best
  return {
    prefix,
    from: peer,
    ...(isStale && { isStale }),
    nextHops: nextHops.map(({ nextHop, linkLocal }) => linkLocal ?? nextHop),
    ...attributesJson(attributes),
  }
}

export const toldJson = ({ prefix, pathId, attributes }: Told) => ({
  prefix,
  ...(pathId !== 0 && { pathId }),
  ...attributesJson(attributes),
})

/** Integers of 64 bits as text; attributes that nobody reads are left out. */
export function trialJson(ground: TrialGround | undefined): unknown {
  if (ground === undefined) return undefined
  const plain = ({ unknown: _unread, extendedCommunities: extended, ...rest }: Attributes) => ({
    ...rest,
    ...(extended && { extendedCommunities: extended.map(String) }),
  })
  const { used } = ground
  return {
    ...ground,
    received: ground.received.map(plain),
    ...(used && { used: { ...used, attributes: plain(used.attributes) } }),
  }
}

export interface PeerJson {
  readonly address: string
  readonly asn: number
  readonly description?: string
  readonly state: string
  /** In this state, seconds. */
  readonly seconds: number
  readonly routerId?: string
  readonly local?: string
  readonly holdSeconds?: number
  readonly families: readonly {
    readonly family: string
    readonly isUp: boolean
    readonly paths: number
  }[]
  readonly established: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly updatesIn: number
  readonly updatesOut: number
  readonly problems: number
  readonly blockedOctets?: number
  readonly lastError?: string
}

export function peerJson(view: PeerView, now: Instant): PeerJson {
  const { address, asn, description, agreed, session, lastDown, blockedOctets } = view
  const { counters } = session
  const lastError = session.lastError ?? lastDown?.reason
  return {
    address,
    asn,
    ...(description !== undefined && { description }),
    state: view.isShutdown && view.state === 'idle' ? 'shutdown' : view.state,
    seconds: Math.floor((now - view.stateSince) / 1000),
    ...(agreed && {
      routerId: agreed.routerId,
      local: agreed.local,
      holdSeconds: agreed.holdSeconds,
    }),
    families: view.families,
    established: session.establishments,
    ...counters,
    problems: view.problems,
    ...(blockedOctets !== undefined && { blockedOctets }),
    ...(lastError && { lastError: reasonText(lastError) }),
  }
}

/** Who ended a session, and why. */
export function reasonText({
  by,
  code,
  subcode,
  text,
}: NonNullable<PeerView['lastDown']>['reason']): string {
  const name = code === undefined ? undefined : errorName(code, subcode ?? 0)
  const who = by === 'us' ? 'us' : 'the peer'
  return name === undefined || text.includes(name) ? `${who}: ${text}` : `${who}: ${name}: ${text}`
}
