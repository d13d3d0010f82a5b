/** What the arithmetic is made of, each part held to the code that it stands for. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { allocate, ensureBlocks } from '../../../ipam/allocator.ts'
import { ownBlocks } from '../../../ipam/blocks.ts'
import { memoryStore } from '../../../ipam/memory-store.ts'
import { createNetwork, parseNetworkSpec } from '../../../ipam/networks.ts'
import { summarised } from '../../../simulator/announcer.ts'
import { nodeBlocks } from '../../../simulator/capacity/blocks.ts'
import { devicesOf } from '../../../simulator/capacity/devices.ts'
import {
  leastRacks,
  NODES_LIMIT,
  podPhases,
  type Shape,
  shapeAt,
} from '../../../simulator/capacity/shape.ts'
import {
  expectedSummaries,
  partOf,
  placedSummaries,
} from '../../../simulator/capacity/summaries.ts'
import { topologyOf } from '../../../simulator/fabric-plan.ts'
import { Routing } from '../../../simulator/fabric-routing.ts'
import { networkOfPod, networksOf } from '../../../simulator/network.ts'
import { runScenario } from '../../../simulator/run.ts'
import { shuffled } from '../../../simulator/shuffle.ts'
import { type Prefix, subPrefixAt } from '../../../src/net/mod.ts'
import { prng } from '../../../src/prng.ts'
import { holds } from '../../support/property.ts'
import { mustPrefix, smallScenario } from '../support.ts'

/** Blocks that the product's allocator claims for one node after so many pods. */
function claimedBy(cidr: string, blockLength: number, pods: number): number {
  const later: (() => void)[] = []
  const store = memoryStore({ defer: (run) => void later.push(run) })
  let claimed = 0
  store.transact(
    (tx) => {
      const { network } = createNetwork(
        tx,
        parseNetworkSpec({ name: 'pods', mode: 'route', pools: [{ cidr, blockLength }] }, 0),
      )
      ensureBlocks(tx, network, 'a', 0)
      for (let pod = 0; pod < pods; pod++) {
        const key = { network: 'pods', containerId: `c${pod}`, ifname: 'eth0' }
        const request = { key, node: 'a', netns: '/n', mayClaim: true, nowMs: 0, bootId: 'b' }
        assert.equal(allocate(tx, request).kind, 'allocated')
        ensureBlocks(tx, network, 'a', 0)
      }
      claimed = ownBlocks(tx, network, 'a', cidr.includes(':') ? 6 : 4).length
    },
    (outcome) => assert.equal(outcome.kind, 'committed'),
  )
  while (later.length > 0) later.shift()?.()
  return claimed
}

t.test('blocks of a node are those that the allocator claims', async (t) => {
  const pools = fc.oneof(
    fc.record({ cidr: fc.constant('10.0.0.0/18'), length: fc.integer({ min: 24, max: 32 }) }),
    fc.record({ cidr: fc.constant('fd42::/110'), length: fc.integer({ min: 120, max: 128 }) }),
  )
  holds(
    t,
    'nodeBlocks',
    fc.record({ pool: pools, pods: fc.integer({ min: 0, max: 140 }) }),
    ({ pool: { cidr, length }, pods }) => {
      const draft = parseNetworkSpec(
        { name: 'pods', mode: 'route', pools: [{ cidr, blockLength: length }] },
        0,
      )
      const network = { ...draft, options: { ...draft.options, vni: 1 } }
      const [pool] = network.pools
      assert.ok(pool !== undefined)
      assert.equal(nodeBlocks(network, pool, pods).claimed, claimedBy(cidr, length, pods))
    },
    { numRuns: 60 },
  )
})

const shapes = fc
  .record({
    nodes: fc.integer({ min: 1, max: 60 }),
    racks: fc.integer({ min: 1, max: 40 }),
    spines: fc.integer({ min: 1, max: 5 }),
    kind: fc.constantFrom('leaf-spine' as const, 'three-tier' as const),
    groups: fc.integer({ min: 1, max: 5 }),
    aggregations: fc.integer({ min: 1, max: 4 }),
    cores: fc.integer({ min: 1, max: 4 }),
    dataCenters: fc.integer({ min: 1, max: 4 }),
    wanRouters: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ nodes, racks, spines, ...fabric }): Shape => {
    const plain = smallScenario()
    return { ...plain, nodes, racks, spines, fabric: { ...plain.fabric, ...fabric } }
  })
  .filter((shape) => shape.racks <= shape.nodes && shape.racks >= leastRacks(shape))

