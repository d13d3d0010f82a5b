/**
 * Runs that need more memory than Node gives a process: said before they start,
 * and with `--yes` run in a process that may have it.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freemem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { TriviumError } from '../errors.ts'

/** Set in the larger process, so that it does not start another. */
const GROWN = 'TRIVIUM_SIM_GROWN'
const GB = 1e9
const HEAP_FLAG = '--max-old-space-size'

/**
 * Whether this process may go on with work that needs `bytes` of heap. When it may
 * not, and `yes` was said, the same command runs in a larger process and its
 * status becomes ours.
 *
 * @throws {TriviumError} USAGE: too little, and nobody said yes.
 */
export async function hasRoom(what: string, bytes: number, yes: boolean): Promise<boolean> {
  const limit = getHeapStatistics().heap_size_limit
  if (bytes <= limit || process.env[GROWN] !== undefined) return true
  if (!yes) {
    const free = `the machine has ${inGb(freemem())} free`
    throw new TriviumError(
      'USAGE',
      `Cannot run ${what}: it will need about ${inGb(bytes)}, this process may use ${inGb(limit)}`,
      `${free}: use --yes to run it in a process that may have as much, or ask for fewer nodes or pods`,
    )
  }
  process.exitCode = await again(bytes)
  return false
}

const inGb = (bytes: number): string => `${(bytes / GB).toFixed(1)} GB`

async function again(bytes: number): Promise<number> {
  const heap = `${HEAP_FLAG}=${Math.ceil(bytes / 2 ** 20)}`
  const args = [...process.execArgv, heap, ...process.argv.slice(1)]
  const child = spawn(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, [GROWN]: '1' },
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}
