/**
 * The tour: two nodes, an agent in each, pods added by the installed CNI
 * binary, pings in every mode, addresses given back, and one simulation.
 *
 * Each step proves its effect from outside (iproute2, ping, the CLI's own
 * JSON); the exit status is the verdict.
 *
 * @module
 */
import { join } from 'node:path'
import type { Mode } from '../../ipam/records.ts'
import { asTriviumError, TriviumError } from '../errors.ts'
import { compareDumps, dumpNetns } from '../lab/dump.ts'
import { must, run } from '../lab/exec.ts'
import { createLab, type Lab, type LabNode, type LabPod } from '../lab/lab.ts'
import { type Endpoint, pingAll, type Reached } from '../lab/reach.ts'
import { EXIT, print } from './common.ts'
import { renderTable } from './output.ts'

const NETWORK = 'pods'
const POOLS = ['10.42.0.0/16', 'fd42::/112'] as const
const PODS_PER_NODE = 3
/** How long a change may take to reach every node's kernel. */
const SETTLE_MS_MAX = 30_000

/** What the tour sends pods' packets by. */
interface Road {
  readonly mode: Mode
  /** For the title, after the mode. */
  readonly about?: string
  /** Of `trivium network set`. */
  readonly options?: readonly string[]
  /** Of the node, there when the road is; without one, routes to peers say so. */
  readonly link?: string
}

const ROADS: readonly Road[] = [{ mode: 'vxlan' }, { mode: 'route' }]

/** The better one first, each with the kind of link that it needs. */
const VLAN_ROADS = [
  { mode: 'vlan', options: ['--vlan', '100'], link: 'trvl.100', needs: ['vlan', 'id', '2'] },
  {
    mode: 'vlan',
    about: ', untagged macvlans as this kernel has no 802.1Q',
    options: ['--attachment', 'macvlan', '--vlan', '0'],
    link: 'trvm.0',
    needs: ['macvlan'],
  },
] as const

/** Prints steps with their times and remembers whether any check failed. */
class Tour {
  readonly #started = performance.now()
  failures = 0

  step(text: string): void {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1).padStart(5)
    print(`\n${bold(`[${seconds} s] ${text}`)}\n`)
  }

  check(ok: boolean, text: string): void {
    if (!ok) this.failures += 1
    print(`  ${ok ? 'ok  ' : 'FAIL'}  ${text}\n`)
  }
}

const bold = (text: string): string => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text)

