/**
 * A CSV trace, `at_ms,action,pod,node[,network]`, with the names that nodes and networks have
 * in their cluster.
 *
 * @module
 */
import { counted } from '../../src/words.ts'
import { NODES_MAX } from '../scenario.ts'
import { parseTrace, type TraceRow } from '../timeline/trace.ts'
import { nodeNamed } from '../underlay.ts'
import { badTrace, indexed, type Recorded, type RecordedPool } from './recorded.ts'

/** Networks that get a pool of their own when the trace says nothing of addresses: 10.0.0.0/12 and so on. */
const NETWORKS_MAX = 16

/** @throws {TriviumError} BAD_CONFIG: `file:line: found X, wanted Y`. */
export function recordedCsv(text: string, file: string): Recorded {
  const names = new Map<string, number>()
  const parsed = parseTrace(text, { file, nodes: names, networks: undefined })
  if (parsed.length === 0) throw badTrace(file, 'found a header alone, wanted rows')
  const { nodes, indexOf } = placesOf(names)
  const rows = parsed.map((row): TraceRow => {
    return { ...row, node: row.node === undefined ? undefined : indexOf(row.node) }
  })
  const adds = rows.filter(({ action }) => action === 'add').length
  return {
    about: `${counted(rows.length, 'row')} of CSV: ${counted(adds, 'pod')} came, ${rows.length - adds} went`,
    nodes,
    racks: undefined,
    pools: poolsOf(rows, file),
    podsPerSecond: undefined,
    first: [],
    rows,
  }
}

/** Numbers and names like node-0003 are places; other names are in the order of their letters. */
function placesOf(names: ReadonlyMap<string, number>): {
  readonly nodes: readonly string[]
  readonly indexOf: (place: number) => number
} {
  const byPlace = [...names.keys()]
  const simulated = byPlace.map((name) => nodeNamed(name, NODES_MAX))
  if (simulated.every((index) => index !== undefined)) {
    const most = simulated.reduce((last, index) => Math.max(last, index), -1)
    return {
      nodes: Array.from({ length: most + 1 }, (_, index) => String(index)),
      indexOf: (place) => simulated[place] ?? 0,
    }
  }
  const order = indexed(byPlace)
  return { nodes: [...order.keys()], indexOf: (place) => order.get(byPlace[place] ?? '') ?? 0 }
}

function poolsOf(rows: readonly TraceRow[], file: string): readonly RecordedPool[] {
  const networks = [...new Set(rows.flatMap(({ network }) => network ?? []))].sort()
  if (networks.length > NETWORKS_MAX) {
    throw badTrace(file, `found ${networks.length} networks, wanted at most ${NETWORKS_MAX}`)
  }
  return networks.map((network, index) => ({ cidr: `10.${index * 16}.0.0/12`, network }))
}
