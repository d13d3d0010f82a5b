/**
 * The event queue against the plainest reference there is: a sorted list.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Engine, EVENT, virtualClock } from '../../simulator/clock.ts'
import { type EventHandle, EventQueue } from '../../simulator/event-queue.ts'
import type { Instant } from '../../src/machine.ts'
import { holds } from '../support/property.ts'

type Command =
  | { readonly kind: 'schedule'; readonly delay: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'pop' }

const command: fc.Arbitrary<Command> = fc.oneof(
  // Few different delays: ties are what goes wrong.
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('schedule' as const), delay: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(400) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pop' as const) }) },
)

interface Waiting {
  readonly tick: number
  readonly id: number
}

function agrees(commands: readonly Command[]): void {
  const queue = new EventQueue()
  const handles: EventHandle[] = []
  let reference: Waiting[] = []
  let now = 0
  for (const each of commands) {
    if (each.kind === 'schedule') {
      const id = handles.length
      handles.push(queue.schedule(now + each.delay, id % 256, id, -id))
      reference.push({ tick: now + each.delay, id })
    } else if (each.kind === 'cancel') {
      if (handles.length === 0) continue
      const id = each.which % handles.length
      const waits = reference.some((event) => event.id === id)
      assert.equal(queue.cancel(handles[id]!), waits, 'cancel says whether it did anything')
      reference = reference.filter((event) => event.id !== id)
    } else {
      // Array.sort is stable and ids grow, so ties leave in the order of scheduling.
      reference.sort((left, right) => left.tick - right.tick || left.id - right.id)
      const expected = reference.shift()
      assert.equal(queue.nextTick(), expected?.tick)
      assert.equal(queue.pop(), expected !== undefined)
      if (expected === undefined) continue
      const found = [queue.tick, queue.kind, queue.a, queue.b]
      assert.deepEqual(found, [expected.tick, expected.id % 256, expected.id, 0 - expected.id])
      now = expected.tick
    }
    assert.equal(queue.size, reference.length)
  }
}

holds(
  t,
  'queue = sorted list, with ties and cancellation',
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

t.test('a handle of an event that ran does not cancel the next user of its slot', async (t) => {
  const queue = new EventQueue()
  const first = queue.schedule(1, 1, 0, 0)
  queue.pop()
  queue.schedule(2, 2, 0, 0)
  t.equal(queue.cancel(first), false)
  t.equal(queue.size, 1)
})

t.test('schedule() refuses a tick that is not whole', async (t) => {
  const queue = new EventQueue()
  for (const tick of [0.5, Number.NaN, -1, 2 ** 53]) {
    t.throws(() => queue.schedule(tick, 1, 0, 0), /whole tick/, String(tick))
  }
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
