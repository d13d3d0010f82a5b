/** The reconciler on a script: which effect follows which input, and when. */
import t from 'tap'
import type { AgentReport } from '../../src/agent/agent.ts'
import { type KernelObject, renderOp } from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { attachment, claims, network, networkView, node, viewOf } from '../backend/views.ts'
import { TIMES, World } from './script.ts'

const ROUTED = viewOf([networkView(network('route'), 2)], 2)
const ROUND = ['kernel.observe', 'store.read'] as const

/** A world in which the first round is over. */
function settled(view = ROUTED): World {
  const world = new World()
  world.view = view
  world.until(0)
  world.take()
  return world
}

/** What was applied, but for the nftables table. */
const linesOf = (world: World): readonly string[] =>
  world.applied.map(renderOp).filter((line) => !line.startsWith('nft '))

t.test('the first round prepares, observes, reads, applies and says ready', async (t) => {
  const world = new World()
  world.view = ROUTED
  world.until(0)
  t.strictSame(world.take(), ['store.prepare', ...ROUND, 'kernel.apply', 'report applied', 'ready'])
  t.strictSame(linesOf(world), [
    'sysctl -w net.ipv4.ip_forward=1',
    'ip route add blackhole 10.42.0.0/26 proto 84',
    'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
  ])
  t.equal(world.machine.nextWake(), TIMES.repairMs)
})

t.test('the kernel is observed before the store is read', async (t) => {
  const { machine } = new World()
  const at = 0 as Instant
  t.strictSame(machine.wake(at), [{ kind: 'store.prepare' }])
  t.equal(machine.nextWake(), undefined, 'nothing is due while an answer is')
  t.strictSame(machine.wake(at), [], 'an extra wake does nothing')
  const [observe] = machine.handle({ kind: 'store.prepared', failure: undefined }, at)
  t.equal(observe?.kind, 'kernel.observe')
  const observed = { kind: 'state', state: new Map() } as const
  t.strictSame(machine.handle({ kind: 'kernel.observed', observed }, at), [{ kind: 'store.read' }])
})

t.test('nothing to do: a round on the timer applies nothing and says nothing', async (t) => {
  const world = settled()
  world.until(TIMES.repairMs - 1)
  t.strictSame(world.take(), [])
  world.until(TIMES.repairMs)
  t.strictSame(world.take(), ['store.prepare', ...ROUND])
  t.equal(world.machine.nextWake(), 2 * TIMES.repairMs)
})

t.test('a repair puts back what somebody took away', async (t) => {
  const world = settled()
  const kept = [...world.kernel.values()].filter(({ kind }) => kind !== 'route')
  world.holds(kept)
  world.until(TIMES.repairMs)
  t.strictSame(world.take(), ['store.prepare', ...ROUND, 'kernel.apply', 'report applied'])
  t.equal(world.applied.length, 2)
})

t.test('a burst of changes shares a round, soon', async (t) => {
  const world = settled()
  for (const ms of [500, 501, 502]) {
    world.until(ms)
    world.feed({ kind: 'store.changed' })
    world.feed({ kind: 'kernel.changed' })
  }
  t.strictSame(world.take(), [])
  t.equal(world.machine.nextWake(), 500 + TIMES.settleMs, 'counted from the first of them')
  world.until(600)
  t.strictSame(world.take(), ROUND, 'one round, which writes nothing to the store')
})

t.test('a change during a round starts another one', async (t) => {
  const world = settled()
  world.until(TIMES.repairMs - 1)
  world.now = TIMES.repairMs
  const at = world.now as Instant
  t.equal(world.machine.wake(at)[0]?.kind, 'store.prepare')
  t.strictSame(world.machine.handle({ kind: 'store.changed' }, at), [])
  t.strictSame(world.machine.handle({ kind: 'store.changed' }, at), [])
  world.feed({ kind: 'store.prepared', failure: undefined })
  t.equal(world.machine.nextWake(), world.now + TIMES.settleMs)
  world.take()
  world.until(world.now + TIMES.settleMs)
  t.strictSame(world.take(), ['store.read'], 'a look is enough: nothing differs')
  t.equal(world.machine.nextWake(), 2 * TIMES.repairMs, 'and does not put the repair off')
})

