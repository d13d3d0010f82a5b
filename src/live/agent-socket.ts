/**
 * The socket on which the agent takes CNI requests from launchers.
 *
 * The frames and the promise that no request runs twice are in
 * `src/wire/frame.ts`. Here: how long a connection may say nothing. Where the
 * socket lives and who may connect is in `socket-file.ts`.
 *
 * @module
 */
import { createServer, type Server, type Socket } from 'node:net'
import { peerPid } from 'netlink-ts/live'
import {
  type Decoded,
  decodeRequest,
  encodeAccepted,
  encodeResponse,
  type PluginName,
  type RequestFrame,
  type Verdict,
} from '../wire/frame.ts'
import { descriptorOf } from './descriptor.ts'
import { publishSocket, withdrawSocket } from './socket-file.ts'

export { SocketError as AgentSocketError } from './socket-file.ts'

/** One request of a container runtime, as the launcher passed it on. */
export interface CniCall {
  readonly plugin: PluginName
  /** Process id of the launcher in our PID namespace; 0 when it cannot be seen from there. */
  readonly callerPid: number
  /** What CNI_NETNS named when the launcher looked; undefined when there was nothing. */
  readonly netns: { readonly dev: bigint; readonly ino: bigint } | undefined
  /** CNI_*, TRIVIUM_* and TRACE* (W3C trace context) of the launcher. */
  readonly env: Readonly<Record<string, string>>
  /** What the runtime wrote to stdin. */
  readonly config: string
}

/** What the launcher prints, and the status it exits with. */
export interface CniAnswer {
  /** 0 to 255. */
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
}

export interface AgentSocketOptions {
  /** How long a connection may take to complete its request. */
  readonly stallMs?: number
  /** Connections beyond this many are closed at once; their launchers run Node. */
  readonly connectionsMax?: number
  /** Told when `serve` rejected or its answer could not be sent; the caller has an error by then. */
  readonly onError?: (error: unknown) => void
}

/** A running server. */
export interface AgentSocket {
  /** Takes no more requests, waits for those in progress, and removes the socket. */
  close(): Promise<void>
}

const STALL_MS = 10_000
const CONNECTIONS_MAX = 512
/** Answer when `serve` broke its promise. Code 999 is libcni's "internal". */
const INTERNAL_ERROR_CODE = 999

/** Answers one call. */
export type Serve = (call: CniCall) => Promise<CniAnswer>

/**
 * Serves CNI requests on the Unix socket `path`.
 *
 * `serve` runs once per request that a launcher heard was accepted. Requests run
 * concurrently; an answer for a launcher that has died meanwhile is dropped.
 *
 * @throws {AgentSocketError} The path is relative or too long, names something
 *   that is no socket, or another agent answers there.
 */
export async function serveAgentSocket(
  path: string,
  serve: Serve,
  options: AgentSocketOptions = {},
): Promise<AgentSocket> {
  const state: State = {
    serve,
    stallMs: options.stallMs ?? STALL_MS,
    onError: options.onError ?? (() => {}),
    waiting: new Map(),
    running: new Set(),
    closing: false,
  }
  const server = createServer((socket) => converse(socket, state))
  server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX
  const inode = await publishSocket(server, path)
  // A connection that cannot be accepted (ENFILE, say) is no reason for the agent to end.
  server.on('error', state.onError)
  let closed: Promise<void> | undefined
  return {
    close: () => {
      closed ??= shutDown(server, state, path, inode)
      return closed
    },
  }
}

/** What all connections of a server share. */
interface State {
  readonly serve: Serve
  readonly stallMs: number
  readonly onError: (error: unknown) => void
  /** Connections without a whole request yet, and how to turn each away. */
  readonly waiting: Map<Socket, (verdict: Verdict) => void>
  /** Requests that are being executed. */
  readonly running: Set<Promise<void>>
  closing: boolean
}

