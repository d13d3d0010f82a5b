/**
 * Pending events: a cancellable priority queue over (tick, order of scheduling).
 *
 * An event is numbers in typed arrays, and no object is made for it. Two events
 * of one tick leave in the order in which they were scheduled, so a run never
 * depends on the queue's shape.
 *
 * Four places, each with the order that it needs:
 *
 *     schedule ─┬─ another epoch ──► heap of the far ones
 *               │                      │ an epoch at a time
 *               ├──────────────────► wheel ── a cell at a time, sorted ──► run ──► pop
 *               └─ earlier than what the wheel gave out ──► heap of the early ones ─┘
 *
 * The wheel keeps the future roughly, in sequential memory. Its next cell
 * becomes the run, in order. What is scheduled before the end of that run goes
 * through a heap, which stays small enough for the nearest cache.
 *
 * A cancelled event stays where it is, marked, until its turn comes; when more
 * are marked than wait, all marked ones are swept out. So memory is bounded by
 * what waits, whatever is scheduled and cancelled.
 *
 * Fields that hold ticks begin as minus zero, which the engine of Node.js takes
 * for a double. One that begins as a small integer is made over when a value
 * passes 2^31, and all code that was compiled for it with it.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { EventHeap } from './event-heap.ts'
import { EventRun } from './event-run.ts'
import { type EventHandle, EventSlots } from './event-slots.ts'
import { EPOCH, EventWheel, PACKING, WORD } from './event-wheel.ts'

export { type EventHandle, slotOf } from './event-slots.ts'

// Copied: a constant of the same module is compiled in, an imported one is read each time.
const WHAT = WORD.what
const A = WORD.a
const B = WORD.b
const KIND_BITS = PACKING.kindBits
const KIND_MASK = 2 ** KIND_BITS - 1
/** So few marked ones are not worth a sweep. */
const SWEEP_MIN = 4096

export class EventQueue {
  /** The event that `pop` took out last. */
  tick = -0
  kind = 0
  a = 0
  b = 0
  /** The slot that `scheduleTimer` gave it, or 0. */
  slot = 0

  /** How many events wait. */
  size = 0

  /** Nothing before this tick is in the wheel. */
  private horizon = -0
  private readonly slots = new EventSlots()
  private readonly wheel = new EventWheel()
  private readonly run = new EventRun()
  private readonly early = new EventHeap()
  private readonly far = new EventHeap()

  /**
   * Adds an event. `kind` is 0 to 255; `a` and `b` are 32-bit integers that mean
   * what the kind says.
   */
  schedule(tick: number, kind: number, a: number, b: number): void {
    this.put(tick, kind & KIND_MASK, a, b)
  }

  /**
   * The same for an event that may be cancelled.
   *
   * @returns Its slot; `handleOf` makes a handle of it, which does not fit into a
   *   small integer.
   */
  scheduleTimer(tick: number, kind: number, a: number, b: number): number {
    const slot = this.slots.take()
    this.put(tick, (slot << KIND_BITS) | (kind & KIND_MASK), a, b)
    return slot
  }

  /** The handle of the event that waits in a slot. */
  handleOf(slot: number): EventHandle {
    return this.slots.handleOf(slot)
  }

  /** Takes an event back. False when it has run or was cancelled before. */
  cancel(handle: EventHandle): boolean {
    if (!this.slots.cancel(handle)) return false
    this.size--
    if (this.slots.marked > this.size + SWEEP_MIN) this.sweep()
    return true
  }

  /** Tick of the next event; undefined when none waits. */
  nextTick(): number | undefined {
    return this.settle() ? this.firstTick() : undefined
  }

