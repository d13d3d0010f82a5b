/**
 * Virtual time: one event loop whose time jumps from event to event.
 *
 * A tick is a microsecond. Every event is one line of the trace, and the trace
 * is folded into a hash: two runs that did the same at the same instants print
 * the same hash, on any machine.
 *
 * Events are a kind and two numbers, served by a table of handlers. `later`
 * puts a closure on top for ports whose interface asks for one.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { hash64 } from '../src/hash.ts'
import type { Instant } from '../src/machine.ts'
import type { Clock } from '../src/ports.ts'
import { type EventHandle, EventQueue, slotOf } from './event-queue.ts'

/** Ticks of a millisecond. */
export const TICKS_PER_MS = 1000

/** What an event is; its number is part of the trace, so it never changes. */
export const EVENT = {
  timer: 1, //     a machine's deadline;        a = owner
  store: 2, //     a store's answer;            a = owner
  watch: 3, //     a store's change is heard;   a = owner
  kernel: 4, //    a kernel's answer;           a = owner, b = operations
  podAdd: 5, //    a pod is asked for;          a = node, b = pod
  podRemove: 6, // a pod goes;                  a = node, b = pod
  announce: 7, //  the fabric hears of changes; a = owner
  start: 8, //     an agent starts;             a = owner
  program: 9, //   a switch writes an entry;    a = switch
  link: 10, //     routes follow what broke;     a = batch of changes
  pod: 11, //      the workload wants a pod, or its end; a = action
  fault: 12, //    something breaks;            a = fault, b = 1 when it is mended
  segment: 13, //  a segment of BGP arrives;    a = connection, b = side that sent it
  bgp: 14, //      a speaker's or connection's time; a = speaker or session
} as const
export type EventKind = (typeof EVENT)[keyof typeof EVENT]

// Signed: a large constant is slow where a bundler makes a variable of it.
const FOLD_HIGH = 0x9e3779b1 | 0
const FOLD_LOW = 0x5f356495

/** Serves one kind of event. */
export type Handler = (a: number, b: number) => void

export class Engine {
  /** Now, in ticks since the start. Minus zero at first: see event-queue.ts. */
  tick = -0
  /** Events served. */
  events = 0

  private readonly queue = new EventQueue()
  private readonly handlers: (Handler | undefined)[] = []
  /** By slot of the queue; a slot is another event's only after its own has gone. */
  private readonly closures: ((() => void) | undefined)[] = []
  private closureCount = 0
  // As signed ones they stay small integers, which need no memory of their own.
  private high = 0x9e3779b9 | 0
  private low = 0x85ebca6b | 0

  constructor() {
    this.tick = 0
  }

  /** Serves `kind` from now on. */
  on(kind: EventKind, handler: Handler): void {
    invariant(this.handlers[kind] === undefined, `one handler for event kind ${kind}`)
    this.handlers[kind] = handler
  }

  /** Schedules an event for a handler, `delayTicks` from now. */
  post(delayTicks: number, kind: EventKind, a: number, b: number): void {
    this.queue.schedule(this.tick + delayTicks, kind, a, b)
  }

  /** The same, with a handle to cancel it by; a handle costs memory of its own. */
  postTimer(delayTicks: number, kind: EventKind, a: number, b: number): EventHandle {
    return this.queue.handleOf(this.queue.scheduleTimer(this.tick + delayTicks, kind, a, b))
  }

  /** Schedules a closure. The trace holds `kind`, `a` and `b`. */
  later(delayTicks: number, kind: EventKind, a: number, b: number, run: () => void): EventHandle {
    const handle = this.postTimer(delayTicks, kind, a, b)
    const slot = slotOf(handle)
    // No holes: an array with holes is a slow one.
    while (this.closures.length <= slot) this.closures.push(undefined)
    this.closures[slot] = run
    this.closureCount++
    return handle
  }

  /** Takes an event back; a no-op after it ran. */
  cancel(handle: EventHandle): void {
    if (this.queue.cancel(handle)) this.takeClosure(slotOf(handle))
  }

  get pending(): number {
    return this.queue.size
  }

  /** Serves the next event. False when none waits up to `untilTick`. */
  step(untilTick = Number.MAX_SAFE_INTEGER): boolean {
    const { queue } = this
    if (!queue.pop(untilTick)) return false
    const { tick, kind, a, b } = queue
    invariant(tick >= this.tick, 'time never goes backwards')
    this.tick = tick
    this.events++
    this.fold(tick)
    this.foldInts(kind, a, b)
    const closure = this.takeClosure(queue.slot)
    if (closure !== undefined) {
      closure()
      return true
    }
    const handler = this.handlers[kind]
    // The message is made only when it is needed: it costs more than the event.
    if (handler === undefined) invariant(false, `a handler for event kind ${kind}`)
    handler(a, b)
    return true
  }

  private takeClosure(slot: number): (() => void) | undefined {
    if (this.closureCount === 0 || slot >= this.closures.length) return undefined
    const closure = this.closures[slot]
    if (closure === undefined) return undefined
    this.closures[slot] = undefined
    this.closureCount--
    return closure
  }

  /**
   * Serves events until `done` says so.
   *
   * @param untilTick Gives up when the next event is later than this.
   * @returns Whether `done` was reached.
   */
  run(done: () => boolean, untilTick: number): boolean {
    while (!done()) {
      if (!this.step(untilTick)) return false
    }
    return true
  }

  /** Adds a number to the trace. */
  fold(value: number): void {
    const low = value | 0
    const left = Math.imul(this.high ^ low, FOLD_HIGH)
    const right = Math.imul(this.low ^ ((value / 2 ** 32) | 0) ^ low, FOLD_LOW)
    this.high = left ^ (right >>> 15)
    this.low = right ^ (this.high >>> 13)
  }

  /** The same as three folds; of an integer of 32 bits the upper half is 0, also below zero. */
  private foldInts(first: number, second: number, third: number): void {
    let left = Math.imul(this.high ^ first, FOLD_HIGH)
    let right = Math.imul(this.low ^ first, FOLD_LOW)
    left ^= right >>> 15
    right ^= left >>> 13
    left = Math.imul(left ^ second, FOLD_HIGH)
    right = Math.imul(right ^ second, FOLD_LOW)
    left ^= right >>> 15
    right ^= left >>> 13
    left = Math.imul(left ^ third, FOLD_HIGH)
    right = Math.imul(right ^ third, FOLD_LOW)
    this.high = left ^ (right >>> 15)
    this.low = right ^ (this.high >>> 13)
  }

  /** Adds text to the trace. */
  foldText(text: string): void {
    const [high, low] = hash64(text)
    this.fold(high)
    this.fold(low)
  }

  /** Hash of everything that happened so far: 16 hexadecimal digits. */
  traceHash(): string {
    return [this.high, this.low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

/** The clock that drivers see; `owner` names it in the trace. */
export function virtualClock(engine: Engine, owner: number): Clock {
  return {
    now: () => (engine.tick / TICKS_PER_MS) as Instant,
    at(when, run) {
      // The product may round down; a timer that fires early would fire again without end.
      let due = Math.ceil(when * TICKS_PER_MS)
      while (due / TICKS_PER_MS < when) due++
      const delayTicks = Math.max(0, due - engine.tick)
      const handle = engine.later(delayTicks, EVENT.timer, owner, 0, run)
      return () => engine.cancel(handle)
    },
  }
}
