/**
 * A peer that says what a test tells it to say, right or wrong, from a place's namespace.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { inNetns, openNetns, openTcpSocket, warmPool } from 'netlink-ts/live'
import type { Capabilities } from '../../../src/bgp/wire/capabilities.ts'
import { PLAIN_CONTEXT } from '../../../src/bgp/wire/context.ts'
import { encodeKeepalive, Framer } from '../../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../../src/bgp/wire/iana.ts'
import { decodeMessage, type Message } from '../../../src/bgp/wire/message.ts'
import { ipOctets } from '../../../src/bgp/wire/octets.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import { parseIp } from '../../../src/net/mod.ts'

export interface CallOptions {
  readonly netns: string
  readonly from: string
  readonly to: string
  /** RFC 2385. */
  readonly key?: string
}

export interface ScriptPeer {
  send(...messages: readonly Uint8Array[]): void
  /** Waits for a message of a kind; undefined when the connection ended before. */
  next(kind: Message['kind'], msMax?: number): Promise<Message | undefined>
  /** Code and subcode of the NOTIFICATION; `closed` when the connection ended without one. */
  verdict(msMax?: number): Promise<string>
  isClosed(): boolean
  /** Without a word. */
  end(): void
}

/** Most that the speaker takes to answer, on a machine with much else to do. */
const ANSWER_MS_MAX = 60_000

/** @throws {Error} Nobody answers within `msMax`, or the connection is refused. */
export async function call(
  { netns, from, to, key }: CallOptions,
  msMax = ANSWER_MS_MAX,
): Promise<ScriptPeer> {
  await warmPool()
  const namespace = openNetns(`/run/netns/${netns}`)
  // A socket belongs to the namespace that it was made in, wherever it is used.
  const fd = inNetns(namespace, () =>
    openTcpSocket(4, {
      local: { address: ipOctets(parseIp(from)) },
      ...(key === undefined ? {} : { md5: [{ address: ipOctets(parseIp(to)), key }] }),
    }),
  )
  closeSync(namespace)
  const socket = new Socket({ fd, manualStart: true } as { fd: number })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('nobody answers')), msMax)
    const failed = (error: Error): void => {
      clearTimeout(timer)
      reject(error)
    }
    socket.once('error', failed)
    socket.connect({ host: to, port: 179 }, () => {
      clearTimeout(timer)
      socket.off('error', failed)
      resolve(listening(socket))
    })
  })
}

function listening(socket: Socket): ScriptPeer {
  const framer = new Framer()
  const heard: Message[] = []
  let isClosed = false
  let wake: () => void = () => {}
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    wake()
  })
  socket.on('data', (chunk) => {
    framer.push(chunk)
    for (let frame = framer.next(); frame?.kind === 'frame'; frame = framer.next()) {
      heard.push(decodeMessage(frame, { ...PLAIN_CONTEXT, fourOctetAs: true }))
    }
    wake()
  })
  socket.resume()
  const next = async (
    kind: Message['kind'],
    msMax = ANSWER_MS_MAX,
  ): Promise<Message | undefined> => {
    const deadline = performance.now() + msMax
    for (;;) {
      const place = heard.findIndex((message) => message.kind === kind)
      if (place >= 0) return heard.splice(place, 1)[0]
      if (isClosed) return undefined
      if (performance.now() > deadline) throw new Error(`no ${kind} came`)
      await new Promise<void>((done) => {
        wake = done
        setTimeout(done, 1000).unref()
      })
    }
  }
  return {
    send: (...messages) => {
      for (const message of messages) socket.write(message)
    },
    next,
    async verdict(msMax) {
      const message = await next('notification', msMax)
      if (message?.kind !== 'notification') return 'closed'
      return `${message.code}/${message.subcode}`
    },
    isClosed: () => isClosed,
    end: () => void socket.destroy(),
  }
}

export interface Greeting {
  readonly asn: number
  readonly holdSeconds?: number
  readonly id?: string
  readonly capabilities?: Capabilities
}

export const openOf = ({
  asn,
  holdSeconds = 90,
  id = '10.9.9.9',
  capabilities,
}: Greeting): Uint8Array =>
  encodeOpen({
    asn,
    holdSeconds,
    id: parseIp(id),
    capabilities: capabilities ?? {
      families: ['ipv4'],
      fourOctetAs: asn,
      routeRefresh: true,
      enhancedRouteRefresh: true,
    },
  })

/** Until the session is established. */
export async function greet(peer: ScriptPeer, greeting: Greeting): Promise<void> {
  peer.send(openOf(greeting))
  if ((await peer.next('open')) === undefined) throw new Error(`no OPEN: ${await peer.verdict()}`)
  peer.send(encodeKeepalive())
  if ((await peer.next('keepalive')) === undefined)
    throw new Error(`no KEEPALIVE: ${await peer.verdict()}`)
}

/** A message whose header says what the test says. */
export function rawMessage(
  type: number,
  body: readonly number[],
  length = 19 + body.length,
  marker = 0xff,
): Uint8Array {
  return Uint8Array.of(
    ...Array.from({ length: 16 }, () => marker),
    length >> 8,
    length & 255,
    type,
    ...body,
  )
}

const two = (value: number): readonly number[] => [value >> 8, value & 255]

export const attribute = (
  flags: number,
  code: number,
  value: readonly number[],
): readonly number[] => [flags, code, value.length, ...value]

/** Path attributes of a route that is as it should be. */
export const good = (
  asn: number,
  nextHop: readonly number[],
  path: readonly number[] = [asn],
): readonly (readonly number[])[] => [
  attribute(0x40, 1, [0]),
  attribute(0x40, 2, [
    2,
    path.length,
    ...path.flatMap((each) => [...two(each >>> 16), ...two(each & 0xffff)]),
  ]),
  attribute(0x40, 3, nextHop),
]

/** An UPDATE of these attributes and octets of prefixes, each with its length right unless said. */
export function update(
  attributes: readonly (readonly number[])[],
  nlri: readonly number[],
  {
    attributeOctets,
    withdrawnOctets = 0,
  }: { attributeOctets?: number; withdrawnOctets?: number } = {},
): Uint8Array {
  const octets = attributes.flat()
  const body = [
    ...two(withdrawnOctets),
    ...two(attributeOctets ?? octets.length),
    ...octets,
    ...nlri,
  ]
  return rawMessage(MESSAGE.UPDATE, body)
}
