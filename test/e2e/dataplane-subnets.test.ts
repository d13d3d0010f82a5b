/**
 * Nodes on two underlay networks with a router between them: n1 and n3 on one,
 * n2 on the other.
 */
import t, { type Test } from 'tap'
import type { LabNode } from '../../src/lab/lab.ts'
import { reaches, skipFor, type World, world } from '../support/dataplane.ts'
import { ipJson, ownRoutes, settle, skip, sleep, usage } from '../support/e2e.ts'

const NEAR = { n1: 'n3', n3: 'n1' } as const

for (const flavour of ['classic', 'lightweight'] as const) {
  for (const families of [[4, 6], [6]] as const) {
    const title = `${flavour} over IPv${families.join(' and IPv')}`
    t.test(
      `${title}: neighbours directly, others by tunnel`,
      { skip: skipFor([flavour]) },
      async (t) => {
        const flags = ['--flavour', flavour, '--cross-subnet']
        const options = { nodes: 3, subnets: 2, underlayFamilies: families }
        // Without an IPv4 underlay only IPv6 blocks can go directly.
        const all = await world(t, { ...options, networks: { pods: flags } })
        const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods'), await all.pod(3, 'pods')]
        await all.settled()
        const direct = families.length === 2 ? [4, 6] : [6]
        for (const node of all.nodes) await checkRoads(t, all, node, direct)
        t.strictSame(await reaches(pods, pods, true), [], 'all pairs, both families')

        await all.trivium('network', 'set', 'pods', '--no-cross-subnet')
        const left = await settle(async () => {
          const routes = (await Promise.all(all.nodes.map(ownRoutes))).flat()
          return routes.filter(({ dev }) => dev === 'eth0').map(({ dst }) => String(dst))
        })
        t.strictSame(left, [], 'all by tunnel when told so')
        t.strictSame(await reaches(pods, pods, true), [], 'and still all pairs')
      },
    )
  }
}

t.test('route mode: a peer behind a router is reported, once', { skip }, async (t) => {
  const all = await world(t, { nodes: 3, subnets: 2, networks: { pods: ['--mode', 'route'] } })
  const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods'), await all.pod(3, 'pods')]
  const problems = (index: number): readonly string[] =>
    (all.agents[index]?.log().match(/"problem":"([^"]*)"/g) ?? []).map((each) => each)
  const wanted = (await blocksOf(all, 'n2')).map(
    (cidr) => new RegExp(`Cannot route ${cidr} to node n2: .* wanted a peer on the same network`),
  )
  const untold = await settle(() =>
    wanted.filter((pattern) => !problems(0).some((problem) => pattern.test(problem))).map(String),
  )
  t.strictSame(untold, [], "each block of n2 is named in n1's log")

  const near = [pods[0], pods[2]].flatMap((pod) => (pod === undefined ? [] : [pod]))
  const far = [pods[1]].flatMap((pod) => (pod === undefined ? [] : [pod]))
  t.strictSame(await settle(() => reaches(near, near, true)), [], 'n1 and n3 reach each other')
  t.strictSame(await reaches(near, far, false), [], 'n2 is not reached')

  const before = await quiet(all)
  await sleep(12_000) // more than one round of repair
  t.strictSame(await quiet(all), before, 'nothing is said or done again')
})

async function blocksOf(all: World, name: string): Promise<readonly string[]> {
  const rows = await usage(all.lab)
  return rows.filter(({ node }) => node === name).map(({ cidr }) => cidr)
}

/** Which device each block goes by. */
async function checkRoads(
  t: Test,
  all: World,
  node: LabNode,
  direct: readonly number[],
): Promise<void> {
  const routes = new Map((await ownRoutes(node)).map((route) => [String(route['dst']), route]))
  for (const peer of all.nodes.filter((each) => each !== node)) {
    const isNear = NEAR[node.name as keyof typeof NEAR] === peer.name
    for (const cidr of await blocksOf(all, peer.name)) {
      const { dev, gateway } = routes.get(cidr) ?? {}
      const family = cidr.includes(':') ? 6 : 4
      const road = isNear && direct.includes(family) ? 'eth0' : 'trvx.1'
      t.equal(dev, road, `${node.name} → ${peer.name}: ${cidr} by ${road}`)
      if (road === 'eth0') t.ok(peer.underlayIps.includes(String(gateway)), `by ${gateway} itself`)
    }
  }
}

/** What the agents said, and what the kernels have, but for calls of the plugin. */
async function quiet(all: World): Promise<readonly string[]> {
  const logs = all.agents.map((agent) => agent.log())
  const routes = await Promise.all(
    all.nodes.map(({ netns }) => ipJson(netns, 'route', 'show', 'table', 'all', 'proto', '84')),
  )
  return [...logs, ...routes.map((each) => JSON.stringify(each))]
}
