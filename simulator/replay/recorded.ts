/**
 * What a trace of a real cluster says, whatever wrote it: nodes, the pods that were there,
 * and what came and went.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { HOUR_MS } from '../scenario-values.ts'
import type { PodNature } from '../timeline/control-plane.ts'
import type { TraceRow } from '../timeline/trace.ts'

/** A pod that was there before. */
export interface RecordedPod {
  readonly name: string
  /** Index. */
  readonly node: number
  readonly nature: PodNature
}

export interface RecordedPool {
  readonly cidr: string
  readonly blockLength?: number
  readonly network?: string
}

export interface Recorded {
  /** What was read, in words. */
  readonly about: string
  /** By index. Empty: no row names one. */
  readonly nodes: readonly string[]
  /** How many the trace tells apart; undefined: it says nothing of racks. */
  readonly racks: number | undefined
  /** Empty: it says nothing of addresses. */
  readonly pools: readonly RecordedPool[]
  /** At which the first pods came; undefined: it does not say. */
  readonly podsPerSecond: number | undefined
  /** In the order of their creation. */
  readonly first: readonly RecordedPod[]
  /** In the order of their times. */
  readonly rows: readonly TraceRow[]
}

/** Longer traces are played faster, when nobody says how fast. */
const LENGTH_MS = HOUR_MS
const TICKS_PER_MS = 1000

/** Virtual time that the rows take, in milliseconds. */
export const lengthMs = (rows: readonly TraceRow[]): number =>
  Math.ceil((rows.at(-1)?.atTick ?? 0) / TICKS_PER_MS)

/** How fast a trace is played when nobody says it: within an hour. */
export const usualSpeed = (rows: readonly TraceRow[]): number =>
  Math.max(1, Math.ceil(lengthMs(rows) / LENGTH_MS))

/** The rows so many times as fast. */
export const faster = (rows: readonly TraceRow[], speed: number): readonly TraceRow[] =>
  speed === 1 ? rows : rows.map((row) => ({ ...row, atTick: Math.round(row.atTick / speed) }))

/** Most pods at once, and on one node where the rows name one. */
export function peakOf({ first, rows }: Pick<Recorded, 'first' | 'rows'>): {
  readonly pods: number
  readonly onNode: number
} {
  const where = new Map<string, number>(first.map(({ name, node }) => [name, node]))
  const held = new Map<number, number>()
  for (const node of where.values()) held.set(node, (held.get(node) ?? 0) + 1)
  let onNode = [...held.values()].reduce((most, pods) => Math.max(most, pods), 0)
  let pods = where.size
  for (const { action, pod, node = -1 } of rows) {
    if (action === 'add') {
      where.set(pod, node)
      const now = (held.get(node) ?? 0) + 1
      held.set(node, now)
      if (node !== -1) onNode = Math.max(onNode, now)
      pods = Math.max(pods, where.size)
      continue
    }
    const at = where.get(pod)
    if (at !== undefined) held.set(at, (held.get(at) ?? 1) - 1)
    where.delete(pod)
  }
  return { pods, onNode }
}

/** Simulated nodes have the trace's in the order of their racks, then of their names. */
export function indexed(
  nodes: Iterable<string>,
  rackOf: (node: string) => string = () => '',
): ReadonlyMap<string, number> {
  const sorted = [...new Set(nodes)].sort(
    (left, right) => byCode(rackOf(left), rackOf(right)) || byCode(left, right),
  )
  return new Map(sorted.map((name, index) => [name, index]))
}

export const byCode = (left: string, right: string): number =>
  left < right ? -1 : left > right ? 1 : 0

export const badTrace = (file: string, message: string): TriviumError =>
  new TriviumError('BAD_CONFIG', `Cannot read trace ${file}: ${message}`)
