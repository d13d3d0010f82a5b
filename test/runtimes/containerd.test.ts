/**
 * A kubelet's view of the plugin: pods made through containerd's CRI reach
 * each other, have what Debian's plugins add, and leave nothing.
 */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { parseIpJson } from '../../src/lab/json.ts'
import type { Lab } from '../../src/lab/lab.ts'
import { inUse, ipJson, type Json, settle, skip, snapshot, usage } from '../support/e2e.ts'
import { asks } from './asks.ts'
import { type Containerd, containerdSkip } from './containerd.ts'
import { listInFront, networkReady } from './networks.ts'
import {
  type CriPod,
  changesSince,
  holderOf,
  hostPort,
  nameSeenBy,
  nameSeenFrom,
  podConfig,
  removePod,
  runPod,
  runtimeWorld,
  unreached,
} from './pods.ts'

const HOST_PORT = 30_080
/** As users write them; bits a second. */
const RATES = {
  'kubernetes.io/ingress-bandwidth': '10M',
  'kubernetes.io/egress-bandwidth': '20M',
}

t.test('pods through containerd', { skip: skip || containerdSkip() }, async (t) => {
  const { lab, containerds } = await runtimeWorld(t)
  const [left, right] = containerds
  await t.test('the network is ready with its list', (t) => readiness(t, left))

  const idle = await snapshot(lab)
  t.equal(await inUse(lab), 0)
  const extra = { portMappings: [hostPort(HOST_PORT)], annotations: RATES }
  const pods = await Promise.all([runPod(left, 'one', extra), runPod(right, 'two', extra)])
  await t.test('the store says what PodSandboxStatus says', (t) => addresses(t, lab, pods))
  await t.test('pods reach each other', (t) => reach(t, pods))
  await t.test('and through a port of the node', (t) => hostPorts(t, pods))
  await t.test('rates of the annotations are on the links', (t) => rates(t, lab, pods))

  for (const pod of pods) {
    await pod.containerd.cri.call('stopPodSandbox', { podSandboxId: pod.sandboxId })
    await removePod(pod) // stops it again
    const { items } = await pod.containerd.cri.call('listPodSandbox', {})
    t.strictSame(items, [])
  }
  t.strictSame(await changesSince(lab, idle), [], 'as before the pods')
  await t.test('a pod asks for what it needs', (t) => asks(t, lab, left))
  await t.test('an ADD that fails says why and leaves nothing', (t) =>
    failures(t, lab, containerds),
  )
})

/** The list is taken out of sight and put back, under the runtime's eyes. */
async function readiness(t: Test, containerd: Containerd): Promise<void> {
  const wait = (wanted: boolean) =>
    settle(async () => {
      const { ready, why } = await networkReady(containerd)
      return ready === wanted ? [] : [`ready is ${ready}: ${why}`]
    })
  const list = join(containerd.node.confDir, '10-pods.conflist')
  t.strictSame(await wait(true), [])
  renameSync(list, `${list}.off`)
  t.strictSame(await wait(false), [])
  renameSync(`${list}.off`, list)
  t.strictSame(await wait(true), [])
}

async function addresses(t: Test, lab: Lab, pods: readonly CriPod[]): Promise<void> {
  t.equal(await inUse(lab), 2 * pods.length)
  for (const { name, sandboxId, ips, containerd } of pods) {
    t.equal(ips.length, 2, `${name}: one address a family`)
    for (const ip of ips) {
      t.match(await holderOf(lab, ip), {
        network: 'pods',
        containerId: sandboxId,
        ifname: 'eth0',
        node: containerd.node.name,
        ips,
        pod: { namespace: 'shop', name, uid: `uid-${name}` },
      })
    }
    const text = await lab.trivium('ipam', 'show', '--ip', ips[0] ?? '', '--store', lab.storeUrl)
    t.ok(text.includes(`shop/${name}`), 'a person reads the same', { text })
  }
}

async function reach(t: Test, [left, right]: readonly [CriPod, CriPod]): Promise<void> {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    t.strictSame(await unreached(from, to.ips), [], `echoes from ${from.name} to ${to.name}`)
    for (const ip of to.ips) t.equal(await nameSeenFrom(from, ip), to.name, `TCP to ${ip}`)
  }
}

