/** Pools are split, merged and resized under living pods. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { historyOf, keys, release, releaseNode, type Tx } from '../../ipam/mod.ts'
import { applyPools, type PoolsPlan } from '../../ipam/rearrange/plan.ts'
import { planMerge, planResize, planSplit } from '../../ipam/rearrange/requests.ts'
import { isTriviumError } from '../../src/errors.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { add } from './check-world.ts'
import { bounds, checkInvariants } from './invariants.ts'
import { everything, LIFE_NODES, LIFE_POOLS, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

type Change = (tx: Tx, nowMs: number) => PoolsPlan

const pools = (tx: Tx) => tx.get(keys.network('pods'))!.pools

const pick = <T>(all: readonly T[], index: number): T => all[index % all.length]!

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(9), fc.constantFrom(2, 4)).map(
    ([index, parts]): Change =>
      (tx, nowMs) =>
        planSplit(tx, pick(pools(tx), index).cidr, parts, nowMs),
  ),
  fc.tuple(fc.nat(9), fc.nat(9)).map(
    ([one, two]): Change =>
      (tx, nowMs) =>
        planMerge(tx, [pick(pools(tx), one).cidr, pick(pools(tx), two).cidr], nowMs),
  ),
  fc
    .tuple(fc.nat(9), fc.integer({ min: -2, max: 3 }), fc.nat(7), fc.constantFrom(-2, -1, 0, 1, 2))
    .map(
      ([index, by, place, blocks]): Change =>
        (tx, nowMs) => {
          const { cidr, blockLength } = pick(pools(tx), index)
          const next = resized(cidr, by, place)
          const wanted = { cidr: next as Prefix, blockLength: blockLength + blocks }
          return planResize(tx, cidr, wanted, nowMs)
        },
    ),
)

/** Around it or within it. */
function resized(cidr: string, by: number, place: number): string {
  const [address = '', text] = cidr.split('/')
  const length = Number(text) + by
  if (cidr.includes(':') || length > 32) return cidr
  const [first, last] = bounds(cidr)
  const size = 2n ** BigInt(32 - length)
  const start =
    by > 0 ? first + ((BigInt(place) * size) % (last - first + 1n)) : (first / size) * size
  const parts = [24n, 16n, 8n, 0n].map((bits) => (start >> bits) & 255n)
  return address === '' ? cidr : `${parts.join('.')}/${length}`
}

/** Who holds what, and who had it. */
const holdings = (tx: Tx): string =>
  JSON.stringify([...tx.range(keys.allAttachments)].map(([, one]) => one))

const owners = (tx: Tx): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const [, { cidr, node }] of tx.range(keys.allClaims)) {
    const [first, last] = bounds(cidr)
    for (let at = first; at <= last; at++) found.set(`${cidr.includes(':')}${at}`, node)
  }
  return found
}

const tried = (change: Change, tx: Tx, nowMs: number): PoolsPlan | undefined => {
  try {
    return change(tx, nowMs)
  } catch (thrown) {
    if (isTriviumError(thrown) && thrown.code !== 'INTERNAL') return undefined
    throw thrown
  }
}

let done = 0
let refused = 0

holds(
  t,
  'every address keeps its holder, every invariant stays, and pods go on coming',
  fc.tuple(life(40), fc.array(fc.tuple(change, life(8)), { maxLength: 5 })),
  ([events, changes]) => {
    const store = smallStore()
    let nowMs = store.run((tx) => {
      lifeStart(tx)
      return live(tx, events, 1)
    })
    for (const [change, more] of changes) {
      store.run((tx) => {
        const [before, whose, who] = [everything(tx), owners(tx), holdings(tx)]
        const plan = tried(change, tx, nowMs)
        assert.equal(everything(tx), before, 'a plan writes nothing')
        if (plan === undefined || plan.obstacles.length > 0) {
          refused++
          return
        }
        done++
        applyPools(tx, plan)
        assert.equal(holdings(tx), who)
        for (const [address, node] of owners(tx)) {
          assert.equal(whose.get(address) ?? node, node, 'blocks keep their owners')
        }
        checkInvariants(tx, LIFE_NODES)
        assert.deepEqual(checkIpam(tx), [])
        nowMs = live(tx, more, nowMs)
        checkInvariants(tx, LIFE_NODES)
      })
    }
  },
  { numRuns: 400 },
)
t.ok(done > 50 && refused > 50, 'some changes were done and some refused', { done, refused })

holds(
  t,
  'merge undoes split',
  life(40),
  (events) => {
    const store = smallStore()
    store.run((tx) => {
      lifeStart(tx)
      const nowMs = live(tx, events, 1)
      const [{ cidr } = { cidr: '' as Prefix }] = pools(tx)
      const before = everything(tx)
      const plan = planSplit(tx, cidr, 2, nowMs)
      if (plan.obstacles.length > 0) return
      applyPools(tx, plan)
      const halves = pools(tx)
        .slice(0, 2)
        .map((pool) => pool.cidr)
      const back = planMerge(tx, halves.toReversed(), nowMs)
      assert.deepEqual(back.obstacles, [])
      applyPools(tx, back)
      // A range that was wider than a half is two now.
      const [was, is] = [before, everything(tx)].map((text) =>
        text.replace(/,"exclusions":\[[^\]]*\]/, ''),
      )
      assert.equal(is, was)
    })
  },
  { numRuns: 100 },
)

