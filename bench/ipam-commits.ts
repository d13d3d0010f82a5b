/**
 * Allocations on disk: many that wait at the same time and share commits, and
 * one by one; beside one fdatasync of one page on the same file system, and
 * beside LMDB alone, whose commit of one record is two waits for the disk.
 *
 * Each allocation is the transaction that an ADD of the agent makes, spare block
 * included, in a store opened as the agent opens it.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { keys } from '../ipam/keys.ts'
import { openLmdbStore } from '../ipam/lmdb-store.ts'
import {
  type AllocateAnswer,
  allocate,
  createNetwork,
  ensureBlocks,
  parseNetworkSpec,
  registerNode,
  release,
} from '../ipam/mod.ts'
import type { NodeRecord } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import { transact } from '../src/live/transact.ts'
import { ipFromInteger, macFromName } from '../src/net/mod.ts'
import { interleave, type Sample, summarize, type Variant, type Verdict } from './harness.ts'

export const NETWORK = 'pods'
const NODE = 'n1'
/** Allocations of one turn, and how many of them wait at the same time. */
const BURST = 10_000
const AT_ONCE = 1000
const ONE_BY_ONE = 50
const SYNCS = 50
const PAGE_BYTES = 4096

/** How many a second with shared commits, and how many syncs one alone may take. */
const TARGET_A_SECOND = 50_000
const TARGET_SYNCS = 3

/** A node's store with one network; nothing is allocated. */
export async function openNodeStore(
  dir: string,
  pool: string,
  blockLength: number,
  nodes: readonly string[] = [NODE],
): Promise<Store> {
  const store = openLmdbStore(dir, { patience: 'pool' })
  await transact(store, (tx) => {
    const spec = { name: NETWORK, mode: 'ipam', pools: [{ cidr: pool, blockLength }] } as const
    createNetwork(tx, parseNetworkSpec(spec, 0))
    const network = tx.get(keys.network(NETWORK))
    for (const [index, node] of nodes.entries()) {
      registerNode(tx, nodeRecord(node, index))
      if (network !== undefined) ensureBlocks(tx, network, node, 0)
    }
  })
  return store
}

/** Underlay addresses are of RFC 6598's 100.64.0.0/10. */
export const nodeRecord = (name: string, index: number): NodeRecord => ({
  name,
  underlayLink: 'eth0',
  underlayIps: [ipFromInteger(4, 0x64_40_00_01n + BigInt(index))],
  underlayMtuBytes: 1500,
  vtepMac: macFromName(name),
  registeredMs: 0,
})

/** 64 hexadecimal digits, as container runtimes name containers. */
export const container = (serial: number): string => serial.toString(16).padStart(64, '0')

export function allocateOne(store: Store, serial: number, node = NODE): Promise<AllocateAnswer> {
  return transact(store, (tx) => {
    const network = tx.get(keys.network(NETWORK))
    const self = tx.get(keys.node(node))
    if (network === undefined || self === undefined) throw new Error('Cannot allocate: no network')
    const answer = allocate(tx, {
      key: { network: NETWORK, containerId: container(serial), ifname: 'eth0' },
      node,
      netns: `/run/netns/cni-${serial}`,
      pod: { namespace: 'default', name: `pod-${serial}`, uid: `uid-${serial}` },
      mayClaim: true,
      nowMs: Date.now(),
      bootId: 'boot',
    })
    if (answer.kind === 'refused') throw new Error(answer.message)
    ensureBlocks(tx, network, node, Date.now())
    return answer
  })
}

export const releaseOne = (store: Store, serial: number, node = NODE): Promise<unknown> =>
  transact(store, (tx) =>
    release(
      tx,
      node,
      { network: NETWORK, containerId: container(serial), ifname: 'eth0' },
      Date.now(),
    ),
  )

