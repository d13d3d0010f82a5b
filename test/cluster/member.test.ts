/** What members of a cluster do about one fault each. */
import t from 'tap'
import { type Key, keys } from '../../ipam/mod.ts'
import { MEMBER_TIMES } from '../../src/cluster/member.ts'
import { prefixOf } from '../../src/net/mod.ts'
import { addMany, clone, LEASE_MS, NODES, Node, type World, worldOf } from './member-world.ts'

t.test('members come together, and each has a block and a spare one', async (t) => {
  const world = worldOf(1)
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
  world.advance(5000)
  t.equal(claimOf(world, '0a090001'), undefined, 'given up as soon as etcd is back')
  // Whoever comes back to etcd waits before it claims.
  world.advance(MEMBER_TIMES.reassertMs)
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

t.test(
  'an older copy of the store: nothing is given before etcd said what came since',
  async (t) => {
    const world = worldOf(5)
    const [node] = world.nodes
    node!.knowsPods = false
    world.advance(20_000)
    const copy = node!.copy()
    addMany(node, 4)
    world.advance(20_000)
    t.equal(node!.pods.size, 4)
    world.etcd.up = false
    node!.putBack(copy)
    node!.start()
    addMany(node, 2)
    world.advance(5000)
    t.equal(
      node!.pods.size,
      4,
      'not while etcd is away, although the lease of the copy is not over',
    )
    world.etcd.up = true
    world.advance(10_000)
    const known = node!.local.read((reader) => [...reader.range(keys.attachments('n1'))].length)
    t.equal(known, 4, 'the pods that came since are known from the mirror')
    addMany(node, 2)
    world.advance(1000)
    t.equal(node!.pods.size, 6)
  },
)

t.test('of a copied disk the machine that came later gives nothing', async (t) => {
  const world = worldOf(6)
  const [node] = world.nodes
  addMany(node, 2)
  world.advance(20_000)
  const other = clone(world, node!)
  for (let n = 0; n < 20; n++) {
    addMany(other, 1)
    addMany(node, n % 7 === 0 ? 1 : 0)
    world.advance(1000)
  }
  t.equal(other.pods.size, 0)
  t.equal(node!.pods.size, 5, 'the first is not harmed')
  const refusal = '"refused","why":"doubled"'
  t.equal(world.reports.filter((report) => report.includes(refusal)).length, 1, 'one is told')
  const joined = world.reports.filter((report) => report.includes('n1@machine1: {"event":"joined"'))
  t.equal(joined.length, 2, 'as before the copy: it never said that it has joined')
  const { refused } = other.local.read((reader) => reader.get(keys.membership)!)
  t.equal(refused, 'doubled')
  // Gone for good: then whoever starts is the node.
  node!.kill()
  node!.pods.clear()
  other.kill()
  other.start()
  world.advance(20_000)
  addMany(other, 1)
  world.advance(1000)
  t.equal(other.pods.size, 1)
})

/** As after a snapshot that was restored when nobody knew of the block but n1. */
function bothHave(world: World): Key<{ node: string }> {
  const [n1, n2] = world.nodes
  const [key] = n1!.local
    .read((reader) => reader.range(keys.familyClaims('pods', 4)))
    .filter(([, claim]) => claim.node === 'n1')[0]!
  world.etcd.run('shared/', (tx) => tx.put(key, { ...tx.get(key)!, node: 'n2', first: false }))
  n1!.cut = true
  n2!.sync()
  world.drain()
  return key
}

const disputesIn = (world: World): string[] =>
  [...world.etcd.data.keys()].filter((key) => key.startsWith('shared/dispute/'))

t.test(
  'a block that is the claim of a node without pods in it goes to the one that has some',
  async (t) => {
    const world = worldOf(7)
    const [n1, n2] = world.nodes
    addMany(n1, 2)
    world.drain()
    const key = bothHave(world)
    t.equal(
      n2!.local.read((reader) => reader.get(key)?.node),
      'n2',
    )
    n1!.cut = false
    world.advance(30_000)
    t.equal(JSON.parse(world.etcd.data.get(`shared/${key}`) ?? '{}').node, 'n1')
    t.same(disputesIn(world), [])
    addMany(n1, 3)
    world.advance(1000)
    t.equal(n1!.pods.size, 5, 'it gives addresses of it again')
  },
)

t.test('of a block in which two nodes have pods neither gives an address', async (t) => {
  const world = worldOf(8)
  const [n1, n2] = world.nodes
  addMany(n1, 2)
  world.drain()
  const key = bothHave(world)
  const cidr = n1!.local.read((reader) => reader.get(key) as unknown as { cidr: string }).cidr
  // What n2 gave of it already, of addresses that happen to be others: n1 must not come upon them.
  n2!.local.transact(
    (tx) => {
      const use = tx.get(keys.use('n2', 'pods', cidr as never))!
      tx.put(keys.use('n2', 'pods', cidr as never), { ...use, cursor: 5 })
      for (const [other, each] of tx.range(keys.nodeUses('n2')))
        if (each.cidr !== cidr) tx.put(other, { ...each, frozen: true })
    },
    () => {},
  )
  addMany(n2, 1)
  world.drain()
  t.equal(n2!.pods.size, 1, 'both have pods in it')
  n1!.cut = false
  world.advance(30_000)
  t.equal(disputesIn(world).length, 1, 'everybody can see it')
  addMany(n1, 8)
  addMany(n2, 4)
  world.advance(30_000)
  const of = (node: Node | undefined): readonly boolean[] =>
    [...node!.pods.values()].map(({ ips }) => inCidr(cidr, ips[0] ?? ''))
  t.equal(of(n1).filter(Boolean).length, 2, 'n1 gave no more of it')
  t.equal(of(n2).filter(Boolean).length, 1, 'nor did n2')
  t.ok(of(n1).length > 2 && of(n2).length > 1, 'both give of other blocks')
  for (let n = 0; n < 20; n++) n1!.del(0)
  world.advance(30_000)
  t.same(disputesIn(world), [], 'once n1 has no pod there, it is over')
  t.equal(JSON.parse(world.etcd.data.get(`shared/${key}`) ?? '{}').node, 'n2')
  const frozen = n2!.local.read(
    (reader) => reader.get(keys.use('n2', 'pods', cidr as never))?.frozen,
  )
  t.equal(frozen, undefined, 'and n2 gives addresses of it')
})

const inCidr = (cidr: string, ip: string): boolean => prefixOf(ip as never, 29) === cidr

t.test(
  'a node that is cut off while an old snapshot is restored: the others speak for it',
  async (t) => {
    const world = worldOf(9)
    const [n1, n2] = world.nodes
    const snapshot = world.etcd.snapshot()
    addMany(n1, 9)
    world.advance(5000)
    addMany(n1, 3)
    world.advance(5000)
    const before = claimsIn(world)
    n1!.cut = true
    world.etcd.restore(snapshot)
    for (let n = 0; n < 10; n++) {
      addMany(n2, 3)
      world.advance(5000)
    }
    t.same(
      before.filter((key) => !claimsIn(world).includes(key)),
      [],
      'its claims are back, without it',
    )
    t.ok(n2!.pods.size > 12, 'and others have claimed more')
    n1!.cut = false
    addMany(n1, 8)
    world.advance(30_000)
    t.same(disputesIn(world), [])
  },
)

t.test('a node that was deleted stays so, whichever snapshot is restored', async (t) => {
  const world = worldOf(10)
  const [n1, n2] = world.nodes
  addMany(n1, 2)
  world.advance(5000)
  const snapshot = world.etcd.snapshot()
  n1!.cut = true
  world.advance(LEASE_MS + 1000)
  // Its pods run on, and nobody knows.
  world.expel('n1')
  n1!.cut = false
  world.advance(30_000)
  world.etcd.restore(snapshot)
  addMany(n2, 3)
  world.advance(60_000)
  addMany(n1, 5)
  world.advance(5000)
  t.equal(n1!.pods.size, 2, 'it gives nothing while its pods run')
  for (let n = 0; n < 3; n++) n1!.del(0)
  world.advance(100_000)
  addMany(n1, 2)
  world.advance(1000)
  t.equal(n1!.pods.size, 2, 'then it begins anew')
})

t.test('an older copy of the store: who is younger has the address', async (t) => {
  const world = worldOf(11)
  const [node] = world.nodes
  node!.knowsPods = false
  addMany(node, 1)
  world.advance(20_000)
  const copy = node!.copy()
  const [old] = [...node!.pods.values()]
  node!.del(0)
  addMany(node, 7)
  world.advance(20_000)
  const heir = [...node!.pods.values()].find(({ ips }) => ips[0] === old!.ips[0])
  t.ok(heir, 'another pod has its address since')
  node!.putBack(copy)
  node!.start()
  world.advance(20_000)
  const record = node!.local.read((reader) => reader.get(keys.attachment('n1', heir!)))
  t.same(record?.ips, heir?.ips)
})

t.test('what was under way when a node was deleted is not done', async (t) => {
  const left: string[] = []
  for (let steps = 0; steps < 25; steps++) {
    const world = worldOf(12)
    const [n1] = world.nodes
    addMany(n1, 8)
    for (let n = 0; n < steps; n++) world.step()
    world.expel('n1')
    world.drain()
    left.push(...claimsIn(world).filter((key) => world.etcd.data.get(key)?.includes('"n1"')))
  }
  t.same(left, [])
})

/**
 * n1 claims a block that n2 never hears of, etcd falls back to before it, and n2 is back
 * first, with pods that want a block.
 */
function firstBack(world: World, cutMs: number): void {
  const [n1, n2] = world.nodes
  const snapshot = world.etcd.snapshot()
  world.advance(11_000 - cutMs / 2)
  n2!.cut = true
  addMany(n1, 8)
  world.advance(cutMs / 2)
  addMany(n1, 3)
  world.advance(cutMs / 2)
  for (const each of world.nodes) each.cut = true
  world.etcd.restore(snapshot)
  n2!.cut = false
  n2!.sync()
  addMany(n2, 9)
  world.advance(8000)
  addMany(n2, 9)
  world.drain()
  n1!.cut = false
  world.advance(30_000)
  addMany(n1, 3)
  addMany(n2, 9)
  world.advance(30_000)
}

for (const [what, cutMs] of [
  ['a node that lost nothing of its own waits before it claims', 3000],
  ['a node that was away for long does, too', 15_000],
] as const) {
  t.test(`after a fall: ${what}`, async (t) => {
    const world = worldOf(13)
    firstBack(world, cutMs)
    t.same(disputesIn(world), [])
    t.ok(world.nodes[1]!.pods.size > 9, 'then it does')
  })
}

t.test('an etcd that is empty: networks and blocks with pods are put back', async (t) => {
  const world = worldOf(14)
  for (const each of world.nodes) addMany(each, 3)
  world.advance(5000)
  const before = claimsIn(world).sort()
  world.etcd.restore({ data: new Map(), log: [] })
  for (let n = 0; n < 6; n++) {
    for (const each of world.nodes) addMany(each, 2)
    world.advance(5000)
  }
  t.ok(world.etcd.data.has('shared/network/pods'), 'the network is back')
  t.same(
    before.filter((key) => !claimsIn(world).includes(key)),
    [],
    'and every claim',
  )
  t.same(disputesIn(world), [])
})
