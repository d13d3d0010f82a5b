/**
 * The launcher's half of the conversation with the agent, in TypeScript: for
 * tests and for tools that ask a running agent without starting a launcher.
 *
 * The frames and the promise that no request runs twice are in `src/wire/frame.ts`.
 *
 * @module
 */
import { createConnection, type Socket } from 'node:net'
import {
  type AcceptedFrame,
  type Decoded,
  decodeAccepted,
  decodeResponse,
  encodeGo,
  encodeRequest,
  PROTOCOL_VERSION,
} from '../wire/frame.ts'
import type { CniAnswer, CniCall } from './agent-socket.ts'

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
    const chunks = socket.iterator({ destroyOnReturn: false })
    const timer = setTimeout(
      () => socket.destroy(new Error('it did not accept in time')),
      options.acceptMs ?? ACCEPT_MS,
    )
    socket.write(frame)
    const accepted = await receive(chunks, decodeAccepted)
      .catch((error: Error) => {
        throw fail('AGENT_UNAVAILABLE', error.message)
      })
      .finally(() => clearTimeout(timer))
    checkVerdict(accepted, fail)
    socket.write(encodeGo())
    const response = await receive(chunks, decodeResponse).catch((error: Error) => {
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

function checkVerdict(
  { version, verdict }: AcceptedFrame,
  fail: (code: AgentCallError['code'], reason: string) => AgentCallError,
): void {
  if (verdict !== 'accepted') throw fail('AGENT_REJECTED', `it said ${verdict}`)
  if (version !== PROTOCOL_VERSION) {
    throw fail('AGENT_REJECTED', `it speaks version ${version}, we speak ${PROTOCOL_VERSION}`)
  }
}

/** Reads chunks until they make a frame. */
async function receive<T>(
  chunks: ReturnType<Socket['iterator']>,
  decode: (bytes: Uint8Array) => Decoded<T>,
): Promise<T> {
  const parts: Uint8Array[] = []
  let length = 0
  let wanted = 0
  for (;;) {
    const next = await chunks.next()
    if (next.done === true) throw new Error('the connection ended')
    parts.push(next.value)
    length += next.value.length
    if (length < wanted) continue
    const decoded = decode(Buffer.concat(parts))
    if (decoded.kind === 'malformed') throw decoded.error
    if (decoded.kind === 'frame') return decoded.value
    wanted = decoded.bytes
  }
}
