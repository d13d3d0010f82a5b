/**
 * One end of a session, as simple as the bench needs it: it connects until it is
 * let in, keeps the session alive, writes octets that were made before, and counts.
 */
import { connect, type Socket } from 'node:net'
import { encodeKeepalive, type Frame, Framer } from '../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../src/bgp/wire/iana.ts'
import { decodeNotification } from '../../src/bgp/wire/notification.ts'
import { encodeOpen } from '../../src/bgp/wire/open.ts'
import type { Ip } from '../../src/net/mod.ts'
import type { Tally } from './tally.ts'

export interface End {
  readonly address: Ip
  readonly asn: number
}

const RETRY_MS = 100
const KEEPALIVE = encodeKeepalive()

export class Speaker {
  readonly end: End
  tally: Tally | undefined
  /** Called after a stretch of octets was read. */
  onRead: () => void = () => {}
  /** It was up, and is not any more. */
  lost: string | undefined
  #socket: Socket | undefined
  #keepalive: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(end: End) {
    this.end = end
  }

  /** Resolves when the session is established. */
  open(to: Ip, holdSeconds: number): Promise<void> {
    return new Promise((done) => this.#try(to, holdSeconds, done))
  }

  /** Resolves when the kernel has taken everything. */
  write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || this.lost !== undefined) {
      throw new Error(`Cannot write as ${this.end.address}: ${this.lost ?? 'not up'}`)
    }
    return new Promise((done, fail) =>
      socket.write(bytes, (error) => (error ? fail(error) : done())),
    )
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#keepalive)
    this.#socket?.destroy()
  }

  #try(to: Ip, holdSeconds: number, done: () => void): void {
    const { address, asn } = this.end
    const socket = connect({ host: to, port: 179, localAddress: address, noDelay: true })
    const framer = new Framer()
    let isUp = false
    let last = ''
    this.#socket = socket
    socket.on('connect', () => {
      const capabilities = { families: ['ipv4'], routeRefresh: true, fourOctetAs: asn } as const
      socket.write(encodeOpen({ asn, holdSeconds, id: address, capabilities }))
    })
    socket.on('error', (error) => {
      last = error.message
    })
    socket.on('close', () => {
      clearInterval(this.#keepalive)
      if (isUp) this.lost = last === '' ? 'the daemon closed the connection' : last
      else if (!this.#isClosed) setTimeout(() => this.#try(to, holdSeconds, done), RETRY_MS)
    })
    socket.on('data', (chunk) => {
      framer.push(chunk)
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
        if (frame.kind !== 'frame') throw new Error(`Cannot go on as ${address}: ${frame.reason}`)
        if (frame.type === MESSAGE.OPEN) socket.write(KEEPALIVE)
        else if (frame.type === MESSAGE.UPDATE) this.tally?.take(frame)
        else if (frame.type === MESSAGE.NOTIFICATION) last = wordsOf(frame)
        else if (frame.type === MESSAGE.KEEPALIVE && !isUp) {
          isUp = true
          this.#keepalive = setInterval(() => socket.write(KEEPALIVE), (holdSeconds / 3) * 1000)
          done()
        }
      }
      this.onRead()
    })
  }
}

function wordsOf({ bytes, start, end }: Frame): string {
  const { code, subcode } = decodeNotification(bytes, start, end)
  return `a NOTIFICATION ${code}/${subcode}`
}
