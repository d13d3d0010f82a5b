/**
 * What the end-to-end tests share: a lab with the plugin installed and agents
 * running, calls of the plugin, and looks at the outcome from outside.
 *
 * Everything a test makes goes with its teardown, also when it failed.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { dumpNetns } from '../../src/lab/dump.ts'
import { type Finished, inNetns, must, run } from '../../src/lab/exec.ts'
import { parseIpJson } from '../../src/lab/json.ts'
import { createLab, type Lab, type LabAgent, type LabNode, type LabPod } from '../../src/lab/lab.ts'
import type { Endpoint } from '../../src/lab/reach.ts'

export type Json = Readonly<Record<string, unknown>>

export const ROOT = resolve(import.meta.dirname, '..', '..')
export const DIST = join(ROOT, 'dist')
/** The command line under test. */
export const TRIVIUM = [process.execPath, join(DIST, 'cli.cjs')] as const

export const POOLS = ['10.42.0.0/16', 'fd42::/112'] as const

/** How long a change may take to reach a kernel, on a machine with much else to do. */
const SETTLE_MS_MAX = 15_000

/** How many times longer everything may take, where everything is emulated (`test/guest`). */
const SLACK = Number(process.env['TRIVIUM_TEST_SLACK'] ?? 1)

/** Between two looks, which cost a processor more than what they look at. */
const PAUSE_MS = 50
const PAUSE_MS_MAX = 400

/** Why these tests cannot run here; false when they can. */
export const skip: string | false =
  process.getuid?.() !== 0
    ? 'network namespaces need root'
    : existsSync('/usr/sbin/ip') || existsSync('/sbin/ip')
      ? false
      : 'no iproute2'

/** The two ways a call takes: the variables that choose it. */
export const ROADS = [
  { road: 'launcher and agent', env: {} },
  { road: 'Node entry', env: { TRIVIUM_NO_AGENT: '1' } },
] as const

export interface ClusterOptions {
  readonly mode?: 'vxlan' | 'route'
  /** Flags of the network instead of `--mode`. */
  readonly network?: readonly string[]
  /** As `--pool` takes them. */
  readonly pools?: readonly string[]
  readonly nodes?: number
  readonly agents?: boolean
  readonly underlayMtuBytes?: number
  /** The command line under test. @default as built */
  readonly trivium?: readonly string[]
}

export interface Cluster {
  readonly lab: Lab
  readonly nodes: readonly LabNode[]
  readonly agents: readonly LabAgent[]
  /** Each node before anything of ours was there. */
  readonly pristine: readonly string[]
}

/** Nodes with the network `pods` installed and, unless declined, agents that agree with each other. */
export async function cluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const { mode = 'vxlan', pools = POOLS, nodes = 2, agents: withAgents = true } = options
  const { underlayMtuBytes = 1500, trivium = builtCli() } = options
  const lab = await createLab({ nodes, trivium, underlayMtuBytes })
  t.teardown(() => lab.destroy())
  const pristine = await dumps(lab)
  for (const [index, node] of lab.nodes.entries()) {
    const flags = options.network ?? ['--mode', mode]
    const network = [...flags, ...pools.flatMap((pool) => ['--pool', pool])]
    await lab.install(node, '--name', 'pods', ...(index === 0 ? network : []))
  }
  const agents = withAgents ? await Promise.all(lab.nodes.map((node) => lab.startAgent(node))) : []
  if (withAgents) await converged(lab)
  return { lab, nodes: lab.nodes, agents, pristine }
}

/** One pod on each node, added and deleted: afterwards no ADD of a few pods claims another block. */
export async function warm(lab: Lab): Promise<void> {
  for (const node of lab.nodes) {
    const pod = await lab.addPod(node)
    await added(lab, pod)
    const { status, stdout } = await lab.cni('DEL', pod)
    if (status !== 0) throw new Error(`DEL failed: ${stdout}`)
    await lab.removePod(pod)
  }
  await converged(lab)
}

/** The command line under test, built where that has not happened yet. */
export function builtCli(): readonly string[] {
  if (!existsSync(join(DIST, 'cli.cjs'))) {
    execFileSync(process.execPath, [join(ROOT, 'cni-bin', 'build.mjs')], { stdio: 'ignore' })
  }
  return TRIVIUM
}

/** Runs the command line whatever comes of it. */
export const cli = (...args: readonly string[]): Promise<Finished> => run([...builtCli(), ...args])

/** Asks until nothing is left to say, or time is up; returns what was said last. */
export async function settle(
  ask: () => Promise<readonly string[]> | readonly string[],
  msMax = SETTLE_MS_MAX,
): Promise<readonly string[]> {
  const deadline = performance.now() + msMax * SLACK
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, PAUSE_MS_MAX)) {
    const left = await ask()
    if (left.length === 0 || performance.now() > deadline) return left
    await sleep(pauseMs)
  }
}

