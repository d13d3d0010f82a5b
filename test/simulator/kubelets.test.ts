/** Requests for one pod, one at a time, whatever comes when; retries that end. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Engine } from '../../simulator/clock.ts'
import { Kubelets } from '../../simulator/kubelets.ts'
import type { SimPod } from '../../simulator/sandboxes.ts'
import { holds } from '../support/property.ts'
import { mustIp } from './support.ts'

const RETRY_TICKS = 100
const IPS = [mustIp('10.42.0.7')]

/** A node that does as the test says, and complains about two requests at once. */
class Place {
  readonly engine = new Engine()
  readonly log: string[] = []
  readonly kubelets: Kubelets
  /** Outcomes of the next ADDs and DELs; all succeed when there are none. */
  readonly outcomes: boolean[] = []
  /** How long each takes. */
  ticks = 10
  private readonly busy = new Set<number>()
  private boot = 0

  constructor() {
    this.kubelets = new Kubelets({
      engine: this.engine,
      place: () => ({
        addPod: (id, { requested }) => this.serve('ADD', id, requested),
        removePod: (id) => this.serve('DEL', id, undefined),
      }),
      retryTicks: RETRY_TICKS,
    })
  }

  add(pod: number, heirOf?: number): void {
    const heir = heirOf === undefined ? {} : { heirOf }
    this.kubelets.scheduled++
    this.kubelets.perform({ kind: 'add', atTick: 0, pod, node: 0, ...heir })
  }

  remove(pod: number): void {
    this.kubelets.scheduled++
    this.kubelets.perform({ kind: 'remove', atTick: 0, pod })
  }

  /** Goes on for so long; without a time until nothing is left. */
  run(ticks = 1e9): void {
    this.engine.run(() => false, this.engine.tick + ticks)
  }

  /** Power is lost, and what was under way with it; then it is back. */
  blink(): void {
    this.boot++
    this.busy.clear()
    this.kubelets.lost(0)
    assert.deepEqual(rest(this).slice(0, 2), [0, 0], 'nothing is under way on a dead node')
    this.kubelets.returned(0)
  }

  private serve(verb: 'ADD' | 'DEL', id: number, requested: unknown): void {
    const { engine, kubelets, busy, log, boot } = this
    assert.ok(!busy.has(id), `one request at a time for pod ${id}`)
    busy.add(id)
    const wish = requested === undefined ? '' : ` ${String(requested)}`
    log.push(`${engine.tick} ${verb} ${id}${wish}`)
    const isGood = this.outcomes.shift() ?? true
    engine.later(this.ticks, 1, 0, id, () => {
      if (boot !== this.boot) return
      busy.delete(id)
      if (verb === 'DEL') kubelets.removed(id, isGood ? undefined : 'no store')
      else if (isGood) {
        kubelets.recorded(id, IPS)
        kubelets.added(id, { attachment: { ips: IPS } } as unknown as SimPod, undefined)
      } else kubelets.added(id, undefined, 'no address')
    })
  }
}

const rest = ({ kubelets }: Place) => [kubelets.underWay, kubelets.waiting, kubelets.scheduled]

t.test('a removal waits for the ADD that is under way', async (t) => {
  const place = new Place()
  place.add(1)
  place.remove(1)
  place.remove(1)
  place.run()
  t.strictSame(place.log, ['0 ADD 1', '10 DEL 1'])
  t.strictSame(rest(place), [0, 0, 0])
  t.match(place.kubelets.figure(), { added: 1, removed: 1, refused: 0, retried: 0 })
})

t.test('an ADD that fails is tried again, until it succeeds', async (t) => {
  const place = new Place()
  place.outcomes.push(false, false)
  place.add(1)
  place.run()
  t.strictSame(place.log, ['0 ADD 1', '110 ADD 1', '220 ADD 1'])
  t.match(place.kubelets.figure(), { added: 1, retried: 2, addMedianMs: 0.23, addMaxMs: 0.23 })
})

