/** A store in memory whose transactions have happened when they return. */
import { memoryStore } from '../../ipam/memory-store.ts'
import type { Outcome, Tx } from '../../ipam/mod.ts'

export interface SmallStore {
  /** @throws What the body throws. */
  run<T>(body: (tx: Tx) => T): T
}

export function smallStore(): SmallStore {
  const queue: (() => void)[] = []
  const store = memoryStore({ defer: (run) => queue.push(run) })
  return {
    run<T>(body: (tx: Tx) => T): T {
      let outcome: Outcome<T> | undefined
      store.transact(body, (ended) => {
        outcome = ended
      })
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) step()
      if (outcome?.kind === 'committed') return outcome.answer
      throw outcome?.error
    },
  }
}
