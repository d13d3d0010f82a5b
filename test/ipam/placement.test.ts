/** Where the blocks of a rack go: the rules by brute force, whole pools, and what a spine sees. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  allocate,
  claimBlock,
  createNetwork,
  ensureBlocks,
  keys,
  parseNetworkSpec,
  registerNode,
  releaseNode,
  type Tx,
} from '../../ipam/mod.ts'
import { nextPlace, type Taken } from '../../ipam/placement.ts'
import { summarised } from '../../simulator/announcer.ts'
import { macFromName, type Prefix, parseIp } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'
import { bounds, checkInvariants } from './invariants.ts'
import { smallStore } from './small-store.ts'

type Owner = 'own' | 'other' | 'free'

/** The rules of placement.ts, by trying every aligned region. */
function onPaper(pool: readonly Owner[]): number | undefined {
  const all = (from: number, size: number, owner: Owner): boolean =>
    pool.slice(from, from + size).every((each) => each === owner)
  const sizes: number[] = []
  for (let size = 1; size <= pool.length; size *= 2) sizes.push(size)
  for (const size of sizes) {
    for (let from = 0; from < pool.length; from += size) {
      const half = (from / size) % 2 === 0 ? from + size : from - size
      if (half >= pool.length) continue
      if (all(from, size, 'free') && all(half, size, 'own')) return from
    }
  }
  for (const size of sizes.reverse()) {
    for (let from = 0; from < pool.length; from += size) if (all(from, size, 'free')) return from
  }
  return undefined
}

const takenOf = (pool: readonly Owner[]): readonly Taken[] =>
  pool.flatMap((owner, place) =>
    owner === 'free' ? [] : [{ place: BigInt(place), own: owner === 'own' }],
  )

const owners = fc.integer({ min: 0, max: 5 }).chain((bits) =>
  fc.array(fc.constantFrom<Owner>('own', 'own', 'other', 'free', 'free'), {
    minLength: 2 ** bits,
    maxLength: 2 ** bits,
  }),
)

holds(t, 'the same as by trying every region', owners, (pool) => {
  const place = nextPlace(takenOf(pool), BigInt(pool.length))
  assert.equal(place === undefined ? undefined : Number(place), onPaper(pool))
})

t.test('an empty pool is bisected', async (t) => {
  const taken: Taken[] = []
  const places: bigint[] = []
  for (let rack = 0; rack < 8; rack++) {
    const place = nextPlace(taken, 64n) ?? assert.fail('there is room')
    places.push(place)
    taken.push({ place, own: false })
    taken.sort((left, right) => Number(left.place - right.place))
  }
  t.strictSame(places, [0n, 32n, 16n, 48n, 8n, 24n, 40n, 56n])
})

t.test('a pool of 2^100 blocks costs what its claims cost', async (t) => {
  t.equal(nextPlace([], 1n << 100n), 0n)
  t.equal(nextPlace([{ place: 0n, own: false }], 1n << 100n), 1n << 99n)
  t.equal(nextPlace([{ place: 0n, own: true }], 1n << 100n), 1n)
})

function register(tx: Tx, index: number, rack: string | undefined): string {
  const name = `n${index}`
  registerNode(tx, {
    name,
    underlayLink: 'eth0',
    underlayIps: [parseIp(`192.0.${2 + (index >> 8)}.${index & 255}`)],
    underlayMtuBytes: 1500,
    vtepMac: macFromName(name),
    registeredMs: 0,
    ...(rack === undefined ? {} : { rack }),
  })
  return name
}

const claimsOf = (tx: Tx) => [...tx.range(keys.claims('pods'))].map(([, claim]) => claim)

const start = (cidr: string): bigint => bounds(cidr)[0]

// Node 3 says no rack; pools are small enough to run out, the first before the second.
const RACKS = ['r0', 'r0', 'r1', undefined, 'r2']
type Step = { readonly kind: 'add' | 'ensure' | 'forget'; readonly node: number }
const history = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom('add', 'add', 'add', 'ensure', 'forget'),
    node: fc.nat(RACKS.length - 1),
  }),
  { maxLength: 60 },
)

