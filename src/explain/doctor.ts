/**
 * What is wrong with one node: its kernel against what the store asks for, and
 * settings that bite later.
 *
 * @module
 */

import { isLeaseFading } from '../../ipam/cluster/membership.ts'
import { spanText } from '../../ipam/forecast.ts'
import { peersOf } from '../backend/peers.ts'
import { planNode } from '../backend/plan.ts'
import type { ClusterView } from '../cluster/view.ts'
import {
  diff,
  identity,
  type KernelState,
  kernelState,
  linkSysctl,
  ownsLink,
  renderOp,
  vxlanLinkName,
} from '../kernel/mod.ts'
import { GPE_KERNEL, offloadsGpe, offloadsTunnelChecksum } from '../kernel-release.ts'
import { counted } from '../words.ts'
import { wordsOf } from './hop.ts'
import type { NodeSnapshot } from './snapshot.ts'
import { type Tables, tablesOf } from './tables.ts'

export const SEVERITIES = ['ok', 'warn', 'fail'] as const
export type Severity = (typeof SEVERITIES)[number]

/** One answer. */
export interface Finding {
  readonly severity: Severity
  /** What was looked at. */
  readonly check: string
  readonly found: string
  readonly wanted?: string
  /** What repairs it, or shows more. */
  readonly command?: string
}

/** What was seen of the node. */
export interface Examined {
  readonly node: string
  /** Why the agent does not answer; undefined: it does. */
  readonly agentProblem: string | undefined
  readonly socketPath: string
  /** Why the store cannot be read; undefined: it can. */
  readonly storeProblem: string | undefined
  /** undefined: the node is not registered, or there is no store. */
  readonly view: ClusterView | undefined
  readonly snapshot: NodeSnapshot
  /** undefined: the node is in no cluster. */
  readonly cluster?: ClusterLook | undefined
}

/** What the node's store says of its cluster. */
export interface ClusterLook {
  /** Why it may give no address now; undefined: it may. */
  readonly refusal: string | undefined
  readonly leaseLeftMs: number
  readonly leaseMs: number
}

/** Differences that are named one by one; the rest is counted. */
const NAMED_MAX = 10
/** A table that is fuller than this is near its end. */
const NEAR_FULL = 0.8

export function examine(examined: Examined): readonly Finding[] {
  const { view, snapshot } = examined
  const tables = tablesOf(snapshot.objects)
  return [
    ...programs(examined),
    ...lease(examined),
    ...(view === undefined
      ? []
      : [
          ...differences(view, snapshot),
          ...underlay(view, tables),
          ...reversePath(view, tables),
          ...neighbours(view, snapshot, tables),
          ...tunnels(view, snapshot, tables),
          ...pods(snapshot),
        ]),
    ...chains(snapshot),
    ...conntrack(snapshot),
    ...snapshot.unread.map(
      (what): Finding => ({ severity: 'warn', check: 'not read', found: what }),
    ),
  ]
}

/** The worst of all; `ok` when there is nothing. */
export const worst = (findings: readonly Finding[]): Severity =>
  SEVERITIES.findLast((severity) => findings.some((each) => each.severity === severity)) ?? 'ok'

const ok = (check: string, found: string): Finding => ({ severity: 'ok', check, found })

function programs(examined: Examined): readonly Finding[] {
  const { agentProblem, socketPath, storeProblem, view, node } = examined
  const agent: Finding =
    agentProblem === undefined
      ? ok('agent', `answers at ${socketPath}`)
      : {
          severity: 'fail',
          check: 'agent',
          found: agentProblem,
          wanted: `an agent that listens at ${socketPath}`,
          command: `trivium agent --node ${node} --underlay LINK`,
        }
  if (storeProblem !== undefined) {
    const wanted = 'a store that opens'
    return [agent, { severity: 'fail', check: 'store', found: storeProblem, wanted }]
  }
  if (view !== undefined) return [agent, ok('store', `knows node ${node}`)]
  return [
    agent,
    {
      severity: 'fail',
      check: 'store',
      found: `it does not know node ${node}`,
      wanted: 'a node that its agent has registered',
      command: 'trivium node show',
    },
  ]
}

function lease({ cluster }: Examined): readonly Finding[] {
  if (cluster === undefined) return []
  const { refusal, leaseLeftMs: leftMs, leaseMs } = cluster
  const wanted = 'etcd, which the agent asks every ten seconds'
  const command = 'etcdctl endpoint health'
  if (refusal !== undefined) {
    return [{ severity: 'fail', check: 'cluster', found: refusal, wanted, command }]
  }
  const [ago, left] = [spanText(leaseMs - leftMs), spanText(leftMs)]
  if (!isLeaseFading(leftMs, leaseMs))
    return [ok('cluster', `etcd was heard of, the lease has ${left}`)]
  const found = `etcd was last heard of ${ago} ago: in ${left} this node gives no address any more`
  return [{ severity: 'warn', check: 'cluster', found, wanted, command }]
}

