/**
 * The hold model on the simulator's engine: the earliest event is taken out, its
 * handler runs, and puts a new one in. The peers beside this file do the same
 * with the same draws in the same order, and must end with the same hash.
 *
 * An entity always has one event pending. A quarter of its handlers also set one
 * of the timers anew: the event that the timer had is cancelled, about half of
 * them before they ran, and the handles of the rest are stale.
 *
 *     hold.ts PENDING WARM TIMED [none]
 *
 * prints the hash of the trace at the end of the warm-up, the same at the end of
 * the timed events, and the nanoseconds of processor time that these took. The
 * trace is what the engine folds anyway: tick, kind and both numbers of every
 * event in their order. The peers fold the same, so that the hash costs all
 * sides alike and an event at a wrong place shows.
 *
 * With `none` there is no queue: events leave in the order in which they came,
 * from a ring that fits into the nearest cache. What is left is the generator,
 * the handlers and the trace: no queue can make the model faster than that.
 *
 * Draws are Marsaglia's xorshift (13, 17, 5) and nothing but 32-bit integers:
 * every language gives the same numbers.
 */
import { readFileSync } from 'node:fs'
import { Engine, EVENT, type EventKind, type Handler } from '../../simulator/clock.ts'
import type { EventHandle } from '../../simulator/event-queue.ts'

const SEED = 0x2545f491

/** Timers for so many pending events: a power of two, a quarter to an eighth of them. */
function timersOf(pending: number): number {
  let size = 1
  while (size * 8 <= pending) size *= 2
  return size
}

const RING = 1024
const RING_ENTITIES = 512

/** Stands for the engine, without a queue. */
class Ring {
  private readonly trace = new Engine()
  private readonly handlers: Handler[] = []
  private readonly ticks = new Float64Array(RING)
  private readonly kinds = new Int32Array(RING)
  private readonly as = new Int32Array(RING)
  private readonly bs = new Int32Array(RING)
  private put = 0
  private next = 0
  private tick = 0

  on(kind: EventKind, handler: Handler): void {
    this.handlers[kind] = handler
  }

  post(delayTicks: number, kind: EventKind, a: number, b: number): void {
    const at = this.put++ & (RING - 1)
    this.ticks[at] = this.tick + delayTicks
    this.kinds[at] = kind
    this.as[at] = a
    this.bs[at] = b
  }

  postTimer(delayTicks: number, kind: EventKind, a: number, b: number): EventHandle {
    this.post(delayTicks, kind, a, b)
    return delayTicks as EventHandle
  }

  cancel(): void {}

  run(done: () => boolean): void {
    const { trace } = this
    while (!done()) {
      const at = this.next++ & (RING - 1)
      const kind = this.kinds[at] ?? 0
      const a = this.as[at] ?? 0
      const b = this.bs[at] ?? 0
      this.tick = this.ticks[at] ?? 0
      trace.fold(this.tick)
      trace.fold(kind)
      trace.fold(a)
      trace.fold(b)
      this.handlers[kind]?.(a, b)
    }
  }

  traceHash(): string {
    return this.trace.traceHash()
  }
}

/** Serves `warm` events unseen, then `timed` under the clock. */
function hold(
  engine: Engine | Ring,
  [pending, entities]: readonly [pending: number, entities: number],
  warm: number,
  timed: number,
): readonly (string | number)[] {
  let state = SEED
  let sequence = 0
  let left = 0

  function draw(): number {
    let x = state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    state = x
    return x
  }

  /** -log2 of a number in (0, 1], straight between powers of two, times 2^20. */
  function delay(): number {
    const x = draw()
    const zeros = Math.clz32(x)
    return ((zeros + 1) << 20) - (((x << zeros) << 1) >>> 12)
  }

  const timers: EventHandle[] = []
  const mask = timersOf(pending) - 1
  engine.on(EVENT.timer, () => {
    left--
  })
  engine.on(EVENT.kernel, (entity) => {
    left--
    engine.post(delay(), EVENT.kernel, entity, sequence++)
    const choice = draw()
    if ((choice & 3) !== 0) return
    const timer = (choice >>> 8) & mask
    const set = timers[timer]
    if (set !== undefined) engine.cancel(set)
    timers[timer] = engine.postTimer(delay(), EVENT.timer, timer, sequence++)
  })

  const isDone = (): boolean => left === 0
  function serve(events: number): string {
    left = events
    engine.run(isDone, Number.MAX_SAFE_INTEGER)
    return engine.traceHash()
  }

  for (let timer = 0; timer <= mask; timer++) timers.push(-1 as EventHandle)
  for (let entity = 0; entity < entities; entity++) {
    engine.post(delay(), EVENT.kernel, entity, sequence++)
  }
  const warmHash = serve(warm)
  const start = threadNs()
  const end = serve(timed)
  return [warmHash, end, threadNs() - start]
}

/** Processor time of this thread: others on the machine then count for less. */
function threadNs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0])
}

const [pending = 0, warm = 0, timed = 0] = process.argv.slice(2, 5).map(Number)
const isBare = process.argv[5] === 'none'
const entities = isBare ? Math.min(pending, RING_ENTITIES) : pending
const printed = hold(isBare ? new Ring() : new Engine(), [pending, entities], warm, timed)
console.log(printed.join(' '))
