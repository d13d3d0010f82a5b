/**
 * Programs run without a shell.
 *
 * @module
 */
import { spawn } from 'node:child_process'

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Text for standard input. */
  readonly input?: string
  /** The whole environment; this process's own when absent. */
  readonly env?: Readonly<Record<string, string>>
  /** Ends the program with SIGKILL. */
  readonly timeoutMs?: number
}

/** Something hangs; short of that, the machine may be busy. */
const RUN_MS_MAX = 120_000

/** Runs to the end and reports, whatever the exit status. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [program = '', ...args] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? RUN_MS_MAX,
      killSignal: 'SIGKILL',
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.stdin.on('error', () => {}) // it may exit without reading
    child.stdin.end(options.input ?? '')
    child.on('error', reject)
    child.on('close', (code) => {
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString()
      resolve({ status: code ?? 137, stdout: text(out), stderr: text(err) })
    })
  })
}

/** Runs and returns standard output. @throws {Error} The exit status is not 0. */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(command, options)
  if (status === 0) return stdout
  throw new Error(
    `Cannot run ${command.join(' ')}: exit status ${status}: ${stderr.trim() || stdout.trim()}`,
  )
}

/** The same command inside a network namespace. */
export const inNetns = (netns: string, command: readonly string[]): readonly string[] => [
  'nsenter',
  `--net=/run/netns/${netns}`,
  '--',
  ...command,
]
