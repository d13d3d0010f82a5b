/**
 * The ways to serve a pod that the CNI benches compare, in one lab: ours by
 * launcher and agent, ours by the Node entry, and the reference plugins.
 *
 * Each is spawned by the same helper, in its node's own namespace, on a pod's
 * namespace that is there already. After each timed verb both namespaces are
 * dumped: an ADD must have given the pod its address and the node a way to it,
 * a DEL must leave both as they were.
 */
import { join } from 'node:path'
import { pluginConfig } from '../src/lab/cni.ts'
import { compareDumps, dumpNetns } from '../src/lab/dump.ts'
import type { Lab, LabNode, LabPod } from '../src/lab/lab.ts'
import type { Call, Caller } from './cni-caller.ts'

export const REFERENCE_DIR = '/usr/lib/cni'
export const REFERENCE = 'bridge + host-local'
export const OURS = 'launcher + agent'
export const NODE_ENTRY = 'Node entry'
/** Of many pods, those whose own namespaces are dumped; the node's always is. */
const DUMPED_PODS = 4

/** One way to serve a pod. */
export interface Road {
  readonly name: string
  readonly node: LabNode
  readonly caller: Caller
  readonly binDir: string
  readonly config: Readonly<Record<string, unknown>>
  readonly pods: readonly LabPod[]
  readonly env: Readonly<Record<string, string>>
}

export interface Served {
  readonly ms: number
  readonly results: readonly unknown[]
}

/** Runs one verb on `pods` at once, and says how long that took; checks nothing. */
export async function call(
  road: Road,
  verb: 'ADD' | 'DEL' | 'CHECK' | 'GC',
  pods: readonly LabPod[],
  round: string,
  earlier: readonly unknown[] = [],
): Promise<Served> {
  const calls = pods.map((pod, index) =>
    callOf(road, verb, pod, `bench-${round}-${index}`, earlier[index]),
  )
  const { ms, results } = await road.caller.ask(calls)
  for (const { status, stdout } of results) {
    if (status !== 0) throw new Error(`${road.name}: ${verb} failed: ${stdout.trim()}`)
  }
  return {
    ms,
    results: results.map(({ stdout }) => (stdout === '' ? undefined : JSON.parse(stdout))),
  }
}

function callOf(road: Road, verb: string, pod: LabPod, id: string, prevResult?: unknown): Call {
  const config = { ...road.config, ...(prevResult === undefined ? {} : { prevResult }) }
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: verb,
    CNI_CONTAINERID: id,
    CNI_NETNS: pod.netnsPath,
    CNI_IFNAME: 'eth0',
    CNI_PATH: road.binDir,
    ...road.env,
  }
  const command = [join(road.binDir, String(road.config['type']))]
  return { command, env, input: JSON.stringify(config) }
}

/** What the node and (some of) the pods hold. */
export interface Held {
  readonly node: readonly string[]
  readonly pods: readonly (readonly string[])[]
}

export async function dumpAll({ node }: Road, pods: readonly LabPod[]): Promise<Held> {
  const own: (readonly string[])[] = []
  const ofNode = (await dumpNetns(node.netns)).map(withoutBridge)
  for (const pod of pods.slice(0, DUMPED_PODS)) own.push(await dumpNetns(pod.netns))
  return { node: ofNode, pods: own }
}

/** The reference's bridge changes MAC, state and IPv6 address with its ports. */
const withoutBridge = (line: string): string =>
  line.includes('cni0') ? (line.split(' ')[0] ?? '') : line

/** ADD and, after a pause, DEL: timed, and proved by dumps. `before` must be of a node at rest. */
export async function addAndDelete(
  road: Road,
  pods: readonly LabPod[],
  round: string,
  before: Held,
  pause: () => Promise<unknown>,
): Promise<{ readonly addMs: number; readonly delMs: number }> {
  await pause()
  const added = await call(road, 'ADD', pods, round)
  await proveAdd(road, pods, added.results, before)
  await pause()
  const removed = await call(road, 'DEL', pods, round, added.results)
  const after = await dumpAll(road, pods)
  const left = [
    ...compareDumps(before.node, after.node),
    ...before.pods.flatMap((lines, index) => compareDumps(lines, after.pods[index] ?? [])),
  ]
  if (left.length > 0) throw new Error(`${road.name}: DEL left ${left.slice(0, 5).join('; ')}`)
  return { addMs: added.ms, delMs: removed.ms }
}

async function proveAdd(
  road: Road,
  pods: readonly LabPod[],
  results: readonly unknown[],
  before: Held,
): Promise<void> {
  const now = await dumpAll(road, pods)
  const news = compareDumps(before.node, now.node)
  for (const [index] of pods.entries()) {
    const { ips } = results[index] as { readonly ips: readonly { readonly address: string }[] }
    for (const { address } of ips) {
      const ip = address.split('/')[0] ?? ''
      const lines = now.pods[index]
      if (lines !== undefined && !lines.some((line) => line.includes(`local="${ip}"`))) {
        throw new Error(`${road.name}: ${ip} is not in the pod after ADD`)
      }
      // The reference's road is its bridge; ours is a route for each address.
      if (road.name !== REFERENCE && !news.some((line) => line.includes(`dst="${ip}"`))) {
        throw new Error(`${road.name}: the node has no route to ${ip} after ADD`)
      }
    }
  }
  if (news.filter((line) => line.startsWith('+ link')).length !== pods.length) {
    throw new Error(`${road.name}: ${pods.length} ADDs did not make as many links`)
  }
}

/** The three roads, on the lab's first two nodes, with `count` pods on each. */
export async function buildRoads(
  lab: Lab,
  [ourCaller, theirCaller]: readonly [Caller, Caller],
  count: number,
): Promise<readonly Road[]> {
  const [ours, theirs] = lab.nodes
  if (ours === undefined || theirs === undefined) throw new Error('Cannot compare without nodes')
  const own = {
    caller: ourCaller,
    node: ours,
    binDir: ours.binDir,
    config: pluginConfig(join(ours.confDir, '10-pods.conflist')),
    pods: await podsOn(lab, ours, count),
  }
  const ipam = {
    type: 'host-local',
    dataDir: join(lab.dir, 'host-local'),
    ranges: [[{ subnet: '10.55.0.0/16' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  const config = {
    cniVersion: '1.0.0',
    name: 'ref',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipam,
  }
  return [
    { name: OURS, ...own, env: {} },
    { name: NODE_ENTRY, ...own, env: { TRIVIUM_NO_AGENT: '1' } },
    {
      name: REFERENCE,
      caller: theirCaller,
      node: theirs,
      binDir: REFERENCE_DIR,
      config,
      pods: await podsOn(lab, theirs, count),
      env: {},
    },
  ]
}

export async function podsOn(lab: Lab, node: LabNode, count: number): Promise<readonly LabPod[]> {
  const pods: LabPod[] = []
  while (pods.length < count) pods.push(await lab.addPod(node))
  return pods
}
