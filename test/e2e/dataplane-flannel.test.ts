/**
 * A peer that is not ours: a machine laid out in Flannel's way with nothing but
 * `ip` and `bridge`. Its pods and ours reach each other.
 *
 * What Flannel makes for each remote node: a permanent neighbour for the remote
 * tunnel address, a forwarding entry for its MAC, and an onlink route to its
 * subnet. Source: flannel, pkg/backend/vxlan/vxlan_network.go.
 */
import t, { type Test } from 'tap'
import { claimBlock, keys, registerNode } from '../../ipam/mod.ts'
import type { BlockClaim, NodeRecord } from '../../ipam/records.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { LabHost } from '../../src/lab/lab.ts'
import { openStore } from '../../src/live/store-url.ts'
import { transact } from '../../src/live/transact.ts'
import { type Ip, ipFromInteger, ipToInteger, type Mac, networkAddress } from '../../src/net/mod.ts'
import { bridgeJson, echoes, type RunningPod, world } from '../support/dataplane.ts'
import { ip, settle, skip } from '../support/e2e.ts'

const CASES = [
  { vni: 1, port: 8472, flags: [] },
  { vni: 4096, port: 4789, flags: ['--vni', '4096', '--vxlan-port', '4789'] },
] as const
const PEER = 'theirs'
const PEER_MAC = '0a:11:22:33:44:55' as Mac
const DEVICE = 'flannel.1'

/** One node as the other side lays it out. */
interface Remote {
  readonly node: NodeRecord
  readonly claims: readonly BlockClaim[]
}

for (const { vni, port, flags } of CASES) {
  t.test(`a peer of VNI ${vni} on port ${port}, made by hand`, { skip }, async (t) => {
    const all = await world(t, { nodes: 2, networks: { pods: flags } })
    const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods')]
    await all.settled()
    const host = await all.lab.addHost()
    const { own, remotes } = await register(all.lab.storeUrl, host)
    await layOut(host, { vni, port }, own, remotes)
    const theirs = await addPods(host, own)

    await all.settled()
    for (const node of all.nodes) {
      const entries = await bridgeJson(node.netns, 'fdb', 'show', 'dev', `trvx.${vni}`)
      t.ok(
        entries.some(({ mac, dst }) => mac === PEER_MAC && dst === host.ips[0]),
        `${node.name} knows the peer`,
      )
    }
    await checkEchoes(t, pods, host, theirs)
  })
}

/** Makes the machine a node of the network, with a block a family; tells who the others are. */
async function register(
  storeUrl: string,
  { ips }: LabHost,
): Promise<{ readonly own: readonly BlockClaim[]; readonly remotes: readonly Remote[] }> {
  const store = openStore(storeUrl, { mustExist: true })
  try {
    return await transact(store, (tx) => {
      const network = tx.get(keys.network('pods'))
      if (network === undefined) throw new Error('There is no network')
      registerNode(tx, {
        name: PEER,
        underlayLink: 'eth0',
        underlayIps: ips as readonly Ip[],
        underlayMtuBytes: 1500,
        vtepMac: PEER_MAC,
        registeredMs: 1,
      })
      const own = network.pools.flatMap((pool) => claimBlock(tx, network, pool, PEER, 1) ?? [])
      const claims = [...tx.range(keys.claims('pods'))].map(([, claim]) => claim)
      const remotes = [...tx.range(keys.nodes)]
        .map(([, node]) => ({ node, claims: claims.filter((each) => each.node === node.name) }))
        .filter(({ node }) => node.name !== PEER)
      return { own, remotes }
    })
  } finally {
    store.close()
  }
}

async function layOut(
  { netns, ips }: LabHost,
  { vni, port }: { readonly vni: number; readonly port: number },
  own: readonly BlockClaim[],
  remotes: readonly Remote[],
): Promise<void> {
  const make = (...words: readonly string[]) => ip(netns, ...words)
  const tunnel = ['type', 'vxlan', 'id', String(vni), 'dstport', String(port), 'nolearning']
  const outer = ['dev', 'eth0', 'local', ips[0] ?? '']
  await make('link', 'add', DEVICE, 'address', PEER_MAC, 'mtu', '1450', ...tunnel, ...outer)
  await make('link', 'set', DEVICE, 'up')
  for (const { cidr } of own) {
    const address = networkAddress(cidr)
    const [length, ...nodad] = address.includes(':') ? ['128', 'nodad'] : ['32']
    await make('addr', 'add', `${address}/${length}`, 'dev', DEVICE, ...nodad)
  }
  for (const { node, claims } of remotes) {
    const entry = [node.vtepMac, 'dev', DEVICE, 'dst', node.underlayIps[0] ?? '']
    await bridge(netns, 'fdb', 'append', ...entry, 'self', 'permanent')
    for (const { cidr, first } of claims) {
      const family = cidr.includes(':')
      const via = networkAddress(
        claims.find((each) => each.first && each.cidr.includes(':') === family)?.cidr ?? cidr,
      )
      if (first)
        await make(
          'neigh',
          'replace',
          via,
          'lladdr',
          node.vtepMac,
          'dev',
          DEVICE,
          'nud',
          'permanent',
        )
      await make('route', 'add', cidr, 'via', via, 'dev', DEVICE, 'onlink')
    }
  }
}

async function bridge(netns: string, ...words: readonly string[]): Promise<void> {
  await must(inNetns(netns, ['bridge', ...words]))
}

/** Addresses of its blocks, as its pods would have them. */
async function addPods({ netns }: LabHost, own: readonly BlockClaim[]): Promise<readonly string[]> {
  const ips = own.map(({ cidr }) =>
    ipFromInteger(cidr.includes(':') ? 6 : 4, ipToInteger(networkAddress(cidr)) + 5n),
  )
  for (const each of ips)
    await ip(netns, 'addr', 'add', `${each}/${each.includes(':') ? 128 : 32}`, 'dev', 'lo')
  return ips
}

async function checkEchoes(
  t: Test,
  pods: readonly RunningPod[],
  host: LabHost,
  theirs: readonly string[],
): Promise<void> {
  for (const pod of pods) {
    for (const [index, address] of theirs.entries()) {
      const ours = pod.ips[index] ?? ''
      const left = await settle(async () =>
        (await echoes(pod.netns, address, { bytes: 1450 })) ? [] : ['no echo'],
      )
      t.strictSame(left, [], `${ours} reaches ${address}, whole packets of 1450 bytes`)
      const back = await echoes(host.netns, ours, { from: address, bytes: 1450 })
      t.ok(back, `${address} reaches ${ours}`)
    }
  }
}
