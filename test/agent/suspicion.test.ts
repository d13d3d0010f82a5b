/**
 * What the kernel says unasked: which of it is work, and that it never becomes
 * work without end.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { AgentEffect, AgentInput } from '../../src/agent/agent.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { AttachmentRecord, ClusterView } from '../../src/cluster/view.ts'
import {
  diff,
  type KernelEvent,
  type KernelObject,
  type KernelState,
  kernelState,
  linkOf,
  owns,
  satisfies,
} from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'
import { parsePrefix } from '../../src/net/mod.ts'
import { attachment, network, networkView, viewOf } from '../backend/views.ts'
import { holds } from '../support/property.ts'
import { isStep, TIMES, World } from './script.ts'

const ROUND = ['kernel.observe', 'store.read'] as const
const REPAIR = ['store.read', ...ROUND, 'kernel.apply', 'report applied'] as const
/** What one suspicion may cost until the timer, and then some for the rounds it meets. */
const LOOKS_MAX = 8

const viewWith = (nodes: number, pods: readonly AttachmentRecord[] = []): ClusterView =>
  viewOf([networkView(network('vxlan'), nodes, pods)], nodes)

/** What a planner leaves open, a kernel fills in. */
function inKernel(object: KernelObject): KernelObject {
  if (object.kind !== 'link') return object
  const { adopt: _planned, link, ...rest } = object
  return { ...rest, link: link.type === 'veth' ? { type: 'veth' } : link }
}

/** A world whose kernel tells of every change of its own accord, some time later. */
class LoudWorld extends World {
  readonly told: KernelEvent[] = []
  /** Some kernels do not take an object as it is asked for. */
  bends: (object: KernelObject) => KernelObject = (object) => object

  constructor(view = viewWith(3)) {
    super()
    this.view = view
    this.until(0)
    this.deliver()
    this.take()
  }

  override apply(ops: World['applied']): ReturnType<World['apply']> {
    const before = this.kernel
    const failures = super.apply(ops)
    this.kernel = kernelState([...this.kernel.values()].map((each) => this.bends(inKernel(each))))
    this.#tell(before, this.kernel)
    return failures
  }

  /** Somebody changes one object; undefined takes it away, with what hangs on a link. */
  change(key: string, object: KernelObject | undefined): void {
    const before = this.kernel
    const after = new Map(before)
    if (object === undefined) after.delete(key)
    else after.set(key, object)
    const name = key.startsWith('link ') && object === undefined ? key.slice(5) : undefined
    for (const [other, each] of before) {
      if (name !== undefined && linkOf(each) === name) after.delete(other)
    }
    this.kernel = after
    this.#tell(before, after)
  }

  /** Linux says nothing of the IPv4 routes that end with their link. */
  #tell(before: KernelState, after: KernelState): void {
    for (const [key, object] of before) {
      const link = linkOf(object) ?? ''
      const silent =
        object.kind === 'route' && before.has(`link ${link}`) && !after.has(`link ${link}`)
      if (!after.has(key) && !silent) this.told.push({ change: 'del', object })
    }
    for (const [key, object] of after) {
      const old = before.get(key)
      const same = old !== undefined && satisfies(object, old) && satisfies(old, object)
      if (!same && object.kind !== 'sysctl') this.told.push({ change: 'new', object })
    }
  }

  deliver(count = this.told.length): void {
    const events = this.told.splice(0, count)
    if (events.length > 0) this.feed({ kind: 'kernel.events', events })
  }

  /** Lets `ms` go by; the kernel tells what it has to tell every millisecond. */
  pass(ms: number): readonly string[] {
    for (const end = this.now + ms; this.now < end; ) {
      this.until(this.now + 1)
      this.deliver()
    }
    return this.take()
  }
}

const ROUTE = 'route 10.42.0.64/26 metric 0'
const foreign = (dst: string): KernelObject => ({
  kind: 'route',
  dst: parsePrefix(dst),
  type: 'unicast',
  link: 'eth9',
  metric: 0,
  protocol: 3,
})

t.test('own work is no news', async (t) => {
  const world = new World()
  world.view = viewWith(3)
  world.until(0)
  const events = [...world.kernel.values()].map((object) => ({ change: 'new', object }) as const)
  world.take()
  world.feed({ kind: 'kernel.events', events })
  t.equal(world.machine.nextWake(), TIMES.repairMs)
  world.until(TIMES.repairMs - 1)
  t.strictSame(world.take(), [])
})

t.test('nor is what is not ours', async (t) => {
  const world = new LoudWorld()
  world.change('route 203.0.113.0/24 metric 0', foreign('203.0.113.0/24'))
  world.change('route 203.0.113.0/24 metric 0', undefined)
  world.change('link eth7', { kind: 'link', name: 'eth7', link: { type: 'veth' }, up: true })
  t.strictSame(world.pass(100), [])
})