t.test("this node's own pods cost a look at the store, not a round", async (t) => {
  const world = settled()
  world.feed({ kind: 'store.changed' })
  world.until(50)
  world.take()
  const [only] = ROUTED.networks
  world.view = {
    ...ROUTED,
    networks: [{ ...only!, attachments: [attachment('c0ffee', ['10.42.0.5'])] }],
  }
  world.until(100)
  world.feed({ kind: 'store.changed' })
  world.until(200)
  t.strictSame(world.take(), ['store.read'])
  world.feed({ kind: 'store.changed' })
  world.feed({ kind: 'kernel.changed' })
  world.until(300)
  t.equal(world.take()[0], 'kernel.observe', 'what happens in the kernel is looked at there')
})

t.test(
  "a peer's block is a step: no look at the kernel, and what is there already stays",
  async (t) => {
    const world = settled()
    world.view = viewOf([networkView(network('route'), 3)], 3)
    world.until(100)
    world.feed({ kind: 'store.changed' })
    world.until(100 + TIMES.settleMs)
    t.strictSame(world.take(), ['store.read', 'kernel.apply', 'report applied'])
    t.strictSame(linesOf(world), ['ip route add 10.42.0.128/26 via 192.0.2.2 dev eth0 proto 84'])
    t.equal(world.machine.nextWake(), TIMES.repairMs, 'the repair is not put off')
    world.view = ROUTED
    world.feed({ kind: 'store.changed' })
    world.until(200)
    t.strictSame(world.take(), ['store.read', 'kernel.apply', 'report applied'])
    world.until(TIMES.repairMs)
    t.strictSame(
      world.take(),
      ['store.prepare', ...ROUND],
      'the whole comparison finds nothing to do',
    )
  },
)

t.test('a step that the kernel refuses is followed by a round', async (t) => {
  const world = settled()
  const key = 'route 10.42.0.128/26 metric 0'
  world.refused.set(key, { code: 'ENETUNREACH', message: 'refused' })
  world.view = viewOf([networkView(network('route'), 3)], 3)
  world.feed({ kind: 'store.changed' })
  world.until(TIMES.settleMs)
  t.strictSame(world.take(), ['store.read', 'kernel.apply', 'report applied'])
  world.refused.clear()
  world.until(TIMES.settleMs + TIMES.retryMs)
  t.strictSame(world.take(), ['store.prepare', ...ROUND, 'kernel.apply', 'report applied'])
  t.ok(world.kernel.has(key))
})

t.test('with somebody in the way, only the whole comparison will do', async (t) => {
  const foreign: KernelObject = {
    kind: 'route',
    dst: parsePrefix('10.42.0.64/26'),
    type: 'unicast',
    link: 'eth0',
    metric: 0,
    protocol: 4,
  }
  const world = new World()
  world.view = ROUTED
  world.holds([foreign])
  world.until(0)
  world.take()
  world.view = viewOf([networkView(network('route'), 3)], 3)
  world.feed({ kind: 'store.changed' })
  world.until(TIMES.settleMs)
  t.strictSame(world.take(), ['store.read', ...ROUND, 'kernel.apply', 'report applied'])
})

t.test('this node, its blocks and networks are a round', async (t) => {
  const more: readonly (readonly [string, typeof ROUTED])[] = [
    ['a mode', viewOf([networkView(network('vxlan'), 2)], 2)],
    ['a network', viewOf([], 2)],
    ['an MTU', { ...ROUTED, self: { ...ROUTED.self, underlayMtuBytes: 9000 } }],
  ]
  for (const [what, view] of more) {
    const world = settled()
    world.view = view
    world.until(100)
    world.feed({ kind: 'store.changed' })
    world.until(100 + TIMES.settleMs)
    t.strictSame(world.take().slice(0, 3), ['store.read', ...ROUND], what)
  }
})

