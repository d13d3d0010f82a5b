/**
 * The next events in the order in which they leave: ticks, and where the wheel
 * has the rest.
 *
 * @module
 */
const FIRST_CAPACITY = 256
const DIGITS = 256

export class EventRun {
  /** The next one's place; equal to `end` when none is left. */
  next = 0
  end = 0
  ticks = new Float64Array(FIRST_CAPACITY)
  /** Index of the entry's first word in the wheel. */
  entries = new Int32Array(FIRST_CAPACITY)
  /** By digit: where the next event of that digit belongs, while a run is made. */
  readonly starts = new Int32Array(DIGITS + 1)

  /** Starts over with `count` to be filled in, few enough for the first capacity. */
  restart(count: number): this {
    this.next = 0
    this.end = count
    return this
  }

  /** Starts over, with room for `count` and no digit counted. */
  begin(count: number): this {
    this.restart(0)
    const { starts } = this
    for (let digit = 0; digit <= DIGITS; digit++) starts[digit] = 0
    if (count > this.entries.length) {
      // Any power of two above.
      const length = (1 << (31 - Math.clz32(count))) * 2
      this.ticks = new Float64Array(length)
      this.entries = new Int32Array(length)
    }
    return this
  }

  /** Turns counts into places, and says what the highest count was. */
  counted(): number {
    const { starts } = this
    let most = 0
    for (let digit = 1; digit <= DIGITS; digit++) {
      const count = starts[digit]!
      if (count > most) most = count
      starts[digit] = starts[digit - 1]! + count
    }
    return most
  }

  /** Insertion sort: stable, and the best there is when few are far from their places. */
  sortNearly(): void {
    const { ticks, entries, end } = this
    for (let next = 1; next < end; next++) {
      const tick = ticks[next]!
      if (ticks[next - 1]! <= tick) continue
      const entry = entries[next]!
      let place = next
      do {
        ticks[place] = ticks[place - 1]!
        entries[place] = entries[place - 1]!
        place--
      } while (place > 0 && ticks[place - 1]! > tick)
      ticks[place] = tick
      entries[place] = entry
    }
  }

  /** Keeps what `isWanted` says yes to. */
  filter(isWanted: (entry: number) => boolean): void {
    let kept = this.next
    for (let place = this.next; place < this.end; place++) {
      const entry = this.entries[place]!
      if (!isWanted(entry)) continue
      this.ticks[kept] = this.ticks[place]!
      this.entries[kept++] = entry
    }
    this.end = kept
  }
}
