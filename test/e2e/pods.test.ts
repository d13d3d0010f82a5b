/**
 * The main job: pods of two nodes reach each other in each routed mode, the
 * kernel holds what was planned and nothing else, and nothing is left.
 */
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  type Cluster,
  cluster,
  converged,
  dumps,
  endpointOf,
  inUse,
  ipJson,
  ipsOf,
  type Json,
  ownRoutes,
  type Result,
  settle,
  skip,
  type UsageRow,
  usage,
  warm,
} from '../support/e2e.ts'

const HOST_END_MAC = '02:74:72:69:76:01'
/** Outer IPv4, UDP, VXLAN and inner Ethernet headers. RFC 7348 section 5. */
const VXLAN_BYTES = 50
/** IP and ICMP echo headers. RFC 791 and 792, RFC 8200 and 4443. */
const ECHO_HEADER_BYTES = { 4: 28, 6: 48 } as const

interface Running {
  readonly pod: LabPod
  readonly result: Result
}

for (const mode of ['vxlan', 'route'] as const) {
  for (const underlayMtuBytes of mode === 'vxlan' ? [1500, 1480] : [1500]) {
    const title = `${mode}, underlay of ${underlayMtuBytes} bytes`
    t.test(title, { skip }, async (t) => {
      const world = await cluster(t, { mode, underlayMtuBytes })
      const mtu = mode === 'vxlan' ? underlayMtuBytes - VXLAN_BYTES : underlayMtuBytes
      await warm(world.lab)
      const idle = await dumps(world.lab)
      const running = await addPods(world, 2)

      await t.test('all pairs, both directions, both families', async (t) => {
        const reached = await pingAll(running.map(({ pod, result }) => endpointOf(pod, result)))
        t.equal(reached.length, 4 * 3 * 2)
        t.strictSame(
          reached.filter(({ ok }) => !ok),
          [],
          'every echo came back',
        )
      })
      await t.test('a pod has what was planned', (t) => checkPods(t, running, mtu))
      await t.test('a node has what was planned', (t) => checkNodes(t, world, mode, mtu))
      await t.test('the result names what is there', (t) => checkResults(t, running, mtu))
      await t.test('the largest packet fits, one byte more does not', (t) =>
        checkSizes(t, running, mtu),
      )

      for (const { pod } of running) {
        t.equal((await world.lab.cni('DEL', pod)).status, 0)
        t.strictSame(
          (await ipJson(pod.netns, 'link')).map(({ ifname }) => ifname),
          ['lo'],
          'the pod has lost its interface',
        )
        await world.lab.removePod(pod)
      }
      t.strictSame(compareDumps(idle, await dumps(world.lab)), [], 'as before the pods')
      t.equal(await inUse(world.lab), 0, 'no address is in use')
      await world.lab.trivium('network', 'delete', 'pods', '--store', world.lab.storeUrl)
      const left = await settle(async () => compareDumps(world.pristine, await dumps(world.lab)))
      t.strictSame(left, [], 'as before the network')
    })
  }
}

t.test('a living network changes its mode', { skip }, async (t) => {
  const world = await cluster(t)
  const { lab } = world
  const running = await addPods(world, 1)
  const endpoints = running.map(({ pod, result }) => endpointOf(pod, result))
  for (const mode of ['route', 'vxlan'] as const) {
    await lab.trivium('network', 'set', 'pods', '--mode', mode, '--store', lab.storeUrl)
    const wanted = mode === 'vxlan' ? /^trvx\./ : /^eth0$/
    const left = await settle(async () => {
      const routes = (await Promise.all(lab.nodes.map(ownRoutes))).flat()
      return routes
        .filter((route) => route['gateway'] !== undefined && !wanted.test(String(route['dev'])))
        .map((route) => JSON.stringify(route))
    })
    t.strictSame(left, [], `every peer's block goes by ${mode}`)
    await converged(lab)
    const reached = await pingAll(endpoints)
    t.ok(reached.length > 0 && reached.every(({ ok }) => ok), `${mode}: pods reach each other`)
  }
})

