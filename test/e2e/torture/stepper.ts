/**
 * Ends a process at a moment that is drawn: by the clock, or let on a little at
 * a time (SIGCONT, SIGSTOP) until something is seen, and ended there.
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
  /** Lets it run so long at first. */
  readonly freeMs: number
  /** How long it may go on each time. */
  sliceMs(): number
  /** Whether it has come as far as wanted; asked while it stands still. */
  reached(): boolean
}

/** A verb that has not come there by then is ended where it is. */
const WAY_MS_MAX = 5000
/** How long a victim waits for a processor before its slice counts as had. */
const SCHEDULED_MS_MAX = 20
/** While a slice lasts: who measures it must not be kept waiting. Needs root, as all of this. */
const PRECISE = -10
const USUAL = getPriority()
/** Nobody wakes who waits for it. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))
/** Most that a stop takes: what is in the kernel finishes first. */
const STOP_MS_MAX = 60

/** Resolves with whether it was this that ended it. The victim stands still until it is killed. */
export async function killAt(victim: Victim, way: Way): Promise<boolean> {
  await sleep(way.freeMs)
  const until = performance.now() + WAY_MS_MAX
  while (performance.now() < until && !victim.isOver()) {
    if (!(await stop(victim))) return false
    if (way.reached()) break
    letOn(victim, way.sliceMs())
  }
  return signal(victim, 'SIGKILL')
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

async function stop(victim: Victim): Promise<boolean> {
  if (!signal(victim, 'SIGSTOP')) return false
  const until = performance.now() + STOP_MS_MAX
  while (performance.now() < until) {
    const state = stateOf(victim.pid)
    if (state === 'T') return true
    if (state === undefined || state === 'Z') return false
    await sleep(1)
  }
  return true
}

/** One letter, the third field. Source: proc_pid_stat(5). */
function stateOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).charAt(0)
  } catch {
    return undefined
  }
}

/**
 * One slice, from when it is given a processor: on a busy machine it would be
 * over before it began. Nothing else of ours comes in between.
 */
function letOn(victim: Victim, ms: number): void {
  const turns = turnsOf(victim.pid)
  const until = performance.now() + SCHEDULED_MS_MAX
  setPriority(PRECISE)
  signal(victim, 'SIGCONT')
  while (turnsOf(victim.pid) === turns && performance.now() < until) Atomics.wait(NEVER, 0, 0, 0.05)
  spin(ms)
  signal(victim, 'SIGSTOP')
  setPriority(USUAL)
}

/** How often it was given a processor, the third field. Source: Documentation/scheduler/sched-stats.rst. */
function turnsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/schedstat`, 'latin1').trim().split(' ')[2] ?? ''
  } catch {
    return ''
  }
}

/** Shorter than any timer. */
function spin(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
