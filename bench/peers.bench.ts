/**
 * One live node that joins a cluster of many: the time to program its kernel
 * from empty, beside the same objects by `ip -batch`, `bridge -batch` and
 * `nft -f`; the agent's start to ready; its repair after the tunnel (or every
 * route) is gone; and what a round costs when nothing is to be done.
 *
 * The effect is counted by iproute2 and nft each time.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keys } from '../ipam/keys.ts'
import { inNetns, must, run as runProgram } from '../src/lab/exec.ts'
import { type LabAgent, spawnAgent } from '../src/lab/lab.ts'
import { openStore } from '../src/live/store-url.ts'
import { transact } from '../src/live/transact.ts'
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
import { CLUSTERS, type Cluster, type Road, SELF, UNDERLAY } from './peers-cluster.ts'
import type { Ask, Told } from './peers-node.ts'

const CLI = join(import.meta.dirname, '..', 'dist', 'cli.cjs')
const ROADS = ['classic', 'lightweight', 'route'] as const
/** Peers, and how often each is repeated at most. */
const SIZES = [
  { peers: 100, rounds: 5 },
  { peers: 1000, rounds: 5 },
  { peers: 5000, rounds: 3 },
] as const
const PROGRAMS = 'ip, bridge, nft in batches'
const CLOCK_TICKS_PER_SECOND = 100 // getconf CLK_TCK, the same on every Linux
const WAIT_MS_MAX = 30_000

/** What stands in the node's namespace. */
type NodeHelper = Helper<Ask, Told>

async function addNode(netns: string): Promise<void> {
  const ip = (...args: string[]) => must(['ip', '-n', netns, ...args])
  await must(['ip', 'netns', 'add', netns])
  await ip('link', 'set', 'lo', 'up')
  await ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0')
  await ip('addr', 'add', `${UNDERLAY.ip}/${UNDERLAY.length}`, 'dev', 'eth0')
  await ip('link', 'set', 'far0', 'up')
  await ip('link', 'set', 'eth0', 'up')
}

/** What is missing of what a plan for that many peers must have put into the kernel. */
async function missing(helper: NodeHelper, road: Road, peers: number): Promise<readonly string[]> {
  const counted = await helper.ask({ do: 'count' })
  const each = road === 'classic' ? peers : 0
  const wanted = { routes: peers + 1, neighbours: each, entries: each, nodes: peers }
  return Object.entries(wanted).flatMap(([what, number]) =>
    counted[what] === number ? [] : [`${counted[what]} ${what}, wanted ${number}`],
  )
}

async function checkCount(helper: NodeHelper, road: Road, peers: number): Promise<void> {
  const left = await missing(helper, road, peers)
  if (left.length > 0) throw new Error(`Cannot trust ${road}: ${left.join(', ')}`)
}

function programming(helper: NodeHelper, road: Road, peers: number): readonly Variant[] {
  const variant = (name: string, what: 'ours' | 'theirs'): Variant => ({
    name,
    async run() {
      await helper.ask({ do: 'wipe' })
      const sample = await helper.ask({ do: what })
      await checkCount(helper, road, peers)
      if (what === 'theirs') return named(sample, road, peers)
      const rounds = await helper.ask({ do: 'round' })
      await helper.ask({ do: 'wipe' })
      return named({ ...sample, ...rounds, ...(await helper.ask({ do: 'live' })) }, road, peers)
    },
  })
  return [variant('ours', 'ours'), variant(PROGRAMS, 'theirs')]
}

const named = (sample: Told, road: Road, peers: number): Sample =>
  Object.fromEntries(
    Object.entries(sample).map(([what, ms]) => [`${road}, ${peers} peers: ${what}`, ms]),
  )

async function fillStore(storeUrl: string, { nodes, network, claims }: Cluster): Promise<void> {
  const store = openStore(storeUrl)
  await transact(store, (tx) => {
    tx.put(keys.network(network.name), network)
    for (const node of nodes) tx.put(keys.node(node.name), node)
    // The node's own block is its own to claim.
    for (const claim of claims.slice(1)) tx.put(keys.claim(network.name, claim.cidr), claim)
  })
  store.close()
}

