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

/** What one commit wrote. */
export interface Commit {
  /** Bytes of key and value as JSON, by key: what is new for those who read it. */
  readonly written: ReadonlyMap<string, number>
  /** Of everything that was put, also of what was there already. */
  readonly bytes: number
}

/** @param committed Called at every commit that wrote something. */
export function simStore(
  engine: Engine,
  times: StoreTimes,
  committed: (commit: Commit) => void,
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

  function forget({ written }: Commit): void {
    for (const key of written.keys()) {
      // Every range that agents read ends at a slash of the key.
      for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
        kept.delete(key.slice(0, end + 1))
      }
    }
  }

  return {
    read: (body) => inner.read((reader) => body(keeping(reader))),
    transact(body, done, decided) {
      const commit = { written: new Map<string, number>(), bytes: 0 }
      inner.transact(
        (tx) => {
          commit.written.clear()
          commit.bytes = 0
          const answer = body(recording(tx, commit))
          forget(commit)
          return answer
        },
        (outcome) => {
          if (outcome.kind === 'committed' && commit.bytes > 0) committed(commit)
          done(outcome)
        },
        decided,
      )
    },
    watch: (changed) => inner.watch(changed),
    close: () => inner.close(),
  }
}

/** Counts letters: names, addresses and the rest of our records are ASCII. */
function recording(tx: Tx, commit: { readonly written: Map<string, number>; bytes: number }): Tx {
  return {
    get: (key) => tx.get(key),
    range: (range) => tx.range(range),
    put(key, value) {
      // Agents write their record at every round; one that says nothing new concerns nobody.
      const text = JSON.stringify(value)
      const same = key.startsWith(keys.nodes) && JSON.stringify(tx.get(key)) === text
      const bytes = key.length + text.length
      if (!same) commit.written.set(key, bytes)
      commit.bytes += bytes
      tx.put(key, value)
    },
    remove(key) {
      commit.written.set(key, key.length)
      commit.bytes += key.length
      tx.remove(key)
    },
  }
}
