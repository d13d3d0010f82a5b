/**
 * A scripted kernel: one function from request messages to reply messages.
 *
 * Requests and replies are whole netlink messages, and go through the same
 * session as on a socket, so sequence numbers, acknowledgements and tables in
 * many parts behave as they do live.
 *
 * @example
 * const conn = scripted((request) => [ack(request)])
 * conn.run(link.set({ index: 3 }, { up: true }))
 *
 * @module
 */
import type { Conn } from './conn.ts'
import { errnoNumber } from './errno.ts'
import { joinMessages, type Message, NLM_F, NLMSG, splitMessages, viewOf } from './message.ts'
import { type NftConn, NftSession } from './nft/conn.ts'
import { Session, type Wire } from './session.ts'
import { HOST_LITTLE, Writer } from './writer.ts'

/** Answers one request. Each message becomes a datagram. */
export type Script = (request: Message) => readonly Message[]

/** A connection to the script. An exhausted script looks like a kernel that stays silent. */
export const scripted = (script: Script): Conn => new Session(scriptedWire(script))

/**
 * A connection about nftables to the script, which sees every message of a
 * transaction, from NFNL_MSG_BATCH_BEGIN to _END; it answers those that ask for it.
 */
export const scriptedNft = (script: Script): NftConn => new NftSession(scriptedWire(script))

function scriptedWire(script: Script): Wire {
  const queue: Uint8Array[] = []
  return {
    limits: { bytes: 64 * 1024, messages: 1024 },
    send(datagram) {
      // A copy: the sender reuses its buffer, and a script may keep requests.
      for (const request of splitMessages(datagram.slice())) {
        for (const reply of script(request)) queue.push(joinMessages([reply]))
      }
    },
    receive(deliver) {
      const datagram = queue.shift()
      if (datagram === undefined) return false
      deliver(viewOf(datagram), datagram.length)
      return true
    },
  }
}

/** Success. */
export const ack = (request: Message): Message => answer(request, NLMSG.error, NLM_F.capped, 0, [])

/** What a refusal may explain. */
export interface Explanation {
  readonly hint?: string
  /** Bytes from the start of the request. */
  readonly offset?: number
}

/** A refusal, e.g. `refuse(request, 'EEXIST', { hint: 'File exists' })`. */
export function refuse(request: Message, code: string, explanation: Explanation = {}): Message {
  const flags = NLM_F.capped | NLM_F.ackTlvs
  return answer(request, NLMSG.error, flags, -errnoNumber(code), explain(explanation))
}

/** A table: one part per message, then its end. `interrupted` says that it changed meanwhile. */
export function table(
  request: Message,
  parts: readonly Pick<Message, 'type' | 'body'>[],
  { interrupted = false } = {},
): readonly Message[] {
  const flags = NLM_F.multi | (interrupted ? NLM_F.dumpIntr : 0)
  const { seq, pid } = request
  const end = new Uint8Array(4) // an errno of 0
  return [
    ...parts.map(({ type, body }) => ({ type, flags, seq, pid, body })),
    { type: NLMSG.done, flags, seq, pid, body: end },
  ]
}

function answer(
  request: Message,
  type: number,
  flags: number,
  errno: number,
  attrs: readonly (readonly [number, Uint8Array])[],
): Message {
  const out = new Writer()
  const at = out.reserve(4)
  out.view.setInt32(at, errno, HOST_LITTLE)
  out.append(joinMessages([request]).subarray(0, 16))
  for (const [type, payload] of attrs) {
    const start = out.beginAttr(type)
    out.append(payload)
    out.endAttr(start)
  }
  return { type, flags, seq: request.seq, pid: request.pid, body: out.copy() }
}

function explain({ hint, offset }: Explanation): readonly (readonly [number, Uint8Array])[] {
  const attrs: (readonly [number, Uint8Array])[] = []
  if (hint !== undefined) attrs.push([1, new TextEncoder().encode(`${hint}\0`)])
  if (offset !== undefined) attrs.push([2, new Uint8Array(Uint32Array.of(offset).buffer)])
  return attrs
}
