/**
 * The event queue against the plainest reference there is: a sorted list.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Engine, EVENT, virtualClock } from '../../simulator/clock.ts'
import { type EventHandle, EventQueue } from '../../simulator/event-queue.ts'
import type { Instant } from '../../src/machine.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'

type Command =
  | { readonly kind: 'schedule'; readonly delay: number; readonly times: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'peek' }
  | { readonly kind: 'pop'; readonly within: number }

/** Few different delays, for ties; each digit of the wheel; and gaps that only a year has. */
const delays: fc.Arbitrary<number> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(7) },
  { weight: 3, arbitrary: fc.nat(600) },
  { weight: 2, arbitrary: fc.nat(200_000) },
  { weight: 2, arbitrary: fc.nat(2 ** 26) },
  { weight: 1, arbitrary: fc.maxSafeNat().map((delay) => Math.floor(delay / 2 ** 12)) },
  { weight: 2, arbitrary: fc.constantFrom(255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32) },
)

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('schedule' as const),
      delay: delays,
      times: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, fc.constantFrom(13, 45)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'peek' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pop' as const),
      within: fc.oneof(fc.constant(2 ** 53 - 1), delays),
    }),
  },
)

interface Waiting {
  readonly tick: number
  readonly id: number
}

/** A queue and the plainest reference, fed with the same. */
class Twins {
  readonly queue = new EventQueue()
  /** By id; every fifth event cannot be cancelled. */
  readonly handles: (EventHandle | undefined)[] = []
  #now = 0
  /** Sorted by tick, then by id. */
  readonly #reference: Waiting[] = []

