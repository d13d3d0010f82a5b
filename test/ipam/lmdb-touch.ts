/**
 * Opens each of the stores that standard input names, a line each, reads all of it, writes a
 * little, and says so: whoever dies on the way leaves the line of the store before as its last.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { outcomeOf } from '../contract/store.ts'

for await (const path of createInterface({ input: process.stdin })) {
  // What a value says may have changed: then reading it throws, and that is no damage of the file's.
  let said = 'sound'
  try {
    const store = openLmdbStore(path)
    try {
      store.read((reader) => [...reader.range('row/')].length)
    } catch {
      said = 'a record that is no JSON'
    }
    const value = 'x'.repeat(3000)
    const ends = [1, 2, 3, 4].map((n) => outcomeOf(store, (tx) => tx.put(`new/${n}`, value)))
    for (const { kind } of await Promise.all(ends)) said += ` ${kind}`
    store.close()
  } catch (thrown) {
    said = (thrown as Error).message
  }
  writeSync(1, `${path} ${said}\n`)
}