/** @param trivium The command line that runs this program. */
export async function quickstart(trivium: readonly string[]): Promise<number> {
  requireRoot()
  const tour = new Tour()
  tour.step('Two nodes: network namespaces with an underlay between them, no default route')
  const lab = await createLab({ nodes: 2, trivium })
  const stop = (): void => {
    lab.destroy().finally(() => process.exit(EXIT.failed))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  try {
    await tourLab(tour, lab)
  } catch (thrown) {
    tour.check(false, asTriviumError(thrown).message)
  } finally {
    await lab.destroy()
  }
  // Only this tour's own: somebody else may be making namespaces, too.
  const left = (await namespaces()).filter((name) => name.startsWith(`${lab.id}-`))
  tour.check(left.length === 0, `${left.length} namespaces left ${left.join(' ')}`.trim())
  await simulate(tour, trivium)
  const verdict = tour.failures === 0 ? 'everything held' : `${tour.failures} checks failed`
  tour.step(`Done: ${verdict}`)
  return tour.failures === 0 ? EXIT.ok : EXIT.failed
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return
  throw new TriviumError(
    'USAGE',
    'Cannot make network namespaces: this is not root',
    'Run: sudo npm run quickstart',
  )
}

const namespaces = async (): Promise<readonly string[]> =>
  (await must(['ip', 'netns', 'list'])).split('\n').flatMap((line) => line.split(' ')[0] || [])

async function tourLab(tour: Tour, lab: Lab): Promise<void> {
  for (const { name, underlayIps } of lab.nodes)
    print(`  ${name}  eth0  ${underlayIps.join('  ')}\n`)
  const pristine = await Promise.all(lab.nodes.map(({ netns }) => dumpNetns(netns)))

  tour.step('Install: executables, bundle, Node and network configuration')
  const [first] = lab.nodes
  for (const node of lab.nodes) {
    const network =
      node === first ? ['--mode', 'vxlan', ...POOLS.flatMap((pool) => ['--pool', pool])] : []
    await lab.install(node, '--name', NETWORK, ...network)
  }
  print(indent(await lab.trivium('network', 'show', '--store', lab.storeUrl)))

  tour.step('An agent on each node')
  const agents = await Promise.all(lab.nodes.map((node) => lab.startAgent(node)))
  for (const [index, { pid }] of agents.entries())
    print(`  ${lab.nodes[index]?.name}  pid ${pid}  ready\n`)

  for (const road of ROADS) await tourRoad(tour, lab, road)
  const vlan = await vlanRoad(lab)
  if (vlan !== undefined) await tourRoad(tour, lab, vlan)
  else tour.step('Mode vlan: skipped, this kernel has neither 802.1Q nor macvlan (CONFIG_MACVLAN)')

  tour.step('Delete the network: the nodes are as they were')
  await lab.trivium('network', 'delete', NETWORK, '--store', lab.storeUrl)
  for (const [index, node] of lab.nodes.entries()) {
    const left = await settle(async () =>
      compareDumps(pristine[index] ?? [], await dumpNetns(node.netns)),
    )
    tour.check(
      left.length === 0,
      `${node.name}: no link, address, route, neighbour or FDB entry left`,
    )
    for (const line of left) print(`          ${line}\n`)
  }
  await Promise.all(agents.map((agent) => agent.stop()))
}

async function tourRoad(tour: Tour, lab: Lab, road: Road): Promise<void> {
  const { mode, about = '', options = [] } = road
  tour.step(`Mode ${mode}${about}: three pods a node through the CNI binary`)
  await lab.trivium('network', 'set', NETWORK, '--mode', mode, ...options, '--store', lab.storeUrl)
  await Promise.all(lab.nodes.map((node) => roadReady(lab, node, road)))
  const pods: { pod: LabPod; endpoint: Endpoint }[] = []
  for (const node of lab.nodes) {
    for (let number = 0; number < PODS_PER_NODE; number++) {
      const pod = await lab.addPod(node)
      const name = `${node.name}/${String.fromCharCode(97 + number)}`
      const started = performance.now()
      const { status, stdout } = await lab.cni('ADD', pod)
      const ms = (performance.now() - started).toFixed(1)
      if (status !== 0) throw new Error(`ADD of ${name} failed: ${stdout.trim()}`)
      const ips = (JSON.parse(stdout) as { ips: { address: string }[] }).ips.map(
        ({ address }) => address,
      )
      print(`  ADD ${name}  ${ips.map((ip) => ip.padEnd(18)).join(' ')} ${ms.padStart(5)} ms\n`)
      pods.push({
        pod,
        endpoint: { name, netns: pod.netns, ips: ips.map((ip) => ip.split('/')[0] ?? '') },
      })
    }
  }
  const reached = await pingAll(pods.map(({ endpoint }) => endpoint))
  print(
    `\n${indent(
      matrix(
        pods.map(({ endpoint }) => endpoint),
        reached,
      ),
    )}`,
  )
  const lost = reached.filter(({ ok }) => !ok)
  tour.check(
    lost.length === 0,
    `${reached.length - lost.length} of ${reached.length} pings answered (all pairs, both directions, both families)`,
  )
  print(
    `\n${indent(await lab.trivium('ipam', 'show', '--show-blocks', '--store', lab.storeUrl))}\n`,
  )
  await removePods(
    tour,
    lab,
    pods.map(({ pod }) => pod),
  )
}

async function removePods(tour: Tour, lab: Lab, pods: readonly LabPod[]): Promise<void> {
  for (const pod of pods) {
    const { status, stdout } = await lab.cni('DEL', pod)
    if (status !== 0) tour.check(false, `DEL of ${pod.containerId}: ${stdout.trim()}`)
    await lab.removePod(pod)
  }
  const pools = JSON.parse(
    await lab.trivium('ipam', 'show', '-o', 'json', '--store', lab.storeUrl),
  ) as { ipsInUse: string | number }[]
  const inUse = pools.reduce((sum, pool) => sum + Number(pool.ipsInUse), 0)
  tour.check(inUse === 0, `${pods.length} pods deleted, ${inUse} addresses in use`)
  for (const node of lab.nodes) {
    const links = (await must(['ip', '-n', node.netns, '-br', 'link']))
      .split('\n')
      .filter((line) => /^trv[0-9a-f]{11}@/.test(line))
    tour.check(links.length === 0, `${node.name}: ${links.length} links of pods left`)
  }
}

/** Waits until the agent has followed the change; the pings are the proof, this only spares them a race. */
async function roadReady(lab: Lab, { netns }: LabNode, { mode, link }: Road): Promise<void> {
  const ip = ['ip', '-n', netns]
  await settle(async () => {
    if (link !== undefined) {
      const { status, stdout } = await run([...ip, 'link', 'show', link, 'up'])
      return status === 0 && stdout !== '' ? [] : ['waiting']
    }
    const device = mode === 'vxlan' ? /dev trvx/ : /dev eth0/
    const routes = (await must([...ip, 'route', 'show', 'proto', '84'])).split('\n')
    const toPeers = routes.filter((line) => line.includes(' via ') && device.test(line))
    return toPeers.length >= lab.nodes.length - 1 ? [] : ['waiting']
  })
}

/** Asks again until the answer is empty or time is up. */
async function settle(ask: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const deadline = performance.now() + SETTLE_MS_MAX
  for (;;) {
    const left = await ask()
    if (left.length === 0 || performance.now() > deadline) return left
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Pods beside machines: in a VLAN, where this kernel has 802.1Q; else untagged, on the uplink itself. */
async function vlanRoad({ nodes: [node] }: Lab): Promise<Road | undefined> {
  if (node === undefined) return undefined
  for (const road of VLAN_ROADS) if (await hasLink(node, road.needs)) return road
  return undefined
}

/** Not on the loopback: no kernel stacks anything there. */
async function hasLink({ netns }: LabNode, kind: readonly string[]): Promise<boolean> {
  const inNode = ['ip', '-n', netns, 'link']
  const { status } = await run([...inNode, 'add', 'link', 'eth0', 'name', 'probe', 'type', ...kind])
  if (status === 0) await must([...inNode, 'del', 'probe'])
  return status === 0
}

/** Rows ping columns; a cell is the slowest echo of the pair's families. */
function matrix(endpoints: readonly Endpoint[], reached: readonly Reached[]): string {
  const cell = (from: string, to: string): string => {
    if (from === to) return '-'
    const pair = reached.filter((each) => each.from === from && each.to === to)
    if (pair.some(({ ok }) => !ok)) return 'LOST'
    return `${Math.max(...pair.map(({ rttMs = 0 }) => rttMs)).toFixed(2)} ms`
  }
  const columns = [
    { title: 'from \\ to', value: (from: Endpoint) => from.name },
    ...endpoints.map((to) => ({
      title: to.name,
      value: (from: Endpoint) => cell(from.name, to.name),
    })),
  ]
  return renderTable(endpoints, columns)
}

async function simulate(tour: Tour, trivium: readonly string[]): Promise<void> {
  tour.step('Simulation: the same planners, with switches whose tables are finite')
  const report = join('/tmp', `trivium-report-${process.pid}.html`)
  const { status, stdout, stderr } = await run(
    [...trivium, 'sim', 'run', 'first', '--seeds', '1', '--html', report],
    { timeoutMs: 300_000 },
  )
  print(indent(stdout))
  tour.check(status === 0, status === 0 ? `report: ${report}` : `simulation: ${stderr.trim()}`)
}

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')
