/**
 * The launcher's half of the conversation with the agent, in TypeScript: for
 * tests and for tools that ask a running agent without starting a launcher.
 *
 * The frames and the promise that no request runs twice are in `src/wire/frame.ts`.
 *
 * @module
 */
import { createConnection, type Socket } from 'node:net'
import { shutReading } from 'netlink-ts/live'
import {
  type AcceptedFrame,
  type Decoded,
  decodeAccepted,
  decodeResponse,
  encodeRequest,
  PROTOCOL_VERSION,
} from '../wire/frame.ts'
import type { CniAnswer, CniCall } from './agent-socket.ts'
import { descriptorOf } from './descriptor.ts'

/** No answer. `code` says whether the agent may have executed the request. */
export class AgentCallError extends Error {
  override readonly name = 'AgentCallError'
  /** Nothing was executed: nobody took the request, or it was turned away. Or it may have been: lost. */
  readonly code: 'AGENT_UNAVAILABLE' | 'AGENT_REJECTED' | 'AGENT_LOST'

  constructor(code: AgentCallError['code'], path: string, reason: string) {
    super(`Cannot ask the agent at ${path}: ${reason}`)
    this.code = code
  }
}

export interface CallAgentOptions {
  /** How long the agent may take to accept, in milliseconds. There is no limit after that. */
  readonly acceptMs?: number
}

const ACCEPT_MS = 5000
const LATE = 'it did not accept in time'

/**
 * Has the agent at `path` execute one request.
 *
 * @throws {AgentCallError} There is no answer.
 * @throws {RangeError} The request is larger than a frame may hold.
 */
export async function callAgent(
  path: string,
  request: CniCall,
  options: CallAgentOptions = {},
): Promise<CniAnswer> {
  const frame = encodeRequest({ ...request, config: Buffer.from(request.config) })
  const socket = createConnection(path)
  // Whoever reads hears of every error; nobody may be reading when one comes.
  socket.on('error', () => {})
  const fail = (code: AgentCallError['code'], reason: string) =>
    new AgentCallError(code, path, reason)
  try {
    const receive = frames(socket.iterator({ destroyOnReturn: false }))
    const patience = giveUpAfter(socket, options.acceptMs ?? ACCEPT_MS)
    socket.write(frame)
    const accepted = await receive(decodeAccepted)
      .catch((error: Error) => {
        throw fail('AGENT_UNAVAILABLE', patience.gaveUp() ? LATE : error.message)
      })
      .finally(patience.end)
    checkVerdict(accepted, fail)
    // It was quicker, but its answer cannot come any more.
    if (patience.gaveUp()) throw fail('AGENT_LOST', LATE)
    const response = await receive(decodeResponse).catch((error: Error) => {
      throw fail('AGENT_LOST', error.message)
    })
    return {
      exitStatus: response.exitStatus,
      stdout: Buffer.from(response.stdout).toString(),
      stderr: Buffer.from(response.stderr).toString(),
    }
  } finally {
    socket.destroy()
  }
}

/**
 * After `ms` the agent cannot take the request any more: its word does not go
 * through. What it wrote before is there to be read.
 */
function giveUpAfter(socket: Socket, ms: number) {
  let late = false
  const timer = setTimeout(() => {
    late = true
    const fd = descriptorOf(socket)
    if (fd === undefined) socket.destroy()
    else shutReading(fd)
  }, ms)
  return { gaveUp: () => late, end: () => clearTimeout(timer) }
}

function checkVerdict(
  { version, verdict }: AcceptedFrame,
  fail: (code: AgentCallError['code'], reason: string) => AgentCallError,
): void {
  if (verdict !== 'accepted') throw fail('AGENT_REJECTED', `it said ${verdict}`)
  if (version !== PROTOCOL_VERSION) {
    throw fail('AGENT_REJECTED', `it speaks version ${version}, we speak ${PROTOCOL_VERSION}`)
  }
}

type Receive = <T>(decode: (bytes: Uint8Array) => Decoded<T>) => Promise<T>

/** Reads frame by frame; a chunk may hold the end of one and the beginning of the next. */
function frames(chunks: ReturnType<Socket['iterator']>): Receive {
  let rest: Uint8Array = new Uint8Array()
  return async (decode) => {
    const parts = [rest]
    let length = rest.length
    let wanted = 1
    for (;;) {
      if (length >= wanted) {
        const all = Buffer.concat(parts)
        const decoded = decode(all)
        if (decoded.kind === 'malformed') throw decoded.error
        if (decoded.kind === 'frame') {
          rest = all.subarray(decoded.bytes)
          return decoded.value
        }
        wanted = decoded.bytes
      }
      const next = await chunks.next()
      if (next.done === true) throw new Error('the connection ended')
      parts.push(next.value)
      length += next.value.length
    }
  }
}
