/**
 * The hold model on the simulator's engine: the earliest event is taken out, its
 * handler runs, and puts a new one in. The peers beside this file do the same
 * with the same draws in the same order, and must end with the same hash.
 *
 * An entity always has one event pending. A quarter of its handlers also set one
 * of the timers anew: the event that the timer had is cancelled, about half of
 * them before they ran, and the handles of the rest are stale.
 *
 *     hold.ts PENDING WARM TIMED
 *
 * prints the hash over (tick, sequence) of all events until the end of the
 * warm-up, the same until the end of the timed events, and the nanoseconds of
 * processor time that these took.
 *
 * Draws are Marsaglia's xorshift (13, 17, 5) and nothing but 32-bit integers:
 * every language gives the same numbers.
 */
import { readFileSync } from 'node:fs'
import { Engine, EVENT } from '../../simulator/clock.ts'
import type { EventHandle } from '../../simulator/event-queue.ts'

const SEED = 0x2545f491

/** Timers for so many pending events: a power of two, a quarter to an eighth of them. */
function timersOf(pending: number): number {
  let size = 1
  while (size * 8 <= pending) size *= 2
  return size
}

/** Serves `warm` events unseen, then `timed` under the clock. */
function hold(pending: number, warm: number, timed: number): readonly number[] {
  const engine = new Engine()
  let state = SEED
  let hash = 0
  let sequence = 0
  let left = 0

  function draw(): number {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }

  /** -log2 of a number in (0, 1], straight between powers of two, times 2^20. */
  function delay(): number {
    const x = draw()
    const zeros = Math.clz32(x)
    return ((zeros + 1) << 20) - (((x << zeros) << 1) >>> 12)
  }

  function fold(number: number): void {
    hash = Math.imul(hash ^ (engine.tick | 0), 0x9e3779b1)
    hash = Math.imul((hash ^ (hash >>> 15)) + number, 0x85ebca6b)
    left--
  }

  const timers: EventHandle[] = []
  const mask = timersOf(pending) - 1
  engine.on(EVENT.timer, (_timer, number) => fold(number))
  engine.on(EVENT.kernel, (entity, number) => {
    fold(number)
    engine.post(delay(), EVENT.kernel, entity, sequence++)
    const choice = draw()
    if ((choice & 3) !== 0) return
    const timer = (choice >>> 8) & mask
    const set = timers[timer]
    if (set !== undefined) engine.cancel(set)
    timers[timer] = engine.postTimer(delay(), EVENT.timer, timer, sequence++)
  })

  function serve(events: number): number {
    left = events
    engine.run(() => left === 0, Number.MAX_SAFE_INTEGER)
    return hash >>> 0
  }

  for (let timer = 0; timer <= mask; timer++) timers.push(-1 as EventHandle)
  for (let entity = 0; entity < pending; entity++) {
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

const [pending = 0, warm = 0, timed = 0] = process.argv.slice(2).map(Number)
console.log(hold(pending, warm, timed).join(' '))
