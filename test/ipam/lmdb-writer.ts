/**
 * A process that allocates and releases as fast as it can: until it is killed,
 * or for some rounds, each of which opens the store anew.
 *
 * Every answer is written to the pipe at once and synchronously, so whoever
 * kills it knows which answers it has given:
 *
 *     + CONTAINER IP     allocated
 *     ? CONTAINER        about to release
 *     - CONTAINER        released
 *     ! CONTAINER WHY    refused, with room left
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { allocate, release } from '../../ipam/mod.ts'
import { answerOf } from '../contract/store.ts'

const [path = '', node = '', life = '', rounds = '0'] = process.argv.slice(2)
let store = openLmdbStore(path)
const PODS_MAX = 40
const ROUNDS = Number(rounds)
const [AT_ONCE, HELD] = ROUNDS > 0 ? [2, 2] : [8, PODS_MAX]

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
  else if (answer.reason !== 'exhausted') say(`! ${containerId} ${answer.message}`)
  return answer.kind === 'allocated'
}

async function remove(containerId: string): Promise<void> {
  say(`? ${containerId}`)
  const key = { network: 'pods', containerId, ifname: 'eth0' }
  const released = await answerOf(store, (tx) => release(tx, node, key))
  say(released === undefined ? `! ${containerId} was unknown` : `- ${containerId}`)
}

async function main(): Promise<void> {
  say('ready')
  const pods: string[] = []
  for (let round = 0; ROUNDS === 0 || round < ROUNDS; round++) {
    const names = Array.from({ length: AT_ONCE }, (_, n) => `${node}-${life}-${round}-${n}`)
    const added = await Promise.all(names.map(add))
    pods.push(...names.filter((_, index) => added[index]))
    await Promise.all(pods.splice(0, Math.max(0, pods.length - HELD)).map(remove))
    await sleep(0)
    // The last round leaves it to the end of the process.
    if (ROUNDS === 0 || round === ROUNDS - 1) continue
    store.close()
    store = openLmdbStore(path)
  }
}

main()
