/**
 * Nodes with networks and pods, for tests of what packets do.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { release } from 'node:os'
import type { Test } from 'tap'
import { GPE_KERNEL, offloadsGpe } from '../../src/kernel-release.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { parseIpJson } from '../../src/lab/json.ts'
import {
  createLab,
  type Lab,
  type LabAgent,
  type LabNode,
  type LabOptions,
  type LabPod,
} from '../../src/lab/lab.ts'
import { added, builtCli, converged, ipsOf, type Json, type Result, skip } from './e2e.ts'

export interface WorldOptions extends Omit<LabOptions, 'trivium'> {
  /** Flags of `trivium network create`, by name. Pools are added: see `poolsOf`. */
  readonly networks: Readonly<Record<string, readonly string[]>>
}

export interface World {
  readonly lab: Lab
  readonly nodes: readonly LabNode[]
  readonly agents: readonly LabAgent[]
  /** Runs `trivium ARGS --store …`. */
  trivium(...args: readonly string[]): Promise<string>
  /** A pod of a network on node n<number>. */
  pod(number: number, network: string): Promise<RunningPod>
  /** Waits until every node has what it needs of every other one. */
  settled(): Promise<void>
}

export interface RunningPod {
  readonly name: string
  readonly lab: LabPod
  readonly netns: string
  readonly node: LabNode
  readonly result: Result
  readonly v4: string
  readonly v6: string
  /** Both. */
  readonly ips: readonly string[]
}

/** Why a test of networks with these flags cannot run here; false when it can. */
export function skipFor(flags: readonly string[]): string | false {
  if (skip !== false || !flags.includes('lightweight')) return skip
  if (!offloadsGpe(release())) return `lightweight tunnels are for Linux ${GPE_KERNEL} and newer`
  return makesGpe() ? false : 'this kernel makes no VXLAN-GPE link with a VNI filter'
}

/** Tried out once, in a namespace of its own. */
function makesGpe(): boolean {
  gpe ??= (() => {
    const netns = `trv-gpe-${process.pid}`
    const kind = ['type', 'vxlan', 'external', 'gpe', 'vnifilter', 'dstport', '4790']
    spawnSync('ip', ['netns', 'add', netns])
    const { status } = spawnSync('ip', ['-n', netns, 'link', 'add', 'x', ...kind])
    spawnSync('ip', ['netns', 'del', netns])
    return status === 0
  })()
  return gpe
}
let gpe: boolean | undefined

/** Pools of the networks, in the order in which they are named. */
export const poolsOf = (index: number): readonly [v4: string, v6: string] => [
  `10.${42 + index}.0.0/16`,
  `fd${42 + index}::/112`,
]

/** Nodes with agents, and networks; removed with the test. */
export async function world(t: Test, options: WorldOptions): Promise<World> {
  const { networks, ...labOptions } = options
  const lab = await createLab({ ...labOptions, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const trivium = (...args: readonly string[]) => lab.trivium(...args, '--store', lab.storeUrl)
  const names = Object.keys(networks)
  for (const [index, name] of names.entries()) {
    const pools = poolsOf(index).flatMap((pool) => ['--pool', pool])
    await trivium('network', 'create', name, ...(networks[name] ?? []), ...pools)
  }
  for (const node of lab.nodes) await lab.install(node, '--name', names[0] ?? '')
  const agents = await Promise.all(lab.nodes.map((node) => lab.startAgent(node)))
  return {
    lab,
    nodes: lab.nodes,
    agents,
    trivium,
    pod: (number, network) => addPod(lab, number, network),
    settled: () => converged(lab),
  }
}

async function addPod(lab: Lab, number: number, network: string): Promise<RunningPod> {
  const node = lab.nodes[number - 1]
  if (node === undefined) throw new Error(`There is no node ${number}`)
  const pod = await lab.addPod(node)
  const result = await added(lab, pod, { name: network })
  const ips = ipsOf(result)
  const v4 = ips.find((ip) => !ip.includes(':')) ?? ''
  const v6 = ips.find((ip) => ip.includes(':')) ?? ''
  const name = `${network}@${node.name}`
  return { name, lab: pod, netns: pod.netns, node, result, v4, v6, ips }
}

/** `bridge -j ARGS` inside a namespace. */
export async function bridgeJson(
  netns: string,
  ...args: readonly string[]
): Promise<readonly Json[]> {
  return parseIpJson(await must(inNetns(netns, ['bridge', '-j', ...args])))
}

/** ICMP and IP headers of an echo. RFC 791 and 792, RFC 8200 and 4443. */
const ECHO_HEADER_BYTES = { 4: 28, 6: 48 } as const

export interface EchoOptions {
  /** Source address. */
  readonly from?: string
  /** Size of the whole IP packet, which may not be fragmented. */
  readonly bytes?: number
  /** Whether an answer is expected: decides how long is waited. @default true */
  readonly expected?: boolean
}

/** Whether an echo comes back. */
export async function echoes(netns: string, ip: string, options: EchoOptions = {}) {
  const { from, bytes, expected = true } = options
  const header = ECHO_HEADER_BYTES[ip.includes(':') ? 6 : 4]
  const size = bytes === undefined ? [] : ['-s', String(bytes - header), '-M', 'do']
  const source = from === undefined ? [] : ['-I', from]
  // Patient: repeated until the first answer. Otherwise a few, and half a second in all.
  const wait = expected ? ['-c', '1', '-w', '5'] : ['-c', '3', '-W', '0.3']
  const often = ['-i', '0.1']
  const { status } = await run(
    inNetns(netns, ['ping', '-n', ...often, ...wait, ...size, ...source, ip]),
  )
  return status === 0
}

/** Who of `from` reaches whom of `to`: one word a pair and family, sorted; for comparison. */
export async function reaches(
  from: readonly RunningPod[],
  to: readonly RunningPod[],
  expected: boolean,
): Promise<readonly string[]> {
  const pairs = from.flatMap((source) =>
    to
      .filter((target) => target !== source)
      .flatMap((target) => target.ips.map((ip) => ({ source, target, ip }))),
  )
  const words = await Promise.all(
    pairs.map(async ({ source, target, ip }) => {
      const ok = await echoes(source.netns, ip, { expected })
      const family = ip.includes(':') ? 'IPv6' : 'IPv4'
      return ok === expected ? [] : [`${source.name} → ${target.name} ${family}: ${ok}`]
    }),
  )
  return words.flat().sort()
}
