/**
 * The frames between the launcher and the agent.
 *
 * A container runtime executes a small static program (cni-bin/launcher), which
 * hands its request to the agent over a Unix stream socket. Every integer is
 * little-endian:
 *
 * ```
 * launcher -> agent  request    0  "TRVM"
 *                               4  u16 protocol version, 2
 *                               6  u16 plugin: 1 trivium, 2 trivium-ipam
 *                               8  u32 process id of the launcher
 *                              12  u32 flags, 0
 *                              16  u64 st_dev of CNI_NETNS  (both 0 when it
 *                              24  u64 st_ino of CNI_NETNS   cannot be looked at)
 *                              32  u32 bytes of environment, at most 1 MiB
 *                              36  u32 bytes of configuration, at most 16 MiB
 *                              40  environment, "NAME=value\0" each; configuration
 * agent -> launcher  accepted   0  "TRVA"
 *                               4  u16 protocol version
 *                               6  u16 0 accepted, 1 version unsupported,
 *                                      2 malformed, 3 shutting down
 * agent -> launcher  response   0  "TRVR"
 *                               4  u32 exit status
 *                               8  u32 bytes of stdout, at most 16 MiB
 *                              12  u32 bytes of stderr, at most 16 MiB
 *                              16  stdout; stderr
 * ```
 *
 * The agent executes nothing unless its "accepted" went through. The launcher
 * runs the request elsewhere only after it has shut its end for reading and found
 * no "accepted" there. Both happen under the lock of the launcher's socket in the
 * kernel (net/unix/af_unix.c: unix_stream_sendmsg, unix_shutdown), so one of them
 * is first, and no request runs twice, not even when a hung agent wakes up later.
 *
 * Decoders take a buffer that may still grow: they say how many bytes they need
 * before they can tell more, never more than a frame may have.
 *
 * @module
 */
import { DecodeError, Reader } from './reader.ts'
import { Writer } from './writer.ts'

export const PROTOCOL_VERSION = 2

/** Most bytes of environment in a request. */
export const ENV_BYTES_MAX = 1024 * 1024
/** Most bytes of configuration in a request. */
export const CONFIG_BYTES_MAX = 16 * 1024 * 1024
/** Most bytes of each of stdout and stderr in a response. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024
/** Source: wait(2). */
export const EXIT_STATUS_MAX = 255

const MAGIC = { request: 'TRVM', accepted: 'TRVA', response: 'TRVR' } as const
const MAGIC_BYTES = 4
const REQUEST_HEADER_BYTES = 40
const ACCEPTED_BYTES = 8
const RESPONSE_HEADER_BYTES = 16

/** The plugins one launcher can be, and their numbers on the wire. */
const PLUGIN_NUMBERS = { trivium: 1, 'trivium-ipam': 2 } as const

/** The plugin a runtime called. */
export type PluginName = keyof typeof PLUGIN_NUMBERS

/** What the agent says to a request, and the numbers on the wire. */
const VERDICT_NUMBERS = {
  accepted: 0,
  'version-unsupported': 1,
  malformed: 2,
  'shutting-down': 3,
} as const

/** What the agent says to a request: it takes it, or why it does not. */
export type Verdict = keyof typeof VERDICT_NUMBERS

/** A network namespace: what stat(2) says of its file. */
export interface NetnsId {
  /** `st_dev`. */
  readonly dev: bigint
  /** `st_ino`. */
  readonly ino: bigint
}

export interface RequestFrame {
  readonly plugin: PluginName
  /** Process id of the launcher, in its own PID namespace. */
  readonly callerPid: number
  /** What CNI_NETNS named when the launcher looked; undefined when there was nothing. */
  readonly netns: NetnsId | undefined
  readonly env: Readonly<Record<string, string>>
  /** stdin of the launcher, byte for byte. */
  readonly config: Uint8Array
}

export interface AcceptedFrame {
  /** The version the agent speaks. */
  readonly version: number
  /** A number this version does not know reads as `malformed`: not accepted either way. */
  readonly verdict: Verdict
}

export interface ResponseFrame {
  /** 0 to 255. */
  readonly exitStatus: number
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
}

/** What a buffer holds so far. */
export type Decoded<T> =
  /** Nothing more can be said before the buffer has `bytes` bytes. */
  | { readonly kind: 'more'; readonly bytes: number }
  /** A whole frame, in the first `bytes` bytes. */
  | { readonly kind: 'frame'; readonly value: T; readonly bytes: number }
  | { readonly kind: 'malformed'; readonly error: DecodeError }

