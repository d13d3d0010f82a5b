/**
 * A real agent that stands still, a caller that hangs up, a CNI_NETNS that is
 * none: each ends in a result or in an error a person can read, and whole dumps
 * show that nothing stays behind.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import type { Lab, LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  errorOf,
  ipsOf,
  ROADS,
  resultOf,
  settle,
  skip,
  sleep,
  snapshot,
  warm,
} from '../support/e2e.ts'
import { type Call, start } from './torture/calls.ts'
import { overhear, type Stage } from './torture/conversation.ts'

const ACCEPT_MS = '300'
const MIB = 1024 * 1024

interface Place {
  readonly lab: Lab
  readonly node: LabNode
  readonly agent: LabAgent
}

t.test('agents that stand still, callers that go', { skip }, async (t) => {
  const { lab, nodes, agents } = await cluster(t, { nodes: 1 })
  const [[node], [agent]] = [nodes, agents]
  if (node === undefined || agent === undefined) throw new Error('There is no node')
  await warm(lab)
  const place = { lab, node, agent }
  await t.test('stopped before it accepts, awake later', (t) => stoppedBefore(t, place))
  await t.test('stopped once it accepted, awake later', (t) => stoppedAfter(t, place))
  await t.test('stopped before it accepts, and the launcher is killed', (t) => abandoned(t, place))
  for (const { road, env } of ROADS) {
    await t.test(`${road}: nobody reads the result`, (t) => unread(t, place, env))
    await t.test(`${road}: a CNI_NETNS that is none`, (t) => noNamespaces(t, place, env))
    await t.test(`${road}: large configurations`, (t) => large(t, place, env))
  }
})

const wake = ({ agent }: Place): boolean => process.kill(agent.pid, 'SIGCONT')

/** An answer of the agent's: what it was told before, it has read. */
async function answered({ lab }: Place, pod: LabPod): Promise<void> {
  const { status, stdout } = await lab.cni('VERSION', pod)
  if (status !== 0) throw new Error(`VERSION failed: ${stdout}`)
}

async function leavesNothing(t: Test, { lab }: Place, before: readonly string[]): Promise<void> {
  const left = await settle(async () => compareDumps(before, await snapshot(lab)))
  t.strictSame(left, [], 'nothing is left')
}

async function stoppedBefore(t: Test, place: Place): Promise<void> {
  const { lab, node, agent } = place
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  process.kill(agent.pid, 'SIGSTOP')
  t.teardown(() => wake(place))
  const result = await added(lab, pod, {}, { TRIVIUM_ACCEPT_TIMEOUT_MS: ACCEPT_MS })
  const made = await snapshot(lab)
  wake(place)
  await answered(place, pod)
  t.notMatch(agent.log(), new RegExp(`"containerId":"${pod.containerId}"`), 'Node alone ran it')
  t.strictSame(compareDumps(made, await snapshot(lab)), [], 'it did not run a second time')
  t.ok((await ping(node.netns, ipsOf(result)[0] ?? '')).ok, 'and it works')
  t.equal((await lab.cni('DEL', pod)).status, 0)
  await leavesNothing(t, place, before)
  await lab.removePod(pod)
}

const addOf = ({ node }: Place, pod: LabPod, socketPath: string): Call => ({
  verb: 'ADD',
  via: 'agent',
  node,
  network: 'pods',
  containerId: pod.containerId,
  netnsPath: pod.netnsPath,
  socketPath,
})

/** An ADD whose agent stands still from `stage` on, and whose launcher hears nothing more for `ms`. */
async function stopsAt(t: Test, place: Place, pod: LabPod, stage: Stage, ms: number) {
  const path = join(dirname(place.node.socketPath), 'between.sock')
  let told = (): void => {}
  const there = new Promise<void>((resolve) => {
    told = resolve
  })
  const reached = (): void => {
    process.kill(place.agent.pid, 'SIGSTOP')
    told()
  }
  const overheard = await overhear(path, place.node.socketPath, {
    stage,
    ms,
    reached,
    freeze: () => {},
  })
  t.teardown(() => {
    wake(place)
    overheard.close()
  })
  const running = start(addOf(place, pod, path))
  await there
  return running
}

