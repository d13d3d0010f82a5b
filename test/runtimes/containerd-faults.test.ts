/**
 * What goes wrong around a running pod: the agent, containerd or the pod's
 * namespace goes away. Pods keep their network, and everything is removed in
 * the end.
 */
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { Lab } from '../../src/lab/lab.ts'
import { inUse, settle, skip, snapshot } from '../support/e2e.ts'
import { type Containerd, containerdSkip } from './containerd.ts'
import { EXITED, NOT_READY } from './cri.ts'
import { addGate, listInFront } from './networks.ts'
import {
  type CriPod,
  changesSince,
  holderOf,
  hostPort,
  nameSeenBy,
  podConfig,
  processesOf,
  type RuntimeWorld,
  removePod,
  runPod,
  runtimeWorld,
  startEchoes,
  unreached,
} from './pods.ts'

const SERVED = { portMappings: [hostPort(30_080)] }

t.test('faults around pods of containerd', { skip: skip || containerdSkip() }, async (t) => {
  const world = await runtimeWorld(t)
  const { lab, containerds } = world
  const [left, right] = containerds
  const idle = await snapshot(lab)
  const one = await runPod(left, 'one', SERVED)
  const two = await runPod(right, 'two', SERVED)
  t.strictSame(await unreached(two, one.ips), [])

  await t.test('the agent is killed and started again', (t) => agentDies(t, world, one, two))
  await t.test('the agent is away when pods come and go', (t) => agentAway(t, world, one, two))
  await t.test('containerd is killed and started again', (t) => containerdDies(t, one, two))
  await Promise.all([removePod(one), removePod(two)])
  t.strictSame(await changesSince(lab, idle), [], 'as before the pods')

  await t.test("a pod's namespace disappears", (t) => netnsGone(t, lab, left))
  t.strictSame(await changesSince(lab, idle), [])
  await t.test('a list that libcni cannot read', (t) => unreadable(t, left))
  t.strictSame(await changesSince(lab, idle), [])
  await t.test('containerd is killed in the middle of ADD', (t) => diesInAdd(t, lab, left))
  t.strictSame(await changesSince(lab, idle), [])
  t.equal(await inUse(lab), 0)
})

/** No echo is lost in either family while something happens. */
async function keepsPinging(
  t: Test,
  from: CriPod,
  to: CriPod,
  happening: () => Promise<unknown>,
): Promise<void> {
  const echoes = await Promise.all(to.ips.map((ip) => startEchoes(t, from, ip)))
  await happening()
  const all = await Promise.all(echoes.map((each) => each.stop()))
  for (const [index, seen] of all.entries()) {
    const complete = Array.from(seen, (_, place) => place + 1)
    t.strictSame(seen, complete, `${seen.length} echoes of ${to.ips[index]}`)
  }
}

const agentDies = (t: Test, { lab, agents }: RuntimeWorld, one: CriPod, two: CriPod) =>
  keepsPinging(t, two, one, async () => {
    await agents[0]?.kill()
    await lab.startAgent(one.containerd.node)
  })

/** The second node's agent: the launcher starts the Node entry in the runtime's mount namespace. */
async function agentAway(t: Test, world: RuntimeWorld, one: CriPod, two: CriPod): Promise<void> {
  const { lab, agents } = world
  const { containerd } = two
  await agents[1]?.kill()
  const before = await snapshot(lab)
  const three = await runPod(containerd, 'three')
  t.match(await holderOf(lab, three.ips[0] ?? ''), { pod: { name: 'three' }, node: 'n2' })
  t.strictSame(await unreached(one, three.ips), [], 'the other node reaches it')
  await removePod(three)
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'removed without the agent')

  const four = await runPod(containerd, 'four')
  await lab.startAgent(containerd.node)
  t.strictSame(await unreached(one, four.ips), [], 'the agent keeps what it finds')
  await removePod(four)
  t.strictSame(await changesSince(lab, before), [], 'added without it, removed with it')
}

async function containerdDies(t: Test, one: CriPod, two: CriPod): Promise<void> {
  const { containerd } = one
  await keepsPinging(t, two, one, async () => {
    await containerd.kill()
    await containerd.start()
  })
  const { status } = await containerd.cri.call('podSandboxStatus', { podSandboxId: one.sandboxId })
  t.equal(status?.network?.ip, one.ips[0], 'the new containerd knows its addresses')
  const [ip = ''] = containerd.node.underlayIps
  t.equal(await nameSeenBy(two.containerd.node, ip, 30_080), one.name, "and serves the node's port")
}

/** Unmounted, unlinked, and its processes killed: with the last one the kernel takes the links. */
async function netnsGone(t: Test, lab: Lab, containerd: Containerd): Promise<void> {
  const pod = await runPod(containerd, 'fading', SERVED)
  const netns = String((await holderOf(lab, pod.ips[0] ?? ''))['netns'])
  for (const command of [
    ['umount', netns],
    ['rm', netns],
  ]) {
    t.equal((await containerd.inside(command)).status, 0, command.join(' '))
  }
  for (const pid of processesOf(pod)) process.kill(pid, 'SIGKILL')
  t.strictSame(await settle(() => notSeen(pod)), [], 'the runtime has seen it')
  t.equal(await inUse(lab), 2, 'its addresses are held until DEL')
  await removePod(pod)
}

/** What a runtime has not noticed yet of a pod whose processes are dead; it does not remove such a pod. */
async function notSeen({ containerd, containerId, sandboxId }: CriPod): Promise<string[]> {
  const { cri } = containerd
  const container = await cri.call('containerStatus', { containerId })
  const sandbox = await cri.call('podSandboxStatus', { podSandboxId: sandboxId })
  return [
    ...(container.status?.state === EXITED ? [] : ['container']),
    ...(sandbox.status?.state === NOT_READY ? [] : ['sandbox']),
  ]
}

/** libcni of containerd 1.6 knows nothing newer than 1.0.0: it calls ADD, and then can call nothing. */
async function unreadable(t: Test, containerd: Containerd): Promise<void> {
  const { cri } = containerd
  const takeAway = await listInFront(containerd, { list: { cniVersion: '1.1.0' } })
  const config = podConfig(containerd, 'too-new', SERVED)
  await t.rejects(cri.call('runPodSandbox', { config }), /unsupported CNI result version "1.1.0"/)
  await takeAway()
  t.equal(await removeAll(containerd), 1, 'what it could not remove, it lists')
}

/** Our ADD is done, one behind it is not: the plugin goes on without its caller. */
async function diesInAdd(t: Test, lab: Lab, containerd: Containerd): Promise<void> {
  const { cri, node } = containerd
  const gate = addGate(node)
  const takeAway = await listInFront(containerd, { behind: [gate.plugin] })
  const config = podConfig(containerd, 'cut-off', SERVED)
  const lost = cri.call('runPodSandbox', { config }).catch((error: unknown) => error)
  t.strictSame(await settle(() => (gate.reached() ? [] : ['not yet'])), [])
  t.equal(await inUse(lab), 2, 'our ADD is done')
  await containerd.kill()
  t.match(await lost, { name: 'GrpcError', status: 14 })
  await containerd.start()
  await takeAway()
  t.equal(await removeAll(containerd), 1, 'the new containerd lists what the old one was making')
}

/** As a kubelet does with pods that it does not want. */
async function removeAll({ cri }: Containerd): Promise<number> {
  const { items } = await cri.call('listPodSandbox', {})
  for (const { id: podSandboxId } of items) {
    await cri.call('stopPodSandbox', { podSandboxId })
    await cri.call('removePodSandbox', { podSandboxId })
  }
  return items.length
}
