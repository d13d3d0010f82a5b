/**
 * A process that takes the lock of one attachment after another, and writes to a
 * file when it goes in and out.
 *
 *     node attachment-holder.ts SOCKET LOG WHO ROUNDS CONTAINER...
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { attachmentLocks } from '../../src/live/attachment-locks.ts'

const [socket = '', log = '', who = '', rounds = '1', ...containers] = process.argv.slice(2)
const locks = attachmentLocks(socket)
const say = (what: string): void => appendFileSync(log, `${what}\n`)

async function main(): Promise<void> {
  say(`ready ${who}`)
  for (let round = 0; round < Number(rounds); round++) {
    const containerId = containers[round % containers.length] ?? ''
    await locks.hold({ network: 'pods', containerId, ifname: 'eth0' }, async () => {
      say(`in ${who} ${containerId}`)
      // With nothing else to do it stays until it is killed.
      await sleep(rounds === '1' ? 60_000 : round % 3)
      say(`out ${who} ${containerId}`)
    })
  }
}

main()
