/**
 * Allocations of a member of a cluster while its etcd stands still (SIGSTOP: it
 * takes connections and says nothing), beside the same while etcd answers.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openEtcdStore } from '../ipam/etcd-store.ts'
import { keys } from '../ipam/keys.ts'
import { openLmdbStore } from '../ipam/lmdb-store.ts'
import { allocate, createNetwork, parseNetworkSpec } from '../ipam/mod.ts'
import type { Store } from '../ipam/store.ts'
import { bootId } from '../src/live/boot.ts'
import { startMember } from '../src/live/cluster-member.ts'
import { openLog } from '../src/live/log.ts'
import { transact } from '../src/live/transact.ts'
import { type EtcdMember, startEtcd } from '../test/support/etcd.ts'
import {
  interleave,
  type Measured,
  type Sample,
  summarize,
  type Variant,
  type Verdict,
} from './harness.ts'
import { container, NETWORK, nodeRecord, releaseOne, timed } from './ipam-commits.ts'

const NODE = 'n1'
const TURN = 100
const PREFIX = 'away'
const STILL = 'etcd stands still'
const ANSWERS = 'etcd answers'
const MEDIAN = 'an allocation, median'
const P99 = 'an allocation, 99 of 100'
/** "Do not wait": what two turns of the same differ by, at most. */
const SAME = 1.2
/** Long enough for what was asked of etcd before to be under way. */
const SETTLE_MS = 300

/** As an ADD beside an agent: without a claim of its own. */
async function allocateOne(store: Store, serial: number): Promise<void> {
  const answer = await transact(store, (tx) =>
    allocate(tx, {
      key: { network: NETWORK, containerId: container(serial), ifname: 'eth0' },
      node: NODE,
      netns: `/run/netns/cni-${serial}`,
      pod: { namespace: 'default', name: `pod-${serial}`, uid: `uid-${serial}` },
      mayClaim: false,
      nowMs: Date.now(),
      bootId: bootId(),
    }),
  )
  if (answer.kind === 'refused') throw new Error(answer.message)
}

function allocating(name: string, store: Store, etcd: EtcdMember, isStill: boolean): Variant {
  let serial = isStill ? 1_000_000 : 0
  return {
    name,
    async run() {
      if (isStill) etcd.freeze()
      await sleep(SETTLE_MS)
      const ms: number[] = []
      for (let nth = 0; nth < TURN; nth++) {
        const each = serial++
        ms.push(await timed(() => allocateOne(store, each)))
        await releaseOne(store, each, NODE)
      }
      etcd.thaw()
      await sleep(SETTLE_MS)
      const sorted = ms.toSorted((left, right) => left - right)
      return { [MEDIAN]: summarize(ms).medianMs, [P99]: sorted[Math.floor(TURN * 0.99) - 1] ?? 0 }
    },
  }
}

async function network(url: string): Promise<void> {
  const shared = openEtcdStore(url)
  await shared.ready()
  const pools = [{ cidr: '10.0.0.0/16', blockLength: 26 }]
  const spec = { name: NETWORK, mode: 'ipam', pools, options: { cooldownSeconds: 0 } } as const
  await transact(shared, (tx) => createNetwork(tx, parseNetworkSpec(spec, 0)))
  shared.close()
}

export async function away(dir: string, rounds: number): Promise<Measured> {
  const etcd = await startEtcd(join(dir, 'etcd-away'))
  const store = openLmdbStore(join(dir, 'member'), { patience: 'pool' })
  const [first] = etcd.members
  if (first === undefined) throw new Error('Cannot stop etcd: it has no member')
  let member: Awaited<ReturnType<typeof startMember>> | undefined
  try {
    const url = etcd.url(PREFIX)
    await network(url)
    member = await startMember({
      ...{ node: NODE, store, first: nodeRecord(NODE, 0), url, log: openLog('silent').log },
      ...{ markFile: join(dir, 'cluster.mark'), leaseMs: 3_600_000 },
      times: { reassertMs: 1000, knockMs: 500 },
      carry: () => {
        throw new Error('Cannot carry out a request: nobody asks')
      },
    })
    while (store.read((reader) => reader.range(keys.uses(NODE, NETWORK)).length === 0)) {
      await sleep(50)
    }
    const variants = [
      allocating(STILL, store, first, true),
      allocating(ANSWERS, store, first, false),
    ]
    const samples = await interleave(variants, { rounds, warmUp: 1 })
    return { samples, peer: ANSWERS, verdicts: [MEDIAN, P99].map((what) => verdict(samples, what)) }
  } finally {
    first.thaw()
    member?.stop()
    store.close()
    await etcd.end()
  }
}

function verdict(samples: ReadonlyMap<string, readonly Sample[]>, what: string): Verdict {
  const medianOf = (variant: string): number =>
    summarize((samples.get(variant) ?? []).flatMap((sample) => sample[what] ?? [])).medianMs
  const [ours, theirs] = [medianOf(STILL), medianOf(ANSWERS)]
  return {
    what: `${what}, ${STILL}`,
    ours: `${ours.toFixed(2)} ms`,
    beside: `${ANSWERS}: ${theirs.toFixed(2)} ms`,
    ratio: ours / theirs,
    target: `at most ${SAME} x`,
    isMet: ours <= theirs * SAME,
  }
}
