/**
 * Nodes with a containerd each, and pods as a kubelet makes them.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode } from '../../src/lab/lab.ts'
import { type Cluster, cluster, converged, type Json, settle, snapshot } from '../support/e2e.ts'
import { members } from './cgroup.ts'
import { type Containerd, IMAGE, startContainerd } from './containerd.ts'
import type { PodConfig } from './cri.ts'
import { BUSYBOX } from './image.ts'
import { chainInstalled, linkPlugins } from './networks.ts'

/** Where a pod's web server says the pod's name. */
const HTTP_PORT = 8080

export interface RuntimeWorld extends Cluster {
  readonly containerds: readonly [Containerd, Containerd]
}

export interface CriPod {
  readonly containerd: Containerd
  readonly config: PodConfig
  readonly name: string
  readonly sandboxId: string
  readonly containerId: string
  /** As PodSandboxStatus tells them. */
  readonly ips: readonly string[]
}

/** Two nodes; on each, one pod has come and gone, so that further ones change nothing for good. */
export async function runtimeWorld(t: Test): Promise<RuntimeWorld> {
  const world = await cluster(t)
  const [left, right] = world.nodes
  if (left === undefined || right === undefined) throw new Error('There are not two nodes')
  linkPlugins(left) // both nodes look into one folder
  for (const node of world.nodes) chainInstalled(node)
  const containerds = await Promise.all([
    startContainerd(t, world.lab, left),
    startContainerd(t, world.lab, right),
  ])
  const first = { portMappings: [hostPort(30_000)] }
  await Promise.all(containerds.map(async (each) => removePod(await runPod(each, 'first', first))))
  await converged(world.lab)
  return { ...world, containerds }
}

/** What a kubelet would send for a pod of this name. */
export const podConfig = ({ cgroup }: Containerd, name: string, extra: PodConfig = {}) => ({
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, attempt: 0 },
  hostname: name,
  linux: { cgroupParent: cgroup },
  ...extra,
})

/** The pod's web server on a port of the node. */
export const hostPort = (port: number) => ({ hostPort: port, containerPort: HTTP_PORT })

/** A pod with one container, a web server. */
export async function runPod(
  containerd: Containerd,
  name: string,
  extra: PodConfig = {},
): Promise<CriPod> {
  const { cri } = containerd
  const config = podConfig(containerd, name, extra)
  const { podSandboxId } = await cri.call('runPodSandbox', { config })
  const { containerId } = await cri.call('createContainer', {
    podSandboxId,
    config: {
      metadata: { name: 'web' },
      image: { image: IMAGE },
      command: ['httpd', '-f', '-p', String(HTTP_PORT), '-h', '/etc'],
    },
    sandboxConfig: config,
  })
  await cri.call('startContainer', { containerId })
  const { status } = await cri.call('podSandboxStatus', { podSandboxId })
  const { ip = '', additionalIps = [] } = status?.network ?? {}
  const ips = [ip, ...additionalIps.map((each) => each.ip)]
  return { containerd, config, name, sandboxId: podSandboxId, containerId, ips }
}

/** As a kubelet does when a pod is deleted. */
export async function removePod({ containerd, sandboxId }: CriPod): Promise<void> {
  const { cri } = containerd
  await cri.call('stopPodSandbox', { podSandboxId: sandboxId })
  await cri.call('removePodSandbox', { podSandboxId: sandboxId })
}

/** What the store holds for an address. */
export async function holderOf({ trivium, storeUrl }: Lab, ip: string): Promise<Json> {
  const rows = await trivium('ipam', 'show', '--ip', ip, '--store', storeUrl, '-o', 'json')
  const [row] = JSON.parse(rows) as readonly Json[]
  if (row === undefined) throw new Error(`Nobody knows ${ip}`)
  return (row['attachment'] ?? {}) as Json
}

/** Runs a command in the pod's container; its output, and the exit status where that is not 0. */
export async function exec(pod: CriPod, ...cmd: readonly string[]): Promise<string> {
  const { containerId, containerd } = pod
  const done = await containerd.cri.call('execSync', { containerId, cmd, timeout: 20 })
  if (done.exitCode === 0) return done.stdout
  return `${done.stdout}${done.stderr}exit status ${done.exitCode}`
}

/** One echo from a pod's container to each address; the addresses that did not answer. */
export async function unreached(from: CriPod, ips: readonly string[]): Promise<readonly string[]> {
  const answers = await Promise.all(
    ips.map(async (ip) => [ip, await exec(from, 'ping', '-c', '1', '-W', '5', ip)] as const),
  )
  return answers.filter(([, text]) => !text.includes(' 0% packet loss')).map(([ip]) => ip)
}

/** The name that the web server at an address says, asked from a pod. */
export async function nameSeenFrom(pod: CriPod, ip: string): Promise<string> {
  const script = `printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${ip} ${HTTP_PORT}`
  return lastLine(await exec(pod, 'sh', '-c', script))
}

/** The same, asked from a node's own namespace. */
export async function nameSeenBy({ netns }: LabNode, ip: string, port: number): Promise<string> {
  const call = inNetns(netns, [BUSYBOX, 'nc', '-w', '5', ip, String(port)])
  return lastLine((await run(call, { input: 'GET /hostname HTTP/1.0\r\n\r\n' })).stdout)
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''

/** The processes of a pod, its container's first. */
export const processesOf = ({ containerd, containerId, sandboxId }: CriPod): readonly number[] =>
  [containerId, sandboxId].flatMap((id) => members(`${containerd.cgroup}/${id}`))

export interface Echoes {
  /** Waits for some more, ends, and returns the sequence numbers that came back; a gap is a loss. */
  stop(): Promise<readonly number[]>
}

/** Echoes from a pod to an address, twenty a second; the first have come back. They end with the test. */
export async function startEchoes(t: Test, from: CriPod, ip: string): Promise<Echoes> {
  const [pid] = processesOf(from)
  const args = [`--net=/proc/${pid}/ns/net`, '--', 'ping', '-n', '-i', '0.05', ip]
  const ping = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => ping.kill('SIGKILL'))
  const exit = new Promise((resolve) => ping.once('exit', resolve))
  const seen: number[] = []
  createInterface({ input: ping.stdout }).on('line', (line) => {
    const sequence = /icmp_seq=(\d+) .*time=/.exec(line)?.[1]
    if (sequence !== undefined) seen.push(Number(sequence))
  })
  const more = (count: number) => {
    const wanted = seen.length + count
    return settle(() => (seen.length >= wanted ? [] : ['too few']))
  }
  await more(3)
  return {
    async stop() {
      await more(5)
      ping.kill('SIGINT')
      await exit
      return seen
    },
  }
}

/** What differs from a snapshot, once the agents have had time to act. */
export const changesSince = (lab: Lab, before: readonly string[]): Promise<readonly string[]> =>
  settle(async () => compareDumps(before, await snapshot(lab)))
