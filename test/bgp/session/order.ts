/** What a session may do behind what, whatever happens to it. */
import assert from 'node:assert/strict'
import type { Recorded } from './pipe.ts'
import { messageWord } from './support.ts'

/** What every history of effects keeps to, whatever happened. */
export function checkOrder(records: readonly Recorded[]): void {
  let state = 'idle'
  let isUp = false
  const ended = new Set<number>()
  const [greeted, alive] = [new Set<number>(), new Set<number>()]
  for (const { input, effects } of records) {
    for (const effect of effects) {
      if ('connection' in effect) assert(!ended.has(effect.connection), 'nothing behind a close')
      if (effect.kind === 'close') ended.add(effect.connection)
      if (effect.kind === 'send') {
        const word = messageWord(effect.bytes)
        if (word === 'OPEN') greeted.add(effect.connection)
        if (word === 'KEEPALIVE') alive.add(effect.connection)
      }
      if (effect.kind === 'state') {
        assert.equal(effect.from, state)
        state = effect.to
      }
      if (effect.kind === 'up') {
        assert(!isUp && state === 'established')
        assert(input !== 'wake' && input.kind === 'received', 'the peer has the last word')
        const { connection } = effect.agreed
        assert(greeted.has(connection) && alive.has(connection), 'OPEN and KEEPALIVE were sent')
        isUp = true
      }
      if (effect.kind === 'down') {
        assert(isUp, 'down behind up')
        isUp = false
      }
      if (effect.kind === 'update' || effect.kind === 'refresh') assert(isUp)
    }
    assert.equal(state === 'established', isUp)
  }
}
