/** Allocator and blocks: the cases a person would ask about, one by one. */
import assert from 'node:assert/strict'
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  type AllocateRequest,
  type AttachmentKey,
  allocate,
  claimBlock,
  createNetwork,
  ensureBlocks,
  keys,
  type NetworkRecord,
  type PoolSpec,
  parseNetworkSpec,
  release,
  releaseNode,
  showUsage,
  type Tx,
} from '../../ipam/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { answerOf } from '../contract/store.ts'
import { checkInvariants } from './invariants.ts'

const NODES = ['n1', 'n2']

/** Runs `body` on a store with one network, then checks the invariants. */
async function withNetwork(
  pools: readonly PoolSpec[],
  body: (tx: Tx, network: NetworkRecord) => void,
): Promise<void> {
  await answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    const draft = parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools }, 1)
    body(tx, createNetwork(tx, draft).network)
    checkInvariants(tx, NODES)
  })
}

const keyOf = (containerId: string): AttachmentKey => ({
  network: 'pods',
  containerId,
  ifname: 'eth0',
})

const request = (containerId: string, rest: Partial<AllocateRequest> = {}): AllocateRequest => ({
  key: keyOf(containerId),
  node: 'n1',
  netns: `/run/netns/${containerId}`,
  mayClaim: true,
  nowMs: 5,
  bootId: 'boot',
  ...rest,
})

/** Addresses given, or the reason and message of the refusal. */
function add(tx: Tx, containerId: string, rest: Partial<AllocateRequest> = {}): string {
  const answer = allocate(tx, request(containerId, rest))
  if (answer.kind === 'allocated') return answer.attachment.ips.join(' ')
  assert.ok(!answer.message.endsWith('.'))
  return `${answer.reason}: ${answer.message}`
}

const small = [{ cidr: '10.42.0.0/28', blockLength: 30 }]

t.test('the record holds everything needed to undo it', (t) =>
  withNetwork(small, (tx) => {
    const pod = { namespace: 'default', name: 'web', uid: 'u1' }
    const answer = allocate(tx, request('c1', { hostLink: 'trv1', pod }))
    t.strictSame(answer, {
      kind: 'allocated',
      attachment: {
        ...keyOf('c1'),
        node: 'n1',
        ips: ['10.42.0.1'],
        hostLink: 'trv1',
        netns: '/run/netns/c1',
        pod,
        sequence: 1,
        bootId: 'boot',
        addedMs: 5,
      },
    })
    t.strictSame(tx.get(keys.attachment('n1', keyOf('c1'))), (answer as never)['attachment'])
  }),
)

t.test('addresses go round: a freed one is not the next one', (t) =>
  withNetwork(small, (tx) => {
    t.equal(add(tx, 'c1'), '10.42.0.1')
    release(tx, 'n1', keyOf('c1'))
    t.equal(add(tx, 'c2'), '10.42.0.2')
    t.equal(add(tx, 'c3'), '10.42.0.3')
    t.equal(add(tx, 'c4'), '10.42.0.1', 'after the last comes the first')
  }),
)

t.test('the search comes round to what was freed behind the cursor', (t) =>
  withNetwork(small, (tx) => {
    for (const id of ['c1', 'c2', 'c3']) add(tx, id)
    release(tx, 'n1', keyOf('c1'))
    t.equal(add(tx, 'c4'), '10.42.0.1')
    release(tx, 'n1', keyOf('c4'))
    t.equal(add(tx, 'c5', { mayClaim: false }), '10.42.0.1', 'past .2 and .3, which are held')
  }),
)

t.test('what no pod gets', (t) =>
  withNetwork([{ cidr: '10.42.0.0/29', blockLength: 30, gateway: '10.42.0.5' }], (tx) => {
    t.strictSame(
      ['c1', 'c2', 'c3', 'c4', 'c5'].map((id) => add(tx, id)),
      ['10.42.0.1', '10.42.0.2', '10.42.0.3', '10.42.0.4', '10.42.0.6'],
      'not .0 (endpoint), not .5 (gateway); .4 starts a block that is not the first',
    )
    t.match(add(tx, 'c6'), /^exhausted/, 'not .7 (broadcast)')
  }),
)

t.test('the second node has its own endpoint', (t) =>
  withNetwork(small, (tx) => {
    t.equal(add(tx, 'c1'), '10.42.0.1')
    t.equal(add(tx, 'c2', { node: 'n2' }), '10.42.0.5', 'not .4')
  }),
)

