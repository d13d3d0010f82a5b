/** What breaks on the packet's own node, up to its tunnel, and how the answer names it. */
import type { Hop } from '../../src/explain/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import type { Ground, Scene } from './scene.ts'

export interface Row {
  readonly ground?: Ground
  readonly harm: (scene: Scene) => void
  readonly place: string
  readonly object: RegExp
  /** In what was found or wanted. */
  readonly says: RegExp
  readonly command: RegExp
  readonly status?: Hop['status']
  /** Where the agent puts it right by itself. */
  readonly byAgent?: boolean
  readonly from?: 'n1' | 'z'
  readonly to?: 'a' | 'a2' | 'z' | 'n2'
}

export const LIGHT: Ground = { options: { flavour: 'lightweight' } }
export const DIRECT: Ground = { options: { crossSubnet: true } }
export const A = 'trv89d91c819aa'
export const B = 'trv5eaea580948'
export const OTHER_MAC = parseMac('02:00:00:00:00:99')
export const foreign = (dst: string, type: 'unicast' | 'blackhole', via?: string) => ({
  kind: 'route' as const,
  dst: parsePrefix(dst),
  type,
  metric: 0,
  protocol: 3,
  ...(type === 'unicast' ? { link: 'eth0', via: parseIp(via ?? '192.0.2.77') } : {}),
})