const settled = () => {
  const store = smallStore()
  store.run((tx) => lifeStart(tx, [{ cidr: '10.1.0.0/26', blockLength: 29 }]))
  return store
}

t.test('what is in the way is told', async (t) => {
  const store = settled()
  store.run((tx) => {
    for (let pod = 0; pod < 9; pod++) add(tx, 'n1', `a${pod}`)
    for (let pod = 0; pod < 3; pod++) add(tx, 'n2', `b${pod}`)
  })
  const told = (change: Change): readonly string[] =>
    store.run((tx) => change(tx, 5).obstacles.map(({ subject, found }) => `${subject}: ${found}`))
  const cidr = '10.1.0.0/26' as Prefix
  t.strictSame(
    told((tx, nowMs) => planResize(tx, cidr, { cidr: '10.1.0.0/28' as Prefix }, nowMs)),
    ['block 10.1.0.16/29 of node n2: 3 addresses in use: 10.1.0.17, 10.1.0.18, 10.1.0.19'],
  )
  t.strictSame(
    told((tx, nowMs) => planResize(tx, cidr, { blockLength: 27 }, nowMs)),
    [
      'block 10.1.0.0/27: it would hold 10.1.0.0/29 and 10.1.0.8/29 of node n1 and 10.1.0.16/29 of node n2',
    ],
  )
  t.strictSame(
    told((tx, nowMs) => planSplit(tx, cidr, 4, nowMs)),
    [],
  )
  t.strictSame(
    told((tx, nowMs) => planSplit(tx, cidr, 8, nowMs)),
    [
      '10.1.0.7: eth0 of container a6 has it, it would be the broadcast address of pool 10.1.0.0/29',
      '10.1.0.8: eth0 of container a7 has it, it would be the network address of pool 10.1.0.8/29',
    ],
  )
  const refusals: readonly (readonly [Change, RegExp])[] = [
    [(tx, nowMs) => planSplit(tx, cidr, 3, nowMs), /3 parts, wanted 2, 4, 8/],
    [(tx, nowMs) => planSplit(tx, cidr, 16, nowMs), /its blocks are \/29, its parts would be \/30/],
    [(tx, nowMs) => planSplit(tx, '10.9.0.0/16' as Prefix, 2, nowMs), /there is 10\.1\.0\.0\/26/],
    [(tx, nowMs) => planMerge(tx, [cidr], nowMs), /at least two/],
    [(tx, nowMs) => planResize(tx, cidr, { cidr: '10.2.0.0/16' as Prefix }, nowMs), /elsewhere/],
    [(tx, nowMs) => planResize(tx, cidr, {}, nowMs), /wanted another prefix or block length/],
  ]
  for (const [change, wanted] of refusals) {
    t.throws(() => store.run((tx) => change(tx, 5)), { message: wanted })
  }
})

t.test('a tunnel endpoint stays where it is', async (t) => {
  const store = settled()
  store.run((tx) => {
    add(tx, 'n1', 'a')
    add(tx, 'n2', 'b')
    releaseNode(tx, 'n1')
    const plan = planResize(tx, '10.1.0.0/26' as Prefix, { blockLength: 28 }, 5)
    t.match(plan.obstacles, [{ found: 'the tunnel endpoint of node n2 would move from 10.1.0.8' }])
    applyPools(tx, planResize(tx, '10.1.0.0/26' as Prefix, { blockLength: 30 }, 5))
    checkInvariants(tx, ['n2'])
    t.equal(tx.get(keys.claim('pods', '10.1.0.8/30' as Prefix))?.first, true)
  })
})

t.test('smaller blocks: history and cool-down go with their addresses', async (t) => {
  const store = settled()
  const cidr = LIFE_POOLS[0]!.cidr as Prefix
  store.run((tx) => {
    for (let pod = 0; pod < 6; pod++) add(tx, 'n1', `a${pod}`)
    release(tx, 'n1', { network: 'pods', containerId: 'a4', ifname: 'eth0' }, 4000)
    applyPools(tx, planResize(tx, cidr, { blockLength: 30 }, 5000))
    checkInvariants(tx, ['n1'])
  })
  const [ip, node] = ['10.1.0.5' as Ip, 'n1']
  t.equal(
    store.run((tx) => historyOf(tx, { ip }).length),
    1,
  )
  const use = store.run((tx) => tx.get(keys.use(node, 'pods', '10.1.0.4/30' as Prefix)))
  t.match(use, { used: 2, cooling: [{ offset: 1, sinceMs: 4000 }], released: 1, first: false })
})