  schedule(delay: number): void {
    const id = this.handles.length
    const tick = this.#now + delay
    if (id % 5 === 0) this.queue.schedule(tick, id % 256, id, -id)
    const isTimer = id % 5 !== 0
    const slot = isTimer ? this.queue.scheduleTimer(tick, id % 256, id, -id) : 0
    this.handles.push(isTimer ? this.queue.handleOf(slot) : undefined)
    let place = this.#reference.length
    while (place > 0 && this.#reference[place - 1]!.tick > tick) place--
    this.#reference.splice(place, 0, { tick, id })
  }

  cancel(which: number): void {
    if (this.handles.length === 0) return
    const id = which % this.handles.length
    const handle = this.handles[id]
    if (handle === undefined) return
    const place = this.#reference.findIndex((event) => event.id === id)
    assert.equal(this.queue.cancel(handle), place >= 0, 'did it do anything')
    if (place >= 0) this.#reference.splice(place, 1)
  }

  peek(): void {
    assert.equal(this.queue.nextTick(), this.#reference[0]?.tick)
  }

  /** Says whether there was one up to `within` from now. */
  pop(within: number): boolean {
    const until = Math.min(this.#now + within, Number.MAX_SAFE_INTEGER)
    const [expected] = this.#reference
    const isDue = expected !== undefined && expected.tick <= until
    assert.equal(this.queue.pop(until), isDue)
    if (!isDue) return false
    this.#reference.shift()
    const { tick, kind, a, b } = this.queue
    const { id } = expected
    assert.deepEqual([tick, kind, a, b], [expected.tick, id % 256, id, 0 - id])
    this.#now = tick
    return true
  }

  check(): void {
    assert.equal(this.queue.size, this.#reference.length)
  }
}

function agrees(commands: readonly Command[]): void {
  const twins = new Twins()
  for (const each of commands) {
    switch (each.kind) {
      case 'schedule':
        for (let time = 0; time < each.times; time++) twins.schedule(each.delay)
        break
      case 'cancel':
        twins.cancel(each.which)
        break
      case 'peek':
        twins.peek()
        break
      case 'pop':
        twins.pop(each.within)
    }
    twins.check()
  }
  while (twins.pop(Number.MAX_SAFE_INTEGER)) twins.check()
  twins.check()
}

holds(
  t,
  'queue = sorted list, with ties, gaps and cancellation',
  fc.array(command, { maxLength: 300 }),
  agrees,
)
// Past the first capacity, so that growth is seen too.
holds(
  t,
  'queue = sorted list, many pending',
  fc.array(command, { minLength: 800, maxLength: 1500 }),
  agrees,
  { numRuns: 25 },
)

/** Many of one scale, so that cells are counted, spread and swept. */
function churn(spread: number, pending: number, seed: number): void {
  const random = prng(seed)
  const twins = new Twins()
  for (let each = 0; each < pending; each++) twins.schedule(random.below(spread))
  for (let round = 0; round < pending; round++) {
    const chance = random.below(8)
    if (chance < 4) assert.equal(twins.pop(Number.MAX_SAFE_INTEGER), true)
    if (chance < 3) twins.schedule(random.below(spread))
    if (chance === 4) twins.schedule(0)
    if (chance >= 5) {
      twins.schedule(random.below(spread * 4))
      twins.cancel(twins.handles.length - 1 - random.below(pending / 2))
    }
    if (chance === 7) twins.peek()
    twins.check()
  }
  while (twins.pop(Number.MAX_SAFE_INTEGER)) twins.check()
  twins.check()
}

holds(
  t,
  'queue = sorted list, thousands pending at every scale',
  fc.record({ spread: fc.constantFrom(1, 200, 5000, 2 ** 17, 2 ** 22, 2 ** 30), seed: fc.nat() }),
  ({ spread, seed }) => churn(spread, 6000, seed),
  { numRuns: 6 },
)

t.test('what was cancelled is swept out: memory follows what waits', async (t) => {
  const queue = new EventQueue()
  const keep = queue.handleOf(queue.scheduleTimer(5, 1, 7, 0))
  let slots = 0
  for (let round = 0; round < 200_000; round++) {
    // Far, near, and in the past of what was looked at.
    const slot = queue.scheduleTimer([1e9, 6, 2][round % 3]!, 2, 0, 0)
    slots = Math.max(slots, slot)
    queue.cancel(queue.handleOf(slot))
    if (round % 1000 === 0) queue.nextTick()
  }
  t.ok(slots < 20_000, `${slots} slots`)
  t.equal(queue.size, 1)
  t.equal(queue.pop(), true)
  t.strictSame([queue.tick, queue.a], [5, 7])
  t.equal(queue.cancel(keep), false)
})

t.test('a handle of an event that ran does not cancel the next user of its slot', async (t) => {
  const queue = new EventQueue()
  const first = queue.handleOf(queue.scheduleTimer(1, 1, 0, 0))
  queue.pop()
  queue.schedule(2, 2, 0, 0)
  t.equal(queue.cancel(first), false)
  t.equal(queue.size, 1)
})

t.test('schedule() refuses a tick that is not whole', async (t) => {
  const queue = new EventQueue()
  queue.schedule(2 ** 40, 1, 0, 0)
  for (let round = 0; round < 2; round++) {
    for (const tick of [0.5, Number.NaN, -1, -(2 ** 32), 2 ** 53, Number.POSITIVE_INFINITY]) {
      t.throws(() => queue.schedule(tick, 1, 0, 0), /whole tick/, String(tick))
      t.throws(() => queue.scheduleTimer(tick, 1, 0, 0), /whole tick/, String(tick))
    }
    t.equal(queue.size, 1, 'nothing is counted that is not there')
    // Another epoch of the wheel.
    t.equal(queue.nextTick(), 2 ** 40)
  }
  t.equal(queue.pop(), true)
  t.equal(queue.pop(), false)
})

t.test('events on both sides of every power of two leave in order', async (t) => {
  const queue = new EventQueue()
  const ticks = Array.from({ length: 53 }, (_, bits) => [2 ** bits - 1, 2 ** bits]).flat()
  for (const tick of [...ticks].reverse()) queue.schedule(tick, 1, 0, 0)
  const left = ticks.map(() => (queue.pop() ? queue.tick : undefined))
  t.strictSame(left, ticks)
})

t.test('Clock.at() never runs before its instant, whatever the fractions', async (t) => {
  for (const when of [0.1, 0.30000000000000004, 12.345000000000002, 1e6 / 3, 99_999.9999]) {
    const engine = new Engine()
    const clock = virtualClock(engine, 0)
    let ran: Instant | undefined
    clock.at(when as Instant, () => {
      ran = clock.now()
    })
    t.equal(ran, undefined, 'not before returning')
    engine.run(() => ran !== undefined, 1e12)
    t.ok(ran !== undefined && ran >= when && ran < when + 0.0021, `${ran} for ${when}`)
  }
})

t.test(
  'Engine: a canceled closure does not run; the trace depends on order and time',
  async (t) => {
    const run = (delays: readonly number[]): string => {
      const engine = new Engine()
      for (const [index, delay] of delays.entries()) {
        engine.later(delay, EVENT.timer, index, 0, () => {})
      }
      engine.cancel(engine.later(5, EVENT.timer, 9, 0, () => t.fail('canceled')))
      engine.run(() => false, 100)
      return engine.traceHash()
    }
    t.equal(run([1, 2]), run([1, 2]))
    t.not(run([1, 2]), run([2, 1]))
    t.not(run([1, 2]), run([1, 3]))
  },
)
