/**
 * The roads as namespaces: each of ours is a lab with two nodes of its own, a pod
 * on each and nothing else, so that none pays for another.
 *
 * The agents are stopped before anything is measured: no packet meets them, and
 * what they do every ten seconds would be in somebody's turn.
 */

import { release } from 'node:os'
import { offloadsGpe } from '../src/kernel-release.ts'
import { callPlugin } from '../src/lab/cni.ts'
import { inNetns, must, run } from '../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode, type LabPod } from '../src/lab/lab.ts'
import { ping } from '../src/lab/reach.ts'
import { REFERENCE_DIR } from './cni-roads.ts'
import { BARE, REFERENCE, ROADS, type Road } from './dataplane/roads.ts'

/** Two ends of a road. */
export interface Ends {
  readonly road: Road
  readonly client: string
  readonly server: string
  /** The server's. */
  readonly address: string
  readonly mtuBytes: number
}

export interface Roads {
  readonly ends: readonly Ends[]
  /** Why a road is not there, by its id. */
  readonly lacks: ReadonlyMap<string, string>
  destroy(): Promise<void>
}

export const NO_VLAN = 'this kernel has no 802.1Q'
const NO_MACVLAN = 'trivium network create has no --attachment'
const POOL = '10.42.0.0/16'
const WAIT_MS_MAX = 60_000
/** RFC 5737; the two ends of the bare pair. */
const BARE_IPS = ['198.51.100.1', '198.51.100.2'] as const

/** Builds all that this kernel and this build can have. */
export async function buildRoads(
  trivium: readonly string[],
  say: (text: string) => void,
): Promise<Roads> {
  const labs: Lab[] = []
  const destroy = async (): Promise<void> => {
    for (const lab of labs) await lab.destroy()
  }
  const newLab = async (): Promise<Lab> => {
    const lab = await createLab({ nodes: 2, trivium, underlayFamilies: [4] })
    labs.push(lab)
    return lab
  }
  try {
    const lacks = await lacksOf(trivium)
    const plain = await newLab()
    const ends: Ends[] = []
    for (const road of ROADS.filter(({ id }) => !lacks.has(id))) {
      say(`building ${road.name}`)
      const pair = await pairOf(road, plain, newLab)
      await reached(road, pair)
      ends.push({ road, ...pair, mtuBytes: await mtuOf(pair.client) })
    }
    return { ends, lacks, destroy }
  } catch (thrown) {
    await destroy()
    throw thrown
  }
}

type Pair = Pick<Ends, 'client' | 'server' | 'address'>

function pairOf(road: Road, plain: Lab, newLab: () => Promise<Lab>): Promise<Pair> {
  const [first, second] = nodesOf(plain)
  if (road.flags !== undefined) return newLab().then((lab) => ours(lab, road))
  if (road.id === BARE) return bare(plain)
  if (road.id === REFERENCE) return reference(plain)
  const [address = ''] = second.underlayIps
  return Promise.resolve({ client: first.netns, server: second.netns, address })
}

function nodesOf({ nodes }: Lab): readonly [LabNode, LabNode] {
  const [first, second] = nodes
  if (first === undefined || second === undefined) throw new Error('Cannot go on without nodes')
  return [first, second]
}

