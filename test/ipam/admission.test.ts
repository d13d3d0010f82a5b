/** Which pools a pod may have addresses of: by its namespace, and by what it asks for. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  type AllocateRequest,
  allocate,
  createNetwork,
  ensureBlocks,
  keys,
  type NetworkRecord,
  type PoolSpec,
  parseNetworkSpec,
  refusalNow,
  type Tx,
} from '../../ipam/mod.ts'
import { containsIp, parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { answerOf } from '../contract/store.ts'
import { holds } from '../support/property.ts'
import { checkInvariants } from './invariants.ts'

async function withPools(
  pools: readonly PoolSpec[],
  body: (tx: Tx, network: NetworkRecord) => void,
): Promise<void> {
  await answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    const draft = parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1)
    body(tx, createNetwork(tx, draft).network)
    checkInvariants(tx, ['n1', 'n2'])
  })
}

/** The same, at once: what the body throws is thrown here. */
function onPools(pools: readonly PoolSpec[], body: (tx: Tx, network: NetworkRecord) => void): void {
  let outcome: unknown = new Error('The body has not run')
  const store = memoryStore({ defer: (run) => run() })
  store.transact(
    (tx) => {
      try {
        const draft = parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1)
        body(tx, createNetwork(tx, draft).network)
        checkInvariants(tx, ['n1', 'n2'])
        outcome = undefined
      } catch (thrown) {
        outcome = thrown
      }
    },
    () => {},
  )
  if (outcome !== undefined) throw outcome
}

const inNamespace = (namespace: string): Pick<AllocateRequest, 'pod'> => ({
  pod: { namespace, name: 'a', uid: '' },
})

const request = (id: string, rest: Partial<AllocateRequest>): AllocateRequest => ({
  key: { network: 'pods', containerId: id, ifname: 'eth0' },
  node: 'n1',
  netns: '',
  mayClaim: true,
  nowMs: 1,
  bootId: 'boot',
  ...rest,
})

/** Addresses given, or the message. */
function add(tx: Tx, id: string, rest: Partial<AllocateRequest> = {}): string {
  const answer = allocate(tx, request(id, rest))
  return answer.kind === 'allocated' ? answer.attachment.ips.join(' ') : answer.message
}

const SHOP = { cidr: '10.1.0.0/29', blockLength: 30, namespaces: ['till', 'shop'] }
const ANY = { cidr: '10.2.0.0/29', blockLength: 30 }

t.test('a pool of two namespaces serves their pods first, and no others', (t) =>
  withPools([SHOP, ANY], (tx) => {
    t.equal(add(tx, 'a', inNamespace('shop')), '10.1.0.1')
    t.equal(add(tx, 'b', inNamespace('till')), '10.1.0.2')
    t.equal(add(tx, 'c', inNamespace('web')), '10.2.0.1')
    t.equal(add(tx, 'd'), '10.2.0.2', 'a container without namespace')
    for (const id of ['e', 'f', 'g', 'h']) add(tx, id, inNamespace('shop'))
    t.equal(add(tx, 'i', inNamespace('shop')), '10.2.0.3', 'their own pool is full: the common one')
  }),
)

t.test('a network whose pools are all for others', (t) =>
  withPools([SHOP], (tx) => {
    const why = 'Cannot allocate an IPv4 address in network pods: pool 10.1.0.0/29 is for pods of'
    t.equal(
      add(tx, 'a', inNamespace('web')),
      `${why} namespaces shop, till, this one is in web, wanted a pool for any namespace, or for this one`,
    )
    t.match(add(tx, 'a'), 'this container names none')
    t.equal(refusalNow(tx, request('a', { everyNamespace: true })), undefined, 'somebody could')
  }),
)

t.test('a fixed address of a pool that is for others', (t) =>
  withPools([SHOP, ANY], (tx) => {
    const requested = [parseIp('10.1.0.2')]
    t.equal(
      add(tx, 'a', { requested, ...inNamespace('web') }),
      'Cannot allocate 10.1.0.2 in network pods: pool 10.1.0.0/29 is for pods of namespaces shop, till, this one is in web',
    )
    t.equal(add(tx, 'a', { requested, ...inNamespace('shop') }), '10.1.0.2')
    t.match(
      add(tx, 'b', { requested, ...inNamespace('shop') }),
      /held by pod shop\/a, container a eth0 on node n1/,
      'and an error names who has it',
    )
  }),
)

