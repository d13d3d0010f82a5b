/**
 * The RIB's front door: `Rib` takes what sessions say and tells what came of it;
 * `why`, `used`, `toldTo` and `exportOf` are for people.
 *
 * @module
 */
export type { Decode } from './attribute-store.ts'
export { STEPS, type StepName } from './decision.ts'
export {
  accepted,
  best,
  covering,
  type ExplainedPath,
  exportOf,
  received,
  type Standing,
  toldTo,
  used,
  why,
} from './explain.ts'
export type { Imported, Self } from './import.ts'
export type { LocKind } from './loc-store.ts'
export type { CostOf, RouteHop } from './next-hops.ts'
export {
  type Peer,
  type PeerFamily,
  type PeerKind,
  type PeerPolicies,
  type PeerRole,
  type PrefixLimit,
  withLimits,
} from './peers.ts'
export { type PrefixesExceeded, Rib, type RibOptions, type RibOutput } from './rib.ts'
