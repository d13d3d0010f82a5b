/**
 * What a process has used, from outside.
 */
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processor time of all its threads, in milliseconds. By the scheduler's nanoseconds and
 * not by /proc/PID/stat, which counts hundredths of a second.
 */
export function cpuMsOf(pid: number): number {
  const folder = `/proc/${pid}/task`
  let nanoseconds = 0
  for (const thread of readdirSync(folder)) {
    nanoseconds += Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return nanoseconds / 1e6
}

/** Its share of memory (PSS), in octets. */
export function memoryOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? Number.NaN) * 1024
}