async function stoppedAfter(t: Test, place: Place): Promise<void> {
  const { lab, node } = place
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  const running = await stopsAt(t, place, pod, 'accepted', 4 * Number(ACCEPT_MS))
  await sleep(2 * Number(ACCEPT_MS))
  t.notOk(running.isOver(), 'the launcher waits: only its runtime may lose patience')
  wake(place)
  const ended = await running.ended
  const result = resultOf({ ...ended, status: ended.status ?? 137 })
  t.ok((await ping(node.netns, ipsOf(result)[0] ?? '')).ok, 'the agent did it')
  t.equal((await lab.cni('DEL', pod)).status, 0)
  await leavesNothing(t, place, before)
  await lab.removePod(pod)
}

/** What a runtime does at its deadline; its DEL comes while the agent still stands. */
async function abandoned(t: Test, place: Place): Promise<void> {
  const { lab, node, agent } = place
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  const running = await stopsAt(t, place, pod, 'asked', 0)
  running.signal('SIGKILL')
  await running.ended
  await sleep(50) // the death passes through the socket between
  const del = await lab.cni('DEL', pod, {}, { TRIVIUM_ACCEPT_TIMEOUT_MS: ACCEPT_MS })
  t.strictSame([del.status, del.stdout], [0, ''], 'DEL by Node')
  wake(place)
  await answered(place, pod)
  t.notMatch(agent.log(), new RegExp(`"containerId":"${pod.containerId}"`), 'ADD never ran')
  await leavesNothing(t, place, before)
  await lab.removePod(pod)
}

type Env = Readonly<Record<string, string>>

/** The runtime sees a failure, and its DEL finds what there is. */
async function unread(t: Test, place: Place, env: Env): Promise<void> {
  const { lab, node } = place
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  const call = addOf(place, pod, node.socketPath)
  const running = start({ ...call, via: env['TRIVIUM_NO_AGENT'] === '1' ? 'node' : 'agent' })
  running.deafen()
  const { status } = await running.ended
  t.equal(status, 1, 'no success that nobody knows of')
  t.equal((await lab.cni('DEL', pod, {}, env)).status, 0)
  await leavesNothing(t, place, before)
  await lab.removePod(pod)
}

async function noNamespaces(t: Test, place: Place, env: Env): Promise<void> {
  const { lab, node } = place
  const [other, pod] = [await lab.addPod(node), await lab.addPod(node)]
  await added(lab, other, {}, env)
  const folder = join(lab.dir, 'no-netns')
  mkdirSync(folder)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'file'), 'x')
  const before = [...(await snapshot(lab)), ...(await dumpNetns(other.netns))]
  const rows: readonly (readonly [string, string, number])[] = [
    ['a directory', folder, 8],
    ['a file', join(folder, 'file'), 8],
    ['nothing', join(folder, 'nothing'), 8],
    ["another pod's", other.netnsPath, 7],
  ]
  for (const [what, netnsPath, code] of rows) {
    const error = errorOf(await lab.cni('ADD', { ...pod, netnsPath }, {}, env))
    t.ok(error.code === code || error.code >= 100, `${what}: code ${error.code}: ${error.msg}`)
    t.match(`${error.msg} ${error.details}`, what === "another pod's" ? /eth0/ : netnsPath, what)
    const after = [...(await snapshot(lab)), ...(await dumpNetns(other.netns))]
    t.strictSame(compareDumps(before, after), [], `${what}: nothing was made or changed`)
    const del = await lab.cni('DEL', { ...pod, netnsPath }, {}, env)
    t.strictSame([del.status, del.stdout], [0, ''], `${what}: DEL`)
    const gone = [...(await snapshot(lab)), ...(await dumpNetns(other.netns))]
    t.strictSame(compareDumps(before, gone), [], `${what}: DEL touches nothing`)
  }
  t.equal((await lab.cni('DEL', other, {}, env)).status, 0)
  await lab.removePod(other)
  await lab.removePod(pod)
}

async function large(t: Test, place: Place, env: Env): Promise<void> {
  const { lab, node } = place
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  const padded = (bytes: number) => ({ args: { padding: 'x'.repeat(bytes) } })
  await added(lab, pod, padded(MIB), env)
  t.equal((await lab.cni('DEL', pod, padded(MIB), env)).status, 0, 'one MiB')
  await leavesNothing(t, place, before)
  const error = errorOf(await lab.cni('ADD', pod, padded(17 * MIB), env))
  t.match(error, { code: 5, details: /16 MiB/ }, 'beyond the limit')
  await leavesNothing(t, place, before)
  await lab.removePod(pod)
}