t.test('under steady change the repair still has its turn', async (t) => {
  const world = settled()
  for (let ms = 1; ms < 3 * TIMES.repairMs; ms += 2) {
    world.until(ms)
    world.feed({ kind: 'store.changed' })
  }
  const rounds = world.take().filter((word) => word === 'kernel.observe').length
  t.ok(rounds === 2 || rounds === 3, `${rounds} rounds in three repair times`)
})

/** When the rounds of the next `ms` milliseconds start. */
function starts(world: World, ms: number): readonly number[] {
  const times: number[] = []
  for (const end = world.now + ms; ; ) {
    const next = world.machine.nextWake()
    if (next === undefined || next > end) return times
    times.push(next)
    world.until(next)
  }
}

t.test('failures are tried again, later and later', async (t) => {
  const failing: readonly (readonly [string, (world: World) => void, AgentReport])[] = [
    [
      'a store that cannot be written',
      (world) => {
        world.prepareFailure = 'disk full'
      },
      { event: 'failed', step: 'store.prepare', reason: 'disk full' },
    ],
    [
      'a kernel that cannot be read',
      (world) => {
        world.observeFailure = 'no buffer space'
      },
      { event: 'failed', step: 'kernel.observe', reason: 'no buffer space' },
    ],
    [
      'a node that is not registered',
      (world) => {
        world.view = undefined
      },
      { event: 'failed', step: 'store.read', reason: 'this node is not registered' },
    ],
  ]
  for (const [name, fail, report] of failing) {
    const world = new World()
    world.view = ROUTED
    fail(world)
    t.strictSame(
      starts(world, 3000),
      [0, 100, 300, 700, 1500, 2500],
      `${name}: doubling to the repair time`,
    )
    t.match(world.reports, [report], `${name}: said`)
    t.notOk(world.take().includes('ready'), `${name}: not ready`)
    Object.assign(world, { prepareFailure: undefined, observeFailure: undefined, view: ROUTED })
    world.until(world.now + TIMES.repairMs)
    t.ok(world.take().includes('ready'), `${name}: ready once it works`)
    t.equal(world.machine.nextWake(), 3500 + TIMES.repairMs, `${name}: back to the repair time`)
  }
})

t.test('an operation that fails is reported and tried again', async (t) => {
  const world = new World()
  world.view = ROUTED
  const failure = { code: 'ENETUNREACH', message: 'Cannot route add: ENETUNREACH' }
  world.refused.set('route 10.42.0.64/26 metric 0', failure)
  t.strictSame(starts(world, 800), [0, 100, 300, 700])
  t.match(world.reports[0], {
    event: 'applied',
    failures: [
      {
        op: 'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
        reason: failure.message,
      },
    ],
  })
  t.equal(world.applied.length, 1, 'only what is still missing')
  const ready = world.take().filter((effect) => effect === 'ready')
  t.equal(ready.length, 1, 'one object that the kernel refuses does not hold the node back')
  world.refused.clear()
  world.until(1500)
  t.equal(world.machine.nextWake(), 1500 + TIMES.repairMs, 'back to the repair time')
})

t.test('removing what is gone already is no failure', async (t) => {
  const stale: KernelObject = {
    kind: 'route',
    dst: parsePrefix('10.42.9.0/26'),
    type: 'blackhole',
    metric: 0,
    protocol: 84,
  }
  for (const code of ['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL', 'EPERM']) {
    const world = settled()
    world.holds([...world.kernel.values(), stale])
    world.refused.set('route 10.42.9.0/26 metric 0', { code, message: code })
    world.reports.length = 0
    world.until(TIMES.repairMs)
    const failures = code === 'EPERM' ? [{ reason: 'EPERM' }] : []
    t.match(world.reports, [{ event: 'applied', failures }], code)
    const wait = code === 'EPERM' ? TIMES.retryMs : TIMES.repairMs
    t.equal(world.machine.nextWake(), TIMES.repairMs + wait, `${code}: next in ${wait} ms`)
  }
})

