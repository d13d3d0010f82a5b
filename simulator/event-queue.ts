/**
 * Pending events: a cancellable priority queue over (tick, sequence).
 *
 * An event is numbers in typed arrays, and no object is made for it. Two events
 * of one tick leave in the order in which they were scheduled, so a run never
 * depends on the queue's shape.
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
import { A, B, EventWheel, SLOT_AND_KIND, SLOT_BITS, SLOT_MASK } from './event-wheel.ts'
import { widened } from './widened.ts'

/** Names one scheduled event; a used or cancelled one is recognized and refused. */
export type EventHandle = number & { readonly unit: 'event handle' }

const SLOTS_MAX = 2 ** SLOT_BITS
/** 2^29 reuses of a slot fit into a safe integer beside the slot's number. */
const GENERATION_MASK = 2 ** 29 - 1
/** Beside the generation: cancelled, and not yet out of the place where it waits. */
const CANCELLED = 2 ** 29
const FIRST_CAPACITY = 256
const KIND_MAX = 255
/** So few marked ones are not worth a sweep. */
const SWEEP_MIN = 4096

export class EventQueue {
  /** The event that `pop` took out last. */
  tick = 0
  kind = 0
  a = 0
  b = 0
  /** Its place in the pool, the same that `schedule` gave. */
  slot = 0

  /** How many events wait. */
  size = 0

  /** Order of scheduling among early ones; exact up to 2^53 events. */
  private scheduled = 0
  private marked = 0
  /** Nothing before this tick is in the wheel. */
  private horizon = 0
  private readonly wheel = new EventWheel()
  private readonly run = new EventRun()
  private readonly early = new EventHeap()

  private capacity = FIRST_CAPACITY
  /** By slot: its generation, or that with a mark. */
  private states = new Int32Array(FIRST_CAPACITY)
  /** By slot, of early events alone: the wheel's entries hold their own. */
  private kinds = new Int32Array(FIRST_CAPACITY)
  private as = new Int32Array(FIRST_CAPACITY)
  private bs = new Int32Array(FIRST_CAPACITY)
  private free = new Int32Array(FIRST_CAPACITY)
  private freeCount = 0
  private slotsUsed = 0

  /** Tick of the next event; undefined when none waits. */
  nextTick(): number | undefined {
    if (!this.settle()) return undefined
    return this.isEarlyNext() ? this.early.tick : this.run.ticks[this.run.next]
  }

  /**
   * Adds an event. `kind` is 0 to 255; `a` and `b` are 32-bit integers that mean
   * what the kind says.
   *
   * @returns Its slot; `handleOf` makes a handle of it. A handle does not fit
   *   into a small integer, and most callers want none.
   */
  schedule(tick: number, kind: number, a: number, b: number): number {
    // The message is made only when it is needed: it costs more than the event.
    if (!Number.isSafeInteger(tick) || tick < 0) invariant(false, `a whole tick, not ${tick}`)
    const slot = this.freeCount > 0 ? this.free[--this.freeCount]! : this.newSlot()
    this.size++
    if (tick < this.horizon) this.scheduleEarly(tick, slot, kind, a, b)
    else this.wheel.add(tick, slot | (kind << SLOT_BITS), a, b)
    return slot
  }

  /** The handle of the event that waits in a slot. */
  handleOf(slot: number): EventHandle {
    return (this.states[slot]! * SLOTS_MAX + slot) as EventHandle
  }

  /** Takes an event back. False when it has run or was cancelled before. */
  cancel(handle: EventHandle): boolean {
    const slot = slotOf(handle)
    if (slot >= this.slotsUsed || this.states[slot] !== (handle - slot) / SLOTS_MAX) return false
    this.states[slot] = ((this.states[slot]! + 1) & GENERATION_MASK) | CANCELLED
    this.size--
    if (++this.marked > this.size + SWEEP_MIN) this.sweep()
    return true
  }