const stateOf = ({ objects }: NodeSnapshot): KernelState => {
  const byIdentity = new Map(objects.map((object) => [identity(object), object]))
  return kernelState(byIdentity.values())
}

function differences(view: ClusterView, snapshot: NodeSnapshot): readonly Finding[] {
  const plan = planNode(view)
  const { ops, conflicts } = diff(plan.desired, stateOf(snapshot))
  const findings: Finding[] = [
    ...plan.problems.map((found): Finding => ({ severity: 'fail', check: 'plan', found })),
    ...conflicts.map(
      ({ desired, actual }): Finding => ({
        severity: 'fail',
        check: 'conflict',
        found: `${wordsOf(actual)} is somebody else's`,
        wanted: wordsOf(desired),
        command:
          actual.kind === 'link'
            ? `ip link del dev ${actual.name}`
            : renderOp({ kind: 'remove', object: actual }),
      }),
    ),
    ...ops.slice(0, NAMED_MAX).map(
      (op): Finding => ({
        severity: 'fail',
        check: 'kernel',
        found: 'not as the store asks',
        wanted: 'an agent that repairs it',
        command: renderOp(op),
      }),
    ),
  ]
  if (ops.length > NAMED_MAX) {
    const found = counted(ops.length - NAMED_MAX, 'more difference')
    findings.push({ severity: 'fail', check: 'kernel', found })
  }
  if (findings.length > 0) return findings
  return [ok('kernel', `as the store asks, ${counted(plan.desired.size, 'object')}`)]
}

function underlay({ self }: ClusterView, tables: Tables): readonly Finding[] {
  const { underlayLink: name, underlayMtuBytes, underlayIps } = self
  const check = 'underlay'
  const link = tables.link(name)
  const show = `ip addr show dev ${name}`
  if (link?.up !== true) {
    const found = `${name} is ${link === undefined ? 'missing' : 'down'}`
    return [
      { severity: 'fail', check, found, wanted: 'it is up', command: `ip link set dev ${name} up` },
    ]
  }
  const findings: Finding[] = []
  if (link.mtuBytes !== underlayMtuBytes) {
    findings.push({
      severity: 'fail',
      check,
      found: `${name} has mtu ${link.mtuBytes}, the store says ${underlayMtuBytes}`,
      wanted: 'the same: the agent writes it when the link changes',
      command: `ip link set dev ${name} mtu ${underlayMtuBytes}`,
    })
  }
  const lost = underlayIps.filter((ip) => !tables.addresses(name).includes(ip))
  if (lost.length > 0) {
    findings.push({
      severity: 'fail',
      check,
      found: `${name} has not ${lost.join(', ')}, where others send`,
      wanted: 'the addresses that the store says',
      command: show,
    })
  }
  if (findings.length > 0) return findings
  return [ok(check, `${name} is up, mtu ${link.mtuBytes}, ${underlayIps.join(', ')}`)]
}

/** Strict filters drop what comes by another road than the way back takes. */
function reversePath(view: ClusterView, tables: Tables): readonly Finding[] {
  const mixed = view.networks.some(({ network }) => network.options.crossSubnet === true)
  const all = 'net.ipv4.conf.all.rp_filter'
  const own = tables.links.filter((link) => ownsLink(link) || link.name === view.self.underlayLink)
  const names = [all, ...own.map(({ name }) => linkSysctl(4, name, 'rp_filter'))]
  const strict = names.filter((name) => tables.sysctl(name) === '1')
  const [first] = strict
  if (first === undefined) return [ok('rp_filter', 'nowhere strict')]
  const more = strict.length > 1 ? ` and ${strict.length - 1} more` : ''
  return [
    {
      severity: mixed ? 'fail' : 'warn',
      check: 'rp_filter',
      found: `${first} is strict (1)${more}${mixed ? ', and peers are reached by two roads' : ''}`,
      wanted: '2 (loose) or 0: a packet may come by another road than the answer takes',
      command: `sysctl -w ${first}=2`,
    },
  ]
}

