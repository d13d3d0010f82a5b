/**
 * A store with ten thousand nodes and a million addresses: `trivium ipam show`
 * there, and an allocation and a release there beside the same in an empty one.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { keys } from '../ipam/keys.ts'
import { openLmdbStore } from '../ipam/lmdb-store.ts'
import { createNetwork, parseNetworkSpec } from '../ipam/mod.ts'
import type { AttachmentRecord, BlockClaim } from '../ipam/records.ts'
import type { Store, Tx } from '../ipam/store.ts'
import { transact } from '../src/live/transact.ts'
import { ipFromInteger, type Prefix, parsePrefix } from '../src/net/mod.ts'
import { interleave, type Sample, summarize, type Variant, type Verdict } from './harness.ts'
import {
  allocateOne,
  container,
  manyAtOnce,
  NETWORK,
  nodeRecord,
  releaseOne,
  timed,
} from './ipam-commits.ts'

const CLI = join(import.meta.dirname, '..', 'dist', 'cli.cjs')
const NODES = 10_000
const ADDRESSES = 100
const POOL = parsePrefix('10.0.0.0/9')
const POOL_START = 0x0a_00_00_00
const BLOCK = 64
const BLOCKS = 2
/** Nodes that are written in one transaction. */
const CHUNK = 50
const NAMESPACES = 50
const NOW_MS = Date.now()
const THREE_WEEKS_MS = 21 * 24 * 3_600_000
const MAP_BYTES = 4 * 2 ** 30
/** As the agent opens it. */
const AGENT = { patience: 'pool' } as const
const ONE_BY_ONE = 40
const BURST = 1000

const SHOWS: Readonly<Record<string, readonly string[]>> = {
  'ipam show': ['ipam', 'show'],
  'ipam show --show-blocks': ['ipam', 'show', '--show-blocks'],
  'ipam show --show-blocks -o json': ['ipam', 'show', '--show-blocks', '-o', 'json'],
  'ipam show --by node': ['ipam', 'show', '--by', 'node'],
  'ipam show --by namespace': ['ipam', 'show', '--by', 'namespace'],
  'ipam show --ip': ['ipam', 'show', '--ip', '10.5.6.7'],
  'ipam why': ['ipam', 'why', '10.5.6.7'],
  'ipam history, an address': ['ipam', 'history', '10.5.6.7'],
  'ipam history, a pod': ['ipam', 'history', 'ns-07/pod-5'],
  'ipam forecast': ['ipam', 'forecast'],
}
const SHOW_MS_MAX = 2000
/** "As fast as": what two turns of the same differ by, at most. */
const SAME = 1.2

async function addNetwork(store: Store): Promise<void> {
  const pools = [{ cidr: POOL, blockLength: 26 }]
  await transact(store, (tx) => {
    createNetwork(tx, parseNetworkSpec({ name: NETWORK, mode: 'ipam', pools }, 0))
  })
}

/** Makes the store at `path`. */
export async function buildLarge(path: string): Promise<void> {
  const store = openLmdbStore(path)
  await addNetwork(store)
  store.close()
  await fill(path)
}

/**
 * Writes what so many allocations would have left: by LMDB alone, without a sync
 * for each part, as nobody else is there and the file is looked at afterwards.
 */
async function fill(path: string): Promise<void> {
  const settings = { encoding: 'json', noSubdir: false, mapSize: MAP_BYTES, noSync: true } as const
  const db = open<unknown, string>(path, settings)
  const put: Tx['put'] = (key, value) => void db.putSync(key, value)
  for (let from = 0; from < NODES; from += CHUNK) {
    db.transactionSync(() => {
      for (let index = from; index < from + CHUNK; index++) fillNode({ put }, index)
    })
  }
  await db.close()
  const fd = openSync(join(path, 'data.mdb'), 'r+')
  fdatasyncSync(fd)
  closeSync(fd)
}

type Writer = Pick<Tx, 'put'>

const nodeName = (index: number): string => `node-${index.toString().padStart(5, '0')}`

function fillNode(tx: Writer, index: number): void {
  const node = nodeName(index)
  tx.put(keys.node(node), nodeRecord(node, index))
  tx.put(keys.sequence(node), ADDRESSES)
  for (let nth = 0; nth < BLOCKS; nth++) {
    const start = POOL_START + (index * BLOCKS + nth) * BLOCK
    const cidr = `${ipFromInteger(4, BigInt(start))}/26` as Prefix
    const used = nth === 0 ? BLOCK - 1 : ADDRESSES - BLOCK + 1
    const claim: BlockClaim = {
      network: NETWORK,
      cidr,
      pool: POOL,
      node,
      first: nth === 0,
      claimedMs: 0,
    }
    tx.put(keys.claim(NETWORK, cidr), claim)
    const cursor = (used + Number(nth === 0)) % BLOCK
    const released = 0
    const use = { cidr, pool: POOL, first: nth === 0, cursor, used, released }
    tx.put(keys.use(node, NETWORK, cidr), use)
    for (let offset = BLOCK - used; offset < BLOCK; offset++) {
      const place = nth === 0 ? offset : offset - (BLOCK - used)
      fillAddress(tx, { index, node, cidr }, start + place)
    }
  }
}

interface Place {
  readonly index: number
  readonly node: string
  readonly cidr: Prefix
}

