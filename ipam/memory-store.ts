/**
 * The store in memory, for the simulator and for tests.
 *
 * It behaves like the one on disk: a body runs after `transact` returned, and
 * values come back as the JSON that was written, never as the caller's object.
 * Time comes from outside: every step goes through `defer`.
 *
 * @module
 */
import { asTriviumError, TriviumError } from '../src/errors.ts'
import { frozenCopy } from './plain.ts'
import { sortedMap } from './sorted-map.ts'
import type { Key, KeyRange, Outcome, Reader, Store, Tx } from './store.ts'

/** How a store in memory gets its turns. */
export interface MemoryStoreOptions {
  /** Runs `run` later, in order, never before it returns: an event queue, `setImmediate`. */
  readonly defer: (run: () => void) => void
}

/** An empty store. */
export function memoryStore({ defer }: MemoryStoreOptions): Store {
  const map = sortedMap()
  const watchers = new Set<() => void>()
  let closed = false
  let notifying = false

  const reader: Reader = {
    get: <T>(key: Key<T>) => map.get(key) as T | undefined,
    range: <T>(range: KeyRange<T>) => map.range(range) as [Key<T>, T][],
  }

  function run<T>(body: (tx: Tx) => T): Outcome<T> {
    const undo: (readonly [key: string, value: unknown])[] = []
    const write = (key: string, value: unknown): void => {
      undo.push([key, map.get(key)])
      map.set(key, value)
    }
    const tx: Tx = {
      ...reader,
      put: (key, value) => write(key, frozenCopy(key, value, map.get(key))),
      remove: (key) => write(key, undefined),
    }
    try {
      const answer = body(tx)
      if (undo.length > 0) notify()
      return { kind: 'committed', answer }
    } catch (thrown) {
      for (const [key, value] of undo.reverse()) map.set(key, value)
      return { kind: 'failed', error: asError(thrown) }
    }
  }

  function notify(): void {
    if (notifying) return
    notifying = true
    defer(() => {
      notifying = false
      for (const changed of [...watchers]) if (watchers.has(changed)) changed()
    })
  }

  return {
    read(body) {
      if (closed) throw closedError()
      return body(reader)
    },
    transact(body, done, decided) {
      if (closed) return defer(() => done({ kind: 'failed', error: closedError() }))
      defer(() => {
        const outcome = run(body)
        if (outcome.kind === 'committed') decided?.(outcome.answer)
        done(outcome)
      })
    },
    watch(changed) {
      const own = () => changed() // the same function may watch twice
      watchers.add(own)
      return () => void watchers.delete(own)
    },
    close() {
      closed = true
      watchers.clear()
    },
  }
}

const closedError = (): TriviumError =>
  new TriviumError('STORE', 'Cannot use the store: it is closed, wanted an open one')

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)