/** Processor time of a process so far, in milliseconds. Source: proc(5), stat fields 14 and 15. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return ((Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND) * 1000
}

/** When it said that it had applied something for the last time, in Unix milliseconds. */
function lastApplied(agent: LabAgent): number {
  const line = agent
    .log()
    .split('\n')
    .findLast((each) => each.includes('"event":"applied"'))
  return line === undefined ? 0 : Date.parse((JSON.parse(line) as { time: string }).time)
}

interface Place {
  readonly netns: string
  readonly helper: NodeHelper
  readonly dir: string
}

/** The whole agent, as installed: start to ready, then a repair of everything on the tunnel. */
function wholeAgent({ netns, helper, dir }: Place, road: Road, peers: number): Variant {
  const storeUrl = `lmdb:${join(dir, `${road}-${peers}`)}`
  return {
    name: 'agent',
    async run() {
      await helper.ask({ do: 'wipe' })
      if (!existsSync(storeUrl.slice(5))) await fillStore(storeUrl, CLUSTERS[road](peers))
      const where = ['--node', SELF, '--underlay', 'eth0', '--store', storeUrl]
      const files = ['--state-dir', join(dir, 'state'), '--socket', join(dir, 'agent.sock')]
      const started = performance.now()
      const agent = await spawnAgent(
        inNetns(netns, [process.execPath, CLI, 'agent', ...where, ...files]),
      )
      try {
        const ready = performance.now() - started
        const readyCpu = cpuMs(agent.pid)
        await checkCount(helper, road, peers)
        const gone = Date.now()
        await harm(netns, road)
        let repaired = gone
        do {
          // While the kernel still takes a link apart, the first try may come too early.
          const before = repaired
          await until(() => lastApplied(agent) > before)
          repaired = lastApplied(agent)
        } while ((await missing(helper, road, peers)).length > 0)
        const sample = {
          'start to ready': ready,
          'processor time until ready': readyCpu,
          repair: repaired - gone,
          'processor time of the repair': cpuMs(agent.pid) - readyCpu,
        }
        return named(sample, road, peers)
      } finally {
        await agent.stop()
      }
    },
  }
}

async function harm(netns: string, road: Road): Promise<void> {
  if (road === 'route') await must(['ip', '-n', netns, 'route', 'flush', 'proto', '84'])
  else await must(['ip', '-n', netns, 'link', 'del', 'trvx.1'])
}

async function until(what: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  while (!what()) {
    if (performance.now() > deadline) throw new Error('Cannot time the repair: it does not come')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const netns = `trvb-${process.pid}-${randomBytes(2).toString('hex')}`
  const dir = mkdtempSync(join(tmpdir(), `${netns}-`))
  let helper: NodeHelper | undefined
  try {
    await addNode(netns)
    helper = openHelper(netns, 'peers-node.ts')
    const place: Place = { netns, helper, dir }
    const rows: Row[] = []
    const notes: string[] = []
    for (const { peers, rounds } of SIZES) {
      for (const road of ROADS) {
        say(`${road}, ${peers} peers`)
        const { objects } = await helper.ask({ do: 'plan', road, peers })
        notes.push(`${road}, ${peers} peers: ${objects} kernel objects.`)
        const times = { rounds: Math.min(samples, rounds), warmUp: 1 }
        const all = await interleave(
          [...programming(helper, road, peers), wholeAgent(place, road, peers)],
          times,
        )
        rows.push(...compare(all, PROGRAMS))
      }
    }
    return {
      bench: 'A node that joins a cluster of many peers (IPv4, one block a peer)',
      rows,
      notes: [
        ...notes,
        'Programs get the same objects as text, rendered beforehand, but for the guard of tunnels.',
        'Repair is told by the agent: from the command that does the harm, until all is applied.',
      ],
    }
  } finally {
    helper?.close()
    await runProgram(['ip', 'netns', 'del', netns])
    rmSync(dir, { recursive: true, force: true })
  }
}

export const bench: Bench = {
  about: 'a node in a cluster of 100 to 5 000 peers against ip, bridge and nft in batches',
  unable() {
    if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
    return existsSync(CLI) ? undefined : 'dist/ is not built: npm run build'
  },
  run: ({ samples, say }) => run(samples, say),
}
