/**
 * Which of many has the fewest, kept while counts change: a tournament, in which
 * every round's winner is known.
 *
 * A change costs log2 of their number, the question nothing.
 *
 * @module
 */

/** Counts by index; the lowest index wins among equals. */
export class Fewest {
  /** Winners by place in the tree: the root is 1, the children of n are 2n and 2n + 1; -1 is nobody. */
  private readonly winners: Int32Array
  private readonly counts: Float64Array
  private readonly size: number

  /** Everybody is out at first. */
  constructor(length: number) {
    let size = 1
    while (size < length) size *= 2
    this.size = size
    this.winners = new Int32Array(2 * size).fill(-1)
    this.counts = new Float64Array(length)
  }

  /** Index of the one with the fewest; undefined when everybody is out. */
  get first(): number | undefined {
    const winner = this.winners[1] ?? -1
    return winner < 0 ? undefined : winner
  }

  /** @param count Undefined: it is out. */
  set(index: number, count: number | undefined): void {
    let place = this.size + index
    this.counts[index] = count ?? 0
    this.winners[place] = count === undefined ? -1 : index
    for (place >>= 1; place > 0; place >>= 1) {
      this.winners[place] = this.better(this.winners[2 * place]!, this.winners[2 * place + 1]!)
    }
  }

  private better(left: number, right: number): number {
    if (left < 0 || right < 0) return Math.max(left, right)
    return this.counts[right]! < this.counts[left]! ? right : left
  }
}
