/**
 * A node lives for months: thousands of containers come and go, and neither
 * the agent nor the store nor the kernel grows by them.
 *
 * Growth is told from readings after the garbage was collected: how much the
 * median of the last quarter lies above that of the quarter before, a cycle.
 *
 *     TRIVIUM_CYCLES=3000   so many cycles
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pluginConfig } from '../../src/lab/cni.ts'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import { callAgent } from '../../src/live/agent-client.ts'
import { builtCli, cluster, inUse, ROOT, settle, skip } from '../support/e2e.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const CYCLES = Number(process.env['TRIVIUM_CYCLES'] ?? (isLong ? 10_000 : 200))
const NODE_CYCLES = isLong ? 500 : 10
const TIMEOUT_MS = isLong ? 7_200_000 : 600_000
const READINGS = 40
/** Fewer cycles are still warm-up: to a compiler, a collector, an allocator. */
const TELLING_CYCLES_MIN = 5000
/** Containers side by side. */
const SIDE_BY_SIDE = 4
/** Of the cycles, one in so many by launchers: a process a verb is ours to start, not the agent's to keep. */
const BY_LAUNCHER = 10
/** What a cycle may leave in the collected heap and beside it. After 2 500 it is 150 bytes of compiled code. */
const HEAP_BYTES_MAX = 512
/** Pages come and go with the allocator: 400 bytes a cycle after 2 500, and less and less. */
const RSS_BYTES_MAX = 1000
const STORE_BYTES_MAX = 256 * 1024

interface Reading {
  readonly cycle: number
  readonly heapUsed: number
  /** Buffers and what else JavaScript holds outside its heap. */
  readonly external: number
  readonly rss: number
  readonly storeBytes: number
  readonly fds: number
  readonly netlinkSockets: number
  readonly threads: number
  /** Lines of the metrics' page: one a combination of labels. */
  readonly series: number
}

type Amount = Exclude<keyof Reading, 'cycle'>

/** A socket more is opened once more calls meet than ever before, and stays. */
const STEADY_MAX = 2
/**
 * What happens for the first time in a run, like a kind of round that only a busy machine has, is
 * some lines more, once. A line a container would be fifty a quarter.
 */
const SERIES_MAX = 12
/** An agent at rest has no round due for so long. */
const REST_MS = 500
/** What there is as often after thousands of cycles as before. */
const STEADY = ['fds', 'netlinkSockets', 'threads', 'series'] as const

t.test('containers come and go', { skip, timeout: TIMEOUT_MS }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'trv-cycles-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const heapFile = join(dir, 'heap.json')
  process.env['TRIVIUM_HEAP_FILE'] = heapFile
  const [node = '', ...program] = builtCli()
  const probe = join(ROOT, 'test', 'support', 'heap-probe.cjs')
  const trivium = [node, '--require', probe, ...program]
  const page = join(dir, 'metrics.sock')
  const { lab, nodes } = await cluster(t, { nodes: 1, agents: false, trivium })
  const [host] = nodes
  if (host === undefined) throw new Error('There is no node')
  const agent = await lab.startAgent(host, '--metrics', `unix:${page}`)
  const scene: Scene = { lab, host, agent, heapFile, page }
  const pods = await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => lab.addPod(host)))
  await cycles(lab, pods, SIDE_BY_SIDE * 5)
  const idle = await atRest(host)
  const first = await read(scene, 0)

  const readings: Reading[] = []
  for (let done = 0; done < CYCLES; ) {
    const more = Math.ceil(CYCLES / READINGS)
    await cycles(lab, pods, more)
    done += more
    readings.push(await read(scene, done))
  }
  judge(t, first, readings)

  const before = await read(scene, CYCLES)
  await cycles(lab, pods, NODE_CYCLES, { TRIVIUM_NO_AGENT: '1' })
  const after = await read(scene, CYCLES + NODE_CYCLES)
  const title = `${NODE_CYCLES} cycles of the Node entry beside it`
  for (const amount of ['fds', 'netlinkSockets'] as const) {
    const more = Math.abs(after[amount] - before[amount])
    t.ok(more <= STEADY_MAX, `${title}: ${amount}`, { before, after })
  }
  t.ok(after.storeBytes - before.storeBytes <= STORE_BYTES_MAX, `${title}: the store`, {
    before: before.storeBytes,
    after: after.storeBytes,
  })
  const left = await settle(async () => compareDumps(idle, await dumpNetns(host.netns)))
  t.strictSame(left, [], 'the kernel holds what it held')
  t.equal(await inUse(lab), 0, 'no address is in use')
})

/** The node's kernel when the agent has nothing more to do: the way to a new block comes a round later. */
async function atRest({ netns }: LabNode): Promise<Awaited<ReturnType<typeof dumpNetns>>> {
  let last = await dumpNetns(netns)
  await settle(async () => {
    await sleep(REST_MS)
    const before = last
    last = await dumpNetns(netns)
    return compareDumps(before, last)
  })
  return last
}

interface Scene {
  readonly lab: Lab
  readonly host: LabNode
  readonly agent: LabAgent
  readonly heapFile: string
  /** Where the agent's metrics are. */
  readonly page: string
}