t.test('a pod chooses its pool, for the families that it names', (t) =>
  withPools([ANY, { cidr: '10.3.0.0/29', blockLength: 30 }, { cidr: 'fd42::/120' }], (tx) => {
    const pools = [parsePrefix('10.3.0.0/29')]
    t.equal(add(tx, 'a', { pools }), '10.3.0.1 fd42::1')
    t.equal(add(tx, 'b'), '10.3.0.2 fd42::2', 'others take the blocks that the node has')
    t.equal(
      add(tx, 'c', { pools, requested: [parseIp('10.2.0.2')] }),
      'Cannot allocate 10.2.0.2 in network pods: it is of pool 10.2.0.0/29, the pod asks for pool 10.3.0.0/29',
    )
    t.equal(
      add(tx, 'c', { pools: [parsePrefix('10.9.0.0/16')] }),
      'Cannot allocate in pool 10.9.0.0/16: network pods has no such pool, it has 10.2.0.0/29 and 10.3.0.0/29 and fd42::/120',
    )
  }),
)

t.test('a pod cannot choose a pool that is for others', (t) =>
  withPools([SHOP, ANY], (tx) => {
    t.equal(
      add(tx, 'a', { pools: [parsePrefix('10.1.0.0/29')], ...inNamespace('web') }),
      'Cannot allocate in pool 10.1.0.0/29: pool 10.1.0.0/29 is for pods of namespaces shop, till, this one is in web',
    )
  }),
)

t.test('blocks are kept ready in pools for any pod', (t) =>
  withPools([SHOP, ANY], (tx, network) => {
    t.strictSame(
      ensureBlocks(tx, network, 'n1', 1).map(({ cidr }) => cidr),
      ['10.2.0.0/30'],
    )
    t.strictSame(ensureBlocks(tx, network, 'n1', 1), [], 'one is enough')
  }),
)

t.test('where every pool is for somebody, in the first', (t) =>
  withPools([SHOP], (tx, network) => {
    t.strictSame(
      ensureBlocks(tx, network, 'n1', 1).map(({ cidr }) => cidr),
      ['10.1.0.0/30'],
    )
  }),
)

t.test('an attachment of an earlier boot is dead: its key is free, its address too', (t) =>
  withPools([ANY], (tx) => {
    t.equal(add(tx, 'a'), '10.2.0.1')
    t.match(add(tx, 'a'), /it has 10\.2\.0\.1 in network pods/, 'of this boot: refused')
    t.equal(add(tx, 'a', { bootId: 'next' }), '10.2.0.2')
    t.equal(tx.get(keys.address('pods', parseIp('10.2.0.1'))), undefined)
  }),
)

t.test('a MAC that the caller chose is in the record', (t) =>
  withPools([ANY], (tx) => {
    const answer = allocate(tx, request('a', { mac: parseMac('02:00:00:00:00:07') }))
    t.match(answer, { attachment: { mac: '02:00:00:00:00:07' } })
  }),
)

t.test('a pool for namespaces keeps the rules of a record', async (t) => {
  const parse = (namespaces: unknown) =>
    parseNetworkSpec(
      { name: 'pods', mode: 'route', pools: [{ ...ANY, namespaces: namespaces as string[] }] },
      1,
    ).pools[0]?.namespaces
  t.strictSame(parse(['b', 'a', 'b']), ['a', 'b'])
  for (const bad of [[], ['A'], ['a_b'], ['-a'], 'a', [7], ['x'.repeat(64)], ['']]) {
    t.throws(
      () => parse(bad),
      { code: 'BAD_CONFIG', message: /namespaces of pool 10\.2\.0\.0\/29/ },
      JSON.stringify(bad),
    )
  }
})

const NAMES = ['shop', 'till', 'web'] as const
const poolsArb = fc.array(fc.subarray([...NAMES]), { minLength: 1, maxLength: 4 }).map((lists) =>
  lists.map((namespaces, index) => ({
    cidr: `10.${index}.0.0/28`,
    blockLength: 30,
    ...(namespaces.length === 0 ? {} : { namespaces }),
  })),
)
const callsArb = fc.array(
  fc.record({
    namespace: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
    node: fc.constantFrom('n1', 'n2'),
    mayClaim: fc.boolean(),
    last: fc.option(fc.integer({ min: 0, max: 63 }), { nil: undefined }),
  }),
  { maxLength: 40 },
)
holds(
  t,
  'nobody gets an address of a pool that is for others, and looking tells what doing does',
  fc.tuple(poolsArb, callsArb),
  ([pools, calls]) => {
    onPools(pools, (tx, network) => {
      for (const [index, { namespace, node, mayClaim, last }] of calls.entries()) {
        const wanted = request(`c${index}`, {
          node,
          mayClaim,
          ...(namespace === undefined ? {} : inNamespace(namespace)),
          ...(last === undefined ? {} : { requested: [parseIp(`10.${last >> 4}.0.${last & 15}`)] }),
        })
        const foretold = refusalNow(tx, wanted)
        const answer = allocate(tx, wanted)
        assert.deepEqual(answer.kind === 'refused' ? answer : undefined, foretold)
        if (answer.kind === 'refused') continue
        for (const ip of answer.attachment.ips) {
          const names = network.pools.find(({ cidr }) => containsIp(cidr, ip))?.namespaces
          assert.ok(names === undefined || names.includes(namespace ?? ''))
        }
      }
    })
  },
)
