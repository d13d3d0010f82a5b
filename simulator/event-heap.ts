/**
 * A heap of events over (tick, order of scheduling), for few events at a time.
 *
 * Four children a node and the keys beside each other, in heap order: the four
 * children that are compared lie on one or two cache lines. What an event is
 * stays where it was put and does not move with the keys.
 *
 * @module
 */
import { type Numbers, widened } from './widened.ts'

const FIRST_CAPACITY = 64

export class EventHeap {
  /** How many are in it. */
  size = 0
  /** Exact up to 2^53 events. */
  private scheduled = 0
  private ticks = new Float64Array(FIRST_CAPACITY)
  private sequences = new Float64Array(FIRST_CAPACITY)
  /** Where the rest of an event lies; those after `size` are free. */
  private items = Int32Array.from({ length: FIRST_CAPACITY }, (_, item) => item)
  private whats = new Int32Array(FIRST_CAPACITY)
  private as = new Int32Array(FIRST_CAPACITY)
  private bs = new Int32Array(FIRST_CAPACITY)

  /** Of the first event, like the next three; meaningless when there is none. */
  get tick(): number {
    return this.ticks[0]!
  }

  get what(): number {
    return this.whats[this.items[0]!]!
  }

  get a(): number {
    return this.as[this.items[0]!]!
  }

  get b(): number {
    return this.bs[this.items[0]!]!
  }

  add(tick: number, what: number, a: number, b: number): void {
    if (this.size === this.items.length) this.grow()
    let place = this.size++
    const item = this.items[place]!
    this.whats[item] = what
    this.as[item] = a
    this.bs[item] = b
    const sequence = this.scheduled++
    while (place > 0) {
      const parent = (place - 1) >> 2
      if (!this.isBefore(tick, sequence, parent)) break
      this.move(parent, place)
      place = parent
    }
    this.put(place, tick, sequence, item)
  }

  /** Takes the first out. */
  remove(): void {
    const last = --this.size
    const item = this.items[0]!
    this.sink(0, this.ticks[last]!, this.sequences[last]!, this.items[last]!)
    this.items[last] = item
  }

  /** Keeps what `isWanted` says yes to. */
  filter(isWanted: (what: number) => boolean): void {
    let kept = 0
    for (let place = 0; place < this.size; place++) {
      const item = this.items[place]!
      if (!isWanted(this.whats[item]!)) continue
      this.items[place] = this.items[kept]!
      this.put(kept++, this.ticks[place]!, this.sequences[place]!, item)
    }
    this.size = kept
    for (let place = (kept - 2) >> 2; place >= 0; place--) {
      this.sink(place, this.ticks[place]!, this.sequences[place]!, this.items[place]!)
    }
  }

  private sink(from: number, tick: number, sequence: number, item: number): void {
    let place = from
    for (;;) {
      const first = place * 4 + 1
      if (first >= this.size) break
      const end = Math.min(first + 4, this.size)
      let least = first
      for (let child = first + 1; child < end; child++) {
        if (this.isBefore(this.ticks[child]!, this.sequences[child]!, least)) least = child
      }
      if (this.isBefore(tick, sequence, least)) break
      this.move(least, place)
      place = least
    }
    this.put(place, tick, sequence, item)
  }

  private isBefore(tick: number, sequence: number, place: number): boolean {
    const other = this.ticks[place]!
    return tick < other || (tick === other && sequence < this.sequences[place]!)
  }

  private move(from: number, to: number): void {
    this.put(to, this.ticks[from]!, this.sequences[from]!, this.items[from]!)
  }

  private put(place: number, tick: number, sequence: number, item: number): void {
    this.ticks[place] = tick
    this.sequences[place] = sequence
    this.items[place] = item
  }

  private grow(): void {
    const wider = <T extends Numbers>(from: T): T => widened(from, this.size * 2)
    this.ticks = wider(this.ticks)
    this.sequences = wider(this.sequences)
    this.items = wider(this.items)
    for (let item = this.size; item < this.items.length; item++) this.items[item] = item
    this.whats = wider(this.whats)
    this.as = wider(this.as)
    this.bs = wider(this.bs)
  }
}
