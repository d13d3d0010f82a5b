/**
 * The next events in the order in which they leave.
 *
 * @module
 */
import { widened } from './widened.ts'

const FIRST_CAPACITY = 256
const DIGITS = 256

export class EventRun {
  /** The next one's place; equal to `end` when none is left. */
  at = 0
  end = 0
  ticks = new Float64Array(FIRST_CAPACITY)
  slots = new Int32Array(FIRST_CAPACITY)
  private otherTicks = new Float64Array(FIRST_CAPACITY)
  private otherSlots = new Int32Array(FIRST_CAPACITY)
  private readonly starts = new Int32Array(DIGITS + 1)

  /** Starts over, with room for `count`. */
  begin(count: number): void {
    this.at = 0
    this.end = 0
    if (count <= this.slots.length) return
    const length = 2 ** (32 - Math.clz32(count))
    this.ticks = widened(this.ticks, length)
    this.slots = widened(this.slots, length)
    this.otherTicks = new Float64Array(length)
    this.otherSlots = new Int32Array(length)
  }

  append(ticks: Float64Array, slots: Int32Array, from: number, count: number): void {
    const { end } = this
    for (let index = 0; index < count; index++) {
      this.ticks[end + index] = ticks[from + index]!
      this.slots[end + index] = slots[from + index]!
    }
    this.end = end + count
  }

  /** Keeps what `isWanted` says yes to. */
  filter(isWanted: (slot: number) => boolean): void {
    let kept = this.at
    for (let place = this.at; place < this.end; place++) {
      const slot = this.slots[place]!
      if (!isWanted(slot)) continue
      this.ticks[kept] = this.ticks[place]!
      this.slots[kept++] = slot
    }
    this.end = kept
  }

  /** Insertion sort: stable, and the best there is for few. */
  sortFew(): void {
    const { ticks, slots, end } = this
    for (let next = 1; next < end; next++) {
      const tick = ticks[next]!
      const slot = slots[next]!
      let place = next
      while (place > 0 && ticks[place - 1]! > tick) {
        ticks[place] = ticks[place - 1]!
        slots[place] = slots[place - 1]!
        place--
      }
      ticks[place] = tick
      slots[place] = slot
    }
  }

  /** Counting sort by the lowest eight bits, in which alone the ticks differ. Stable. */
  sortByLastDigit(): void {
    const { ticks, slots, otherTicks, otherSlots, starts, end } = this
    starts.fill(0)
    for (let index = 0; index < end; index++) starts[(ticks[index]! & (DIGITS - 1)) + 1]!++
    for (let digit = 0; digit < DIGITS; digit++) starts[digit + 1]! += starts[digit]!
    for (let index = 0; index < end; index++) {
      const tick = ticks[index]!
      const place = starts[tick & (DIGITS - 1)]!++
      otherTicks[place] = tick
      otherSlots[place] = slots[index]!
    }
    this.ticks = otherTicks
    this.slots = otherSlots
    this.otherTicks = ticks
    this.otherSlots = slots
  }
}
