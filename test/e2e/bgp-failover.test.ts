/**
 * What is lost when something of BGP dies under a hundred echoes a second: a table, of
 * long runs only.
 */
import t, { type Test } from 'tap'
import type { LabAgent, LabNode } from '../../src/lab/lab.ts'
import { type BgpLab, type BgpLabOptions, bgpLab, birdMissing } from '../support/bgp-lab.ts'
import { type RunningPod, reaches } from '../support/dataplane.ts'
import { type Json, settle, skip, sleep } from '../support/e2e.ts'
import { echoTraffic } from '../support/traffic.ts'

const missing = skip === false ? birdMissing() : skip
const isLong = process.env['TRIVIUM_LONG'] === '1'
if (missing !== undefined || !isLong) {
  t.plan(0, missing ?? 'of long runs: TRIVIUM_LONG=1')
  process.exit(0)
}
t.setTimeout(1_800_000)

/** What is away comes back after so long. */
const AWAY_MS = 3000
/** Longer than any timer of these labs. */
const SETTLED_MS = 15_000
const HOLD_SECONDS = 9

interface Running {
  readonly lab: BgpLab
  readonly agents: Map<string, LabAgent>
}

interface Fault {
  readonly name: string
  readonly routers?: 1 | 2
  readonly nodes?: number
  readonly settings?: readonly string[]
  /** Numbers of the nodes that have agents and, but for the first `reflectors`, pods. */
  readonly used?: readonly number[]
  readonly reflectors?: number
  run(running: Running): Promise<void>
}

const nodeOf = ({ lab }: Running, number: number): LabNode => {
  const node = lab.nodes[number - 1]
  if (node === undefined) throw new Error(`no node ${number}`)
  return node
}

async function killAgent(running: Running, number: number, awayMs = AWAY_MS): Promise<void> {
  const node = nodeOf(running, number)
  await running.agents.get(node.name)?.kill()
  await sleep(awayMs)
  running.agents.set(node.name, await running.lab.start(node))
}

const FAULTS: readonly Fault[] = [
  { name: 'agent killed, back after 3 s', run: (running) => killAgent(running, 1) },
  {
    name: 'agent ended and started',
    async run(running) {
      await running.agents.get('n1')?.stop()
      running.agents.set('n1', await running.lab.start(nodeOf(running, 1)))
    },
  },
  {
    name: "a rack's only BIRD killed, back after 3 s",
    async run({ lab }) {
      await lab.routers[0]?.kill()
      await sleep(AWAY_MS)
      await lab.routers[0]?.start(true)
    },
  },
  {
    name: 'one BIRD of two killed, and not back',
    routers: 2,
    run: async ({ lab }) => lab.routers[0]?.kill(),
  },
  {
    name: 'one of two routers cut off silently',
    routers: 2,
    run: async ({ lab }) => lab.routers[0]?.cut(),
  },
  {
    name: 'the only reflector’s agent killed, back after 3 s',
    nodes: 5,
    used: [1, 3, 5],
    reflectors: 1,
    run: (running) => killAgent(running, 1),
  },
  {
    name: 'one reflector’s agent of two killed, back after 3 s',
    nodes: 7,
    used: [1, 3, 5, 7],
    reflectors: 2,
    run: (running) => killAgent(running, 1),
  },
]

interface Way {
  /** `graceful`: the router keeps the routes of a node that BFD lost, as of one that restarts. */
  readonly bfd: 'none' | 'hard' | 'graceful'
  readonly restart: boolean
}

const optionsOf = (
  { routers = 1, nodes = 2, reflectors = 0 }: Fault,
  { bfd, restart }: Way,
): BgpLabOptions => ({
  routers,
  nodes,
  restart,
  holdSeconds: HOLD_SECONDS,
  bfdMs: bfd === 'none' ? 0 : 100,
  bfdIsGraceful: bfd === 'graceful',
  settings: [
    ...(restart ? [] : ['--restart', 'off']),
    ...(bfd === 'none' ? [] : ['--bfd', '100x3']),
    ...(reflectors > 0 ? ['--sessions', 'reflectors'] : []),
  ],
  peer: bfd === 'none' ? [] : ['--bfd', '100x3'],
})

interface Row extends Way {
  readonly fault: string
  readonly sent: number
  /** Of the whole stream: a loaded machine sends fewer than a hundred a second. */
  readonly seconds: number
  readonly lost: readonly number[]
}

