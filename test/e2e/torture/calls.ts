/**
 * Calls of the plugin that can be killed while they run: as `lab.cni`, with the
 * process in hand.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pluginConfig } from '../../../src/lab/cni.ts'
import { inNetns } from '../../../src/lab/exec.ts'
import type { LabNode } from '../../../src/lab/lab.ts'
import type { Json } from '../../support/e2e.ts'

export type Verb = 'ADD' | 'DEL' | 'GC'

/** Who carries a call out: the agent, by the launcher, or Node in a process of its own. */
export type Via = 'agent' | 'node'

export interface Call {
  readonly verb: Verb
  readonly node: LabNode
  readonly network: string
  readonly via: Via
  /** Absent for GC. */
  readonly containerId?: string
  /** CNI_NETNS. */
  readonly netnsPath?: string
  /** More of the configuration. */
  readonly extra?: Json
  /** In place of the agent's own socket. */
  readonly socketPath?: string
  /** More of the environment. */
  readonly env?: Readonly<Record<string, string>>
}

export interface Ended {
  /** undefined: a signal ended it. */
  readonly status: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** A call under way. */
export interface Running {
  readonly pid: number
  readonly startedMs: number
  readonly ended: Promise<Ended>
  isOver(): boolean
  /** What came on standard output so far. */
  printed(): string
  signal(name: NodeJS.Signals): void
  /** Nobody reads its standard output any more. */
  deafen(): void
}

const configs = new Map<string, Json>()

/** As a runtime does: the first file there is. */
function configOf({ confDir }: LabNode): Json {
  const [file = ''] = readdirSync(confDir).sort()
  const known = configs.get(confDir) ?? pluginConfig(join(confDir, file))
  configs.set(confDir, known)
  return known
}

/** Starts one verb. */
export function start(call: Call): Running {
  const { verb, node, containerId, netnsPath } = call
  const config = { ...configOf(node), name: call.network, ...call.extra }
  const [program = '', ...args] = inNetns(node.netns, [join(node.binDir, 'trivium')])
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: verb,
      CNI_PATH: node.binDir,
      ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId, CNI_IFNAME: 'eth0' }),
      ...(netnsPath === undefined ? {} : { CNI_NETNS: netnsPath }),
      ...(call.via === 'node' ? { TRIVIUM_NO_AGENT: '1' } : {}),
      ...(call.socketPath === undefined ? {} : { TRIVIUM_SOCKET: call.socketPath }),
      ...call.env,
    },
  })
  child.stdin.on('error', () => {}) // it may die without reading
  child.stdin.end(JSON.stringify(config))
  return follow(child)
}

function follow(child: ChildProcess): Running {
  const [out, err] = [[] as Buffer[], [] as Buffer[]]
  let over = false
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  child.once('exit', () => {
    over = true
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => {
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString()
      resolve({ status: status ?? undefined, stdout: text(out), stderr: text(err) })
    })
  })
  return {
    pid: child.pid ?? 0,
    startedMs: performance.now(),
    ended,
    isOver: () => over,
    printed: () => Buffer.concat(out).toString(),
    signal: (name) => void child.kill(name),
    deafen: () => void child.stdout?.destroy(),
  }
}

/** Starts a verb and waits for its end. */
export const call = (what: Call): Promise<Ended> => start(what).ended

/** Code of the error that a failed call printed; 0 when it printed none. */
export function codeOf({ stdout }: Ended): number {
  try {
    return Number((JSON.parse(stdout) as { code?: number }).code ?? 0)
  } catch {
    return 0
  }
}
