/**
 * Where the tests of a run put their labs: in memory. What makes a pod's network
 * is not about disks, and an ext4 without a journal (many virtual machines have
 * one) looks for each new file's number among all that were lately deleted: that
 * alone was a quarter of the suite's time.
 *
 * Tests about the disk are on it: `ownFolder` is within the project, and
 * `on-disk.ts` leads a whole file back.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
const NAME = /^trivium-test-(\d+)$/
/** `TMPFS_MAGIC`, linux/magic.h. */
const TMPFS_MAGIC = 0x01021994
/** A lab of three nodes takes some ten megabytes; a browser, and a store of a million addresses, more. */
const BYTES_MIN = 4 * 2 ** 30

export interface Scratch {
  /** For the tests' environment. */
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

/** A folder in memory as `TMPDIR`, where there is enough; else the one that there is, as in a run inside another. */
export function scratch(): Scratch {
  const isInside = process.env['TRIVIUM_TEST_DISK'] !== undefined
  if (isInside || !hasRoom()) return { env: {}, remove: () => {} }
  for (const name of readdirSync(MEMORY)) {
    const pid = NAME.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(name)
  }
  const name = `trivium-test-${process.pid}`
  // Other users go through: some tests become one.
  mkdirSync(join(MEMORY, name), { mode: 0o711 })
  const env = { TMPDIR: join(MEMORY, name), TRIVIUM_TEST_DISK: tmpdir() }
  return { env, remove: () => remove(name) }
}

const remove = (name: string): void =>
  rmSync(join(MEMORY, name), { recursive: true, force: true, maxRetries: 3 })

function hasRoom(): boolean {
  if (!existsSync(MEMORY)) return false
  const { type, bavail, bsize } = statfsSync(MEMORY)
  return type === TMPFS_MAGIC && bavail * bsize >= BYTES_MIN
}
