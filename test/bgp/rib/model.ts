/**
 * What a RIB means, slowly: lists of objects, every answer worked out from the
 * beginning, rules read from the RFCs again. No line is shared with src/bgp/rib.
 */
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Peer } from '../../../src/bgp/rib/peers.ts'
import { compareIp, type Ip, ipToInteger, type Prefix } from '../../../src/net/mod.ts'

export const OWN_ASN = 64_512
export const OWN_ID = '10.0.0.1' as Ip

/** A route in Adj-RIB-In; `peer` undefined: our own. */
interface Route {
  readonly peer: Peer | undefined
  readonly prefix: Prefix
  readonly pathId: number
  readonly received: Attributes
  /** How many restarts ago it was taught. */
  age: number
}

/** A route in use: after import. */
interface Used extends Route {
  readonly attributes: Attributes
}

/** Policies of the tests by name, each once more as a function. */
export type PolicyFunction = (
  prefix: Prefix,
  attributes: Attributes,
  source: 'own' | 'ebgp' | 'ibgp',
) => Attributes | undefined
export type PolicyFunctions = Readonly<Record<string, PolicyFunction>>

export interface ModelOptions {
  readonly multipath: number
  readonly medMissing: 'best' | 'worst'
  readonly alwaysCompareMed: boolean
}

const NO_EXPORT = 0xffffff01
const NO_ADVERTISE = 0xffffff02
const NO_EXPORT_SUBCONFED = 0xffffff03
const GRACEFUL_SHUTDOWN = 0xffff0000

const familyOf = (prefix: Prefix): Family => (prefix.includes(':') ? 'ipv6' : 'ipv4')
const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b))
const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b))

export class Model {
  routes: Route[] = []
  readonly up = new Map<Ip, Peer>()
  /** The newest configuration of whoever was up once. */
  readonly known = new Map<Ip, Peer>()
  readonly costs = new Map<Ip, number | undefined>()
  readonly policies: PolicyFunctions
  readonly options: ModelOptions

  constructor(policies: PolicyFunctions, options: ModelOptions) {
    this.policies = policies
    this.options = options
  }

  peerUp(peer: Peer): void {
    this.up.set(peer.address, peer)
    this.known.set(peer.address, peer)
    this.routes = this.routes.filter(
      (route) =>
        route.peer?.address !== peer.address || peer.families[familyOf(route.prefix)] !== undefined,
    )
  }

  peerDown(address: Ip, retain: readonly Family[]): void {
    this.up.delete(address)
    this.routes = this.routes.filter(
      ({ peer, prefix, age }) =>
        peer?.address !== address || (retain.includes(familyOf(prefix)) && age === 0),
    )
    this.age(address, undefined)
  }

  age(address: Ip, family: Family | undefined): void {
    for (const route of this.routes) {
      const isMeant = family === undefined || familyOf(route.prefix) === family
      if (route.peer?.address === address && isMeant) route.age++
    }
  }

  sweep(address: Ip, family: Family): void {
    this.routes = this.routes.filter(
      ({ peer, prefix, age }) =>
        peer?.address !== address || familyOf(prefix) !== family || age === 0,
    )
  }

  withdraw(address: Ip | undefined, prefix: Prefix, pathId: number): void {
    this.routes = this.routes.filter(
      (route) =>
        route.peer?.address !== address || route.prefix !== prefix || route.pathId !== pathId,
    )
  }

  announce(peer: Peer | undefined, prefix: Prefix, pathId: number, received: Attributes): void {
    this.withdraw(peer?.address, prefix, pathId)
    this.routes.push({ peer, prefix, pathId, received, age: 0 })
  }

