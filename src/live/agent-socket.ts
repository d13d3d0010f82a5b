/**
 * The socket on which the agent takes CNI requests from launchers.
 *
 * The frames and the promise that no request runs twice are in
 * `src/wire/frame.ts`. Here: where the socket lives, who may connect, and how
 * long a connection may say nothing.
 *
 * The socket is for root alone: mode 0600, in a directory made with mode 0700.
 * It is bound under a private directory and linked to its name only when it is
 * complete, so nobody ever connects to a half-made one, and two agents that
 * start together cannot both believe that the name is theirs.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { chmod, link, lstat, mkdir, rename, rm, unlink } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { dirname, isAbsolute, join } from 'node:path'
import {
  type Decoded,
  type DecodedRequest,
  decodeGo,
  decodeRequest,
  encodeAccepted,
  encodeResponse,
  type PluginName,
  type RequestFrame,
  type Verdict,
} from '../wire/frame.ts'

/** One request of a container runtime, as the launcher passed it on. */
export interface CniCall {
  readonly plugin: PluginName
  /** Process id of the launcher. */
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
  /** How long a connection may take to complete its request, and again to say go. */
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

/** The path of the socket cannot be used. */
export class AgentSocketError extends Error {
  override readonly name = 'AgentSocketError'
  readonly code: 'AGENT_SOCKET_PATH' | 'AGENT_SOCKET_IN_USE' | 'AGENT_SOCKET_NOT_A_SOCKET'

  constructor(code: AgentSocketError['code'], path: string, reason: string) {
    super(`Cannot serve on ${path}: ${reason}`)
    this.code = code
  }
}

const STALL_MS = 10_000
const CONNECTIONS_MAX = 512
/** What sun_path holds with its final NUL. Source: unix(7). */
const PATH_BYTES_MAX = 107
/** Answer when `serve` broke its promise. Code 999 is libcni's "internal". */
const INTERNAL_ERROR_CODE = 999

type Serve = (call: CniCall) => Promise<CniAnswer>

/**
 * Serves CNI requests on the Unix socket `path`.
 *
 * `serve` runs once per request that a launcher said go for. Requests run
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
  const inode = await publish(server, path)
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
  /** Connections that have not said go, and how to turn each away. */
  readonly waiting: Map<Socket, (verdict: Verdict) => void>
  /** Requests that are being executed. */
  readonly running: Set<Promise<void>>
  closing: boolean
}

/** Takes one request from a connection: request, accepted, go, response. */
function converse(socket: Socket, state: State): void {
  let stalled = setTimeout(() => socket.destroy(), state.stallMs)
  let request: RequestFrame | undefined
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
  const onRequest = (decoded: DecodedRequest): void => {
    if (decoded.kind === 'more') return
    if (decoded.kind !== 'frame') {
      turnAway(decoded.kind)
    } else if (inbox.length > decoded.bytes) {
      // Go is the answer to accepted: whoever says it before cannot have waited.
      turnAway('malformed')
    } else {
      request = decoded.value
      inbox.clear()
      clearTimeout(stalled)
      stalled = setTimeout(() => socket.destroy(), state.stallMs)
      socket.write(encodeAccepted('accepted'))
    }
  }
  const onGo = (decoded: Decoded<'go'>, accepted: RequestFrame): void => {
    if (decoded.kind === 'more') return
    leave()
    if (decoded.kind === 'malformed') {
      socket.destroy()
    } else {
      const running = execute(socket, state, accepted).finally(() => state.running.delete(running))
      state.running.add(running)
    }
  }
  const onData = (chunk: Uint8Array): void => {
    if (request === undefined) onRequest(inbox.add(chunk, decodeRequest))
    else onGo(inbox.add(chunk, decodeGo), request)
  }

  // The launcher may die at any time; `close` follows, and an answer then has nowhere to go.
  socket.on('error', () => {})
  socket.on('close', leave)
  socket.on('data', onData)
  state.waiting.set(socket, turnAway)
  // Accepted by the kernel before the listener closed, seen by us only after.
  if (state.closing) turnAway('shutting-down')
}

/** Executes a request and sends its answer. Never rejects. */
async function execute(socket: Socket, state: State, request: RequestFrame): Promise<void> {
  let response: Uint8Array
  try {
    response = encodeAnswer(await state.serve({ ...request, config: textOf(request.config) }))
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

/** Listens at `path` and returns the inode there. */
async function publish(server: Server, path: string): Promise<bigint> {
  // As long as `/agent.sock`, so a path that fits usually fits here too.
  const nursery = join(dirname(path), `.${randomBytes(3).toString('hex')}`)
  const born = join(nursery, 's')
  checkPath(path, path)
  checkPath(path, born)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await mkdir(nursery, { mode: 0o700 })
  try {
    await listen(server, born)
    await chmod(born, 0o600)
    await removeStale(path, join(nursery, 'o'))
    const { ino } = await lstat(born, { bigint: true })
    await linkUnlessTaken(born, path)
    return ino
  } catch (error) {
    server.close()
    throw error
  } finally {
    await rm(nursery, { recursive: true, force: true })
  }
}

function checkPath(path: string, used: string): void {
  const bytes = Buffer.byteLength(used)
  if (isAbsolute(path) && bytes <= PATH_BYTES_MAX) return
  const reason = isAbsolute(path)
    ? `${used} has ${bytes} bytes, a socket path at most ${PATH_BYTES_MAX}`
    : 'the path is relative, launchers need an absolute one'
  throw new AgentSocketError('AGENT_SOCKET_PATH', path, reason)
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/**
 * Removes a socket that nobody listens on.
 *
 * It is moved aside first and tried again there: between the first look and the
 * move another agent may have put its own socket at `path`.
 */
async function removeStale(path: string, aside: string): Promise<void> {
  const found = await lstat(path).catch(ignoring('ENOENT'))
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new AgentSocketError('AGENT_SOCKET_NOT_A_SOCKET', path, 'it exists and is no socket')
  }
  if (await answers(path)) throw inUse(path)
  await rename(path, aside).catch(ignoring('ENOENT'))
  if (await answers(aside)) {
    await linkUnlessTaken(aside, path)
    throw inUse(path)
  }
}

async function linkUnlessTaken(born: string, path: string): Promise<void> {
  try {
    await link(born, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(path)
    throw error
  }
}

function inUse(path: string): AgentSocketError {
  return new AgentSocketError('AGENT_SOCKET_IN_USE', path, 'another agent listens there')
}

/** Whether somebody listens at `path`. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    // ECONNREFUSED: a file without a listener. EAGAIN: a listener with a full backlog.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

async function shutDown(server: Server, state: State, path: string, inode: bigint): Promise<void> {
  state.closing = true
  // The name goes before the listener: afterwards it could be another agent's.
  const found = await lstat(path, { bigint: true }).catch(ignoring('ENOENT'))
  if (found?.ino === inode) await unlink(path).catch(ignoring('ENOENT'))
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const turnAway of [...state.waiting.values()]) turnAway('shutting-down')
  await Promise.all(state.running)
  await closed
}

/** A handler that turns one expected errno into undefined. */
function ignoring(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error
    return undefined
  }
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
