/**
 * What our own store records: a file of `trivium ipam backup` or `export`. Nodes, racks and
 * pools are its records; pods are its attachments, those of now and, from the history of
 * addresses, those that are gone (a block remembers 128 releases).
 *
 * @module
 */
import { imageParser } from '../../ipam/backup/image.ts'
import type {
  AttachmentRecord,
  HistoryRecord,
  NetworkRecord,
  NodeRecord,
} from '../../ipam/records.ts'
import { asTriviumError } from '../../src/errors.ts'
import { counted } from '../../src/words.ts'
import { among } from '../suggest.ts'
import type { TraceRow } from '../timeline/trace.ts'
import { badTrace, byCode, indexed, type Recorded, type RecordedPod } from './recorded.ts'

/** Pods that are there before that are the first ones. */
const HOUR_MS = 3_600_000
const TICKS_PER_MS = 1000

export interface StoreQuestion {
  /** Undefined: the network with the most pods. */
  readonly network: string | undefined
  /** Of the time before the file was written; what was there earlier is there first. @default an hour */
  readonly lastMs: number | undefined
}

/** One pod's time in a network. */
interface Stay {
  /** Of the sandbox. */
  readonly key: string
  readonly network: string
  readonly node: string
  readonly fromMs: number
  /** Undefined: it is there. */
  readonly toMs: number | undefined
}

interface Records {
  readonly madeMs: number
  readonly networks: readonly NetworkRecord[]
  readonly nodes: ReadonlyMap<string, NodeRecord>
  readonly stays: readonly Stay[]
}

/** @throws {TriviumError} BAD_CONFIG, with the number of the line; NOT_FOUND for a network. */
export function recordedStore(text: string, file: string, asked: StoreQuestion): Recorded {
  const { madeMs, networks, nodes, stays } = recordsOf(text, file)
  const network = networkOf(networks, stays, asked.network, file)
  const own = stays.filter((stay) => stay.network === network.name)
  const rackOf = (node: string): string => nodes.get(node)?.rack ?? ''
  const places = indexed([...nodes.keys(), ...own.map(({ node }) => node)], rackOf)
  const racks = new Set([...places.keys()].map(rackOf))
  const sinceMs = madeMs - (asked.lastMs ?? HOUR_MS)
  const nodeOf = ({ node }: Stay): number => places.get(node) ?? 0
  const before = own.filter(({ fromMs, toMs }) => fromMs < sinceMs && (toMs ?? madeMs) >= sinceMs)
  const first = [...before]
    .sort((left, right) => left.fromMs - right.fromMs || byCode(left.key, right.key))
    .map((stay): RecordedPod => ({ name: stay.key, node: nodeOf(stay), nature: 'free' }))
  const rows = rowsOf(own, sinceMs, nodeOf)
  const came = rows.filter(({ action }) => action === 'add').length
  const left = networks.length - 1
  return {
    about: [
      `network ${network.name} of a store: ${counted(first.length, 'pod')} on ${counted(places.size, 'node')}`,
      `then ${came} came and ${rows.length - came} went`,
      ...(left === 0 ? [] : [`without ${counted(left, 'other network')}`]),
    ].join(', '),
    nodes: [...places.keys()],
    racks: racks.has('') ? undefined : racks.size,
    pools: network.pools
      .filter(({ floating }) => floating !== true)
      .map(({ cidr, blockLength }) => ({ cidr, blockLength })),
    podsPerSecond: undefined,
    first,
    rows,
  }
}

function recordsOf(text: string, file: string): Records {
  const parser = imageParser()
  try {
    for (const line of linesOf(text)) parser.add(line)
    const { header, pairs } = parser.image()
    const networks: NetworkRecord[] = []
    const nodes = new Map<string, NodeRecord>()
    const stays = new Map<string, Stay>()
    for (const [key, value] of pairs) {
      const kind = key.slice(0, key.indexOf('/'))
      // The parser has looked at what each kind of record holds.
      if (kind === 'network') networks.push(value as NetworkRecord)
      else if (kind === 'node') nodes.set((value as NodeRecord).name, value as NodeRecord)
      else if (kind === 'attachment' || kind === 'history') {
        const stay = stayOf(value as AttachmentRecord | HistoryRecord)
        // Of two families a sandbox has two records.
        stays.set(`${stay.network} ${stay.key}`, stay)
      }
    }
    return { madeMs: header.madeMs, networks, nodes, stays: [...stays.values()] }
  } catch (thrown) {
    throw badTrace(file, asTriviumError(thrown).message.replace(/^Cannot read the backup: /, ''))
  }
}

function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n', start)
    const end = found === -1 ? text.length : found
    yield text.slice(start, end)
    start = end + 1
  }
}

function stayOf(record: AttachmentRecord | HistoryRecord): Stay {
  const { network, node, containerId, ifname } = record
  const place = { key: `${containerId} ${ifname}`, network, node }
  if ('addedMs' in record) return { ...place, fromMs: record.addedMs, toMs: undefined }
  // A clock that was set back.
  return { ...place, fromMs: record.fromMs, toMs: Math.max(record.fromMs, record.toMs) }
}

function networkOf(
  networks: readonly NetworkRecord[],
  stays: readonly Stay[],
  asked: string | undefined,
  file: string,
): NetworkRecord {
  const podsOf = (name: string): number => stays.filter(({ network }) => network === name).length
  const sorted = [...networks].sort((left, right) => podsOf(right.name) - podsOf(left.name))
  const found = asked === undefined ? sorted[0] : sorted.find(({ name }) => name === asked)
  if (found === undefined) {
    const names = networks.map(({ name }) => name)
    if (asked === undefined) throw badTrace(file, 'found no network, wanted one')
    throw badTrace(file, `no network ${asked}, ${among(asked, names)}`)
  }
  if (podsOf(found.name) > 0) return found
  throw badTrace(file, `network ${found.name} has and had no pod, wanted one at least`)
}

function rowsOf(
  stays: readonly Stay[],
  sinceMs: number,
  nodeOf: (stay: Stay) => number,
): readonly TraceRow[] {
  const rows = stays.flatMap((stay): TraceRow[] => {
    const { key: pod, fromMs, toMs } = stay
    const at = (ms: number): number => Math.round((ms - sinceMs) * TICKS_PER_MS)
    const more = { pod, node: nodeOf(stay), network: undefined }
    return [
      ...(fromMs < sinceMs ? [] : [{ atTick: at(fromMs), action: 'add', ...more } as const]),
      ...(toMs === undefined || toMs < sinceMs
        ? []
        : [{ atTick: at(toMs), action: 'remove', ...more } as const]),
    ]
  })
  // Of one moment a pod's own two keep their order: sorting is stable.
  rows.sort((left, right) => left.atTick - right.atTick)
  // Nothing happens before the first.
  const startTick = rows[0]?.atTick ?? 0
  return rows.map((row) => ({ ...row, atTick: row.atTick - startTick }))
}