holds(
  t,
  'any history: no block twice, pools in order, no room lost, nothing new without a rack',
  history,
  (steps) => {
    const { run } = smallStore()
    const nodes = RACKS.map((_, index) => `n${index}`)
    const spec = {
      name: 'pods',
      mode: 'route',
      pools: [
        { cidr: '10.1.0.0/28', blockLength: 30 },
        { cidr: '10.2.0.0/27', blockLength: 30 },
      ],
    }
    run((tx) => {
      createNetwork(tx, parseNetworkSpec(spec, 0))
      for (const [index, rack] of RACKS.entries()) register(tx, index, rack)
    })
    for (const [index, { kind, node }] of steps.entries()) {
      const name = `n${node}`
      run((tx) => {
        const before = claimsOf(tx)
        const network = tx.get(keys.network('pods'))!
        if (kind === 'ensure') ensureBlocks(tx, network, name, 1)
        else if (kind === 'forget') {
          releaseNode(tx, name)
          register(tx, node, RACKS[node])
        } else {
          const key = { network: 'pods', containerId: `c${index}`, ifname: 'eth0' }
          const rest = { node: name, netns: '', mayClaim: true, nowMs: 1, bootId: '' }
          const answer = allocate(tx, { key, ...rest })
          if (answer.kind === 'refused') {
            assert.equal(answer.reason, 'exhausted')
            assert.equal(before.length, 4 + 8, 'every block is claimed before one is missed')
          }
        }
        checkInvariants(tx, nodes)
        const after = claimsOf(tx)
        const fresh = after.filter(({ cidr }) => before.every((old) => old.cidr !== cidr))
        const firstPool = after.filter(({ pool }) => pool === '10.1.0.0/28').length
        if (fresh.some(({ pool }) => pool === '10.2.0.0/27')) assert.equal(firstPool, 4)
        if (RACKS[node] !== undefined) return
        for (const { cidr, pool } of fresh) {
          const lower = after.filter(
            (claim) => claim.pool === pool && start(claim.cidr) < start(cidr),
          )
          assert.equal(BigInt(lower.length * 4), start(cidr) - start(pool), 'the lowest')
        }
      })
    }
    // What is left can be claimed to the last block, by whichever rack.
    for (const pool of [0, 1]) {
      run((tx) => {
        const network = tx.get(keys.network('pods'))!
        while (claimBlock(tx, network, network.pools[pool]!, 'n2', 1) !== undefined);
        checkInvariants(tx, nodes)
      })
    }
    assert.equal(run(claimsOf).length, 4 + 8)
  },
  { numRuns: 200 },
)

t.test('blocks without room for a pod are claimed on the way to one that has', async (t) => {
  const { run } = smallStore()
  const pools = [{ cidr: 'fd02::/125', blockLength: 128 }]
  run((tx) => {
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 0))
    for (const index of [0, 1]) register(tx, index, `r${index}`)
  })
  const add = (node: string, containerId: string) =>
    run((tx) => {
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      const answer = allocate(tx, { key, node, netns: '', mayClaim: true, nowMs: 1, bootId: '' })
      return answer.kind === 'allocated' ? answer.attachment.ips : answer.reason
    })
  // The first block is the endpoint's; each rack has its half.
  const given = ['n0', 'n1', 'n0', 'n1', 'n0', 'n1', 'n0'].map((node, index) =>
    add(node, `c${index}`),
  )
  t.strictSame(given.flat(), [
    'fd02::1',
    'fd02::5',
    'fd02::2',
    'fd02::6',
    'fd02::3',
    'fd02::7',
    'exhausted',
  ])
})

t.test('a pool of a rack: its nodes claim there, others do not', async (t) => {
  const { run } = smallStore()
  const pools = [
    { cidr: '10.1.0.0/28', blockLength: 30, rack: 'r1' },
    { cidr: '10.2.0.0/28', blockLength: 30 },
  ]
  const draft = parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 0)
  run((tx) => {
    createNetwork(tx, draft)
    t.equal(createNetwork(tx, draft).kind, 'unchanged')
    for (const [index, rack] of ['r0', 'r1', undefined].entries()) register(tx, index, rack)
  })
  const add = (node: string, ...requested: string[]) =>
    run((tx) => {
      const key = { network: 'pods', containerId: `${node}-${requested}`, ifname: 'eth0' }
      const wanted = requested.length === 0 ? {} : { requested: requested.map((ip) => parseIp(ip)) }
      const rest = { node, netns: '', mayClaim: true, nowMs: 1, bootId: '' }
      const answer = allocate(tx, { key, ...rest, ...wanted })
      return answer.kind === 'allocated' ? answer.attachment.ips.join() : answer.message
    })
  t.equal(add('n0'), '10.2.0.1')
  t.equal(add('n1'), '10.1.0.1')
  t.equal(add('n2'), '10.2.0.5')
  t.match(add('n0', '10.1.0.6'), /10\.1\.0\.6 in network pods: pool 10\.1\.0\.0\/28 is for rack r1/)
  t.equal(add('n1', '10.1.0.6'), '10.1.0.6')
  run((tx) => {
    const network = {
      ...draft,
      pools: draft.pools.slice(0, 1),
      options: { ...draft.options, vni: 1 },
    }
    tx.put(keys.network('pods'), network)
    t.strictSame(ensureBlocks(tx, network, 'n2', 1), [])
    const key = { network: 'pods', containerId: 'c', ifname: 'eth0' }
    const rest = { node: 'n3', netns: '', mayClaim: true, nowMs: 1, bootId: '' }
    const answer = allocate(tx, { key, ...rest })
    t.match(answer, {
      kind: 'refused',
      message: /10\.1\.0\.0\/28 is for rack r1; node n3 is of no rack, wanted a pool for any node/,
    })
  })
  t.throws(
    () =>
      parseNetworkSpec(
        { name: 'pods', mode: 'route', pools: [{ cidr: '10.1.0.0/28', rack: 'a/b' }] },
        0,
      ),
    { message: /rack of pool 10\.1\.0\.0\/28 is "a\/b", wanted at most 63 letters/ },
  )
})

