/** What breaks between the nodes, on the other one, and in firewalls. */
import { parseIp } from '../../src/net/mod.ts'
import { A, B, DIRECT, foreign, LIGHT, OTHER_MAC, type Row } from './near-rows.ts'

export const FAR_ROWS: Readonly<Record<string, Row>> = {
  'the underlay is down': {
    harm(s) {
      s.change('n1', 'link eth0', { up: false })
      s.drop('n1', /^route (192|2001)/)
    },
    place: 'node n1',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n1: ip link set dev eth0 up$/,
  },
  'the underlay has no way to the peer': {
    harm: (s) => s.drop('n1', /^route 192/),
    place: 'node n1',
    object: /^route 192\.0\.2\.2$/,
    says: /no way to the peer/,
    command: /ip route get 192\.0\.2\.2/,
  },
  'the underlay is too narrow': {
    harm: (s) => s.change('n1', 'link eth0', { mtuBytes: 1400 }),
    place: 'node n1',
    object: /^link eth0$/,
    says: /mtu 1400: a tunnel packet of 1500 bytes does not fit/,
    command: /mtu 1500/,
  },
  "the peer's underlay is too narrow": {
    harm: (s) => s.change('n2', 'link eth0', { mtuBytes: 1400 }),
    place: 'node n2',
    object: /^link eth0$/,
    says: /mtu 1400/,
    command: /^on n2: ip link set dev eth0 mtu 1500/,
  },
  'the store has a stale address of the peer': {
    ground: { storeSays: '192.0.2.77' },
    harm: () => {},
    place: 'store',
    object: /^address 192\.0\.2\.77 of node n2$/,
    says: /store says 192\.0\.2\.77.*eth0 of n2 has 192\.0\.2\.2/,
    command: /^trivium node show n2$/,
  },
  "the peer's underlay is down": {
    harm: (s) => s.change('n2', 'link eth0', { up: false }),
    place: 'node n2',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n2: ip link set dev eth0 up$/,
  },
  "the peer's guard does not know the node": {
    harm: (s) => s.drop('n2', /^nft-element nodes4 192\.0\.2\.1$/),
    place: 'node n2',
    object: /^element inet trivium nodes4 { 192\.0\.2\.1 }$/,
    says: /packets from 192\.0\.2\.1 are dropped/,
    command: /^on n2: nft add element inet trivium nodes4 { 192\.0\.2\.1 }$/,
    byAgent: true,
  },
  "the peer's tunnel is gone": {
    harm: (s) => s.drop('n2', /^link trvx\.1$/),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /no such link/,
    command: /^on n2: ip link add name trvx\.1/,
    byAgent: true,
  },
  "the peer's tunnel is down": {
    harm: (s) => s.change('n2', 'link trvx.1', { up: false }),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /down/,
    command: /^on n2: ip link set dev trvx\.1 up$/,
    byAgent: true,
  },
  "the peer's tunnel has another MAC": {
    harm: (s) => s.change('n2', 'link trvx.1', { mac: OTHER_MAC }),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /address 02:00:00:00:00:99.*address 02:10:52:86:e3:35: n1 sends there/,
    command: /^on n2: ip link set dev trvx\.1 address 02:10:52:86:e3:35/,
    byAgent: true,
  },
  'the peer does not take the pool from the tunnel': {
    harm: (s) => s.drop('n2', /^nft-element tunnelled4 trvx\.1/),
    place: 'node n2',
    object: /^element inet trivium tunnelled4 { trvx\.1 \. 10\.42\.0\.0\/16 }$/,
    says: /missing/,
    command: /nft add element/,
    byAgent: true,
  },
  "the pod's route on the peer is missing": {
    harm: (s) => s.drop('n2', /^route 10\.42\.0\.129/),
    place: 'node n2',
    object: new RegExp(`^route 10\\.42\\.0\\.129/32 dev ${B}`),
    says: /missing, so route blackhole 10\.42\.0\.128\/26 proto 84 is taken/,
    command: new RegExp(`^on n2: ip route replace 10\\.42\\.0\\.129/32 dev ${B} proto 84$`),
    byAgent: true,
  },
  "the other pod's interface is down": {
    harm: (s) => s.change('b', 'link eth0', { up: false }),
    place: 'pod default/b',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n2: nsenter/,
  },
  'strict reverse-path filter, and the way back is another road': {
    ground: DIRECT,
    harm(s) {
      s.put('n2', { kind: 'sysctl', name: 'net.ipv4.conf.all.rp_filter', value: '1' })
      s.put('n2', foreign('10.42.0.64/27', 'unicast', '192.0.2.3'))
      s.change('n2', 'route 10.42.0.64/27 metric 0', { link: 'trvx.1' })
    },
    place: 'node n2',
    object: /^sysctl net\.ipv4\.conf\.all\.rp_filter$/,
    says: /come in by eth0, the way back is route 10\.42\.0\.64\/27 via 192\.0\.2\.3 dev trvx\.1/,
    command: /^on n2: sysctl -w net\.ipv4\.conf\.all\.rp_filter=2$/,
  },
  'somebody drops every forwarded packet': {
    harm: (s) =>
      s.chains.set('n1', [
        {
          family: 'ip',
          table: 'filter',
          chain: 'FORWARD',
          hook: 'forward',
          priority: 0,
          policy: 'drop',
          rules: 0,
        },
      ]),
    place: 'node n1',
    object: /^chain ip filter FORWARD$/,
    says: /policy drop, no rules/,
    command: /^on n1: nft list chain ip filter FORWARD$/,
  },
  'somebody drops what his rules do not accept': {
    harm: (s) =>
      s.chains.set('n1', [
        {
          family: 'inet',
          table: 'firewalld',
          chain: 'filter_FORWARD',
          hook: 'forward',
          priority: 10,
          policy: 'drop',
          rules: 12,
        },
      ]),
    place: 'node n1',
    object: /^chain inet firewalld filter_FORWARD$/,
    says: /policy drop, 12 rules: what none of them accepts/,
    command: /nft list chain/,
    status: 'suspect',
  },
  'somebody drops tunnel packets': {
    harm: (s) =>
      s.chains.set('n2', [
        {
          family: 'inet',
          table: 'fw',
          chain: 'in',
          hook: 'input',
          priority: 0,
          policy: 'drop',
          rules: 0,
        },
      ]),
    place: 'node n2',
    object: /^chain inet fw in$/,
    says: /hook input/,
    command: /nft list chain inet fw in/,
  },
  'networks are closed to each other': {
    harm: () => {},
    to: 'z',
    place: 'node n1',
    object: /^chain inet trivium isolate$/,
    says: /networks pods and zone are closed to each other/,
    command: /^trivium network allow pods zone$/,
  },
  'the neighbour table is full': {
    ground: { mode: 'route' },
    harm(s) {
      s.dynamic = 1024
    },
    place: 'node n1',
    object: /^sysctl net\.ipv4\.neigh\.default\.gc_thresh3$/,
    says: /1024 neighbours are resolved/,
    command: /sysctl -w/,
    status: 'suspect',
  },
  'lightweight: the route carries another VNI': {
    ground: LIGHT,
    harm: (s) => s.change('n1', 'route 10.42.0.128/26 metric 0', { encapVni: 7 }),
    place: 'node n1',
    object: /encap ip id 7/,
    says: /id 7 is another network's/,
    command: /ip route replace 10\.42\.0\.128\/26 encap ip id 1 dst 192\.0\.2\.2 dev trvx\.1/,
    byAgent: true,
  },
  'lightweight: the route leads to another node': {
    ground: LIGHT,
    harm: (s) =>
      s.change('n1', 'route 10.42.0.128/26 metric 0', { encapDst: parseIp('192.0.2.3') }),
    place: 'node n1',
    object: /dst 192\.0\.2\.3/,
    says: /node n3, not to n2/,
    command: /ip route replace .* dst 192\.0\.2\.2/,
    byAgent: true,
  },
  'lightweight: the peer does not take the VNI': {
    ground: LIGHT,
    harm: (s) => s.drop('n2', /^vni trvx\.1 1$/),
    place: 'node n2',
    object: /^vni 1 dev trvx\.1$/,
    says: /missing/,
    command: /^on n2: bridge vni add vni 1 dev trvx\.1$/,
    byAgent: true,
  },
  'route mode: the gateway is another node': {
    ground: { mode: 'route' },
    harm: (s) => s.change('n1', 'route 10.42.0.128/26 metric 0', { via: parseIp('192.0.2.3') }),
    place: 'node n1',
    object: /via 192\.0\.2\.3/,
    says: /leads to 192\.0\.2\.3 \(node n3\), not to n2/,
    command: /ip route replace 10\.42\.0\.128\/26 via 192\.0\.2\.2/,
    byAgent: true,
  },
  'vlan mode: the port is in no bridge': {
    ground: { mode: 'vlan' },
    harm: (s) => s.change('n1', `link ${A}`, { master: undefined }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /in no bridge/,
    command: new RegExp(`ip link set dev ${A} master trvb\\.100`),
  },
  'vlan mode: the 802.1Q link is down': {
    ground: { mode: 'vlan' },
    harm: (s) => s.change('n2', 'link trvl.100', { up: false }),
    place: 'node n2',
    object: /^link trvl\.100$/,
    says: /down/,
    command: /^on n2: ip link set dev trvl\.100 up$/,
    byAgent: true,
  },
}
