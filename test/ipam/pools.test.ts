/** Pools come, change, drain and go, and nothing of them stays behind. */
import t, { type Test } from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import {
  allocate,
  claimBlock,
  createNetwork,
  createPool,
  deletePool,
  drainPool,
  editPool,
  ensureBlocks,
  exclude,
  keepBlocks,
  keys,
  type NetworkRecord,
  parseNetworkSpec,
  poolHoldings,
  release,
  reserve,
  setNetwork,
  type Tx,
  unreserve,
  whyIp,
} from '../../ipam/mod.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { checkInvariants } from './invariants.ts'
import { smallStore } from './small-store.ts'

const OLD = '10.1.0.0/24' as Prefix
const NEW = '10.2.0.0/24' as Prefix
const NODES = ['n1', 'n2']
const HOUR_MS = 3_600_000

function world() {
  const store = smallStore()
  const pools = [
    { cidr: OLD, blockLength: 28 },
    { cidr: 'fd01::/120', blockLength: 124 },
  ]
  store.run((tx) => createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools }, 1)))
  return store
}

const networkIn = (tx: Tx): NetworkRecord => tx.get(keys.network('pods'))!
const key = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })

function add(tx: Tx, node: string, containerId: string, nowMs = 1): readonly Ip[] {
  const request = { key: key(containerId), node, netns: '', mayClaim: true, nowMs, bootId: 'b' }
  const answer = allocate(tx, request)
  if (answer.kind === 'refused') throw new Error(answer.message)
  return answer.attachment.ips
}

function sound(t: Test, tx: Tx): void {
  checkInvariants(tx, NODES)
  t.strictSame(checkIpam(tx), [])
}

t.test('a pool is added once, and changed by its own verb', async (t) => {
  world().run((tx) => {
    const spec = { cidr: NEW, blockLength: 27, namespaces: ['shop'] }
    t.equal(createPool(tx, 'pods', spec).kind, 'created')
    t.equal(createPool(tx, 'pods', spec).kind, 'unchanged')
    t.throws(() => createPool(tx, 'pods', { cidr: NEW }), { code: 'CONFLICT' })
    t.throws(() => createPool(tx, 'pods', { cidr: '10.1.0.0/25' }), { code: 'BAD_CONFIG' })
    t.throws(() => createPool(tx, 'other', spec), { code: 'NOT_FOUND' })
    t.strictSame(
      networkIn(tx).pools.map(({ cidr }) => cidr),
      [OLD, NEW, 'fd01::/120'],
      'pods have IPv4 first, as before',
    )
    const gateway = '10.2.0.1'
    t.equal(editPool(tx, 'pods', NEW, { namespaces: undefined, gateway }).kind, 'changed')
    t.equal(editPool(tx, 'pods', NEW, { gateway }).kind, 'unchanged')
    t.strictSame(networkIn(tx).pools[1], { cidr: NEW, blockLength: 27, gateway })
    t.throws(() => editPool(tx, 'pods', NEW, { rack: 'r 1' }), { code: 'BAD_CONFIG' })
    t.throws(() => editPool(tx, 'pods', '10.3.0.0/24' as Prefix, {}), { code: 'NOT_FOUND' })
    sound(t, tx)
  })
})

t.test('a gateway is nobody’s address', async (t) => {
  world().run((tx) => {
    const [ip] = add(tx, 'n1', 'c1')
    t.throws(() => editPool(tx, 'pods', OLD, { gateway: ip! }), { code: 'CONFLICT', message: /c1/ })
    const kept = '10.1.0.40' as Ip
    reserve(tx, { network: 'pods', ip: kept, pod: { namespace: 'db', name: 'db-0' }, nowMs: 1 })
    t.throws(() => editPool(tx, 'pods', OLD, { gateway: kept }), { message: /pod db\/db-0/ })
    t.equal(editPool(tx, 'pods', OLD, { gateway: '10.1.0.41' }).kind, 'changed')
    sound(t, tx)
  })
})

