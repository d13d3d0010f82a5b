/**
 * A process that lives in a network namespace and does nothing, as a pause
 * container: it gives the namespace a path under /proc.
 */
import { spawn } from 'node:child_process'
import { readlinkSync } from 'node:fs'

export interface Holder {
  readonly pid: number
  end(): Promise<void>
}

export async function holdNetns(netns: string): Promise<Holder> {
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, 'cat'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const end = (): Promise<void> => {
    child.stdin.end()
    return ended
  }
  const own = readlinkSync('/proc/self/ns/net')
  for (let tries = 0; tries < 500; tries++) {
    try {
      if (readlinkSync(`/proc/${child.pid}/ns/net`) !== own) return { pid: child.pid ?? 0, end }
    } catch {
      // not there yet
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await end()
  throw new Error(`Cannot hold the namespace ${netns}`)
}