/** A request may also be whole and still beyond us. */
export type DecodedRequest =
  | Decoded<RequestFrame>
  | { readonly kind: 'version-unsupported'; readonly version: number }

/**
 * Encodes a request.
 *
 * @throws {RangeError} A part is larger than a frame may hold, or an environment
 *   entry cannot be told apart from its neighbors (a NUL, an empty name, a `=` in a name).
 */
export function encodeRequest(request: RequestFrame): Uint8Array {
  const env = encodeEnv(request.env)
  withinLimit('environment', env.length, ENV_BYTES_MAX)
  withinLimit('configuration', request.config.length, CONFIG_BYTES_MAX)
  return new Writer(REQUEST_HEADER_BYTES + env.length + request.config.length)
    .bytes(utf8(MAGIC.request))
    .u16le(PROTOCOL_VERSION)
    .u16le(PLUGIN_NUMBERS[request.plugin])
    .u32le(request.callerPid)
    .u32le(0)
    .u64le(request.netns?.dev ?? 0n)
    .u64le(request.netns?.ino ?? 0n)
    .u32le(env.length)
    .u32le(request.config.length)
    .bytes(env)
    .bytes(request.config)
    .finish()
}

/** Decodes a request. `config` of the result is a view of `bytes`. */
export function decodeRequest(bytes: Uint8Array): DecodedRequest {
  return decode(bytes, 'request', (reader) => {
    if (!expectMagic(reader, MAGIC.request)) return more(REQUEST_HEADER_BYTES)
    // The version comes before everything it may change, the header's length among it.
    if (reader.remaining < 2) return more(MAGIC_BYTES + 2)
    const version = reader.u16le()
    if (version !== PROTOCOL_VERSION) return { kind: 'version-unsupported', version }
    if (bytes.length < REQUEST_HEADER_BYTES) return more(REQUEST_HEADER_BYTES)
    const plugin = nameOf(PLUGIN_NUMBERS, reader.u16le())
    if (plugin === undefined) throw reader.error('a plugin number', 'an unknown one', 6)
    const callerPid = reader.u32le()
    const flags = reader.u32le()
    if (flags !== 0) throw reader.error('flags 0', `${flags}`, 12)
    const dev = reader.u64le()
    const ino = reader.u64le()
    const envBytes = lengthOf(reader, ENV_BYTES_MAX)
    const configBytes = lengthOf(reader, CONFIG_BYTES_MAX)
    const total = REQUEST_HEADER_BYTES + envBytes + configBytes
    if (bytes.length < total) return more(total)
    const env = decodeEnv(reader, envBytes)
    const config = reader.bytes(configBytes)
    const netns = dev === 0n && ino === 0n ? undefined : { dev, ino }
    return { kind: 'frame', value: { plugin, callerPid, netns, env, config }, bytes: total }
  })
}

/** Encodes what the agent says to a request. */
export function encodeAccepted(verdict: Verdict): Uint8Array {
  return new Writer(ACCEPTED_BYTES)
    .bytes(utf8(MAGIC.accepted))
    .u16le(PROTOCOL_VERSION)
    .u16le(VERDICT_NUMBERS[verdict])
    .finish()
}

export function decodeAccepted(bytes: Uint8Array): Decoded<AcceptedFrame> {
  return decode(bytes, 'verdict', (reader) => {
    if (!expectMagic(reader, MAGIC.accepted)) return more(ACCEPTED_BYTES)
    if (bytes.length < ACCEPTED_BYTES) return more(ACCEPTED_BYTES)
    const version = reader.u16le()
    const verdict = nameOf(VERDICT_NUMBERS, reader.u16le()) ?? 'malformed'
    return { kind: 'frame', value: { version, verdict }, bytes: ACCEPTED_BYTES }
  })
}

/**
 * Encodes a response.
 *
 * @throws {RangeError} The exit status is none, or an output is larger than a frame may hold.
 */