t.test('what cannot be planned is said once, and removes nothing', async (t) => {
  const broken = viewOf([networkView(network('vxlan'), 2)], 2, [node(0, { underlayIps: [] })])
  const world = new World()
  world.view = viewOf([networkView(network('vxlan'), 2)], 2)
  world.until(0)
  const before = world.kernel.size
  t.ok(before > 5)
  world.view = broken
  world.reports.length = 0
  world.until(3 * TIMES.repairMs)
  t.equal(world.kernel.size, before, 'links and routes of running pods stay')
  t.strictSame(world.reports, [
    {
      event: 'problem',
      problem:
        'network pods: Cannot reach node n0 by VXLAN: its underlay eth0 has [], wanted an address',
    },
  ])
  world.view = viewOf([networkView(network('vxlan'), 2)], 2)
  world.until(4 * TIMES.repairMs)
  world.view = broken
  world.until(5 * TIMES.repairMs)
  t.equal(world.reports.length, 2, 'and said again after it had gone away')
})

t.test('a network that is gone is cleaned up', async (t) => {
  const world = settled()
  world.view = viewOf([], 2)
  world.until(TIMES.repairMs)
  t.strictSame([...world.kernel.keys()], ['sysctl net.ipv4.ip_forward'])
})

t.test('a foreign object in our place is reported once and left alone', async (t) => {
  const world = new World()
  world.view = ROUTED
  const foreign: KernelObject = {
    kind: 'route',
    dst: parsePrefix('10.42.0.64/26'),
    type: 'unicast',
    link: 'eth9',
    metric: 0,
    protocol: 3,
  }
  world.holds([foreign])
  world.until(3 * TIMES.repairMs)
  const conflicts = world.reports.filter(({ event }) => event === 'conflict')
  t.match(conflicts, [{ event: 'conflict', conflict: { actual: foreign } }])
  t.equal(conflicts.length, 1)
  t.strictSame(world.kernel.get('route 10.42.0.64/26 metric 0'), foreign)
  t.ok(world.take().includes('ready'), 'a conflict does not hold the node back')
})

t.test('a network without a block of ours is asked for once, then on the timer', async (t) => {
  const record = network('route')
  const others = { network: record, claims: claims(record, 'n1', [1]), attachments: [] }
  const world = settled(viewOf([], 2))
  world.view = viewOf([others], 2) // somebody created it
  world.until(100)
  world.feed({ kind: 'store.changed' })
  world.until(110)
  t.strictSame(world.take(), [
    'store.read',
    ...ROUND,
    'kernel.apply',
    'report applied',
    'store.prepare',
    ...ROUND,
  ])
  for (let ms = 200; ms < 900; ms += 100) {
    world.until(ms)
    world.feed({ kind: 'store.changed' })
  }
  t.notOk(world.take().includes('store.prepare'), 'an exhausted pool makes no rounds of its own')
  world.until(3000)
  t.equal(world.take().filter((word) => word === 'store.prepare').length, 2, 'but the timer asks')
})

t.test('asking survives failures, and changes that come meanwhile', async (t) => {
  const record = network('route')
  const others = { network: record, claims: claims(record, 'n1', [1]), attachments: [] }
  const world = settled(viewOf([], 2))
  world.view = viewOf([others], 2)
  world.refused.set('route 10.42.0.64/26 metric 0', { code: 'ENETUNREACH', message: 'no' })
  world.until(100)
  world.feed({ kind: 'store.changed' })
  world.until(110)
  t.notOk(world.take().includes('store.prepare'), 'the round failed and waits')
  world.feed({ kind: 'store.changed' })
  world.until(120)
  t.ok(world.take().includes('store.prepare'))
})