/** Calls in an agent's log, once there are `count` or time is up: a line comes after its answer. */
export async function callsLogged(agent: LabAgent, count: number): Promise<number> {
  const logged = (): number => agent.log().split('"event":"cni"').length - 1
  await settle(() => (logged() < count ? ['too few'] : []))
  return logged()
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** Whole dumps of all nodes; each line starts with its node's name. */
export async function dumps(lab: Pick<Lab, 'nodes'>): Promise<readonly string[]> {
  const each = await Promise.all(
    lab.nodes.map(async ({ name, netns }) =>
      (await dumpNetns(netns)).map((line) => `${name} ${line}`),
    ),
  )
  return each.flat()
}

export interface UsageRow {
  readonly grouping: 'IP Pool' | 'Block'
  readonly cidr: string
  readonly ipsInUse: number
  readonly ipsFree: number
  /** Of the free ones; grows with every DEL, and goes by itself. */
  readonly ipsCooling?: number
  readonly node?: string
}

/** Pools and blocks as the command line shows them. */
export async function usage({ trivium, storeUrl }: Lab): Promise<readonly UsageRow[]> {
  const args = ['ipam', 'show', '--show-blocks', '-o', 'json', '--store', storeUrl]
  return JSON.parse(await trivium(...args)) as UsageRow[]
}

/** Addresses in use, all pools together. */
export async function inUse(lab: Lab): Promise<number> {
  const pools = (await usage(lab)).filter(({ grouping }) => grouping === 'IP Pool')
  return pools.reduce((sum, { ipsInUse }) => sum + Number(ipsInUse), 0)
}

/** All that a call could leave: the nodes' kernels, and what the store says of addresses in use. */
export async function snapshot(lab: Lab): Promise<readonly string[]> {
  const [kernels, rows] = await Promise.all([dumps(lab), usage(lab)])
  const held = rows.map(({ ipsCooling: _, ...row }) => `ipam ${JSON.stringify(row)}`)
  return [...kernels, ...held]
}

/** Waits until every node has blocks and a route to each block of the others. */
export async function converged(lab: Lab): Promise<void> {
  const left = await settle(async () => {
    const blocks = (await usage(lab)).filter(({ grouping }) => grouping === 'Block')
    const missing = await Promise.all(lab.nodes.map((node) => missingRoutes(node, blocks)))
    return missing.flat()
  })
  if (left.length > 0) throw new Error(`The nodes do not agree: ${left.join('; ')}`)
}

async function missingRoutes(node: LabNode, blocks: readonly UsageRow[]): Promise<string[]> {
  if (!blocks.some((block) => block.node === node.name)) return [`${node.name} has no block`]
  const present = new Map((await ownRoutes(node)).map((route) => [String(route['dst']), route]))
  return blocks
    .filter(({ cidr, node: owner }) => {
      const route = present.get(cidr.replace(/\/(32|128)$/, ''))
      if (route === undefined) return true
      // A pod's own route takes the place of its block's where that is one address.
      if (owner === node.name && /\/(32|128)$/.test(cidr)) return false
      return (route['type'] === 'blackhole') !== (owner === node.name)
    })
    .map(({ cidr, node: owner }) => `${node.name} has no route to ${cidr} of ${owner}`)
}

/** Our routes on the node, as iproute2 tells them. */
export async function ownRoutes({ netns }: Pick<LabNode, 'netns'>): Promise<readonly Json[]> {
  const read = (family: string) =>
    ipJson(netns, family, 'route', 'show', 'table', 'main', 'proto', '84')
  return [...(await read('-4')), ...(await read('-6'))]
}

/** `ip -j ARGS` inside a namespace. */
export async function ipJson(netns: string, ...args: readonly string[]): Promise<readonly Json[]> {
  return parseIpJson(await must(inNetns(netns, ['ip', '-j', '-d', ...args])))
}

/** Changes a namespace behind our back. */
export const ip = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(['ip', '-n', netns, ...args])

export interface Result {
  readonly cniVersion: string
  readonly interfaces: readonly { name: string; mac: string; mtu?: number; sandbox?: string }[]
  readonly ips: readonly { address: string; gateway?: string; interface?: number }[]
  readonly routes: readonly { dst: string; gw?: string }[]
}

/** The whole standard output of a successful ADD; anything more than the result does not parse. */
export function resultOf({ status, stdout, stderr }: Finished): Result {
  if (status !== 0) throw new Error(`The call failed: ${stdout.trim()} ${stderr.trim()}`)
  return JSON.parse(stdout) as Result
}

export interface CniError {
  readonly cniVersion: string
  readonly code: number
  readonly msg: string
  readonly details: string
}

/** The whole standard output of a failed call. */
export function errorOf({ status, stdout, stderr }: Finished): CniError {
  if (status === 0) throw new Error(`The call succeeded: ${stdout.trim()}`)
  try {
    return JSON.parse(stdout) as CniError
  } catch {
    throw new Error(`Standard output is no error object: ${stdout} ${stderr}`)
  }
}

/** ADD that must succeed. */
export async function added(
  lab: Lab,
  pod: LabPod,
  extra: Json = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  return resultOf(await lab.cni('ADD', pod, extra, env))
}

/**
 * ADD that must succeed in the end, asked as a runtime asks: again after code 11,
 * with which the same request may succeed later.
 */
export async function addedInTime(
  lab: Lab,
  pod: LabPod,
  env: Readonly<Record<string, string>> = {},
  msMax = 30_000,
): Promise<Result> {
  let answer = await lab.cni('ADD', pod, {}, env)
  await settle(async () => {
    if (answer.status === 0 || errorOf(answer).code !== 11) return []
    answer = await lab.cni('ADD', pod, {}, env)
    return answer.status === 0 ? [] : [answer.stdout]
  }, msMax)
  return resultOf(answer)
}

/** Addresses of a result without their lengths. */
export const ipsOf = ({ ips }: Result): readonly string[] =>
  ips.map(({ address }) => address.split('/')[0] ?? '')

export const endpointOf = (pod: LabPod, result: Result): Endpoint => ({
  name: pod.containerId,
  netns: pod.netns,
  ips: ipsOf(result),
})
