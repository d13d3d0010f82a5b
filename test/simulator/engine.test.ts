/**
 * The engine's order, against what another queue made of the same program: a
 * plain heap over (tick, sequence) gave these values. They hold on any machine
 * and change only when the order of events does.
 */
import t from 'tap'
import { Engine, EVENT } from '../../simulator/clock.ts'
import type { EventHandle } from '../../simulator/event-queue.ts'
import { prng } from '../../src/prng.ts'

/** Delays from the very next tick to half an hour, so that every part of the queue takes part. */
const SPREADS = [1, 3, 300, 70_000, 5_000_000, 2 ** 31]
const EVENTS = 20_000

function traceOf(seed: number): string {
  const engine = new Engine()
  const random = prng(seed)
  const handles: EventHandle[] = []
  const add = (): void => {
    const id = handles.length
    const delay = random.below(SPREADS[random.below(SPREADS.length)]!)
    handles.push(engine.later(delay, EVENT.timer, id, -id, serve))
  }
  function serve(): void {
    if (handles.length < EVENTS) for (let left = random.below(4); left > 0; left--) add()
    if (random.below(3) === 0) engine.cancel(handles[random.below(handles.length)]!)
  }
  for (let each = 0; each < 2000; each++) add()
  // Gives up between two events; what is added then may be before the next one.
  engine.run(() => false, 1e6)
  for (let each = 0; each < 2000; each++) add()
  engine.run(() => false, 1e15)
  return `${engine.events} ${engine.tick} ${engine.traceHash()}`
}

t.test('Engine: events, time and trace are those of a plain heap', async (t) => {
  t.equal(traceOf(1), '19918 2146470287 3859931be73dc668')
  t.equal(traceOf(2), '19890 2146545490 3b05066039528559')
  t.equal(traceOf(3), '19857 2147243859 06b103b38e83aeda')
})
