/** What keeps members from harm, one guard a test: each was taken out once, and its test failed. */
import t from 'tap'
import { forsake } from '../../ipam/cluster/claims.ts'
import { membershipOf } from '../../ipam/cluster/membership.ts'
import type { Membership } from '../../ipam/cluster/records.ts'
import { take } from '../../ipam/cluster/requests.ts'
import { keys } from '../../ipam/mod.ts'
import { type Answer, MEMBER_TIMES, memberMachine, type Work } from '../../src/cluster/member.ts'
import type { Instant } from '../../src/machine.ts'
import { addMany, clone, type Node, type World, worldOf } from './member-world.ts'

const sequenceOf = (node: Node): number =>
  node.local.read((reader) => reader.get(keys.sequence(node.name))) ?? 0

t.test('a node has joined when all of its pods are known, and not before', async (t) => {
  for (const knowsPods of [true, false]) {
    const world = worldOf(1)
    const [node] = world.nodes
    node!.knowsPods = knowsPods
    addMany(node, 2)
    world.advance(2000)
    // Of the kernel alone: the mirror never hears of it.
    node!.cut = knowsPods
    if (knowsPods) addMany(node, 1)
    world.advance(1000)
    node!.wipe()
    node!.cut = false
    node!.start()
    const known: number[] = []
    node!.local.watch(() => {
      const isJoined = node!.local.read((reader) => reader.get(keys.membership)?.joined)
      const all = node!.local.read((reader) => [...reader.range(keys.attachments('n1'))])
      if (isJoined) known.push(all.length)
    })
    world.advance(60_000)
    t.equal(known[0], node!.pods.size, `kernel knows of pods: ${knowsPods}`)
  }
})

t.test('numbers that neither mirror nor kernel knows are not given again', async (t) => {
  const world = worldOf(2)
  const [node] = world.nodes
  addMany(node, 1)
  world.advance(2000)
  node!.cut = true
  addMany(node, 1)
  world.drain()
  const given = sequenceOf(node!)
  node!.del(1)
  world.drain()
  node!.wipe()
  node!.cut = false
  node!.start()
  world.advance(60_000)
  addMany(node, 1)
  world.drain()
  const youngest = Math.max(...[...node!.pods.values()].map(({ sequence }) => sequence))
  t.equal(node!.pods.size, 2)
  t.ok(youngest > given, `${youngest} is after ${given}`)
})

t.test('a block in which a pod comes while it is given back stays', async (t) => {
  const world = worldOf(3)
  const [node] = world.nodes
  let met = 0
  for (let steps = 0; steps < 12; steps++) {
    world.advance(1000)
    for (let n = 0; n < 5 && node!.pods.size === 0; n++) {
      node!.add(0)
      world.advance(1000)
    }
    const cidr = '10.9.0.1/32' as never
    node!.del(0)
    for (let n = 0; n < steps; n++) world.step()
    node!.add(0)
    world.drain()
    if (node!.pods.size === 0) continue
    met++
    const use = node!.local.read((reader) => reader.get(keys.use('n1', 'pods', cidr)))
    t.equal(use?.used, 1, `after ${steps} steps it is n1's`)
    const claim = JSON.parse(world.etcd.data.get('shared/claim/pods/4/0a090001') ?? '{}')
    t.equal(claim.node, 'n1')
  }
  t.ok(met > 0, 'in time, once at least')
  const block = { network: 'pods', cidr: '10.9.0.1/32' as never }
  node!.del(0)
  node!.add(0)
  world.drain()
  for (let n = 0; n < 5 && node!.pods.size === 0; n++) {
    node!.add(0)
    world.advance(1000)
  }
  node!.local.transact(
    (tx) => t.same(forsake(tx, [block], 'n1'), [], 'nobody forsakes what a pod has'),
    () => {},
  )
  world.drain()
})

t.test('of two agents with one identity the one that came back is told, at once', async (t) => {
  const world = worldOf(4)
  const [node] = world.nodes
  addMany(node, 1)
  world.advance(20_000)
  node!.cut = true
  const other = clone(world, node!)
  world.advance(40_000)
  addMany(other, 1)
  world.drain()
  t.equal(other.pods.size, 1, 'nobody answered its knock')
  node!.cut = false
  world.advance(5000)
  const refused = ({ local }: Node): unknown => local.read(membershipOf).refused
  t.equal(refused(node!), 'doubled')
  t.equal(refused(other), undefined)
  addMany(node, 2)
  world.drain()
  t.equal(node!.pods.size, 1)
})