/** Takes one request from a connection: request, accepted, response. */
function converse(socket: Socket, state: State): void {
  const stalled = setTimeout(() => socket.destroy(), state.stallMs)
  const inbox = new Inbox()

  const turnAway = (verdict: Verdict): void => {
    leave()
    // destroySoon sends what is written, and does not wait for the other end to close.
    socket.write(encodeAccepted(verdict))
    socket.destroySoon()
  }
  const leave = (): void => {
    clearTimeout(stalled)
    state.waiting.delete(socket)
    socket.off('data', onData)
    // Bytes after the end of the conversation mean nothing, but must not fill the buffer.
    socket.resume()
  }
  const onData = (chunk: Uint8Array): void => {
    const decoded = inbox.add(chunk, decodeRequest)
    if (decoded.kind === 'more') return
    if (decoded.kind !== 'frame') {
      turnAway(decoded.kind)
    } else if (inbox.length > decoded.bytes) {
      turnAway('malformed')
    } else {
      leave()
      const running = execute(socket, state, decoded.value)
      state.running.add(running)
      void running.finally(() => state.running.delete(running))
    }
  }

  // The launcher may die at any time; `close` follows, and an answer then has nowhere to go.
  socket.on('error', () => {})
  socket.on('close', leave)
  socket.on('data', onData)
  state.waiting.set(socket, turnAway)
  // Accepted by the kernel before the listener closed, seen by us only after.
  if (state.closing) turnAway('shutting-down')
}

/**
 * Tells the launcher that its request is taken; false when it does not listen any
 * more. Then it has the request carried out by Node, or it is gone: its runtime has
 * cleaned up since, and nobody would remove what an ADD makes so late.
 */
function accept(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.write(encodeAccepted('accepted'), (error) =>
      resolve(error === undefined || error === null),
    )
  })
}

/** Executes a request and sends its answer. Never rejects. */
async function execute(socket: Socket, state: State, request: RequestFrame): Promise<void> {
  if (!(await accept(socket))) return
  const callerPid = callerOf(socket) ?? request.callerPid
  let response: Uint8Array
  try {
    response = encodeAnswer(
      await state.serve({ ...request, callerPid, config: textOf(request.config) }),
    )
  } catch (error) {
    state.onError(error)
    response = encodeAnswer(internalError(error))
  }
  await new Promise<void>((resolve) => {
    if (socket.destroyed) return resolve()
    socket.once('close', () => resolve())
    // The launcher closes once it has everything; if it hangs instead, it must not hold up close().
    socket.setTimeout(state.stallMs, () => socket.destroy())
    socket.end(response)
  })
}

/**
 * What the launcher says of itself is its number in its own PID namespace, which
 * is another process's in ours, or nobody's.
 */
function callerOf(socket: Socket): number | undefined {
  const fd = descriptorOf(socket)
  if (fd === undefined) return undefined
  try {
    return peerPid(fd)
  } catch {
    return undefined
  }
}

function encodeAnswer(answer: CniAnswer): Uint8Array {
  const { exitStatus, stdout, stderr } = answer
  return encodeResponse({ exitStatus, stdout: bytesOf(stdout), stderr: bytesOf(stderr) })
}

function internalError(error: unknown): CniAnswer {
  const details = error instanceof Error ? error.message : String(error)
  const object = {
    cniVersion: '1.1.0',
    code: INTERNAL_ERROR_CODE,
    msg: 'the trivium agent could not answer',
    details,
  }
  return { exitStatus: 1, stdout: `${JSON.stringify(object)}\n`, stderr: '' }
}

/** Puts the chunks of a connection together, but only when a decoder has use for them. */
class Inbox {
  #chunks: Uint8Array[] = []
  #length = 0
  #wanted = 0

  /** Bytes taken and not cleared. */
  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#chunks = []
    this.#length = 0
    this.#wanted = 0
  }

  /** Adds a chunk and decodes, unless the decoder would only ask for more again. */
  add<T extends { readonly kind: string }>(
    chunk: Uint8Array,
    decode: (bytes: Uint8Array) => T,
  ): T | Extract<Decoded<never>, { kind: 'more' }> {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    // Joining for every chunk would copy a large configuration hundreds of times.
    if (this.#length < this.#wanted) return { kind: 'more', bytes: this.#wanted }
    const joined = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    const decoded = decode(joined)
    if (decoded.kind === 'more' && 'bytes' in decoded) this.#wanted = Number(decoded.bytes)
    return decoded
  }
}

async function shutDown(server: Server, state: State, path: string, inode: bigint): Promise<void> {
  state.closing = true
  // The name goes before the listener: afterwards it could be another agent's.
  await withdrawSocket(path, inode)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const turnAway of [...state.waiting.values()]) turnAway('shutting-down')
  await Promise.all(state.running)
  await closed
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