t.test('the first address of an IPv6 pool is its routers', (t) =>
  withNetwork([{ cidr: 'fd42::/120', blockLength: 126 }], (tx, network) => {
    claimBlock(tx, network, network.pools[0]!, 'n2', 1)
    t.equal(add(tx, 'c1'), 'fd42::5')
    t.equal(add(tx, 'c2', { node: 'n2' }), 'fd42::1')
  }),
)

t.test('a duplicate changes nothing', (t) =>
  withNetwork(small, (tx) => {
    add(tx, 'c1')
    const before = JSON.stringify([...tx.range('use/'), ...tx.range('sequence/')])
    t.equal(
      add(tx, 'c1', { nowMs: 6 }),
      'duplicate: Cannot add eth0 of container c1: it has 10.42.0.1 in network pods, wanted a new one or DEL first',
    )
    t.equal(JSON.stringify([...tx.range('use/'), ...tx.range('sequence/')]), before)
  }),
)

t.test('refusals say what to do', (t) =>
  withNetwork([{ cidr: '10.42.0.0/29', blockLength: 30 }], (tx) => {
    t.equal(
      add(tx, 'c1', { mayClaim: false }),
      'needs-block: Cannot allocate an IPv4 address in network pods: node n1 has no block, wanted one more block for the node',
    )
    for (const id of ['c1', 'c2', 'c3']) add(tx, id)
    t.equal(
      add(tx, 'c4', { mayClaim: false }),
      'needs-block: Cannot allocate an IPv4 address in network pods: node n1 uses 3 of 3 addresses of its block, wanted one more block for the node',
    )
    add(tx, 'c9', { node: 'n2' })
    t.equal(
      add(tx, 'c4'),
      'exhausted: Cannot allocate an IPv4 address in network pods: every block of 10.42.0.0/29 (2 blocks of /30) is claimed, node n1 uses 3 of 3 addresses of its block, wanted another pool, or fewer pods or nodes',
    )
    t.equal(
      add(tx, 'c4', { key: { ...keyOf('c4'), network: 'no' } }),
      'unknown-network: Cannot allocate in network no: there is none',
    )
  }),
)

t.test('dual stack: both or none', (t) => {
  const pools = [{ cidr: '10.42.0.0/24' }, { cidr: 'fd42::/126', blockLength: 127 }]
  return withNetwork(pools, (tx) => {
    t.equal(add(tx, 'c1'), '10.42.0.1 fd42::1')
    t.equal(add(tx, 'c2'), '10.42.0.2 fd42::2')
    t.equal(add(tx, 'c3'), '10.42.0.3 fd42::3')
    const before = JSON.stringify([...tx.range('use/'), ...tx.range('claim/')])
    t.match(add(tx, 'c4', { node: 'n2' }), /^exhausted: Cannot allocate an IPv6/)
    t.equal(JSON.stringify([...tx.range('use/'), ...tx.range('claim/')]), before, 'no IPv4 block')
    release(tx, 'n1', keyOf('c2'))
    t.equal(add(tx, 'c4'), '10.42.0.4 fd42::2')
  })
})

t.test('blocks of one address', (t) =>
  withNetwork([{ cidr: '10.42.0.0/30', blockLength: 32 }], (tx) => {
    t.equal(add(tx, 'c1'), '10.42.0.1', 'the endpoint takes a block of its own')
    t.equal(add(tx, 'c2'), '10.42.0.2')
    t.match(add(tx, 'c3'), /^exhausted/)
  }),
)

t.test('a gap of several blocks', (t) =>
  withNetwork([{ cidr: '10.42.0.0/29', blockLength: 32 }], (tx, network) => {
    const claims = [1, 2, 3, 4].map(() => claimBlock(tx, network, network.pools[0]!, 'n2', 1)!)
    for (const { cidr } of claims.slice(1, 3)) {
      tx.remove(keys.claim('pods', cidr))
      tx.remove(keys.use('n2', 'pods', cidr))
    }
    t.equal(add(tx, 'c1'), '10.42.0.2', '.1 is the endpoint')
    t.equal(add(tx, 'c2'), '10.42.0.4', '.3 is claimed')
  }),
)

