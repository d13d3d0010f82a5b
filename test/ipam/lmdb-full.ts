/** Goes on writing after the disk refused, at once and after the pause, then says what it found, as JSON. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { asTriviumError } from '../../src/errors.ts'
import { outcomeOf } from '../contract/store.ts'

// Without a listener the limit ends the process; with one, the write fails as on a full disk.
process.on('SIGXFSZ', () => {})

const patience = process.argv[3] === 'pool' ? 'pool' : 'blocks'
const store = openLmdbStore(process.argv[2] ?? '', { patience })
const value = 'x'.repeat(9000)
let committed = 0
let refused = ''
let refusals = 0
for (let round = 0; round < 60 && refusals < 2; round++) {
  // The first refusal is repeated without asking the disk; after the pause it is asked again.
  if (refused !== '') await sleep(1100)
  const outcomes = await Promise.all(
    (round % 2 === 0 ? [0] : [0, 1, 2]).map((n) =>
      outcomeOf(store, (tx) => tx.put(`row/${round}/${n}`, value)),
    ),
  )
  for (const outcome of outcomes) {
    if (outcome.kind === 'committed') committed++
    else refused = asTriviumError(outcome.error).code
  }
  if (outcomes.some(({ kind }) => kind === 'failed')) {
    refusals++
    const again = await outcomeOf(store, (tx) => tx.put('row/again', value))
    if (again.kind === 'committed') throw new Error('the disk was asked again at once')
  }
}
const rows = store.read((reader) => [...reader.range('row/')].length)
console.log(JSON.stringify({ refused, committed, rows }))
store.close()
