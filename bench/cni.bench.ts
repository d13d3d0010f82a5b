/**
 * CNI ADD and DEL: through launcher and agent, through the Node entry, and by
 * the reference plugins bridge and host-local, in one lab and one run.
 *
 * Every variant is spawned by the same helper, in its node's own namespace, on
 * a pod's namespace that is there already, with the result of ADD handed to
 * DEL. Between turns the kernel gets time to finish what it put off, so that
 * nobody pays for another's removal. The effect is checked after each verb.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { pluginConfig } from '../src/lab/cni.ts'
import { inNetns, must } from '../src/lab/exec.ts'
import { createLab, type Lab, type LabNode, type LabPod } from '../src/lab/lab.ts'
import type { Answer, Call } from './cni-caller.ts'
import {
  type Bench,
  compare,
  interleave,
  type Report,
  type Sample,
  type Variant,
} from './harness.ts'

const REFERENCE_DIR = '/usr/lib/cni'
const CLI = join(import.meta.dirname, '..', 'dist', 'cli.cjs')
/** The kernel takes apart a removed pair up to 20 ms after it is gone. */
const SETTLE_MS = 40
const AT_ONCE = 50
const GROUP_ROUNDS = 5
const WARM_UP = 5

const REFERENCE = 'bridge + host-local'

/** The helper of one node. */
interface Caller {
  call(calls: readonly Call[]): Promise<Answer>
  close(): void
}

function openCaller({ netns }: LabNode): Caller {
  const script = join(import.meta.dirname, 'cni-caller.ts')
  const [program = '', ...args] = inNetns(netns, [process.execPath, ...process.execArgv, script])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async call(calls) {
      child.stdin.write(`${JSON.stringify(calls)}\n`)
      const { value, done } = await lines.next()
      if (done === true) throw new Error('Cannot go on: the helper in the namespace ended')
      return JSON.parse(value) as Answer
    },
    close: () => child.stdin.end(),
  }
}

/** One way to serve a pod. */
interface Road {
  readonly name: string
  readonly caller: Caller
  readonly binDir: string
  readonly config: Readonly<Record<string, unknown>>
  readonly pods: readonly LabPod[]
  readonly env: Readonly<Record<string, string>>
}

function callOf(road: Road, verb: string, pod: LabPod, id: string, prevResult?: unknown): Call {
  const config = { ...road.config, ...(prevResult === undefined ? {} : { prevResult }) }
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: verb,
    CNI_CONTAINERID: id,
    CNI_NETNS: pod.netnsPath,
    CNI_IFNAME: 'eth0',
    CNI_PATH: road.binDir,
    ...road.env,
  }
  const command = [join(road.binDir, String(road.config['type']))]
  return { command, env, input: JSON.stringify(config) }
}

/** Runs one verb on `pods`, checks its effect on each, and returns the results and the time. */
async function verb(
  road: Road,
  name: 'ADD' | 'DEL',
  pods: readonly LabPod[],
  round: string,
  earlier: readonly unknown[] = [],
): Promise<{ ms: number; results: readonly unknown[] }> {
  const id = (index: number): string => `bench-${round}-${index}`
  const calls = pods.map((pod, index) => callOf(road, name, pod, id(index), earlier[index]))
  const { ms, results } = await road.caller.call(calls)
  for (const [index, { status, stdout }] of results.entries()) {
    if (status !== 0) throw new Error(`Cannot time ${road.name}: ${name} failed: ${stdout.trim()}`)
    const pod = pods[index]
    if (pod !== undefined) await checkEffect(road, name, pod, stdout)
  }
  return {
    ms,
    results: results.map(({ stdout }) => (stdout === '' ? undefined : JSON.parse(stdout))),
  }
}

async function checkEffect(road: Road, name: string, pod: LabPod, stdout: string): Promise<void> {
  const text = await must(['ip', '-n', pod.netns, '-j', '-4', 'addr'])
  const links = JSON.parse(text) as { ifname: string; addr_info: { local: string }[] }[]
  const found = links.find(({ ifname }) => ifname === 'eth0')?.addr_info.map(({ local }) => local)
  if (name === 'DEL') {
    if (found !== undefined) throw new Error(`Cannot trust ${road.name}: eth0 is there after DEL`)
    return
  }
  const { ips } = JSON.parse(stdout) as { ips: { address: string }[] }
  for (const { address } of ips) {
    if (found?.includes(address.split('/')[0] ?? '') === true) continue
    throw new Error(`Cannot trust ${road.name}: ${address} is not in the pod after ADD`)
  }
}

