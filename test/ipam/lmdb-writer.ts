/**
 * A process that allocates and releases as fast as it can, until it is killed.
 *
 * Every answer is written to the pipe at once and synchronously, so whoever
 * kills it knows which answers it has given:
 *
 *     + CONTAINER IP     allocated
 *     ? CONTAINER        about to release
 *     - CONTAINER        released
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { allocate, release } from '../../ipam/mod.ts'
import { answerOf } from '../contract/store.ts'

const [path = '', node = '', life = ''] = process.argv.slice(2)
const store = openLmdbStore(path)
const PODS_MAX = 40

/** A reader that is slow for a moment (EAGAIN) must still get whole lines. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') throw thrown
    }
  }
}

async function add(containerId: string): Promise<boolean> {
  const key = { network: 'pods', containerId, ifname: 'eth0' }
  const answer = await answerOf(store, (tx) =>
    allocate(tx, { key, node, netns: '', mayClaim: true, nowMs: 1, bootId: life }),
  )
  if (answer.kind === 'allocated') say(`+ ${containerId} ${answer.attachment.ips[0]}`)
  return answer.kind === 'allocated'
}

async function remove(containerId: string): Promise<void> {
  say(`? ${containerId}`)
  const key = { network: 'pods', containerId, ifname: 'eth0' }
  await answerOf(store, (tx) => release(tx, node, key))
  say(`- ${containerId}`)
}

say('ready')
const pods: string[] = []
for (let round = 0; ; round++) {
  const names = Array.from({ length: 8 }, (_, n) => `${node}-${life}-${round}-${n}`)
  const added = await Promise.all(names.map(add))
  pods.push(...names.filter((_, index) => added[index]))
  await Promise.all(pods.splice(0, Math.max(0, pods.length - PODS_MAX)).map(remove))
  await sleep(0)
}
