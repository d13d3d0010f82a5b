/** Pods of two racks reach each other over routers that hear of blocks by BGP, and agents that die take nothing along. */
import t from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { LabNode } from '../../src/lab/lab.ts'
import {
  type BgpLab,
  bgpLab,
  birdMissing,
  cpuSeconds,
  type Router,
  routesBy,
} from '../support/bgp-lab.ts'
import { reaches } from '../support/dataplane.ts'
import { ipJson, type Json, settle, skip, usage } from '../support/e2e.ts'
import { echoTraffic } from '../support/traffic.ts'

const missing = skip === false ? birdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}
t.setTimeout(180_000)

/** Of each stream, on a machine with much else to do. */
const LOST_MAX = 5
/** Of n1: the router by both families, and n3. */
const PEERS = 3
const ROUTER = [/^192\.0\.2\.240$/, /^fe80:/] as const
const BESIDE = [/^192\.0\.2\.3$/, /^(2001:db8::3|fe80:)/] as const
const SECRET = 'between-rack-and-node'

/** Blocks of all nodes but this one. */
async function blocksBeside(
  { lab }: BgpLab,
  node: LabNode | undefined,
): Promise<readonly string[]> {
  const rows = await usage(lab)
  return rows
    .filter(({ grouping, node: owner }) => grouping === 'Block' && owner !== node?.name)
    .map(({ cidr }) => cidr)
    .sort()
}

const blocksOf = async ({ lab }: BgpLab, node: LabNode): Promise<readonly string[]> =>
  (await usage(lab))
    .filter((row) => row.grouping === 'Block' && row.node === node.name)
    .map(({ cidr }) => cidr)

const destinations = async (netns: string, protocol: string): Promise<readonly string[]> =>
  (await routesBy(netns, protocol)).map(({ dst }) => String(dst)).sort()

/** What is not as it should be in the tables of nodes and routers. */
async function disagreements(lab: BgpLab): Promise<readonly string[]> {
  const all = [
    ...lab.nodes.map(async (node) => ({
      name: node.name,
      found: await destinations(node.netns, '85'),
      wanted: await blocksBeside(lab, node),
    })),
    ...lab.routers.map(async ({ name, netns }: Router) => ({
      name,
      found: await destinations(netns, 'bird'),
      wanted: await blocksBeside(lab, undefined),
    })),
  ]
  return (await Promise.all(all)).flatMap(({ name, found, wanted }) =>
    found.join() === wanted.join() ? [] : [`${name} has ${found.join()}, not ${wanted.join()}`],
  )
}

/** Sessions that are not back, or have not said everything. */
async function lacksPeers(lab: BgpLab, node: LabNode): Promise<readonly string[]> {
  const peers = JSON.parse(await lab.bgp(node, 'peers', '-o', 'json')) as Json[]
  // Routes and End-of-RIB: who restarts twice before it has said them loses what was kept (RFC 4724 section 4.2).
  const up = peers.filter(
    ({ state, updatesOut }) => state === 'established' && Number(updatesOut) >= 2,
  )
  return up.length === PEERS ? [] : [JSON.stringify(peers)]
}

t.test('two racks, a router each', async (t) => {
  const lab = await bgpLab(t, { nodes: 3, password: SECRET, ttlSecurity: true })
  const [first, second, beside] = lab.nodes
  if (first === undefined || second === undefined || beside === undefined)
    throw new Error('no nodes')
  let agents = await Promise.all(lab.nodes.map((node) => lab.start(node)))
  const pods = [await lab.pod(first), await lab.pod(second), await lab.pod(beside)]
  t.strictSame(
    await settle(() => disagreements(lab), 60_000),
    [],
    'blocks everywhere, whole, and nothing else',
  )
  t.strictSame(
    await settle(() => reaches(pods, pods, true)),
    [],
    'pods reach each other, both families',
  )
  const near = await blocksOf(lab, beside)
  for (const { dst, gateway, dev } of await routesBy(first.netns, '85')) {
    const [four, six] = near.includes(String(dst)) ? BESIDE : ROUTER
    const way = String(dst).includes(':') ? six : four
    t.match(`${gateway} ${dev}`.split(' '), [way, 'eth0'], `${dst} by its node, or the router`)
  }
  const planned = await ipJson(first.netns, '-4', 'route', 'show', 'proto', '84')
  t.strictSame(
    planned.filter(({ dev }) => dev === 'eth0'),
    [],
    'the planner left the way to it',
  )

  const said = await lab.trivium('bgp', 'settings', '-o', 'json')
  t.match(said, '"passwordFile"')
  t.notMatch(said, SECRET, 'the store knows where the secret is, and not the secret')

  const traffic = await echoTraffic(t, pods)
  const [agent] = agents
  await agent?.kill()
  t.equal(
    (await routesBy(first.netns, '85')).length,
    (await blocksBeside(lab, first)).length,
    'routes outlive a killed agent',
  )
  agents = [await lab.start(first), ...agents.slice(1)]
  const hasPeers = () => lacksPeers(lab, first)
  t.strictSame(await settle(hasPeers, 30_000), [], 'its sessions are back')
  await agents[0]?.stop()
  agents = [await lab.start(first), ...agents.slice(1)]
  t.strictSame(await settle(hasPeers, 30_000), [])
  t.strictSame(await settle(() => disagreements(lab), 60_000), [])
  const lost = await traffic.stop()
  t.comment(`lost ${lost.map((each) => each.lost).join(' ')} of ${lost[0]?.sent} each`)
  t.strictSame(
    lost.filter((each) => each.lost > LOST_MAX || each.sent < 10),
    [],
    'echoes go on',
  )

  await lab.trivium('network', 'set', 'pods', '--peer-routes', 'direct')
  await lab.trivium('bgp', 'unset')
  const left = async (): Promise<readonly string[]> =>
    (await Promise.all(lab.nodes.map(({ netns }) => destinations(netns, '85')))).flat()
  t.strictSame(await settle(left, 30_000), [], 'nobody speaks: what was learned is gone')
  const listening = await must(inNetns(first.netns, ['ss', '-ltnH', 'sport', '=', ':179']))
  t.equal(listening, '', 'nor listens')
  t.comment(`${cpuSeconds().toFixed(1)} s of processor time here`)
})
