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
