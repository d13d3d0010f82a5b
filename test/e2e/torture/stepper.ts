/**
 * Ends a process at a moment that is drawn: by the clock, or so long after
 * something is seen.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

export interface Victim {
  readonly pid: number
  isOver(): boolean
}

export interface Way {
  /** Whether it has come so far that the delay begins; asked again and again while it runs. */
  hasCome(): boolean
  readonly delayMs: number
  /** Nothing more will come. */
  isOver(): boolean
}

/** A verb that has not come there by then is ended where it is. */
const WAY_MS_MAX = 5000
/** Between two turns of everything else here, which starts processes and takes as long as it likes. */
const WATCH_MS = 40
/** While it is watched: who measures must not be kept waiting. Needs root, as all of this. */
const PRECISE = -10
const USUAL = getPriority()
/** Nobody wakes who waits for it. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))
/** Most stops take less than a timer can wait. */
const LOOKS_AT_ONCE = 10
/** Most that a stop takes: what is in the kernel finishes first. */
const STOP_MS_MAX = 60

let last: Promise<unknown> = Promise.resolve()

/** After all work that came before: two who are watched would keep each other's moments waiting. */
export function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const result = last.then(work)
  last = result.catch(() => {})
  return result
}

/** Resolves with whether it was this that ended it. */
export async function killWhen(victim: Victim, way: Way): Promise<boolean> {
  await untilCome(way)
  return signal(victim, 'SIGKILL')
}

/** Waits on the spot: a timer would come when everything else here has had its turn. */
export function rest(ms: number): void {
  if (ms > 0) Atomics.wait(NEVER, 0, 0, ms)
}

async function untilCome(way: Way): Promise<void> {
  const until = performance.now() + WAY_MS_MAX
  while (performance.now() < until && !way.isOver() && !watch(way)) await turn()
}

/** For a while, with nothing of ours in between. */
function watch(way: Way): boolean {
  const until = performance.now() + WATCH_MS
  setPriority(PRECISE)
  try {
    do {
      if (!way.hasCome()) continue
      spin(way.delayMs)
      return true
    } while (performance.now() < until)
    return false
  } finally {
    setPriority(USUAL)
  }
}

/** By the clock alone. */
export async function killAfter(victim: Victim, ms: number): Promise<boolean> {
  await sleep(ms)
  return signal(victim, 'SIGKILL')
}

function signal(victim: Victim, name: NodeJS.Signals): boolean {
  if (victim.isOver()) return false
  try {
    process.kill(victim.pid, name)
    return true
  } catch {
    return false
  }
}

/** Resolves with whether it stands still. */
export async function stop(victim: Victim): Promise<boolean> {
  if (!signal(victim, 'SIGSTOP')) return false
  const until = performance.now() + STOP_MS_MAX
  for (let looks = 0; performance.now() < until; looks++) {
    const state = stateOf(victim.pid)
    if (state === 'T') return true
    if (state === undefined || state === 'Z') return false
    if (looks < LOOKS_AT_ONCE) await turn()
    else await sleep(1)
  }
  return true
}

export const goOn = (victim: Victim): boolean => signal(victim, 'SIGCONT')

/** One letter, the third field. Source: proc_pid_stat(5). */
function stateOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).charAt(0)
  } catch {
    return undefined
  }
}

/** Shorter than any timer. */
function spin(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

/** Everything else that is due runs first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
