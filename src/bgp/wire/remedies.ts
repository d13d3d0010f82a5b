/**
 * What each fault of an UPDATE costs: RFC 7606, and those named at the rows.
 *
 * A fault that has no row cannot be reported: `faultOf` refuses it.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import { ATTRIBUTE, UPDATE_ERROR } from './iana.ts'

/**
 * From weak to strong; of several faults the strongest remedy counts (RFC 7606 section 3 h).
 * Discard: the attribute is left out. Withdraw: all of the message's prefixes are withdrawn.
 * Reset: the session ends.
 */
export type Remedy = 'discard' | 'withdraw' | 'reset'

export type FaultKind =
  | 'flags' // the Optional or the Transitive bit contradicts the type
  | 'length' // of the attribute
  | 'value' // one that the specification does not define
  | 'segment' // of AS_PATH: unknown type, empty, or longer than the attribute
  | 'as-zero'
  | 'as-set'
  | 'confederation' // its segments from outside of it, or none from inside
  | 'first-as' // is not the peer's
  | 'external' // an attribute that only internal peers send
  | 'superfluous' // AS4_PATH and AS4_AGGREGATOR between speakers of four octets
  | 'missing'
  | 'again' // appears more than once
  | 'unrecognized' // well-known, but not to us
  | 'next-hop' // of MP_REACH_NLRI: length
  | 'nlri' // prefixes that cannot be parsed
  | 'family' // prefixes of one that was not negotiated
  | 'overrun' // an attribute is longer than what is left
  | 'lengths' // of withdrawn routes and attributes against the message's

/** An attribute's code, every attribute, or a field of the message. */
export type Subject = number | 'any' | 'message' | 'withdrawn' | 'announced'

export interface RemedyRow {
  readonly subject: Subject
  readonly fault: FaultKind
  readonly remedy: Remedy
  /** Of UPDATE Message Error, when the session must end after all. */
  readonly subcode: number
  readonly source: string
}

const { LENGTH, FLAGS, MALFORMED_LIST, OPTIONAL, MALFORMED_AS_PATH } = UPDATE_ERROR

function row(
  subject: Subject,
  fault: FaultKind,
  remedy: Remedy,
  subcode: number,
  source: string,
): RemedyRow {
  return { subject, fault, remedy, subcode, source }
}

const A = ATTRIBUTE