/** ADD and DEL, `count` of them all together; with variables, by launchers only. */
async function cycles(
  lab: Lab,
  pods: readonly LabPod[],
  count: number,
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  let left = count
  const worker = async (pod: LabPod, index: number): Promise<void> => {
    while (left > 0) {
      left -= 1
      const one = { ...pod, containerId: `cycle-${index}-${left}` }
      const byLauncher = env !== undefined || left % BY_LAUNCHER === 0
      for (const verb of ['ADD', 'DEL']) {
        const said = byLauncher ? await lab.cni(verb, one, {}, env) : await ask(verb, one)
        const status = 'status' in said ? said.status : said.exitStatus
        if (status !== 0) throw new Error(`${verb} of ${one.containerId} failed: ${said.stdout}`)
      }
    }
  }
  await Promise.all(pods.map(worker))
}

/** Says what a launcher says, without a process for it. */
function ask(verb: string, { node, containerId, netnsPath }: LabPod) {
  const { dev, ino } = statSync(netnsPath, { bigint: true })
  const [file = ''] = readdirSync(node.confDir).sort()
  return callAgent(node.socketPath, {
    plugin: 'trivium',
    callerPid: process.pid,
    netns: { dev, ino },
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netnsPath,
      CNI_IFNAME: 'eth0',
      CNI_PATH: node.binDir,
    },
    config: JSON.stringify(pluginConfig(join(node.confDir, file))),
  })
}

async function read(scene: Scene, cycle: number): Promise<Reading> {
  const { lab, host, agent, page } = scene
  const { pid } = agent
  const memory = await collected(scene)
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const sockets = await must(inNetns(host.netns, ['cat', '/proc/net/netlink']))
  const metrics = await must(['curl', '-sf', '--unix-socket', page, 'http://agent/metrics'])
  return {
    cycle,
    ...memory,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]),
    storeBytes: statSync(join(lab.storeUrl.replace(/^lmdb:/, ''), 'data.mdb')).size,
    fds: readdirSync(`/proc/${pid}/fd`).length,
    netlinkSockets: sockets.trim().split('\n').length - 1,
    series: metrics.trim().split('\n').length,
  }
}

/** What is left of the agent's memory once its garbage is gone. */
async function collected({
  agent,
  heapFile,
}: Scene): Promise<Pick<Reading, 'heapUsed' | 'external' | 'rss'>> {
  rmSync(heapFile, { force: true })
  process.kill(agent.pid, 'SIGUSR2')
  let said = ''
  const left = await settle(() => {
    try {
      said = readFileSync(heapFile, 'utf8')
      return []
    } catch {
      return ['The agent does not tell of its heap']
    }
  })
  if (left.length > 0) throw new Error(left.join())
  const { heapUsed, external, rss } = JSON.parse(said) as Reading
  return { heapUsed, external, rss }
}

function judge(t: Test, first: Reading, readings: readonly Reading[]): void {
  const bounds = { heapUsed: HEAP_BYTES_MAX, external: HEAP_BYTES_MAX, rss: RSS_BYTES_MAX }
  for (const amount of [...Object.keys(bounds), 'storeBytes', ...STEADY] as Amount[]) {
    const row = readings.map((reading) => reading[amount])
    const some = row.filter((_, index) => index % 8 === 7).join(' ')
    t.comment(`${amount}: ${first[amount]} at first, then ${some}`)
    t.comment(`${amount}: ${growth(readings, amount).toFixed(1)} a cycle`)
  }
  for (const amount of STEADY) {
    const { more } = lastQuarter(readings, amount)
    const bound = amount === 'series' ? SERIES_MAX : STEADY_MAX
    t.ok(Math.abs(more) <= bound, `${amount} do not grow`, { readings })
  }
  const grown = growth(readings, 'storeBytes') * CYCLES
  t.ok(grown <= STORE_BYTES_MAX, 'the store does not grow', { readings })
  if (CYCLES < TELLING_CYCLES_MIN) return
  for (const [amount, bound] of Object.entries(bounds) as [keyof typeof bounds, number][]) {
    t.ok(growth(readings, amount) <= bound, `${amount} grows by ${bound} bytes a cycle at most`, {
      readings,
    })
  }
}

/** A cycle. */
function growth(readings: readonly Reading[], amount: Amount): number {
  const { more, cycles } = lastQuarter(readings, amount)
  return more / cycles
}

/** What the last quarter has more than the one before, each by its median, and cycles between them. */
function lastQuarter(
  readings: readonly Reading[],
  amount: Amount,
): { readonly more: number; readonly cycles: number } {
  const quarter = Math.floor(readings.length / 4)
  const median = (of: readonly Reading[], what: keyof Reading): number =>
    [...of].map((each) => each[what]).sort((a, b) => a - b)[of.length >> 1] ?? 0
  const third = readings.slice(-2 * quarter, -quarter)
  const last = readings.slice(-quarter)
  return {
    more: median(last, amount) - median(third, amount),
    cycles: median(last, 'cycle') - median(third, 'cycle'),
  }
}