t.test('requested addresses', (t) =>
  withNetwork([...small, { cidr: 'fd42::/64' }], (tx) => {
    const want = (id: string, ips: readonly string[], rest: object = {}) =>
      add(tx, id, { requested: ips.map((ip) => parseIp(ip)), ...rest })
    const no = (ip: string) => `not-available: Cannot allocate ${ip} in network pods: `

    t.equal(want('c1', ['10.42.0.2']), '10.42.0.2 fd42::1', 'the other family is chosen')
    t.equal(
      want('c2', ['10.42.0.2']),
      `${no('10.42.0.2')}held by container c1 eth0 on node n1, wanted a free one`,
    )
    t.equal(
      want('c2', ['10.42.0.0']),
      `${no('10.42.0.0')}it is the network address of pool 10.42.0.0/28`,
    )
    t.equal(want('c2', ['10.9.0.1']), `${no('10.9.0.1')}no pool of the network contains it`)
    t.equal(
      want('c2', ['10.42.0.9'], { mayClaim: false }),
      `${no('10.42.0.9')}node n1 does not have block 10.42.0.8/30 and may not claim it now`,
    )
    const pod = { namespace: 'default', name: 'web', uid: 'u1' }
    t.equal(want('c2', ['10.42.0.9', 'fd42::99'], { pod }), '10.42.0.9 fd42::99')
    t.equal(
      want('c3', ['10.42.0.9'], { node: 'n2' }),
      `${no('10.42.0.9')}held by pod default/web, container c2 eth0 on node n1, block 10.42.0.8/30 belongs to node n1, wanted n2`,
    )
    t.equal(
      want('c3', ['10.42.0.1', '10.42.0.3']),
      'not-available: Cannot allocate 10.42.0.3: 10.42.0.1 was requested too, wanted at most one IPv4 address',
    )
    t.equal(add(tx, 'c3').split(' ')[0], '10.42.0.1')
    t.equal(add(tx, 'c4').split(' ')[0], '10.42.0.3', 'skips what was requested')
  }),
)

t.test('a family the network does not have', (t) =>
  withNetwork(small, (tx) => {
    t.equal(
      add(tx, 'c1', { requested: [parseIp('fd42::1')] }),
      'not-available: Cannot allocate fd42::1: network pods has no IPv6 pool',
    )
  }),
)

t.test('release()', (t) =>
  withNetwork(small, (tx) => {
    add(tx, 'c1')
    t.match(release(tx, 'n1', keyOf('c1')), { ips: ['10.42.0.1'] })
    t.equal(release(tx, 'n1', keyOf('c1')), undefined, 'again')
    t.strictSame([...tx.range('address/'), ...tx.range('attachment/')], [])
  }),
)

t.test('release() leaves an address that is somebody else’s by now', async (t) => {
  await answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools: small }, 1))
    add(tx, 'c1')
    const key = keys.address('pods', parseIp('10.42.0.1'))
    const successor = { ...tx.get(key)!, sequence: 2 }
    tx.put(key, successor)
    release(tx, 'n1', keyOf('c1'))
    t.strictSame(tx.get(key), successor)
    t.equal([...tx.range(keys.uses('n1', 'pods'))][0]?.[1].used, 1)
  })
})

t.test('ensureBlocks() keeps one unused block', (t) =>
  withNetwork([{ cidr: '10.42.0.0/27', blockLength: 29 }, { cidr: 'fd42::/64' }], (tx, network) => {
    const ensure = (node = 'n1') => ensureBlocks(tx, network, node, 1).map(({ cidr }) => cidr)
    t.strictSame(ensure(), ['10.42.0.0/29', 'fd42::/122'], 'one each at start')
    t.strictSame(ensure(), [], 'nothing to do')
    add(tx, 'c1')
    t.strictSame(ensure(), ['10.42.0.8/29', 'fd42::40/122'], 'a spare after the first pod')
    release(tx, 'n1', keyOf('c1'))
    t.strictSame(ensure(), [])
    for (let n = 0; n < 8; n++) add(tx, `d${n}`)
    t.strictSame(ensure(), ['10.42.0.16/29'])
    t.strictSame(ensure('n2'), ['10.42.0.24/29', 'fd42::80/122'])
    add(tx, 'e1', { node: 'n2' })
    t.strictSame(ensure('n2'), ['fd42::c0/122'], 'no IPv4 block is left, and that is no error')
  }),
)

