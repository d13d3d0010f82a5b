/**
 * Builds the launcher and lays out an installation around it: the launcher
 * under both plugin names, Node, and scripts in place of the plugin and the
 * command line that print what they were given.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CniAnswer, CniCall } from '../../src/live/agent-socket.ts'

const SOURCE = fileURLToPath(new URL('../../cni-bin/launcher', import.meta.url))
export const LAUNCHER_SOURCES = ['launcher.c', 'agent.c', 'scan.c', 'io.c'].map((name) =>
  join(SOURCE, name),
)

const FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-I', SOURCE]
export const RELEASE = ['-Os', '-static', '-s']
export const SANITIZED = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']

/** Compiles `sources`; false when there is no gcc that can. */
export function compile(sources: readonly string[], output: string, flags: readonly string[]) {
  try {
    execFileSync('gcc', [...FLAGS, ...flags, '-o', output, ...sources], { stdio: 'pipe' })
    return true
  } catch (error) {
    // A compiler that refuses our code is a failure of the code; one that is not there is none.
    const { stderr } = error as { stderr?: Buffer }
    if (stderr?.includes('error:') === true) throw new Error(stderr.toString())
    return false
  }
}

/** Why the tests of a launcher built with `flags` cannot run; false when they can. */
export function cannotCompile(flags: readonly string[]): string | false {
  const directory = mkdtempSync(join(tmpdir(), 'trivium-cc-'))
  try {
    const source = join(directory, 'try.c')
    writeFileSync(source, 'int main(void) { return 0; }\n')
    const works = compile([source], join(directory, 'try'), flags)
    return works ? false : `no gcc that can build with ${flags.join(' ')}`
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What the stand-in for plugin.cjs or cli.cjs was given. */
export interface Echo {
  readonly script: 'plugin' | 'cli'
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** stdin, in hexadecimal. */
  readonly stdin: string
}

const ECHO = `
const name = require('node:path').basename(__filename, '.cjs')
const stdin = name === 'cli' ? '' : require('node:fs').readFileSync(0).toString('hex')
const echo = { script: name, argv: process.argv.slice(2), env: process.env, stdin }
process.stdout.write(JSON.stringify(echo), () => process.exit(name === 'cli' ? 3 : 42))
`

/** Exit status of the stand-in for plugin.cjs. */
export const FALLBACK_STATUS = 42

export interface Ended {
  /** Exit status; undefined when a signal ended it. */
  readonly status: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
  /** From start to end, in milliseconds. */
  readonly tookMs: number
}

export interface RunOptions {
  readonly name?: string
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Written to stdin, which is then closed; undefined leaves it open. */
  readonly stdin?: string | Uint8Array | undefined
  /** Working directory; by default ours. */
  readonly cwd?: string
  readonly onStart?: (child: ChildProcess) => void
}

/** A launcher installed in a temporary directory. */
export class Installation {
  readonly root: string
  readonly bin: string

  /** @param flags For gcc; see RELEASE and SANITIZED. */
  constructor(flags: readonly string[]) {
    this.root = mkdtempSync(join(tmpdir(), 'trivium-launcher-'))
    this.bin = join(this.root, 'bin')
    const library = join(this.bin, '.trivium')
    mkdirSync(library, { recursive: true })
    compile(LAUNCHER_SOURCES, join(this.bin, 'trivium'), flags)
    symlinkSync('trivium', join(this.bin, 'trivium-ipam'))
    symlinkSync(process.execPath, join(library, 'node'))
    writeFileSync(join(library, 'plugin.cjs'), ECHO)
    writeFileSync(join(library, 'cli.cjs'), ECHO)
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts)
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }

  /** Runs the launcher to its end. Its environment is `env` and nothing else. */
  run(options: RunOptions = {}): Promise<Ended> {
    const startMs = performance.now()
    const path = join(this.bin, options.name ?? 'trivium')
    const child = spawn(path, options.argv ?? [], {
      env: { ...options.env },
      cwd: options.cwd,
    })
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    child.stdout.on('data', (chunk) => output.stdout.push(chunk))
    child.stderr.on('data', (chunk) => output.stderr.push(chunk))
    // A launcher may end without having read its stdin.
    child.stdin.on('error', () => {})
    const { stdin = '' } = options
    if (!('stdin' in options) || options.stdin !== undefined) child.stdin.end(stdin)
    options.onStart?.(child)
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (status, signal) => {
        resolve({
          status: status ?? undefined,
          signal: signal ?? undefined,
          stdout: Buffer.concat(output.stdout).toString(),
          stderr: Buffer.concat(output.stderr).toString(),
          tookMs: performance.now() - startMs,
        })
      })
    })
  }
}

/** What a fallback printed; undefined when there was none. */
export function echoOf(ended: Ended): Echo | undefined {
  if (ended.status !== FALLBACK_STATUS) return undefined
  const echo = JSON.parse(ended.stdout) as Echo
  return { ...echo, env: withoutRunner(echo.env) }
}

/** The test runner adds variables of its own to every process that a test starts. */
function withoutRunner(env: Echo['env']): Echo['env'] {
  const own = Object.entries(env).filter(([name]) => !/^(_TAPJS_|NODE_OPTIONS$)/.test(name))
  return Object.fromEntries(own)
}

/** A `serve` that remembers its calls and answers each with `answer`. */
export function recorder(answer: Partial<CniAnswer> = {}) {
  const calls: CniCall[] = []
  const serve = async (call: CniCall): Promise<CniAnswer> => {
    calls.push(call)
    return { exitStatus: 0, stdout: 'from the agent', stderr: '', ...answer }
  }
  return { calls, serve }
}

/** A listener that follows no protocol of ours. `onConnection` may write or hang up. */
export async function listen(path: string, onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
