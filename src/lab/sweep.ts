/**
 * What labs of killed processes left behind. A lab's names hold the process id
 * of its maker, so nothing of a living one, and nothing of anybody else, is met.
 *
 * @module
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './exec.ts'

const LAB_NAME = /^trv-(\d+)-[0-9a-f]{4}-/
const NETNS_DIR = '/run/netns'

/** Ends the agents of dead makers, and removes their namespaces and folders. */
export async function sweepDeadLabs(): Promise<void> {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR).filter(isOfDeadMaker) : []
  for (const name of names) {
    const pids = await run(['ip', 'netns', 'pids', name])
    for (const pid of pids.stdout.split('\n').filter((line) => /^\d+$/.test(line))) {
      kill(Number(pid))
    }
    await run(['ip', 'netns', 'del', name])
  }
  for (const folder of readdirSync(tmpdir()).filter(isOfDeadMaker)) {
    rmSync(join(tmpdir(), folder), { recursive: true, force: true })
  }
}

function isOfDeadMaker(name: string): boolean {
  const pid = LAB_NAME.exec(name)?.[1]
  return pid !== undefined && !existsSync(`/proc/${pid}`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}
