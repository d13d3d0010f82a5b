/**
 * CNI ADD and DEL: through launcher and agent, through the Node entry, and by
 * the reference plugins bridge and host-local, in one lab and one interleaved
 * run; with the floors that none of them can go below.
 *
 * Nothing is made in advance: no pool of pairs, no addresses. What a warm agent
 * has, it has from serving (a compiled program and open sockets).
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLab, type Lab, type LabAgent, type LabPod } from '../src/lab/lab.ts'
import { type Call, type Caller, openCaller } from './cni-caller.ts'
import type { Ask, Told } from './cni-kernel.ts'
import {
  addAndDelete,
  buildRoads,
  call,
  dumpAll,
  NODE_ENTRY,
  podsOn,
  REFERENCE,
  REFERENCE_DIR,
  type Road,
} from './cni-roads.ts'
import {
  type Bench,
  compare,
  interleave,
  type Report,
  type Row,
  type Sample,
  type Variant,
} from './harness.ts'
import { type Helper, openHelper } from './netns-helper.ts'

export const CLI = join(import.meta.dirname, '..', 'dist', 'cli.cjs')
/** The kernel takes apart a removed pair up to 20 ms after it is gone. */
const SETTLE_MS = 40
const AT_ONCE = 100
const GROUP_ROUNDS = 8
const WARM_UP = 5
/** What the Node entry may cost beyond an empty Node. */
const ENTRY_MS = 30

type Say = (text: string) => void

/** Keeps a road that fails from ending the bench: said once, and left out from there on. */
function surviving(
  name: string,
  faults: string[],
  turn: (round: number) => Promise<Sample>,
): Variant {
  let isOut = false
  return {
    name,
    async run(round) {
      if (isOut) return {}
      try {
        return await turn(round)
      } catch (thrown) {
        isOut = true
        faults.push(`${name} is out since round ${round}: ${(thrown as Error).message}`)
        return {}
      }
    },
  }
}

/** A dump of a road's node at rest: taken once its first pod has come and gone. */
function restOf(road: Road, pods: readonly LabPod[]): () => ReturnType<typeof dumpAll> {
  let known: ReturnType<typeof dumpAll> | undefined
  return () => {
    known ??= dumpAll(road, pods)
    return known
  }
}

function alternating(road: Road, say: Say, faults: string[]): Variant {
  const pods = road.pods.slice(0, 1)
  const rest = restOf(road, pods)
  return surviving(road.name, faults, async (round) => {
    if (round % 20 === 0) say(`${road.name}: round ${round}`)
    const pause = (): Promise<void> => sleep(SETTLE_MS)
    const { addMs, delMs } = await addAndDelete(road, pods, `${round}`, await rest(), pause)
    return { ADD: addMs, DEL: delMs }
  })
}

function atOnce(road: Road, faults: string[]): Variant {
  const rest = restOf(road, road.pods)
  return surviving(road.name, faults, async (round) => {
    const pause = (): Promise<void> => sleep(6 * SETTLE_MS)
    const group = `group-${round}`
    const { addMs, delMs } = await addAndDelete(road, road.pods, group, await rest(), pause)
    return { [`${AT_ONCE} ADD at once`]: addMs, [`${AT_ONCE} DEL at once`]: delMs }
  })
}

/** The first pod of a node makes what stays: blocks claimed, the reference's bridge. */
async function firstPods(roads: readonly Road[]): Promise<void> {
  for (const road of roads) {
    const pods = road.pods.slice(0, 1)
    const { results } = await call(road, 'ADD', pods, 'first')
    await call(road, 'DEL', pods, 'first', results)
    await sleep(6 * SETTLE_MS)
  }
}

interface Ground {
  readonly lab: Lab
  readonly roads: readonly Road[]
  readonly caller: Caller
  readonly kernel: Helper<Ask, Told>
  readonly pod: LabPod
  readonly socket: string
}

/** What cannot be gone below: starting programs, the launcher's way, the kernel's own work. */
function floors({ caller, kernel, pod, socket, roads }: Ground): readonly Variant[] {
  const empty = { PATH: '/usr/bin:/bin' }
  const times = (count: number, one: Call): Promise<number> =>
    caller.ask(Array.from({ length: count }, () => one)).then(({ ms }) => ms)
  const floor = (name: string, command: readonly string[], groups: boolean): Variant => ({
    name,
    async run(round) {
      const one = { command, env: empty, input: '{}' }
      const isGroup = groups && round % 8 === 0
      return {
        'floor: one process': await times(1, one),
        ...(isGroup ? { [`floor: ${AT_ONCE} processes`]: await times(AT_ONCE, one) } : {}),
      }
    },
  })
  const [road] = roads
  const launcher: Call = {
    command: [join(road?.binDir ?? '', 'trivium')],
    env: { ...empty, CNI_COMMAND: 'ADD', TRIVIUM_SOCKET: socket },
    input: JSON.stringify(road?.config),
  }
  return [
    floor('/bin/true', ['/bin/true'], true),
    floor('node -e 0', [process.execPath, '-e', '0'], false),
    {
      name: 'launcher + an agent that answers at once',
      async run(round) {
        return {
          'floor: one process': await times(1, launcher),
          ...(round % 8 === 0
            ? { [`floor: ${AT_ONCE} processes`]: await times(AT_ONCE, launcher) }
            : {}),
        }
      },
    },
    {
      name: 'the same netlink messages',
      async run() {
        await sleep(SETTLE_MS)
        const { ADD = Number.NaN, DEL = Number.NaN } = await kernel.ask({
          do: 'pod',
          path: pod.netnsPath,
        })
        return { 'floor: kernel, ADD': ADD, 'floor: kernel, DEL': DEL }
      },
    },
  ]
}

