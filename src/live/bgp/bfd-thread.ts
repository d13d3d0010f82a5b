/**
 * The thread in which BFD runs: sockets, and the sessions that `bgp/bfd` decides about.
 * A main thread that is busy for a second costs no packet here.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import type { MessagePort } from 'node:worker_threads'
import { openUdpSocket, ttlFilter } from 'netlink-ts/live'
import { type BfdPeer, BfdSessions, type BfdSessionsEffect } from '../../bgp/bfd/mod.ts'
import { drive } from '../../driver.ts'
import { assertNever, asTriviumError } from '../../errors.ts'
import { type Ip, type IpFamily, ipFamily, ipToInteger, tryParseIp } from '../../net/mod.ts'
import { prng } from '../../prng.ts'
import { liveClock } from '../clock.ts'

/** What the thread is told. */
export type BfdOrder =
  | { readonly kind: 'configure'; readonly peers: readonly BfdPeer[] }
  | { readonly kind: 'stop' }

/** What the thread tells: changes only, and mistakes once. */
export type BfdNews =
  | Extract<BfdSessionsEffect, { kind: 'state' }>
  | { readonly kind: 'problem'; readonly subject: string; readonly problem: string }
  | { readonly kind: 'stopped' }

/** RFC 5881 section 4. */
const PORT = 3784
const SOURCE_PORTS = { first: 49_152, count: 65_536 - 49_152 } as const
const SOURCE_PORT_TRIES = 50
/** RFC 5881 section 5: a packet from further away has another one. */
const TTL = 255
/** An address may come, or a daemon may leave the port. */
const AGAIN_MS = 1000
/** Until the last words have left. */
const STOP_MS = 20

export function runBfd(port: MessagePort): void {
  const tell = (news: BfdNews): void => port.postMessage(news)
  const sockets = new Sockets((from, bytes) => driven.feed({ kind: 'received', from, bytes }), tell)
  const driven = drive(
    new BfdSessions(prng(randomBytes(16).toString('hex'))),
    liveClock,
    (effect) => {
      switch (effect.kind) {
        case 'send':
          sockets.send(effect.peer, effect.bytes)
          break
        case 'state':
          tell(effect)
          break
        case 'discard':
          break
        default:
          assertNever(effect)
      }
    },
  )
  port.on('message', (order: BfdOrder) => {
    if (order.kind === 'stop') {
      driven.feed({ kind: 'stop' })
      driven.stop()
      setTimeout(() => {
        sockets.configure([])
        tell({ kind: 'stopped' })
        port.close()
      }, STOP_MS)
      return
    }
    sockets.add(order.peers)
    driven.feed(order)
    // Those that are not named any more have said so by now.
    sockets.configure(order.peers)
  })
}

interface Sender {
  readonly socket: Socket
  readonly localAddress: Ip | undefined
}

/** A socket to listen for each local address, and one to send from for each peer. */
class Sockets {
  readonly #heard: (from: Ip, bytes: Uint8Array) => void
  readonly #tell: (news: BfdNews) => void
  readonly #receivers = new Map<Ip, Socket>()
  readonly #senders = new Map<Ip, Sender>()
  readonly #problems = new Set<string>()
  #peers: readonly BfdPeer[] = []
  #again: NodeJS.Timeout | undefined

  constructor(heard: (from: Ip, bytes: Uint8Array) => void, tell: (news: BfdNews) => void) {
    this.#heard = heard
    this.#tell = tell
  }

  /** Opens what these need, and closes nothing. */
  add(peers: readonly BfdPeer[]): void {
    this.#peers = peers
    clearTimeout(this.#again)
    let isMissing = false
    for (const peer of peers) {
      const local = localOf(peer)
      const hears = this.#try(`${local} port ${PORT}`, () => this.#receive(local))
      const sends = this.#try(`to ${peer.address}`, () => this.#prepare(peer))
      isMissing ||= !hears || !sends
    }
    if (isMissing) this.#again = setTimeout(() => this.add(this.#peers), AGAIN_MS)
  }

  /** Closes what no peer needs. */
  configure(peers: readonly BfdPeer[]): void {
    this.#peers = peers
    if (peers.length === 0) clearTimeout(this.#again)
    const [locals, addresses] = [
      new Set(peers.map(localOf)),
      new Set(peers.map(({ address }) => address)),
    ]
    for (const [local, socket] of this.#receivers) {
      if (locals.has(local)) continue
      socket.close()
      this.#receivers.delete(local)
    }
    for (const [address, { socket }] of this.#senders) {
      if (addresses.has(address)) continue
      socket.close()
      this.#senders.delete(address)
    }
  }

  send(peer: Ip, bytes: Uint8Array): void {
    // Nobody there, no way there: that is what sessions find out.
    this.#senders.get(peer)?.socket.send(bytes, PORT, peer, () => {})
  }

  #try(subject: string, open: () => void): boolean {
    try {
      open()
      this.#problems.delete(subject)
      return true
    } catch (thrown) {
      if (!this.#problems.has(subject)) {
        this.#problems.add(subject)
        this.#tell({ kind: 'problem', subject, problem: asTriviumError(thrown).message })
      }
      return false
    }
  }

  #receive(local: Ip): void {
    if (this.#receivers.has(local)) return
    const family = ipFamily(local)
    const fd = openUdpSocket(family, {
      address: octetsOf(local),
      port: PORT,
      filter: ttlFilter(family, TTL),
    })
    const socket = taken(family, fd)
    socket.on('message', (bytes, { address }) => {
      const from = tryParseIp(address)
      if (from !== undefined) this.#heard(from, bytes)
    })
    this.#receivers.set(local, socket)
  }

  #prepare(peer: BfdPeer): void {
    const known = this.#senders.get(peer.address)
    if (known !== undefined && known.localAddress === peer.localAddress) return
    const socket = taken(ipFamily(peer.address), openSource(localOf(peer)))
    known?.socket.close()
    this.#senders.set(peer.address, { socket, localAddress: peer.localAddress })
  }
}

function taken(family: IpFamily, fd: number): Socket {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
  // What ICMP says about a packet that was sent.
  socket.on('error', () => {})
  socket.bind({ fd })
  return socket
}

/** A port of its own for each session: RFC 5881 section 4. */
function openSource(local: Ip): number {
  for (let attempt = 1; ; attempt++) {
    const port = SOURCE_PORTS.first + (randomBytes(2).readUInt16BE() % SOURCE_PORTS.count)
    try {
      return openUdpSocket(ipFamily(local), { address: octetsOf(local), port, ttl: TTL })
    } catch (thrown) {
      const isTaken = (thrown as { code?: unknown }).code === 'EADDRINUSE'
      if (!isTaken || attempt === SOURCE_PORT_TRIES) throw thrown
    }
  }
}

const localOf = ({ address, localAddress }: BfdPeer): Ip =>
  localAddress ?? ((ipFamily(address) === 4 ? '0.0.0.0' : '::') as Ip)

function octetsOf(ip: Ip): Uint8Array {
  let value = ipToInteger(ip)
  const octets = new Uint8Array(ipFamily(ip) === 4 ? 4 : 16)
  for (let at = octets.length - 1; at >= 0; at--) {
    octets[at] = Number(value & 0xffn)
    value >>= 8n
  }
  return octets
}
