/**
 * Several VLANs on one uplink, as a bridge and as macvlans, and nothing between them:
 * frames that pods and a machine inject are listened for by every pod.
 *
 * ```
 *   floor (10, bridge)   shop (20, macvlan)   till (30, macvlan)     on each of two nodes
 *             \                 |                 /
 *              +---- eth0, 802.1Q, a switch that knows no VLANs ---- a machine
 * ```
 *
 * Needs a kernel with 802.1Q: npm run guest.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode, type LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import {
  addedInTime,
  builtCli,
  endpointOf,
  ipJson,
  type Result,
  settle,
  skip,
} from '../support/e2e.ts'
import {
  announcement,
  datagram,
  type FrameEar,
  frameEar,
  marked,
  socketIn,
  tagged,
} from '../support/frames.ts'

const NETWORKS = [
  { name: 'floor', id: 10, attachment: 'bridge', pools: ['10.61.0.0/24', 'fd61::/112'] },
  { name: 'shop', id: 20, attachment: 'macvlan', pools: ['10.62.0.0/24', 'fd62::/112'] },
  { name: 'till', id: 30, attachment: 'macvlan', pools: ['10.63.0.0/24', 'fd63::/112'] },
] as const
const MACHINE_MAC = '02:00:00:00:00:99' as Mac

interface Pod {
  readonly network: (typeof NETWORKS)[number]
  readonly pod: LabPod
  readonly result: Result
  readonly mac: Mac
  readonly ips: readonly Ip[]
  readonly ear: FrameEar
}

function lacks(): string | false {
  if (skip !== false) return skip
  const netns = `trv-8021q-${process.pid}`
  execFileSync('ip', ['netns', 'add', netns])
  try {
    execFileSync('ip', ['-n', netns, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'far'])
    const add = ['-n', netns, 'link', 'add', 'link', 'wire', 'name', 'v', 'type', 'vlan', 'id', '2']
    return spawnSync('ip', add).status === 0 ? false : 'this kernel has no 802.1Q'
  } finally {
    execFileSync('ip', ['netns', 'del', netns])
  }
}

async function plugged(t: Test, lab: Lab, node: LabNode, at: number): Promise<Pod> {
  const network = NETWORKS[at] as (typeof NETWORKS)[number]
  const pod = await lab.addPod(node)
  const call: Lab = {
    ...lab,
    cni: (verb, to, extra, env) => lab.cni(verb, to, { ...extra, name: network.name }, env),
  }
  const result = await addedInTime(call, pod)
  const ear = await frameEar(pod.netns, 'eth0')
  t.teardown(() => ear.close())
  const mac = result.interfaces.find(({ sandbox }) => sandbox !== undefined)?.mac as Mac
  const { ips } = endpointOf(pod, result)
  return { network, pod, result, mac, ips: ips as readonly Ip[], ear }
}

async function send(netns: string, frame: Uint8Array, mark: string): Promise<void> {
  const socket = await socketIn(netns, 'eth0', ((frame[12] ?? 0) << 8) + (frame[13] ?? 0))
  try {
    socket.send(marked(frame, mark))
  } catch (thrown) {
    // How the kernel says that a rule has dropped it.
    if ((thrown as { code?: string }).code !== 'ENOBUFS') throw thrown
  } finally {
    socket.close()
  }
}

t.setTimeout(300_000)

t.test('three VLANs on one uplink', { skip: lacks(), timeout: 280_000 }, async (t) => {
  const lab = await createLab({ nodes: 2, trivium: builtCli(), underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  for (const { name, id, attachment, pools } of NETWORKS) {
    const flags = ['--mode', 'vlan', '--vlan', String(id), '--attachment', attachment]
    const all = [...flags, ...pools.flatMap((pool) => ['--pool', pool])]
    if (name === 'floor') await lab.install(lab.nodes[0] as LabNode, '--name', name, ...all)
    else await lab.trivium('network', 'create', name, ...all, '--store', lab.storeUrl)
  }
  await lab.install(lab.nodes[1] as LabNode, '--name', 'floor')
  const agents: LabAgent[] = []
  for (const node of lab.nodes) agents.push(await lab.startAgent(node))
  const pods: Pod[] = []
  for (const node of lab.nodes) {
    const devices = async () =>
      (await ipJson(node.netns, 'link', 'show')).map(({ ifname }) => ifname)
    const wanted = ['trvb.10', 'trvl.10', 'trvl.20', 'trvm.20', 'trvl.30', 'trvm.30']
    const missing = async () => {
      const there = await devices()
      return wanted.filter((each) => !there.includes(each))
    }
    t.strictSame(await settle(missing), [])
    for (const at of NETWORKS.keys()) pods.push(await plugged(t, lab, node, at))
  }
  const machine = await lab.addHost()

  await t.test('pods of a VLAN reach each other, and their node', async (t) => {
    for (const { name, attachment } of NETWORKS) {
      const own = pods.filter(({ network }) => network.name === name)
      const ends = own.map(({ pod, result }) => endpointOf(pod, result))
      t.strictSame(
        (await pingAll(ends)).filter(({ ok }) => !ok),
        [],
        name,
      )
      if (attachment === 'bridge') continue
      for (const { pod, ips } of own) {
        const far = { name: pod.node.name, netns: pod.node.netns, ips: [] }
        const near = { name: pod.containerId, netns: pod.netns, ips }
        const looks = (await pingAll([far, near])).filter(({ ok }) => !ok)
        t.strictSame(looks, [], `${pod.node.name} and its pod in ${name}`)
      }
    }
  })

  /** By network: which of its pods heard the mark. A listener hears what its own pod sends as well. */
  const heardIn = (mark: string, sender?: Pod): readonly string[] => {
    const others = pods.filter((pod) => pod !== sender)
    return [
      ...new Set(
        others.filter(({ ear }) => ear.heard().has(mark)).map(({ network }) => network.name),
      ),
    ]
  }

  await t.test('what a pod sends is heard in its VLAN only', async (t) => {
    for (const from of pods) {
      const { network, pod, mac, ips } = from
      const mark = `${network.name} ${pod.node.name}`
      for (const { id } of NETWORKS) {
        await send(pod.netns, tagged(announcement(mac, ips[0] as Ip), id), `${mark} tag ${id}`)
      }
      await send(pod.netns, announcement(mac, ips[0] as Ip), mark)
      const peer = pods.find((other) => other.network === network && other !== from)
      t.ok(await peer?.ear.hears(mark), `${mark}: its peer on the other node hears it`)
      t.strictSame(heardIn(mark, from), [network.name])
      for (const { id } of NETWORKS) {
        const others = heardIn(`${mark} tag ${id}`, from).filter((name) => name !== network.name)
        t.strictSame(others, [], `${mark}: nobody else hears it with tag ${id}`)
      }
    }
  })

  await t.test('what a machine sends is heard in the VLAN of its tag', async (t) => {
    const frame = announcement(MACHINE_MAC, '192.0.2.99' as Ip)
    await send(machine.netns, frame, 'untagged')
    await send(machine.netns, tagged(tagged(frame, 20), 40), 'tags 40 20')
    for (const { name, id } of NETWORKS) {
      await send(machine.netns, tagged(frame, id), `tag ${id}`)
      for (const { ear } of pods.filter(({ network }) => network.name === name)) {
        t.ok(await ear.hears(`tag ${id}`), `${name} hears tag ${id}`)
      }
      t.strictSame(heardIn(`tag ${id}`), [name])
    }
    t.strictSame([...heardIn('untagged'), ...heardIn('tags 40 20')], [])
  })

  await t.test('a node that forwards is no way from one VLAN to another', async (t) => {
    const [, shop, till] = pods as [Pod, Pod, Pod]
    const { netns } = shop.pod.node
    const [shim] = await ipJson(netns, 'link', 'show', 'trvm.20')
    const through = datagram(shop.mac, shop.ips[0] as Ip, till.ips[0] as Ip)
    through.set(
      String(shim?.['address'])
        .split(':')
        .map((x) => Number.parseInt(x, 16)),
    )
    await must(inNetns(netns, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']))
    await send(shop.pod.netns, through, 'by the node')
    await send(machine.netns, tagged(announcement(MACHINE_MAC, '192.0.2.99' as Ip), 30), 'after it')
    t.ok(await till.ear.hears('after it'))
    t.strictSame(heardIn('by the node', shop), [])
    for (const agent of agents) await agent.stop()
    await must(inNetns(netns, ['nft', 'delete', 'table', 'inet', 'trivium']))
    await send(shop.pod.netns, through, 'by the node')
    t.ok(await till.ear.hears('by the node'), 'but for the table it would be one')
  })
})
