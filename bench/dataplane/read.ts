/**
 * What the programs and the kernel print, as numbers.
 */

const BITS_PER_GIGABIT = 1e9
/** `bench/dataplane-c/echo.c` prints nanoseconds. */
const NS_PER_S = 1e9
const NS_PER_US = 1e3
/** proc(5): USER_HZ, the same on every Linux. */
const TICKS_PER_S = 100

export interface Stream {
  /** Payload that arrived. */
  readonly gigabits: number
  readonly gigabitsPerSecond: number
  /** Processor time of the sender, with what the kernel did in its name. */
  readonly senderSeconds: number
}

/** @param json Of `iperf3 -c … -J`. @throws {Error} iperf3 failed, or says something else. */
export function readIperf(json: string): Stream {
  const { end, error } = JSON.parse(json) as {
    readonly end?: {
      readonly sum_received?: { readonly bytes: number; readonly seconds: number }
      readonly sum_sent?: { readonly seconds: number }
      readonly cpu_utilization_percent?: { readonly host_total: number }
    }
    readonly error?: string
  }
  const received = end?.sum_received
  if (error !== undefined || received === undefined || !(received.seconds > 0)) {
    throw new Error(`Cannot measure with iperf3: ${error ?? 'it says nothing of what arrived'}`)
  }
  const gigabits = (received.bytes * 8) / BITS_PER_GIGABIT
  const share = (end?.cpu_utilization_percent?.host_total ?? Number.NaN) / 100
  const senderSeconds = share * (end?.sum_sent?.seconds ?? Number.NaN)
  return { gigabits, gigabitsPerSecond: gigabits / received.seconds, senderSeconds }
}

/** @param line Of `echo transactions` and `echo connections`. @throws {Error} Nothing was done. */
export function readRate(line: string): number {
  const [count = 0, ns = 0] = line.trim().split(' ').map(Number)
  if (!(count > 0) || !(ns > 0)) throw new Error(`Cannot tell a rate from "${line.trim()}"`)
  return (count * NS_PER_S) / ns
}

/** Median in µs. @param line Of `echo round-trip`. @throws {Error} Nothing came back. */
export function readRoundTrip(line: string): number {
  const [count = 0, , medianNs = 0] = line.trim().split(' ').map(Number)
  if (!(count > 0) || !(medianNs > 0)) {
    throw new Error(`Cannot tell a round trip from "${line.trim()}"`)
  }
  return medianNs / NS_PER_US
}

export interface CpuTime {
  readonly busySeconds: number
  /** The hypervisor gave the processor to another guest. */
  readonly stolenSeconds: number
  readonly allSeconds: number
}

/**
 * Time of all processors since boot. Busy is all but idle and waiting for the disk; guests
 * are in `user` already. @param text /proc/stat. Source: proc(5).
 */
export function readCpuTime(text: string): CpuTime {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? []
  const busy = user + nice + system + irq + softirq
  return {
    busySeconds: busy / TICKS_PER_S,
    stolenSeconds: steal / TICKS_PER_S,
    allSeconds: (busy + steal + idle + iowait) / TICKS_PER_S,
  }
}

/** Time a task has run, in seconds. @param text /proc/PID/schedstat. Source: kernel, sched-stats.rst. */
export function readRunSeconds(text: string): number {
  const ns = Number(text.trim().split(' ')[0])
  if (!(ns > 0)) throw new Error(`Cannot tell a task's time from "${text.trim()}"`)
  return ns / NS_PER_S
}

/** Milliseconds of processor time a gigabit. @param others Seconds of all but the sender. */
export const cpuPerGigabit = ({ senderSeconds, gigabits }: Stream, others: number): number =>
  ((senderSeconds + others) * 1000) / gigabits

/** Share of all processors that was used, or stolen, 0 to 1. */
export function busyShare(before: CpuTime, after: CpuTime): number {
  const taken = ({ busySeconds, stolenSeconds }: CpuTime): number => busySeconds + stolenSeconds
  return (taken(after) - taken(before)) / Math.max(1e-9, after.allSeconds - before.allSeconds)
}
