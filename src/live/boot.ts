/**
 * Which boot of the machine this is.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/** A UUID made at boot. Source: Documentation/admin-guide/sysctl/kernel.rst, random. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/**
 * Milliseconds since boot, by a clock that nobody sets and that runs on while the
 * machine is suspended (CLOCK_BOOTTIME). Source: proc_uptime(5).
 */
export function uptimeMs(): number {
  return Math.round(Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000)
}

/** Which machine this is. Source: machine-id(5). */
export function machineId(): string {
  return readFileSync('/etc/machine-id', 'utf8').trim()
}