async function addPods({ lab }: Cluster, perNode: number): Promise<readonly Running[]> {
  const running: Running[] = []
  for (const node of lab.nodes) {
    for (let number = 0; number < perNode; number++) {
      const pod = await lab.addPod(node)
      running.push({ pod, result: await added(lab, pod) })
    }
  }
  // The spare blocks follow the first addresses.
  await converged(lab)
  return running
}

async function checkPods(t: Test, running: readonly Running[], mtu: number): Promise<void> {
  for (const { pod, result } of running) {
    const [v4 = '', v6 = ''] = ipsOf(result)
    const [link] = await ipJson(pod.netns, 'addr', 'show', 'dev', 'eth0')
    t.match(link, { operstate: 'UP', mtu })
    const addresses = (link?.['addr_info'] as Json[] | undefined)?.filter(
      ({ scope }) => scope === 'global',
    )
    t.strictSame(
      addresses?.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(),
      [`${v4}/32`, `${v6}/128`].sort(),
      'one address a family, of full length',
    )
    const routes4 = await ipJson(pod.netns, '-4', 'route')
    t.match(routes4, [
      { dst: 'default', gateway: '169.254.1.1', dev: 'eth0' },
      { dst: '169.254.1.1', dev: 'eth0', scope: 'link' },
    ])
    t.equal(routes4.length, 2)
    const [default6] = await ipJson(pod.netns, '-6', 'route', 'show', 'default')
    t.match(default6, { gateway: 'fe80::1', dev: 'eth0' })
    const neighs = await ipJson(pod.netns, 'neigh', 'show', 'nud', 'permanent')
    t.strictSame(
      neighs.map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort(),
      [`169.254.1.1 ${HOST_END_MAC}`, `fe80::1 ${HOST_END_MAC}`],
      'the gateways need no resolution',
    )
  }
}

async function checkNodes(
  t: Test,
  { lab }: Cluster,
  mode: 'vxlan' | 'route',
  mtu: number,
): Promise<void> {
  const blocks = (await usage(lab)).filter(({ grouping }) => grouping === 'Block')
  for (const node of lab.nodes) {
    const peer = lab.nodes.find((each) => each !== node)
    if (peer === undefined) throw new Error('There is one node, wanted two')
    const theirs = blocks.filter(({ node: owner }) => owner === peer.name)
    const ours = blocks.filter(({ node: owner }) => owner === node.name)
    const routes = await ownRoutes(node)
    t.strictSame(
      destinations(routes.filter(({ type }) => type === 'blackhole')),
      cidrs(ours),
      `${node.name}: one blackhole an own block`,
    )
    const away = routes.filter(({ gateway }) => gateway !== undefined)
    t.strictSame(destinations(away), cidrs(theirs), `${node.name}: one route a peer's block`)
    const toPods = routes.filter(({ dev }) => /^trv[0-9a-f]{11}$/.test(String(dev)))
    t.equal(toPods.length, 4, `${node.name}: one route an address of its two pods`)
    t.equal(routes.length, ours.length + theirs.length + 4, `${node.name}: and no other route`)
    if (mode === 'route') {
      for (const { gateway, dev } of away) {
        t.ok(peer.underlayIps.includes(String(gateway)), `by the peer's underlay address`)
        t.equal(dev, 'eth0')
      }
      t.strictSame(await ipJson(node.netns, 'link', 'show', 'type', 'vxlan'), [], 'no tunnel')
    } else await checkTunnel(t, { node, peer, away, theirs, mtu })
  }
}

interface Tunnel {
  readonly node: Cluster['nodes'][number]
  readonly peer: Cluster['nodes'][number]
  readonly away: readonly Json[]
  readonly theirs: readonly UsageRow[]
  readonly mtu: number
}