export const NEAR_ROWS: Readonly<Record<string, Row>> = {
  "the pod's interface is down": {
    harm: (s) => s.change('a', 'link eth0', { up: false }),
    place: 'pod default/a',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n1: nsenter --net=\/run\/netns\/container-a ip link set dev eth0 up$/,
  },
  "the pod's interface is gone": {
    harm: (s) => s.drop('a', /^link eth0/),
    place: 'pod default/a',
    object: /^link eth0$/,
    says: /no such link/,
    command: /ip link/,
  },
  "the pod's namespace is gone": {
    harm: (s) => s.podProblems.set('a', 'Cannot open network namespace: there is no such file'),
    place: 'pod default/a',
    object: /^namespace \/run\/netns\/container-a$/,
    says: /no such file/,
    command: /^$/,
  },
  'the pod lost its address': {
    harm: (s) => s.drop('a', /^addr eth0 10\./),
    place: 'pod default/a',
    object: /^addr 10\.42\.0\.65 dev eth0$/,
    says: /missing/,
    command: /nsenter .* ip addr .*10\.42\.0\.65\/32 dev eth0/,
  },
  'the pod lost its default route': {
    harm: (s) => s.drop('a', /^route 0\.0\.0\.0\/0/),
    place: 'pod default/a',
    object: /^route 0\.0\.0\.0\/0 via 169\.254\.1\.1/,
    says: /missing/,
    command: /nsenter .* ip route replace 0\.0\.0\.0\/0 via 169\.254\.1\.1 dev eth0/,
  },
  "the pod's gateway has no neighbour entry": {
    harm: (s) => s.drop('a', /^neigh eth0 169/),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 /,
    says: /missing/,
    command: /ip neigh replace 169\.254\.1\.1 lladdr 02:74:72:69:76:01 dev eth0 nud permanent/,
  },
  "the pod's gateway has another MAC": {
    harm: (s) => s.change('a', 'neigh eth0 169.254.1.1', { mac: OTHER_MAC }),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 dev eth0$/,
    says: /lladdr 02:74:72:69:76:01/,
    command: /ip neigh replace 169\.254\.1\.1 lladdr 02:74:72:69:76:01/,
  },
  "the host's end is gone": {
    harm: (s) => s.drop('n1', new RegExp(`^link ${A}|^addr ${A}`)),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /no such link/,
    command: /ip -d link show/,
  },
  "the host's end is down": {
    harm: (s) => s.change('n1', `link ${A}`, { up: false }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /down/,
    command: new RegExp(`^on n1: ip link set dev ${A} up$`),
    byAgent: true,
  },
  "the host's end has another MAC": {
    harm: (s) => s.change('n1', `link ${A}`, { mac: OTHER_MAC }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /address 02:00:00:00:00:99.*address 02:74:72:69:76:01/,
    command: new RegExp(`ip link set dev ${A} address 02:74:72:69:76:01`),
  },
  'the anti-spoof element is missing': {
    harm: (s) => s.drop('n1', new RegExp(`^nft-element pods4 ${A}`)),
    place: 'node n1',
    object: /^element inet trivium pods4/,
    says: /missing/,
    command: new RegExp(`^on n1: nft add element inet trivium pods4 { ${A} . 10.42.0.65 }$`),
    byAgent: true,
  },
  'forwarding is off': {
    harm: (s) => s.change('n1', 'sysctl net.ipv4.ip_forward', { value: '0' }),
    place: 'node n1',
    object: /^sysctl net\.ipv4\.ip_forward$/,
    says: /0.*1/,
    command: /^on n1: sysctl -w net\.ipv4\.ip_forward=1$/,
    byAgent: true,
  },
  "forwarding is off on the pod's link": {
    harm: (s) => s.put('n1', { kind: 'sysctl', name: `net.ipv4.conf.${A}.forwarding`, value: '0' }),
    place: 'node n1',
    object: new RegExp(`^sysctl net\\.ipv4\\.conf\\.${A}\\.forwarding$`),
    says: /0.*1/,
    command: /sysctl -w/,
  },
  'the route to the peer is missing': {
    harm: (s) => s.drop('n1', /^route 10\.42\.0\.128/),
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26 via 10\.42\.0\.128 dev trvx\.1/,
    says: /missing/,
    command: /^on n1: ip route replace 10\.42\.0\.128\/26 via 10\.42\.0\.128 dev trvx\.1 .*onlink$/,
    byAgent: true,
  },
  'the route is missing and the default route takes over': {
    harm(s) {
      s.drop('n1', /^route 10\.42\.0\.128/)
      s.put('n1', foreign('0.0.0.0/0', 'unicast', '192.0.2.254'))
    },
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26/,
    says: /missing, so route 0\.0\.0\.0\/0 via 192\.0\.2\.254 dev eth0 proto 3 is taken/,
    command: /ip route replace 10\.42\.0\.128\/26/,
    byAgent: true,
  },
  'a foreign route is in its place': {
    harm: (s) => s.put('n1', foreign('10.42.0.128/26', 'unicast')),
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26 via 192\.0\.2\.77 dev eth0 proto 3/,
    says: /not ours/,
    command: /^on n1: ip route del 10\.42\.0\.128\/26 via 192\.0\.2\.77 dev eth0 proto 3$/,
  },
  'a foreign, more specific route takes the pod': {
    harm: (s) => s.put('n1', foreign('10.42.0.129/32', 'unicast', '192.0.2.3')),
    place: 'node n1',
    object: /^route 10\.42\.0\.129\/32 via 192\.0\.2\.3/,
    says: /node n3.*not to n2/,
    command: /ip route del 10\.42\.0\.129\/32/,
  },
  'a blackhole swallows the pod': {
    harm: (s) => s.put('n1', foreign('10.42.0.128/27', 'blackhole')),
    place: 'node n1',
    object: /^route blackhole 10\.42\.0\.128\/27/,
    says: /swallows 10\.42\.0\.129/,
    command: /^on n1: ip route del blackhole 10\.42\.0\.128\/27$/,
  },
  "the tunnel's address is gone, and its routes with it": {
    harm: (s) => s.drop('n1', /^addr trvx\.1 10\.|^(route 10\.42\.0\.128|neigh trvx\.1 10)/),
    place: 'node n1',
    object: /^addr 10\.42\.0\.64\/32 dev trvx\.1/,
    says: /routes of trvx\.1 went with it/,
    command: /ip addr .*10\.42\.0\.64\/32 dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel is gone': {
    harm: (s) =>
      s.drop(
        'n1',
        /^link trvx\.1$|^(addr|neigh|fdb) trvx\.1|^route (10\.42\.0\.(128|192)|fd42::(80|c0))/,
      ),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /no such link/,
    command: /^on n1: ip link add name trvx\.1 .*type vxlan id 1 dstport 8472/,
    byAgent: true,
  },
  'the tunnel is down': {
    harm(s) {
      s.change('n1', 'link trvx.1', { up: false })
      s.drop('n1', /^neigh trvx\.1|^route (10\.42\.0\.(128|192)|fd42::(80|c0))/)
    },
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /down/,
    command: /ip link set dev trvx\.1 up/,
    byAgent: true,
  },
  'the tunnel is too narrow': {
    harm: (s) => s.change('n1', 'link trvx.1', { mtuBytes: 1300 }),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /mtu 1300: a packet of 1450 bytes does not fit.*mtu 1450/,
    command: /ip link set dev trvx\.1 mtu 1450/,
    byAgent: true,
  },
  'the tunnel has another VNI': {
    harm: (s) =>
      s.change('n1', 'link trvx.1', {
        link: { type: 'vxlan', vni: 7, port: 8472, underlay: 'eth0', local: '192.0.2.1' },
      }),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /id 7/,
    command: /ip link del dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel on the other side has another port': {
    harm: (s) =>
      s.change('n2', 'link trvx.1', {
        link: { type: 'vxlan', vni: 1, port: 4789, underlay: 'eth0', local: '192.0.2.2' },
      }),
    place: 'node n2',
    object: /trvx\.1.*dstport 4789/,
    says: /does not listen for id 1 on port 8472/,
    command: /^on n2: ip link del dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel sends from an address that the node has not': {
    harm: (s) =>
      s.change('n1', 'link trvx.1', {
        link: { type: 'vxlan', vni: 1, port: 8472, underlay: 'eth0', local: '192.0.2.55' },
      }),
    place: 'node n1',
    object: /^link trvx\.1 local 192\.0\.2\.55$/,
    says: /no address 192\.0\.2\.55/,
    command: /ip -d link show dev trvx\.1/,
  },
  "the gateway's neighbour entry is missing": {
    harm: (s) => s.drop('n1', /^neigh trvx\.1 10\.42\.0\.128/),
    place: 'node n1',
    object: /^neigh 10\.42\.0\.128 lladdr .* dev trvx\.1/,
    says: /missing/,
    command: /^on n1: ip neigh replace 10\.42\.0\.128 lladdr .* dev trvx\.1 nud permanent$/,
    byAgent: true,
  },
  "the gateway's neighbour entry has another MAC": {
    harm: (s) => s.change('n1', 'neigh trvx.1 10.42.0.128', { mac: OTHER_MAC }),
    place: 'node n1',
    object: /^neigh 10\.42\.0\.128 dev trvx\.1$/,
    says: /lladdr 02:00:00:00:00:99/,
    command: /ip neigh replace/,
    byAgent: true,
  },
  'the forwarding entry is missing': {
    harm: (s) => s.drop('n1', /^fdb trvx\.1 02:10:52/),
    place: 'node n1',
    object: /^fdb 02:10:52:86:e3:35 dev trvx\.1 dst 192\.0\.2\.2/,
    says: /missing/,
    command:
      /^on n1: bridge fdb replace 02:10:52:86:e3:35 dev trvx\.1 dst 192\.0\.2\.2 self permanent$/,
    byAgent: true,
  },
  'the forwarding entry leads to another node': {
    harm: (s) => s.change('n1', 'fdb trvx.1 02:10:52:86:e3:35', { dst: '192.0.2.3' }),
    place: 'node n1',
    object: /^fdb .* dst 192\.0\.2\.3/,
    says: /leads to node n3, not to n2/,
    command: /bridge fdb replace .* dst 192\.0\.2\.2/,
    byAgent: true,
  },
}
