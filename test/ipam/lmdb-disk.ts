/**
 * On a small disk of its own: gives pods addresses until the disk is full, takes
 * them back, makes room and goes on. Says what it found, as JSON.
 */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { allocate, createNetwork, parseNetworkSpec, release } from '../../ipam/mod.ts'
import { asTriviumError } from '../../src/errors.ts'
import { answerOf, outcomeOf } from '../contract/store.ts'

const [, , disk = '', patience = 'pool'] = process.argv
const filler = join(disk, 'filler')
const store = openLmdbStore(join(disk, 'store'), {
  patience: patience === 'pool' ? 'pool' : 'blocks',
})
const spec = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/16', blockLength: 24 }] }
const keyOf = (n: number) => ({ network: 'pods', containerId: `c${n}`, ifname: 'eth0' })
const request = {
  node: 'n1',
  netns: `/run/netns/${'n'.repeat(200)}`,
  mayClaim: true,
  nowMs: 1,
  bootId: '',
}

const add = (n: number) => outcomeOf(store, (tx) => allocate(tx, { key: keyOf(n), ...request }))

await answerOf(store, (tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
for (let n = 0; n < 20; n++) await add(n)
// Somebody else fills the disk, to the last byte.
const { bavail, bsize } = statfsSync(disk)
writeFileSync(filler, Buffer.alloc(bavail * bsize))
let held = 20
let refused = asTriviumError(undefined)
for (; held < 5000; held++) {
  const outcome = await add(held)
  if (outcome.kind === 'committed') continue
  refused = asTriviumError(outcome.error)
  break
}
// What begins in the pause after a refusal is not tried at all.
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1100))
await pause()
let released = 0
for (let n = 0; n < held; n++) {
  const outcome = await outcomeOf(store, (tx) => release(tx, 'n1', keyOf(n)))
  if (outcome.kind === 'failed') throw outcome.error
  released += outcome.answer === undefined ? 0 : 1
}
rmSync(filler)
const again = (await add(0)).kind
const { code, message, details } = refused
console.log(JSON.stringify({ code, message, details, held, released, again }))
store.close()
