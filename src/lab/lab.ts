/**
 * Throw-away nodes on one machine: network namespaces joined by a switch, with
 * an underlay and no default route, an agent in each, pods in namespaces of
 * their own. Everything has a unique name and goes with `destroy`.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callPlugin, pluginConfig } from './cni.ts'
import { type Finished, inNetns, must, run } from './exec.ts'
import { sweepDeadLabs } from './sweep.ts'
import { createUnderlay, type Underlay, type UnderlayFamily } from './underlay.ts'

export interface LabOptions {
  readonly nodes: number
  /** The command line that runs `trivium`, e.g. [node, dist/cli.cjs]. */
  readonly trivium: readonly string[]
  readonly underlayMtuBytes?: number
  /** @default both */
  readonly underlayFamilies?: readonly UnderlayFamily[]
  /** Underlay networks with a router between them; node n<i> is on the (i-1)th, modulo. @default 1 */
  readonly subnets?: number
}

export interface LabNode {
  readonly name: string
  readonly netns: string
  readonly underlayIps: readonly string[]
  readonly socketPath: string
  readonly binDir: string
  readonly confDir: string
}

/** A machine on the underlay that is no node. */
export interface LabHost {
  readonly netns: string
  readonly ips: readonly string[]
}

/** A pod's namespace; it has a network only after ADD. */
export interface LabPod {
  readonly containerId: string
  readonly netns: string
  readonly netnsPath: string
  readonly node: LabNode
}

export interface Lab {
  readonly id: string
  readonly dir: string
  readonly storeUrl: string
  readonly nodes: readonly LabNode[]
  /** Runs `trivium ARGS` outside the namespaces. */
  trivium(...args: readonly string[]): Promise<string>
  /** Installs the plugin for a node, with this lab's store and the node's socket. */
  install(node: LabNode, ...args: readonly string[]): Promise<void>
  startAgent(node: LabNode, ...args: readonly string[]): Promise<LabAgent>
  addPod(node: LabNode): Promise<LabPod>
  removePod(pod: LabPod): Promise<void>
  /** A machine on the nodes' (first) underlay network. */
  addHost(): Promise<LabHost>
  setUnderlayMtu(mtuBytes: number): Promise<void>
  cni(
    verb: string,
    pod: LabPod,
    extra?: Readonly<Record<string, unknown>>,
    env?: Readonly<Record<string, string>>,
  ): Promise<Finished>
  destroy(): Promise<void>
}

export interface LabAgent {
  readonly pid: number
  /** Resolves when it is over. */
  readonly ended: Promise<void>
  /** Everything it logged so far. */
  log(): string
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
}

/** Most a healthy agent takes to log `ready`; a loaded machine needs slack, an emulated one more. */
const READY_MS_MAX = 180_000

/** Hosts are numbered above all nodes. */
const FIRST_HOST = 200

