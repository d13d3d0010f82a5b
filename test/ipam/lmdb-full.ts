/** Goes on writing after the disk refused, one request and three at a time, then says what it found, as JSON. */
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { asTriviumError } from '../../src/errors.ts'
import { outcomeOf } from '../contract/store.ts'

// Without a listener the limit ends the process; with one, the write fails as on a full disk.
process.on('SIGXFSZ', () => {})

const store = openLmdbStore(process.argv[2] ?? '')
const value = 'x'.repeat(9000)
let committed = 0
let refused = ''
for (let round = 0; round < 60; round++) {
  const outcomes = await Promise.all(
    (round % 2 === 0 ? [0] : [0, 1, 2]).map((n) =>
      outcomeOf(store, (tx) => tx.put(`row/${round}/${n}`, value)),
    ),
  )
  for (const outcome of outcomes) {
    if (outcome.kind === 'committed') committed++
    else refused = asTriviumError(outcome.error).code
  }
}
const rows = store.read((reader) => [...reader.range('row/')].length)
console.log(JSON.stringify({ refused, committed, rows }))
store.close()
