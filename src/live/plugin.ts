/**
 * The Node entry: CNI without the agent, in a process of its own.
 *
 * The launcher runs it where no agent accepted the request; installed in the
 * launcher's place (no compiler), it asks the agent itself first.
 *
 * @module
 */
import { existsSync, readFileSync, statSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import { endProcess, warmPool } from 'netlink-ts/live'
import { leaveLmdbStores } from '../../ipam/lmdb-store.ts'
import type { Store } from '../../ipam/store.ts'
import { askedVersion, CNI_VERSIONS, type CniRequest, cniError, type Plugin } from '../cni/mod.ts'
import { asTriviumError, TriviumError } from '../errors.ts'
import type { CniAnswer } from './agent-socket.ts'
import { attachmentLocks } from './attachment-locks.ts'
import { bootId } from './boot.ts'
import { type CallLevel, callFields, callLevel, type FinishedCall } from './call-log.ts'
import { type CniHost, serveCni } from './cni.ts'
import { openKernel } from './kernel.ts'
import { markPath, newestMark } from './mark-file.ts'
import type { NetnsIdentity } from './netns.ts'
import { readNodeFile } from './node-file.ts'
import { openStore } from './store-url.ts'
import { Steps } from './verbs/steps.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** pino's numbers, without loading pino: a start costs milliseconds here. */
const SEVERITY: Readonly<Record<string, number>> & Readonly<Record<CallLevel, number>> = {
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  silent: 100,
}

/** Where the agent listens unless the configuration says otherwise. */
export const DEFAULT_SOCKET = '/run/trivium/agent.sock'

/** Answers one call and returns the exit status. */
export async function runPlugin(env: Environment, argv: readonly string[]): Promise<number> {
  const plugin = pluginName(env, argv)
  if ((env['CNI_COMMAND'] ?? '') === '') {
    writeAll(2, about(plugin))
    return 0
  }
  const answer = await serve(plugin, env)
  const isTold = writeAll(1, answer.stdout)
  writeAll(2, answer.stderr)
  // A result that nobody could read is none: the runtime is to see a failure, and cleans up.
  return isTold ? answer.exitStatus : 1
}

/**
 * Ends the process when all is written and committed: the quick way, because a
 * runtime waits for it. Where V8's code is kept, listeners have something to do.
 */
export function endPlugin(status: number, env: Environment): void {
  if (env['TRIVIUM_CODE_CACHE'] !== undefined) process.exit(status)
  leaveLmdbStores()
  endProcess(status)
}

/** As the reference library prints it when a person runs a plugin by hand. */
function about(plugin: Plugin): string {
  const versions = CNI_VERSIONS.join(', ')
  return `CNI ${plugin} plugin\nCNI protocol versions supported: ${versions}\nFor the admin's command line: trivium --help\n`
}

function pluginName(env: Environment, argv: readonly string[]): Plugin {
  const name = env['TRIVIUM_PLUGIN'] ?? basename(argv[1] ?? '')
  return name === 'trivium-ipam' ? 'trivium-ipam' : 'trivium'
}

async function serve(plugin: Plugin, env: Environment): Promise<CniAnswer> {
  let config = ''
  try {
    if (env['CNI_COMMAND'] !== 'VERSION' || !isTerminal()) config = readFileSync(0, 'utf8')
  } catch (thrown) {
    if (env['CNI_COMMAND'] !== 'VERSION') return inputFailure(thrown)
  }
  const fromAgent = await tryAgent(plugin, env, config)
  if (fromAgent !== undefined) return fromAgent
  await warmPool()
  const steps = new Steps()
  const answer = await serveCni({ plugin, env, config, steps }, (request) => hostOf(request, env))
  const line = logLine({ plugin, env, steps, exitStatus: answer.exitStatus, road: 'node' })
  return { ...answer, stderr: line }
}

/**
 * Standard error reaches the runtime's log, so that is where a failure goes;
 * a call that went well says nothing unless TRIVIUM_LOG_LEVEL asks for it.
 */
function logLine(call: FinishedCall): string {
  const level = callLevel(call)
  const asked = call.env['TRIVIUM_LOG_LEVEL'] ?? 'warn'
  if ((SEVERITY[level] ?? 0) < (SEVERITY[asked] ?? SEVERITY.warn)) return ''
  const head = { level: SEVERITY[level], time: new Date().toISOString() }
  return `${JSON.stringify({ ...head, ...callFields(call) })}\n`
}

const isTerminal = (): boolean => process.stdin.isTTY === true

function inputFailure(thrown: unknown): CniAnswer {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  const error = {
    ...cniError(thrown, askedVersion('')),
    code: 5,
    msg: `error reading from stdin: ${reason}`,
  }
  return { exitStatus: 1, stdout: `${JSON.stringify(error)}\n`, stderr: '' }
}

/** Only where no launcher asked before us. */
async function tryAgent(
  plugin: Plugin,
  env: Environment,
  config: string,
): Promise<CniAnswer | undefined> {
  if (env['TRIVIUM_PLUGIN'] !== undefined || env['TRIVIUM_NO_AGENT'] === '1') return undefined
  const path = socketOf(plugin, env, config)
  if (!existsSync(path)) return undefined
  // Only now: node:net and what it needs cost milliseconds, and the launcher has asked already.
  const { AgentCallError, callAgent } = await import('./agent-client.ts')
  const passed = Object.entries(env).filter(([name]) => /^(CNI_|TRACE|TRIVIUM_)/.test(name))
  try {
    return await callAgent(path, {
      plugin,
      callerPid: process.pid,
      netns: identityOf(env['CNI_NETNS'] ?? ''),
      env: Object.fromEntries(passed) as Record<string, string>,
      config,
    })
  } catch (thrown) {
    if (!(thrown instanceof AgentCallError)) throw thrown
    if (thrown.code !== 'AGENT_LOST') return undefined
    const lost = new TriviumError(
      'TRY_LATER',
      thrown.message,
      'The agent went away after it took the request',
    )
    const error = cniError(lost, askedVersion(config))
    return { exitStatus: 1, stdout: `${JSON.stringify(error)}\n`, stderr: '' }
  }
}

function identityOf(path: string): NetnsIdentity | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return { dev, ino }
  } catch {
    return undefined
  }
}