t.test('a node that keeps failing goes on asking for blocks', async (t) => {
  const world = settled()
  world.refused.set('route 10.42.0.128/26 metric 0', { code: 'ENETUNREACH', message: 'no' })
  world.view = viewOf([networkView(network('route'), 3)], 3)
  world.until(20 * TIMES.repairMs)
  const asked = world.take().filter((word) => word === 'store.prepare').length
  t.ok(asked >= 15, `asked ${asked} times in 20 repair times`)
})

t.test('a network made again under its name is asked for again', async (t) => {
  const record = network('route')
  const without = viewOf([{ network: record, claims: [], attachments: [] }], 2)
  const world = settled(viewOf([], 2))
  const change = (view: typeof without): readonly string[] => {
    world.view = view
    world.feed({ kind: 'store.changed' })
    world.until(world.now + 20)
    return world.take()
  }
  t.ok(change(without).includes('store.prepare'))
  t.notOk(change(ROUTED).includes('store.prepare'))
  t.notOk(change(viewOf([], 2)).includes('store.prepare'))
  t.ok(change(without).includes('store.prepare'))
})

t.test("a pod's link: kept right while it is there, never made", async (t) => {
  const pod = attachment('c0ffee', ['10.42.0.1'])
  const view = viewOf([networkView(network('route'), 2, [pod])], 2)
  const world = settled(view)
  const link = `link ${pod.hostLink}`
  t.notOk(world.kernel.has(link), 'only ADD knows the namespace')
  t.notOk(world.kernel.has('route 10.42.0.1/32 metric 0'), 'nor anything on it')
  const born: KernelObject = {
    kind: 'link',
    name: pod.hostLink ?? '',
    link: { type: 'veth' },
    up: false,
    mtuBytes: 1500,
    alias: 'trivium pods c0ffee eth0 1',
  }
  world.holds([...world.kernel.values(), born])
  world.until(TIMES.repairMs)
  t.strictSame(linesOf(world), [
    `ip link set dev ${pod.hostLink} address 02:74:72:69:76:01 up`,
    `ip route add 10.42.0.1/32 dev ${pod.hostLink} proto 84`,
  ])
  world.view = ROUTED
  world.until(2 * TIMES.repairMs)
  t.notOk(world.kernel.has(link), 'a link without a record goes')
})

t.test(
  'after taking an address away it looks again: the kernel may have dropped more',
  async (t) => {
    const world = new World()
    world.view = viewOf([networkView(network('vxlan'), 2)], 2)
    world.until(0)
    world.take()
    const stale: KernelObject = {
      kind: 'addr',
      link: 'trvx.1',
      ip: parseIp('10.42.9.9'),
      prefixLength: 32,
    }
    world.holds([...world.kernel.values(), stale])
    world.feed({ kind: 'kernel.changed' })
    world.until(TIMES.settleMs)
    t.strictSame(linesOf(world), ['ip addr del 10.42.9.9/32 dev trvx.1'])
    world.take()
    world.until(2 * TIMES.settleMs)
    t.strictSame(world.take(), ROUND, 'once, without waiting for the timer')
    t.equal(world.machine.nextWake(), 2 * TIMES.settleMs + TIMES.repairMs)
  },
)

t.test('a strict reverse-path filter is named when two roads are in use', async (t) => {
  const strict: KernelObject = {
    kind: 'sysctl',
    name: 'net.ipv4.conf.all.rp_filter',
    value: '1',
  }
  const problems = (view: typeof ROUTED): readonly string[] => {
    const world = new World()
    world.view = view
    world.holds([strict])
    world.until(0)
    return world.reports.flatMap((report) => (report.event === 'problem' ? [report.problem] : []))
  }
  t.strictSame(problems(ROUTED), [], 'one road: it does no harm')
  const near = network('vxlan')
  const direct = { ...near, options: { ...near.options, crossSubnet: true } }
  t.match(problems(viewOf([networkView(direct, 2)], 2)), [/net\.ipv4\.conf\.all\.rp_filter is 1/])
})
