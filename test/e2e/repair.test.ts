/**
 * The agent puts right what becomes of its own objects: at once while it runs,
 * on the kernel's own word, and at its start what happened before. Everything
 * else it leaves alone: whole dumps are compared, with foreign objects in them.
 */
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { LabAgent } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import { added, cluster, endpointOf, ip, type Result, settle, skip, warm } from '../support/e2e.ts'
import { addForeign, FAULTS, type Fault, type Road, type Scene } from './repair-faults.ts'

/**
 * The timer comes ten seconds after the round before, and each fault follows on
 * a repair: what is repaired before that was repaired for being heard of.
 */
const BEFORE_TIMER_MS = 5000

const FLAGS: Readonly<Record<Road, readonly string[]>> = {
  classic: ['--mode', 'vxlan'],
  lightweight: ['--mode', 'vxlan', '--flavour', 'lightweight', '--force'],
  route: ['--mode', 'route'],
}

interface Stage {
  readonly scene: Scene
  readonly dump: () => Promise<readonly string[]>
  readonly restart: () => Promise<void>
  readonly agent: { current: LabAgent }
}

async function stageOf(t: Test, road: Road): Promise<Stage & { reach(): Promise<boolean> }> {
  const { lab, agents } = await cluster(t, { network: FLAGS[road], nodes: 3 })
  await warm(lab)
  const pods = await Promise.all(lab.nodes.map((node) => lab.addPod(node)))
  const results: Result[] = []
  for (const pod of pods) results.push(await added(lab, pod))
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  const { netns } = node
  const agent = { current: agents[0] as LabAgent }
  const endpoints = pods.map((pod, index) => endpointOf(pod, results[index] as Result))
  return {
    agent,
    scene: {
      netns,
      hostLink: results[0]?.interfaces[0]?.name ?? '',
      podIp: results[0]?.ips[0]?.address.split('/')[0] ?? '',
      underlay: node.underlayIps.map((each) => `${each}/${each.includes(':') ? 64 : 24}`),
    },
    dump: async () => (await dumpNetns(netns)).filter((line) => !isRandom(line)),
    restart: async () => {
      agent.current = await lab.startAgent(node)
    },
    reach: async () => (await pingAll(endpoints)).every(({ ok }) => ok),
  }
}

/** A link without MAC gets a random link-local address, another one each time it is made. */
const isRandom = (line: string): boolean => /^addr trvx\.\d+ local="fe80:/.test(line)

async function whileItRuns(
  t: Test,
  { scene, dump, agent }: Stage,
  good: readonly string[],
  { title, harm }: Fault,
): Promise<void> {
  const before = repairs(agent.current).length
  const from = Date.now()
  await harm(scene)
  const left = await settle(async () => compareDumps(good, await dump()), BEFORE_TIMER_MS)
  t.strictSame(left, [], `running: ${title}`)
  const times = repairs(agent.current).slice(before)
  t.ok(times.length > 0, 'by the agent')
  t.comment(`${title}: applied ${times.map((time) => time - from).join(', ')} ms after the start`)
}

/** When it said that it had applied something, in Unix milliseconds. */
const repairs = (agent: LabAgent): readonly number[] =>
  agent
    .log()
    .split('\n')
    .filter((line) => line.includes('"event":"applied"'))
    .map((line) => Date.parse((JSON.parse(line) as { time: string }).time))

async function whileItIsDown(
  t: Test,
  { scene, dump, agent, restart }: Stage,
  good: readonly string[],
  { title, harm }: Fault,
): Promise<void> {
  await agent.current.stop()
  await harm(scene)
  t.not(compareDumps(good, await dump()).length, 0, `harm was done: ${title}`)
  await restart()
  const left = await settle(async () => compareDumps(good, await dump()), BEFORE_TIMER_MS)
  t.strictSame(left, [], `at the start: ${title}`)
}

for (const road of Object.keys(FAULTS) as Road[]) {
  t.test(`repair: ${road}`, { skip }, async (t) => {
    const stage = await stageOf(t, road)
    const { scene, dump } = stage
    await addForeign(scene.netns)
    const good = await dump()
    await t.test('while the agent runs', async (t) => {
      for (const each of FAULTS[road]) await whileItRuns(t, stage, good, each)
    })
    await t.test('while it is down', async (t) => {
      for (const each of FAULTS[road]) await whileItIsDown(t, stage, good, each)
    })
    await t.test('forwarding that was switched off', async (t) => {
      const name = 'net.ipv4.ip_forward'
      await must(inNetns(scene.netns, ['sysctl', '-qw', `${name}=0`]))
      await stage.agent.current.stop()
      await stage.restart()
      t.equal((await must(inNetns(scene.netns, ['sysctl', '-n', name]))).trim(), '1')
    })
    t.ok(await stage.reach(), 'pods still reach each other')
    await stage.agent.current.stop()
    await ip(scene.netns, 'route', 'del', '203.0.113.128/25')
    t.match(compareDumps(good, await dump()), [/^- route dst="203.0.113.128/], 'dumps tell')
  })
}