t.test('or until its pod goes', async (t) => {
  const place = new Place()
  place.outcomes.push(false)
  place.add(1)
  place.run(50)
  t.strictSame(rest(place), [0, 1, 0])
  place.remove(1)
  place.run()
  t.strictSame(place.log, ['0 ADD 1'])
  t.strictSame(rest(place), [0, 0, 0])
  t.match(place.kubelets.figure(), { added: 0, removed: 0, refused: 0 })
})

t.test('or until it has failed thirty times; its removal is nothing then', async (t) => {
  const place = new Place()
  place.outcomes.push(...Array.from({ length: 40 }, () => false))
  place.add(1)
  place.run()
  t.equal(place.log.length, 30)
  t.strictSame(place.kubelets.refusals, ['pod 1: no address'])
  place.remove(1)
  place.run()
  t.equal(place.log.length, 30)
  t.match(place.kubelets.figure(), { refused: 1, retried: 29, removed: 0 })
  t.strictSame(rest(place), [0, 0, 0])
})

t.test('the first pods are tried once', async (t) => {
  const place = new Place()
  place.outcomes.push(false)
  place.kubelets.underWay++
  place.kubelets.add(1, 0)
  place.run()
  t.strictSame(place.log, ['0 ADD 1'])
  t.strictSame(rest(place), [0, 0, 0])
})

t.test('a DEL that fails is tried again, and strands the address meanwhile', async (t) => {
  const place = new Place()
  place.outcomes.push(true, false)
  place.add(1)
  place.run()
  place.remove(1)
  place.run(20)
  t.equal(place.kubelets.stranded, 1)
  t.strictSame([...place.kubelets.strandedIds()], ['pod-1'])
  place.run()
  t.equal(place.kubelets.stranded, 0)
  t.strictSame(place.log, ['0 ADD 1', '10 DEL 1', '120 DEL 1'])
  t.match(place.kubelets.figure(), { removed: 1, strandedPeak: 1, strandedEnd: 0 })
})

t.test('an heir waits for the DEL, and asks for the addresses', async (t) => {
  const place = new Place()
  place.add(1)
  place.run()
  place.outcomes.push(false)
  place.remove(1)
  place.add(2, 1)
  place.run()
  t.strictSame(place.log, ['0 ADD 1', '10 DEL 1', '120 DEL 1', `130 ADD 2 ${IPS}`])
  t.strictSame(place.kubelets.duplicates, [])
})

t.test('what was told to go before power was lost goes when it is back', async (t) => {
  const place = new Place()
  for (const pod of [1, 2, 3]) place.add(pod)
  place.remove(2)
  place.blink()
  place.run()
  t.strictSame(place.log, ['0 ADD 1', '0 ADD 2', '0 ADD 3', '0 DEL 2'])
  t.strictSame(rest(place), [0, 0, 0])
})

type Step = readonly ['add' | 'remove' | 'run' | 'power', number]
const steps = fc.array(
  fc.tuple(fc.constantFrom<Step[0]>('add', 'remove', 'run', 'power'), fc.nat(3)),
  { maxLength: 30 },
)

t.test('whatever comes when: one request at a time, and an end', async (t) => {
  holds(t, 'any order', fc.tuple(steps, fc.array(fc.boolean())), ([all, outcomes]) => {
    const place = new Place()
    place.outcomes.push(...outcomes)
    const numbers = [0, 0, 0, 0]
    let next = 0
    for (const [verb, slot] of all) {
      if (verb === 'run') place.run([1, 7, 60, 500][slot])
      else if (verb === 'add') {
        const former = numbers[slot] || undefined
        if (former !== undefined) place.remove(former)
        numbers[slot] = ++next
        place.add(next, former)
      } else if (verb === 'remove') {
        place.remove(numbers[slot] ?? 0)
        numbers[slot] = 0
      } else place.blink()
    }
    place.run()
    assert.deepEqual(rest(place), [0, 0, 0], 'nothing is under way, nothing waits')
    for (const pod of numbers) if (pod !== 0) place.remove(pod)
    place.run()
    const { added, removed } = place.kubelets.figure()
    assert.equal(added, removed, 'every pod that came is gone')
    assert.equal(place.kubelets.stranded, 0)
    assert.deepEqual(rest(place), [0, 0, 0])
  })
})