t.test('a pool drains only where pods have another, and keeps its promises', async (t) => {
  world().run((tx) => {
    t.throws(() => drainPool(tx, 'pods', OLD, true), { code: 'CONFLICT', message: /IPv4/ })
    createPool(tx, 'pods', { cidr: NEW })
    const ip = '10.1.0.40' as Ip
    reserve(tx, { network: 'pods', ip, pod: { namespace: 'db', name: 'db-0' }, nowMs: 1 })
    t.throws(() => drainPool(tx, 'pods', OLD, true), {
      message: /10.1.0.40 is reserved for pod db/,
    })
    unreserve(tx, 'pods', ip)
    t.equal(drainPool(tx, 'pods', OLD, true).kind, 'draining')
    t.equal(drainPool(tx, 'pods', OLD, true).kind, 'unchanged')
    t.throws(
      () => reserve(tx, { network: 'pods', ip, pod: { namespace: 'a', name: 'b' }, nowMs: 1 }),
      { message: /drains/ },
    )
    t.throws(() => drainPool(tx, 'pods', NEW, true), { message: /nowhere else/ })
    t.match(whyIp(tx, ip, 1)[0], { about: 'pool', found: `${OLD}, drains` })
    setNetwork(tx, 'pods', { options: { mtuBytes: 1400 } })
    t.equal(networkIn(tx).pools[0]?.draining, true, 'another change of the network keeps it')
    const editing = editPool(tx, 'pods', OLD, { rack: 'r1' })
    t.equal(editing.pool.draining, true, 'and so does one of the pool')
    t.equal(drainPool(tx, 'pods', OLD, false).kind, 'open')
    t.equal('draining' in networkIn(tx).pools[0]!, false)
  })
})

