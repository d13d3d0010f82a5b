/**
 * Three nodes with pods as planners and ADD leave them, to be broken one object
 * at a time. Node n<i> has 192.0.2.<i>, 2001:db8::<i> and the <i>-th block.
 *
 *     pod a  10.42.0.65 fd42::41 ── n1 ──┐
 *     pod a2 10.42.0.66 fd42::42 ── n1 ──┤ eth0, mtu 1500
 *     pod b  10.42.0.129 fd42::81 ─ n2 ──┤
 *     pod z  10.99.0.129 ────────── n2 ──┘ another network
 */

import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import type { AttachmentRecord, ClusterView, Mode, NetworkRecord } from '../../src/cluster/view.ts'
import {
  type Explanation,
  explain,
  type NodeSnapshot,
  type PodSnapshot,
  parseSnapshot,
  type Question,
  SNAPSHOT_VERSION,
} from '../../src/explain/mod.ts'
import { identity, type KernelObject, type Link } from '../../src/kernel/mod.ts'
import { type Ip, parseIp, parsePrefix } from '../../src/net/mod.ts'
import { attachment, claims, network, node, POOL_4 } from '../backend/views.ts'

const POOL_6 = { cidr: parsePrefix('fd42::/112'), blockLength: 122 }
const POOL_Z = { cidr: parsePrefix('10.99.0.0/16'), blockLength: 26 }

export interface Ground {
  readonly mode?: Mode
  readonly options?: Partial<NetworkRecord['options']>
  /** What the store says of n2's underlay, where that is wrong. */
  readonly storeSays?: string
  /** Openings, from one network to another. */
  readonly allows?: ClusterView['allows']
}

const NAMES = ['n1', 'n2', 'n3'] as const
type Name = (typeof NAMES)[number]

const pod = (
  name: string,
  on: Name,
  ips: readonly string[],
  { net = 'pods', macvlan = false } = {},
): AttachmentRecord =>
  attachment(`container-${name}`, ips, {
    ...(macvlan ? { macvlan } : {}),
    node: on,
    network: net,
    pod: { namespace: 'default', name, uid: name },
  })

/** A world that can be changed before it is asked. */
export class Scene {
  readonly pods
  readonly views = new Map<string, ClusterView>()
  readonly objects = new Map<string, Map<string, KernelObject>>()
  readonly podObjects = new Map<string, Map<string, KernelObject>>()
  readonly podProblems = new Map<string, string>()
  readonly chains = new Map<string, NodeSnapshot['chains']>()
  readonly unseen = new Set<string>()
  /** Resolved neighbours of every node. */
  dynamic = 5

  constructor({ mode = 'vxlan', options = {}, storeSays, allows = [] }: Ground = {}) {
    const isVlan = mode === 'vlan'
    const macvlan = options.attachment === 'macvlan'
    const six = (ip: string): readonly string[] => (isVlan ? [] : [ip])
    this.pods = {
      a: pod('a', 'n1', ['10.42.0.65', ...six('fd42::41')], { macvlan }),
      a2: pod('a2', 'n1', ['10.42.0.66', ...six('fd42::42')], { macvlan }),
      b: pod('b', 'n2', ['10.42.0.129', ...six('fd42::81')], { macvlan }),
      z: pod('z', 'n2', ['10.99.0.129'], { net: 'zone' }),
    }
    const base = network(mode, { pools: isVlan ? [POOL_4] : [POOL_4, POOL_6] })
    const networks = [
      { ...base, options: { ...base.options, ...options } },
      network('vxlan', {
        name: 'zone',
        pools: [POOL_Z],
        options: { vni: 9, vxlanPort: 8472, vlanId: 100 },
      }),
    ]
    const records = NAMES.map((name, index) => ({
      ...node(index + 1),
      name,
      underlayPrefixes: [parsePrefix('192.0.2.0/24'), parsePrefix('2001:db8::/64')],
      kernelRelease: '6.18.0',
    }))
    const said = records.map((record) =>
      record.name === 'n2' && storeSays !== undefined
        ? { ...record, underlayIps: [parseIp(storeSays), record.underlayIps[1] as Ip] }
        : record,
    )
    for (const [index, record] of records.entries()) {
      const view: ClusterView = {
        self: said[index] as typeof record,
        nodes: new Map(said.map((each) => [each.name, each])),
        networks: networks.map((each) => ({
          network: each,
          claims: NAMES.flatMap((owner, block) => claims(each, owner, [block + 1])),
          attachments: Object.values(this.pods).filter(
            (attached) => attached.node === record.name && attached.network === each.name,
          ),
        })),
        allows,
      }
      this.views.set(record.name, view)
      const all = [...planNode(view).desired.values(), ...UNDERLAY(record.underlayIps)]
      this.objects.set(record.name, new Map(all.map((object) => [identity(object), object])))
    }
    for (const [name, attached] of Object.entries(this.pods)) this.#makePod(name, attached)
  }

