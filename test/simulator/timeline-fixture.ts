/**
 * A time line made by hand: what a drawing has to show, without a run.
 */
import type { FaultOutcome, TimelineResult, TimePoint } from '../../simulator/timeline/result.ts'

/** @param weight How much is lost while something is broken, from 0 to 1. */
export function timelineFixture(weight: number, faults = FAULTS): TimelineResult {
  const points = Array.from({ length: 121 }, (_, step) => pointAt(step * 500, weight, faults))
  return {
    untilMs: 60_000,
    points,
    faults,
    blackHoles: {
      watched: 200,
      affected: 64,
      pairSeconds: 412.5,
      medianMs: 5200,
      maxMs: 20_100,
      worst: 'pod 3 to pod 9: tor-0 sends into link tor-0--spine-0, which is down',
    },
    workload: {
      added: 90,
      removed: 88,
      refused: 0,
      retried: 2,
      addMedianMs: 12,
      addMaxMs: 140,
      strandedPeak: 24,
      strandedEnd: 0,
    },
  }
}

const FAULTS: readonly FaultOutcome[] = [
  outcome('spine-0 down', 5_000, 90),
  outcome('link tor-1--spine-1 down', 12_000, 40),
  outcome('spine-0 up', 20_000, 30),
  outcome('store away', 21_000, 0),
  outcome('node-0003 down', 30_000, 12),
  outcome('store back', 36_000, 0),
  outcome('link tor-1--spine-1 up', 40_000, 0),
  outcome('tor-3 down', 57_500, 50),
]

function outcome(what: string, atMs: number, lostAtOnce: number): FaultOutcome {
  return {
    what,
    atMs,
    podsLost: 0,
    lostAtOnce,
    settledMs: 350,
    lostAfter: 0,
    pairSeconds: lostAtOnce * 3,
  }
}

function pointAt(atMs: number, weight: number, faults: readonly FaultOutcome[]): TimePoint {
  const recent = faults.filter((fault) => fault.atMs <= atMs && atMs < fault.atMs + 3000)
  const lost = Math.min(
    200,
    recent.reduce((sum, { lostAtOnce }) => sum + lostAtOnce, 0),
  )
  return {
    atMs,
    pods: 400,
    pairs: 200,
    lost: Math.round(lost * weight),
    lostToOverflow: 0,
    queued: recent.length * 1800,
    stranded: 0,
  }
}
