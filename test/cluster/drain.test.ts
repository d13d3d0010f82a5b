/** Pools that drain in a cluster: what is left of them, and where tunnel endpoints are meanwhile. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { chooseEndpoints, endpointMoves } from '../../ipam/cluster/endpoints.ts'
import {
  allocate,
  createPool,
  deletePool,
  drainPool,
  keys,
  release,
  setNetwork,
} from '../../ipam/mod.ts'
import type { BlockClaim } from '../../ipam/records.ts'
import type { Tx } from '../../ipam/store.ts'
import { containsIp, type Ip, networkAddress, type Prefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import {
  type Act,
  befall,
  comeToRest,
  heal,
  node,
  only,
  type Run,
  runsOf,
  type Steps,
  steps,
  time,
} from './acts.ts'
import { NODES, type Node, worldOf as nodesOf, type World } from './member-world.ts'

const OLD = '10.0.0.0/26' as Prefix
const NEW = '10.0.1.0/26' as Prefix

const worldOf = (seed: number): World =>
  nodesOf(seed, {
    prepare: ({ etcd }) =>
      etcd.run('shared/', (tx) => void createPool(tx, 'pods', { cidr: NEW, blockLength: 29 })),
  })

const drain = (world: World, draining: boolean): void =>
  void world.etcd.run('shared/', (tx) => drainPool(tx, 'pods', OLD, draining))

const claimsOf = (world: World): readonly BlockClaim[] =>
  [...world.etcd.data].flatMap(([key, text]) =>
    key.startsWith('shared/claim/') ? [JSON.parse(text) as BlockClaim] : [],
  )

/** Every pod, and what a mirror that was behind has brought back of one that ended before: GC. */
function endAll(node: Node): void {
  node.pods.clear()
  node.local.transact(
    (tx) => {
      const all = [...tx.range(keys.attachments(node.name))]
      for (const [, pod] of all) release(tx, node.name, pod, node.wallMs())
    },
    () => {},
  )
}

/** One endpoint a node, known to all and to itself, and no pod's. */
function judge(world: World): void {
  const claims = claimsOf(world)
  for (const { name, local, pods } of world.nodes) {
    const own = claims.filter(({ node }) => node === name)
    assert.equal(own.filter(({ first }) => first).length, 1, `${name} has one first block`)
    for (const { cidr, first } of own) {
      const use = local.read((reader) => reader.get(keys.use(name, 'pods', cidr)))
      assert.equal(use?.first, first, `${name} knows of ${cidr} what all know`)
      const held = [...pods.values()].flatMap(({ ips }) => ips)
      if (first) assert.ok(!held.includes(networkAddress(cidr)), `${cidr} begins with an endpoint`)
    }
  }
}

t.test(
  'a pool that drains is left: no new addresses, endpoints elsewhere, then nothing',
  async (t) => {
    const world = worldOf(1)
    for (const each of world.nodes) each.add()
    world.drain()
    const first = new Set(world.nodes.flatMap(({ pods }) => [...pods.keys()]))
    world.etcd.run('shared/', (tx) => setNetwork(tx, 'pods', { options: { cooldownSeconds: 60 } }))
    drain(world, true)
    world.advance(10_000)
    for (const each of world.nodes) each.add()
    world.advance(10_000)
    for (const { pods } of world.nodes) {
      for (const { containerId, ips } of pods.values()) {
        const isIn = containsIp(first.has(containerId) ? OLD : NEW, ips[0]!)
        t.ok(isIn, `${containerId} ${ips[0]}`)
      }
    }
    t.ok(
      claimsOf(world).some(({ pool }) => pool === OLD),
      'blocks with pods stay',
    )
    t.throws(() => world.etcd.run('shared/', (tx) => deletePool(tx, 'pods', OLD, true)), {
      message: /Cannot delete pool 10.0.0.0\/26: block .* is node n\d's/,
    })
    for (const each of world.nodes) each.del(0)
    world.advance(30_000)
    t.ok(
      claimsOf(world).some(({ pool }) => pool === OLD),
      'what rests keeps its block',
    )
    world.advance(120_000)
    t.notOk(
      claimsOf(world).some(({ pool }) => pool === OLD),
      'nothing is left',
    )
    judge(world)
    world.etcd.run('shared/', (tx) => deletePool(tx, 'pods', OLD, true))
    world.advance(10_000)
    for (const { name, local } of world.nodes) {
      const all = local.read((reader) => reader.get(keys.network('pods'))?.pools)
      const pools = all?.filter(({ floating }) => floating !== true)
      t.same(
        pools?.map(({ cidr }) => cidr),
        [NEW],
        `${name} knows`,
      )
      const past = local.read((reader) => [...reader.range(keys.networkHistory('pods'))])
      t.same(past, [], 'and has forgotten who was there')
    }
  },
)