  /** RFC 4271 9.1.1 and 9.1.2, 4456 section 8, 8212, 8326. */
  #imported(route: Route): Used | undefined {
    const { received } = route
    if (route.peer === undefined) return { ...route, attributes: received }
    // Policies may be changed while it is up.
    const peer = this.known.get(route.peer.address)!
    if (received.asPath.some(({ asns }) => asns.includes(OWN_ASN))) return undefined
    const isOutside = peer.kind === 'ebgp'
    if (!isOutside && received.originatorId === OWN_ID) return undefined
    if (!isOutside && received.clusterList?.includes(OWN_ID)) return undefined
    const policy = peer.importPolicy?.name
    if (isOutside && policy === undefined) return undefined
    const { localPref = 100, originatorId = peer.routerId, clusterList, ...rest } = received
    const cleared: Attributes = isOutside
      ? { ...rest, localPref: 100 }
      : { ...rest, localPref, originatorId, ...(clusterList && { clusterList }) }
    if (policy === undefined) return { ...route, attributes: cleared }
    const source = isOutside ? 'ebgp' : 'ibgp'
    const passed = this.policies[policy]!(route.prefix, cleared, source)
    if (passed === undefined) return undefined
    const marked = isOutside && peer.gracefulShutdown ? goingAway(passed) : passed
    const isGoing = isOutside && marked.communities?.includes(GRACEFUL_SHUTDOWN)
    return { ...route, attributes: isGoing ? { ...marked, localPref: 0 } : marked }
  }

  /** RFC 4271 9.1.2.2; the best first, then those used with it; and all candidates. */
  decide(prefix: Prefix): {
    readonly chosen: readonly Used[]
    readonly candidates: readonly Used[]
  } {
    const candidates = this.routes
      .filter((route) => route.prefix === prefix)
      .flatMap((route) => this.#imported(route) ?? [])
      .filter(
        ({ peer, attributes }) =>
          peer === undefined || this.costs.get(attributes.nextHop) !== undefined,
      )
    let rest = candidates
    const keep = (
      best: (values: readonly number[]) => number,
      key: (route: Used) => number,
    ): void => {
      if (rest.length > 0) rest = rest.filter((route) => key(route) === best(rest.map(key)))
    }
    keep(least, ({ peer }) => (peer === undefined ? 0 : 1))
    keep(most, ({ attributes }) => attributes.localPref!)
    keep(least, ({ attributes }) => pathLength(attributes))
    keep(least, ({ attributes }) => ['igp', 'egp', 'incomplete'].indexOf(attributes.origin))
    const missing = this.options.medMissing === 'best' ? 0 : 2 ** 32 - 1
    const med = ({ attributes }: Used): number => attributes.med ?? missing
    const isComparable = (a: Used, b: Used): boolean =>
      this.options.alwaysCompareMed || neighbourAs(a) === neighbourAs(b)
    rest = rest.filter(
      (route) => !rest.some((other) => isComparable(route, other) && med(other) < med(route)),
    )
    keep(least, ({ peer }) => (peer === undefined || peer.kind === 'ebgp' ? 0 : 1))
    keep(least, ({ attributes }) => this.costs.get(attributes.nextHop) ?? 0)
    const idOf = ({ peer, attributes }: Used): bigint =>
      peer === undefined ? 0n : ipToInteger(attributes.originatorId ?? peer.routerId)
    const chosen = [...rest].sort(
      (a, b) =>
        Number(idOf(a) - idOf(b)) ||
        (a.attributes.clusterList?.length ?? 0) - (b.attributes.clusterList?.length ?? 0) ||
        compareIp(a.peer!.address, b.peer!.address) ||
        a.pathId - b.pathId,
    )
    return { chosen: chosen.slice(0, this.options.multipath), candidates }
  }

  prefixes(): readonly Prefix[] {
    return [...new Set(this.routes.map(({ prefix }) => prefix))]
  }

  /** What the kernel is to hold. */
  kernel(): ReadonlyMap<Prefix, readonly string[]> {
    const routes = new Map<Prefix, readonly string[]>()
    for (const prefix of this.prefixes()) {
      const { chosen } = this.decide(prefix)
      if (chosen.length === 0 || chosen[0]!.peer === undefined) continue
      const hops = chosen.map(({ attributes: { nextHop, linkLocal }, peer }) =>
        linkLocal === undefined ? nextHop : `${linkLocal}%${peer!.address}`,
      )
      routes.set(prefix, [...new Set(hops)].sort())
    }
    return routes
  }

  /** What a peer that is up knows from us: attributes by prefix. */
  told(peer: Peer): ReadonlyMap<Prefix, readonly Attributes[]> {
    const told = new Map<Prefix, readonly Attributes[]>()
    for (const prefix of this.prefixes()) {
      const family = peer.families[familyOf(prefix)]
      if (family === undefined) continue
      const { chosen, candidates } = this.decide(prefix)
      const sent = (family.addPathSend === true ? candidates : chosen.slice(0, 1)).flatMap(
        (route) => this.#exported(route, peer) ?? [],
      )
      if (sent.length > 0) told.set(prefix, sent)
    }
    return told
  }

  /** RFC 4271 5.1 and 9.2, 4456 section 6 and 8, 1997, 8212, 8326 4.2. */
  #exported(used: Used, to: Peer): Attributes | undefined {
    const sent = this.#sent(used, to)
    if (sent === undefined || to.gracefulShutdown !== true) return sent
    return to.kind === 'ebgp' ? goingAway(sent) : { ...sent, localPref: 0 }
  }

  #sent({ peer: from, prefix, attributes }: Used, to: Peer): Attributes | undefined {
    if (from?.address === to.address) return undefined
    const { communities = [] } = attributes
    const fromKind = from === undefined ? 'own' : this.known.get(from.address)!.kind
    // RFC 7947 2.2.
    const isPassedOn =
      to.transparent === true &&
      to.kind === 'ebgp' &&
      from !== undefined &&
      attributes.asPath.length > 0
    if (!isPassedOn && communities.includes(NO_ADVERTISE)) return undefined
    const policy = to.exportPolicy?.name
    const { self } = to.families[familyOf(prefix)]!
    const { linkLocal, med, localPref, originatorId, clusterList, ...rest } = attributes
    let sent: Attributes
    if (to.kind === 'ebgp') {
      if (policy === undefined) return undefined
      if (isPassedOn) {
        sent = { ...rest, ...(linkLocal && { linkLocal }), ...(med !== undefined && { med }) }
        return this.policies[policy]!(prefix, sent, fromKind === 'ebgp' ? 'ebgp' : 'ibgp')
      }
      if (communities.some((each) => each === NO_EXPORT || each === NO_EXPORT_SUBCONFED))
        return undefined
      sent = { ...rest, asPath: withOwn(rest.asPath), ...self }
      if (fromKind === 'own' && med !== undefined) sent = { ...sent, med }
    } else {
      if (fromKind === 'ibgp' && to.kind === 'ibgp') return undefined
      const inside = { ...rest, localPref: localPref!, ...(med !== undefined && { med }) }
      if (fromKind === 'own') sent = { ...inside, ...self }
      else if (fromKind === 'ebgp') sent = inside
      else {
        const clusters = [OWN_ID, ...(clusterList ?? [])]
        sent = { ...inside, originatorId: originatorId!, clusterList: clusters }
      }
    }
    if (policy === undefined) return sent
    const source = fromKind === 'own' || fromKind === 'ebgp' ? fromKind : 'ibgp'
    return this.policies[policy]!(prefix, sent, source)
  }
}

function goingAway(attributes: Attributes): Attributes {
  const all = new Set([...(attributes.communities ?? []), GRACEFUL_SHUTDOWN])
  return { ...attributes, communities: [...all].sort((a, b) => a - b) }
}

function pathLength({ asPath }: Attributes): number {
  return asPath.reduce((sum, { kind, asns }) => sum + (kind === 'set' ? 1 : asns.length), 0)
}

function neighbourAs({ attributes: { asPath } }: Used): number {
  const [first] = asPath
  return first?.kind === 'sequence' ? first.asns[0]! : 0
}

function withOwn(asPath: Attributes['asPath']): Attributes['asPath'] {
  const [first, ...rest] = asPath
  return first?.kind === 'sequence'
    ? [{ kind: 'sequence', asns: [OWN_ASN, ...first.asns] }, ...rest]
    : [{ kind: 'sequence', asns: [OWN_ASN] }, ...asPath]
}
