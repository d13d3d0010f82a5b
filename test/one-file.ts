/**
 * A test file in a process of its own, and what became of it.
 *
 * Without tap's own runner: that loads a recorder of covered files into every
 * Node that a test starts, and there are thousands, which doubled what a start costs.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'

/** As `npm test` itself: TypeScript, and the sources of our own packages. */
const NODE_FLAGS = ['--conditions=trivium-source', '--import', 'tsx']
/** From the request to end, which leaves time for teardowns, to the end. */
const END_MS_MAX = 10_000

export interface Counts {
  readonly pass: number
  readonly fail: number
  readonly skip: number
}

export interface Outcome {
  readonly isOk: boolean
  /** Ended as if all were well before it tested anything. */
  readonly isUnborn: boolean
  readonly counts: Counts
  /** What it said: TAP. */
  readonly lines: readonly string[]
  /** Why the whole file is left out. */
  readonly skipped?: string
  /** Why it is not right although no assertion failed. */
  readonly trouble?: string
  readonly ms: number
}

export interface FileOptions {
  readonly env: NodeJS.ProcessEnv
  readonly secondsMax: number
  /** Those that run: whoever ends us ends them. */
  readonly running: Set<ChildProcess>
}

/** Runs it to its end, or ends it when its time is up. */
export function runFile(file: string, { env, secondsMax, running }: FileOptions): Promise<Outcome> {
  const started = performance.now()
  const child = spawn(process.execPath, [...NODE_FLAGS, file], {
    env: { ...env, TAP_TIMEOUT: String(secondsMax) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.add(child)
  const said: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => said.push(bytes))
  let isLate = false
  let last: NodeJS.Timeout | undefined
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGTERM')
    last = setTimeout(() => {
      child.kill('SIGKILL')
      // What it started may live on, with its output open.
      child.stdout.destroy()
    }, END_MS_MAX)
  }, secondsMax * 1000)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      clearTimeout(last)
      running.delete(child)
      const ending = isLate ? `not over after ${secondsMax} s` : endingOf(code, signal)
      resolve({ ...outcomeOf(said, ending), ms: performance.now() - started })
    })
  })
}

function endingOf(code: number | null, signal: string | null): string | undefined {
  if (signal !== null) return `ended by ${signal}`
  return code === 0 ? undefined : `exit status ${code}`
}

/** @param ending How its process ended, unless well. */
export function outcomeOf(said: readonly Buffer[], ending?: string): Omit<Outcome, 'ms'> {
  const lines = Buffer.concat(said).toString().trimEnd().split('\n')
  const counts = { pass: 0, fail: 0, skip: 0 }
  const totals = lines.map((line) => /^# \{ total: \d+(.*)\}$/.exec(line)?.[1]).find(isText)
  for (const [, key, value] of (totals ?? '').matchAll(/(pass|fail|skip): (\d+)/g)) {
    counts[key as keyof Counts] = Number(value)
  }
  const reason = lines.map((line) => /^1\.\.0 # (.*)$/.exec(line)?.[1]).find(isText)
  const isNothing = counts.pass + counts.fail + counts.skip === 0
  const skipped = isNothing && reason !== 'no tests found' ? reason : undefined
  if (skipped !== undefined) counts.skip = 1
  const trouble = ending ?? (totals === undefined ? 'it did not say how it ended' : undefined)
  const isUnborn = ending === undefined && isNothing && skipped === undefined
  // A file that dies without an assertion that failed has failed all the same.
  const isOk = trouble === undefined && !isUnborn && counts.fail === 0
  if (!isOk && counts.fail === 0) counts.fail = 1
  return {
    isOk,
    isUnborn,
    counts,
    lines,
    ...(skipped === undefined ? {} : { skipped }),
    ...(trouble === undefined ? {} : { trouble }),
  }
}

const isText = (text: string | undefined): text is string => text !== undefined
