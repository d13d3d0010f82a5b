/**
 * Records what real daemons send, in two network namespaces of its own.
 *
 *     node --conditions=trivium-source --import tsx test/bgp/corpus/record.ts [bird frr gobgp exabgp]
 *
 * Needs root and Debian's bird2, frr, gobgpd and exabgp. For each daemon and each kind
 * of peer (`KINDS`) it listens as 192.0.2.1, opens a session, asks for a refresh,
 * stops the daemon, and writes what came as hexadecimal, a message a line.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Capabilities } from '../../../src/bgp/wire/capabilities.ts'
import { encodeKeepalive, Framer, HEADER_OCTETS } from '../../../src/bgp/wire/framing.ts'
import { hexOf } from '../../../src/bgp/wire/octets.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import { encodeRouteRefresh } from '../../../src/bgp/wire/route-refresh.ts'
import { parseIp } from '../../../src/net/mod.ts'
import { DAEMONS, type Daemon } from './daemons.ts'

const FOLDER = new URL('../../corpus/bgp/', import.meta.url).pathname
const INSIDE = process.argv.at(-2) === '--inside'
const PREFIX = INSIDE ? (process.argv.at(-1) ?? '') : `trvrec-${process.pid}`
/** Names of daemons; all when none is given. */
const ASKED = process.argv.slice(2, INSIDE ? -2 : undefined)
const [OURS, THEIRS] = [`${PREFIX}-a`, `${PREFIX}-b`]

const FAMILIES = ['ipv4', 'ipv6'] as const
const MODERN: Capabilities = {
  families: FAMILIES,
  routeRefresh: true,
  enhancedRouteRefresh: true,
  gracefulRestart: { isRestarting: false, hasNotification: true, restartSeconds: 60, families: [] },
}

interface Kind {
  readonly name: string
  /** 0: the daemon's own. */
  readonly asn: number
  readonly capabilities: Capabilities
}

const KINDS: readonly Kind[] = [
  { name: 'external', asn: 65001, capabilities: { ...MODERN, fourOctetAs: 65001 } },
  { name: 'two-octets', asn: 65001, capabilities: MODERN },
  {
    name: 'internal-add-path',
    asn: 65009,
    capabilities: {
      ...MODERN,
      fourOctetAs: 65009,
      extendedMessage: true,
      extendedNextHop: ['ipv4'],
      addPath: FAMILIES.map((family) => ({ family, direction: 'both' })),
    },
  },
]

const ip = (...args: readonly string[]): unknown => execFileSync('ip', args)
const pause = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, milliseconds))

function makeNamespaces(): void {
  for (const name of [OURS, THEIRS]) ip('netns', 'add', name)
  ip('-n', OURS, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'wire', 'netns', THEIRS)
  for (const [name, host] of [
    [OURS, '1'],
    [THEIRS, '10'],
  ] as const) {
    ip('-n', name, 'link', 'set', 'lo', 'up')
    ip('-n', name, 'link', 'set', 'wire', 'up')
    ip('-n', name, 'address', 'add', `192.0.2.${host}/24`, 'dev', 'wire')
    ip('-n', name, 'address', 'add', `2001:db8:1::${host}/64`, 'dev', 'wire', 'nodad')
  }
}

/** What came, and when it came last. */
interface Tape {
  readonly messages: string[]
  last: number
}

function answer(socket: Socket, kind: Kind, tape: Tape): void {
  const framer = new Framer()
  framer.allowExtendedMessages()
  const id = parseIp('192.0.2.1')
  socket.on('error', () => socket.destroy())
  socket.write(encodeOpen({ asn: kind.asn, holdSeconds: 90, id, capabilities: kind.capabilities }))
  socket.on('data', (chunk) => {
    framer.push(chunk)
    for (let frame = framer.next(); frame?.kind === 'frame'; frame = framer.next()) {
      tape.messages.push(hexOf(frame.bytes.subarray(frame.start - HEADER_OCTETS, frame.end)))
      tape.last = Date.now()
      if (frame.type === 1) socket.write(encodeKeepalive())
    }
  })
}

async function record(daemon: Daemon, kind: Kind, folder: string): Promise<void> {
  const tape: Tape = { messages: [], last: Date.now() }
  let current: Socket | undefined
  const server = createServer((socket) => {
    current = socket
    answer(socket, kind, tape)
  })
  await new Promise<void>((done) => server.listen(179, '192.0.2.1', done))
  const config = join(folder, `${daemon.name}.conf`)
  writeFileSync(config, daemon.config(kind.asn))
  const inside = ['netns', 'exec', THEIRS]
  const child: ChildProcess = spawn('ip', [...inside, ...daemon.command(config, folder)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, exabgp_daemon_user: 'root', exabgp_tcp_port: '179' },
  })
  await quiet(tape, 3000, 20_000)
  for (const command of daemon.after ?? []) {
    execFileSync('ip', [...inside, ...command])
    await pause(500)
  }
  for (const family of FAMILIES) current?.write(encodeRouteRefresh(family))
  await quiet(tape, 2000, 10_000)
  child.kill('SIGTERM')
  await pause(1500)
  child.kill('SIGKILL')
  current?.destroy()
  server.close()
  const head = `# ${daemon.name}, ${kind.name}: test/bgp/corpus/record.ts\n`
  writeFileSync(
    join(FOLDER, `${daemon.name}-${kind.name}.txt`),
    `${head}${tape.messages.join('\n')}\n`,
  )
  process.stderr.write(`${daemon.name} ${kind.name}: ${tape.messages.length} messages\n`)
}

/** Waits until nothing has come for a while after the first UPDATE. */
async function quiet(tape: Tape, milliseconds: number, most: number): Promise<void> {
  const start = Date.now()
  tape.last = start
  while (Date.now() - start < most) {
    await pause(100)
    if (tape.messages.length > 2 && Date.now() - tape.last > milliseconds) return
  }
}

/** Sockets belong to a namespace, so the recording is a process inside ours. */
if (INSIDE) {
  const folder = mkdtempSync('/run/trvrec-')
  try {
    const chosen = DAEMONS.filter(({ name }) => ASKED.length === 0 || ASKED.includes(name))
    for (const daemon of chosen) for (const kind of KINDS) await record(daemon, kind, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exit()
}

try {
  makeNamespaces()
  const self = [...process.execArgv, ...process.argv.slice(1), '--inside', PREFIX]
  execFileSync('ip', ['netns', 'exec', OURS, process.execPath, ...self], { stdio: 'inherit' })
} finally {
  for (const name of [OURS, THEIRS]) ip('netns', 'delete', name)
}
