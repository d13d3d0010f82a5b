/**
 * The flavours of VXLAN on real kernels: who reaches whom, how long a packet
 * may be, and how many kernel objects a peer costs.
 */
import t, { type Test } from 'tap'
import type { LabNode } from '../../src/lab/lab.ts'
import {
  bridgeJson,
  echoes,
  type RunningPod,
  reaches,
  skipFor,
  type World,
  world,
} from '../support/dataplane.ts'
import { ipJson, ownRoutes, usage } from '../support/e2e.ts'

/**
 * Outer IP, UDP, VXLAN, and inner Ethernet where there is one. RFC 7348 section
 * 5; draft-ietf-nvo3-vxlan-gpe-13 section 3.
 */
const CASES = [
  { flavour: 'lightweight', families: [4, 6], nodes: 3, overheadBytes: 36 },
  { flavour: 'lightweight', families: [6], nodes: 2, overheadBytes: 56 },
  { flavour: 'classic', families: [6], nodes: 2, overheadBytes: 70 },
] as const
const UNDERLAY_MTU_BYTES = 1500

for (const { flavour, families, nodes, overheadBytes } of CASES) {
  const title = `${flavour} over an underlay of IPv${families.join(' and IPv')}`
  t.test(title, { skip: skipFor([flavour]) }, async (t) => {
    const options = { nodes, underlayFamilies: families, underlayMtuBytes: UNDERLAY_MTU_BYTES }
    const networks = { pods: ['--flavour', flavour] }
    const all = await world(t, { ...options, networks })
    const pods = [await all.pod(1, 'pods')]
    for (const { name } of all.nodes) pods.push(await all.pod(Number(name.slice(1)), 'pods'))
    await all.settled()

    t.strictSame(await reaches(pods, pods, true), [], 'all pairs, both families')
    await checkSizes(t, pods, UNDERLAY_MTU_BYTES - overheadBytes)
    const check = flavour === 'lightweight' ? checkLightweight : checkClassic
    for (const node of all.nodes) await check(t, all, node)
  })
}

t.test('two lightweight networks share a port', { skip: skipFor(['lightweight']) }, async (t) => {
  const networks = {
    blue: ['--flavour', 'lightweight', '--vni', '16777215'],
    red: ['--flavour', 'lightweight', '--vni', '77'],
  }
  const all = await world(t, { nodes: 2, networks })
  const red = [await all.pod(1, 'red'), await all.pod(2, 'red')]
  const blue = [await all.pod(1, 'blue'), await all.pod(2, 'blue')]
  await all.settled()
  const links = await ipJson(all.nodes[0]?.netns ?? '', 'link', 'show', 'type', 'vxlan')
  t.match(
    links.map(({ ifname, linkinfo }) => ({ ifname, linkinfo })),
    [
      { ifname: 'trvx.16777215', linkinfo: { info_data: { port: 4790 } } },
      { ifname: 'trvx.77', linkinfo: { info_data: { port: 4790 } } },
    ],
  )
  t.strictSame(await reaches(red, red, true), [], 'red')
  t.strictSame(await reaches(blue, blue, true), [], 'blue')
})

async function checkSizes(t: Test, pods: readonly RunningPod[], mtu: number): Promise<void> {
  const [from, to] = [pods[0], pods.at(-1)]
  if (from === undefined || to === undefined) throw new Error('There is no pod')
  for (const ip of to.ips) {
    t.ok(await echoes(from.netns, ip, { bytes: mtu }), `${mtu} bytes to ${ip} come back whole`)
    const one = await echoes(from.netns, ip, { bytes: mtu + 1, expected: false })
    t.notOk(one, `${mtu + 1} bytes to ${ip} do not`)
  }
  const [link] = await ipJson(from.netns, 'link', 'show', 'dev', 'eth0')
  t.match(link, { mtu })
}

/** What the other nodes own, as the store has it. */
async function peersBlocks(all: World, node: LabNode) {
  const blocks = (await usage(all.lab)).filter(({ grouping }) => grouping === 'Block')
  return blocks.filter(({ node: owner }) => owner !== node.name)
}

/** Where tunnels end: IPv4 where there is some, which comes first. */
const underlayIp = (all: World, name: string | undefined): string =>
  all.nodes.find((node) => node.name === name)?.underlayIps[0] ?? ''

async function checkLightweight(t: Test, all: World, node: LabNode): Promise<void> {
  const { name, netns } = node
  const theirs = await peersBlocks(all, node)
  const routes = (await ownRoutes(node)).filter(({ dev }) => dev === 'trvx.1')
  t.strictSame(
    routes
      .map(({ dst, encap, encapId, encapDst }) => `${dst} ${encap} ${encapId} ${encapDst}`)
      .sort(),
    theirs
      .map(({ cidr, node: owner }) => {
        const dst = underlayIp(all, owner)
        return `${cidr} ${dst.includes(':') ? 'ip6' : 'ip'} 1 ${dst}`
      })
      .sort(),
    `${name}: one route a peer's block, with the tunnel in it`,
  )
  t.strictSame(await ipJson(netns, 'neigh', 'show', 'dev', 'trvx.1'), [], `${name}: no neighbor`)
  t.strictSame(
    (await bridgeJson(netns, 'fdb', 'show', 'dev', 'trvx.1')).filter(
      ({ dst }) => dst !== undefined,
    ),
    [],
    `${name}: no forwarding entry`,
  )
  t.strictSame(
    await bridgeJson(netns, 'vni'),
    [{ ifname: 'trvx.1', vnis: [{ vni: 1 }] }],
    `${name}: one VNI`,
  )
  const devices = await ipJson(netns, 'link', 'show', 'type', 'vxlan')
  t.match(devices, [
    {
      ifname: 'trvx.1',
      linkinfo: { info_data: { external: true, vnifilter: true, gpe: true, port: 4790 } },
    },
  ])
  t.equal(devices.length, 1)
}

async function checkClassic(t: Test, all: World, node: LabNode): Promise<void> {
  const { name, netns } = node
  const theirs = await peersBlocks(all, node)
  const owners = new Set(theirs.map(({ node: owner }) => owner))
  t.strictSame(
    (await bridgeJson(netns, 'fdb', 'show', 'dev', 'trvx.1')).map(({ dst }) => dst).sort(),
    [...owners].map((owner) => underlayIp(all, owner)).sort(),
    `${name}: one forwarding entry a peer`,
  )
  const neighs = await ipJson(netns, 'neigh', 'show', 'dev', 'trvx.1', 'nud', 'permanent')
  t.equal(neighs.length, 2 * owners.size, `${name}: one neighbor a peer and family`)
  const routes = (await ownRoutes(node)).filter(({ dev }) => dev === 'trvx.1')
  t.strictSame(
    routes.map(({ dst }) => dst).sort(),
    theirs.map(({ cidr }) => cidr).sort(),
    `${name}: one route a peer's block`,
  )
}
