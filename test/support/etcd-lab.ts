/** Nodes with a store each and an etcd on their underlay: a cluster as it is run. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode } from '../../src/lab/lab.ts'
import { builtCli, ip, type Json, settle } from './e2e.ts'
import { certificates, type EtcdCluster, type EtcdPlace, startEtcd } from './etcd.ts'

/** As short as a loaded machine bears: etcd comes back, and everybody is connected, within `reassertMs`. */
const TIMES = { beatMs: 500, reassertMs: 3000, retryMsMax: 500, idleMs: 3_600_000, knockMs: 3000 }

export interface EtcdLabOptions {
  readonly nodes?: number
  readonly members?: number
  readonly mode?: 'vxlan' | 'route'
  /** As `--pool` takes them. */
  readonly pools?: readonly string[]
  readonly leaseSeconds?: number
  /** Before `trivium`, as `env NAME=VALUE`. */
  readonly prefix?: readonly string[]
  /** Only this family on the nodes' underlay, and of etcd. */
  readonly underlay?: 4 | 6 | undefined
  /** etcd wants certificates, and shows one. */
  readonly tls?: boolean
}

export interface EtcdLab {
  readonly lab: Lab
  readonly nodes: readonly LabNode[]
  readonly etcd: EtcdCluster
  readonly places: readonly EtcdPlace[]
  readonly url: string
  /** Starts the node's agent; `more` as on its command line. */
  start(node: LabNode, ...more: readonly string[]): Promise<LabAgent>
  /** Where the node has its records. */
  storeOf(node: LabNode): string
  /** `trivium ARGS` on the node's network. */
  on(node: LabNode, ...args: readonly string[]): Promise<string>
  /** Cuts the node off from every member of etcd, and from nothing else. */
  cut(node: LabNode): Promise<void>
  mend(node: LabNode): Promise<void>
}

export async function etcdLab(t: Test, options: EtcdLabOptions = {}): Promise<EtcdLab> {
  const { nodes = 2, members = 1, mode = 'vxlan', leaseSeconds = 3600 } = options
  const { pools = ['10.42.0.0/16'], prefix = [], underlay } = options
  const trivium = [...prefix, ...builtCli()]
  const families = underlay === undefined ? {} : { underlayFamilies: [underlay] }
  const lab = await createLab({ nodes, trivium, ...families })
  t.teardown(() => lab.destroy())
  const places: EtcdPlace[] = []
  for (let n = 0; n < members; n++) {
    const { netns, ips } = await lab.addHost()
    places.push({ netns, ip: ips[0] ?? '' })
  }
  const ips = places.map((place) => place.ip)
  const tls = options.tls === true ? await certificates(join(lab.dir, 'tls'), ips) : undefined
  const etcd = await startEtcd(join(lab.dir, 'etcd'), members, places, tls)
  t.teardown(() => etcd.end())
  const url = etcd.url('trivium')
  const storeOf = (node: LabNode): string => join(lab.dir, node.name, 'store')
  const on = (node: LabNode, ...args: readonly string[]): Promise<string> =>
    must(inNetns(node.netns, [...trivium, ...args]))
  for (const [index, node] of lab.nodes.entries()) {
    const network = ['--mode', mode, ...pools.flatMap((pool) => ['--pool', pool])]
    const where = ['--bin-dir', node.binDir, '--conf-dir', node.confDir, '--name', 'pods']
    const store = ['--store', `lmdb:${storeOf(node)}`, '--cluster', url]
    const install = ['install', ...where, ...store, '--socket', node.socketPath]
    await on(node, ...install, ...(index === 0 ? network : []))
  }
  return {
    ...{ lab, nodes: lab.nodes, etcd, places, url, storeOf, on },
    start: (node, ...more) =>
      lab.startAgent(
        node,
        ...['--store', `lmdb:${storeOf(node)}`, '--cluster', url],
        ...['--lease', `${leaseSeconds}`, '--cluster-times', JSON.stringify(TIMES), ...more],
      ),
    async cut(node) {
      for (const { ip: member } of places) {
        await ip(node.netns, 'route', 'add', 'blackhole', `${member}/32`)
      }
    },
    async mend(node) {
      for (const { ip: member } of places) {
        await ip(node.netns, 'route', 'del', 'blackhole', `${member}/32`)
      }
    },
  }
}

/** Blocks as the node's own store knows them, once `isWanted` holds of them. */
export async function blocksOf(
  { on, storeOf }: EtcdLab,
  node: LabNode,
  isWanted: (blocks: readonly Json[]) => boolean,
): Promise<readonly Json[]> {
  let blocks: readonly Json[] = []
  const left = await settle(async () => {
    const args = ['ipam', 'show', '--show-blocks', '-o', 'json', '--store', `lmdb:${storeOf(node)}`]
    const rows = JSON.parse(await on(node, ...args)) as Json[]
    blocks = rows.filter(({ grouping }) => grouping === 'Block')
    return isWanted(blocks) ? [] : ['not yet']
  }, 30_000)
  if (left.length > 0) throw new Error(`${node.name} has blocks ${JSON.stringify(blocks)}`)
  return blocks
}

/** As a disk that was replaced. Its agent must not run. */
export const wipe = (lab: EtcdLab, node: LabNode): void =>
  rmSync(lab.storeOf(node), { recursive: true, force: true })