t.test('a contradiction is repaired soon, whatever it is', async (t) => {
  const { kernel } = new LoudWorld()
  const keys = [...kernel].flatMap(([key, { kind }]) =>
    kind === 'sysctl' || kind.startsWith('nft') ? [] : [key],
  )
  t.ok(keys.length > 7)
  for (const key of keys) {
    const world = new LoudWorld()
    world.change(key, undefined)
    world.deliver()
    t.equal(world.machine.nextWake(), TIMES.settleMs, key)
    t.strictSame(world.pass(100), REPAIR, `${key}: one round`)
    t.strictSame([...world.kernel.keys()].sort(), [...kernel.keys()].sort(), key)
    t.equal(world.machine.nextWake(), TIMES.settleMs + TIMES.repairMs)
  }
})

t.test('an object of ours that nobody planned is taken away', async (t) => {
  const world = new LoudWorld()
  world.change('route 203.0.113.0/24 metric 0', {
    ...foreign('203.0.113.0/24'),
    protocol: 84,
  } as KernelObject)
  t.strictSame(world.pass(100), REPAIR)
  t.notOk(world.kernel.has('route 203.0.113.0/24 metric 0'))
})

t.test('what was put right by the time of the look is no round', async (t) => {
  const world = new LoudWorld()
  const before = world.kernel.get(ROUTE)
  world.change(ROUTE, undefined)
  world.deliver()
  world.change(ROUTE, before)
  t.strictSame(world.pass(100), ['store.read'])
})

t.test("a pod's ADD and DEL: the store explains the kernel", async (t) => {
  const pod = attachment('c0ffee', ['10.42.0.5'])
  const world = new LoudWorld()
  const quiet = world.kernel
  // ADD: the record, then link, route and element.
  world.view = viewWith(3, [pod])
  const link = `link ${pod.hostLink}`
  const plan = planNode(world.view).desired
  for (const [key, object] of plan) if (!quiet.has(key)) world.change(key, inKernel(object))
  t.ok(world.kernel.has(link))
  t.strictSame(world.pass(100), ['store.read'], 'ADD')
  // DEL: the link, which takes its route along, then the record.
  world.change(link, undefined)
  for (const key of plan.keys()) if (!quiet.has(key)) world.change(key, undefined)
  world.view = viewWith(3)
  t.strictSame(world.pass(100), ['store.read'], 'DEL')
  t.strictSame([...world.kernel.keys()], [...quiet.keys()])
})

t.test("a pod's link that ends while its record stays: one round, no loop", async (t) => {
  const pod = attachment('c0ffee', ['10.42.0.5'])
  const world = new LoudWorld()
  world.view = viewWith(3, [pod])
  for (const [key, object] of planNode(world.view).desired) {
    if (!world.kernel.has(key)) world.change(key, inKernel(object))
  }
  world.pass(100)
  world.change(`link ${pod.hostLink}`, undefined)
  t.strictSame(world.pass(500), ['store.read', ...ROUND], 'only ADD could make it')
  world.view = viewWith(3)
  world.feed({ kind: 'store.changed' })
  const rest = world.pass(100)
  t.equal(rest.filter((word) => word === 'kernel.observe').length <= 1, true, rest.join())
})

t.test('a foreign object in our place: one round, one report', async (t) => {
  const world = new LoudWorld()
  world.reports.length = 0
  world.change(ROUTE, foreign('10.42.0.64/26'))
  t.strictSame(world.pass(TIMES.repairMs - 10), ['store.read', ...ROUND, 'report conflict'])
  t.equal(world.kernel.get(ROUTE)?.kind === 'route' && world.reports.length, 1)
  t.notSame(world.pass(3 * TIMES.repairMs), [], 'the timer looks')
  t.equal(world.reports.length, 1, 'and says nothing new')
  world.change(ROUTE, undefined)
  t.strictSame(world.pass(100), REPAIR, 'ours is back once it goes')
})

t.test('lost notifications: a look at everything', async (t) => {
  const world = new LoudWorld()
  world.change(ROUTE, undefined)
  world.told.length = 0
  t.strictSame(world.pass(100), [])
  world.feed({ kind: 'kernel.changed' })
  t.strictSame(world.pass(100), [...ROUND, 'kernel.apply', 'report applied'])
  t.ok(world.kernel.has(ROUTE))
})

