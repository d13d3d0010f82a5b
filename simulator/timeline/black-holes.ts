/**
 * How long watched pairs were without a way.
 *
 * @module
 */
import { TICKS_PER_MS } from '../clock.ts'
import type { BlackHoles } from './result.ts'

interface Hole {
  ticks: number
  /** Undefined: it has a way now. */
  sinceTick: number | undefined
  why: string
}

export class HoleBook {
  private readonly open = new Map<number, Hole>()
  private readonly closed: { readonly ticks: number; readonly why: string }[] = []
  private watched = 0

  /** A pair is watched from now on. */
  begin(place: number): void {
    this.watched++
    this.open.set(place, { ticks: 0, sinceTick: undefined, why: '' })
  }

  /** What a look found. @param why The pair and what stopped it; undefined: it has a way. */
  note(place: number, tick: number, why: string | undefined): void {
    const hole = this.open.get(place)
    if (hole === undefined) return
    if (why === undefined) {
      if (hole.sinceTick === undefined) return
      hole.ticks += tick - hole.sinceTick
      hole.sinceTick = undefined
    } else if (hole.sinceTick === undefined) {
      hole.sinceTick = tick
      hole.why ||= why
    }
  }

  /** The pair is not watched any more. */
  end(place: number, tick: number): void {
    this.note(place, tick, undefined)
    const hole = this.open.get(place)
    if (hole !== undefined && hole.ticks > 0) this.closed.push(hole)
    this.open.delete(place)
  }

  /** Every pair, those still watched included. */
  figure(tick: number): BlackHoles {
    for (const place of [...this.open.keys()]) this.end(place, tick)
    const holes = [...this.closed].sort((left, right) => left.ticks - right.ticks)
    const sum = holes.reduce((total, { ticks }) => total + ticks, 0)
    const worst = holes.at(-1)
    return {
      watched: this.watched,
      affected: holes.length,
      pairSeconds: sum / (1000 * TICKS_PER_MS),
      medianMs: (holes[Math.floor((holes.length - 1) / 2)]?.ticks ?? 0) / TICKS_PER_MS,
      maxMs: (worst?.ticks ?? 0) / TICKS_PER_MS,
      worst: worst?.why,
    }
  }

  /** Summed over all pairs up to now. */
  pairTicks(tick: number): number {
    let sum = 0
    for (const { ticks } of this.closed) sum += ticks
    for (const { ticks, sinceTick } of this.open.values()) {
      sum += ticks + (sinceTick === undefined ? 0 : tick - sinceTick)
    }
    return sum
  }
}
