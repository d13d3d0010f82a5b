/**
 * A daemon's life in the bench: two network namespaces with a wire between them,
 * the daemon alone on the first processor, everybody else on the second.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inNetns, must } from '../../src/lab/exec.ts'
import { sweepDeadLabs } from '../../src/lab/sweep.ts'
import type { Ip } from '../../src/net/mod.ts'
import { type Helper, openHelper } from '../netns-helper.ts'
import type { Answer, Ask } from './asks.ts'
import type { Daemon, Setting } from './daemons.ts'
import { memoryOf } from './process-figures.ts'

export const DAEMON_ADDRESS = '10.99.0.1' as Ip
const NETWORK = '10.99.0.0/16'
const STOP_MS_MAX = 10_000

/** The namespaces; `destroy` removes them. */
export interface Place {
  readonly daemonNetns: string
  readonly peersNetns: string
  readonly folder: string
  destroy(): Promise<void>
}

export async function makePlace(): Promise<Place> {
  // Named as labs are: what a killed run leaves, the next one removes.
  await sweepDeadLabs()
  const id = `trv-${process.pid}-${randomBytes(2).toString('hex')}`
  const [daemonNetns, peersNetns] = [`${id}-daemon`, `${id}-peers`]
  const folder = mkdtempSync(join(tmpdir(), `${id}-`))
  const destroy = async (): Promise<void> => {
    for (const netns of [daemonNetns, peersNetns]) {
      await must(['ip', 'netns', 'delete', netns]).catch(() => {})
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    for (const netns of [daemonNetns, peersNetns]) {
      await must(['ip', 'netns', 'add', netns])
      await must(['ip', '-n', netns, 'link', 'set', 'lo', 'up'])
    }
    const ends = ['type', 'veth', 'peer', 'name', 'wire', 'netns', peersNetns]
    await must(['ip', '-n', daemonNetns, 'link', 'add', 'wire', ...ends])
    for (const netns of [daemonNetns, peersNetns]) {
      await must(['ip', '-n', netns, 'link', 'set', 'wire', 'up'])
    }
    await must(['ip', '-n', daemonNetns, 'address', 'add', `${DAEMON_ADDRESS}/16`, 'dev', 'wire'])
    // Every address of the network is this side's, but the daemon's.
    const route = ['ip', '-n', peersNetns, 'route', 'add', 'table', 'local']
    await must([...route, 'local', NETWORK, 'dev', 'lo'])
    await must([...route, 'unicast', `${DAEMON_ADDRESS}/32`, 'dev', 'wire'])
  } catch (error) {
    await destroy()
    throw error
  }
  return { daemonNetns, peersNetns, folder, destroy }
}

export interface NodeMemory {
  readonly heapUsed: number
  readonly arrayBuffers: number
}

export interface Life {
  readonly pid: number
  /** PSS before any session. */
  readonly memory: number
  ask(ask: Ask): Promise<Answer>
  /** What of its memory Node knows, in octets; of other daemons nothing. */
  nodeMemory(): Promise<NodeMemory | undefined>
  end(): Promise<void>
}

/** Starts the daemon and who plays its peers. */
export async function begin(place: Place, daemon: Daemon, setting: Setting): Promise<Life> {
  const folder = join(place.folder, daemon.name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const config = join(folder, 'config')
  writeFileSync(config, daemon.config(setting))
  const command = ['taskset', '-c', '0', ...daemon.command(config, folder)]
  const [program = '', ...args] = inNetns(place.daemonNetns, command)
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...daemon.environment?.(folder) },
  })
  let words = ''
  child.stderr.on('data', (text) => {
    words = `${words}${text}`.slice(-2000)
  })
  const helper = openHelper<Ask, Answer & { readonly problem?: string }>(
    place.peersNetns,
    'bgp/traffic.ts',
  )
  const pid = child.pid ?? 0
  await new Promise((done) => setTimeout(done, 1000))
  return {
    pid,
    memory: child.exitCode === null ? memoryOf(pid) : Number.NaN,
    async ask(ask) {
      const answer = await helper.ask(ask)
      if (answer.problem === undefined) return answer
      const state = child.exitCode === null ? 'runs' : `ended with ${child.exitCode}`
      throw new Error(`${daemon.name} (${state}): ${answer.problem}; it said: ${words}`)
    },
    async nodeMemory() {
      const { TRIVIUM_MEMORY_FILE: file } = daemon.environment?.(folder) ?? {}
      if (file === undefined) return undefined
      rmSync(file, { force: true })
      child.kill('SIGUSR2')
      for (let waited = 0; !existsSync(file); waited++) {
        if (waited === 100) throw new Error(`${daemon.name} does not say what memory it uses`)
        await new Promise((done) => setTimeout(done, 50))
      }
      return JSON.parse(readFileSync(file, 'utf8')) as NodeMemory
    },
    async end() {
      helper.close()
      await ended(helper, child)
    },
  }
}

async function ended(helper: Helper<Ask, Answer>, child: ChildProcess): Promise<void> {
  helper.close()
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((done) => child.once('exit', () => done()))
  child.kill('SIGKILL')
  await Promise.race([gone, new Promise((done) => setTimeout(done, STOP_MS_MAX))])
}