/** Does `work` for each number below `count`, `atOnce` of them at the same time. */
export async function manyAtOnce(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Opens a file of one page, to be written and synced again and again. */
function openPage(path: string): { syncMs(): number; close(): void } {
  const fd = openSync(path, 'w')
  const page = Buffer.alloc(PAGE_BYTES)
  writeSync(fd, page, 0, PAGE_BYTES, 0)
  fsyncSync(fd)
  return {
    syncMs() {
      const started = performance.now()
      writeSync(fd, page, 0, PAGE_BYTES, 0)
      fdatasyncSync(fd)
      return performance.now() - started
    },
    close: () => closeSync(fd),
  }
}

const FLOOR = 'one page and fdatasync'
const SYNC = 'one sync'
const SHARED = 'an allocation of many at once'
const SHARED_DEL = 'a release of many at once'
const ALONE = 'an allocation one by one'
const ALONE_DEL = 'a release one by one'

interface Layout {
  readonly name: string
  readonly pool: string
  readonly blockLength: number
  /** As many nodes in turn as that takes. */
  readonly podsPerNode: number
}

/** The default, and a node that is a whole pool's only one. */
const LAYOUTS: readonly Layout[] = [
  { name: 'blocks of /26', pool: '10.0.0.0/12', blockLength: 26, podsPerNode: 1000 },
  { name: 'one block of /16', pool: '10.0.0.0/12', blockLength: 16, podsPerNode: BURST },
]

function storeVariant(dir: string, { name, pool, blockLength, podsPerNode }: Layout): Variant {
  let serial = 0
  const nodes = BURST / podsPerNode
  const nodeOf = (index: number): string => `n${1 + Math.floor(index / podsPerNode)}`
  return {
    name,
    async run(round) {
      const names = Array.from({ length: nodes }, (_, index) => `n${1 + index}`)
      const path = join(dir, `${blockLength}-${round}`)
      const store = await openNodeStore(path, pool, blockLength, names)
      const first = serial
      serial += BURST
      try {
        const shared = await timed(() =>
          manyAtOnce(BURST, AT_ONCE, (index) => allocateOne(store, first + index, nodeOf(index))),
        )
        const sharedDel = await timed(() =>
          manyAtOnce(BURST, AT_ONCE, (index) => releaseOne(store, first + index, nodeOf(index))),
        )
        const alone = await timed(() =>
          manyAtOnce(ONE_BY_ONE, 1, (index) => allocateOne(store, first + index, nodeOf(index))),
        )
        const aloneDel = await timed(() =>
          manyAtOnce(ONE_BY_ONE, 1, (index) => releaseOne(store, first + index, nodeOf(index))),
        )
        return {
          [SHARED]: shared / BURST,
          [SHARED_DEL]: sharedDel / BURST,
          [ALONE]: alone / ONE_BY_ONE,
          [ALONE_DEL]: aloneDel / ONE_BY_ONE,
        }
      } finally {
        store.close()
      }
    },
  }
}

function floorVariant(dir: string): Variant {
  const page = openPage(join(dir, 'page'))
  return {
    name: FLOOR,
    async run() {
      const all = Array.from({ length: SYNCS }, () => page.syncMs())
      return { [SYNC]: summarize(all).medianMs }
    },
  }
}

const RAW = 'LMDB alone'
/** Allocations that share a commit there: about as many as ours do. */
const RAW_SHARED = 500

/** The records of as many allocations, as text made before, by the library alone in its own thread. */
function rawVariant(dir: string): Variant {
  const text = Buffer.from(JSON.stringify(RAW_RECORD))
  return {
    name: RAW,
    async run(round) {
      const options = {
        encoding: 'binary' as const,
        overlappingSync: false,
        noSubdir: false,
        // Otherwise each one alone would wait for the end of the turn.
        eventTurnBatching: false,
      }
      const db = open<Buffer, string>(join(dir, `raw-${round}`), options)
      const ms = await timed(async () => {
        for (let from = 0; from < BURST; from += RAW_SHARED) {
          await db.batch(() => {
            for (let index = from; index < from + RAW_SHARED; index++) {
              void db.put(`attachment/n1/${NETWORK}/${container(index)}/eth0`, text)
              void db.put(`address/${NETWORK}/4/${index.toString(16).padStart(8, '0')}`, text)
            }
          })
        }
      })
      const alone = await timed(() =>
        manyAtOnce(ONE_BY_ONE, 1, (index) =>
          db.batch(() => void db.put(`attachment/n1/${NETWORK}/${container(index)}/eth1`, text)),
        ),
      )
      await db.close()
      return { [SHARED]: ms / BURST, [ALONE]: alone / ONE_BY_ONE }
    },
  }
}

const TEXT = 'JSON alone'

/** The text of as many records, and nothing else: what no store of JSON is rid of. */
function textVariant(): Variant {
  return {
    name: TEXT,
    async run() {
      let bytes = 0
      const ms = await timed(async () => {
        for (let index = 0; index < BURST; index++) {
          bytes += JSON.stringify({ ...RAW_RECORD, sequence: index }).length
          bytes += JSON.stringify({ ...ADDRESS_RECORD, sequence: index }).length
        }
      })
      if (bytes === 0) throw new Error('Cannot measure: no text')
      return { [SHARED]: ms / BURST }
    },
  }
}

const ADDRESS_RECORD = {
  ...{ ip: '10.0.0.1', block: '10.0.0.0/26', network: NETWORK },
  ...{ containerId: container(1), ifname: 'eth0', sequence: 1 },
}

const RAW_RECORD = {
  ...{ network: NETWORK, containerId: container(1), ifname: 'eth0', node: NODE },
  ...{ ips: ['10.0.0.1'], netns: '/run/netns/cni-1', bootId: 'boot', sequence: 1, addedMs: 1 },
  pod: { namespace: 'default', name: 'pod-1', uid: 'uid-1' },
}

export async function commits(
  dir: string,
  rounds: number,
): Promise<{
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly verdicts: readonly Verdict[]
}> {
  const ours = LAYOUTS.map((layout) => storeVariant(dir, layout))
  const variants = [...ours, rawVariant(dir), textVariant(), floorVariant(dir)]
  const samples = await interleave(variants, { rounds, warmUp: 1 })
  const median = (variant: string, what: string): number =>
    summarize((samples.get(variant) ?? []).flatMap((sample) => sample[what] ?? [])).medianMs
  const syncMs = median(FLOOR, SYNC)
  const rawAloneMs = median(RAW, ALONE)
  const micros = (ms: number): string => `${Math.round(ms * 1000)} µs`
  const beside = `one fdatasync: ${micros(syncMs)}, ${RAW}: ${micros(rawAloneMs)}`
  const verdicts = LAYOUTS.flatMap(({ name }): Verdict[] => {
    const rate = (what: string): Verdict => {
      const aSecond = 1000 / median(name, what)
      const target = `${TARGET_A_SECOND} a second`
      const ours = `${Math.round(aSecond)} a second`
      const isMet = aSecond >= TARGET_A_SECOND
      const rawMs = median(RAW, SHARED)
      const floor = `${RAW}: ${Math.round(1000 / rawMs)} a second`
      const ratio = rawMs / median(name, what)
      return { what: `${what}, ${name}`, ours, beside: floor, ratio, target, isMet }
    }
    const alone = (what: string): Verdict => {
      const ms = median(name, what)
      const ratio = ms / syncMs
      const ours = micros(ms)
      const target = `at most ${TARGET_SYNCS} x`
      return { what: `${what}, ${name}`, ours, beside, ratio, target, isMet: ratio <= TARGET_SYNCS }
    }
    return [rate(SHARED), rate(SHARED_DEL), alone(ALONE), alone(ALONE_DEL)]
  })
  return { samples, verdicts }
}
