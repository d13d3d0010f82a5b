/**
 * A plugin's process, which is trusted with nothing: it may hang, flood, or
 * leave children behind that hold its output open.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'

/** Why the answer is no answer. */
export type Fault = 'timeout' | 'flood' | 'encoding'

export interface Ended {
  /** 128 and the signal's number when it was ended by one, as nsenter tells it. */
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
  readonly fault?: Fault
  readonly ms: number
}

export interface BoundedOptions {
  readonly input?: string
  /** Standard input in place of `input`. */
  readonly stdinFd?: number
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** Ends the process after this time on purpose, as a caller that dies does. */
  readonly killAfterMs?: number
}

/** libcni reads everything; no honest result comes near. */
export const STDOUT_BYTES_MAX = 1024 * 1024
const STDERR_BYTES_MAX = 64 * 1024
const KILLED = 137

/** Runs to the end, or until a bound is met, and then ends the whole process group. */
export function runBounded(command: readonly string[], options: BoundedOptions): Promise<Ended> {
  const [program = '', ...args] = command
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.stdinFd ?? 'pipe', 'pipe', 'pipe'],
      env: { ...options.env },
      detached: true,
    })
    let fault: Fault | undefined
    const end = (why?: Fault): void => {
      fault ??= why
      killGroup(child)
    }
    const deadline = setTimeout(() => end('timeout'), options.timeoutMs)
    const death =
      options.killAfterMs === undefined ? undefined : setTimeout(end, options.killAfterMs)
    const out = collect(child.stdout, STDOUT_BYTES_MAX, () => end('flood'))
    const err = collect(child.stderr, STDERR_BYTES_MAX, () => {})
    child.stdin?.on('error', () => {}) // it may exit without reading
    child.stdin?.end(options.input ?? '')
    child.on('error', reject)
    // Not `exit`: a runtime, too, waits until the output is closed.
    child.on('close', (code) => {
      clearTimeout(deadline)
      clearTimeout(death)
      const { text, isUtf8 } = decode(out())
      const why = fault ?? (isUtf8 ? undefined : 'encoding')
      resolve({
        exitStatus: code ?? KILLED,
        stdout: text,
        stderr: decode(err()).text,
        ms: performance.now() - started,
        ...(why === undefined ? {} : { fault: why }),
      })
    })
  })
}

function collect(
  stream: NodeJS.ReadableStream | null,
  bytesMax: number,
  onFull: () => void,
): () => Buffer {
  const chunks: Buffer[] = []
  let bytes = 0
  stream?.on('data', (chunk: Buffer) => {
    if (bytes < bytesMax) chunks.push(chunk.subarray(0, bytesMax - bytes))
    bytes += chunk.length
    if (bytes > bytesMax) onFull()
  })
  return () => Buffer.concat(chunks)
}

function decode(bytes: Buffer): { readonly text: string; readonly isUtf8: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), isUtf8: true }
  } catch {
    return { text: bytes.toString('utf8'), isUtf8: false }
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}
