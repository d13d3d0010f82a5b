/**
 * TCP connections of a speaker: outgoing and accepted ones, with what `SpeakerEffect`
 * says of them carried out and what they do told as `SessionInput`.
 *
 * What is written in one turn of the event loop leaves together. Nothing is told before
 * a call returns.
 *
 * @module
 */
import { Socket } from 'node:net'
import { openTcpSocket, setHops } from 'netlink-ts/live'
import type { PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import type { ConnectionId, SessionInput } from '../../bgp/session/types.ts'
import { ipOctets } from '../../bgp/wire/octets.ts'
import { type Ip, ipFamily, tryParseIp } from '../../net/mod.ts'
import { descriptorOf } from '../descriptor.ts'
import { hopsOf } from './hops.ts'
import { endsOf } from './links.ts'

/** How long a connection that we closed waits for what it sent to be read. */
const LINGER_MS = 2000
/** How often a transport that takes no more is looked at: RFC 9687's time runs in minutes. */
const BLOCKED_LOOK_MS = 5000

const BGP_PORT = 179

type Tell = (peer: Ip, input: SessionInput) => void

interface Connection {
  readonly peer: Ip
  readonly id: ConnectionId
  readonly socket: Socket
  isBlocked: boolean
  /** What was not out at the last look. */
  waitingOctets: number
  looking: NodeJS.Timeout | undefined
}

export class Transport {
  readonly #tell: Tell
  readonly #configOf: () => SpeakerConfig
  readonly #connections = new Map<string, Connection>()
  readonly #corked = new Set<Socket>()
  /** Closed by us, and not gone yet. */
  readonly #closing = new Set<Socket>()
  #whenEnded: (() => void) | undefined
  #accepted = 0

  constructor(configOf: () => SpeakerConfig, tell: Tell) {
    this.#configOf = configOf
    this.#tell = tell
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.#connections.size
  }

  connect(peer: Ip, id: ConnectionId): void {
    const config = this.#peer(peer)
    if (config === undefined) return
    const { localAddress, password, port = BGP_PORT } = config
    let socket: Socket
    try {
      const fd = openTcpSocket(ipFamily(peer), {
        ...(localAddress && { local: { address: ipOctets(localAddress) } }),
        ...(password !== undefined && { md5: [{ address: ipOctets(peer), key: password }] }),
        ...hopsOf(config, this.#configOf().asn),
      })
      // Reading begins when it is connected.
      socket = new Socket({ fd, manualStart: true } as { fd: number })
    } catch (thrown) {
      const reason = (thrown as Error).message
      setImmediate(() => this.#tell(peer, { kind: 'connect-failed', connection: id, reason }))
      return
    }
    const connection = this.#add(peer, id, socket)
    let reason = 'the connection was closed'
    socket.on('error', (error) => {
      reason = error.message
    })
    socket.once('close', () => {
      if (!this.#forget(connection)) return
      this.#tell(peer, { kind: 'connect-failed', connection: id, reason })
    })
    socket.connect({ host: peer, port }, () => {
      socket.removeAllListeners('close')
      socket.removeAllListeners('error')
      this.#begin(connection)
    })
  }

  /** Takes a connection of a configured peer. */
  accept(peer: Ip, socket: Socket): void {
    const config = this.#peer(peer)
    const fd = descriptorOf(socket)
    if (config === undefined || fd === undefined) {
      socket.destroy()
      return
    }
    this.#accepted += 2
    try {
      setHops(fd, ipFamily(peer), hopsOf(config, this.#configOf().asn))
    } catch {
      socket.destroy()
      return
    }
    this.#begin(this.#add(peer, this.#accepted, socket))
  }

  send(peer: Ip, id: ConnectionId, bytes: Uint8Array): void {
    const connection = this.#connections.get(keyOf(peer, id))
    if (connection === undefined) return
    const { socket } = connection
    if (!this.#corked.has(socket)) {
      socket.cork()
      this.#corked.add(socket)
      if (this.#corked.size === 1) process.nextTick(() => this.#uncork())
    }
    const isRoom = socket.write(bytes)
    if (!isRoom && !connection.isBlocked) this.#blocked(connection)
  }

  close(peer: Ip, id: ConnectionId, isAbort: boolean): void {
    const connection = this.#connections.get(keyOf(peer, id))
    if (connection === undefined) return
    this.#forget(connection)
    const { socket } = connection
    socket.removeAllListeners()
    socket.on('error', () => {})
    if (isAbort || socket.connecting) {
      socket.destroy()
      return
    }
    if (this.#corked.delete(socket)) socket.uncork()
    socket.end()
    // What still comes is read, for a reset would take away what was sent last.
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    this.#closing.add(socket)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#closing.delete(socket)
      if (this.#closing.size === 0) this.#whenEnded?.()
    })
  }

  /** Resolves when the last words of connections that were closed are out. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closing.size === 0) resolve()
      else this.#whenEnded = resolve
    })
  }

  /** At once. */
  destroy(): void {
    for (const connection of [...this.#connections.values()]) {
      this.#forget(connection)
      connection.socket.removeAllListeners()
      connection.socket.on('error', () => {})
      connection.socket.destroy()
    }
    for (const socket of this.#closing) socket.destroy()
  }

  #peer(address: Ip): PeerConfig | undefined {
    return this.#configOf().peers.find((peer) => peer.address === address)
  }

  #add(peer: Ip, id: ConnectionId, socket: Socket): Connection {
    const rest = { isBlocked: false, waitingOctets: 0, looking: undefined }
    const connection: Connection = { peer, id, socket, ...rest }
    this.#connections.set(keyOf(peer, id), connection)
    return connection
  }

  /** False: it was forgotten before, and nothing more is told of it. */
  #forget({ peer, id, looking, socket }: Connection): boolean {
    clearInterval(looking)
    this.#corked.delete(socket)
    return this.#connections.delete(keyOf(peer, id))
  }

  #begin(connection: Connection): void {
    const { peer, id, socket } = connection
    let reason: string | undefined
    socket.setNoDelay(true)
    socket.on('error', (error) => {
      reason = error.message
    })
    socket.on('data', (bytes: Uint8Array) =>
      this.#tell(peer, { kind: 'received', connection: id, bytes }),
    )
    socket.on('drain', () => this.#drained(connection))
    socket.once('end', () => socket.destroy())
    socket.once('close', () => {
      if (!this.#forget(connection)) return
      this.#tell(peer, { kind: 'closed', connection: id, ...(reason !== undefined && { reason }) })
    })
    const local = addressOf(socket.localAddress)
    if (local === undefined) {
      socket.destroy()
      return
    }
    this.#tell(peer, { kind: 'connected', connection: id, local, ...endsOf(local, peer) })
    socket.resume()
  }

  #uncork(): void {
    for (const socket of this.#corked) socket.uncork()
    this.#corked.clear()
  }

  /** Mostly over before the turn is; then nobody is told. */
  #blocked(connection: Connection): void {
    connection.isBlocked = true
    const say = (): void => {
      const { peer, id, waitingOctets } = connection
      this.#tell(peer, { kind: 'flow', connection: id, isBlocked: true, waitingOctets })
    }
    setImmediate(() => {
      if (!connection.isBlocked || connection.looking !== undefined) return
      if (this.#connections.get(keyOf(connection.peer, connection.id)) !== connection) return
      connection.waitingOctets = waitingOctets(connection.socket)
      connection.looking = setInterval(() => {
        const before = connection.waitingOctets
        connection.waitingOctets = waitingOctets(connection.socket)
        // Some of it has gone out.
        if (connection.waitingOctets < before) say()
      }, BLOCKED_LOOK_MS)
      say()
    })
  }

  #drained(connection: Connection): void {
    connection.isBlocked = false
    if (connection.looking === undefined) return
    clearInterval(connection.looking)
    connection.looking = undefined
    this.#tell(connection.peer, { kind: 'flow', connection: connection.id, isBlocked: false })
  }
}

/** Octets that the kernel has not taken yet. */
function waitingOctets(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { writeQueueSize?: number } }
  return socket.writableLength + (handle?.writeQueueSize ?? 0)
}

const keyOf = (peer: Ip, id: ConnectionId): string => `${peer} ${id}`

/** As Node shows it: with a zone, or mapped. */
export function addressOf(shown: string | undefined): Ip | undefined {
  if (shown === undefined) return undefined
  return tryParseIp(shown.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/, ''))
}