function fillAddress(tx: Writer, { index, node, cidr }: Place, address: number): void {
  const ip = ipFromInteger(4, BigInt(address))
  const place = address - POOL_START - index * BLOCKS * BLOCK
  const key = { network: NETWORK, containerId: container(address), ifname: 'eth0' }
  tx.put(keys.address(NETWORK, ip), { ip, block: cidr, ...key, sequence: place })
  const attachment: AttachmentRecord = {
    ...key,
    node,
    ips: [ip],
    netns: `/run/netns/cni-${address}`,
    pod: {
      namespace: `ns-${String(address % NAMESPACES).padStart(2, '0')}`,
      name: `pod-${address}`,
      uid: `uid-${address}`,
    },
    sequence: place,
    bootId: 'boot',
    // As they might have come in the last three weeks.
    addedMs: NOW_MS - (address % THREE_WEEKS_MS),
  }
  tx.put(keys.attachment(node, key), attachment)
}

function showVariant(name: string, path: string): Variant {
  return {
    name,
    async run() {
      const sample: Record<string, number> = {}
      for (const [what, args] of Object.entries(SHOWS)) {
        const command = [CLI, ...args, '--store', `lmdb:${path}`]
        sample[what] = await timed(async () => {
          execFileSync(process.execPath, command, { maxBuffer: 1 << 28 })
        })
      }
      return sample
    },
  }
}

const ALONE = 'an allocation one by one'
const ALONE_DEL = 'a release one by one'
const SHARED = 'an allocation of many at once'
const SHARED_DEL = 'a release of many at once'

/** Each turn on the next node, which has its blocks already or claims them. */
function allocateVariant(name: string, store: Store, node: (round: number) => string): Variant {
  let serial = 0
  return {
    name,
    async run(round) {
      const first = serial
      serial += BURST
      const self = node(round)
      await transact(store, (tx) => {
        const known = tx.get(keys.node(self))
        if (known === undefined) tx.put(keys.node(self), nodeRecord(self, round))
      })
      const add = (index: number) => allocateOne(store, first + index, self)
      const del = (index: number) => releaseOne(store, first + index, self)
      const alone = await timed(() => manyAtOnce(ONE_BY_ONE, 1, add))
      const aloneDel = await timed(() => manyAtOnce(ONE_BY_ONE, 1, del))
      const shared = await timed(() => manyAtOnce(BURST, BURST, add))
      const sharedDel = await timed(() => manyAtOnce(BURST, BURST, del))
      return {
        [ALONE]: alone / ONE_BY_ONE,
        [ALONE_DEL]: aloneDel / ONE_BY_ONE,
        [SHARED]: shared / BURST,
        [SHARED_DEL]: sharedDel / BURST,
      }
    },
  }
}

const LARGE = `${NODES} nodes, ${NODES * ADDRESSES} addresses`
const EMPTY = 'an empty store'

export async function large(
  dir: string,
  rounds: number,
  say: (text: string) => void,
): Promise<{
  readonly samples: readonly ReadonlyMap<string, readonly Sample[]>[]
  readonly verdicts: readonly Verdict[]
  readonly notes: readonly string[]
}> {
  const [full, empty] = [join(dir, 'large'), join(dir, 'empty')]
  const builtMs = await timed(() => buildLarge(full))
  const [store, other] = [openLmdbStore(full, AGENT), openLmdbStore(empty, AGENT)]
  await addNetwork(other)
  try {
    const bytes = statSync(join(full, 'data.mdb')).size
    const built = `The large store was written in ${(builtMs / 1000).toFixed(1)} s and has ${Math.round(bytes / 2 ** 20)} MiB.`
    say(built)
    const shows = await interleave([showVariant(LARGE, full), showVariant(EMPTY, empty)], {
      rounds: Math.min(rounds, 3),
      warmUp: 0,
    })
    const allocations = await interleave(
      [
        allocateVariant(LARGE, store, (round) => nodeName(round * 97)),
        allocateVariant(EMPTY, other, (round) => nodeName(round * 97)),
      ],
      { rounds, warmUp: 1 },
    )
    return {
      samples: [shows, allocations],
      verdicts: [...showVerdicts(shows), ...allocateVerdicts(allocations)],
      notes: [built],
    }
  } finally {
    store.close()
    other.close()
  }
}

type Samples = ReadonlyMap<string, readonly Sample[]>

const medianOf = (samples: Samples, variant: string, what: string): number =>
  summarize((samples.get(variant) ?? []).flatMap((sample) => sample[what] ?? [])).medianMs

function showVerdicts(samples: Samples): readonly Verdict[] {
  return Object.keys(SHOWS).map((what) => {
    const [ours, floor] = [medianOf(samples, LARGE, what), medianOf(samples, EMPTY, what)]
    return {
      what: `${what}, ${LARGE}`,
      ours: `${Math.round(ours)} ms`,
      beside: `${EMPTY}: ${Math.round(floor)} ms`,
      ratio: ours / floor,
      target: `under ${SHOW_MS_MAX} ms`,
      isMet: ours < SHOW_MS_MAX,
    }
  })
}

function allocateVerdicts(samples: Samples): readonly Verdict[] {
  return [ALONE, ALONE_DEL, SHARED, SHARED_DEL].map((what) => {
    const [ours, floor] = [medianOf(samples, LARGE, what), medianOf(samples, EMPTY, what)]
    const us = (ms: number): string => `${(ms * 1000).toFixed(0)} µs`
    const ratio = ours / floor
    return {
      what: `${what}, ${LARGE}`,
      ours: us(ours),
      beside: `${EMPTY}: ${us(floor)}`,
      ratio,
      target: `at most ${SAME} x`,
      isMet: ratio <= SAME,
    }
  })
}