function alternating(road: Road, say: (text: string) => void): Variant {
  return {
    name: road.name,
    async run(round) {
      if (round % 20 === 0) say(`${road.name}: round ${round}`)
      const pods = road.pods.slice(0, 1)
      await sleep(SETTLE_MS)
      const added = await verb(road, 'ADD', pods, String(round))
      await sleep(SETTLE_MS)
      const removed = await verb(road, 'DEL', pods, String(round), added.results)
      return { ADD: added.ms, DEL: removed.ms }
    },
  }
}

function atOnce(road: Road): Variant {
  return {
    name: road.name,
    async run(round): Promise<Sample> {
      await sleep(5 * SETTLE_MS)
      const added = await verb(road, 'ADD', road.pods, `group-${round}`)
      await sleep(5 * SETTLE_MS)
      const removed = await verb(road, 'DEL', road.pods, `group-${round}`, added.results)
      return { [`${AT_ONCE} ADD at once`]: added.ms, [`${AT_ONCE} DEL at once`]: removed.ms }
    },
  }
}

/** What spawning costs whatever is spawned. */
function floors(caller: Caller): readonly Variant[] {
  const floor = (name: string, command: readonly string[]): Variant => ({
    name,
    async run() {
      const { ms } = await caller.call([{ command, env: { PATH: '/usr/bin:/bin' }, input: '{}' }])
      return { spawn: ms }
    },
  })
  return [floor('/bin/true', ['/bin/true']), floor('node -e 0', [process.execPath, '-e', '0'])]
}

async function roads(lab: Lab, callers: readonly [Caller, Caller]): Promise<readonly Road[]> {
  const [ours, theirs] = lab.nodes
  if (ours === undefined || theirs === undefined)
    throw new Error('Cannot compare without two nodes')
  await lab.install(ours, '--mode', 'route', '--pool', '10.42.0.0/16,block=22')
  await lab.startAgent(ours)
  const podsOf = async (node: LabNode): Promise<readonly LabPod[]> => {
    const pods: LabPod[] = []
    while (pods.length < AT_ONCE) pods.push(await lab.addPod(node))
    return pods
  }
  const own = {
    caller: callers[0],
    binDir: ours.binDir,
    config: pluginConfig(join(ours.confDir, '10-pods.conflist')),
    pods: await podsOf(ours),
  }
  const ipam = {
    type: 'host-local',
    dataDir: join(lab.dir, 'host-local'),
    ranges: [[{ subnet: '10.55.0.0/16' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  const config = {
    cniVersion: '1.0.0',
    name: 'ref',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipam,
  }
  return [
    { name: 'launcher + agent', ...own, env: {} },
    { name: 'Node entry', ...own, env: { TRIVIUM_NO_AGENT: '1' } },
    {
      name: REFERENCE,
      caller: callers[1],
      binDir: REFERENCE_DIR,
      config,
      pods: await podsOf(theirs),
      env: {},
    },
  ]
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const lab = await createLab({ nodes: 2, trivium: [process.execPath, CLI] })
  const callers: Caller[] = []
  try {
    const [first, second] = lab.nodes.map((node) => openCaller(node))
    if (first === undefined || second === undefined)
      throw new Error('Cannot compare without two nodes')
    callers.push(first, second)
    const all = await roads(lab, [first, second])
    const rounds = { rounds: samples, warmUp: WARM_UP }
    const floor = await interleave(floors(first), rounds)
    const single = await interleave(
      all.map((road) => alternating(road, say)),
      rounds,
    )
    say(`${AT_ONCE} at once`)
    const groups = await interleave(all.map(atOnce), { rounds: GROUP_ROUNDS, warmUp: 1 })
    return {
      bench: 'CNI ADD and DEL of one pod, and of many at once (wall time until the last exit)',
      rows: [
        ...compare(single, REFERENCE),
        ...compare(groups, REFERENCE),
        ...compare(floor, undefined),
      ],
      notes: [
        "Timed from before the spawn to the exit, in the node's namespace, by the same helper.",
        'Mode route, embedded store with a synced commit for each ADD and DEL; the reference syncs nothing.',
      ],
    }
  } finally {
    for (const caller of callers) caller.close()
    await lab.destroy()
  }
}

export const bench: Bench = {
  about: 'CNI ADD and DEL against the reference plugins',
  unable() {
    if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
    if (!existsSync(CLI)) return 'dist/ is not built: npm run build'
    const missing = ['bridge', 'host-local'].filter(
      (name) => !existsSync(join(REFERENCE_DIR, name)),
    )
    return missing.length === 0
      ? undefined
      : `${missing.join(', ')} not in ${REFERENCE_DIR} (Debian: containernetworking-plugins)`
  },
  run: ({ samples, say }) => run(samples, say),
}
