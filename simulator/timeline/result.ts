/**
 * What was seen while a cluster was at work and things broke. Times are virtual
 * milliseconds after the timeline's start.
 *
 * @module
 */

/** One look at the watched pairs of pods. */
export interface TimePoint {
  readonly atMs: number
  /** Pods that have their links. */
  readonly pods: number
  /** Watched pairs of which both pods live. */
  readonly pairs: number
  /** Of these, pairs without a way in one family or more. */
  readonly lost: number
  /** Of the lost ones, those that a switch without room cuts off. */
  readonly lostToOverflow: number
  /** Entries that switches heard of and have not written. */
  readonly queued: number
  /** Addresses in the store of pods that are no more. */
  readonly stranded: number
}

/** How long pairs of pods were without a way. */
export interface BlackHoles {
  /** Pairs that were watched. */
  readonly watched: number
  /** Pairs that lost packets at least once. */
  readonly affected: number
  /** Seconds summed over the affected pairs. */
  readonly pairSeconds: number
  /** Of one affected pair. */
  readonly medianMs: number
  readonly maxMs: number
  /** The pair with that, and why: e.g. `pod 3 to pod 9: tor-0 sends into …`. */
  readonly worst: string | undefined
}

/** One fault, or its mending. */
export interface FaultOutcome {
  /** E.g. `spine-0 down`, `node-0003 up`, `store away`. */
  readonly what: string
  readonly atMs: number
  /** Pods that lost their node. */
  readonly podsLost: number
  /** Pairs without a way right after. */
  readonly lostAtOnce: number
  /** Until no agent, switch or link had anything left to do about it; undefined: the next fault came first. */
  readonly settledMs: number | undefined
  /** Pairs without a way then. */
  readonly lostAfter: number
  /** Seconds without a way from this until it settled, or until the next fault, summed over all pairs. */
  readonly pairSeconds: number
}

/** What became of the pods that the workload asked for. */
export interface WorkloadFigure {
  readonly added: number
  readonly removed: number
  /** ADDs that were refused for good. */
  readonly refused: number
  /** Why, of the first. */
  readonly firstRefusal?: string | undefined
  /** ADDs that were tried again. */
  readonly retried: number
  /** From the request to the pod's links. */
  readonly addMedianMs: number
  readonly addMaxMs: number
  /** Most addresses at once of pods that were no more, and how many are left. */
  readonly strandedPeak: number
  readonly strandedEnd: number
}

export interface TimelineResult {
  readonly untilMs: number
  readonly points: readonly TimePoint[]
  readonly faults: readonly FaultOutcome[]
  readonly blackHoles: BlackHoles
  readonly workload: WorkloadFigure
}
