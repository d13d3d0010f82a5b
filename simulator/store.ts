/**
 * The cluster's store as simulated nodes see it: one store in memory, an answer
 * a commit time later, and a note to every agent whose view has changed.
 *
 * Two things differ from a plain store, and neither can change what an agent
 * decides. An agent is told only of commits that change something it reads, so
 * a pod on one node does not wake all others for a round without effect. And a
 * range that was read is kept until a commit touches it, because every node
 * reads the same claims.
 *
 * @module
 */
import { keys } from '../ipam/keys.ts'
import { memoryStore } from '../ipam/memory-store.ts'
import type { Key, KeyRange, Reader, Store, Tx } from '../ipam/store.ts'
import { type Engine, EVENT } from './clock.ts'

/** Delays in ticks. */
export interface StoreTimes {
  /** From a request to the commit's answer. */
  readonly commitTicks: number
  /** From a commit to the agents that watch. */
  readonly watchTicks: number
}

/** Whom a commit concerns. */
export type Concerned = { readonly kind: 'all' } | { readonly kind: 'node'; readonly name: string }

/** Which agents read `key`; undefined when none does. */
export function concernedBy(key: string): Concerned | undefined {
  const [kind, name = ''] = key.split('/', 2)
  if (['claim', 'node', 'network', 'allow'].includes(kind ?? '')) return { kind: 'all' }
  return kind === 'attachment' ? { kind: 'node', name } : undefined
}

/** @param committed Called at every commit, with the keys it wrote. */
export function simStore(
  engine: Engine,
  times: StoreTimes,
  committed: (written: ReadonlySet<string>) => void,
): Store {
  const inner = memoryStore({
    defer: (run) => void engine.later(times.commitTicks, EVENT.store, 0, 0, run),
  })
  const kept = new Map<string, readonly (readonly [string, unknown])[]>()

  const keeping = (reader: Reader): Reader => ({
    get: (key) => reader.get(key),
    range: <T>(range: KeyRange<T>) => {
      const known = kept.get(range)
      if (known !== undefined) return known as readonly (readonly [Key<T>, T])[]
      const pairs = [...reader.range(range)]
      kept.set(range, pairs)
      return pairs
    },
  })

  function forget(written: ReadonlySet<string>): void {
    for (const key of written) {
      // Every range that agents read ends at a slash of the key.
      for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
        kept.delete(key.slice(0, end + 1))
      }
    }
  }

  return {
    read: (body) => inner.read((reader) => body(keeping(reader))),
    transact(body, done) {
      const written = new Set<string>()
      inner.transact(
        (tx) => {
          written.clear()
          const answer = body(recording(tx, written))
          forget(written)
          return answer
        },
        (outcome) => {
          if (outcome.kind === 'committed' && written.size > 0) committed(written)
          done(outcome)
        },
      )
    },
    watch: (changed) => inner.watch(changed),
    close: () => inner.close(),
  }
}

function recording(tx: Tx, written: Set<string>): Tx {
  return {
    get: (key) => tx.get(key),
    range: (range) => tx.range(range),
    put(key, value) {
      // Agents write their record at every round; one that says nothing new concerns nobody.
      const same = key.startsWith(keys.nodes) && sameJson(tx.get(key), value)
      if (!same) written.add(key)
      tx.put(key, value)
    },
    remove(key) {
      written.add(key)
      tx.remove(key)
    },
  }
}

const sameJson = (left: unknown, right: unknown): boolean =>
  JSON.stringify(left) === JSON.stringify(right)
