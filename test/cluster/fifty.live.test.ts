/** Fifty nodes at once want blocks of one real etcd: each a member with a store and a connection of its own. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Demand } from '../../ipam/cluster/records.ts'
import { openEtcdStore } from '../../ipam/etcd-store.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import { allocate, createNetwork, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import type { Store } from '../../ipam/store.ts'
import { bootId } from '../../src/live/boot.ts'
import { type ClusterMember, startMember } from '../../src/live/cluster-member.ts'
import { transact } from '../../src/live/transact.ts'
import { etcdMissing, startEtcd } from '../support/etcd.ts'
import { ownFolder } from '../support/folder.ts'

const missing = etcdMissing()
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}
t.setTimeout(240_000)
process.setMaxListeners(0)

const NODES = 50
/** Past a block of eight and a spare one. */
const PODS = process.env['TRIVIUM_LONG'] === '1' ? 60 : 8
const folder = ownFolder(t)
const etcd = await startEtcd(join(folder, 'etcd'))
t.teardown(() => etcd.end())

const log = new Proxy({}, { get: () => () => {} }) as Parameters<typeof startMember>[0]['log']

async function memberOf(
  name: string,
  index: number,
): Promise<{ store: Store; member: ClusterMember }> {
  const place = join(folder, name)
  mkdirSync(place)
  const store = memoryStore({ defer: setImmediate })
  const first = {
    name,
    underlayLink: 'eth0',
    underlayIps: [`192.0.2.${index + 1}` as never],
    underlayMtuBytes: 1500,
    vtepMac: `02:00:00:00:00:${index.toString(16).padStart(2, '0')}` as never,
    registeredMs: 0,
  }
  const member = await startMember({
    ...{ node: name, store, first, log, markFile: join(place, 'cluster.mark') },
    ...{ url: etcd.url('fifty'), leaseMs: 3_600_000, times: { reassertMs: 1000, knockMs: 500 } },
    carry: () => {
      throw new Error('nobody asks')
    },
  })
  return { store, member }
}

/** As an ADD does: asks for a block where none has room, and looks again. */
async function add(
  name: string,
  { store, member }: Awaited<ReturnType<typeof memberOf>>,
  n: number,
): Promise<string> {
  const key = { network: 'pods', containerId: `c${n}`, ifname: 'eth0' }
  const request = {
    key,
    node: name,
    netns: '/n',
    hostLink: `h${n}`,
    mayClaim: false,
    bootId: bootId(),
  }
  for (let tries = 0; tries < 1000; tries++) {
    const known = store.read((reader) => reader.get(keys.network('pods')) !== undefined)
    const answer = known
      ? await transact(store, (tx) => allocate(tx, { ...request, nowMs: Date.now() }))
      : undefined
    if (answer?.kind === 'allocated') return answer.attachment.ips[0] ?? ''
    if (answer?.wanted !== undefined)
      await member.wait(answer.wanted as Demand, performance.now() + 500)
    else await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} gets no address`)
}

t.test('fifty members claim at once, and no address is given twice', async (t) => {
  const shared = openEtcdStore(etcd.url('fifty'))
  await shared.ready()
  const pools = [{ cidr: '10.0.0.0/16', blockLength: 29 }]
  const spec = { name: 'pods', mode: 'vxlan', pools, options: {} }
  await transact(shared, (tx) => createNetwork(tx, parseNetworkSpec(spec as never, 0)))
  const names = Array.from({ length: NODES }, (_each, index) => `n${index}`)
  const members = await Promise.all(names.map(memberOf))
  t.teardown(() => {
    for (const { member } of members) member.stop()
    shared.close()
  })
  const startMs = performance.now()
  const ips = await Promise.all(
    names.map(async (name, index) => {
      const own: string[] = []
      for (let n = 0; n < PODS; n++) own.push(await add(name, members[index]!, n))
      return own
    }),
  )
  t.equal(new Set(ips.flat()).size, NODES * PODS, 'as many addresses as pods')
  const uses = names.map((name, index) =>
    members[index]!.store.read((reader) => [...reader.range(keys.nodeUses(name))]),
  )
  // Spare blocks are still being claimed, and a copy of etcd's records may be behind: what is
  // used was claimed before, so a list that was asked for after it has it.
  const later = openEtcdStore(etcd.url('fifty'))
  t.teardown(() => later.close())
  await later.ready()
  const claims = later.read((reader) => [...reader.range(keys.familyClaims('pods', 4))])
  t.equal(new Set(claims.map(([, { cidr }]) => cidr)).size, claims.length)
  for (const [index, name] of names.entries()) {
    const not = uses[index]!.filter(([, use]) =>
      claims.every(([, claim]) => claim.cidr !== use.cidr || claim.node !== name),
    )
    t.same(not, [], `every block that ${name} gives of is its own`)
  }
  t.comment(
    `${NODES} nodes: ${ips.flat().length} addresses of ${claims.length} blocks in ${Math.round(performance.now() - startMs)} ms`,
  )
})