/** A round of the timer that has observed, and has not read the store. */
function midRound(): LoudWorld {
  const world = new LoudWorld()
  world.now = TIMES.repairMs
  const at = world.now as Instant
  world.machine.wake(at)
  world.machine.handle({ kind: 'store.prepared', failure: undefined }, at)
  const observed = { kind: 'state', state: world.kernel } as const
  t.match(world.machine.handle({ kind: 'kernel.observed', observed }, at), [{ kind: 'store.read' }])
  return world
}

t.test('what happens behind the back of a round is seen after it', async (t) => {
  const told = midRound()
  told.change(ROUTE, undefined)
  told.deliver()
  told.feed({ kind: 'store.read', view: told.view })
  t.strictSame(told.take(), [], 'the round is over')
  t.strictSame(told.pass(100), REPAIR, 'told')
  const lost = midRound()
  lost.change(ROUTE, undefined)
  lost.told.length = 0
  lost.feed({ kind: 'kernel.changed' })
  lost.feed({ kind: 'store.read', view: lost.view })
  t.strictSame(lost.pass(100), [...ROUND, 'kernel.apply', 'report applied'], 'lost')
})

t.test('what happens while the kernel is read is seen after it', async (t) => {
  const world = new LoudWorld()
  world.now = TIMES.repairMs
  const at = world.now as Instant
  world.machine.wake(at)
  world.machine.handle({ kind: 'store.prepared', failure: undefined }, at)
  const observed = { kind: 'state', state: world.kernel } as const
  world.change(ROUTE, undefined)
  world.deliver()
  world.feed({ kind: 'kernel.observed', observed })
  world.take()
  t.strictSame(world.pass(100), REPAIR)
})

t.test("a new pod's route that ends before its record was read", async (t) => {
  const pod = attachment('c0ffee', ['10.42.0.5'])
  const world = new LoudWorld()
  world.view = viewWith(3, [pod])
  for (const [key, object] of planNode(world.view).desired) {
    if (!world.kernel.has(key)) world.change(key, inKernel(object))
  }
  world.change('route 10.42.0.5/32 metric 0', undefined)
  t.strictSame(world.pass(100), REPAIR)
})

t.test('another underlay: the node registers again', async (t) => {
  const world = new LoudWorld()
  world.feed({ kind: 'underlay.changed' })
  t.strictSame(world.pass(100), ['store.prepare', ...ROUND])
  world.feed({ kind: 'store.changed' })
  world.feed({ kind: 'underlay.changed' })
  world.feed({ kind: 'underlay.changed' })
  t.strictSame(world.pass(100), ['store.prepare', ...ROUND], 'a burst shares one round')
  t.strictSame(world.pass(100), [])
})

t.test('another underlay while a round is under way: once more after it', async (t) => {
  const world = new LoudWorld()
  world.now = TIMES.repairMs
  const [first] = world.machine.wake(world.now as Instant)
  t.equal(first?.kind, 'store.prepare')
  t.strictSame(world.machine.handle({ kind: 'underlay.changed' }, world.now as Instant), [])
  world.settle([first as AgentEffect])
  world.take()
  t.strictSame(world.pass(100), ['store.prepare', ...ROUND])
})

t.test('a kernel that bends what it is given, and somebody who insists', async (t) => {
  const key = 'link trvx.1'
  const bending = new LoudWorld()
  let mtuBytes = 1000
  bending.bends = (object) => {
    mtuBytes += 1
    return object.kind === 'link' && object.name === 'trvx.1' ? { ...object, mtuBytes } : object
  }
  bending.change(key, bending.bends(bending.kernel.get(key) as KernelObject))
  const insisting = new LoudWorld()
  const refusing = new LoudWorld()
  refusing.refused.set(key, { code: 'EINVAL', message: 'no' })
  const worlds = { bending, insisting, refusing }
  for (const [name, world] of Object.entries(worlds)) {
    const before = world.kernel.get(key) as KernelObject
    const roundsUntil = (end: number): number => {
      let rounds = 0
      for (; world.now < end; ) {
        if (name !== 'bending')
          world.change(key, { ...before, mtuBytes: 1000 + world.now } as KernelObject)
        rounds += world.pass(10).filter((word) => word === 'kernel.observe').length
      }
      return rounds
    }
    // A refused operation has its own times of trying again.
    const first = roundsUntil(TIMES.repairMs - 100)
    t.ok(first > 1 && first <= 2 * LOOKS_MAX, `${name}: ${first} rounds in a repair time`)
    const later = roundsUntil(3 * TIMES.repairMs)
    t.ok(later > LOOKS_MAX && later <= 5 * LOOKS_MAX, `${name}: ${later} in two more`)
  }
})

// What follows lets everything happen at once.

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
    for (let steps = 0; steps < 500; steps++) {
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
  fc.array(eventArb, { maxLength: 40 }),
  (events) => {
    const world = new BusyWorld()
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
