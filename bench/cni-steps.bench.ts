/**
 * Where each microsecond of an ADD and a DEL goes: the agent's own clock by step
 * (as in its log), the launcher's way there and back, and under each step what
 * the kernel needs for the same messages.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CLI, openGround, unable } from './cni.bench.ts'
import { call, OURS } from './cni-roads.ts'
import { type Bench, compare, type Report, type Sample } from './harness.ts'

const SETTLE_MS = 40
const WARM_UP = 10

/** What the agent logs of one call. */
interface CallLine {
  readonly event?: string
  readonly verb?: string
  readonly ms?: number
  readonly steps?: Readonly<Record<string, number>>
}

const parsed = (line: string): CallLine => {
  try {
    return JSON.parse(line) as CallLine
  } catch {
    return {}
  }
}

/** One line of the agent's log as samples; `wholeMs` is what the runtime waited. */
function samplesOf({ verb, ms = Number.NaN, steps = {} }: CallLine, wholeMs: number): Sample {
  const own = Object.entries(steps).map(([step, each]) => [`${verb} ${step}`, each] as const)
  return {
    [`${verb} whole`]: wholeMs,
    ...Object.fromEntries(own),
    [`${verb} the agent, all steps`]: ms,
    [`${verb} spawn, launcher, socket, exit`]: wholeMs - ms,
  }
}

async function run(rounds: number, say: (text: string) => void): Promise<Report> {
  const ground = await openGround(1, [process.execPath, CLI])
  try {
    const road = ground.roads.find(({ name }) => name === OURS)
    if (road === undefined) throw new Error('Cannot time steps without our road')
    const whole: number[] = []
    const kernel: Sample[] = []
    const spawn: Sample[] = []
    for (let round = 0; round < WARM_UP + rounds; round++) {
      if (round % 20 === 0) say(`round ${round}`)
      await sleep(SETTLE_MS)
      const added = await call(road, 'ADD', road.pods, `${round}`)
      await sleep(SETTLE_MS)
      const removed = await call(road, 'DEL', road.pods, `${round}`, added.results)
      whole.push(added.ms, removed.ms)
      await sleep(SETTLE_MS)
      const floor = await ground.kernel.ask({ do: 'pod', path: ground.pod.netnsPath })
      const bare = { command: ['/bin/true'], env: {}, input: '' }
      const { ms } = await road.caller.ask([bare])
      if (round < WARM_UP) continue
      kernel.push(Object.fromEntries(Object.entries(floor).map(([k, v]) => [`kernel ${k}`, v])))
      spawn.push({ 'spawn and exit of /bin/true': ms })
    }
    await sleep(SETTLE_MS)
    const lines = ground.agent
      .log()
      .split('\n')
      .map(parsed)
      .filter(({ event, verb }) => event === 'cni' && (verb === 'ADD' || verb === 'DEL'))
    const counted = lines.map((line, index) => ({ line, wholeMs: whole[index] ?? Number.NaN }))
    const samples = counted.slice(2 * WARM_UP).map(({ line, wholeMs }) => samplesOf(line, wholeMs))
    const of = (verb: string): readonly Sample[] =>
      samples.filter((sample) => `${verb} whole` in sample)
    const table = new Map([
      [OURS, of('ADD')],
      [`${OURS} `, of('DEL')],
      ['the same netlink messages', kernel],
      ['floor', spawn],
    ])
    return {
      bench: 'Where the time of an ADD and a DEL goes (steps as in the agent’s log)',
      rows: compare(table, undefined),
      notes: [
        'store: the transaction until its commit is on disk, and the link, which is made meanwhile; pair: what is left of the link; pod, node: addresses, guards and routes.',
        'unlink ends with RTM_DELLINK, when both ends are gone; the kernel acknowledges 13 to 20 ms later.',
      ],
    }
  } finally {
    await ground.destroy()
  }
}

export const bench: Bench = {
  about: 'where the time of an ADD and a DEL goes, step by step',
  unable,
  run: ({ samples, say }) => run(samples, say),
}
