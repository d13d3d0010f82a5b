/**
 * What breaks between two nodes with a pod each, done to real kernels, and how
 * `explain` names it.
 */
import { inNetns, must } from '../../src/lab/exec.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import { ip } from '../support/e2e.ts'

export interface Scene {
  readonly lab: Lab
  readonly nodes: readonly [LabNode, LabNode]
  readonly pods: readonly [LabPod, LabPod]
  readonly ips: readonly [readonly string[], readonly string[]]
  readonly hostLinks: readonly [string, string]
  /** n2's block, as n1's route has it, and the MAC of n2's tunnel. */
  readonly away: string
  readonly mac: string
  readonly mtu: number
}

export interface Fault {
  readonly harm: (scene: Scene) => Promise<unknown>
  /** Without it the agents put things right. */
  readonly undo?: (scene: Scene) => Promise<unknown>
  readonly place: string
  readonly object: RegExp
  readonly says?: RegExp
}

export const nft = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['nft', ...args]))
const bridge = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['bridge', ...args]))
const sysctl = (netns: string, setting: string): Promise<string> =>
  must(inNetns(netns, ['sysctl', '-qw', setting]))
const [N1, N2] = [
  ({ nodes }: Scene): string => nodes[0].netns,
  ({ nodes }: Scene): string => nodes[1].netns,
]

