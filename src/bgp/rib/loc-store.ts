/**
 * Attributes after import policy, with what a decision compares in columns.
 *
 * @module
 */
import { type Ip, ipToInteger } from '../../net/mod.ts'
import type { AsSegment, Attributes } from '../attributes.ts'
import { asPathLength } from '../wire/as-path.ts'
import { ORIGINS } from './attribute-identity.ts'
import { AttributeStore } from './attribute-store.ts'
import { grown, ROWS_MIN } from './columns.ts'
import type { NextHops } from './next-hops.ts'
import type { PeerKind } from './peers.ts'

/** Who a set is from: the tag of the store. */
export type LocKind = 'own' | PeerKind

export const LOC_KINDS: readonly LocKind[] = ['own', 'ebgp', 'ibgp', 'client']

/** MED of a set without one: the best (RFC 4271 section 9.1.2.2 c) or the worst. */
export type MedMissing = 'best' | 'worst'

export class LocStore extends AttributeStore {
  localPref = new Uint32Array(ROWS_MIN)
  pathLength = new Uint16Array(ROWS_MIN)
  origin = new Uint8Array(ROWS_MIN)
  med = new Uint32Array(ROWS_MIN)
  /** RFC 4271 section 9.1.2.2 c; 0 is this AS. */
  neighbourAs = new Uint32Array(ROWS_MIN)
  /** Numbers of `NextHops`. */
  nextHop = new Int32Array(ROWS_MIN)
  /** ORIGINATOR_ID as a number; 0 is none. */
  originator = new Uint32Array(ROWS_MIN)
  clusters = new Uint16Array(ROWS_MIN)
  readonly #nextHops: NextHops
  readonly #medMissing: number

  constructor(nextHops: NextHops, medMissing: MedMissing) {
    super()
    this.#nextHops = nextHops
    this.#medMissing = medMissing === 'best' ? 0 : 0xffff_ffff
  }

  kindOf(id: number): LocKind {
    return LOC_KINDS[this.tagOf(id)]!
  }

  override get bytes(): number {
    return super.bytes + 29 * this.localPref.length
  }

  protected override added(id: number, attributes: Attributes): void {
    this.localPref[id] = attributes.localPref ?? 0
    this.pathLength[id] = asPathLength(attributes.asPath)
    this.origin[id] = ORIGINS.indexOf(attributes.origin)
    this.med[id] = attributes.med ?? this.#medMissing
    this.neighbourAs[id] = neighbourAs(attributes.asPath)
    this.nextHop[id] = this.#nextHops.hold(attributes.nextHop)
    this.originator[id] = numberOf(attributes.originatorId)
    this.clusters[id] = attributes.clusterList?.length ?? 0
  }

  protected override clear(id: number): void {
    super.clear(id)
    this.#nextHops.release(this.nextHop[id]!)
  }

  protected override growColumns(length: number): void {
    super.growColumns(length)
    this.localPref = grown(this.localPref, length)
    this.pathLength = grown(this.pathLength, length)
    this.origin = grown(this.origin, length)
    this.med = grown(this.med, length)
    this.neighbourAs = grown(this.neighbourAs, length)
    this.nextHop = grown(this.nextHop, length)
    this.originator = grown(this.originator, length)
    this.clusters = grown(this.clusters, length)
  }
}

const numberOf = (id: Ip | undefined): number => (id === undefined ? 0 : Number(ipToInteger(id)))

/** The AS that the route came from; one that begins with a set came from this AS's own aggregation. */
function neighbourAs(asPath: readonly AsSegment[]): number {
  const first = asPath.find(({ kind }) => kind === 'sequence' || kind === 'set')
  return first?.kind === 'sequence' ? (first.asns[0] ?? 0) : 0
}