export function encodeResponse(response: ResponseFrame): Uint8Array {
  withinLimit('exit status', response.exitStatus, EXIT_STATUS_MAX)
  withinLimit('stdout', response.stdout.length, ANSWER_BYTES_MAX)
  withinLimit('stderr', response.stderr.length, ANSWER_BYTES_MAX)
  return new Writer(RESPONSE_HEADER_BYTES + response.stdout.length + response.stderr.length)
    .bytes(utf8(MAGIC.response))
    .u32le(response.exitStatus)
    .u32le(response.stdout.length)
    .u32le(response.stderr.length)
    .bytes(response.stdout)
    .bytes(response.stderr)
    .finish()
}

/** Decodes a response. Its outputs are views of `bytes`. */
export function decodeResponse(bytes: Uint8Array): Decoded<ResponseFrame> {
  return decode(bytes, 'response', (reader) => {
    if (!expectMagic(reader, MAGIC.response)) return more(RESPONSE_HEADER_BYTES)
    if (bytes.length < RESPONSE_HEADER_BYTES) return more(RESPONSE_HEADER_BYTES)
    const exitStatus = lengthOf(reader, EXIT_STATUS_MAX)
    const stdoutBytes = lengthOf(reader, ANSWER_BYTES_MAX)
    const stderrBytes = lengthOf(reader, ANSWER_BYTES_MAX)
    const total = RESPONSE_HEADER_BYTES + stdoutBytes + stderrBytes
    if (bytes.length < total) return more(total)
    const stdout = reader.bytes(stdoutBytes)
    const stderr = reader.bytes(stderrBytes)
    return { kind: 'frame', value: { exitStatus, stdout, stderr }, bytes: total }
  })
}

/** Runs a decoder and makes a value of the error it may throw. */
function decode<T>(
  bytes: Uint8Array,
  what: string,
  read: (reader: Reader) => T,
): T | { kind: 'malformed'; error: DecodeError } {
  try {
    return read(new Reader(bytes, what))
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'malformed', error }
    throw error
  }
}

function more(bytes: number): { readonly kind: 'more'; readonly bytes: number } {
  return { kind: 'more', bytes }
}

/** Reads as much of the magic as there is; false when that was not all of it. */
function expectMagic(reader: Reader, magic: string): boolean {
  // Byte by byte, so that a stranger is told at once and not after a header's worth of waiting.
  for (const expected of utf8(magic)) {
    if (reader.remaining === 0) return false
    const offset = reader.offset
    const actual = reader.u8()
    if (actual !== expected) throw reader.error(`"${magic}"`, `byte ${actual}`, offset)
  }
  return true
}

function lengthOf(reader: Reader, max: number): number {
  const offset = reader.offset
  const value = reader.u32le()
  if (value > max) throw reader.error(`at most ${max}`, `${value}`, offset)
  return value
}

function nameOf<T extends string>(numbers: Readonly<Record<T, number>>, wanted: number) {
  return (Object.keys(numbers) as T[]).find((name) => numbers[name] === wanted)
}

function encodeEnv(env: Readonly<Record<string, string>>): Uint8Array {
  const writer = new Writer()
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || name.includes('=') || `${name}${value}`.includes('\0')) {
      throw new RangeError(`Cannot send the variable ${JSON.stringify(name)}: not one entry`)
    }
    writer.bytes(utf8(`${name}=${value}\0`))
  }
  return writer.finish()
}

/** Reads `count` bytes of entries. Of equal names the first counts, as in getenv(3). */
function decodeEnv(reader: Reader, count: number): Readonly<Record<string, string>> {
  const start = reader.offset
  const bytes = reader.bytes(count)
  const env = new Map<string, string>()
  for (let at = 0; at < count; ) {
    const end = bytes.indexOf(0, at)
    if (end === -1) throw reader.error('a NUL after the last entry', 'none', start + at)
    const entry = text(bytes.subarray(at, end))
    const equals = entry.indexOf('=')
    if (equals < 1) throw reader.error('NAME=value', JSON.stringify(entry.slice(0, 40)), start + at)
    const name = entry.slice(0, equals)
    if (!env.has(name)) env.set(name, entry.slice(equals + 1))
    at = end + 1
  }
  // fromEntries defines properties, so a variable called __proto__ is only a variable.
  return Object.fromEntries(env)
}

function withinLimit(what: string, value: number, max: number): void {
  if (value > max) throw new RangeError(`Cannot send ${what} ${value}: at most ${max}`)
}

function utf8(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** Bytes to text as Node reads stdin: a broken sequence becomes U+FFFD, a BOM stays. */
function text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
