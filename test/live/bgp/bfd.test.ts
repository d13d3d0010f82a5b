/**
 * BFD beside BIRD's and FRR's, over a switch that can be cut.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeBfd } from '../../../src/bgp/bfd/mod.ts'
import { notRoot } from '../../netlink-ts/support.ts'
import { HERE, THERE, type World, world } from './bfd-world.ts'
import { eventually } from './routes-world.ts'

const BIRD = '/usr/sbin/bird'
const BFDD = '/usr/lib/frr/bfdd'
const PEERS = THERE.map((address) => ({ address, intervalMs: 100, multiplier: 3 }))

interface Ours {
  readonly said: { readonly kind: string; readonly peer?: string; readonly isUp?: boolean }[]
  tell(line: string): void
  /** What is known of each peer. */
  up(): readonly string[]
}

function ours(of: World, peers: readonly object[] = PEERS): Ours {
  const program = join(import.meta.dirname, 'bfd-program.ts')
  const source = ['--conditions=trivium-source', '--import', 'tsx', program]
  const child = of.start(0, process.execPath, ...source, JSON.stringify(peers))
  const said: Ours['said'] = []
  let rest = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    said.push(...lines.map((line) => JSON.parse(line)))
  })
  const up = (): readonly string[] => {
    const last = new Map(said.map(({ peer = '', isUp = false }) => [peer, isUp]))
    return [...last].flatMap(([peer, isUp]) => (isUp ? [peer] : [])).sort()
  }
  return { said, tell: (line) => void child.stdin!.write(`${line}\n`), up }
}

/** Addresses of sessions that are up, with the moment since when. */
type Sessions = () => Readonly<Record<string, string>>

function startBird(of: World): Sessions {
  const config = join(of.folder, 'bird.conf')
  const timers = 'interval 100 ms; multiplier 3; idle tx interval 200 ms;'
  const neighbors = HERE.map((address) => `neighbor ${address};`).join(' ')
  writeFileSync(
    config,
    `router id 10.7.0.2;\nprotocol device {}\nprotocol bfd { interface "eth0" { ${timers} }; ${neighbors} }\n`,
  )
  const socket = join(of.folder, 'bird.ctl')
  of.start(1, BIRD, '-f', '-c', config, '-s', socket)
  return () => {
    if (!existsSync(socket)) return {}
    const text = of.exec(1, 'birdc', '-s', socket, 'show', 'bfd', 'sessions')
    return Object.fromEntries(
      text.split('\n').flatMap((line) => {
        const [address = '', , state, since = ''] = line.split(/\s+/)
        return state === 'Up' ? [[address, since]] : []
      }),
    )
  }
}

function startFrr(of: World): Sessions {
  const folder = join(of.folder, 'frr')
  // They insist on giving up being root; their folders are their user's.
  const home = join(of.folder, 'zebra')
  mkdirSync(folder)
  mkdirSync(home)
  chmodSync(of.folder, 0o711)
  execFileSync('chown', ['frr:frr', home, folder])
  const zserv = join(home, 'zserv.api')
  const zebra = ['-P', '0', '-i', join(home, 'pid'), '--vty_socket', home, '-z', zserv]
  of.start(1, '/usr/lib/frr/zebra', ...zebra)
  const config = join(folder, 'bfdd.conf')
  const peer = (address: string, local: string): string =>
    ` peer ${address} local-address ${local} interface eth0\n  receive-interval 100\n  transmit-interval 100\n  no shutdown\n`
  writeFileSync(config, `bfd\n${HERE.map((each, n) => peer(each, THERE[n]!)).join('')}`)
  const sockets = ['--vty_socket', folder, '-z', zserv, '--bfdctl', join(folder, 'bfdd.sock')]
  of.start(1, BFDD, '-P', '0', '-i', join(folder, 'pid'), ...sockets, '-f', config)
  return () => {
    try {
      if (!existsSync(join(folder, 'bfdd.vty'))) return {}
      const text = of.exec(1, 'vtysh', '--vty_socket', folder, '-c', 'show bfd peers json')
      const rows: readonly { peer: string; status: string }[] = JSON.parse(text)
      return Object.fromEntries(
        rows.flatMap((each) => (each.status === 'up' ? [[each.peer, '']] : [])),
      )
    } catch {
      return {}
    }
  }
}

