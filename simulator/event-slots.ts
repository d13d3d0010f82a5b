/**
 * Which of the events that can be cancelled still wait.
 *
 * Such an event has a slot while it waits, and a handle names the slot and how
 * often it was used before: a handle of an event that is gone is recognized. A
 * cancelled event stays where it is, marked, until it is come across; only then
 * is its slot free. Slot 0 is nobody's: it stands for "cannot be cancelled".
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { widened } from './widened.ts'

/** Names one scheduled event; a used or cancelled one is recognized and refused. */
export type EventHandle = number & { readonly unit: 'event handle' }

const SLOTS_MAX = 2 ** 24
const SLOT_MASK = SLOTS_MAX - 1
/** 2^29 uses of a slot fit into a safe integer beside the slot's number. */
const GENERATION_MASK = 2 ** 29 - 1
/** The bit of a state, beside the generation, that marks a cancelled event. */
export const CANCELLED_BIT = 29
const CANCELLED = 2 ** CANCELLED_BIT
const FIRST_CAPACITY = 256

export class EventSlots {
  /** Cancelled events that were not come across. */
  marked = 0
  /** By slot: its generation, or that with a mark. */
  states = new Int32Array(FIRST_CAPACITY)
  private free = new Int32Array(FIRST_CAPACITY)
  private freeCount = 0
  private used = 1

  take(): number {
    return this.freeCount > 0 ? this.free[--this.freeCount]! : this.fresh()
  }

  /** The handle of the event that has a slot. */
  handleOf(slot: number): EventHandle {
    return (this.states[slot]! * SLOTS_MAX + slot) as EventHandle
  }

  /** Marks an event. False when it has run or was cancelled before. */
  cancel(handle: EventHandle): boolean {
    const slot = slotOf(handle)
    const { states } = this
    if (slot >= this.used || states[slot] !== (handle - slot) / SLOTS_MAX) return false
    states[slot] = ((states[slot]! + 1) & GENERATION_MASK) | CANCELLED
    this.marked++
    return true
  }

  /** Frees the slot of an event whose turn has come. False when that was cancelled. */
  finish(slot: number): boolean {
    const state = this.states[slot]!
    if (state >= CANCELLED) return !this.isDropped(slot)
    // Makes every handle of the event stale.
    this.states[slot] = (state + 1) & GENERATION_MASK
    this.free[this.freeCount++] = slot
    return true
  }

  /** Whether an event was cancelled; its slot is free then, and the event to be forgotten. */
  isDropped(slot: number): boolean {
    const state = this.states[slot]!
    if (state < CANCELLED) return false
    this.marked--
    this.states[slot] = state & GENERATION_MASK
    this.free[this.freeCount++] = slot
    return true
  }

  private fresh(): number {
    const length = this.states.length
    if (this.used === length) {
      invariant(length < SLOTS_MAX, `fewer than ${SLOTS_MAX} pending timers`)
      this.states = widened(this.states, length * 2)
      this.free = widened(this.free, length * 2)
    }
    return this.used++
  }
}

/** The slot of a handle's event: a small number that no other waiting event has. */
export function slotOf(handle: EventHandle): number {
  // The low bits, whatever the size: a remainder of so large numbers is far slower.
  return handle & SLOT_MASK
}