t.test('links and groups of a fabric are those of its topology and shortest paths', async (t) => {
  holds(
    t,
    'devicesOf',
    shapes,
    (shape) => {
      const topology = topologyOf(shape)
      const { devices, links } = topology
      const routing = new Routing(topology, {
        links: links.map(() => true),
        devices: devices.map(() => true),
      })
      const counted = devicesOf(shape)(shape)
      assert.deepEqual([...new Set(counted.map(({ role }) => role))].length, counted.length)
      for (const { role, devices: many, links: most, ecmp } of counted) {
        const real = devices.flatMap((device, index) => (device.role === role ? [index] : []))
        assert.equal(many, real.length, role)
        const degree = (index: number) => links.filter(({ ends }) => ends.includes(index)).length
        assert.equal(most, Math.max(...real.map(degree)), `${role} links`)
        const hops = (index: number) =>
          [...routing.groups(index).values()].reduce((sum, each) => sum + each, 0)
        assert.equal(ecmp, Math.max(...real.map(hops)), `${role} groups`)
      }
    },
    { numRuns: 200 },
  )
})

t.test('pods of each network are those that go round', async (t) => {
  const sizes = fc.record({
    nodes: fc.integer({ min: 1, max: 30 }),
    podsPerNode: fc.integer({ min: 1, max: 20 }),
    networks: fc.integer({ min: 1, max: 6 }),
  })
  holds(
    t,
    'podPhases',
    sizes,
    ({ nodes, podsPerNode, networks }) => {
      const pools = Array.from({ length: networks }, (_, index) => ({
        cidr: mustPrefix(`10.${index}.0.0/16`),
        network: `n${index}`,
      }))
      const names = networksOf({ pools })
      const rows = Array.from({ length: nodes }, (_, node) => {
        const pods = Array.from({ length: podsPerNode }, (_, pod) =>
          networkOfPod(names, node * podsPerNode + pod),
        )
        return names.map((name) => pods.filter((own) => own === name).length).join(' ')
      })
      const counted = podPhases({ nodes, podsPerNode, pools }).flatMap((phase) =>
        Array.from({ length: phase.nodes }, () => phase.pods.join(' ')),
      )
      assert.deepEqual(counted.sort(), rows.sort())
    },
    { numRuns: 200 },
  )
})

t.test('summaries of blocks in an order that chance decides are about as many', async (t) => {
  const pool = mustPrefix('10.0.0.0/8')
  for (const [racks, own] of [
    [2, 64],
    [3, 100],
    [8, 40],
    [25, 40],
    [125, 40],
  ] as const) {
    const [all, runs] = [racks * own, 20]
    let found = 0
    for (let seed = 0; seed < runs; seed++) {
      const order = shuffled(
        Array.from({ length: all }, (_, block) => block),
        prng(seed),
      )
      const blocks = order.slice(0, own).map((block) => subPrefixAt(pool, 26, BigInt(block)))
      found += summarised(blocks as Prefix[]).length / runs
    }
    const expected = expectedSummaries(own, all)
    t.ok(Math.abs(found - expected) < 0.06 * own, `${own} of ${all}: ${found} ~ ${expected}`)
  }
  t.equal(expectedSummaries(0, 0), 0)
  t.equal(expectedSummaries(64, 64), 1, 'a rack that owns everything')
  t.equal(expectedSummaries(7, 7), 3, '4 + 2 + 1')
})

t.test('summaries of a row are a prefix a bit, and no more', async (t) => {
  for (let own = 1; own <= 130; own++) {
    let most = 0
    for (let count = 1; count <= own; count++) {
      const row = Array.from({ length: count }, (_, block) =>
        subPrefixAt(mustPrefix('10.0.0.0/8'), 26, BigInt(block)),
      )
      most = Math.max(most, summarised(row).length)
    }
    t.equal(placedSummaries(own, 256).entries, most, `${own} blocks`)
  }
  t.equal(partOf(1024, 5), 128, 'five racks have the parts of eight')
})

t.test('a run with placed blocks ends with as few prefixes', async (t) => {
  const keys = ['nodes', 'racks', 'podsPerNode', 'modes', 'pools']
  const placed = 'modes: [{ mode: route, announce: rack, placement: rack }]'
  const scenario = smallScenario(
    `nodes: 30\nracks: 5\npodsPerNode: 3\npools: [{ cidr: 10.42.0.0/16 }]\n${placed}`,
    keys,
  )
  const [mode] = runScenario(scenario).modes
  const last = mode?.samples.at(-1)?.entries['spine lpm']
  // Six nodes with two blocks each: twelve in a row are 8 + 4; and a prefix a rack below.
  t.equal(last, 5 * 2 + 5)
  t.ok(placedSummaries(12, 64).entries >= 2)
})

t.test('racks come with nodes, or stay', async (t) => {
  const shape = { ...smallScenario(), nodes: 6, racks: 2 }
  t.match(shapeAt(shape, { kind: 'racks grow', nodesPerRack: 3 }, 100), { nodes: 100, racks: 34 })
  t.match(shapeAt(shape, { kind: 'racks fixed' }, 100), { nodes: 100, racks: 2 })
  t.match(shapeAt(shape, { kind: 'racks fixed' }, 1), { nodes: 1, racks: 1 })
  t.match(shapeAt(shape, { kind: 'racks grow', nodesPerRack: 1 }, NODES_LIMIT), { racks: 1e6 })
})
