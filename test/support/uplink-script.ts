/**
 * Runs in a host's namespace: a take-over that dies before its `at`-th request of the kernel, as the
 * first argument says: by a signal, or (`each`) by an end of its own at every request in turn,
 * recovered each time; or that meets a gateway that falls silent.
 *
 * It prints JSON.
 */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { give, recover, take, type UplinkOptions } from '../../src/live/uplink/uplink.ts'
import { NetlinkSocket } from '../../src/netlink-ts/live/mod.ts'
import type { Conn } from '../../src/netlink-ts/mod.ts'

const [mode = '', socketPath = '', at = '0', verb = 'take', gateway = '', cli = ''] =
  process.argv.slice(2)
/** Of the requests of a giving back, every third: each needs a whole take-over before it. */
const step = verb === 'give' && process.env['TRIVIUM_LONG'] !== '1' ? 3 : 1
const socket = NetlinkSocket.open()

class Died extends Error {}

/** The kernel's answers, until `die` is called before the request of that number. */
function mortal(number: number, die: () => void): { conn: Conn; asked: () => number } {
  let asked = 0
  const conn: Conn = {
    execute: (requests) =>
      requests.map((request) => {
        if (asked++ === number) die()
        return socket.execute([request])[0]
      }),
    run: (request) => socket.run(request),
    dump: (request) => socket.dump(request),
    get: (request) => socket.get(request),
  }
  return { conn, asked: () => asked }
}

const options = (conn: Conn): UplinkOptions => ({
  ways: { conn, indexOf: (name) => socket.indexOf(name) },
  socketPath,
  guardMs: mode === 'silent' ? 1500 : 10_000,
  probes: [],
  answers: 1,
  ...(mode === 'guarded' && {
    guardian: [process.execPath, cli, 'uplink', 'recover', '--wait', '--socket', socketPath],
  }),
})
const work = (conn: Conn): Promise<unknown> =>
  verb === 'take' ? take(options(conn), 'eth0', 'br-eth0') : give(options(conn), 'eth0')

const links = (): string => execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' })
const addrs = (): string => execFileSync('ip', ['-br', 'addr'], { encoding: 'utf8' })

async function each(): Promise<void> {
  const outcomes: unknown[] = []
  for (let number = Number(at); ; number += step) {
    const { conn } = mortal(number, () => {
      throw new Died()
    })
    const ended = await work(conn).then(
      () => 'through',
      (thrown: unknown) => (thrown instanceof Died ? 'died' : String(thrown)),
    )
    if (ended === 'through') return void console.log(JSON.stringify(outcomes))
    const recovered = await recover(options(socket), false)
    const dump = [
      links(),
      addrs(),
      execFileSync('ip', ['route', 'show', 'table', 'all'], { encoding: 'utf8' }),
      execFileSync('ip', ['-6', 'route', 'show', 'table', 'all'], { encoding: 'utf8' }),
    ]
    outcomes.push({ number, ended, recovered, dump: dump.join('').replace(/\d+sec/g, '') })
    if (verb === 'give') await take(options(socket), 'eth0', 'br-eth0')
  }
}

if (mode === 'each') {
  await each()
} else if (mode === 'kill' || mode === 'guarded') {
  await work(mortal(Number(at), () => process.kill(process.pid, 'SIGKILL')).conn)
} else {
  const fallSilent = (): void => {
    execFileSync('ip', ['-n', gateway, 'link', 'set', 'br0', 'down'])
  }
  console.log(JSON.stringify(await work(mortal(Number(at), fallSilent).conn)))
}
closeSync(0)
socket.close()
