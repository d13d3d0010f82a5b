/**
 * Processes that die before their n-th act upon the kernel or the disk: see sudden-death.c.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** As in sudden-death.c. */
const SLOW_DISK = 0x1_0000

export interface SuddenDeath {
  /** What a process of Node needs in its environment; of one that is started to die, before which act. */
  environment(acts?: number): Readonly<Record<string, string>>
  /** An agent that lives: from now on it has so many acts less one, on a disk that is slow until then. */
  arm(pid: number, acts: number, onSlowDisk: boolean): void
  /** Acts that it has left; 0 when it has died of it. */
  left(pid: number): number
}

/** Undefined without a C compiler: then there are the other ways to die. */
export function suddenDeath(t: Test): SuddenDeath | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'trv-death-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const library = join(folder, 'sudden-death.so')
  const source = fileURLToPath(new URL('sudden-death.c', import.meta.url))
  const flags = ['-shared', '-fPIC', '-Wall', '-Werror', '-o', library, source, '-ldl']
  const { status, stderr } = spawnSync(process.env['CC'] ?? 'gcc', flags, { encoding: 'utf8' })
  if (stderr?.includes('error:')) throw new Error(stderr)
  if (status !== 0) return undefined
  const fileOf = (pid: number): string => join(folder, String(pid))
  return {
    environment: (acts) => ({
      LD_PRELOAD: library,
      ...(acts === undefined ? { SUDDEN_DEATH: folder } : { SUDDEN_DEATH_IN: String(acts) }),
    }),
    arm(pid, acts, onSlowDisk) {
      const count = Buffer.alloc(4)
      count.writeInt32LE(acts + (onSlowDisk ? SLOW_DISK : 0))
      writeFileSync(fileOf(pid), count, { flag: 'r+' })
    },
    left: (pid) => readFileSync(fileOf(pid)).readInt32LE() & (SLOW_DISK - 1),
  }
}