t.test(
  'the address of an endpoint to come is kept from pods before anybody else knows',
  async (t) => {
    const world = worldOf(3)
    drain(world, true)
    for (const each of world.nodes) each.sync()
    // The next block is there, and the endpoint has not moved.
    // Another than the first of the pool, whose first address is nobody's anyway.
    const isReady = ({ name, local, wallMs }: Node): boolean => {
      const [move] = local.read((reader) => endpointMoves(reader, name, wallMs()))
      return move !== undefined && networkAddress(move.to) !== networkAddress(NEW)
    }
    for (let n = 0; n < 500 && !world.nodes.some(isReady); n++) {
      world.step()
      for (const each of world.nodes) each.sync()
    }
    const node = world.nodes.find(isReady)!
    t.ok(node)
    const ask = (tx: Tx, containerId: string, requested: readonly Ip[]): string => {
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      const request = { key, node: node.name, netns: '/n', hostLink: containerId, mayClaim: false }
      return allocate(tx, { ...request, requested, nowMs: node.wallMs(), bootId: 'boot0' }).kind
    }
    node.local.transact(
      (tx) => {
        const [move] = chooseEndpoints(tx, node.name, node.wallMs())
        const ip = networkAddress(move!.to)
        t.ok(containsIp(NEW, ip))
        t.equal(ask(tx, 'c1', [ip]), 'refused')
        t.equal(ask(tx, 'c2', []), 'allocated')
      },
      () => {},
    )
    world.drain()
  },
)

t.test('idle blocks go back as configured', async (t) => {
  const world = worldOf(2)
  const [node] = world.nodes
  for (let n = 0; n < 20; n++) {
    node!.add()
    world.advance(500)
  }
  const own = (): number => claimsOf(world).filter((claim) => claim.node === 'n1').length
  for (let n = 0; n < 20; n++) node!.del(0)
  world.advance(130_000)
  t.equal(own(), 4, 'not before ten minutes')
  world.etcd.run('shared/', (tx) => setNetwork(tx, 'pods', { options: { idleSeconds: 0 } }))
  world.advance(130_000)
  t.equal(own(), 1, 'the first, which is the spare one')
})

type DrainAct = Act | Steps | { readonly kind: 'drain' } | { readonly kind: 'undo' }

const act: fc.Arbitrary<DrainAct> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: only('add', 'del'), node, which: fc.nat(50) }) },
  { weight: 6, arbitrary: steps(20) },
  { weight: 4, arbitrary: time(50, 1000, 12_000, 70_000) },
  { weight: 4, arbitrary: fc.record({ kind: only('cut', 'mend', 'restart', 'wipe'), node }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: only('drain', 'drain', 'undo', 'down', 'up', 'lose') }),
  },
)

function play({ acts, seed }: Run<DrainAct>): void {
  const world = worldOf(seed)
  for (const each of acts) {
    if (each.kind === 'steps') {
      for (let n = 0; n < each.count; n++) {
        // Between any two steps a pod may come, and take what is not kept from it.
        world.nodes[n % NODES]?.add()
        world.step()
      }
      for (const other of world.nodes) other.sync()
    } else if (each.kind === 'drain' || each.kind === 'undo') drain(world, each.kind === 'drain')
    else befall(world, each)
  }
  heal(world)
  comeToRest(world)
  judge(world)
  drain(world, true)
  for (const each of world.nodes) endAll(each)
  comeToRest(world)
  judge(world)
  assert.ok(!claimsOf(world).some(({ pool }) => pool === OLD), 'a drain ends')
}

t.test('whatever happens while it drains, it ends, and every node has one tunnel endpoint', (t) => {
  holds(t, 'drains', runsOf(act), play, { numRuns: 10 })
  t.end()
})
