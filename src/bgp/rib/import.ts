/**
 * From what a peer said to what this speaker makes of it: loops, what an AS outside
 * may not say, policy, roles.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { Family } from '../nlri.ts'
import { CompiledPolicy } from '../policy/compiled.ts'
import { WELL_KNOWN, withGracefulShutdown } from '../policy/policy.ts'
import type { Peer } from './peers.ts'

/** RFC 4271 section 9.1.1 leaves it to the speaker; 100 is what others use. */
export const LOCAL_PREF_DEFAULT = 100

/** Who this speaker is. */
export interface Self {
  readonly asn: number
  readonly routerId: Ip
  /** RFC 4456 section 7. @default routerId */
  readonly clusterId?: Ip
}

export type Imported =
  | { readonly kind: 'accept'; readonly rule: string; readonly attributes: Attributes }
  | { readonly kind: 'reject'; readonly reason: string }

type Changing = { -readonly [Key in keyof Attributes]: Attributes[Key] }

/** One peer's way in for one family, as it was agreed on. */
export class ImportContext {
  readonly peer: Peer
  readonly policy: CompiledPolicy | undefined
  readonly #self: Self

  constructor(peer: Peer, self: Self, family: Family) {
    this.peer = peer
    this.#self = self
    this.policy = peer.importPolicy && new CompiledPolicy(peer.importPolicy, family)
  }

  /** Whether what comes in here becomes the same there. */
  isLike(other: ImportContext): boolean {
    const { role, importPolicy, gracefulShutdown = false } = this.peer
    const { peer } = other
    return (
      role === peer.role &&
      importPolicy === peer.importPolicy &&
      gracefulShutdown === (peer.gracefulShutdown ?? false) &&
      this.isSamePeer(other)
    )
  }

  isSamePeer({ peer }: ImportContext): boolean {
    const { kind, asn, routerId } = this.peer
    return kind === peer.kind && asn === peer.asn && routerId === peer.routerId
  }

  decide(received: Attributes, prefixClass: number, onMatch?: (rule: string) => void): Imported {
    const reason = this.#loop(received) ?? this.#leak(received)
    if (reason !== undefined) return { kind: 'reject', reason }
    const { kind, asn, routerId } = this.peer
    const next: Changing = { ...received }
    if (kind === 'ebgp') {
      // RFC 4271 section 5.1.5, RFC 4456 section 8: of this AS alone.
      delete next.localPref
      delete next.originatorId
      delete next.clusterList
      this.#mark(next, asn)
    } else if (next.originatorId === undefined) {
      // Who it goes on to must know whose it is; a decision takes it for the router id either way.
      next.originatorId = routerId
    }
    next.localPref ??= LOCAL_PREF_DEFAULT
    if (this.policy === undefined) {
      return kind === 'ebgp'
        ? { kind: 'reject', reason: 'no import policy (RFC 8212)' }
        : { kind: 'accept', rule: 'no policy', attributes: next }
    }
    const source = kind === 'ebgp' ? 'ebgp' : 'ibgp'
    const context = { source, asn: this.#self.asn } as const
    const verdict = this.policy.decide(next, prefixClass, context, onMatch)
    if (verdict.kind === 'reject') {
      return { kind: 'reject', reason: `policy ${this.policy.policy.name}, ${verdict.rule}` }
    }
    return { ...verdict, attributes: this.#shutDown(verdict.attributes) }
  }

  /** RFC 4271 section 9.1.2, RFC 4456 section 8. */
  #loop({ asPath, originatorId, clusterList = [] }: Attributes): string | undefined {
    const { asn, routerId, clusterId = routerId } = this.#self
    if (asPath.some(({ asns }) => asns.includes(asn))) return `own AS ${asn} in AS_PATH`
    if (this.peer.kind === 'ebgp') return undefined
    if (originatorId === routerId) return `own router id ${routerId} is ORIGINATOR_ID`
    if (clusterList.includes(clusterId)) return `own cluster ${clusterId} in CLUSTER_LIST`
    return undefined
  }

  /** RFC 9234 section 5: what was to go to customers only comes from elsewhere. */
  #leak({ onlyToCustomer }: Attributes): string | undefined {
    const { role, asn, kind } = this.peer
    if (kind !== 'ebgp' || role === undefined || onlyToCustomer === undefined) return undefined
    const isLeak =
      role === 'customer' ||
      role === 'route-server-client' ||
      (role === 'peer' && onlyToCustomer !== asn)
    return isLeak ? `route leak: OTC ${onlyToCustomer} from ${role} (RFC 9234)` : undefined
  }

  #mark(next: Changing, asn: number): void {
    const { role } = this.peer
    if (role === 'provider' || role === 'peer' || role === 'route-server')
      next.onlyToCustomer ??= asn
  }

  /** RFC 8326 sections 4.1 and 4.2: what is about to go, at either end, is the last to be used. */
  #shutDown(attributes: Attributes): Attributes {
    const { kind, gracefulShutdown = false } = this.peer
    if (kind !== 'ebgp') return attributes
    const marked = gracefulShutdown ? withGracefulShutdown(attributes) : attributes
    const isGoing = marked.communities?.includes(WELL_KNOWN.gracefulShutdown) ?? false
    return isGoing && marked.localPref !== 0 ? { ...marked, localPref: 0 } : marked
  }
}