/** What this kernel or build cannot do. */
async function lacksOf(trivium: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const netns = `trv-${process.pid}-0000-try`
  await must(['ip', 'netns', 'add', netns])
  await must(['ip', '-n', netns, 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far'])
  const tag = ['link', 'add', 'link', 'near', 'name', 'tag', 'type', 'vlan', 'id', '5'] // lo takes none
  const { status } = await run(['ip', '-n', netns, ...tag])
  await must(['ip', 'netns', 'del', netns])
  const hasAttachment = (await must([...trivium, 'network', 'create', '--help'])).includes(
    '--attachment',
  )
  const only = process.env['TRIVIUM_BENCH_DATAPLANE']?.split(',')
  const lackOf = (road: Road): string | undefined => {
    if (only?.includes(road.id) === false && road.id !== BARE) return 'left out'
    const least = road.facts?.leastKernel
    if (least !== undefined && !offloadsGpe(release())) {
      return `this kernel is older than Linux ${least}`
    }
    if (road.isTagged && status !== 0) return NO_VLAN
    return !hasAttachment && road.flags?.includes('--attachment') ? NO_MACVLAN : undefined
  }
  return new Map(
    ROADS.flatMap((road) => {
      const lack = lackOf(road)
      return lack === undefined ? [] : [[road.id, lack] as const]
    }),
  )
}

async function bare(lab: Lab): Promise<Pair> {
  const [node] = nodesOf(lab)
  const [client, server] = [await lab.addPod(node), await lab.addPod(node)]
  const peer = ['peer', 'name', 'eth0', 'netns', server.netns]
  await must(['ip', '-n', client.netns, 'link', 'add', 'eth0', 'type', 'veth', ...peer])
  for (const [index, { netns }] of [client, server].entries()) {
    await must(['ip', '-n', netns, 'addr', 'add', `${BARE_IPS[index]}/24`, 'dev', 'eth0'])
    await must(['ip', '-n', netns, 'link', 'set', 'eth0', 'up'])
  }
  return { client: client.netns, server: server.netns, address: BARE_IPS[1] }
}

/** As the reference's own documentation has it: a bridge a node, a subnet each, a route to the other's. */
async function reference(lab: Lab): Promise<Pair> {
  const pods: LabPod[] = []
  for (const [index, node] of nodesOf(lab).entries()) {
    const pod = await lab.addPod(node)
    const config = {
      cniVersion: '1.0.0',
      name: 'ref',
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipam: {
        type: 'host-local',
        dataDir: `${lab.dir}/host-local-${index}`,
        ranges: [[{ subnet: `10.55.${index}.0/24` }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    }
    const { status, stdout } = await callPlugin({
      verb: 'ADD',
      nodeNetns: node.netns,
      binDir: REFERENCE_DIR,
      config,
      containerId: pod.containerId,
      netnsPath: pod.netnsPath,
      ifname: 'eth0',
    })
    if (status !== 0) throw new Error(`Cannot add a pod with bridge: ${stdout.trim()}`)
    const other = nodesOf(lab)[1 - index]
    const via = ['via', other?.underlayIps[0] ?? '']
    await must(['ip', '-n', node.netns, 'route', 'add', `10.55.${1 - index}.0/24`, ...via])
    pods.push(pod)
  }
  return pair(pods)
}

async function ours(lab: Lab, { flags = [], isUnguarded }: Road): Promise<Pair> {
  const store = ['--store', lab.storeUrl]
  await lab.trivium('network', 'create', 'pods', ...flags, '--pool', POOL, ...store)
  for (const node of lab.nodes) await lab.install(node, '--name', 'pods')
  const agents: LabAgent[] = []
  for (const node of lab.nodes) agents.push(await lab.startAgent(node))
  const pods: LabPod[] = []
  for (const node of nodesOf(lab)) {
    const pod = await lab.addPod(node)
    await until(`ADD on ${node.name}`, async () => {
      const { status, stdout } = await lab.cni('ADD', pod)
      return status === 0 ? undefined : stdout.trim()
    })
    pods.push(pod)
  }
  const found = await pair(pods)
  await until('the first echo', async () =>
    (await ping(found.client, found.address)).ok ? undefined : 'no answer',
  )
  await Promise.all(agents.map((agent) => agent.stop()))
  const drop = ['nft', 'delete', 'table', 'inet', 'trivium']
  if (isUnguarded) for (const { netns } of lab.nodes) await must(inNetns(netns, drop))
  return found
}

async function pair([client, server]: readonly LabPod[]): Promise<Pair> {
  if (client === undefined || server === undefined) throw new Error('Cannot go on without pods')
  const told = await must(['ip', '-n', server.netns, '-4', '-j', 'addr', 'show', 'dev', 'eth0'])
  const [link] = JSON.parse(told) as readonly { readonly addr_info: readonly { local: string }[] }[]
  const address = link?.addr_info[0]?.local
  if (address === undefined) throw new Error(`Cannot find the address of ${server.netns}`)
  return { client: client.netns, server: server.netns, address }
}

/** Both ways, and packets of the full size, so that a road that is measured is one that works. */
async function reached(road: Road, { client, address }: Pair): Promise<void> {
  const bytes = (await mtuOf(client)) - 28 // IPv4 and ICMP: RFC 791, RFC 792
  const echo = ['ping', '-n', '-c', '1', '-w', '5', '-M', 'do', '-s', String(bytes), address]
  const { status, stdout } = await run(inNetns(client, echo))
  if (status !== 0) throw new Error(`Cannot reach over ${road.name}: ${stdout.trim()}`)
}

async function mtuOf(netns: string): Promise<number> {
  const told = await must(['ip', '-n', netns, '-j', 'link', 'show', 'dev', 'eth0'])
  const [link] = JSON.parse(told) as readonly { readonly mtu: number }[]
  return link?.mtu ?? 0
}

async function until(what: string, look: () => Promise<string | undefined>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  for (;;) {
    const missing = await look()
    if (missing === undefined) return
    if (performance.now() > deadline) throw new Error(`Cannot get ${what}: ${missing}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
