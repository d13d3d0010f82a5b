/** Members of a cluster against an etcd that does everything etcd may do. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Key, keys } from '../../ipam/mod.ts'
import { MEMBER_TIMES } from '../../src/cluster/member.ts'
import { holds } from '../support/property.ts'
import { FIXED } from './member-network.ts'
import { LEASE_MS, Node, World } from './member-world.ts'

const NODES = 3

type Act =
  | { readonly kind: 'add' | 'del'; readonly node: number; readonly which: number }
  | {
      readonly kind: 'cut' | 'mend' | 'restart' | 'wipe' | 'remove' | 'expel' | 'twin' | 'clock'
      readonly node: number
    }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'down' | 'up' | 'lose' | 'snapshot' | 'restore' }

/** The last one is the twin, once there is one. */
const node = fc.nat(NODES)
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('add' as const), node, which: fc.nat(50) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('del' as const), node, which: fc.nat(50) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('steps' as const),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(50, 1000, 12_000, 40_000, 200_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'cut' as const,
        'mend' as const,
        'mend' as const,
        'restart' as const,
        'wipe' as const,
        'remove' as const,
        'expel' as const,
        'clock' as const,
        'twin' as const,
      ),
      node,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'restore' as const,
        'down' as const,
        'up' as const,
        'up' as const,
        'lose' as const,
        'snapshot' as const,
        'restore' as const,
      ),
    }),
  },
)

function worldOf(seed: number): World {
  let state = seed >>> 0
  const world = new World((below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  })
  for (let n = 1; n <= NODES; n++) world.nodes.push(new Node(world, `n${n}`, `machine${n}`))
  for (const each of world.nodes) each.start()
  world.advance(30_000)
  return world
}

/** A run of acts. Throws when an address is given twice, or one that was given is forgotten. */
function play(acts: readonly Act[], seed: number): World {
  const world = worldOf(seed)
  let snapshot = world.etcd.snapshot()
  /** Until then everybody can reach etcd and runs: what a restored snapshot takes for granted. */
  let calmUntil = 0
  for (const each of acts) {
    const isCalm = world.now < calmUntil
    perform(world, each, isCalm)
    if (each.kind === 'snapshot') snapshot = world.etcd.snapshot()
    if (each.kind === 'restore' && !isCalm && world.nodes.length === NODES) {
      for (const other of world.nodes) other.cut = false
      world.etcd.up = true
      world.etcd.restore(snapshot)
      calmUntil = world.now + MEMBER_TIMES.reassertMs + 1
    }
  }
  finish(world)
  return world
}

function perform(world: World, each: Act, isCalm: boolean): void {
  const at = 'node' in each ? world.nodes[each.node] : undefined
  if (each.kind === 'add') {
    at?.add(each.which % (FIXED + 3))
    for (let n = 1; n <= each.which % 8; n++) at?.add()
  }
  if (each.kind === 'del') at?.del(each.which)
  if (each.kind === 'steps') {
    for (let n = 0; n < each.count; n++) world.step()
    for (const other of world.nodes) other.sync()
  }
  if (each.kind === 'time') world.advance(each.ms)
  if (each.kind === 'mend' && at !== undefined) at.cut = false
  if (each.kind === 'up') world.etcd.up = true
  if (each.kind === 'lose') world.loseNext = 1
  if (each.kind === 'down' && !isCalm) world.etcd.up = false
  if (at !== undefined && !isCalm) harm(world, at, each)
}