/** A delegate is configured in "ipam"; the rest is the main plugin's. */
function socketOf(plugin: Plugin, env: Environment, config: string): string {
  if (env['TRIVIUM_SOCKET'] !== undefined && env['TRIVIUM_SOCKET'] !== '')
    return env['TRIVIUM_SOCKET']
  try {
    const { socket, ipam } = JSON.parse(config) as { socket?: unknown; ipam?: { socket?: unknown } }
    const named = plugin === 'trivium-ipam' ? ipam?.socket : socket
    return typeof named === 'string' && named !== '' ? named : DEFAULT_SOCKET
  } catch {
    return DEFAULT_SOCKET
  }
}

/** The node's own store and kernel; blocks are the agent's to claim. */
function hostOf({ config, verb }: CniRequest, env: Environment): CniHost {
  const socketPath = env['TRIVIUM_SOCKET'] || config.socket || DEFAULT_SOCKET
  const file = readNodeFile(socketPath)
  const nodeName = env['TRIVIUM_NODE'] || file?.node
  if (nodeName === undefined) {
    throw new TriviumError(
      'UNKNOWN_NODE',
      "Cannot tell which node this is: no node.json beside the agent's socket",
      `Start the agent once (trivium agent --socket ${socketPath}), or set TRIVIUM_NODE`,
    )
  }
  const url = config.store ?? file?.store
  if (url === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot serve network ${config.name}: its configuration names no store`,
      'Run trivium install again, or add "store": "lmdb:/absolute/path"',
    )
  }
  const reason = `the agent of node ${nodeName} is not running (socket ${socketPath})`
  return {
    nodeName,
    bootId: bootId(),
    store: storeFor(verb, url, reason),
    kernel: openKernel(),
    locks: attachmentLocks(socketPath),
    mayClaim: false,
    newestMark: (incarnation) => newestMark(markPath(socketPath), incarnation),
    hold: () => () => {},
    isAlone: () => true,
    unavailable: () => `Cannot serve ADD for new blocks: ${reason}`,
  }
}

/**
 * A store that is gone holds nothing to release: DEL goes on and removes the links.
 * Nothing is wrong with the configuration then: whoever asks again later finds the
 * store that the agent makes, with the addresses that running pods have.
 */
function storeFor(verb: CniRequest['verb'], url: string, reason: string): Store {
  try {
    return openStore(url, { mustExist: true })
  } catch (thrown) {
    const { code, message } = asTriviumError(thrown)
    if (code !== 'NOT_FOUND') throw thrown
    if (verb === 'DEL') return openStore('memory:')
    throw new TriviumError(
      verb === 'STATUS' ? 'UNAVAILABLE' : 'TRY_LATER',
      `${message}, and ${reason}`,
      'Start the agent: it makes the store, and reads the addresses of running pods back from the kernel',
      thrown,
    )
  }
}

/** Standard output may be a pipe that takes less than a result at a time. */
function writeAll(fd: number, text: string): boolean {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') return false
    }
  }
  return true
}
