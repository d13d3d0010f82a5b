/**
 * Runs of a sweep, or of other seeds, on several threads: as many as the machine has processors, and memory for.
 *
 * What a run gives depends on its scenario alone, so neither the number of threads nor
 * who was faster shows in the results.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, freemem } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { RunTasks } from '../../simulator/other-seeds.ts'
import type { RunResult } from '../../simulator/run.ts'
import type { Task } from '../../simulator/seeds.ts'
import type { SweepResult } from '../../simulator/sweep.ts'
import { TriviumError } from '../errors.ts'
import { VERSION } from '../version.ts'
import type { RunOrder, Wanted, WholeResult } from './sim-thread.ts'

/** Of the memory that is free; what is counted is within a factor of one and a half. */
const MEMORY_SHARE = 0.8

/** As many threads as are worth while. @param bytes Heap that one needs. */
export function threadsFor(bytes: number, asked: number | undefined): number {
  const room = Math.floor((freemem() * MEMORY_SHARE) / bytes)
  return asked ?? Math.max(1, Math.min(availableParallelism(), room))
}

export interface PoolOptions {
  /** Undefined: as `threadsFor` says. */
  readonly threads: number | undefined
  /** Ends the runs that are under way; they are as if they had not begun. */
  readonly signal: AbortSignal
}

/** Runs of a sweep, for their figures. */
export const runFigures = (options: PoolOptions): RunTasks<SweepResult> =>
  runOnThreads<SweepResult>('figures', options)

/** Runs of other seeds, for their reports. */
export function runWhole(options: PoolOptions): RunTasks<RunResult> {
  const run = runOnThreads<WholeResult>('whole', options)
  return (tasks, bytes, onResult) =>
    run(tasks, bytes, (result, task) => onResult({ ...result, scenario: task.scenario }, task))
}

/** Each thread takes the next task when it has done one. */
function runOnThreads<Result>(wants: Wanted, { threads, signal }: PoolOptions): RunTasks<Result> {
  return async (tasks, bytes, onResult) => {
    const queue = tasks.values()
    const count = Math.min(threadsFor(bytes, threads), tasks.length)
    const own = new AbortController()
    const stop = AbortSignal.any([signal, own.signal])
    const running = Array.from({ length: count }, () =>
      runThread({ wants, queue, bytes, onResult, stop }).catch((thrown: unknown) => {
        own.abort()
        throw thrown
      }),
    )
    const ends = await Promise.allSettled(running)
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

interface ThreadWork<Result> {
  readonly wants: Wanted
  readonly queue: Iterator<Task>
  readonly bytes: number
  readonly onResult: (result: Result, task: Task) => void
  readonly stop: AbortSignal
}

function runThread<Result>(work: ThreadWork<Result>): Promise<void> {
  const { wants, queue, bytes, onResult, stop } = work
  if (stop.aborted) return Promise.resolve()
  const worker = new Worker(threadFile(), {
    resourceLimits: { maxOldGenerationSizeMb: Math.ceil((bytes * 2) / 2 ** 20) },
  })
  let now: Task | undefined
  let hasEnded = false
  return new Promise<void>((resolve, reject) => {
    const end = (why?: unknown): void => {
      if (hasEnded) return
      hasEnded = true
      stop.removeEventListener('abort', onStop)
      worker.terminate().then(() => (why === undefined ? resolve() : reject(why)), reject)
    }
    const onStop = (): void => end()
    const next = (): void => {
      const { value, done } = queue.next()
      if (done === true) end()
      else {
        now = value
        const { key, scenario } = value
        worker.postMessage({ key, scenario, wants } satisfies RunOrder)
      }
    }
    stop.addEventListener('abort', onStop)
    worker.on('message', (result: Result) => {
      if (hasEnded || now === undefined) return
      try {
        onResult(result, now)
        next()
      } catch (thrown) {
        end(thrown)
      }
    })
    worker.on('error', (error) => end(lost(now, error.message)))
    worker.on('exit', (code) => end(lost(now, `status ${code}`)))
    next()
  })
}

const lost = (task: Task | undefined, why: string): TriviumError =>
  new TriviumError(
    'INTERNAL',
    `Cannot run ${task?.words ?? 'a sweep'}: its thread ended: ${why}`,
    'what was done before is kept with --out; fewer --threads leave each more memory',
  )

/** Beside the bundle; a starter of its own from sources. */
const threadFile = (): string | URL =>
  typeof __dirname === 'string'
    ? join(__dirname, 'sim-thread.cjs')
    : new URL('../../cni-bin/sim-thread-source.mjs', import.meta.url)

/**
 * What results are kept by: the version, and the code that runs. Two builds of one version
 * may differ; from sources nobody can tell, and the version alone counts.
 */
export function programId(): string {
  const file = threadFile()
  if (typeof file !== 'string' || !existsSync(file)) return VERSION
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex')
  return `${VERSION}+${hash.slice(0, 12)}`
}
