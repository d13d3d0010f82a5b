/** Records read back from the kernel are those that were lost, after any history. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { copyParts, copyText, parseCopy, type StoreCopy } from '../../ipam/copy.ts'
import {
  type AttachmentRecord,
  allocate,
  createNetwork,
  ensureBlocks,
  type Key,
  keys,
  memoryStore,
  parseNetworkSpec,
  type Reader,
  release,
  reserve,
  type Store,
} from '../../ipam/mod.ts'
import { hasLost, type LivingNode, rebuild } from '../../ipam/rebuild.ts'
import { isTriviumError } from '../../src/errors.ts'
import { type Ip, networkAddress, type Prefix, parseIp } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'
import { checkInvariants } from './invariants.ts'

const NODES = ['n1', 'n2']
const BOOT = 'boot'
const SPECS = [
  {
    name: 'pods',
    mode: 'vxlan',
    options: { vni: 7 },
    pools: [
      { cidr: '10.42.0.0/24', blockLength: 28 },
      { cidr: 'fd42::/120', blockLength: 124 },
    ],
  },
  {
    name: 'lan',
    mode: 'vlan',
    options: { vlanId: 9 },
    pools: [{ cidr: '10.7.0.0/25', blockLength: 29 }],
  },
] as const

/** Transactions of the memory store end before anybody goes on. */
function world(): { readonly store: Store; write<T>(body: Parameters<typeof run<T>>[1]): T } {
  const store = memoryStore({ defer: (work) => work() })
  return { store, write: (body) => run(store, body) }
}

function run<T>(store: Store, body: Parameters<Store['transact']>[0]): T {
  let found: T | undefined
  store.transact(body, (outcome) => {
    if (outcome.kind === 'failed') throw outcome.error
    found = outcome.answer as T
  })
  return found as T
}

const createAll = (store: Store): void =>
  run(store, (tx) => {
    for (const spec of SPECS) createNetwork(tx, parseNetworkSpec(spec, 1))
  })

/** Some pods come and go on both nodes. */
function live(store: Store, seed: string, steps: number, from: number): void {
  const random = prng(seed)
  for (let step = from; step < from + steps; step++) {
    const node = NODES[random.below(2)] as string
    const network = random.below(3) === 0 ? 'lan' : 'pods'
    const containerId = `c${random.below(60)}`
    const key = { network, containerId, ifname: 'eth0' }
    const nowMs = step * 10_000
    run(store, (tx) => {
      if (random.below(5) < 2) return release(tx, node, key, nowMs)
      const hostLink = `trv-${network}-${containerId}-${node}`
      const request = { key, node, netns: '/n', hostLink, mayClaim: true, nowMs, bootId: BOOT }
      const record = tx.get(keys.network(network))
      if (allocate(tx, request).kind === 'allocated' && record)
        ensureBlocks(tx, record, node, nowMs)
      return undefined
    })
  }
}

const attachmentsOf = (reader: Reader, node: string): readonly AttachmentRecord[] =>
  [...reader.range(keys.attachments(node))].map(([, each]) => each)

/** What the node's kernel would say. */
function kernelOf(reader: Reader, node: string): LivingNode {
  const blocks: Prefix[] = []
  const endpoints: Ip[] = []
  // A bridge's pods have neither blackholes nor a tunnel.
  for (const [, claim] of reader.range(keys.claims('pods'))) {
    if (claim.node !== node) continue
    blocks.push(claim.cidr)
    if (claim.first) endpoints.push(networkAddress(claim.cidr))
  }
  const pods = attachmentsOf(reader, node).map((each) => ({
    ...each,
    hostLink: each.hostLink ?? '',
    ips: [...each.ips].reverse(),
  }))
  return { node, bootId: BOOT, nowMs: 1e9, pods, blocks, endpoints }
}

const copyOf = (store: Store): StoreCopy =>
  parseCopy(copyText('lmdb:/store', store.read(copyParts)))

const told = ({ network, containerId, ips, sequence, hostLink }: AttachmentRecord): string =>
  [network, containerId, ips.join('+'), sequence, hostLink].join(' ')