  /**
   * Moves the next event into `tick`, `kind`, `a`, `b`. False when none waits, or
   * none up to `untilTick`.
   */
  pop(untilTick = Number.MAX_SAFE_INTEGER): boolean {
    const { run, early } = this
    for (;;) {
      const { next } = run
      if (next === run.end) {
        if (!this.settle()) return false
        if (early.size > 0) return this.popEarly(untilTick)
        continue
      }
      const key = run.keys[next]!
      const tick = run.start + (key >>> run.shift)
      if (early.size > 0 && early.tick < tick) {
        if (!this.isDropped(early.what)) return this.popEarly(untilTick)
        early.remove()
        continue
      }
      if (tick > untilTick) return false
      run.next = next + 1
      const { words } = this.wheel
      const at = this.wheel.atOf(run, key)
      const what = words[at + WHAT]!
      const slot = what >>> KIND_BITS
      if (slot !== 0 && !this.slots.finish(slot)) continue
      this.tick = tick
      this.slot = slot
      this.kind = what & KIND_MASK
      this.a = words[at + A]!
      this.b = words[at + B]!
      this.size--
      return true
    }
  }

  private popEarly(untilTick: number): boolean {
    const { early } = this
    const { what } = early
    if (early.tick > untilTick) return false
    const slot = what >>> KIND_BITS
    if (slot !== 0) this.slots.finish(slot)
    this.size--
    this.tick = early.tick
    this.slot = slot
    this.kind = what & KIND_MASK
    this.a = early.a
    this.b = early.b
    early.remove()
    return true
  }

  private put(tick: number, what: number, a: number, b: number): void {
    // One test for most: whole, not below 0, of this epoch.
    const sinceEpoch = tick - this.wheel.epoch
    const low = sinceEpoch >>> 0
    if (low !== sinceEpoch || tick < this.horizon) this.putElsewhere(tick, what, a, b)
    else this.wheel.add(low | 0, what, a, b)
    this.size++
  }

  private putElsewhere(tick: number, what: number, a: number, b: number): void {
    // The message is made only when it is needed: it costs more than the event.
    if (!Number.isSafeInteger(tick) || tick < 0) invariant(false, `a whole tick, not ${tick}`)
    const heap = tick < this.horizon ? this.early : this.far
    heap.add(tick, what, a, b)
  }

  /** Puts an event that waits first. False when none waits. */
  private settle(): boolean {
    const { run, early } = this
    if (this.size === 0) return false
    for (;;) {
      while (early.size > 0 && this.isDropped(early.what)) early.remove()
      while (run.next < run.end && this.isDropped(this.whatOf(run.keys[run.next]!))) run.next++
      if (early.size > 0 || run.next < run.end) return true
      this.refill()
    }
  }

  /** Makes the next run. There must be events in the wheel or the far heap. */
  private refill(): void {
    const { run, wheel } = this
    let end = wheel.take(run, this.slots, this.size)
    while (end === undefined) {
      this.openEpoch()
      end = wheel.take(run, this.slots, this.size)
    }
    this.horizon = end
  }

  /** Moves the first epoch of the far heap into the wheel. */
  private openEpoch(): void {
    const { far, wheel } = this
    invariant(far.size > 0, 'as many events as are counted')
    wheel.open(Math.floor(far.tick / EPOCH) * EPOCH)
    this.horizon = wheel.epoch
    const end = wheel.epoch + EPOCH
    while (far.size > 0 && far.tick < end) {
      const { what } = far
      if (!this.isDropped(what)) wheel.add(far.tick | 0, what, far.a, far.b)
      far.remove()
    }
  }

  /** Of one tick, the run's events were scheduled before the heap's. */
  private isEarlyNext(): boolean {
    const { run, early } = this
    return early.size > 0 && (run.next === run.end || early.tick < this.runTick())
  }

  private firstTick(): number {
    return this.isEarlyNext() ? this.early.tick : this.runTick()
  }

  private runTick(): number {
    const { run } = this
    return run.start + (run.keys[run.next]! >>> run.shift)
  }

  private whatOf(key: number): number {
    return this.wheel.words[this.wheel.atOf(this.run, key) + WHAT]!
  }

  private isDropped(what: number): boolean {
    const slot = what >>> KIND_BITS
    return slot !== 0 && this.slots.isDropped(slot)
  }

  private sweep(): void {
    const isWanted = (what: number): boolean => !this.isDropped(what)
    this.wheel.filter(isWanted)
    this.early.filter(isWanted)
    this.far.filter(isWanted)
    this.run.filter((key) => isWanted(this.whatOf(key)))
  }
}