/** Builds the nodes; nothing of a half-built lab is left when it fails. */
export async function createLab(options: LabOptions): Promise<Lab> {
  await sweepDeadLabs()
  const id = `trv-${process.pid}-${randomBytes(2).toString('hex')}`
  const dir = mkdtempSync(join(tmpdir(), `${id}-`))
  const netns = new Set<string>()
  const agents = new Set<LabAgent>()
  const addNetns = async (name: string): Promise<void> => {
    await must(['ip', 'netns', 'add', name])
    netns.add(name)
    await must(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
  }
  const destroy = async (): Promise<void> => {
    await Promise.all([...agents].map((agent) => agent.kill()))
    for (const name of netns) await run(['ip', 'netns', 'del', name])
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await addNetns(`${id}-sw`)
    const underlay = await createUnderlay({
      netns: `${id}-sw`,
      mtuBytes: options.underlayMtuBytes ?? 1500,
      families: options.underlayFamilies ?? [4, 6],
      subnets: options.subnets ?? 1,
    })
    const held: Holdings = { id, netns, agents, addNetns, underlay }
    const nodes = await buildNodes(dir, options, held)
    return { id, dir, nodes, destroy, ...actions(dir, options, held) }
  } catch (thrown) {
    await destroy()
    throw thrown
  }
}

async function buildNodes(
  dir: string,
  { nodes, subnets = 1 }: LabOptions,
  { id, addNetns, underlay }: Ground,
): Promise<readonly LabNode[]> {
  const built: LabNode[] = []
  for (let number = 1; number <= nodes; number++) {
    const netns = `${id}-n${number}`
    await addNetns(netns)
    const underlayIps = await underlay.attach(netns, number, (number - 1) % subnets)
    const home = join(dir, `n${number}`)
    mkdirSync(home, { mode: 0o700 })
    const [socketPath, binDir, confDir] = [
      join(home, 'run', 'agent.sock'),
      join(dir, 'bin'),
      join(home, 'net.d'),
    ]
    built.push({ name: `n${number}`, netns, underlayIps, socketPath, binDir, confDir })
  }
  return built
}

interface Ground {
  readonly id: string
  readonly addNetns: (name: string) => Promise<void>
  readonly underlay: Underlay
}

interface Holdings extends Ground {
  readonly netns: Set<string>
  readonly agents: Set<LabAgent>
}

function actions(
  dir: string,
  { trivium }: LabOptions,
  held: Holdings,
): Omit<Lab, 'id' | 'dir' | 'nodes' | 'destroy'> {
  const { id, underlay } = held
  const storeUrl = `lmdb:${join(dir, 'store')}`
  let pods = 0
  let hosts = 0
  return {
    storeUrl,
    trivium: (...args) => must([...trivium, ...args]),
    async install(node, ...args) {
      const where = [
        '--bin-dir',
        node.binDir,
        '--conf-dir',
        node.confDir,
        '--store',
        storeUrl,
        '--socket',
        node.socketPath,
      ]
      await must([...trivium, 'install', ...where, ...args])
    },
    async startAgent(node, ...more) {
      const args = [
        'agent',
        '--node',
        node.name,
        '--store',
        storeUrl,
        '--state-dir',
        join(dir, node.name),
        '--underlay',
        'eth0',
      ]
      const agent = await spawnAgent(
        inNetns(node.netns, [...trivium, ...args, '--socket', node.socketPath, ...more]),
      )
      held.agents.add(agent)
      return agent
    },
    async addPod(node) {
      pods += 1
      const containerId = `${id}-${pods}`
      const netns = `${id}-${node.name}-pod${pods}`
      await held.addNetns(netns)
      return { containerId, netns, netnsPath: `/run/netns/${netns}`, node }
    },
    async removePod(pod) {
      await must(['ip', 'netns', 'del', pod.netns])
      held.netns.delete(pod.netns)
    },
    async addHost() {
      hosts += 1
      const netns = `${id}-h${hosts}`
      await held.addNetns(netns)
      return { netns, ips: await underlay.attach(netns, FIRST_HOST + hosts, 0) }
    },
    setUnderlayMtu: (mtuBytes) => underlay.setMtu(mtuBytes),
    cni(verb, pod, extra = {}, env = {}) {
      const { node, containerId, netnsPath } = pod
      // As a runtime does: the first file there is.
      const [file = ''] = readdirSync(node.confDir).sort()
      const config = { ...pluginConfig(join(node.confDir, file)), ...extra }
      return callPlugin({
        verb,
        nodeNetns: node.netns,
        binDir: node.binDir,
        config,
        containerId,
        netnsPath,
        ifname: 'eth0',
        env,
      })
    },
  }
}

/** Starts an agent and waits until it says that it is ready. */
export async function spawnAgent(command: readonly string[]): Promise<LabAgent> {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let logged = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    logged += text
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const finish = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  await whenReady(child, () => logged)
  return {
    pid: child.pid ?? 0,
    ended,
    log: () => logged,
    stop: () => finish('SIGTERM'),
    kill: () => finish('SIGKILL'),
  }
}

async function whenReady(child: ChildProcess, log: () => string): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX
  while (!log().includes('"event":"ready"')) {
    const end = child.signalCode ?? child.exitCode
    if (end !== null) throw new Error(`Cannot start the agent: it ended (${end}): ${log().trim()}`)
    if (performance.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`Cannot start the agent: not ready after ${READY_MS_MAX} ms: ${log().trim()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