t.test('another store of the same machine does not replace one that is alive', async (t) => {
  const world = worldOf(5)
  const [node] = world.nodes
  world.advance(20_000)
  const other = clone(world, node!)
  other.wipe()
  other.start()
  for (let n = 0; n < 20; n++) {
    addMany(other, 1)
    world.advance(5000)
  }
  t.equal(other.pods.size, 0)
  t.equal(other.local.read(membershipOf).joined, false)
  addMany(node, 1)
  world.drain()
  t.equal(node!.pods.size, 1)
  node!.kill()
  node!.pods.clear()
  world.advance(60_000)
  t.equal(other.local.read(membershipOf).joined, true, 'of one that is silent it takes the place')
})

t.test('a store that another has replaced does not come back', async (t) => {
  const world = worldOf(6)
  const [node] = world.nodes
  addMany(node, 1)
  world.advance(20_000)
  const copy = node!.copy()
  node!.wipe()
  node!.start()
  world.advance(60_000)
  t.equal(node!.local.read(membershipOf).joined, true)
  node!.putBack(copy)
  node!.start()
  world.advance(60_000)
  t.equal(node!.local.read(membershipOf).refused, 'deleted')
  addMany(node, 1)
  world.drain()
  t.equal(node!.pods.size, 1)
})

const countIn = ({ etcd }: World): number =>
  JSON.parse(etcd.data.get('of/n1/beat') ?? '{"count":0}').count

t.test('signs of life grow, whatever is lost and however the clock goes', async (t) => {
  const world = worldOf(7)
  const [node] = world.nodes
  let last = 0
  const grows = (what: string): void => {
    world.advance(60_000)
    const now = countIn(world)
    t.ok(now > last, `${what}: ${now} after ${last}`)
    last = now
  }
  grows('it runs')
  node!.skewMs = -1_000_000_000
  grows('the clock is set back')
  world.etcd.restore({ data: new Map(), log: [] })
  grows('and etcd loses all')
  node!.wipe()
  node!.start()
  grows('and the disk is lost')
  node!.kill()
  node!.skewMs = 0
  world.etcd.data.delete('of/n1/beat')
  node!.wipe()
  node!.start()
  grows('disk and mirror at once, with the clock right again')
})

t.test('a mirror that has a number has everything up to it', async (t) => {
  const world = worldOf(8, { nodes: 1, pool: '10.0.0.0/24,block=25' })
  const [node] = world.nodes
  node!.cut = true
  addMany(node, 60)
  world.drain()
  node!.cut = false
  const isBegun = (): boolean =>
    [...world.etcd.data.keys()].some((key) => key.startsWith('of/n1/attachment/'))
  for (let n = 0; n < 200 && !isBegun(); n++) {
    node!.sync()
    if (!world.step()) world.advance(10)
  }
  const mirrored = [...world.etcd.data.keys()].filter((key) => key.startsWith('of/n1/attachment/'))
  t.ok(mirrored.length > 0 && mirrored.length < 60, 'a part of it is there')
  node!.wipe()
  node!.start()
  world.advance(60_000)
  const known = node!.local.read((reader) => [...reader.range(keys.attachments('n1'))].length)
  t.equal(known, 60, 'the rest is known from the kernel')
})

t.test('a mirror that fell back hears first which agent it is that writes', async (t) => {
  const world = worldOf(9)
  const [node] = world.nodes
  const snapshot = world.etcd.snapshot()
  node!.kill()
  node!.start()
  for (let steps = 0; steps < 12; steps++) {
    world.advance(11_000)
    addMany(node, 1)
    for (let n = 0; n < steps; n++) world.step()
    world.etcd.restore(snapshot)
    const from = world.etcd.log.length
    world.advance(6000)
    const written = world.etcd.log.slice(from).flat()
    const first = written.find((key) => key.startsWith('of/n1/'))
    t.equal(first, 'of/n1/beat', `${steps} steps`)
    node!.del(0)
  }
})

t.test(
  'nobody takes a request that somebody may have begun, nor in the name of another',
  async (t) => {
    const world = worldOf(10, { nodes: 1 })
    const [node] = world.nodes
    const { incarnation } = node!.local.read(membershipOf)
    const deed = { kind: 'look' } as const
    const request = { id: 'a1', node: 'n1', asker: 'somebody', askedMs: 0, deed }
    const key = keys.request('n1', 'a1')
    const stageAfter = (
      stage: 'asked' | 'taken' | 'go' | 'done',
      by: typeof incarnation,
    ): unknown =>
      world.etcd.run('shared/', (tx) => {
        tx.put(key, { ...request, stage, run: 'before' })
        const taken = take(tx, 'n1', 'a1', { run: 'now', incarnation: by })
        return [taken, tx.get(key)?.stage, tx.get(key)?.run]
      })
    t.same(stageAfter('asked', incarnation), [true, 'taken', 'now'])
    t.same(stageAfter('taken', incarnation), [true, 'taken', 'now'])
    t.same(stageAfter('go', incarnation), [false, 'go', 'before'])
    t.same(stageAfter('done', incarnation), [false, 'done', 'before'])
    const other = { ...incarnation, store: 'another' }
    t.same(stageAfter('asked', other), [false, 'asked', 'before'])
  },
)

