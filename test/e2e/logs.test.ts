/**
 * What a call leaves in the logs: one line that an on-call engineer can search
 * for, with names and times, and without anything that was said in confidence.
 */
import t, { type Test } from 'tap'
import type { Finished } from '../../src/lab/exec.ts'
import type { LabAgent, LabPod } from '../../src/lab/lab.ts'
import { added, cluster, ipsOf, type Json, settle, skip } from '../support/e2e.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const POD = { namespace: 'shop', name: 'cart-0', uid: '6f0d8a54-2f3a-4c9e-9a35-0e7d1f4c0a11' }
const KUBELET = {
  TRACEPARENT,
  CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${POD.namespace};K8S_POD_NAME=${POD.name};K8S_POD_UID=${POD.uid}`,
}
/** Somewhere in a configuration where a line must never take it from. */
const SECRET = 'hunter2-in-confidence'

const parse = (text: string): readonly Json[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Json)

/** The lines about one container, once there are as many as that. */
async function linesOf(agent: LabAgent, pod: LabPod, count: number): Promise<readonly Json[]> {
  let lines: readonly Json[] = []
  await settle(() => {
    lines = parse(agent.log()).filter(
      ({ event, containerId }) => event === 'cni' && containerId === pod.containerId,
    )
    return lines.length < count ? ['too few'] : []
  })
  return lines
}

function isComplete(t: Test, line: Json, steps: readonly string[]): void {
  const ms = line['steps'] as Readonly<Record<string, number>>
  t.strictSame(Object.keys(ms), steps, `${line['verb']}: its steps in order`)
  const sum = Object.values(ms).reduce((left, right) => left + right, 0)
  t.ok(Math.abs(sum - Number(line['ms'])) < 0.01, `${line['verb']}: steps make up the whole`)
}

t.test('logs', { skip }, async (t) => {
  const { lab, nodes, agents } = await cluster(t, { nodes: 1 })
  const [[node], [agent]] = [nodes, agents]
  if (node === undefined || agent === undefined) throw new Error('There is no agent')

  await t.test('the agent: a line a call', async (t) => {
    const pod = await lab.addPod(node)
    const confided = { vendor: SECRET, args: { cni: { password: SECRET } } }
    const result = await added(lab, pod, confided, KUBELET)
    const again = await lab.cni('ADD', pod, confided, KUBELET)
    t.equal(again.status, 1)
    t.equal((await lab.cni('DEL', pod, confided)).status, 0)
    const [add = {}, failed = {}, del = {}, ...more] = await linesOf(agent, pod, 3)
    t.strictSame(more, [])
    const call = { plugin: 'trivium', network: 'pods', ifname: 'eth0', road: 'agent', node: 'n1' }
    const ips = ipsOf(result)
    t.match(add, { ...call, verb: 'ADD', level: 30, pod: POD, ips, exitStatus: 0 })
    t.equal(add['traceparent'], TRACEPARENT)
    isComplete(t, add, ['queue', 'parse', 'netns', 'store', 'pair', 'pod', 'node', 'answer'])
    const { msg, code } = JSON.parse(again.stdout) as Json
    t.match(failed, { ...call, verb: 'ADD', level: 50, pod: POD, exitStatus: 1, code, msg })
    // The runtime says little with DEL; the record knows the rest.
    t.match(del, { ...call, verb: 'DEL', level: 30, pod: POD, ips, exitStatus: 0 })
    isComplete(t, del, ['queue', 'parse', 'unlink', 'guards', 'store', 'answer'])
    t.notMatch(agent.log(), SECRET, 'nothing in confidence')
  })

  await t.test('no agent: a failure is on standard error', async (t) => {
    const alone = (verb: string, pod: LabPod, env = {}): Promise<Finished> =>
      lab.cni(verb, pod, { vendor: SECRET }, { TRIVIUM_NO_AGENT: '1', ...KUBELET, ...env })
    const pod = await lab.addPod(node)
    const add = await alone('ADD', pod)
    t.strictSame([add.status, add.stderr], [0, ''], 'success says nothing')
    const again = await alone('ADD', pod)
    const [line = {}, ...more] = parse(again.stderr)
    t.strictSame(more, [])
    const { msg, code } = JSON.parse(again.stdout) as Json
    t.match(line, { event: 'cni', verb: 'ADD', level: 50, road: 'node', pod: POD, code, msg })
    t.match(String(line['time']), /^\d{4}-\d\d-\d\dT/)
    const del = await alone('DEL', pod, { TRIVIUM_LOG_LEVEL: 'info' })
    t.equal(del.status, 0)
    t.match(parse(del.stderr), [{ verb: 'DEL', level: 30, exitStatus: 0 }], 'unless it was asked')
    t.notMatch(again.stderr + del.stderr, SECRET)
  })

  await t.test('questions without news are no lines', async (t) => {
    const pod = await lab.addPod(node)
    t.equal((await lab.cni('STATUS', pod, { cniVersion: '1.1.0' })).status, 0)
    t.equal((await lab.cni('STATUS', pod, { cniVersion: '1.1.0', name: 'nowhere' })).status, 1)
    const lines = await statuses(agent)
    t.match(lines, [{ network: 'nowhere', code: 50, level: 50 }], 'only the failure')
  })
})

/** Lines about STATUS: they name no container. */
async function statuses(agent: LabAgent): Promise<readonly Json[]> {
  const found = (): readonly Json[] => parse(agent.log()).filter(({ verb }) => verb === 'STATUS')
  await settle(() => (found().length === 0 ? ['none'] : []))
  return found()
}
