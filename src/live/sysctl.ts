/**
 * Kernel parameters, as files under /proc/sys of the namespace we are in.
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'

/** Dots separate, and slashes stand for dots in a part. Source: sysctl(8). */
const pathOf = (name: string): string =>
  `/proc/sys/${name.replace(/[./]/g, (sign) => (sign === '.' ? '/' : '.'))}`

/** undefined when there is none of that name. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), 'utf8').trim()
  } catch {
    return undefined
  }
}

export function writeSysctl(name: string, value: string): void {
  writeFileSync(pathOf(name), value)
}