  #makePod(name: string, attached: AttachmentRecord): void {
    const view = this.view(attached.node)
    const found = view.networks.find(({ network: each }) => each.name === attached.network)
    if (found === undefined) throw new Error('no network')
    const plan = backends[found.network.mode].pod(attached, found, view)
    const link: Link = {
      kind: 'link',
      name: 'eth0',
      // A macvlan's parent is in another namespace, whose names say nothing there.
      link: plan.link === undefined ? { type: 'veth' } : { type: 'macvlan', mode: 'bridge' },
      up: true,
      mtuBytes: plan.mtuBytes,
    }
    const all = [link, ...plan.pod, ...(found.network.mode === 'vlan' ? [CONNECTED] : [])]
    this.podObjects.set(name, new Map(all.map((object) => [identity(object), object])))
  }

  view(name: string): ClusterView {
    const view = this.views.get(name)
    if (view === undefined) throw new Error(`no node ${name}`)
    return view
  }

  kernel(name: string): Map<string, KernelObject> {
    return this.objects.get(name) ?? new Map()
  }

  /** Takes every object away whose identity fits; something must. */
  drop(where: string, pattern: RegExp): void {
    const map = this.objects.get(where) ?? this.podObjects.get(where)
    const keys = [...(map?.keys() ?? [])].filter((key) => pattern.test(key))
    if (keys.length === 0) throw new Error(`${where} has nothing like ${pattern}`)
    for (const key of keys) map?.delete(key)
  }

  /** Changes the object of an identity. */
  change(where: string, key: string, change: object): void {
    const map = this.objects.get(where) ?? this.podObjects.get(where)
    const found = map?.get(key)
    if (found === undefined) throw new Error(`${where} has no ${key}`)
    map?.set(key, { ...found, ...change } as KernelObject)
  }

  put(where: string, object: KernelObject): void {
    ;(this.objects.get(where) ?? this.podObjects.get(where))?.set(identity(object), object)
  }

  snapshot(name: string): NodeSnapshot {
    const pods = Object.entries(this.pods)
      .filter(([, attached]) => attached.node === name)
      .map(([short, { network: net, containerId, ifname, netns }]): PodSnapshot => {
        const problem = this.podProblems.get(short)
        return {
          network: net,
          containerId,
          ifname,
          netns,
          objects: [...(this.podObjects.get(short)?.values() ?? [])],
          ...(problem === undefined ? {} : { problem }),
        }
      })
    const taken: NodeSnapshot = {
      version: SNAPSHOT_VERSION,
      node: name,
      takenMs: 1,
      kernelRelease: '6.18.0',
      objects: [...this.kernel(name).values()],
      pods,
      chains: this.chains.get(name) ?? [],
      dynamicNeighbours: { 4: this.dynamic, 6: this.dynamic },
      tunnelPorts: [...this.kernel(name).values()].flatMap((object) =>
        object.kind === 'link' && 'port' in object.link
          ? [{ link: object.name, port: object.link.port }]
          : [],
      ),
      unread: [],
    }
    // As from outside: what does not survive the way there and back is not seen.
    return parseSnapshot(JSON.stringify(taken), name)
  }

  end(name: keyof Scene['pods'] | Name, ips?: readonly string[]): Question['from'] {
    if (name === 'n1' || name === 'n2' || name === 'n3') {
      return { kind: 'node', node: name, ips: ips?.map((ip) => parseIp(ip)) ?? this.ips(name) }
    }
    return { kind: 'pod', attachment: this.pods[name], ips: this.pods[name].ips }
  }

  private ips(name: string): readonly Ip[] {
    return this.view(name).self.underlayIps
  }

  explain(
    from: keyof Scene['pods'] | Name = 'a',
    to: keyof Scene['pods'] | Name = 'b',
    port?: Question['port'],
    vni?: number,
  ): Explanation {
    const seen = NAMES.filter((name) => !this.unseen.has(name))
    return explain({
      from: this.end(from),
      to: this.end(to),
      views: this.views,
      snapshots: new Map(seen.map((name) => [name, this.snapshot(name)])),
      ...(port === undefined ? {} : { port }),
      ...(vni === undefined ? {} : { vni }),
    })
  }
}

/** What the kernel adds to a pod's address in VLAN mode. */
const CONNECTED: KernelObject = {
  kind: 'route',
  dst: POOL_4.cidr,
  type: 'unicast',
  link: 'eth0',
  metric: 0,
  protocol: 2,
}

/** An underlay as a kernel has it, and the settings of a fresh node. */
const UNDERLAY = (ips: readonly Ip[]): readonly KernelObject[] => [
  { kind: 'link', name: 'eth0', link: { type: 'other', name: 'device' }, up: true, mtuBytes: 1500 },
  ...ips.flatMap((ip): KernelObject[] => {
    const six = ip.includes(':')
    const dst = parsePrefix(six ? '2001:db8::/64' : '192.0.2.0/24')
    return [
      { kind: 'addr', link: 'eth0', ip, prefixLength: six ? 64 : 24 },
      { kind: 'route', dst, type: 'unicast', link: 'eth0', metric: six ? 256 : 0, protocol: 2 },
    ]
  }),
  { kind: 'sysctl', name: 'net.ipv4.neigh.default.gc_thresh3', value: '1024' },
  { kind: 'sysctl', name: 'net.ipv4.conf.all.rp_filter', value: '0' },
]
