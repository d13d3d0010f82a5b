/**
 * Whatever happens, the reconciler has at most one thing under way, asks to be
 * woken when it has none, and ends where the store wants it.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { AgentEffect, AgentInput } from '../../src/agent/agent.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { diff } from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'
import { attachment, claims, network, networkView, node, viewOf } from '../backend/views.ts'
import { holds } from '../support/property.ts'
import { isStep, TIMES, World } from './script.ts'

const pod = attachment('c0ffee', ['10.42.0.1'])
const routed = network('route')
const VIEWS: readonly (ClusterView | undefined)[] = [
  undefined,
  viewOf([], 1),
  viewOf([networkView(routed, 3)], 3),
  viewOf([networkView(routed, 2, [pod])], 2),
  viewOf([{ network: routed, claims: claims(routed, 'n1', [1]), attachments: [] }], 2),
  viewOf([networkView(network('vxlan'), 3)], 3),
  viewOf([networkView(network('vxlan'), 2)], 2, [node(0, { underlayIps: [] })]),
  viewOf([networkView(network('vlan'), 1, [attachment('beef', ['10.42.0.9'])])], 1),
]

type Event =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'changed'; readonly what: 'store.changed' | 'kernel.changed' }
  | { readonly kind: 'view'; readonly index: number }
  | { readonly kind: 'break'; readonly what: 'prepare' | 'observe' | 'apply' }
  | { readonly kind: 'mend' }
  | { readonly kind: 'answer' }
  | { readonly kind: 'wake' }
  | { readonly kind: 'wipe' }

const eventArb: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(1500) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('changed' as const),
      what: fc.constantFrom('store.changed' as const, 'kernel.changed' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('view' as const), index: fc.nat(VIEWS.length - 1) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('break' as const),
      what: fc.constantFrom('prepare' as const, 'observe' as const, 'apply' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'mend' as const }) },
  { weight: 6, arbitrary: fc.constant({ kind: 'answer' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'wake' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'wipe' as const }) },
)

/** A world that answers when an event says so, and checks every effect. */
class SlowWorld extends World {
  pending: AgentEffect | undefined
  breaksApply = false

  perform(effects: readonly AgentEffect[]): void {
    for (const effect of effects) {
      this.note(effect)
      if (!isStep(effect)) continue
      assert.equal(this.pending, undefined, 'one step under way at a time')
      this.pending = effect
    }
    const next = this.machine.nextWake()
    if (this.pending === undefined) assert.notEqual(next, undefined, 'idle, and asks to be woken')
    else assert.equal(next, undefined, 'nothing is due while an answer is')
  }

  input(input: AgentInput): void {
    this.perform(this.machine.handle(input, this.now as Instant))
  }

  reply(): void {
    const effect = this.pending
    if (effect === undefined) return
    this.pending = undefined
    if (effect.kind === 'kernel.apply' && this.breaksApply) {
      const failures = effect.ops.map(() => ({ code: 'EINVAL', message: 'no' }))
      this.input({ kind: 'kernel.applied', failures })
      return
    }
    const input = this.answer(effect)
    assert.ok(input !== undefined)
    this.input(input)
  }

  wake(): void {
    const before = this.machine.nextWake()
    this.perform(this.machine.wake(this.now as Instant))
    const after = this.machine.nextWake()
    const moved = after === undefined || after > this.now
    assert.ok(before === undefined || before > this.now || moved, 'a wake moves nextWake on')
  }

  run(event: Event): void {
    switch (event.kind) {
      case 'wait':
        this.now += event.ms
        return
      case 'changed':
        this.input({ kind: event.what })
        return
      case 'view':
        this.view = VIEWS[event.index]
        this.input({ kind: 'store.changed' })
        return
      case 'break':
        if (event.what === 'prepare') this.prepareFailure = 'broken'
        if (event.what === 'observe') this.observeFailure = 'broken'
        if (event.what === 'apply') this.breaksApply = true
        return
      case 'mend':
        this.mend()
        return
      case 'answer':
        this.reply()
        return
      case 'wake':
        this.wake()
        return
      case 'wipe':
        this.kernel = new Map()
    }
  }

  mend(): void {
    this.prepareFailure = undefined
    this.observeFailure = undefined
    this.breaksApply = false
  }
}

const LAST = VIEWS[2]

holds(
  t,
  'never two steps at once, never stuck, and at rest the kernel is as desired',
  fc.array(eventArb, { maxLength: 60 }),
  (events) => {
    const world = new SlowWorld()
    for (const event of events) world.run(event)
    world.mend()
    world.view = LAST
    world.input({ kind: 'store.changed' })
    // A round is four steps; a failing one before it may have backed off to the repair time.
    for (let steps = 0; steps < 40; steps++) {
      if (world.pending !== undefined) world.reply()
      else {
        world.now = Math.max(world.now, world.machine.nextWake() ?? 0)
        world.wake()
      }
    }
    while (world.pending !== undefined) world.reply()
    assert.ok(LAST !== undefined)
    assert.deepEqual(diff(planNode(LAST).desired, world.kernel).ops, [])
    const next = world.machine.nextWake()
    assert.equal(next, world.now + TIMES.repairMs, 'at rest')
  },
)
