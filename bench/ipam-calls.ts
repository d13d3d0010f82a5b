/**
 * One ADD and one DEL of `trivium-ipam` through launcher and agent, beside
 * Debian's host-local: in a pool with hardly anybody, and in one that is 95 % full.
 *
 * Both walk a pool of the same size, with the same addresses taken. Ours writes
 * and syncs a record for each verb; host-local syncs nothing. Beside them what is
 * in every call of ours: two programs that do nothing, and two calls that go all
 * the way to the agent and back but find nothing to write.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLmdbStore } from '../ipam/lmdb-store.ts'
import { allocate, release } from '../ipam/mod.ts'
import type { AttachmentRecord } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import { createLab, type Lab, type LabNode, type LabPod } from '../src/lab/lab.ts'
import { bootId } from '../src/live/boot.ts'
import { transact } from '../src/live/transact.ts'
import type { Ip } from '../src/net/mod.ts'
import { prng } from '../src/prng.ts'
import { CLI } from './cni.bench.ts'
import { type Call, type Caller, openCaller } from './cni-caller.ts'
import { REFERENCE_DIR } from './cni-roads.ts'
import {
  interleave,
  type Measured,
  type Sample,
  summarize,
  type Variant,
  type Verdict,
} from './harness.ts'
import { container } from './ipam-commits.ts'

const OURS = 'trivium-ipam, launcher + agent'
const THEIRS = 'host-local'
const NO_WORK = 'two programs that do nothing'
const NO_WRITE = 'launcher + agent, nothing to write'
const TARGET = 0.4
const FULL = 0.95
const SEED = 1
const PAUSE_MS = 5

interface Pool {
  readonly network: string
  readonly what: string
  readonly cidr: string
  /** Taken before. */
  readonly share: number
}

const POOLS: readonly Pool[] = [
  { network: 'roomy', what: 'ADD + DEL, pool of 4096', cidr: '10.60.0.0/20', share: 0 },
  { network: 'crowded', what: 'ADD + DEL, pool 95 % full', cidr: '10.61.0.0/20', share: FULL },
]

/** Takes all addresses of the pool for the node, gives some back, and says who is left. */
async function crowd(store: Store, node: LabNode, { network, share }: Pool): Promise<Ip[]> {
  const boot = bootId()
  return await transact(store, (tx) => {
    const random = prng(SEED)
    const all: AttachmentRecord[] = []
    for (let serial = 0; share > 0; serial++) {
      const key = { network, containerId: container(serial), ifname: 'eth0' }
      const netns = `/run/netns/cni-${serial}`
      const request = { key, node: node.name, netns, mayClaim: true }
      const made = allocate(tx, { ...request, nowMs: Date.now(), bootId: boot })
      if (made.kind === 'refused') break
      all.push(made.attachment)
    }
    const left = all.filter(() => random.unit() < share)
    for (const each of all) if (!left.includes(each)) release(tx, node.name, each)
    return left.flatMap(({ ips }) => ips)
  })
}

/** A file an address, as host-local 1.1 keeps them. */
function crowdTheirs(dir: string, { network }: Pool, held: readonly Ip[]): void {
  mkdirSync(join(dir, network), { recursive: true })
  for (const [serial, ip] of held.entries()) {
    writeFileSync(join(dir, network, ip), `${container(serial)}\r\neth0`)
  }
}

interface Ground {
  readonly lab: Lab
  readonly node: LabNode
  readonly caller: Caller
  readonly pod: LabPod
  readonly theirDir: string
}