t.test('a pool of some nodes: others do not claim there, not even of the same rack', async (t) => {
  const { run } = smallStore()
  const pools = [
    { cidr: '10.1.0.0/28', blockLength: 30, nodes: ['n1', 'n0', 'n1'] },
    { cidr: '10.2.0.0/28', blockLength: 30, nodes: ['n1', 'n2'], rack: 'r1' },
  ]
  const draft = parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 0)
  t.strictSame(draft.pools[0]?.nodes, ['n0', 'n1'])
  run((tx) => {
    createNetwork(tx, draft)
    for (const [index, rack] of ['r0', 'r1', 'r2'].entries()) register(tx, index, rack)
  })
  const add = (node: string, containerId: string) =>
    run((tx) => {
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      const rest = { node, netns: '', mayClaim: true, nowMs: 1, bootId: '' }
      const answer = allocate(tx, { key, ...rest })
      return answer.kind === 'allocated' ? answer.attachment.ips.join() : answer.message
    })
  t.match(add('n0', 'a'), /^10\.1\.0\.[12]$/)
  t.match(
    add('n2', 'a'),
    /10\.1\.0\.0\/28 is for nodes n0, n1; 10\.2\.0\.0\/28 is for nodes n1, n2 of rack r1; node n2 is of rack r2/,
  )
  const given = Array.from({ length: 20 }, (_, index) => add('n1', `b${index}`))
  t.ok(given.some((ip) => ip.startsWith('10.2.')))
  t.throws(
    () =>
      parseNetworkSpec(
        { name: 'pods', mode: 'route', pools: [{ cidr: '10.1.0.0/28', nodes: ['a/b'] }] },
        0,
      ),
    { message: /nodes of pool 10\.1\.0\.0\/28 is "a\/b", wanted at most 253 letters/ },
  )
})

/** Prefixes at a spine, a summary a rack, and how many of the same with 30 % of the nodes replaced. */
function spine(withRacks: boolean): { readonly fresh: number; readonly churned: number } {
  const [racks, nodes] = [20, 400]
  const { run } = smallStore()
  const chance = prng(7)
  const rackOf = new Map<string, number>()
  const join = (tx: Tx, index: number): void => {
    const rack = index % racks
    const name = register(tx, index, withRacks ? `r${rack}` : undefined)
    rackOf.set(name, rack)
    const network = tx.get(keys.network('pods'))!
    for (let block = 0; block < 2; block++) claimBlock(tx, network, network.pools[0]!, name, 1)
  }
  const count = (): number => {
    const byRack = new Map<number, Prefix[]>()
    for (const { node, cidr } of run(claimsOf)) {
      const rack = rackOf.get(node) ?? -1
      byRack.set(rack, [...(byRack.get(rack) ?? []), cidr])
    }
    return [...byRack.values()].reduce((sum, own) => sum + summarised(own).length, 0)
  }
  run((tx) =>
    createNetwork(
      tx,
      parseNetworkSpec({ name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/16' }] }, 0),
    ),
  )
  const order = Array.from({ length: nodes }, (_, index) => index)
  for (let index = nodes - 1; index > 0; index--) {
    const other = chance.below(index + 1)
    ;[order[index], order[other]] = [order[other]!, order[index]!]
  }
  for (const index of order) run((tx) => join(tx, index))
  const fresh = count()
  for (const index of order.slice(0, (nodes * 3) / 10))
    run((tx) => void releaseNode(tx, `n${index}`))
  // In another order than they left in, or each would find its own hole.
  for (const index of order.slice(0, (nodes * 3) / 10).reverse()) run((tx) => join(tx, index))
  return { fresh, churned: count() }
}

t.test('a spine hears a tenth of the prefixes, and little more after churn', async (t) => {
  const [lowest, placed] = [spine(false), spine(true)]
  t.comment(
    `lowest: ${lowest.fresh}, churned ${lowest.churned}; placed: ${placed.fresh}, churned ${placed.churned}`,
  )
  t.ok(placed.fresh * 5 < lowest.fresh, `${placed.fresh} of ${lowest.fresh}`)
  t.ok(placed.churned * 5 < lowest.churned, `${placed.churned} of ${lowest.churned}`)
})