async function checkTunnel(t: Test, { node, peer, away, theirs, mtu }: Tunnel): Promise<void> {
  const { netns } = node
  const devices = await ipJson(netns, 'link', 'show', 'type', 'vxlan')
  t.match(devices, [
    {
      ifname: 'trvx.1',
      mtu,
      linkinfo: {
        info_data: { id: 1, port: 8472, local: node.underlayIps[0], link: 'eth0', learning: false },
      },
    },
  ])
  const [there] = await ipJson(peer.netns, 'link', 'show', 'dev', 'trvx.1')
  const mac = there?.['address']
  const firsts = firstOfEachFamily(theirs)
  const neighs = await ipJson(netns, 'neigh', 'show', 'dev', 'trvx.1', 'nud', 'permanent')
  t.strictSame(
    neighs.map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort(),
    firsts.map((first) => `${first} ${mac}`).sort(),
    `${node.name}: one neighbor a family, the peer's endpoint`,
  )
  const { stdout } = await run(inNetns(netns, ['bridge', '-j', 'fdb', 'show', 'dev', 'trvx.1']))
  t.match(JSON.parse(stdout), [{ mac, dst: peer.underlayIps[0], state: 'permanent' }])
  t.equal((JSON.parse(stdout) as Json[]).length, 1, `${node.name}: one forwarding entry`)
  for (const { gateway, dev, flags } of away) {
    t.ok(firsts.includes(String(gateway)), `by endpoint ${gateway}`)
    t.equal(dev, 'trvx.1')
    t.match(flags, ['onlink'])
  }
}

/** The endpoint's address: the network address of a node's first block, a family. */
const firstOfEachFamily = (blocks: readonly UsageRow[]): readonly string[] =>
  [false, true].flatMap((six) => {
    const first = blocks.find(({ cidr }) => cidr.includes(':') === six)
    return first === undefined ? [] : [first.cidr.split('/')[0] ?? '']
  })

const cidrs = (rows: readonly UsageRow[]): readonly string[] => rows.map(({ cidr }) => cidr).sort()
const destinations = (routes: readonly Json[]): readonly string[] =>
  routes.map(({ dst }) => String(dst)).sort()

async function checkResults(t: Test, running: readonly Running[], mtu: number): Promise<void> {
  for (const { pod, result } of running) {
    const [host, inside] = result.interfaces
    t.match(host?.name, /^trv[0-9a-f]{11}$/)
    const [onNode] = await ipJson(pod.node.netns, 'link', 'show', 'dev', host?.name ?? '')
    t.match(onNode, { address: host?.mac, mtu, operstate: 'UP' }, "the host's end is as named")
    t.equal(host?.sandbox, undefined)
    const [inPod] = await ipJson(pod.netns, 'link', 'show', 'dev', 'eth0')
    t.match(inside, { name: 'eth0', mac: String(inPod?.['address']), sandbox: pod.netnsPath })
    t.strictSame(
      result.ips.map((each) => each.interface),
      [1, 1],
      "the addresses are the pod's end's",
    )
  }
  t.equal(new Set(running.flatMap(({ result }) => ipsOf(result))).size, running.length * 2)
}

async function checkSizes(t: Test, running: readonly Running[], mtu: number): Promise<void> {
  const from = running[0]
  const to = running.at(-1)
  if (from === undefined || to === undefined) throw new Error('There is no pod')
  for (const address of ipsOf(to.result)) {
    const header = ECHO_HEADER_BYTES[address.includes(':') ? 6 : 4]
    const send = (bytes: number): Promise<Finished> => {
      const size = ['-s', String(bytes - header), '-M', 'do']
      return run(inNetns(from.pod.netns, ['ping', '-n', '-c', '1', '-W', '3', ...size, address]))
    }
    const fits = await send(mtu)
    t.equal(fits.status, 0, `${mtu} bytes to ${address} come back unfragmented`)
    const tooLong = await send(mtu + 1)
    t.not(tooLong.status, 0, `${mtu + 1} bytes to ${address} do not`)
  }
}
