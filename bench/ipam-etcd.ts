/**
 * Blocks claimed by fifty nodes at once in a store on etcd, beside etcd's own
 * compare-and-swap transactions from as many clients. Each node is a client with a
 * replica of its own; all of them want the lowest free block. One process has them
 * all, so each change is heard fifty times by it, in both rows.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectEtcd, type EtcdClient } from '../ipam/etcd/client.ts'
import { parseEtcdUrl } from '../ipam/etcd/url.ts'
import { type EtcdStore, openEtcdStore } from '../ipam/etcd-store.ts'
import { keys } from '../ipam/keys.ts'
import { claimBlock, createNetwork, parseNetworkSpec } from '../ipam/mod.ts'
import { transact } from '../src/live/transact.ts'
import { startEtcd } from '../test/support/etcd.ts'
import { interleave, type Sample, summarize, type Variant, type Verdict } from './harness.ts'
import { NETWORK, nodeRecord, timed } from './ipam-commits.ts'

const NODES = 50
const CLAIMS = 4
const POOL = '10.0.0.0/8'
const PREFIX = 'trivium'

const OURS = `${NODES} nodes at once`
const THEIRS = 'etcd alone, compare and put'
const WHAT = 'a block claimed'
const LONGEST = 'the last node’s first block'

const nodeName = (index: number): string => `n${index + 1}`

function claiming(stores: readonly EtcdStore[]): Variant {
  return {
    name: OURS,
    async run() {
      let longestMs = 0
      const ms = await timed(() =>
        Promise.all(
          stores.map(async (store, index) => {
            const started = performance.now()
            for (let nth = 0; nth < CLAIMS; nth++) {
              await claimOne(store, nodeName(index))
              if (nth === 0) longestMs = Math.max(longestMs, performance.now() - started)
            }
          }),
        ),
      )
      return { [WHAT]: ms / (NODES * CLAIMS), [LONGEST]: longestMs }
    },
  }
}

async function claimOne(store: EtcdStore, node: string): Promise<void> {
  const claim = await transact(store, (tx) => {
    const network = tx.get(keys.network(NETWORK))
    const pool = network?.pools[0]
    if (network === undefined || pool === undefined) throw new Error('Cannot claim: no network')
    return claimBlock(tx, network, pool, node, Date.now())
  })
  if (claim === undefined) throw new Error('Cannot claim: the pool has no block left')
}

/**
 * As many writes as a claim has, compared as one, to keys that nobody else wants.
 * The same replicas hear of them, and the turn ends when all have.
 */
async function rawVariant(
  url: string,
  stores: readonly EtcdStore[],
): Promise<{ variant: Variant; close(): void }> {
  const address = parseEtcdUrl(url)
  const heard = (key: string): boolean =>
    stores.every((store) => store.read((reader) => reader.get(key)) !== undefined)
  const clients = await Promise.all(Array.from({ length: NODES }, () => connectEtcd(address)))
  let serial = 0
  const text = JSON.stringify({ network: NETWORK, cidr: '10.0.0.0/26', pool: POOL, node: 'n1' })
  const variant: Variant = {
    name: THEIRS,
    async run() {
      const write = async (client: EtcdClient): Promise<void> => {
        for (let nth = 0; nth < CLAIMS; nth++) {
          const key = `raw/${serial++}`
          const { succeeded } = await client.txn({
            checks: [{ kind: 'key', key, revision: 0 }],
            ops: [key, `${key}/use`, `${key}/own`].map((each) => ({
              kind: 'put',
              key: each,
              text,
            })),
          })
          if (!succeeded) throw new Error('Cannot compare: somebody else writes there')
        }
      }
      const first = serial
      const ms = await timed(async () => {
        await Promise.all(clients.map(write))
        for (let key = first; key < serial; key++) while (!heard(`raw/${key}`)) await sleep(1)
      })
      return { [WHAT]: ms / (NODES * CLAIMS) }
    },
  }
  return { variant, close: () => clients.forEach((client) => void client.close()) }
}

export async function etcd(
  dir: string,
  rounds: number,
): Promise<{
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly peer: string
  readonly verdicts: readonly Verdict[]
}> {
  const cluster = await startEtcd(join(dir, 'etcd'))
  const stores: EtcdStore[] = []
  let raw: Awaited<ReturnType<typeof rawVariant>> | undefined
  try {
    while (stores.length < NODES) stores.push(openEtcdStore(cluster.url(PREFIX)))
    await Promise.all(stores.map((store) => store.ready()))
    const [first] = stores
    if (first === undefined) throw new Error('Cannot claim without a store')
    await transact(first, (tx) => {
      const spec = {
        name: NETWORK,
        mode: 'ipam',
        pools: [{ cidr: POOL, blockLength: 26 }],
      } as const
      createNetwork(tx, parseNetworkSpec(spec, 0))
      for (let index = 0; index < NODES; index++) {
        tx.put(keys.node(nodeName(index)), nodeRecord(nodeName(index), index))
      }
    })
    raw = await rawVariant(cluster.url(PREFIX), stores)
    const samples = await interleave([claiming(stores), raw.variant], { rounds, warmUp: 1 })
    return { samples, peer: THEIRS, verdicts: [verdictOf(samples)] }
  } finally {
    raw?.close()
    for (const store of stores) store.close()
    await cluster.end()
  }
}

function verdictOf(samples: ReadonlyMap<string, readonly Sample[]>): Verdict {
  const aSecond = (name: string): number =>
    1000 / summarize((samples.get(name) ?? []).flatMap((sample) => sample[WHAT] ?? [])).medianMs
  const [ours, theirs] = [aSecond(OURS), aSecond(THEIRS)]
  return {
    what: `blocks claimed, ${OURS}`,
    ours: `${Math.round(ours)} a second`,
    beside: `${THEIRS}: ${Math.round(theirs)} a second`,
    ratio: ours / theirs,
    target: 'nobody refused',
    isMet: true,
  }
}
