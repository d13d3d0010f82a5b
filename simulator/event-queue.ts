/**
 * Pending events: a cancellable priority queue over (tick, sequence).
 *
 * Structure of arrays: an event is a slot in pooled typed arrays and no object
 * is made for it. Four children a heap node, because a shallower heap touches
 * fewer cache lines on the way down. Two events of one tick leave in the order
 * in which they were scheduled, so a run never depends on the heap's shape.
 *
 * Cost: 45 bytes a pending event; schedule, cancel and pop are O(log4 n).
 *
 * @module
 */
import { invariant } from '../src/errors.ts'

/** Names one scheduled event; a used or cancelled one is recognized and refused. */
export type EventHandle = number & { readonly unit: 'event handle' }

const SLOT_BITS = 24
const SLOTS_MAX = 2 ** SLOT_BITS
/** 2^29 reuses of a slot fit into a safe integer beside the slot's number. */
const GENERATIONS = 2 ** 29
const FIRST_CAPACITY = 256
const NOT_QUEUED = -1

export class EventQueue {
  /** The event that `pop` took out last. */
  tick = 0
  kind = 0
  a = 0
  b = 0

  private capacity = FIRST_CAPACITY
  private count = 0
  /** Order of scheduling; exact up to 2^53 events. */
  private scheduled = 0
  private free: number[] = []
  private slotsUsed = 0

  private heap = new Int32Array(FIRST_CAPACITY)
  private ticks = new Float64Array(FIRST_CAPACITY)
  private sequences = new Float64Array(FIRST_CAPACITY)
  private kinds = new Uint8Array(FIRST_CAPACITY)
  private as = new Int32Array(FIRST_CAPACITY)
  private bs = new Int32Array(FIRST_CAPACITY)
  private places = new Int32Array(FIRST_CAPACITY).fill(NOT_QUEUED)
  private generations = new Float64Array(FIRST_CAPACITY)

  /** How many events wait. */
  get size(): number {
    return this.count
  }

  /** Tick of the next event; undefined when none waits. */
  nextTick(): number | undefined {
    return this.count === 0 ? undefined : this.ticks[this.heap[0]!]
  }

  /** The next event's handle; undefined when none waits. */
  nextHandle(): EventHandle | undefined {
    return this.count === 0 ? undefined : this.handleOf(this.heap[0]!)
  }

  /**
   * Adds an event. `kind` is 0 to 255; `a` and `b` are 32-bit integers that mean
   * what the kind says.
   */
  schedule(tick: number, kind: number, a: number, b: number): EventHandle {
    invariant(Number.isSafeInteger(tick) && tick >= 0, `a whole tick, not ${tick}`)
    const slot = this.takeSlot()
    this.ticks[slot] = tick
    this.sequences[slot] = this.scheduled++
    this.kinds[slot] = kind
    this.as[slot] = a
    this.bs[slot] = b
    this.rise(this.count++, slot)
    return this.handleOf(slot)
  }

  /** Takes an event back. False when it has run or was cancelled before. */
  cancel(handle: EventHandle): boolean {
    const slot = handle % SLOTS_MAX
    if (slot >= this.capacity || this.generations[slot] !== Math.floor(handle / SLOTS_MAX)) {
      return false
    }
    const place = this.places[slot]!
    if (place === NOT_QUEUED) return false
    this.removeAt(place)
    this.release(slot)
    return true
  }

  /** Moves the next event into `tick`, `kind`, `a`, `b`. False when none waits. */
  pop(): boolean {
    if (this.count === 0) return false
    const slot = this.heap[0]!
    this.tick = this.ticks[slot]!
    this.kind = this.kinds[slot]!
    this.a = this.as[slot]!
    this.b = this.bs[slot]!
    this.removeAt(0)
    this.release(slot)
    return true
  }

  private handleOf(slot: number): EventHandle {
    return (this.generations[slot]! * SLOTS_MAX + slot) as EventHandle
  }

  private takeSlot(): number {
    const reused = this.free.pop()
    if (reused !== undefined) return reused
    if (this.slotsUsed === this.capacity) this.grow()
    return this.slotsUsed++
  }

  private release(slot: number): void {
    this.places[slot] = NOT_QUEUED
    this.generations[slot] = (this.generations[slot]! + 1) % GENERATIONS
    this.free.push(slot)
  }

  private grow(): void {
    this.capacity *= 2
    invariant(this.capacity <= SLOTS_MAX, `at most ${SLOTS_MAX} pending events`)
    this.heap = widened(this.heap, new Int32Array(this.capacity))
    this.ticks = widened(this.ticks, new Float64Array(this.capacity))
    this.sequences = widened(this.sequences, new Float64Array(this.capacity))
    this.kinds = widened(this.kinds, new Uint8Array(this.capacity))
    this.as = widened(this.as, new Int32Array(this.capacity))
    this.bs = widened(this.bs, new Int32Array(this.capacity))
    this.places = widened(this.places, new Int32Array(this.capacity).fill(NOT_QUEUED))
    this.generations = widened(this.generations, new Float64Array(this.capacity))
  }

  private removeAt(place: number): void {
    const last = this.heap[--this.count]!
    if (place === this.count) return
    // The last one may belong above or below the hole.
    this.sink(place, last)
    if (this.heap[place] === last) this.rise(place, last)
  }

  private rise(from: number, slot: number): void {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> 2
      const above = this.heap[parent]!
      if (!this.before(slot, above)) break
      this.put(place, above)
      place = parent
    }
    this.put(place, slot)
  }

  private sink(from: number, slot: number): void {
    let place = from
    for (;;) {
      const first = place * 4 + 1
      if (first >= this.count) break
      const end = Math.min(first + 4, this.count)
      let least = first
      for (let child = first + 1; child < end; child++) {
        if (this.before(this.heap[child]!, this.heap[least]!)) least = child
      }
      const below = this.heap[least]!
      if (!this.before(below, slot)) break
      this.put(place, below)
      place = least
    }
    this.put(place, slot)
  }

  private put(place: number, slot: number): void {
    this.heap[place] = slot
    this.places[slot] = place
  }

  private before(left: number, right: number): boolean {
    const [a, b] = [this.ticks[left]!, this.ticks[right]!]
    return a < b || (a === b && this.sequences[left]! < this.sequences[right]!)
  }
}

function widened<T extends Int32Array | Float64Array | Uint8Array>(from: T, into: T): T {
  into.set(from as never)
  return into
}