function harm(world: World, at: Node, { kind }: Act): void {
  if (kind === 'cut') at.cut = true
  // Back by eleven days, then on by as much beyond what is right.
  if (kind === 'clock') at.skewMs = at.skewMs < 0 ? 1_000_000_000 : -1_000_000_000
  if (kind === 'expel' && at.cut && world.etcd.up && world.now > at.heardAt + LEASE_MS) {
    // Somebody says that it is gone: nothing of it counts, and it must not go on.
    at.pods.clear()
    world.expel(at.name)
  }
  // What the disk was told it has.
  if (kind === 'restart' || kind === 'wipe' || kind === 'remove') world.drain()
  if (kind === 'restart') at.kill()
  if (kind === 'wipe') at.wipe()
  if (kind === 'restart' || kind === 'wipe') at.start()
  if (kind === 'remove' && world.etcd.up) {
    // The machine is gone with its pods; later it comes back with its disk.
    at.kill()
    at.pods.clear()
    at.boots++
    world.expel(at.name)
    at.start()
  }
  if (kind === 'twin' && world.nodes.length === NODES) {
    const twin = new Node(world, at.name, 'another machine')
    world.nodes.push(twin)
    twin.start()
  }
}

/** Everything heals: then all agree, nothing is lost, and there is room again. */
function finish(world: World): void {
  world.etcd.up = true
  world.loseNext = 0
  for (const each of world.nodes) each.cut = false
  world.advance(300_000)
  world.advance(300_000)
  for (const each of world.nodes.slice(0, NODES)) {
    for (const pod of each.pods.values()) {
      const record = each.local.read((reader) => reader.get(keys.attachment(each.name, pod)))
      assert.deepEqual(record?.ips, pod.ips, `${pod.containerId} on ${each.name} is known`)
    }
  }
  const claims = [...world.etcd.data].filter(([key]) => key.startsWith('shared/claim/'))
  for (const [key, text] of claims) {
    const { node: owner } = JSON.parse(text) as { node: string }
    const claim = key.slice('shared/'.length) as Key<{ node: string }>
    const known = world.nodes.flatMap(({ name, local }) =>
      name === owner ? [local.read((reader) => reader.get(claim)?.node)] : [],
    )
    assert.ok(known.includes(owner), `${key} is known to its owner ${owner}`)
  }
}

