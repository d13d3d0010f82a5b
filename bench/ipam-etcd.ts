/**
 * Blocks claimed by fifty nodes at once in a store on etcd, beside etcd's own
 * compare-and-swap transactions from as many clients. Each node is a client with a
 * replica of its own; all of them want the lowest free block. One process has them
 * all, so each change is heard fifty times by it, in both rows.
 */
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { claimBlocks } from '../ipam/cluster/claims.ts'
import { join } from '../ipam/cluster/membership.ts'
import type { Demand, Incarnation } from '../ipam/cluster/records.ts'
import { connectEtcd, type EtcdClient } from '../ipam/etcd/client.ts'
import { parseEtcdUrl } from '../ipam/etcd/url.ts'
import { type EtcdStore, openEtcdStore } from '../ipam/etcd-store.ts'
import { keys } from '../ipam/keys.ts'
import { glance } from '../ipam/locality.ts'
import { createNetwork, parseNetworkSpec } from '../ipam/mod.ts'
import { transact } from '../src/live/transact.ts'
import type { Prefix } from '../src/net/mod.ts'
import { startEtcd } from '../test/support/etcd.ts'
import {
  interleave,
  type Measured,
  type Sample,
  summarize,
  type Variant,
  type Verdict,
} from './harness.ts'
import { NETWORK, nodeRecord, timed } from './ipam-commits.ts'

const NODES = 50
const CLAIMS = 4
const POOL = '10.0.0.0/8' as Prefix
const PREFIX = 'trivium'

const OURS = `${NODES} nodes at once`
const THEIRS = 'etcd alone, compare and put'
const WHAT = 'a block claimed'
const WHAT_FIRST = 'a node’s first block'

const nodeName = (index: number): string => `n${index + 1}`

const DEMANDS: readonly Demand[] = [{ network: NETWORK, family: 4, pools: [POOL] }]
const incarnation = (node: string): Incarnation => ({ machine: node, store: node })

/** Claims as members of a cluster make them; the first one of a turn is of nodes without any. */
function claiming(stores: readonly EtcdStore[], retries: Retries): Variant {
  return {
    name: OURS,
    async run() {
      await Promise.all(stores.map((store, index) => forget(store, nodeName(index))))
      const claimed = async (nth: number): Promise<void> => {
        await Promise.all(
          stores.map(async (store, index) => {
            for (let each = 0; each < nth; each++) {
              const tries = await claimOne(store, nodeName(index))
              retries.all += tries
              retries.claims++
            }
          }),
        )
      }
      const firstMs = await timed(() => claimed(1))
      const ms = await timed(() => claimed(CLAIMS))
      return { [WHAT_FIRST]: firstMs / NODES, [WHAT]: ms / (NODES * CLAIMS) }
    },
  }
}

/** How often others were quicker, for all claims together. */
interface Retries {
  all: number
  claims: number
}

async function claimOne(store: EtcdStore, node: string): Promise<number> {
  let conflicts = 0
  const claims = await transact(store, (tx) => {
    conflicts = tx.conflicts ?? 0
    return claimBlocks(tx, DEMANDS, node, incarnation(node), Date.now())
  })
  if (claims?.length !== 1) throw new Error(`Cannot claim: ${claims?.length} claims, wanted one`)
  return conflicts
}

/** Gives back what the node has, so that its next block is its first. */
const forget = (store: EtcdStore, node: string): Promise<void> =>
  transact(store, (tx) => {
    for (const [key, claim] of glance(tx, keys.familyClaims(NETWORK, 4))) {
      if (claim.node === node) tx.remove(key)
    }
  })

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
            ops: [key, `${key}/own`].map((each) => ({
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

export async function etcd(dir: string, rounds: number): Promise<Measured> {
  const cluster = await startEtcd(joinPath(dir, 'etcd'))
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
        const node = nodeName(index)
        join(tx, nodeRecord(node, index), incarnation(node), false)
      }
    })
    raw = await rawVariant(cluster.url(PREFIX), stores)
    const retries: Retries = { all: 0, claims: 0 }
    const variants = [claiming(stores, retries), raw.variant]
    const samples = await interleave(variants, { rounds, warmUp: 1 })
    const notes = [
      `A claim was tried again ${(retries.all / retries.claims).toFixed(2)} times, as others were quicker.`,
    ]
    return { samples, peer: THEIRS, verdicts: [verdictOf(samples)], notes }
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