/** All pairs of a store. */
const all = (reader: Reader): readonly (readonly [Key<unknown>, unknown])[] =>
  ['schema', 'network/', 'node/', 'claim/', 'use/', 'address/', 'attachment/', 'sequence/'].flatMap(
    (range) => [...reader.range(range)],
  )

function rebuildAll(store: Store, kernels: readonly LivingNode[], copy?: StoreCopy): void {
  for (const kernel of kernels) {
    const rebuilt = run<ReturnType<typeof rebuild>>(store, (tx) => rebuild(tx, kernel, copy))
    assert.deepEqual(rebuilt?.refused ?? [], [])
    assert.equal(
      store.read((reader) => hasLost(reader, kernel, copy)),
      false,
      'once is enough',
    )
  }
}

/** Everybody who lives has what they had; and the store goes on to work. */
function agrees(store: Store, kernels: readonly LivingNode[], before: Store, seed: string): void {
  const nodes = kernels.map(({ node }) => node)
  store.read((reader) => {
    checkInvariants(reader, NODES)
    for (const node of nodes) {
      const found = new Set(attachmentsOf(reader, node).map(told))
      const lost = before.read((old) =>
        attachmentsOf(old, node)
          .map(told)
          .filter((x) => !found.has(x)),
      )
      assert.deepEqual(lost, [])
    }
  })
  live(store, `${seed} after`, 60, 200_000)
  store.read((reader) => checkInvariants(reader, NODES))
}

const history = fc.record({
  seed: fc.string({ minLength: 1, maxLength: 8 }),
  early: fc.nat(60),
  late: fc.nat(60),
  swap: fc.boolean(),
})

holds(
  t,
  'a store that is gone, with the copy of its networks',
  history,
  ({ seed, early, late, swap }) => {
    const { store: before } = world()
    createAll(before)
    live(before, seed, early, 1)
    live(before, `${seed} late`, late, early + 1)
    const kernels = NODES.map((node) => before.read((reader) => kernelOf(reader, node)))
    const { store } = world()
    rebuildAll(store, swap ? [...kernels].reverse() : kernels, copyOf(before))
    agrees(store, kernels, before, seed)
  },
  { numRuns: 40 },
)

holds(
  t,
  'a store that is gone, with its networks made again',
  history,
  ({ seed, early }) => {
    const { store: before } = world()
    createAll(before)
    live(before, seed, early, 1)
    // Without a copy a node knows nothing of the other's blocks.
    run(before, (tx) => {
      for (const each of attachmentsOf(tx, 'n2')) release(tx, 'n2', each)
    })
    const kernel = before.read((reader) => kernelOf(reader, 'n1'))
    const { store } = world()
    createAll(store)
    rebuildAll(store, [kernel])
    agrees(store, [kernel], before, seed)
  },
  { numRuns: 40 },
)

holds(
  t,
  'an older copy of the store in its place',
  history,
  ({ seed, early, late, swap }) => {
    const { store: before } = world()
    createAll(before)
    live(before, seed, early, 1)
    const old = before.read(all)
    live(before, `${seed} late`, late, early + 1)
    const kernels = NODES.map((node) => before.read((reader) => kernelOf(reader, node)))
    const { store } = world()
    run(store, (tx) => {
      for (const [key, value] of old) tx.put(key, value)
    })
    rebuildAll(store, swap ? [...kernels].reverse() : kernels, copyOf(before))
    agrees(store, kernels, before, seed)
  },
  { numRuns: 40 },
)

t.test('nothing is lost where numbers agree', async (t) => {
  const { store } = world()
  createAll(store)
  live(store, 'agree', 50, 1)
  const kernels = NODES.map((node) => store.read((reader) => kernelOf(reader, node)))
  for (const kernel of kernels) {
    t.notOk(store.read((reader) => hasLost(reader, kernel, copyOf(store))))
    // A link that a crash or `node delete --force` left has a number of before.
    const gone = kernel.pods[0]
    if (gone === undefined) throw new Error('there are pods')
    run(store, (tx) => release(tx, kernel.node, gone))
    t.equal(
      run(store, (tx) => rebuild(tx, kernel)),
      undefined,
      'a stale link brings nothing back',
    )
  }
})

