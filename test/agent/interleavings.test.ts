/**
 * Everything at once: harm, foreign objects, pods, peers, lost and late
 * notifications, late answers. Events alone bring the kernel to the plan.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { AgentEffect, AgentInput } from '../../src/agent/agent.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { AttachmentRecord, ClusterView } from '../../src/cluster/view.ts'
import { diff, type KernelObject, type KernelState, owns } from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'
import { attachment } from '../backend/views.ts'
import { holds } from '../support/property.ts'
import { inKernel, LoudWorld, viewWith } from './loud-world.ts'
import { isStep, TIMES, type World } from './script.ts'

const PODS = ['c0ffee', 'beef', 'cafe'].map((id, index) => attachment(id, [`10.42.0.${index + 5}`]))

type Event =
  | { readonly kind: 'harm' | 'bend' | 'foreign'; readonly at: number }
  | { readonly kind: 'pod'; readonly at: number }
  | { readonly kind: 'nodes'; readonly count: number }
  | { readonly kind: 'hear'; readonly count: number }
  | { readonly kind: 'lose' | 'answer' | 'underlay' }
  | { readonly kind: 'wait'; readonly ms: number }

const eventArb: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('harm', 'bend', 'foreign'), at: fc.nat(30) }),
  fc.record({ kind: fc.constant('pod'), at: fc.nat(PODS.length - 1) }),
  fc.record({ kind: fc.constant('nodes'), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('hear'), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constantFrom('lose', 'underlay') }),
  fc.record({ kind: fc.constant('wait'), ms: fc.nat(30) }),
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer') }) },
) as fc.Arbitrary<Event>

/** Answers come when an event says so, and notifications too. */
class BusyWorld extends LoudWorld {
  pending: AgentEffect | undefined
  /** What the answer to come has found. */
  seen: KernelState | undefined
  #nodes = 3
  readonly #pods = new Set<AttachmentRecord>()
  readonly #harms = new Map<string, number>()
  rounds = 0
  causes = 0

  input(input: AgentInput): void {
    this.perform(this.machine.handle(input, this.now as Instant))
  }

  override observed(): ReturnType<World['observed']> {
    return this.seen === undefined ? super.observed() : { kind: 'state', state: this.seen }
  }

  perform(effects: readonly AgentEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'kernel.observe') {
        this.rounds += 1
        // Read at once, answered some time later.
        this.seen = this.kernel
      }
      if (!isStep(effect)) continue
      assert.equal(this.pending, undefined, 'one step under way at a time')
      this.pending = effect
    }
  }

  hear(count = this.told.length): void {
    const events = this.told.splice(0, count)
    if (events.length > 0) this.input({ kind: 'kernel.events', events })
  }

  reply(): void {
    const effect = this.pending
    this.pending = undefined
    const input = effect && this.answer(effect)
    if (input !== undefined) this.input(input)
  }

  /** One object of the kernel, but not one that was spoilt as often as is looked after. */
  #victim(at: number): readonly [string, KernelObject] | undefined {
    const all = [...this.kernel].filter(
      ([, { kind }]) => kind !== 'sysctl' && !kind.startsWith('nft'),
    )
    const victim = all[at % Math.max(all.length, 1)]
    if (victim === undefined) return undefined
    const harms = (this.#harms.get(victim[0]) ?? 0) + 1
    this.#harms.set(victim[0], harms)
    return harms > 2 ? undefined : victim
  }

  #spoil(kind: 'harm' | 'bend' | 'foreign', at: number): void {
    const victim = this.#victim(at)
    if (victim === undefined) return
    const [key, object] = victim
    if (kind === 'harm') this.change(key, undefined)
    else if (kind === 'bend' && object.kind === 'link') {
      this.change(key, { ...object, mtuBytes: 1300 })
    } else if (kind === 'foreign' && object.kind === 'route') {
      this.change(key, { ...object, type: 'unicast', link: 'eth9', protocol: 3 })
    }
  }

  #toggle(pod: AttachmentRecord): void {
    const had = this.#pods.delete(pod)
    if (!had) this.#pods.add(pod)
    const link = `link ${pod.hostLink}`
    const without = planNode(viewWith(this.#nodes)).desired
    const own = [...planNode(viewWith(this.#nodes, [pod])).desired].filter(
      ([key]) => !without.has(key),
    )
    if (had) this.change(link, undefined)
    this.#publish()
    for (const [key, object] of own)
      if (had || !this.kernel.has(key)) this.change(key, had ? undefined : inKernel(object))
  }

  #publish(): void {
    this.view = viewWith(this.#nodes, [...this.#pods])
    this.input({ kind: 'store.changed' })
  }

  run(event: Event): void {
    if (!['hear', 'answer', 'wait'].includes(event.kind)) this.causes += 1
    switch (event.kind) {
      case 'harm':
      case 'bend':
      case 'foreign':
        this.#spoil(event.kind, event.at)
        return
      case 'pod':
        this.#toggle(PODS[event.at] as AttachmentRecord)
        return
      case 'nodes':
        this.#nodes = event.count
        this.#publish()
        return
      case 'hear':
        this.hear(event.count)
        return
      case 'lose':
        this.told.length = 0
        this.input({ kind: 'kernel.changed' })
        return
      case 'underlay':
        this.input({ kind: 'underlay.changed' })
        return
      case 'answer':
        this.reply()
        return
      case 'wait':
        this.now += event.ms
        if (this.pending === undefined) this.perform(this.machine.wake(this.now as Instant))
    }
  }

  /** Plays on until nothing is due before the timer. */
  settleDown(): void {
    const until = this.now + TIMES.repairMs / 2
    for (let steps = 0; steps < 1000; steps++) {
      this.hear()
      if (this.pending !== undefined) this.reply()
      else {
        const next = this.machine.nextWake() ?? Number.POSITIVE_INFINITY
        if (next > until) return
        this.now = Math.max(this.now, next)
        this.perform(this.machine.wake(this.now as Instant))
      }
    }
    assert.fail('it does not come to rest')
  }
}

holds(
  t,
  'whatever happens in whatever order, events alone bring the kernel to the plan, in few rounds',
  fc.record({
    events: fc.array(eventArb, { maxLength: 40 }),
    /** Objects of a plan between two turns: others have theirs in the middle of it. */
    slice: fc.constantFrom(20, 50, Number.POSITIVE_INFINITY),
  }),
  ({ events, slice }) => {
    const world = new BusyWorld(viewWith(3), slice)
    for (const event of events) world.run(event)
    world.settleDown()
    const { ops, conflicts } = diff(planNode(world.view as ClusterView).desired, world.kernel)
    assert.deepEqual(ops, [])
    for (const { actual } of conflicts) assert.ok(!owns(actual, world.kernel))
    // One round a cause, one more for what happens during it, and waiting may reach the timer.
    const most = 2 * world.causes + 2 + Math.ceil(world.now / TIMES.repairMs)
    assert.ok(world.rounds <= most, `${world.rounds} rounds for ${world.causes} causes`)
  },
)
