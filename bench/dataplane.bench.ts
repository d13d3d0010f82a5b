/**
 * What each road does with packets: two nodes, pod to pod, beside a bare veth
 * pair, the host's own network and the reference plugins with a static route.
 *
 * Every measure goes through all roads before the next one, in an order that
 * rotates with the rounds; each road is compared with bare veth of the same
 * round, so that a slow minute of the machine divides out.
 *
 *     TRIVIUM_BENCH_DATAPLANE=route,vlan npm run bench -- dataplane     these roads only
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startProgress } from '../src/cli/progress.ts'
import { CLI } from './cni.bench.ts'
import { REFERENCE_DIR } from './cni-roads.ts'
import { type Findings, findingsOf, type Turn } from './dataplane/figures.ts'
import { htmlReport } from './dataplane/html.ts'
import { busyShare } from './dataplane/read.ts'
import { markdownTable, textReport } from './dataplane/text.ts'
import { buildRoads, type Ends } from './dataplane-lab.ts'
import { buildEcho, cpuTime, type Probe, probesOf, startServers } from './dataplane-probes.ts'
import type { Bench, Report } from './harness.ts'

const ROUNDS_MAX = 8
const WARM_UP = 1
/** How long is looked at what others do, once a round. */
const LOOK_MS = 300

async function measure(ends: readonly Ends[], probes: readonly Probe[], rounds: number) {
  const turns = new Map<string, Turn[]>(ends.map(({ road }) => [road.id, []]))
  const othersBusy: number[] = []
  const progress = startProgress()
  const all = (WARM_UP + rounds) * probes.length * ends.length
  let done = 0
  try {
    for (let round = 0; round < WARM_UP + rounds; round++) {
      const before = cpuTime()
      await sleep(LOOK_MS)
      const busy = busyShare(before, cpuTime())
      const found = new Map<string, Partial<Turn>>()
      for (const probe of probes) {
        for (let turn = 0; turn < ends.length; turn++) {
          const pair = ends[(round + turn) % ends.length]
          if (pair === undefined) continue
          progress.tell(`round ${round + 1}: ${pair.road.name}`, done / all)
          found.set(pair.road.id, { ...found.get(pair.road.id), ...(await probe(pair)) })
          done += 1
        }
      }
      if (round < WARM_UP) continue
      othersBusy.push(busy)
      for (const [id, turn] of found) turns.get(id)?.push(turn as Turn)
    }
  } finally {
    progress.end()
  }
  return { turns, othersBusy }
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const dir = mkdtempSync(join(tmpdir(), 'trv-bench-dataplane-'))
  const ends: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
  try {
    const echo = join(dir, 'echo')
    await buildEcho(echo)
    const roads = await buildRoads([process.execPath, CLI], say)
    ends.push(() => roads.destroy())
    const servers = await startServers(roads.ends, echo)
    ends.push(() => servers.close())
    const rounds = Math.min(samples, ROUNDS_MAX)
    say(`${rounds} rounds of ${roads.ends.length} roads`)
    const measured = await measure(roads.ends, probesOf(echo, servers), rounds)
    const mtuBytes = new Map(roads.ends.map((each) => [each.road.id, each.mtuBytes]))
    const findings = findingsOf({ ...measured, mtuBytes, lacks: roads.lacks })
    return { bench: 'The roads, pod to pod', rows: [], notes: [], findings }
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

const findingsIn = (report: Report): Findings => report.findings as Findings

function unable(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
  if (!existsSync(CLI)) return 'dist/ is not built: npm run build'
  if (!existsSync('/usr/bin/iperf3')) return 'there is no iperf3 (Debian: iperf3)'
  if (!existsSync(join(REFERENCE_DIR, 'bridge'))) {
    return 'there are no reference plugins (Debian: containernetworking-plugins)'
  }
  try {
    execFileSync('cc', ['--version'])
  } catch {
    return 'there is no C compiler (Debian: gcc)'
  }
  return undefined
}

export const bench: Bench = {
  about: 'packets: each road, bare veth, the host’s network and the reference plugins',
  unable,
  run: ({ samples, say }) => run(samples, say),
  formats: {
    text: (report) => textReport(findingsIn(report)),
    markdown: (report) => markdownTable(findingsIn(report)),
    html: (report, origin) => htmlReport(findingsIn(report), origin),
  },
}
