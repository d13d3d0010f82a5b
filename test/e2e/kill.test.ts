/**
 * An agent that is killed in the middle of its work, with SIGKILL, leaves a node
 * that its successor completes: as if nothing had happened.
 *
 * Two sorts of moments: after the n-th change that the kernel announces, which
 * lies between two operations, and after a time, which lies anywhere from the
 * first instruction on.
 */
import '../support/on-disk.ts'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { Monitor, openNetns } from 'netlink-ts/live'
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode } from '../../src/lab/lab.ts'
import { openStore } from '../../src/live/store-url.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { cluster, settle, skip, sleep, TRIVIUM } from '../support/e2e.ts'
import { addPeers } from '../support/many-peers.ts'

const ROADS = {
  classic: ['--mode', 'vxlan'],
  lightweight: ['--mode', 'vxlan', '--flavour', 'lightweight', '--force'],
  route: ['--mode', 'route'],
} as const

const PEERS = 240
/** Enough for several batches, between which a signal finds the agent. */
const BLOCKS = 4
const POOLS = ['10.42.0.0/16', 'fd42::/64'] as const
const KILLS = process.env['TRIVIUM_LONG'] === '1' ? 200 : 12
const SEED = process.env['FC_SEED'] ?? String(Date.now())
/** Of the kills that go by the clock. */
const BY_TIME = 0.3
const READY_MS_MAX = 20_000

/** What the kernel announces in a namespace, counted. */
interface Announcements {
  count(): number
  close(): void
}

function announcements(netns: string): Announcements {
  const netnsFd = openNetns(`/run/netns/${netns}`)
  const groups = ['link', 'neigh', 'addr4', 'addr6', 'route4', 'route6'] as const
  const routes = Monitor.open({ groups, netnsFd })
  const rules = Monitor.openNft({ netnsFd })
  closeSync(netnsFd)
  let seen = 0
  return {
    count() {
      // A transaction happens as a whole, and ends with its generation.
      const transactions = rules.drain().events.filter(({ object }) => object === 'generation')
      seen += routes.drain().events.length + transactions.length
      return seen
    },
    close() {
      routes.close()
      rules.close()
    },
  }
}

interface Started {
  readonly child: ChildProcess
  readonly ready: () => boolean
  readonly ended: Promise<void>
}

function start(lab: Lab, node: LabNode): Started {
  const [program = '', ...args] = inNetns(node.netns, [
    ...TRIVIUM,
    'agent',
    ...['--node', node.name, '--store', lab.storeUrl, '--underlay', 'eth0'],
    ...['--state-dir', join(lab.dir, node.name), '--socket', node.socketPath],
  ])
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  return { child, ended, ready: () => log.includes('"event":"ready"') }
}

/** Lets an agent bring the node up, and ends it. */
async function bringUp(lab: Lab, node: LabNode): Promise<void> {
  const agent = start(lab, node)
  const left = await settle(() => (agent.ready() ? [] : ['not ready']), READY_MS_MAX)
  agent.child.kill('SIGTERM')
  await agent.ended
  if (left.length > 0) throw new Error('Cannot go on: the agent does not become ready')
}

/** The node as before any agent. */
async function wipe({ netns }: LabNode): Promise<void> {
  const links = JSON.parse(await must(['ip', '-n', netns, '-j', 'link'])) as { ifname: string }[]
  for (const { ifname } of links.filter(({ ifname }) => !/^(lo|eth0)(@|$)/.test(ifname))) {
    await must(['ip', '-n', netns, 'link', 'del', ifname])
  }
  await must(['ip', '-n', netns, '-4', 'route', 'flush', 'proto', '84'])
  await must(['ip', '-n', netns, '-6', 'route', 'flush', 'proto', '84'])
  await run(inNetns(netns, ['nft', 'flush', 'ruleset']))
  for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
    await must(inNetns(netns, ['sysctl', '-qw', `${name}=0`]))
  }
}

/** A link without MAC gets a random link-local address. */
const dumpOf = async ({ netns }: LabNode): Promise<readonly string[]> =>
  (await dumpNetns(netns)).filter((line) => !/^addr trvx\.\d+ local="fe80:/.test(line))

/** How far it came: the last in this row of which there was anything. */
const STEPS: readonly (readonly [string, RegExp])[] = [
  ['guards', /^nft /],
  ['link', /^link .*"trvx/],
  ['filter', /^vni /],
  ['address', /^addr trvx/],
  ['forwarding entry', /^fdb .*dst=/],
  ['neighbour', /^neigh /],
  ['route', /^route .*protocol="84"/],
]

function stepOf(dump: readonly string[], good: readonly string[]): string {
  if (compareDumps(good, dump).length === 0) return 'everything'
  const reached = STEPS.filter(([, pattern]) => dump.some((line) => pattern.test(line)))
  return reached.at(-1)?.[0] ?? 'nothing'
}

interface Scene {
  readonly lab: Lab
  readonly node: LabNode
  readonly good: readonly string[]
  /** Changes that the kernel announces while a node comes up, and how long that takes. */
  readonly changes: number
  readonly startMs: number
}

async function killed({ lab, node, changes, startMs }: Scene, chance: Prng): Promise<void> {
  const byTime = chance.unit() < BY_TIME
  const heard = announcements(node.netns)
  const from = performance.now()
  const agent = start(lab, node)
  if (byTime) await sleep(chance.unit() * startMs)
  else {
    // Without the event loop in between: the agent goes on while we look away.
    const wanted = 1 + chance.below(changes)
    while (heard.count() < wanted && performance.now() < from + READY_MS_MAX);
  }
  agent.child.kill('SIGKILL')
  await agent.ended
  heard.close()
}

async function sceneOf(t: Test, road: keyof typeof ROADS): Promise<Scene> {
  const { lab } = await cluster(t, { network: ROADS[road], nodes: 1, pools: POOLS, agents: false })
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  await bringUp(lab, node)
  const store = openStore(lab.storeUrl)
  await addPeers(store, 'pods', PEERS, BLOCKS)
  store.close()
  await wipe(node)
  const heard = announcements(node.netns)
  const from = performance.now()
  await bringUp(lab, node)
  const startMs = performance.now() - from
  const changes = heard.count()
  heard.close()
  return { lab, node, changes, startMs, good: await dumpOf(node) }
}

for (const road of Object.keys(ROADS) as (keyof typeof ROADS)[]) {
  t.test(`killed while it brings up ${PEERS} peers: ${road}`, { skip }, async (t) => {
    const scene = await sceneOf(t, road)
    const { lab, node, good, changes } = scene
    t.ok(good.length > 2 * PEERS, `${good.length} objects, ${changes} changes announced`)
    const chance = prng(`${SEED} ${road}`)
    const steps = new Map<string, number>()
    for (let kill = 0; kill < Math.ceil(KILLS / Object.keys(ROADS).length); kill++) {
      await wipe(node)
      await killed(scene, chance)
      const step = stepOf(await dumpOf(node), good)
      steps.set(step, (steps.get(step) ?? 0) + 1)
      await bringUp(lab, node)
      t.strictSame(compareDumps(good, await dumpOf(node)), [], `kill ${kill}: reached ${step}`)
    }
    for (const [step, times] of steps) t.comment(`FC_SEED=${SEED} reached ${step}: ${times} times`)
  })
}