t.test('a pool is left: drained, its blocks given back, removed', async (t) => {
  world().run((tx) => {
    for (const node of NODES) {
      for (const n of [0, 1]) add(tx, node, `${node}c${n}`)
      keepBlocks(tx, networkIn(tx), node, 1)
    }
    exclude(tx, 'pods', '10.1.0.240/28' as Prefix)
    createPool(tx, 'pods', { cidr: NEW, blockLength: 28 })
    t.throws(() => deletePool(tx, 'pods', OLD), { message: /4 addresses in use \(2 on node n1, 2/ })
    drainPool(tx, 'pods', OLD, true)
    const ips = add(tx, 'n1', 'newcomer', 2)
    t.match(ips[0], /^10\.2\./)
    for (const node of NODES) for (const n of [0, 1]) release(tx, node, key(`${node}c${n}`), 3)
    const keep = (nowMs: number) => NODES.map((node) => keepBlocks(tx, networkIn(tx), node, nowMs))
    keep(4)
    t.match(poolHoldings(tx, 'pods', OLD, 4), { addresses: 0, cooling: 4, blocks: 2 })
    t.throws(() => deletePool(tx, 'pods', OLD), { message: /tunnel endpoint of node n1/ })
    sound(t, tx)
    keep(HOUR_MS)
    t.match(poolHoldings(tx, 'pods', OLD, HOUR_MS), { blocks: 0, nodes: [] })
    sound(t, tx)
    const firsts = [...tx.range(keys.familyClaims('pods', 4))].filter(([, { first }]) => first)
    t.strictSame(
      firsts.map(([, { node, pool }]) => [node, pool]).sort(),
      NODES.map((node) => [node, NEW]),
    )
    t.match(deletePool(tx, 'pods', OLD), { exclusions: ['10.1.0.240/28'] })
    sound(t, tx)
    const text = JSON.stringify([...tx.range('')])
    t.notMatch(text, /10\.1\.0\./, 'no trace of it')
    t.match(text, /fd01::/, 'the other family goes on')
    t.match(add(tx, 'n2', 'last', HOUR_MS)[0], /^10\.2\./)
  })
})

t.test('a tunnel does not end where a gateway is', async (t) => {
  world().run((tx) => {
    keepBlocks(tx, networkIn(tx), 'n1', 1)
    createPool(tx, 'pods', { cidr: NEW, blockLength: 28, gateway: '10.2.0.16' })
    claimBlock(tx, networkIn(tx), networkIn(tx).pools[1]!, 'n2', 1)
    drainPool(tx, 'pods', OLD, true)
    t.equal(add(tx, 'n1', 'c1', 2)[0], '10.2.0.17')
    keepBlocks(tx, networkIn(tx), 'n1', HOUR_MS)
    const own = [...tx.range(keys.familyUses('n1', 'pods', 4))].map(([, use]) => use)
    t.match(own, [
      { cidr: '10.2.0.16/28', first: false },
      { cidr: '10.2.0.32/28', first: true },
    ])
    sound(t, tx)
  })
})

t.test('a block whose node alone knows what is in it stays', async (t) => {
  world().run((tx) => {
    createPool(tx, 'pods', { cidr: NEW, blockLength: 28 })
    const claim = claimBlock(tx, networkIn(tx), networkIn(tx).pools[1]!, 'n1', 1)
    tx.remove(keys.use('n1', 'pods', claim!.cidr))
    t.throws(() => deletePool(tx, 'pods', NEW, true), { message: /node n1's, which alone knows/ })
    t.ok(tx.get(keys.claim('pods', claim!.cidr)))
  })
})

t.test('the last pool goes with its network only', async (t) => {
  world().run((tx) => {
    deletePool(tx, 'pods', 'fd01::/120' as Prefix)
    t.throws(() => deletePool(tx, 'pods', OLD), { code: 'CONFLICT', message: /the only one/ })
    t.equal(add(tx, 'n1', 'c1').length, 1)
    sound(t, tx)
  })
})

t.test('a block is kept for a while, and one ahead always', async (t) => {
  world().run((tx) => {
    const blocks = (): number => [...tx.range(keys.familyUses('n1', 'pods', 4))].length
    // 14 of the first block, 16 of the second: the third is the spare.
    for (let n = 0; n < 20; n++) add(tx, 'n1', `c${n}`)
    keepBlocks(tx, networkIn(tx), 'n1', 1)
    t.equal(blocks(), 3)
    for (let n = 0; n < 20; n++) release(tx, 'n1', key(`c${n}`), 2)
    keepBlocks(tx, networkIn(tx), 'n1', 3)
    t.equal(blocks(), 3, 'they rest')
    keepBlocks(tx, networkIn(tx), 'n1', 599_999)
    t.equal(blocks(), 3, 'claimed a short while ago')
    setNetwork(tx, 'pods', { options: { idleSeconds: 900 } })
    keepBlocks(tx, networkIn(tx), 'n1', 600_001)
    t.equal(blocks(), 3, 'as the network says')
    keepBlocks(tx, networkIn(tx), 'n1', 900_001)
    t.equal(blocks(), 1, 'the first is unused: it is the one ahead')
    add(tx, 'n1', 'again', 900_002)
    keepBlocks(tx, networkIn(tx), 'n1', 900_002)
    t.equal(blocks(), 2)
    keepBlocks(tx, networkIn(tx), 'n1', 10 * HOUR_MS)
    t.equal(blocks(), 2, 'one ahead stays')
    sound(t, tx)
  })
})

t.test('pods that are replaced all at once make their node claim no more', async (t) => {
  world().run((tx) => {
    // As ADD does: a block ahead with each address.
    const replace = (round: number): number => {
      for (let n = 0; n < 40; n++) {
        add(tx, 'n1', `r${round}c${n}`, round)
        ensureBlocks(tx, networkIn(tx), 'n1', round)
      }
      for (let n = 0; n < 40; n++) release(tx, 'n1', key(`r${round}c${n}`), round)
      return [...tx.range(keys.familyClaims('pods', 4))].length
    }
    const first = replace(1)
    t.equal(first, 4, '14 and 16 and 10 addresses, and one ahead')
    t.strictSame([2, 3, 4].map(replace), [first, first, first], 'what cools is taken first')
    sound(t, tx)
  })
})
