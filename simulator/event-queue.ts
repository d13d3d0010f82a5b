/**
 * Pending events: a cancellable priority queue over (tick, sequence).
 *
 * Structure of arrays: an event is a slot in typed arrays and no object is made
 * for it. Two events of one tick leave in the order in which they were
 * scheduled, so a run never depends on the queue's shape.
 *
 * Three places, each with the order that it needs:
 *
 *     schedule ──► wheel ──a cell at a time, sorted──► run ──► pop
 *         └─ earlier than what the wheel gave out ──► heap ─┘
 *
 * The wheel keeps the far future roughly, in sequential memory. Its next cell
 * becomes the run, in order. What is scheduled before the end of that run goes
 * through the heap, which stays small enough for the nearest cache.
 *
 * A cancelled event stays where it is, marked, until its turn comes; when more
 * are marked than wait, all marked ones are swept out. So memory is bounded by
 * what waits, whatever is scheduled and cancelled.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { EventHeap } from './event-heap.ts'
import { EventRun } from './event-run.ts'
import { EventWheel } from './event-wheel.ts'
import { widened } from './widened.ts'

/** Names one scheduled event; a used or cancelled one is recognized and refused. */
export type EventHandle = number & { readonly unit: 'event handle' }

const SLOT_BITS = 24
const SLOTS_MAX = 2 ** SLOT_BITS
/** 2^29 reuses of a slot fit into a safe integer beside the slot's number. */
const GENERATION_MASK = 2 ** 29 - 1
const FIRST_CAPACITY = 256
const KIND_MAX = 255
const CANCELLED = -1
/** So few marked ones are not worth a sweep. */
const SWEEP_MIN = 4096

export class EventQueue {
  /** The event that `pop` took out last. */
  tick = 0
  kind = 0
  a = 0
  b = 0
  /** Its place in the pool, the same that `slotOf` gives for its handle. */
  slot = 0

  /** How many events wait. */
  size = 0

  /** Order of scheduling; exact up to 2^53 events. */
  private scheduled = 0
  private marked = 0
  /** Nothing before this tick is in the wheel. */
  private horizon = 0
  private readonly wheel = new EventWheel()
  private readonly run = new EventRun()
  private readonly early = new EventHeap()

  private capacity = FIRST_CAPACITY
  private kinds = new Int16Array(FIRST_CAPACITY)
  private as = new Int32Array(FIRST_CAPACITY)
  private bs = new Int32Array(FIRST_CAPACITY)
  private generations = new Int32Array(FIRST_CAPACITY)
  private free = new Int32Array(FIRST_CAPACITY)
  private freeCount = 0
  private slotsUsed = 0

  /** Tick of the next event; undefined when none waits. */
  nextTick(): number | undefined {
    if (!this.settle()) return undefined
    return this.isEarlyNext() ? this.early.tick : this.run.ticks[this.run.at]
  }

  /**
   * Adds an event. `kind` is 0 to 255; `a` and `b` are 32-bit integers that mean
   * what the kind says.
   */
  schedule(tick: number, kind: number, a: number, b: number): EventHandle {
    // The message is made only when it is needed: it costs more than the event.
    if (!Number.isSafeInteger(tick) || tick < 0) invariant(false, `a whole tick, not ${tick}`)
    const slot = this.freeCount > 0 ? this.free[--this.freeCount]! : this.newSlot()
    this.kinds[slot] = kind & KIND_MAX
    this.as[slot] = a
    this.bs[slot] = b
    if (tick < this.horizon) this.early.add(tick, this.scheduled, slot)
    else this.wheel.add(tick, slot)
    this.scheduled++
    this.size++
    return (this.generations[slot]! * SLOTS_MAX + slot) as EventHandle
  }

  /** Takes an event back. False when it has run or was cancelled before. */
  cancel(handle: EventHandle): boolean {
    const slot = slotOf(handle)
    if (slot >= this.slotsUsed || this.generations[slot] !== (handle - slot) / SLOTS_MAX) {
      return false
    }
    this.retire(slot)
    this.kinds[slot] = CANCELLED
    if (++this.marked > this.size + SWEEP_MIN) this.sweep()
    return true
  }

  /** Moves the next event into `tick`, `kind`, `a`, `b`. False when none waits. */
  pop(): boolean {
    if (!this.settle()) return false
    const { run, early } = this
    let slot: number
    if (this.isEarlyNext()) {
      slot = early.slot
      this.tick = early.tick
      early.remove()
    } else {
      const { at } = run
      slot = run.slots[at]!
      this.tick = run.ticks[at]!
      run.at = at + 1
    }
    this.slot = slot
    this.kind = this.kinds[slot]!
    this.a = this.as[slot]!
    this.b = this.bs[slot]!
    this.retire(slot)
    this.free[this.freeCount++] = slot
    return true
  }

  /** Puts an event that waits first. False when none waits. */
  private settle(): boolean {
    const { run, early, kinds } = this
    if (this.size === 0) return false
    for (;;) {
      while (early.size > 0 && kinds[early.slot] === CANCELLED) {
        this.unmark(early.slot)
        early.remove()
      }
      while (run.at < run.end && kinds[run.slots[run.at]!] === CANCELLED) {
        this.unmark(run.slots[run.at++]!)
      }
      if (run.at < run.end || early.size > 0) return true
      this.horizon = this.wheel.take(run)
    }
  }

  /** Of one tick, the run's events were scheduled before the heap's. */
  private isEarlyNext(): boolean {
    const { run, early } = this
    return early.size > 0 && (run.at === run.end || early.tick < run.ticks[run.at]!)
  }

  /** Makes every handle of the slot's event stale. */
  private retire(slot: number): void {
    this.generations[slot] = (this.generations[slot]! + 1) & GENERATION_MASK
    this.size--
  }

  private unmark(slot: number): void {
    this.marked--
    this.free[this.freeCount++] = slot
  }

  private sweep(): void {
    const isWanted = (slot: number): boolean => {
      if (this.kinds[slot] !== CANCELLED) return true
      this.unmark(slot)
      return false
    }
    this.wheel.filter(isWanted)
    this.early.filter(isWanted)
    this.run.filter(isWanted)
  }

  private newSlot(): number {
    if (this.slotsUsed === this.capacity) this.grow()
    return this.slotsUsed++
  }

  private grow(): void {
    this.capacity *= 2
    invariant(this.capacity <= SLOTS_MAX, `at most ${SLOTS_MAX} pending events`)
    this.kinds = widened(this.kinds, this.capacity)
    this.as = widened(this.as, this.capacity)
    this.bs = widened(this.bs, this.capacity)
    this.generations = widened(this.generations, this.capacity)
    this.free = widened(this.free, this.capacity)
  }
}

/** The pool's slot of an event: a small number that no other waiting event has. */
export function slotOf(handle: EventHandle): number {
  return handle % SLOTS_MAX
}