t.test('claimBlock() takes the lowest gap', (t) =>
  withNetwork(small, (tx, network) => {
    const claim = (node: string) => claimBlock(tx, network, network.pools[0]!, node, 1)
    claim('n2')
    t.match(claim('n1'), { cidr: '10.42.0.4/30', first: true, node: 'n1' })
    t.match(claim('n1'), { cidr: '10.42.0.8/30', first: false })
    t.strictSame(releaseNode(tx, 'n2'), { attachments: 0, blocks: 1 })
    t.match(claim('n1'), { cidr: '10.42.0.0/30', first: false })
    claim('n1')
    t.equal(claim('n1'), undefined)
  }),
)

t.test('releaseNode() leaves the other nodes and the sequence', (t) =>
  withNetwork(small, (tx) => {
    add(tx, 'c1')
    add(tx, 'c2')
    add(tx, 'c3', { node: 'n2' })
    t.strictSame(releaseNode(tx, 'n1'), { attachments: 2, blocks: 1 })
    t.strictSame([...tx.range('attachment/n1/'), ...tx.range('use/n1/')], [])
    t.equal([...tx.range('attachment/n2/')].length, 1)
    t.equal(tx.get(keys.sequence('n1')), 2)
    t.equal(add(tx, 'c1'), '10.42.0.1')
  }),
)

t.test('an address rests before its reuse, and rather that than one more block', (t) =>
  withNetwork(small, (tx) => {
    const at = (nowMs: number): Partial<AllocateRequest> => ({ nowMs })
    for (const id of ['c1', 'c2', 'c3']) add(tx, id, at(0))
    release(tx, 'n1', keyOf('c2'), 1_000)
    release(tx, 'n1', keyOf('c1'), 2_000)
    t.equal(add(tx, 'c4', at(3_000)), '10.42.0.2', 'the one that rests longest')
    t.equal(add(tx, 'c5', at(3_000)), '10.42.0.1', 'then the next')
    t.equal(add(tx, 'c6', at(3_000)), '10.42.0.4', 'then a new block')
    release(tx, 'n1', keyOf('c1'), 4_000)
    t.equal(tx.get(keys.use('n1', 'pods', parsePrefix('10.42.0.0/30')))?.cooling, undefined)
  }),
)

t.test('a clock that was put back holds no address for ever', (t) =>
  withNetwork(small, (tx) => {
    add(tx, 'c1', { nowMs: 10_000_000 })
    release(tx, 'n1', keyOf('c1'), 10_000_000)
    const first = (nowMs: number): boolean =>
      showUsage(tx, { nowMs }).some(({ ipsCooling }) => ipsCooling === 1)
    t.ok(first(9_990_000), 'ten seconds back: it still rests')
    t.notOk(first(9_000_000), 'more than its time back: it does not')
    t.notOk(first(10_060_000), 'its time is over')
  }),
)

t.test('strict: a block whose addresses all rest is no spare one', (t) =>
  answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    const options = { cooldownStrict: true }
    const spec = { name: 'pods', mode: 'vxlan', pools: small, options }
    const { network } = createNetwork(tx, parseNetworkSpec(spec, 1))
    for (const id of ['c1', 'c2', 'c3']) add(tx, id, { nowMs: 0 })
    for (const id of ['c1', 'c2', 'c3']) release(tx, 'n1', keyOf(id), 0)
    t.equal(ensureBlocks(tx, network, 'n1', 1).length, 1)
    t.equal(ensureBlocks(tx, network, 'n1', 1).length, 0)
  }),
)

t.test('strict: rather nothing than an address that rests', (t) =>
  answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    const pools = [{ cidr: '10.42.0.0/30', blockLength: 30 }]
    const options = { cooldownSeconds: 10, cooldownStrict: true }
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools, options }, 1))
    for (const id of ['c1', 'c2']) add(tx, id, { nowMs: 0 })
    release(tx, 'n1', keyOf('c1'), 1_000)
    const refusal = add(tx, 'c3', { nowMs: 2_500 })
    t.match(refusal, /^exhausted: .*1 more address cooling down \(the first free in 9 s\)/)
    const requested = [parseIp('10.42.0.1')]
    t.match(add(tx, 'c3', { nowMs: 2_500, requested }), /it cools down, free in 9 s$/)
    t.equal(add(tx, 'c3', { nowMs: 11_000 }), '10.42.0.1')
    const large = { cidr: '10.43.0.0/16', blockLength: 20 }
    t.throws(
      () => parseNetworkSpec({ name: 'x', mode: 'vxlan', pools: [large], options }, 1),
      /strict cool-down is 20, wanted blocks of at most 1024/,
    )
  }),
)