const both = (sessions: Sessions): string => Object.keys(sessions()).sort().join()

/** What somebody with that address would say: that the session is down. */
async function forge(of: World, ttl: number): Promise<void> {
  const bytes = encodeBfd({
    diagnostic: 0,
    state: 'down',
    isPoll: false,
    isFinal: false,
    isIndependent: false,
    isDemand: false,
    detectMultiplier: 3,
    myDiscriminator: 1,
    yourDiscriminator: 0,
    desiredMinTxUs: 1_000_000,
    requiredMinRxUs: 1_000_000,
    requiredMinEchoRxUs: 0,
  })
  const program = `
    for (const [type, from, to] of [['udp4', '${THERE[0]}', '${HERE[0]}'], ['udp6', '${THERE[1]}', '${HERE[1]}']]) {
      const socket = require('node:dgram').createSocket(type)
      socket.bind(50000, from, () => {
        socket.setTTL(${ttl})
        for (let n = 0; n < 20; n++) {
          socket.send(Buffer.from('${Buffer.from(bytes).toString('hex')}', 'hex'), 3784, to)
        }
        setTimeout(() => socket.close(), 50)
      })
    }`
  of.exec(1, process.execPath, '-e', program)
}

/** Both sides say so. */
async function agree(us: Ours, sessions: Sessions, isUp: boolean): Promise<void> {
  await eventually(
    () => us.up().join(),
    (seen) => seen === (isUp ? ALL_THERE : ''),
  )
  await eventually(
    () => both(sessions),
    (seen) => seen === (isUp ? ALL_HERE : ''),
  )
}

const options = { skip: notRoot || (existsSync(BIRD) ? false : 'no bird2') }
const ALL_HERE = [...HERE].sort().join()
const ALL_THERE = [...THERE].sort().join()

t.test('with BIRD', options, async (t) => {
  const of = world(t)
  const us = ours(of)
  const sessions = startBird(of)
  await agree(us, sessions, true)
  const since = JSON.stringify(sessions())
  const changes = us.said.length

  us.tell('busy 2000')
  await eventually(
    () => us.said.at(-1)?.kind,
    (kind) => kind === 'idle',
  )
  t.equal(JSON.stringify(sessions()), since, 'a busy main thread is no failure')
  t.equal(us.said.length, changes + 1)

  await forge(of, 254)
  t.equal(us.said.length, changes + 1, 'from further away nothing is heard')
  t.equal(JSON.stringify(sessions()), since)
  await forge(of, 255)
  const fallen = (): readonly string[] =>
    us.said.slice(changes + 1).flatMap(({ peer = '', isUp }) => (isUp === false ? [peer] : []))
  // That this would have been heard.
  await eventually(
    () => fallen(),
    (seen) => THERE.every((each) => seen.includes(each)),
  )
  await agree(us, sessions, true)

  of.carry(false)
  await agree(us, sessions, false)
  of.carry(true)
  await agree(us, sessions, true)

  us.tell(`peers ${JSON.stringify(PEERS.slice(1))}`)
  await eventually(
    () => both(sessions),
    (seen) => seen === HERE[1],
  )
  t.strictSame(
    us.said.filter(({ kind }) => kind === 'problem'),
    [],
  )
})

t.test('with FRR', { skip: notRoot || (existsSync(BFDD) ? false : 'no frr') }, async (t) => {
  const of = world(t)
  const sessions = startFrr(of)
  const us = ours(
    of,
    PEERS.map((peer, n) => ({ ...peer, localAddress: HERE[n] })),
  )
  await agree(us, sessions, true)
  of.carry(false)
  await agree(us, sessions, false)
  of.carry(true)
  await eventually(
    () => both(sessions),
    (seen) => seen === ALL_HERE,
  )
  us.tell('stop')
  await eventually(
    () => both(sessions),
    (seen) => seen === '',
  )
})
