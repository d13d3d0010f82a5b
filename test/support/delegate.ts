/**
 * Two nodes with networks for `trivium-ipam`: `lan` and `bare` only hand out
 * addresses, `far` is routed. A router on the underlay is the gateway of `lan`.
 *
 * @module
 */
import type { Test } from 'tap'
import { createLab, type Lab, type LabAgent, type LabNode } from '../../src/lab/lab.ts'
import { type Conflist, shownConflist } from './conflists.ts'
import { builtCli, ip, type Json, ownRoutes, settle } from './e2e.ts'

interface Gateway {
  readonly ip: string
  /** What a pod's address looks like. */
  readonly address: RegExp
}

export type DelegateNetwork = 'lan' | 'far' | 'bare'

export interface DelegateWorld {
  readonly lab: Lab
  readonly nodes: readonly [LabNode, LabNode]
  readonly agents: readonly LabAgent[]
  readonly gateways: Readonly<Record<'lan' | 'far', { readonly v4: Gateway; readonly v6: Gateway }>>
  readonly ip: typeof ip
}

const GATEWAYS = {
  lan: {
    v4: { ip: '10.77.0.1', address: /^10\.77\.\d+\.\d+\/16$/ },
    v6: { ip: 'fd77::1', address: /^fd77::\w+\/112$/ },
  },
  far: {
    v4: { ip: '10.78.0.1', address: /^10\.78\.\d+\.\d+\/16$/ },
    v6: { ip: 'fd78::1', address: /^fd78::\w+\/112$/ },
  },
} as const

/** Removed with the test. */
export async function delegateWorld(t: Test): Promise<DelegateWorld> {
  const lab = await createLab({ nodes: 2, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const [first, second] = lab.nodes
  if (first === undefined || second === undefined) throw new Error('a lab has two nodes')
  const nodes = [first, second] as const
  const create = (name: string, mode: string, ...pools: readonly string[]): Promise<string> => {
    const flags = pools.flatMap((pool) => ['--pool', pool])
    return lab.trivium('network', 'create', name, '--mode', mode, ...flags, '--store', lab.storeUrl)
  }
  for (const [name, mode] of [['lan', 'ipam'] as const, ['far', 'route'] as const]) {
    const { v4, v6 } = GATEWAYS[name]
    const pools = [`${v4.ip.replace(/1$/, '0')}/16,gateway=${v4.ip}`]
    await create(name, mode, ...pools, `${v6.ip.replace(/1$/, '')}/112,gateway=${v6.ip}`)
  }
  await create('bare', 'ipam', '10.79.0.0/24,block=28')
  for (const node of nodes) await lab.install(node, '--name', 'lan')
  const router = await lab.addHost()
  await ip(router.netns, 'addr', 'add', '10.77.0.1/16', 'dev', 'eth0')
  await ip(router.netns, 'addr', 'add', 'fd77::1/112', 'dev', 'eth0', 'nodad')
  const agents = await Promise.all(nodes.map((node) => lab.startAgent(node)))
  await routed(nodes)
  return { lab, nodes, agents, gateways: GATEWAYS, ip }
}

/** Until each node has a route of each family to the other's block of `far`. */
async function routed(nodes: readonly LabNode[]): Promise<void> {
  const left = await settle(async () => {
    const each = await Promise.all(nodes.map(ownRoutes))
    return each.flatMap((routes, index) => {
      const gateways = routes.filter((route) => route['gateway'] !== undefined)
      return gateways.length >= 2 ? [] : [`node ${index} has ${gateways.length} routes`]
    })
  })
  if (left.length > 0) throw new Error(`The nodes do not agree: ${left.join('; ')}`)
}

/** The list of docs/chains.md for a network, under another plugin and with more keys. */
export function under(
  { lab }: DelegateWorld,
  network: DelegateNetwork,
  node: LabNode,
  plugin: Json & { readonly type: string },
): Conflist {
  const place = { storeUrl: lab.storeUrl, socketPath: node.socketPath }
  const shown = shownConflist(network === 'far' ? 'far' : 'lan', place)
  return { ...shown, name: network, plugins: [{ ...shown.plugins[0], ...plugin }] }
}
