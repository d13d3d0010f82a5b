/**
 * From what this speaker uses to what it tells a group of peers: who may learn what
 * of whom, well-known communities, what stays in the AS, policy, roles.
 *
 * @module
 */
import type { Attributes } from '../attributes.ts'
import type { Family } from '../nlri.ts'
import { CompiledPolicy, type Hop } from '../policy/compiled.ts'
import { type Policy, prepended, WELL_KNOWN, withGracefulShutdown } from '../policy/policy.ts'
import type { Imported, Self } from './import.ts'
import type { LocKind } from './loc-store.ts'
import type { PeerKind, PeerRole } from './peers.ts'

/** What peers of one group have in common: all that decides what they are told. */
export interface ExportTerms {
  readonly family: Family
  readonly kind: PeerKind
  readonly self: Hop
  readonly addPath: boolean
  readonly policy: Policy | undefined
  readonly role: PeerRole | undefined
  /** Their sessions are about to end (RFC 8326). */
  readonly gracefulShutdown: boolean
  /** Clients of this route server (RFC 7947). */
  readonly transparent: boolean
}

/** Bit 62 of an extended community: not for other ASes (RFC 4360 section 2). */
const NON_TRANSITIVE = 1n << 62n

type Changing = { -readonly [Key in keyof Attributes]: Attributes[Key] }

export class ExportContext {
  readonly terms: ExportTerms
  readonly policy: CompiledPolicy | undefined
  readonly #self: Self

  constructor(terms: ExportTerms, self: Self) {
    this.terms = terms
    this.#self = self
    this.policy = terms.policy && new CompiledPolicy(terms.policy, terms.family)
  }

  decide(
    used: Attributes,
    from: LocKind,
    prefixClass: number,
    onMatch?: (rule: string) => void,
  ): Imported {
    const { kind, policy, self } = this.terms
    const reason = this.#held(used, from)
    if (reason !== undefined) return { kind: 'reject', reason }
    const { nextHop, linkLocal } = used
    // An own route has no next hop that others could use but this end.
    const unchanged: Hop =
      from === 'own' ? self : { nextHop, ...(linkLocal !== undefined && { linkLocal }) }
    const next = kind === 'ebgp' ? this.#outside(used, from) : this.#inside(used, from)
    if (this.policy === undefined) {
      return { kind: 'accept', rule: 'no policy', attributes: this.#going(next) }
    }
    const source = from === 'own' || from === 'ebgp' ? from : 'ibgp'
    const context = { source, asn: this.#self.asn, hops: { self, unchanged } } as const
    const verdict = this.policy.decide(next, prefixClass, context, onMatch)
    if (verdict.kind === 'accept') {
      return { ...verdict, attributes: this.#going(verdict.attributes) }
    }
    return { kind: 'reject', reason: `policy ${policy?.name}, ${verdict.rule}` }
  }

  /** Why the route goes to nobody of the group, whatever a policy says. */
  #held(used: Attributes, from: LocKind): string | undefined {
    const { kind, policy, role } = this.terms
    const { onlyToCustomer } = used
    // RFC 7947 section 2.2.4: they are for the clients, not for the route server.
    const { communities = [] } = this.#isPassedOn(used, from) ? {} : used
    if (communities.includes(WELL_KNOWN.noAdvertise)) return 'community no-advertise'
    if (kind === 'ebgp') {
      if (policy === undefined) return 'no export policy (RFC 8212)'
      if (communities.includes(WELL_KNOWN.noExport)) return 'community no-export'
      if (communities.includes(WELL_KNOWN.noExportSubconfed)) return 'community no-export-subconfed'
      const isUpward = role === 'provider' || role === 'peer' || role === 'route-server'
      return isUpward && onlyToCustomer !== undefined ? `OTC to ${role} (RFC 9234)` : undefined
    }
    // RFC 4271 section 9.2; RFC 4456 section 6: a reflector passes on between clients and others.
    return from === 'ibgp' && kind === 'ibgp' ? 'from one iBGP peer to another' : undefined
  }

  /** RFC 8326 section 4.2; behind the policy, which may remove communities. */
  #going(attributes: Attributes): Attributes {
    const { gracefulShutdown, kind } = this.terms
    if (!gracefulShutdown) return attributes
    return kind === 'ebgp' ? withGracefulShutdown(attributes) : { ...attributes, localPref: 0 }
  }

  /** RFC 4271 section 5.1: what another AS is told, and by whom. */
  #outside(used: Attributes, from: LocKind): Attributes {
    const { self, role } = this.terms
    const next: Changing = { ...used }
    delete next.localPref
    delete next.originatorId
    delete next.clusterList
    if (role === 'customer' || role === 'peer' || role === 'route-server-client') {
      next.onlyToCustomer ??= this.#self.asn
    }
    if (this.#isPassedOn(used, from)) return next
    next.asPath = prepended(used.asPath, this.#self.asn, 1)
    // 5.1.4: a metric that a neighbour set is not for other ASes.
    if (from !== 'own') delete next.med
    if (next.extendedCommunities !== undefined) {
      const kept = next.extendedCommunities.filter((each) => (each & NON_TRANSITIVE) === 0n)
      if (kept.length > 0) next.extendedCommunities = kept
      else delete next.extendedCommunities
    }
    return withHop(next, self)
  }

  /**
   * Whether it leaves as it came: RFC 7947 section 2.2. Routes of this AS are told as to any other
   * peer, as a path from outside must not be empty.
   */
  #isPassedOn({ asPath }: Attributes, from: LocKind): boolean {
    return this.terms.transparent && from !== 'own' && asPath.length > 0
  }

  /** RFC 4271 section 5.1.3: unchanged inside, but for own routes; RFC 4456 section 8 when reflected. */
  #inside(used: Attributes, from: LocKind): Attributes {
    if (from === 'own') return withHop({ ...used }, this.terms.self)
    const next: Changing = { ...used }
    // RFC 2545 section 3: means nothing on another link.
    delete next.linkLocal
    if (from === 'ebgp') return next
    const { routerId, clusterId = routerId } = this.#self
    next.clusterList = [clusterId, ...(used.clusterList ?? [])]
    return next
  }
}

function withHop(next: Changing, { nextHop, linkLocal }: Hop): Attributes {
  next.nextHop = nextHop
  if (linkLocal === undefined) delete next.linkLocal
  else next.linkLocal = linkLocal
  return next
}