function variant(ground: Ground, name: string): Variant {
  const { lab, node, caller, pod, theirDir } = ground
  const callOf = (verb: string, { network, cidr }: Pool, id: string): Call => {
    const ipam =
      name === OURS
        ? { type: 'trivium-ipam', store: lab.storeUrl, socket: node.socketPath }
        : { type: 'host-local', dataDir: theirDir, ranges: [[{ subnet: cidr }]] }
    const config = { cniVersion: '1.0.0', name: network, type: 'bridge', ipam }
    return {
      command: [join(name === OURS ? node.binDir : REFERENCE_DIR, ipam.type)],
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: pod.netnsPath,
        CNI_IFNAME: 'eth0',
        CNI_PATH: node.binDir,
      },
      input: JSON.stringify(config),
    }
  }
  return {
    name,
    async run(round) {
      const sample: Record<string, number> = {}
      for (const pool of POOLS) {
        const id = `bench-${round}`
        await sleep(PAUSE_MS)
        const added = await caller.ask([callOf('ADD', pool, id)])
        const removed = await caller.ask([callOf('DEL', pool, id)])
        const [add, del] = [added.results[0], removed.results[0]]
        const isFine = add?.status === 0 && add.stdout.includes('"address"') && del?.status === 0
        if (!isFine) throw new Error(`${name}: ADD or DEL failed: ${add?.stdout}${del?.stdout}`)
        sample[pool.what] = added.ms + removed.ms
      }
      return sample
    },
  }
}

/** What two calls take without their work. */
function floorVariant({ lab, node, caller, pod }: Ground, name: string): Variant {
  const [pool] = POOLS
  const callOf = (id: string): Call => ({
    command: name === NO_WORK ? ['/bin/true'] : [join(node.binDir, 'trivium-ipam')],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: 'DEL',
      CNI_CONTAINERID: id,
      CNI_NETNS: pod.netnsPath,
      CNI_IFNAME: 'eth0',
      CNI_PATH: node.binDir,
    },
    input: JSON.stringify({
      ...{ cniVersion: '1.0.0', name: pool?.network, type: 'bridge' },
      ipam: { type: 'trivium-ipam', store: lab.storeUrl, socket: node.socketPath },
    }),
  })
  return {
    name,
    async run(round) {
      await sleep(PAUSE_MS)
      const first = await caller.ask([callOf(`nobody-${round}`)])
      const second = await caller.ask([callOf(`nobody-${round}`)])
      const failed = [first, second].find(({ results }) => results[0]?.status !== 0)
      if (failed !== undefined) throw new Error(`${name}: failed: ${failed.results[0]?.stdout}`)
      return { [pool?.what ?? '']: first.ms + second.ms }
    },
  }
}

export async function calls(rounds: number): Promise<Measured> {
  const lab = await createLab({ nodes: 1, trivium: [process.execPath, CLI] })
  let caller: Caller | undefined
  try {
    const [node] = lab.nodes
    if (node === undefined) throw new Error('Cannot compare without a node')
    await lab.install(node, '--mode', 'ipam', '--pool', '10.42.0.0/16')
    const theirDir = join(lab.dir, 'host-local')
    const store = openLmdbStore(lab.storeUrl.slice('lmdb:'.length))
    for (const pool of POOLS) {
      await lab.trivium(
        ...['network', 'create', pool.network, '--store', lab.storeUrl],
        ...['--mode', 'ipam', '--pool', `${pool.cidr},block=26`],
      )
      crowdTheirs(theirDir, pool, await crowd(store, node, pool))
    }
    store.close()
    await lab.startAgent(node)
    caller = openCaller(lab, node)
    const ground = { lab, node, caller, pod: await lab.addPod(node), theirDir }
    const floors = [NO_WORK, NO_WRITE].map((name) => floorVariant(ground, name))
    const variants = [variant(ground, OURS), variant(ground, THEIRS), ...floors]
    const samples = await interleave(variants, { rounds, warmUp: 5 })
    return { samples, peer: THEIRS, verdicts: POOLS.map(({ what }) => verdictOf(samples, what)) }
  } finally {
    caller?.close()
    await lab.destroy()
  }
}

function verdictOf(samples: ReadonlyMap<string, readonly Sample[]>, what: string): Verdict {
  const median = (name: string): number =>
    summarize((samples.get(name) ?? []).flatMap((sample) => sample[what] ?? [])).medianMs
  const [ours, theirs] = [median(OURS), median(THEIRS)]
  const ratio = ours / theirs
  return {
    what,
    ours: `${ours.toFixed(2)} ms`,
    beside: `${THEIRS}: ${theirs.toFixed(2)} ms`,
    ratio,
    target: `at most ${TARGET} x`,
    isMet: ratio <= TARGET,
  }
}