t.test('a pod with a reserved address gets its name back', async (t) => {
  const { store: before } = world()
  createAll(before)
  const pod = { namespace: 'db', name: 'pg-0' }
  const ip = parseIp('10.42.0.21', 'the address')
  run(before, (tx) => reserve(tx, { network: 'pods', ip, pod, nowMs: 1 }))
  const key = { network: 'pods', containerId: 'c1', ifname: 'eth0' }
  const made = { node: 'n1', netns: '/n', hostLink: 'trv1', mayClaim: true, nowMs: 2, bootId: BOOT }
  run(before, (tx) => allocate(tx, { key, ...made, pod: { ...pod, uid: 'u' } }))
  const [record] = before.read((reader) => attachmentsOf(reader, 'n1'))
  t.equal(record?.ips[0], ip)
  const kernel = before.read((reader) => kernelOf(reader, 'n1'))
  const { store } = world()
  rebuildAll(store, [kernel], copyOf(before))
  const [found] = store.read((reader) => attachmentsOf(reader, 'n1'))
  t.strictSame(found?.pod, { ...pod, uid: '' })
  t.strictSame([found?.ips, found?.mac], [record?.ips, record?.mac])
  store.read((reader) => checkInvariants(reader, NODES))
})

t.test('pods of a network that nobody knows', async (t) => {
  const { store: before } = world()
  createAll(before)
  live(before, 'unknown', 30, 1)
  const kernel = before.read((reader) => kernelOf(reader, 'n1'))
  const { store } = world()
  try {
    run(store, (tx) => rebuild(tx, kernel))
    t.fail('it is refused')
  } catch (thrown) {
    t.ok(isTriviumError(thrown) && thrown.code === 'STORE')
    t.match(
      (thrown as Error).message,
      /\d+ pods of network lan, pods run here, and it knows no such/,
    )
  }
  t.strictSame(store.read(all), [], 'nothing is written')
})

t.test('blocks of other plugins’ pods count as full', async (t) => {
  const { store: before } = world()
  const pools = [{ cidr: '10.9.0.0/24', blockLength: 28 }]
  const key = { network: 'chain', containerId: 'c1', ifname: 'eth0' }
  const request = { node: 'n1', netns: '/n', mayClaim: true, nowMs: 1, bootId: BOOT }
  run(before, (tx) =>
    createNetwork(tx, parseNetworkSpec({ name: 'chain', mode: 'ipam', pools }, 1)),
  )
  const given = run<ReturnType<typeof allocate>>(before, (tx) => allocate(tx, { key, ...request }))
  if (given.kind !== 'allocated') throw new Error(given.message)
  const copy = copyOf(before)
  const kernel = { node: 'n1', bootId: BOOT, nowMs: 2, pods: [], blocks: [], endpoints: [] }
  const { store } = world()
  t.ok(store.read((reader) => hasLost(reader, kernel, copy)))
  t.strictSame(
    run(store, (tx) => rebuild(tx, kernel, copy)),
    { pods: 0, networks: ['chain'], refused: [] },
  )
  const taken = new Set<string>(given.attachment.ips)
  for (let n = 0; n < 20; n++) {
    const other = { ...key, containerId: `d${n}` }
    const next = run<ReturnType<typeof allocate>>(store, (tx) =>
      allocate(tx, { key: other, ...request }),
    )
    if (next.kind !== 'allocated') throw new Error(next.message)
    t.notOk(
      next.attachment.ips.some((ip) => taken.has(ip)),
      `${next.attachment.ips} is another`,
    )
  }
})

holds(t, 'any text for a copy is a copy or refused', fc.string(), (text) => {
  try {
    parseCopy(text)
  } catch (thrown) {
    assert.ok(isTriviumError(thrown) && thrown.code === 'BAD_JSON')
  }
})

holds(
  t,
  'a copy that was changed is refused',
  fc.tuple(fc.nat(), fc.nat(255)),
  ([at, value]) => {
    const { store } = world()
    createAll(store)
    const text = copyText('lmdb:/store', store.read(copyParts))
    const bytes = Buffer.from(text)
    bytes[at % (bytes.length - 1)] = value
    const changed = bytes.toString()
    try {
      assert.deepEqual(parseCopy(changed), parseCopy(text))
    } catch (thrown) {
      if (!isTriviumError(thrown)) throw thrown
    }
  },
  { numRuns: 200 },
)
