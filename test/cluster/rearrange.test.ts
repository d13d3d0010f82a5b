/** Pools that are split, merged and made larger under a living cluster. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { keys } from '../../ipam/mod.ts'
import { applyPools, type PoolsPlan } from '../../ipam/rearrange/plan.ts'
import { planMerge, planResize, planSplit } from '../../ipam/rearrange/requests.ts'
import type { BlockClaim } from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'
import { containsPrefix, type Prefix } from '../../src/net/mod.ts'
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
import { NODES, type World, worldOf } from './member-world.ts'

const POOL = '10.0.0.0/26' as Prefix

const change = (world: World, plan: (reader: Reader) => PoolsPlan): PoolsPlan =>
  world.etcd.run('shared/', (tx) => {
    const planned = plan(tx)
    if (planned.obstacles.length === 0) applyPools(tx, planned)
    return planned
  })

/** Without the floating one. */
const poolsOf = (world: World): readonly Prefix[] =>
  world.etcd.run('shared/', (tx) =>
    tx
      .get(keys.network('pods'))!
      .pools.flatMap(({ cidr, floating }) => (floating === true ? [] : [cidr])),
  )

/** Every node's store is sound, and knows its blocks as the cluster does. */
function judge(world: World): void {
  const pools = poolsOf(world)
  for (const { name, local } of world.nodes) {
    const findings = local
      .read((reader) => checkIpam(reader))
      // An edge that a pod got in the same moment stays that pod's until it ends.
      .filter(({ code }) => code !== 'address-reserved')
    assert.deepEqual(findings, [], `${name} is sound`)
    for (const [, use] of local.read((reader) => [...reader.range(keys.nodeUses(name))])) {
      const pool = pools.find((each) => containsPrefix(each, use.cidr))
      assert.equal(use.pool, pool, `${name} knows of which pool ${use.cidr} is`)
    }
  }
}

t.test(
  'blocks keep their nodes, pods their addresses, and new ones come of the new pools',
  async (t) => {
    const world = worldOf(1)
    for (const each of world.nodes) each.add()
    world.drain()
    const before = world.nodes.flatMap(({ pods }) => [...pods.values()].flatMap(({ ips }) => ips))
    const done = change(world, (tx) => planSplit(tx, POOL, 2, 0, true))
    t.same(done.obstacles, [])
    t.equal(done.kept, 6)
    world.advance(10_000)
    judge(world)
    t.same(poolsOf(world), ['10.0.0.0/27', '10.0.0.32/27'])
    for (const each of world.nodes) for (let n = 0; n < 9; n++) each.add()
    world.advance(20_000)
    const all = world.nodes.flatMap(({ pods }) => [...pods.values()].flatMap(({ ips }) => ips))
    t.ok(before.every((ip) => all.includes(ip)))
    t.ok(all.length > before.length)
    change(world, (tx) => planMerge(tx, ['10.0.0.0/27', '10.0.0.32/27'] as Prefix[], 0, true))
    change(world, (tx) => planResize(tx, POOL, { cidr: '10.0.0.0/25' as Prefix }, 0, true))
    for (const each of world.nodes) for (let n = 0; n < 9; n++) each.add()
    world.advance(20_000)
    judge(world)
    t.same(poolsOf(world), ['10.0.0.0/25'])
  },
)

t.test('what only a node could do is refused, with what to do instead', async (t) => {
  const world = worldOf(2)
  const cut = change(world, (tx) => planResize(tx, POOL, { blockLength: 30 }, 0, true))
  t.equal(cut.obstacles.length, NODES)
  t.match(cut.obstacles[0], {
    subject: /block 10.0.0.\d+\/29 of node n\d/,
    wanted: /make another pool with blocks of \/30, drain this one, delete it/,
  })
  const beyond = change(world, (tx) =>
    planResize(tx, POOL, { cidr: '10.0.0.32/27' as Prefix }, 0, true),
  )
  t.match(beyond.obstacles[0], { found: /alone knows/, wanted: /split the pool, drain that part/ })
  t.same(poolsOf(world), [POOL], 'nothing was changed')
})

t.test('claims that an old snapshot lacks come back into the pools that it has', async (t) => {
  const world = worldOf(3)
  const snapshot = world.etcd.snapshot()
  change(world, (tx) => planSplit(tx, POOL, 2, 0, true))
  world.advance(10_000)
  for (const each of world.nodes) for (let n = 0; n < 9; n++) each.add()
  world.advance(20_000)
  world.etcd.restore(snapshot)
  world.advance(60_000)
  t.same(poolsOf(world), [POOL])
  judge(world)
})

type PoolAct = Act | Steps | { readonly kind: 'split' } | { readonly kind: 'merge' }

const act: fc.Arbitrary<PoolAct> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: only('add', 'add', 'del'), node, which: fc.nat(50) }) },
  { weight: 6, arbitrary: steps(20) },
  { weight: 4, arbitrary: time(50, 1000, 12_000) },
  { weight: 3, arbitrary: fc.record({ kind: only('cut', 'mend', 'restart', 'wipe'), node }) },
  { weight: 6, arbitrary: fc.record({ kind: only('split', 'merge', 'down', 'up', 'up', 'lose') }) },
)

function play({ acts, seed }: Run<PoolAct>): void {
  const world = worldOf(seed)
  const owners = (): ReadonlyMap<string, string> =>
    new Map(
      [...world.etcd.data].flatMap(([key, text]) => {
        const { cidr, node: owner } = JSON.parse(text) as BlockClaim
        return key.startsWith('shared/claim/') ? [[cidr, owner] as const] : []
      }),
    )
  const rearrange = (kind: 'split' | 'merge'): void => {
    const before = owners()
    const pools = poolsOf(world)
    const plan = (reader: Reader): PoolsPlan =>
      kind === 'split'
        ? planSplit(reader, pools[0]!, 2, 0, true)
        : planMerge(reader, pools, 0, true)
    if ((kind === 'split') === (pools.length === 1)) change(world, plan)
    assert.deepEqual([...owners()], [...before], 'every block is whose it was')
  }
  for (const each of acts) {
    if (each.kind === 'steps') {
      for (let n = 0; n < each.count; n++) world.step()
      for (const other of world.nodes) other.sync()
    } else if (each.kind === 'split' || each.kind === 'merge') rearrange(each.kind)
    else befall(world, each)
  }
  heal(world)
  comeToRest(world)
  judge(world)
}

t.test('whenever pools are split and merged: no address twice, and all agree in the end', (t) => {
  holds(t, 'rearranged', runsOf(act), play, { numRuns: 15 })
  t.end()
})
