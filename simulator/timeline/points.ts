/**
 * A series of looks, short enough for a report: equal ones in a row are two points,
 * and when there are too many, neighbours are joined and the worse one stays.
 *
 * @module
 */
import type { TimePoint } from './result.ts'

export class PointSeries {
  private points: TimePoint[] = []
  /** The last look, when it said what the one before said. */
  private pending: TimePoint | undefined
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  add(point: TimePoint): void {
    const last = this.points.at(-1)
    if (last !== undefined && isSame(last, point)) {
      this.pending = point
      return
    }
    if (this.pending !== undefined) this.points.push(this.pending)
    this.pending = undefined
    this.points.push(point)
    if (this.points.length >= 2 * this.limit) this.points = halved(this.points)
  }

  all(): readonly TimePoint[] {
    const all = this.pending === undefined ? this.points : [...this.points, this.pending]
    return all.length > this.limit ? halved(all) : all
  }
}

/** The first and last stay; of each two neighbours between, the one with more lost pairs. */
function halved(points: readonly TimePoint[]): TimePoint[] {
  const kept: TimePoint[] = []
  for (let at = 1; at < points.length - 1; at += 2) {
    const [one, two] = [points[at]!, points[at + 1]!]
    kept.push(at + 1 < points.length - 1 && two.lost > one.lost ? two : one)
  }
  return [points[0]!, ...kept, points.at(-1)!]
}

const isSame = (left: TimePoint, right: TimePoint): boolean =>
  left.pods === right.pods &&
  left.pairs === right.pairs &&
  left.lost === right.lost &&
  left.lostToOverflow === right.lostToOverflow &&
  left.queued === right.queued &&
  left.stranded === right.stranded
