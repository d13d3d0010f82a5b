/**
 * A heap of events over (tick, order of scheduling), for few events at a time.
 *
 * Four children a node and the keys beside the slots, in heap order: the four
 * children that are compared lie on one or two cache lines.
 *
 * @module
 */
import { type Numbers, widened } from './widened.ts'

const FIRST_CAPACITY = 64

export class EventHeap {
  /** How many are in it. */
  size = 0
  private ticks = new Float64Array(FIRST_CAPACITY)
  private sequences = new Float64Array(FIRST_CAPACITY)
  private slots = new Int32Array(FIRST_CAPACITY)

  /** Tick of the first; meaningless when there is none. */
  get tick(): number {
    return this.ticks[0]!
  }

  /** Slot of the first; meaningless when there is none. */
  get slot(): number {
    return this.slots[0]!
  }

  add(tick: number, sequence: number, slot: number): void {
    if (this.size === this.slots.length) this.grow()
    let place = this.size++
    while (place > 0) {
      const parent = (place - 1) >> 2
      if (!this.isBefore(tick, sequence, parent)) break
      this.move(parent, place)
      place = parent
    }
    this.put(place, tick, sequence, slot)
  }

  /** Takes the first out. */
  remove(): void {
    const last = --this.size
    this.sink(0, this.ticks[last]!, this.sequences[last]!, this.slots[last]!)
  }

  /** Keeps what `isWanted` says yes to. */
  filter(isWanted: (slot: number) => boolean): void {
    let kept = 0
    for (let place = 0; place < this.size; place++) {
      if (isWanted(this.slots[place]!)) this.move(place, kept++)
    }
    this.size = kept
    for (let place = (kept + 2) >> 2; place >= 0; place--) {
      this.sink(place, this.ticks[place]!, this.sequences[place]!, this.slots[place]!)
    }
  }

  private sink(from: number, tick: number, sequence: number, slot: number): void {
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
    this.put(place, tick, sequence, slot)
  }

  private isBefore(tick: number, sequence: number, place: number): boolean {
    const other = this.ticks[place]!
    return tick < other || (tick === other && sequence < this.sequences[place]!)
  }

  private move(from: number, to: number): void {
    this.put(to, this.ticks[from]!, this.sequences[from]!, this.slots[from]!)
  }

  private put(place: number, tick: number, sequence: number, slot: number): void {
    this.ticks[place] = tick
    this.sequences[place] = sequence
    this.slots[place] = slot
  }

  private grow(): void {
    const wider = <T extends Numbers>(from: T): T => widened(from, this.size * 2)
    this.ticks = wider(this.ticks)
    this.sequences = wider(this.sequences)
    this.slots = wider(this.slots)
  }
}