  /**
   * Moves the next event into `tick`, `kind`, `a`, `b`. False when none waits, or
   * none up to `untilTick`.
   */
  pop(untilTick = Number.MAX_SAFE_INTEGER): boolean {
    if (!this.settle()) return false
    if (this.isEarlyNext()) return this.popEarly(untilTick)
    const { run, states } = this
    const { words } = this.wheel
    const tick = run.ticks[run.next]!
    if (tick > untilTick) return false
    const at = run.entries[run.next++]!
    const slotAndKind = words[at + SLOT_AND_KIND]!
    const slot = slotAndKind & SLOT_MASK
    this.tick = tick
    this.slot = slot
    this.kind = slotAndKind >>> SLOT_BITS
    this.a = words[at + A]!
    this.b = words[at + B]!
    this.size--
    // Makes every handle of the event stale.
    states[slot] = (states[slot]! + 1) & GENERATION_MASK
    this.free[this.freeCount++] = slot
    return true
  }

  private popEarly(untilTick: number): boolean {
    const { early, states } = this
    const { tick, slot } = early
    if (tick > untilTick) return false
    early.remove()
    this.tick = tick
    this.slot = slot
    this.kind = this.kinds[slot]!
    this.a = this.as[slot]!
    this.b = this.bs[slot]!
    this.size--
    states[slot] = (states[slot]! + 1) & GENERATION_MASK
    this.free[this.freeCount++] = slot
    return true
  }

  private scheduleEarly(tick: number, slot: number, kind: number, a: number, b: number): void {
    this.kinds[slot] = kind & KIND_MAX
    this.as[slot] = a
    this.bs[slot] = b
    this.early.add(tick, this.scheduled++, slot)
  }

  /** Puts an event that waits first. False when none waits. */
  private settle(): boolean {
    const { run, early } = this
    if (this.size === 0) return false
    for (;;) {
      while (early.size > 0 && this.states[early.slot]! >= CANCELLED) {
        this.unmark(early.slot)
        early.remove()
      }
      while (run.next < run.end) {
        const slot = this.slotOfEntry(run.entries[run.next]!)
        if (this.states[slot]! < CANCELLED) return true
        this.unmark(slot)
        run.next++
      }
      if (early.size > 0) return true
      this.horizon = this.wheel.take(run)
      this.dropCancelled()
    }
  }

  /**
   * Drops what was cancelled before the run was made. All states of a run are
   * read here one after the other, so that the cache misses overlap; `settle`
   * then finds them near.
   */
  private dropCancelled(): void {
    const { run, states } = this
    const { ticks, entries, end } = run
    const { words } = this.wheel
    let kept = 0
    for (let place = 0; place < end; place++) {
      const entry = entries[place]!
      const slot = words[entry + SLOT_AND_KIND]! & SLOT_MASK
      if (states[slot]! >= CANCELLED) {
        this.unmark(slot)
        continue
      }
      if (kept < place) {
        ticks[kept] = ticks[place]!
        entries[kept] = entry
      }
      kept++
    }
    run.end = kept
  }

  /** Of one tick, the run's events were scheduled before the heap's. */
  private isEarlyNext(): boolean {
    const { run, early } = this
    return early.size > 0 && (run.next === run.end || early.tick < run.ticks[run.next]!)
  }

  private slotOfEntry(at: number): number {
    return this.wheel.words[at + SLOT_AND_KIND]! & SLOT_MASK
  }

  private unmark(slot: number): void {
    this.marked--
    this.states[slot] = this.states[slot]! & GENERATION_MASK
    this.free[this.freeCount++] = slot
  }

  private sweep(): void {
    const isWanted = (slot: number): boolean => {
      if (this.states[slot]! < CANCELLED) return true
      this.unmark(slot)
      return false
    }
    this.wheel.filter(isWanted)
    this.early.filter(isWanted)
    this.run.filter((at) => isWanted(this.slotOfEntry(at)))
  }

  private newSlot(): number {
    if (this.slotsUsed === this.capacity) this.grow()
    return this.slotsUsed++
  }

  private grow(): void {
    this.capacity *= 2
    invariant(this.capacity <= SLOTS_MAX, `at most ${SLOTS_MAX} pending events`)
    this.states = widened(this.states, this.capacity)
    this.kinds = widened(this.kinds, this.capacity)
    this.as = widened(this.as, this.capacity)
    this.bs = widened(this.bs, this.capacity)
    this.free = widened(this.free, this.capacity)
  }
}

/** The slot of a handle's event: a small number that no other waiting event has. */
export function slotOf(handle: EventHandle): number {
  // The low bits, whatever the size: a remainder of so large numbers is far slower.
  return handle & SLOT_MASK
}
