/**
 * The longest stretch in which the agent's main thread does one thing, and
 * nobody else is served: at rest among many peers, while peers come, and while
 * many pods come and go at once.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { keys } from '../ipam/keys.ts'
import { openLmdbStore } from '../ipam/lmdb-store.ts'
import { pluginConfig } from '../src/lab/cni.ts'
import { createLab, type Lab, type LabNode } from '../src/lab/lab.ts'
import { transact } from '../src/live/transact.ts'
import { macFromName, parseIp, subPrefixAt } from '../src/net/mod.ts'
import { CLI, unable } from './cni.bench.ts'
import { openCaller } from './cni-caller.ts'
import { call, OURS, podsOn, type Road } from './cni-roads.ts'
import { type Bench, compare, type Report, type Sample } from './harness.ts'

const PROBE = join(import.meta.dirname, 'cni-caller', 'stretch-probe.cjs')
const PEERS = 1000
const NEW_PEERS = 50
const AT_ONCE = 100
const ROUNDS = 5
/** A round on the timer falls into it. */
const REST_MS = 12_000
const NETWORK = 'pods'

/** Adds peers `from` to `to`, each with a block of every pool. */
async function addPeers(lab: Lab, from: number, to: number): Promise<void> {
  const store = openLmdbStore(lab.storeUrl.slice('lmdb:'.length))
  try {
    await transact(store, (tx) => {
      for (let index = from; index < to; index++) {
        const name = `peer-${index}`
        tx.put(keys.node(name), {
          name,
          underlayLink: 'eth0',
          underlayIps: [parseIp(`100.64.${index >> 8}.${index & 255}`)],
          underlayMtuBytes: 1500,
          vtepMac: macFromName(name),
          registeredMs: 0,
        })
        for (const { cidr, blockLength } of tx.get(keys.network(NETWORK))?.pools ?? []) {
          // From the far end of the pool: the agent's own blocks are at its beginning.
          const block = subPrefixAt(cidr, blockLength, BigInt(1023 - index))
          const claim = { network: NETWORK, cidr: block, pool: cidr, node: name, first: true }
          tx.put(keys.claim(NETWORK, block), { ...claim, claimedMs: 0 })
        }
      }
    })
  } finally {
    store.close()
  }
}

interface Stretch {
  readonly longestMs: number
  readonly over5: number
  /** With TRIVIUM_STRETCH_NAMES: functions in the longest ones, with milliseconds. */
  readonly ran?: readonly {
    readonly ms: number
    readonly whole: string
    readonly own: string
  }[]
}

async function readStretch(pid: number, file: string): Promise<Stretch> {
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  while (!existsSync(file)) await sleep(20)
  return JSON.parse(readFileSync(file, 'utf8')) as Stretch
}

async function run(say: (text: string) => void): Promise<Report> {
  const lab = await createLab({ nodes: 1, trivium: [process.execPath, '--require', PROBE, CLI] })
  const file = join(lab.dir, 'stretch.json')
  process.env['TRIVIUM_STRETCH_FILE'] = file
  try {
    const [node] = lab.nodes
    if (node === undefined) throw new Error('Cannot measure without a node')
    return await measure(lab, node, file, say)
  } finally {
    delete process.env['TRIVIUM_STRETCH_FILE']
    await lab.destroy()
  }
}

async function measure(
  lab: Lab,
  node: LabNode,
  file: string,
  say: (text: string) => void,
): Promise<Report> {
  await lab.install(node, '--mode', 'vxlan', '--pool', '10.64.0.0/12,block=22')
  const agent = await lab.startAgent(node)
  const caller = openCaller(lab, node)
  const road: Road = {
    name: OURS,
    node,
    caller,
    binDir: node.binDir,
    config: pluginConfig(join(node.confDir, '10-pods.conflist')),
    pods: await podsOn(lab, node, AT_ONCE),
    env: {},
  }
  const samples: Sample[] = []
  const counts = new Map<string, number>()
  async function during(what: string, work: () => Promise<unknown>): Promise<void> {
    await readStretch(agent.pid, file)
    await work()
    await sleep(300)
    const { longestMs, over5, ran = [] } = await readStretch(agent.pid, file)
    for (const { ms, whole, own } of ran) {
      say(`${what}: ${ms.toFixed(1)} ms in ${whole}; of its own ${own}`)
    }
    samples.push({ [what]: longestMs })
    counts.set(what, (counts.get(what) ?? 0) + over5)
  }
  for (let round = -1; round < ROUNDS; round++) {
    say(`round ${round}`)
    if (round < 0) {
      await during(`${PEERS} peers come at once`, () =>
        addPeers(lab, 0, PEERS).then(() => sleep(2000)),
      )
      await during(`at rest among ${PEERS} peers`, () => sleep(REST_MS))
    }
    let results: readonly unknown[] = []
    await during(`${AT_ONCE} ADD at once`, async () => {
      results = (await call(road, 'ADD', road.pods, `${round}`)).results
    })
    await during(`${AT_ONCE} DEL at once`, () => call(road, 'DEL', road.pods, `${round}`, results))
  }
  await during(`${NEW_PEERS} of ${PEERS} peers come anew`, () =>
    addPeers(lab, PEERS - NEW_PEERS, PEERS).then(() => sleep(1000)),
  )
  caller.close()
  const over = [...counts].map(([what, count]) => `${what}: ${count}`).join(', ')
  return {
    bench: 'Longest stretch of the agent’s main thread, ms (without waiting for a processor)',
    rows: [...counts.keys()].flatMap((what) =>
      compare(new Map([[OURS, samples.filter((sample) => what in sample)]]), undefined),
    ),
    notes: [`Stretches over 5 ms. ${over}.`],
  }
}

export const bench: Bench = {
  about: "the longest stretch on the agent's main thread",
  unable,
  run: ({ say }) => run(say),
}