export const FAULTS: Readonly<Record<string, Fault>> = {
  "the peer's route is gone": {
    harm: (s) => ip(N1(s), 'route', 'del', s.away),
    place: 'node n1',
    object: /^route 10\.42\.\d+\.\d+\/26 via .* dev trvx\.1/,
    says: /missing/,
  },
  "the gateway's neighbour is gone": {
    harm: (s) => ip(N1(s), 'neigh', 'del', s.away.replace('/26', ''), 'dev', 'trvx.1'),
    place: 'node n1',
    object: /^neigh 10\.42\.\d+\.\d+ lladdr .* dev trvx\.1/,
  },
  'the forwarding entry is gone': {
    harm: (s) => bridge(N1(s), 'fdb', 'del', s.mac, 'dev', 'trvx.1'),
    place: 'node n1',
    object: /^fdb .* dev trvx\.1 dst 192\.0\.2\.2/,
  },
  'the forwarding entry leads to nobody': {
    harm: (s) =>
      bridge(
        N1(s),
        ...['fdb', 'replace', s.mac, 'dev', 'trvx.1', 'dst', '192.0.2.200', 'self', 'permanent'],
      ),
    place: 'node n1',
    object: /^fdb .* dst 192\.0\.2\.200/,
  },
  "the tunnel's address is gone": {
    harm: (s) => ip(N1(s), '-4', 'addr', 'flush', 'dev', 'trvx.1', 'scope', 'global'),
    place: 'node n1',
    object: /^addr 10\.42\.\d+\.\d+\/32 dev trvx\.1/,
    says: /routes of trvx\.1 went with it/,
  },
  'the tunnel is gone': {
    harm: (s) => ip(N1(s), 'link', 'del', 'trvx.1'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /no such link/,
  },
  'the tunnel is down': {
    harm: (s) => ip(N1(s), 'link', 'set', 'trvx.1', 'down'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /down/,
  },
  'the tunnel is too narrow': {
    harm: (s) => ip(N1(s), 'link', 'set', 'trvx.1', 'mtu', '1300'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /mtu 1300/,
  },
  'the other tunnel has another MAC': {
    harm: (s) => ip(N2(s), 'link', 'set', 'trvx.1', 'address', '02:00:00:00:00:77'),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /address 02:00:00:00:00:77/,
  },
  'the other tunnel is gone': {
    harm: (s) => ip(N2(s), 'link', 'del', 'trvx.1'),
    place: 'node n2',
    object: /^link trvx\.1$/,
  },
  'the other tunnel is down': {
    harm: (s) => ip(N2(s), 'link', 'set', 'trvx.1', 'down'),
    place: 'node n2',
    object: /^link trvx\.1$/,
  },
  "the pod's route on its node is gone": {
    harm: (s) => ip(N2(s), 'route', 'del', `${s.ips[1][0]}/32`),
    place: 'node n2',
    object: /^route 10\.42\.\d+\.\d+\/32 dev trv/,
    says: /blackhole .* is taken/,
  },
  'somebody made a blackhole': {
    harm: (s) => ip(N1(s), 'route', 'add', 'blackhole', `${s.ips[1][0]}/32`),
    undo: (s) => ip(N1(s), 'route', 'del', 'blackhole', `${s.ips[1][0]}/32`),
    place: 'node n1',
    object: /^route blackhole 10\.42\.\d+\.\d+\/32/,
  },
  'somebody has a more specific route': {
    harm: (s) => ip(N1(s), 'route', 'add', `${s.ips[1][0]}/32`, 'via', '192.0.2.200'),
    undo: (s) => ip(N1(s), 'route', 'del', `${s.ips[1][0]}/32`),
    place: 'node n1',
    object: /^route 10\.42\.\d+\.\d+\/32 via 192\.0\.2\.200/,
    says: /not ours/,
  },
  'the peer changed its underlay address': {
    async harm(s) {
      await ip(N2(s), 'addr', 'del', '192.0.2.2/24', 'dev', 'eth0')
      await ip(N2(s), 'addr', 'add', '192.0.2.22/24', 'dev', 'eth0')
    },
    async undo(s) {
      await ip(N2(s), 'addr', 'del', '192.0.2.22/24', 'dev', 'eth0')
      await ip(N2(s), 'addr', 'add', '192.0.2.2/24', 'dev', 'eth0')
    },
    place: 'store',
    object: /^address 192\.0\.2\.2 of node n2$/,
    says: /eth0 of n2 has 192\.0\.2\.22/,
  },
  'the underlay is down': {
    harm: (s) => ip(N1(s), 'link', 'set', 'eth0', 'down'),
    async undo(s) {
      await ip(N1(s), 'link', 'set', 'eth0', 'up')
      await ip(N1(s), 'addr', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad')
    },
    place: 'node n1',
    object: /^link eth0$/,
    says: /down/,
  },
  'the underlay is too narrow': {
    harm: (s) => ip(N1(s), 'link', 'set', 'eth0', 'mtu', '1400'),
    undo: (s) => ip(N1(s), 'link', 'set', 'eth0', 'mtu', '1500'),
    place: 'node n1',
    object: /^link eth0$/,
    says: /mtu 1400/,
  },
  'forwarding is off': {
    harm: (s) => sysctl(N1(s), 'net.ipv4.ip_forward=0'),
    undo: (s) => sysctl(N1(s), 'net.ipv4.ip_forward=1'),
    place: 'node n1',
    object: /^sysctl net\.ipv4\.ip_forward$/,
  },
  'a strict filter, and another way back': {
    async harm(s) {
      await sysctl(N2(s), 'net.ipv4.conf.all.rp_filter=1')
      await ip(N2(s), 'route', 'add', `${s.ips[0][0]}/32`, 'via', '192.0.2.1', 'dev', 'eth0')
    },
    async undo(s) {
      await sysctl(N2(s), 'net.ipv4.conf.all.rp_filter=0')
      await ip(N2(s), 'route', 'del', `${s.ips[0][0]}/32`)
    },
    place: 'node n2',
    object: /^sysctl net\.ipv4\.conf\.all\.rp_filter$/,
    says: /come in by trvx\.1, the way back is route .* dev eth0/,
  },
  'somebody drops what is forwarded': {
    harm: (s) =>
      nft(
        N1(s),
        'add table inet fw; add chain inet fw onward { type filter hook forward priority 0; policy drop; }',
      ),
    undo: (s) => nft(N1(s), 'delete table inet fw'),
    place: 'node n1',
    object: /^chain inet fw onward$/,
    says: /policy drop, no rules/,
  },
  'somebody drops tunnel packets': {
    harm: (s) =>
      nft(
        N2(s),
        'add table ip fw; add chain ip fw in { type filter hook input priority 0; policy drop; }',
      ),
    undo: (s) => nft(N2(s), 'delete table ip fw'),
    place: 'node n2',
    object: /^chain ip fw in$/,
  },
  'the anti-spoof element is missing': {
    harm: (s) =>
      nft(N1(s), `delete element inet trivium pods4 { ${s.hostLinks[0]} . ${s.ips[0][0]} }`),
    place: 'node n1',
    object: /^element inet trivium pods4 { trv/,
  },
  'the guard does not know the node': {
    harm: (s) => nft(N2(s), 'delete element inet trivium nodes4 { 192.0.2.1 }'),
    place: 'node n2',
    object: /^element inet trivium nodes4 { 192\.0\.2\.1 }$/,
  },
  "the host's end is down": {
    harm: (s) => ip(N1(s), 'link', 'set', s.hostLinks[0], 'down'),
    place: 'node n1',
    object: /^link trv/,
  },
  "the pod's gateway is forgotten": {
    harm: (s) => ip(s.pods[0].netns, 'neigh', 'del', '169.254.1.1', 'dev', 'eth0'),
    undo: (s) =>
      ip(
        s.pods[0].netns,
        ...['neigh', 'replace', '169.254.1.1', 'lladdr', '02:74:72:69:76:01', 'dev', 'eth0'],
        ...['nud', 'permanent'],
      ),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 /,
  },
  // Last: a pod's interface is ADD's alone, so nothing brings its addresses back.
  "the pod's interface is down": {
    harm: (s) => ip(s.pods[1].netns, 'link', 'set', 'eth0', 'down'),
    undo: async () => {},
    place: 'pod default/b',
    object: /^link eth0$/,
    says: /down/,
  },
}

export const WRONG_VNI: Fault = {
  harm: (s) =>
    ip(
      N1(s),
      ...['route', 'replace', s.away, 'encap', 'ip', 'id', '7', 'dst', '192.0.2.2'],
      ...['dev', 'trvx.1', 'proto', '84'],
    ),
  place: 'node n1',
  object: /^route .* encap ip id 7 dst 192\.0\.2\.2 dev trvx\.1/,
}
export const NO_VNI: Fault = {
  harm: (s) => bridge(N2(s), 'vni', 'delete', 'vni', '1', 'dev', 'trvx.1'),
  place: 'node n2',
  object: /^vni 1 dev trvx\.1$/,
}
