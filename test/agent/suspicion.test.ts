/**
 * What the kernel says unasked: which of it is work, and that it never becomes
 * work without end.
 */
import t from 'tap'
import type { AgentEffect } from '../../src/agent/agent.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'
import { parsePrefix } from '../../src/net/mod.ts'
import { attachment } from '../backend/views.ts'
import { inKernel, LoudWorld, viewWith } from './loud-world.ts'
import { TIMES, World } from './script.ts'

const ROUND = ['kernel.observe', 'store.read'] as const
const REPAIR = ['store.read', ...ROUND, 'kernel.apply', 'report applied'] as const
/** What one suspicion may cost until the timer, and then some for the rounds it meets. */
const LOOKS_MAX = 8

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
  world.feed({ kind: 'store.changed' })
  world.pass(100)
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