t.test('an address kept for an endpoint to come stays so when a pool is split', async (t) => {
  const world = worldOf(11, { nodes: 1 })
  const [node] = world.nodes
  addMany(node, 7)
  world.advance(5000)
  const uses = node!.local.read((reader) => [...reader.range(keys.nodeUses('n1'))])
  const [useKey, next] = uses.find(([, { first }]) => !first)!
  node!.local.transact(
    (tx) => tx.put(useKey, { ...next, first: true }),
    () => {},
  )
  world.drain()
  const pool = '10.0.0.0/27' as never
  const claimKey = keys.claim('pods', next.cidr)
  world.etcd.run('shared/', (tx) => tx.put(claimKey, { ...tx.get(claimKey)!, pool }))
  world.advance(10_000)
  t.match(
    node!.local.read((reader) => reader.get(useKey)),
    { pool, first: true },
  )
})

/** Plays a member without stores: every work is answered at once, as in a cluster at rest. */
function played(known: Partial<Membership>) {
  const incarnation = { machine: 'm', store: 's' }
  const machine = memberMachine({ incarnation, joined: true, beats: 0, revision: 0, ...known })
  const answers: { readonly [K in Work['kind']]: Answer } = {
    knock: { of: 'knock', standing: 'alone' },
    join: { of: 'join', standing: 'member', beats: 100 },
    rebuild: { of: 'rebuild', pods: 0 },
    down: { of: 'down', standing: 'member' },
    beat: { of: 'beat', beats: 100 },
    assert: { of: 'assert', isMember: true, more: false },
    claim: { of: 'claim', blocks: 'none' },
    yield: { of: 'yield', blocks: 0 },
    mirror: { of: 'mirror', more: false, isOurs: true },
    reset: { of: 'reset', isReset: true },
  }
  const works: { readonly at: number; readonly work: Work }[] = []
  const reports: string[] = []
  let now = 0
  const play = (effects: ReturnType<typeof machine.handle>): void => {
    for (const effect of effects) {
      if (effect.kind === 'report') reports.push(effect.report.event)
      if (effect.kind !== 'work') continue
      works.push({ at: now, work: effect.work })
      play(machine.handle({ kind: 'done', answer: answers[effect.work.kind] }, now as Instant))
    }
  }
  return {
    reports,
    works,
    feed: (input: Parameters<typeof machine.handle>[0]) =>
      play(machine.handle(input, now as Instant)),
    until: (end: number): void => {
      for (;;) {
        const next = machine.nextWake()
        if (next === undefined || next > end) break
        now = Math.max(now, next)
        play(machine.wake(now as Instant))
      }
      now = end
    },
  }
}

const CONNECTED = {
  kind: 'connected',
  revision: 9,
  beats: 100,
  fellBack: false,
  isBehind: false,
} as const

t.test('a lower count of signs of life is another history, whatever its revision', async (t) => {
  const node = played({ beats: 100, revision: 5 })
  node.feed({ ...CONNECTED, beats: 50 })
  t.ok(node.reports.includes('fell-back'))
  const same = played({ beats: 100, revision: 5 })
  same.feed(CONNECTED)
  t.notOk(same.reports.includes('fell-back'))
})

t.test(
  'a fall that was seen without a break: nothing goes and nothing is claimed for a while',
  async (t) => {
    const node = played({ beats: 100, revision: 9 })
    node.feed(CONNECTED)
    const fall = 10 * MEMBER_TIMES.reassertMs
    node.until(fall)
    node.works.length = 0
    node.feed({ ...CONNECTED, fellBack: true })
    node.until(fall + 3 * MEMBER_TIMES.reassertMs)
    const end = fall + MEMBER_TIMES.reassertMs
    const early = node.works.filter(({ at }) => at < end).map(({ work }) => work)
    t.notOk(early.some(({ kind }) => kind === 'claim'))
    t.ok(early.some((work) => work.kind === 'down' && work.changed === 'all'))
    t.ok(early.every((work) => work.kind !== 'down' || work.keep))
    const late = node.works.filter(({ at }) => at >= end).map(({ work }) => work)
    t.ok(late.some(({ kind }) => kind === 'claim'))
    t.ok(late.some((work) => work.kind === 'down' && work.changed === 'all' && !work.keep))
  },
)