export const REMEDIES: readonly RemedyRow[] = [
  row('message', 'lengths', 'reset', MALFORMED_LIST, 'RFC 4271 section 6.3'),
  row('message', 'overrun', 'withdraw', MALFORMED_LIST, 'RFC 7606 section 4'),
  row('withdrawn', 'nlri', 'reset', UPDATE_ERROR.INVALID_NETWORK, 'RFC 7606 section 5.3'),
  row('announced', 'nlri', 'reset', UPDATE_ERROR.INVALID_NETWORK, 'RFC 7606 section 5.3'),
  row('withdrawn', 'family', 'discard', OPTIONAL, 'RFC 4760 section 8'),
  row('announced', 'family', 'discard', OPTIONAL, 'RFC 4760 section 8'),
  row('any', 'unrecognized', 'reset', UPDATE_ERROR.UNRECOGNIZED_WELL_KNOWN, 'RFC 4271 section 6.3'),
  row('any', 'flags', 'withdraw', FLAGS, 'RFC 7606 section 3 c'),
  row('any', 'again', 'discard', MALFORMED_LIST, 'RFC 7606 section 3 g'),
  row(A.MP_REACH_NLRI, 'again', 'reset', MALFORMED_LIST, 'RFC 7606 section 3 g'),
  row(A.MP_UNREACH_NLRI, 'again', 'reset', MALFORMED_LIST, 'RFC 7606 section 3 g'),
  row(A.ORIGIN, 'missing', 'withdraw', UPDATE_ERROR.MISSING_WELL_KNOWN, 'RFC 7606 section 3 d'),
  row(A.AS_PATH, 'missing', 'withdraw', UPDATE_ERROR.MISSING_WELL_KNOWN, 'RFC 7606 section 3 d'),
  row(A.NEXT_HOP, 'missing', 'withdraw', UPDATE_ERROR.MISSING_WELL_KNOWN, 'RFC 7606 section 3 d'),
  row(A.LOCAL_PREF, 'missing', 'withdraw', UPDATE_ERROR.MISSING_WELL_KNOWN, 'RFC 7606 section 3 d'),
  row(A.ORIGIN, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.1'),
  row(A.ORIGIN, 'value', 'withdraw', UPDATE_ERROR.INVALID_ORIGIN, 'RFC 7606 section 7.1'),
  row(A.AS_PATH, 'segment', 'withdraw', MALFORMED_AS_PATH, 'RFC 7606 section 7.2'),
  row(A.AS_PATH, 'as-zero', 'withdraw', MALFORMED_AS_PATH, 'RFC 7607 section 2'),
  row(A.AS_PATH, 'as-set', 'withdraw', MALFORMED_AS_PATH, 'RFC 9774 section 3'),
  row(A.AS_PATH, 'confederation', 'withdraw', MALFORMED_AS_PATH, 'RFC 5065 section 5'),
  row(A.AS_PATH, 'first-as', 'withdraw', MALFORMED_AS_PATH, 'RFC 4271 section 6.3'),
  row(A.NEXT_HOP, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.3'),
  row(A.MULTI_EXIT_DISC, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.4'),
  row(A.LOCAL_PREF, 'external', 'discard', OPTIONAL, 'RFC 7606 section 7.5'),
  row(A.LOCAL_PREF, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.5'),
  row(A.ATOMIC_AGGREGATE, 'length', 'discard', LENGTH, 'RFC 7606 section 7.6'),
  row(A.AGGREGATOR, 'length', 'discard', LENGTH, 'RFC 7606 section 7.7'),
  row(A.AGGREGATOR, 'as-zero', 'discard', OPTIONAL, 'RFC 7607 section 2'),
  row(A.COMMUNITIES, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.8'),
  row(A.ORIGINATOR_ID, 'external', 'discard', OPTIONAL, 'RFC 7606 section 7.9'),
  row(A.ORIGINATOR_ID, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.9'),
  row(A.CLUSTER_LIST, 'external', 'discard', OPTIONAL, 'RFC 7606 section 7.10'),
  row(A.CLUSTER_LIST, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.10'),
  row(A.MP_REACH_NLRI, 'length', 'reset', OPTIONAL, 'RFC 7606 section 7.11'),
  row(A.MP_REACH_NLRI, 'next-hop', 'reset', OPTIONAL, 'RFC 7606 section 7.11'),
  row(A.MP_REACH_NLRI, 'nlri', 'reset', OPTIONAL, 'RFC 7606 section 5.3'),
  row(A.MP_UNREACH_NLRI, 'length', 'reset', OPTIONAL, 'RFC 7606 section 7.12'),
  row(A.MP_UNREACH_NLRI, 'nlri', 'reset', OPTIONAL, 'RFC 7606 section 5.3'),
  row(A.EXTENDED_COMMUNITIES, 'length', 'withdraw', LENGTH, 'RFC 7606 section 7.14'),
  row(A.AS4_PATH, 'superfluous', 'discard', OPTIONAL, 'RFC 6793 section 6'),
  row(A.AS4_PATH, 'segment', 'discard', OPTIONAL, 'RFC 6793 section 6'),
  row(A.AS4_PATH, 'as-zero', 'discard', OPTIONAL, 'RFC 7607 section 2'),
  row(A.AS4_PATH, 'as-set', 'withdraw', OPTIONAL, 'RFC 9774 section 3'),
  row(A.AS4_AGGREGATOR, 'superfluous', 'discard', OPTIONAL, 'RFC 6793 section 6'),
  row(A.AS4_AGGREGATOR, 'length', 'discard', OPTIONAL, 'RFC 6793 section 6'),
  row(A.AS4_AGGREGATOR, 'as-zero', 'discard', OPTIONAL, 'RFC 7607 section 2'),
  row(A.LARGE_COMMUNITIES, 'length', 'withdraw', LENGTH, 'RFC 8092 section 6'),
  row(A.ONLY_TO_CUSTOMER, 'length', 'withdraw', LENGTH, 'RFC 9234 section 5'),
]

const BY_KEY: ReadonlyMap<string, RemedyRow> = new Map(
  REMEDIES.map((each) => [`${each.subject} ${each.fault}`, each]),
)

/** One fault that was found, with what it costs. */
export interface UpdateFault {
  readonly subject: Subject
  readonly fault: FaultKind
  readonly remedy: Remedy
  readonly subcode: number
  /** For a log: what was found, what was wanted, and who says so. */
  readonly reason: string
}

/** Looks the row up: the attribute's own, or the one for all. */
export function faultOf(subject: Subject, fault: FaultKind, what: string): UpdateFault {
  const found =
    BY_KEY.get(`${subject} ${fault}`) ??
    (typeof subject === 'number' ? BY_KEY.get(`any ${fault}`) : undefined)
  invariant(found !== undefined, `no remedy for ${subject} ${fault}`)
  const { remedy, subcode, source } = found
  return { subject, fault, remedy, subcode, reason: `${what} (${source})` }
}

/** The first of those with the strongest remedy. */
export function strongest(faults: readonly UpdateFault[]): UpdateFault | undefined {
  return (
    faults.find(({ remedy }) => remedy === 'reset') ??
    faults.find(({ remedy }) => remedy === 'withdraw') ??
    faults[0]
  )
}