/** The Node entry has a yardstick of its own. */
function entryRows(rows: readonly Row[]): readonly Row[] {
  const entry = rows.find(({ what, variant }) => what === 'ADD' && variant === NODE_ENTRY)
  const node = rows.find(({ variant }) => variant === 'node -e 0')
  if (entry === undefined || node === undefined) return []
  const plus = {
    medianMs: node.medianMs + ENTRY_MS,
    p10Ms: node.p10Ms + ENTRY_MS,
    p90Ms: node.p90Ms + ENTRY_MS,
  }
  const what = 'ADD without agent'
  return [
    { ...entry, what, ratio: entry.medianMs / plus.medianMs },
    { ...node, ...plus, what, variant: `node -e 0, and ${ENTRY_MS} ms`, ratio: undefined },
  ]
}

async function measure(ground: Ground, samples: number, say: Say): Promise<Report> {
  const { roads } = ground
  const faults: string[] = []
  const rounds = { rounds: samples, warmUp: WARM_UP }
  await firstPods(roads)
  const floor = await interleave(floors(ground), rounds)
  const single = await interleave(
    roads.map((road) => alternating(road, say, faults)),
    rounds,
  )
  say(`${AT_ONCE} at once`)
  // A hundred Nodes at once would say how Node starts, not how we do.
  const many = roads.filter(({ name }) => name !== NODE_ENTRY)
  const groups = await interleave(
    many.map((road) => atOnce(road, faults)),
    { rounds: GROUP_ROUNDS, warmUp: 1 },
  )
  const floorRows = compare(floor, undefined)
  const singleRows = compare(single, REFERENCE)
  const rows = [...singleRows, ...compare(groups, REFERENCE), ...floorRows]
  return {
    bench: 'CNI ADD and DEL of one pod, and of many at once (wall time until the last exit)',
    rows: [
      ...rows.slice(0, singleRows.length),
      ...entryRows(rows),
      ...rows.slice(singleRows.length),
    ],
    notes: [
      ...faults,
      "Timed from before the spawn to the exit, in the node's namespace, by the same helper; both namespaces dumped after each verb.",
      'Mode route, embedded store with a synced commit for each ADD and DEL; the reference syncs nothing. Nothing is made in advance.',
    ],
  }
}

export interface CniGround extends Ground {
  readonly agent: LabAgent
  destroy(): Promise<void>
}

/** A lab with both sides and the floors' node. */
export async function openGround(count: number, trivium: readonly string[]): Promise<CniGround> {
  const lab = await createLab({ nodes: 3, trivium })
  const helpers: { close(): void }[] = []
  const destroy = async (): Promise<void> => {
    for (const helper of helpers) helper.close()
    await lab.destroy()
  }
  try {
    const [ours, theirs, bare] = lab.nodes
    if (ours === undefined || theirs === undefined || bare === undefined)
      throw new Error('Cannot compare without nodes')
    const first = openCaller(lab, ours)
    const second = openCaller(lab, theirs)
    const kernel: Helper<Ask, Told> = openHelper(bare.netns, 'cni-kernel.ts')
    helpers.push(first, second, kernel)
    await lab.install(ours, '--mode', 'route', '--pool', '10.42.0.0/16,block=20')
    const agent = await lab.startAgent(ours)
    const socket = join(lab.dir, 'floor.sock')
    await kernel.ask({ do: 'answer', socket })
    const [pod] = await podsOn(lab, bare, 1)
    if (pod === undefined) throw new Error('Cannot compare without a pod')
    const roads = await buildRoads(lab, [first, second], count)
    return { lab, agent, roads, caller: first, kernel, pod, socket, destroy }
  } catch (thrown) {
    await destroy()
    throw thrown
  }
}

async function run(samples: number, say: Say): Promise<Report> {
  const ground = await openGround(AT_ONCE, [process.execPath, CLI])
  try {
    return await measure(ground, samples, say)
  } finally {
    await ground.destroy()
  }
}

/** Why the CNI benches cannot run here. */
export function unable(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
  if (!existsSync(CLI)) return 'dist/ is not built: npm run build'
  if (!['/usr/bin/cc', '/usr/local/bin/cc'].some(existsSync)) return 'no C compiler (Debian: gcc)'
  const missing = ['bridge', 'host-local'].filter((name) => !existsSync(join(REFERENCE_DIR, name)))
  return missing.length === 0
    ? undefined
    : `${missing.join(', ')} not in ${REFERENCE_DIR} (Debian: containernetworking-plugins)`
}

export const bench: Bench = {
  about: 'CNI ADD and DEL against the reference plugins',
  unable,
  run: ({ samples, say }) => run(samples, say),
}
