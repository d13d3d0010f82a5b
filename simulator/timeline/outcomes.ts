/**
 * What each fault did: pairs lost at once, how long until nothing was left to do, and
 * pairs lost then.
 *
 * @module
 */
import { TICKS_PER_MS } from '../clock.ts'
import type { FaultOutcome } from './result.ts'

interface Open {
  readonly what: string
  readonly atTick: number
  readonly podsLost: number
  /** Summed over all pairs before it. */
  readonly pairTicks: number
  lostAtOnce: number | undefined
}

/** What a look found. */
export interface Seen {
  readonly lost: number
  /** Black-hole time so far, summed over all pairs. */
  readonly pairTicks: number
}

export class Outcomes {
  readonly all: FaultOutcome[] = []

  private readonly startTick: number
  private open: Open[] = []

  constructor(startTick: number) {
    this.startTick = startTick
  }

  get isOpen(): boolean {
    return this.open.length > 0
  }

  /** A fault, or its mending. Those of an earlier tick end here, unsettled. */
  begin(what: string, tick: number, podsLost: number, seen: Seen): void {
    if (this.open.some(({ atTick }) => atTick !== tick)) this.end(tick, seen, false)
    const { pairTicks } = seen
    this.open.push({ what, atTick: tick, podsLost, pairTicks, lostAtOnce: undefined })
  }

  /** The first look after it. */
  seen({ lost }: Seen): void {
    for (const outcome of this.open) outcome.lostAtOnce ??= lost
  }

  /** Nothing is left to do, or there is no more time. */
  end(tick: number, { lost, pairTicks }: Seen, isSettled: boolean): void {
    for (const { what, atTick, podsLost, pairTicks: before, lostAtOnce } of this.open) {
      this.all.push({
        what,
        atMs: (atTick - this.startTick) / TICKS_PER_MS,
        podsLost,
        lostAtOnce: lostAtOnce ?? lost,
        settledMs: isSettled ? (tick - atTick) / TICKS_PER_MS : undefined,
        lostAfter: lost,
        pairSeconds: (pairTicks - before) / (1000 * TICKS_PER_MS),
      })
    }
    this.open = []
  }
}