const runs = fc.record({
  acts: fc.array(act, { minLength: 5, maxLength: 60 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
})

t.test('members come together, and each has a block and a spare one', async (t) => {
  const world = play([], 1)
  const claims = [...world.etcd.data.keys()].filter((key) => key.startsWith('shared/claim/'))
  t.equal(claims.length, NODES, 'one each: the spare is the first')
  for (const each of world.nodes) each.add()
  world.advance(5000)
  t.equal(world.nodes.flatMap(({ pods }) => [...pods]).length, NODES)
  t.equal(
    [...world.etcd.data.keys()].filter((key) => key.startsWith('shared/claim/')).length,
    2 * NODES,
  )
})

const claimsIn = (world: World): string[] =>
  [...world.etcd.data.keys()].filter((key) => key.startsWith('shared/claim/'))

/** Six fill a first block, and a next one begins. */
const addMany = (node: Node | undefined, count: number): void => {
  for (let n = 0; n < count; n++) node?.add()
}

t.test('past its lease a node gives nothing, however much room it has', async (t) => {
  const world = worldOf(1)
  const [node] = world.nodes
  node!.cut = true
  world.advance(LEASE_MS - 20_000)
  addMany(node, 1)
  world.drain()
  t.equal(node!.pods.size, 1, 'within the lease it does')
  world.advance(20_001)
  addMany(node, 1)
  world.drain()
  t.equal(node!.pods.size, 1, 'past it, no more')
  node!.cut = false
  world.advance(2000)
  addMany(node, 1)
  world.drain()
  t.equal(node!.pods.size, 2, 'heard of again, it does')
})

t.test("a block that a restored snapshot does not know is nobody else's", async (t) => {
  const world = worldOf(2)
  const [n1, n2] = world.nodes
  const snapshot = world.etcd.snapshot()
  addMany(n1, 6)
  world.advance(2000)
  addMany(n1, 3)
  world.advance(2000)
  const before = claimsIn(world)
  t.ok(before.length > NODES, 'blocks were claimed since')
  world.etcd.restore(snapshot)
  // n2 hears of it first, and wants blocks.
  addMany(n2, 6)
  for (let n = 0; n < 5; n++) {
    n2!.sync()
    world.drain()
    addMany(n2, 2)
  }
  t.equal(claimsIn(world).length, NODES, 'nobody claims yet')
  world.advance(2 * MEMBER_TIMES.reassertMs)
  t.same(
    before.filter((key) => !claimsIn(world).includes(key)),
    [],
    'all are back',
  )
  t.ok(claimsIn(world).length > before.length, 'and n2 has its own')
})

const claimOf = (world: World, hex: string): unknown =>
  JSON.parse(world.etcd.data.get(`shared/claim/pods/4/${hex}`) ?? '{}').node

t.test('a floating address moves by etcd, and by nothing else', async (t) => {
  const world = worldOf(4)
  const [n1, n2] = world.nodes
  /** As a runtime that tries again. */
  const tries = (node: Node | undefined): void => {
    for (let n = 0; n < 5; n++) {
      if (node?.pods.size === 0) node.add(0)
      world.advance(1000)
    }
  }
  tries(n1)
  t.same([...n1!.pods.values()][0]?.ips, ['10.9.0.1'])
  tries(n2)
  t.equal(n2!.pods.size, 0, "it is n1's")
  const snapshot = world.etcd.snapshot()

  world.etcd.up = false
  n1!.del(0)
  tries(n2)
  t.equal(n2!.pods.size, 0, 'etcd alone can say that it is free')
  t.equal(claimOf(world, '0a090001'), 'n1')
  world.etcd.up = true
  world.advance(10_000)
  t.equal(claimOf(world, '0a090001'), undefined, 'given up as soon as etcd is back')
  tries(n2)
  t.same([...n2!.pods.values()][0]?.ips, ['10.9.0.1'])
  t.equal(claimOf(world, '0a090001'), 'n2')

  // The snapshot says that it is n1's; n1 hears of it first, and its pod comes back to it at once.
  world.etcd.restore(snapshot)
  n1!.sync()
  for (let n = 0; n < 60; n++) {
    n1!.add(0)
    world.step()
    if (n % 20 === 19) n1!.sync()
  }
  t.equal(n1!.pods.size, 0, 'nobody takes what it had no longer')
  world.advance(3 * MEMBER_TIMES.reassertMs)
  t.equal(claimOf(world, '0a090001'), 'n2', 'who has a pod with it keeps it')
})

t.test('a store that was wiped: the mirror knows what no kernel does', async (t) => {
  const world = worldOf(3)
  const [node] = world.nodes
  node!.knowsPods = false
  addMany(node, 5)
  world.advance(2000)
  t.equal(node!.pods.size, 5)
  node!.wipe()
  node!.start()
  addMany(node, 1)
  world.advance(1000)
  t.equal(node!.pods.size, 5, 'none before the mirror was read, and the agent of before is silent')
  world.advance(60_000)
  const known = node!.local.read((reader) => [...reader.range(keys.attachments('n1'))].length)
  t.equal(known, 5, 'all are back')
  addMany(node, 1)
  world.advance(1000)
  t.equal(node!.pods.size, 6)
})

t.test('a second machine of the same name gives nothing, and takes nothing', async (t) => {
  const world = worldOf(4)
  const twin = new Node(world, 'n1', 'another machine')
  world.nodes.push(twin)
  twin.start()
  world.advance(100_000)
  addMany(twin, 3)
  addMany(world.nodes[0], 2)
  world.advance(5000)
  t.equal(twin.pods.size, 0)
  t.equal(world.nodes[0]!.pods.size, 2)
  t.ok(
    world.reports.some(
      (report) => report.includes('n1@another machine') && report.includes('taken'),
    ),
  )
  // Its own machine is gone; then the name is free.
  world.nodes[0]!.kill()
  world.nodes[0]!.pods.clear()
  world.expel('n1')
  world.advance(60_000)
  addMany(twin, 3)
  world.advance(5000)
  t.equal(twin.pods.size, 3, 'it is n1 now')
})

t.test('whatever happens, no address is held twice and none that was given is forgotten', (t) => {
  holds(t, 'cluster', runs, ({ acts, seed }) => void play(acts, seed), { numRuns: 100 })
  t.end()
})