/** In route mode every peer is one resolved neighbour. */
function neighbours(
  view: ClusterView,
  { dynamicNeighbours }: NodeSnapshot,
  tables: Tables,
): readonly Finding[] {
  const direct = view.networks.filter(
    ({ network: { mode, options } }) =>
      (mode === 'route' && options.peerRoutes !== 'bgp') || options.crossSubnet === true,
  )
  const peers = Math.max(0, ...direct.map((network) => peersOf(network, view).length))
  return ([4, 6] as const).flatMap((family): readonly Finding[] => {
    const name = `net.ipv${family}.neigh.default.gc_thresh3`
    const most = Number(tables.sysctl(name))
    const used = Math.max(peers, dynamicNeighbours[family])
    if (!Number.isInteger(most)) return []
    if (used < most * NEAR_FULL) return [ok('neighbours', `${name}=${most}, ${used} are needed`)]
    return [
      {
        severity: used >= most ? 'fail' : 'warn',
        check: 'neighbours',
        found: `${name} is ${most}, and ${used} are needed (${counted(peers, 'peer')} without tunnel)`,
        wanted: `${used * 2} or more`,
        command: `sysctl -w ${name}=${used * 2}`,
      },
    ]
  })
}

function tunnels(view: ClusterView, snapshot: NodeSnapshot, tables: Tables): readonly Finding[] {
  const networks = view.networks.filter(({ network }) => network.mode === 'vxlan')
  const ports = new Set(networks.map(({ network }) => network.options.vxlanPort))
  const foreign = snapshot.tunnelPorts.filter(({ link: name, port }) => {
    const link = tables.link(name)
    return ports.has(port) && (link === undefined || !ownsLink(link))
  })
  const { kernelRelease: release } = snapshot
  const light = networks.some(({ network }) => network.options.flavour === 'lightweight')
  return [
    ...foreign.map(
      ({ link, port }): Finding => ({
        severity: 'fail',
        check: 'tunnel',
        found: `${link} is somebody else's VXLAN device on our UDP port ${port}`,
        wanted: 'a port of our own',
        command: 'trivium network set NETWORK --vxlan-port PORT',
      }),
    ),
    ...(light && !offloadsGpe(release)
      ? [
          {
            severity: 'fail',
            check: 'tunnel',
            found: `Linux ${release} damages packets of lightweight tunnels`,
            wanted: `${GPE_KERNEL} or newer, or --flavour classic`,
          } as const,
        ]
      : []),
    ...(networks.length > 0 && !offloadsTunnelChecksum(release)
      ? networks.flatMap(({ network: { options, alternate } }) =>
          checksums(vxlanLinkName(options.vni, alternate), release, tables),
        )
      : []),
  ]
}

function checksums(name: string, release: string, tables: Tables): readonly Finding[] {
  if (tables.get(`offload-off ${name} tx-checksum-ip-generic`) !== undefined) return []
  return [
    {
      severity: 'warn',
      check: 'tunnel',
      found: `${name} leaves checksums to the device, and Linux ${release} gets them wrong after NAT`,
      wanted: 'off, or Linux 5.7 or newer',
      command: `ethtool -K ${name} tx-checksum-ip-generic off`,
    },
  ]
}

function pods({ pods: all }: NodeSnapshot): readonly Finding[] {
  const gone = all.filter(({ problem }) => problem !== undefined)
  if (gone.length === 0) return [ok('pods', `${all.length} namespaces are there`)]
  return gone.slice(0, NAMED_MAX).map(
    ({ containerId, ifname, problem = '' }): Finding => ({
      severity: 'warn',
      check: 'pods',
      found: `container ${containerId} ${ifname}: ${problem}`,
      wanted: 'a namespace, or a DEL: its address is held until then',
    }),
  )
}

function chains({ chains: all }: NodeSnapshot): readonly Finding[] {
  const dropping = all.filter(
    ({ policy, hook }) => policy === 'drop' && (hook === 'forward' || hook === 'input'),
  )
  if (dropping.length === 0) return [ok('nftables', 'no chain of others drops by policy')]
  return dropping.map(({ family, table, chain, hook, rules }) => ({
    severity: rules === 0 ? 'fail' : 'warn',
    check: 'nftables',
    found: `${family} ${table} ${chain}: hook ${hook}, policy drop, ${counted(rules, 'rule')}`,
    wanted: hook === 'forward' ? 'rules that accept pods' : 'a rule that accepts our UDP port',
    command: `nft list chain ${family} ${table} ${chain}`,
  }))
}

function conntrack({ conntrack: table }: NodeSnapshot): readonly Finding[] {
  if (table === undefined || table.max === 0) return []
  const { count, max } = table
  if (count < max * NEAR_FULL) return [ok('conntrack', `${count} of ${max} entries`)]
  return [
    {
      severity: count >= max ? 'fail' : 'warn',
      check: 'conntrack',
      found: `${count} of ${max} entries: new connections are dropped when it is full`,
      wanted: 'room',
      command: `sysctl -w net.netfilter.nf_conntrack_max=${max * 2}`,
    },
  ]
}
