/** What an administrator does to a cluster's store, on a real etcd, with more than it takes at once. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { openEtcdStore } from '../../ipam/etcd-store.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { allocate, createNetwork, ensureBlocks, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import type { Key, Tx } from '../../ipam/store.ts'
import { transact } from '../../src/live/transact.ts'
import { addressAt, type Ip, macFromName, type Prefix } from '../../src/net/mod.ts'
import { etcdMissing, startEtcd } from '../support/etcd.ts'
import { ownFolder } from '../support/folder.ts'

const missing = etcdMissing()
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)
const CLI = join(import.meta.dirname, '..', '..', 'dist', 'cli.cjs')
const folder = ownFolder(t)
const etcd = await startEtcd(join(folder, 'etcd'))
t.teardown(() => etcd.end())
const NODES = 700
const file = join(folder, 'large.backup')

const POOLS = ['10.64.0.0/13', '10.72.0.0/13'] as const

/** As many nodes as make several transactions, two blocks each, and a pod on some. */
function inhabit(tx: Tx): void {
  const pools = POOLS.map((cidr) => ({ cidr, blockLength: 26 }))
  createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1))
  const network = tx.get(keys.network('pods'))
  for (let index = 0; index < NODES; index++) {
    const node = `node-${index}`
    tx.put(keys.node(node), {
      name: node,
      underlayLink: 'eth0',
      underlayIps: [addressAt('192.168.0.0/16' as Prefix, BigInt(index + 1)) as Ip],
      underlayMtuBytes: 1500,
      vtepMac: macFromName(node),
      registeredMs: 1,
    })
    if (network === undefined) continue
    const key = { network: 'pods', containerId: `c${index}`, ifname: 'eth0' }
    if (index % 10 === 0)
      allocate(tx, { key, node, netns: '', mayClaim: true, nowMs: 1, bootId: 'b' })
    ensureBlocks(tx, network, node, 1)
  }
}

function trivium(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    env: { ...process.env, TRIVIUM_NODE: undefined },
  })
  return { status, stdout, stderr }
}

const ipam = (url: string, verb: string, ...args: readonly string[]) =>
  trivium('ipam', verb, ...args, '--store', url)

const local = openLmdbStore(join(folder, 'one'))
await transact(local, inhabit)
const wanted = local.read((reader) => [
  ...reader.range(keys.networks),
  ...reader.range(keys.nodes),
  ...reader.range(keys.allClaims),
])
local.close()
t.equal(ipam(`lmdb:${folder}/one`, 'backup', file).status, 0)

async function shared(url: string): Promise<typeof wanted> {
  const store = openEtcdStore(url)
  await store.ready()
  try {
    return store.read((reader) => [
      ...reader.range(keys.networks),
      ...reader.range(keys.nodes),
      ...reader.range(keys.allClaims),
    ])
  } finally {
    store.close()
  }
}

t.test(
  'restore into an empty cluster: what all share, more than one transaction takes',
  async (t) => {
    const url = etcd.url('restored')
    const trial = ipam(url, 'restore', file, '--dry-run', '-o', 'json')
    t.equal(trial.status, 0, trial.stderr)
    t.match(trial.stderr, /^addresses and pods are left to their nodes; nothing was changed/)
    t.strictSame(await shared(url), [], 'a trial writes nothing')
    const done = ipam(url, 'restore', file, '--yes', '-o', 'json')
    t.equal(done.status, 0, done.stderr)
    t.strictSame(await shared(url), wanted, 'record by record')
    const store = openEtcdStore(url)
    await store.ready()
    t.equal(
      store.read((reader) => reader.get(keys.restore)),
      undefined,
      'and no mark',
    )
    t.strictSame(
      store.read((reader) => [...reader.range(keys.allAttachments)]),
      [],
    )
    store.close()
  },
)

t.test('a block that another node has: nothing is changed', async (t) => {
  const url = etcd.url('taken')
  const store = openEtcdStore(url)
  await store.ready()
  const [network] = wanted
  const [key, claim] = wanted.at(-1) ?? []
  await transact(store, (tx) => {
    tx.put(network?.[0] as Key<unknown>, network?.[1])
    tx.put(key as Key<unknown>, { ...claim, node: 'other' })
  })
  store.close()
  const before = await shared(url)
  const { status, stdout, stderr } = ipam(url, 'restore', file, '--yes', '-o', 'json')
  t.equal(status, 1)
  t.match(stderr, /nothing was changed: 1 conflict/)
  t.match(JSON.parse(stdout), [{ found: /is node other's/ }])
  t.strictSame(await shared(url), before)
})

t.test('split, merge, resize; what would cut a block is in the way', async (t) => {
  const url = etcd.url('pools')
  t.equal(
    trivium(...['network', 'create', 'pods', '--mode', 'route', '--pool', POOLS[0]], '--store', url)
      .status,
    0,
  )
  const cidrs = (): readonly string[] =>
    JSON.parse(ipam(url, 'show', '-o', 'json').stdout).map(({ cidr }: { cidr: string }) => cidr)
  t.equal(ipam(url, 'reserve', '10.64.0.9', '--pod', 'db/db-0').status, 0)
  t.equal(ipam(url, 'split', '4', '--cidr', POOLS[0], '--yes').status, 0)
  t.equal(cidrs().length, 4)
  t.equal(ipam(url, 'merge', ...cidrs(), '--yes').status, 0)
  t.equal(ipam(url, 'resize', POOLS[0], '10.64.0.0/12', '--block-length', '27', '--yes').status, 0)
  t.strictSame(cidrs(), ['10.64.0.0/12'])
  t.match(ipam(url, 'why', '10.64.0.9').stdout, /reservation +pod db\/db-0/)
  // Whole blocks go along; one that would be cut is its node's business.
  const restored = etcd.url('restored')
  t.equal(ipam(restored, 'split', '2', '--cidr', POOLS[0], '--yes').status, 0)
  const cut = ipam(restored, 'resize', '10.64.0.0/14', '--block-length', '27', '--yes')
  t.equal(cut.status, 1, cut.stdout.slice(0, 300))
})
