/**
 * A node lives for months: thousands of containers come and go, and neither
 * the agent nor the store nor the kernel grows by them. Growth is a slope after
 * warm-up, not a reading.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import { cluster, inUse, settle, skip } from '../support/e2e.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const CYCLES = Number(process.env['TRIVIUM_CYCLES'] ?? (isLong ? 10_000 : 200))
const NODE_CYCLES = isLong ? 500 : 10
const TIMEOUT_MS = isLong ? 7_200_000 : 600_000
/** Readings of one run; a line is laid through those after the warm-up. */
const READINGS = 40
const WARM_UP = 0.3
/** Containers side by side. */
const SIDE_BY_SIDE = 4
/** What a slope may come to over the whole run: an allocator's and a collector's moods. */
const RSS_BYTES_MAX = 12 * 2 ** 20
const STORE_BYTES_MAX = 256 * 1024

interface Reading {
  readonly cycle: number
  readonly rssBytes: number
  readonly storeBytes: number
  readonly fds: number
  readonly netlinkSockets: number
  readonly threads: number
}

type Amount = Exclude<keyof Reading, 'cycle'>

t.test('containers come and go', { skip, timeout: TIMEOUT_MS }, async (t) => {
  const { lab, nodes, agents } = await cluster(t, { nodes: 1 })
  const [node] = nodes
  const [agent] = agents
  if (node === undefined || agent === undefined) throw new Error('There is no node')
  const pods = await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => lab.addPod(node)))
  await cycles(lab, pods, SIDE_BY_SIDE * 5, {})
  const idle = await dumpNetns(node.netns)
  const first = await read(lab, node, agent, 0)

  const readings: Reading[] = []
  for (let done = 0; done < CYCLES; ) {
    const more = Math.ceil(CYCLES / READINGS)
    await cycles(lab, pods, more, {})
    done += more
    readings.push(await read(lab, node, agent, done))
  }
  judge(t, first, readings)

  const before = await read(lab, node, agent, CYCLES)
  await cycles(lab, pods, NODE_CYCLES, { TRIVIUM_NO_AGENT: '1' })
  const after = await read(lab, node, agent, CYCLES + NODE_CYCLES)
  const title = `${NODE_CYCLES} cycles of the Node entry beside it`
  t.equal(after.fds, before.fds, `${title}: descriptors`)
  t.equal(after.netlinkSockets, before.netlinkSockets, `${title}: netlink sockets`)
  t.ok(after.storeBytes - before.storeBytes <= STORE_BYTES_MAX, `${title}: the store`, {
    before: before.storeBytes,
    after: after.storeBytes,
  })
  const left = await settle(async () => compareDumps(idle, await dumpNetns(node.netns)))
  t.strictSame(left, [], 'the kernel holds what it held')
  t.equal(await inUse(lab), 0, 'no address is in use')
})

/** ADD and DEL, `count` of them all together. */
async function cycles(
  lab: Lab,
  pods: readonly LabPod[],
  count: number,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  let left = count
  const worker = async (pod: LabPod, index: number): Promise<void> => {
    while (left > 0) {
      left -= 1
      const containerId = `cycle-${index}-${left}`
      for (const verb of ['ADD', 'DEL']) {
        const { status, stdout } = await lab.cni(verb, { ...pod, containerId }, {}, env)
        if (status !== 0) throw new Error(`${verb} of ${containerId} failed: ${stdout}`)
      }
    }
  }
  await Promise.all(pods.map(worker))
}

async function read(lab: Lab, node: LabNode, { pid }: LabAgent, cycle: number): Promise<Reading> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  const sockets = await must(inNetns(node.netns, ['cat', '/proc/net/netlink']))
  return {
    cycle,
    rssBytes: field('VmRSS') * 1024,
    threads: field('Threads'),
    storeBytes: statSync(join(lab.storeUrl.replace(/^lmdb:/, ''), 'data.mdb')).size,
    fds: readdirSync(`/proc/${pid}/fd`).length,
    netlinkSockets: sockets.trim().split('\n').length - 1,
  }
}

function judge(t: Test, first: Reading, readings: readonly Reading[]): void {
  const warm = readings.slice(Math.floor(readings.length * WARM_UP))
  for (const amount of ['rssBytes', 'storeBytes', 'fds', 'netlinkSockets', 'threads'] as const) {
    const row = readings.map((reading) => reading[amount])
    t.comment(
      `${amount}: ${first[amount]} at first, then ${row.filter((_, i) => i % 8 === 7).join(' ')}`,
    )
  }
  for (const amount of ['fds', 'netlinkSockets', 'threads'] as const) {
    t.ok(Math.abs(growth(warm, amount)) < 1, `${amount} do not grow`, { warm })
  }
  t.ok(growth(warm, 'storeBytes') <= STORE_BYTES_MAX, 'the store does not grow', { warm })
  // A few hundred cycles are still warm-up to a collector.
  if (isLong) t.ok(growth(warm, 'rssBytes') <= RSS_BYTES_MAX, 'memory does not grow', { warm })
}

/** Over all readings, by the line of least squares. */
function growth(readings: readonly Reading[], amount: Amount): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, each) => sum + each, 0) / values.length
  const x = readings.map(({ cycle }) => cycle)
  const y = readings.map((reading) => reading[amount])
  const [mx, my] = [mean(x), mean(y)]
  const across = x.reduce((sum, each, index) => sum + (each - mx) * ((y[index] ?? my) - my), 0)
  const slope = across / x.reduce((sum, each) => sum + (each - mx) ** 2, 0)
  return slope * ((x.at(-1) ?? 0) - (x[0] ?? 0))
}