/** A router that cannot reach the node keeps its routes, and goes on drawing packets for it. */
const isEndless = ({ name }: Fault, { bfd }: Way): boolean =>
  name.includes('cut off') && bfd === 'graceful'

async function measure(t: Test, fault: Fault, way: Way): Promise<Row> {
  const lab = await bgpLab(t, optionsOf(fault, way))
  const { used = [1, 2], reflectors = 0 } = fault
  const running: Running = { lab, agents: new Map() }
  for (const number of used) {
    const node = nodeOf(running, number)
    running.agents.set(node.name, await lab.start(node))
  }
  for (const number of used.slice(0, reflectors)) {
    await lab.trivium('bgp', 'node', `n${number}`, '--reflector')
  }
  const pods: RunningPod[] = []
  for (const number of used.slice(reflectors)) pods.push(await lab.pod(nodeOf(running, number)))
  const left = await settle(() => reaches(pods, pods, true), 60_000)
  t.strictSame(left, [], 'pods reach each other before')
  // Every session is up, with what it knows, and those of before are gone.
  await sleep(AWAY_MS)
  const last = nodeOf(running, used.at(-1) ?? 1)
  const wanted = reflectors === 0 ? used.length : reflectors + 2
  const sessions = async (): Promise<readonly string[]> => {
    const peers = JSON.parse(await lab.bgp(last, 'peers', '-o', 'json')) as Json[]
    return reflectors === 0 || peers.length === wanted
      ? []
      : [`${peers.length} peers, not ${wanted}`]
  }
  t.strictSame(await settle(sessions, 60_000), [], 'only those that are wanted')
  const traffic = await echoTraffic(t, pods)
  const startedMs = performance.now()
  await sleep(1000)
  await fault.run(running)
  await sleep(SETTLED_MS)
  const apart = await settle(() => reaches(pods, pods, true), isEndless(fault, way) ? 1000 : 30_000)
  t.equal(apart.length > 0, isEndless(fault, way), `and afterwards: ${apart.join()}`)
  const lost = await traffic.stop()
  const seconds = (performance.now() - startedMs) / 1000
  for (const agent of running.agents.values()) await agent.stop()
  for (const router of lab.routers) await router.kill()
  return {
    ...way,
    fault: fault.name,
    sent: lost[0]?.sent ?? 0,
    seconds,
    lost: lost.map((each) => each.lost),
  }
}

const WAYS: readonly Way[] = [
  { bfd: 'none', restart: true },
  { bfd: 'none', restart: false },
  { bfd: 'hard', restart: true },
  { bfd: 'graceful', restart: true },
  { bfd: 'hard', restart: false },
]

const BFD_WORDS = {
  none: `hold time ${HOLD_SECONDS} s`,
  hard: 'BFD',
  graceful: 'graceful BFD',
} as const

const wordsOf = ({ bfd, restart }: Way): string =>
  `${BFD_WORDS[bfd]}, ${restart ? 'restart' : 'no restart'}`

const only = process.env['TRIVIUM_FAILOVER'] ?? ''
const rows: Row[] = []
for (const fault of FAULTS) {
  for (const way of WAYS) {
    const name = `${fault.name}, ${wordsOf(way)}`
    if (!name.includes(only)) continue
    t.test(name, async (t) => {
      const row = await measure(t, fault, way)
      rows.push(row)
      t.comment(`${name}: lost ${row.lost.join(' ')} of ${row.sent} each`)
    })
  }
}
t.test('the table', async (t) => {
  const cell = (fault: string, way: Way): string => {
    const row = rows.find(
      (each) => each.fault === fault && each.bfd === way.bfd && each.restart === way.restart,
    )
    if (row === undefined) return '-'
    const [least, most] = [Math.min(...row.lost), Math.max(...row.lost)]
    const away = ((most / row.sent) * row.seconds).toFixed(1)
    return most === 0 ? '0' : `${least === most ? most : `${least} to ${most}`} (${away} s)`
  }
  t.comment(`| what happened | ${WAYS.map(wordsOf).join(' | ')} |`)
  t.comment(`|---|${WAYS.map(() => '---|').join('')}`)
  for (const { name } of FAULTS)
    t.comment(`| ${name} | ${WAYS.map((way) => cell(name, way)).join(' | ')} |`)
  t.pass()
})