/** Through Debian's portmap, asked from the other node, whose own pod has the same port. */
async function hostPorts(t: Test, [left, right]: readonly [CriPod, CriPod]): Promise<void> {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    for (const ip of to.containerd.node.underlayIps) {
      t.equal(await nameSeenBy(from.containerd.node, ip, HOST_PORT), to.name, `TCP to ${ip}`)
    }
  }
}

/** Debian's bandwidth: a token bucket on the host's end, and one on a device it redirects to. */
async function rates(t: Test, lab: Lab, pods: readonly CriPod[]): Promise<void> {
  for (const { ips, containerd } of pods) {
    const { netns } = containerd.node
    const { hostLink } = await holderOf(lab, ips[0] ?? '')
    const buckets = parseIpJson(await must(inNetns(netns, ['tc', '-j', 'qdisc']))).filter(
      ({ kind }) => kind === 'tbf',
    )
    const rateOf = (dev: unknown): unknown =>
      (buckets.find((each) => each['dev'] === dev)?.['options'] as Json | undefined)?.['rate']
    const [ifb] = await ipJson(netns, 'link', 'show', 'type', 'ifb')
    t.equal(rateOf(hostLink), 10_000_000 / 8, 'bytes a second into the pod')
    t.equal(rateOf(ifb?.['ifname']), 20_000_000 / 8, 'bytes a second out of it')
  }
}

/** Lists that a pod cannot be served by: the change, and what a pod's event shall say. */
const UNSERVED = [
  {
    what: 'a network that is full',
    list: { name: 'full' },
    says: /Cannot allocate an IPv4 address in network full: every block of 10\.99\.0\.0\/30 .* wanted another pool, or fewer pods or nodes$/,
  },
  {
    what: 'a network that nobody created',
    list: { name: 'nosuch' },
    says: /Cannot find network nosuch in the store; Create it: trivium network create/,
  },
  {
    what: "a store that is not the agent's",
    plugin: { store: 'lmdb:/nowhere/store' },
    says: /Cannot serve network pods: its configuration names the store lmdb:\/nowhere\/store, this agent runs on lmdb:/,
  },
  {
    what: 'a mode in the list',
    plugin: { mode: 'vxlan' },
    says: /unsupported field "mode": "vxlan"; .*use: trivium network set pods$/,
  },
] as const

async function failures(t: Test, lab: Lab, containerds: readonly Containerd[]): Promise<void> {
  const containerd = await withoutBlock(lab, 'full', containerds)
  const { cri } = containerd
  const config = podConfig(containerd, 'unlucky', { portMappings: [hostPort(HOST_PORT)] })
  const before = await snapshot(lab)
  for (const { what, says, ...change } of UNSERVED) {
    const takeAway = await listInFront(containerd, change)
    const failed = await cri.call('runPodSandbox', { config }).catch((error: unknown) => error)
    t.match(failed, { message: 'plugin type="trivium" failed (add): ' })
    t.match(failed, { message: says }, what)
    t.strictSame((await cri.call('listPodSandbox', {})).items, [])
    t.strictSame(await changesSince(lab, before), [], `${what}: nothing is left`)
    await takeAway()
  }
}

/** A network of a single block, and the node that did not get it. */
async function withoutBlock(
  lab: Lab,
  network: string,
  containerds: readonly Containerd[],
): Promise<Containerd> {
  const pool = ['--mode', 'route', '--pool', '10.99.0.0/30,block=30']
  await lab.trivium('network', 'create', network, ...pool, '--store', lab.storeUrl)
  let owner: string | undefined
  const left = await settle(async () => {
    owner = (await usage(lab)).find(({ cidr, node }) => cidr === '10.99.0.0/30' && node)?.node
    return owner === undefined ? ['nobody has claimed the block'] : []
  })
  const other = containerds.find(({ node }) => node.name !== owner)
  if (left.length > 0 || other === undefined) throw new Error(left.join())
  return other
}
