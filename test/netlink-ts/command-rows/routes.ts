/**
 * Routes, policy rules, neighbours and queueing disciplines.
 *
 * @module
 */
import { fdb, neigh, nexthop, qdisc, route, rule } from '../../../src/netlink-ts/mod.ts'
import type { Row } from '../commands.ts'
import { VETH_UP } from './links.ts'

const ADDRESSED = `${VETH_UP}
ip addr add 10.0.0.1/24 dev v0; ip -6 addr add fd00::1/64 dev v0 nodad`
const TUNNEL = `${ADDRESSED}
ip link add vx0 address 02:00:00:00:00:0a type vxlan external dstport 4790; ip link set vx0 up`

export const ROUTE_ROWS: readonly Row[] = [
  {
    setup: ADDRESSED,
    theirs: 'ip route add default via 10.0.0.2 src 10.0.0.1 mtu 1400 advmss 1360 metric 5 proto 84',
    ours: () => [
      route.add({
        family: 4,
        gateway: '10.0.0.2',
        prefSrc: '10.0.0.1',
        mtu: 1400,
        advmss: 1360,
        priority: 5,
        protocol: 84,
      }),
    ],
  },
  {
    setup: ADDRESSED,
    theirs: 'ip route add 10.1.0.0/24 via 192.0.2.9 dev v0 onlink table 1000',
    ours: (i) => [
      route.add({
        family: 4,
        dst: '10.1.0.0/24',
        gateway: '192.0.2.9',
        oif: i('v0'),
        onlink: true,
        table: 1000,
      }),
    ],
  },
  {
    setup: ADDRESSED,
    theirs: 'ip route add 10.2.0.0/24 via inet6 fd00::2 dev v0',
    ours: (i) => [route.add({ family: 4, dst: '10.2.0.0/24', gateway: 'fd00::2', oif: i('v0') })],
  },
  {
    setup: ADDRESSED,
    theirs:
      'ip route add 10.3.0.0/24 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.3 dev v0 onlink',
    ours: (i) => [
      route.add({
        family: 4,
        dst: '10.3.0.0/24',
        multipath: [
          { gateway: '10.0.0.2', weight: 3 },
          { gateway: '10.0.0.3', oif: i('v0'), onlink: true },
        ],
      }),
    ],
  },
  {
    setup: ADDRESSED,
    theirs: `ip route add blackhole 10.4.0.0/16 proto 84
      ip route add unreachable 10.5.0.0/16 metric 9
      ip route add prohibit 10.6.0.0/16
      ip route add throw 10.7.0.0/16 table 9
      ip route add local 10.8.0.1 dev lo table local`,
    ours: () => [
      route.add({ family: 4, type: 'blackhole', dst: '10.4.0.0/16', protocol: 84 }),
      route.add({ family: 4, type: 'unreachable', dst: '10.5.0.0/16', priority: 9 }),
      route.add({ family: 4, type: 'prohibit', dst: '10.6.0.0/16' }),
      route.add({ family: 4, type: 'throw', dst: '10.7.0.0/16', table: 9 }),
      route.add({ family: 4, type: 'local', dst: '10.8.0.1/32', oif: 1, table: 255 }),
    ],
  },
  {
    setup: ADDRESSED,
    theirs: `ip -6 route add fd01::/64 via fd00::2 metric 50 mtu 1400
      ip -6 route add default via fd00::3 dev v0
      ip -6 route add blackhole fd02::/64 proto 84`,
    ours: (i) => [
      route.add({ family: 6, dst: 'fd01::/64', gateway: 'fd00::2', priority: 50, mtu: 1400 }),
      route.add({ family: 6, gateway: 'fd00::3', oif: i('v0') }),
      route.add({ family: 6, type: 'blackhole', dst: 'fd02::/64', protocol: 84 }),
    ],
  },
  {
    setup: TUNNEL,
    theirs:
      'ip route add 10.20.0.0/24 encap ip id 100 dst 192.0.2.7 src 192.0.2.1 ttl 9 tos 4 csum dev vx0',
    ours: (i) => [
      route.add({
        family: 4,
        dst: '10.20.0.0/24',
        oif: i('vx0'),
        encap: {
          type: 'ip',
          id: 100,
          dst: '192.0.2.7',
          src: '192.0.2.1',
          ttl: 9,
          tos: 4,
          flags: ['csum'],
        },
      }),
    ],
  },
  {
    setup: TUNNEL,
    theirs:
      'ip -6 route add fd20::/64 encap ip6 id 16777215 dst 2001:db8::7 hoplimit 3 tc 8 key seq dev vx0',
    ours: (i) => [
      route.add({
        family: 6,
        dst: 'fd20::/64',
        oif: i('vx0'),
        encap: {
          type: 'ip6',
          id: 16_777_215,
          dst: '2001:db8::7',
          ttl: 3,
          tos: 8,
          flags: ['key', 'seq'],
        },
      }),
    ],
  },
  {
    setup: TUNNEL,
    theirs:
      'ip route add 10.21.0.0/24 nexthop encap ip id 1 dst 192.0.2.8 dev vx0 weight 2 nexthop encap ip id 2 dst 192.0.2.9 dev vx0',
    ours: (i) => [
      route.add({
        family: 4,
        dst: '10.21.0.0/24',
        multipath: [
          { oif: i('vx0'), weight: 2, encap: { type: 'ip', id: 1, dst: '192.0.2.8' } },
          { oif: i('vx0'), encap: { type: 'ip', id: 2, dst: '192.0.2.9' } },
        ],
      }),
    ],
  },
  {
    setup: `${ADDRESSED}\nip route add 10.1.0.0/24 via 10.0.0.2`,
    theirs: 'ip route replace 10.1.0.0/24 via 10.0.0.9',
    ours: () => [route.replace({ family: 4, dst: '10.1.0.0/24', gateway: '10.0.0.9' })],
  },
  {
    setup: `${ADDRESSED}
ip route add 10.1.0.0/24 via 10.0.0.2 metric 1; ip route add 10.1.0.0/24 via 10.0.0.3 metric 2`,
    theirs: 'ip route delete 10.1.0.0/24 metric 2',
    ours: () => [route.remove({ family: 4, dst: '10.1.0.0/24', priority: 2 })],
  },
]

export const NEXTHOP_ROWS: readonly Row[] = [
  {
    setup: `${TUNNEL}; ip link set lo up`, // where a blackhole leads
    theirs: `ip nexthop add id 1 via 10.0.0.2 dev v0 protocol 84
      ip nexthop add id 2 via fd00::2 dev v0
      ip nexthop add id 3 blackhole
      ip nexthop add id 4 encap ip id 7 dst 192.0.2.7 dev vx0
      ip nexthop add id 5 via 192.0.2.9 dev v0 onlink
      ip nexthop add id 10 group 1,3/5
      ip route add 10.1.0.0/24 nhid 10
      ip route add 10.2.0.0/24 nhid 4`,
    ours: (i) => [
      nexthop.add({ id: 1, gateway: '10.0.0.2', oif: i('v0'), protocol: 84 }),
      nexthop.add({ id: 2, gateway: 'fd00::2', oif: i('v0') }),
      nexthop.add({ id: 3, blackhole: true }),
      nexthop.add({ id: 4, oif: i('vx0'), encap: { type: 'ip', id: 7, dst: '192.0.2.7' } }),
      nexthop.add({ id: 5, gateway: '192.0.2.9', oif: i('v0'), onlink: true }),
      nexthop.add({ id: 10, group: [{ id: 1, weight: 3 }, { id: 5 }] }),
      route.add({ family: 4, dst: '10.1.0.0/24', nexthopId: 10 }),
      route.add({ family: 4, dst: '10.2.0.0/24', nexthopId: 4 }),
    ],
  },
  {
    setup: `${ADDRESSED}
ip nexthop add id 1 via 10.0.0.2 dev v0; ip nexthop add id 2 via 10.0.0.3 dev v0
ip route add 10.1.0.0/24 nhid 1; ip route add 10.2.0.0/24 nhid 2`,
    theirs: `ip nexthop replace id 1 via 10.0.0.9 dev v0
      ip nexthop delete id 2`,
    ours: (i) => [
      nexthop.replace({ id: 1, gateway: '10.0.0.9', oif: i('v0') }),
      nexthop.remove({ id: 2 }),
    ],
  },
  {
    setup: `${VETH_UP}
ip link add vx0 address 02:00:00:00:00:0a type vxlan id 42 dstport 4789 nolearning`,
    theirs: `ip nexthop add id 1 via 192.0.2.7 fdb
      ip nexthop add id 2 via 192.0.2.8 fdb
      ip nexthop add id 10 group 1/2 fdb
      bridge fdb add 02:00:00:00:00:0c dev vx0 nhid 10`,
    ours: (i) => [
      nexthop.add({ id: 1, gateway: '192.0.2.7', fdb: true }),
      nexthop.add({ id: 2, gateway: '192.0.2.8', fdb: true }),
      nexthop.add({ id: 10, group: [{ id: 1 }, { id: 2 }], fdb: true }),
      fdb.add({ index: i('vx0'), mac: '02:00:00:00:00:0c', nexthopId: 10 }),
    ],
  },
]

export const RULE_ROWS: readonly Row[] = [
  {
    setup: VETH_UP,
    theirs:
      'ip rule add priority 10 from 10.0.0.0/8 to 192.0.2.0/24 iif v0 oif lo fwmark 0x10/0xf0 tos 0x10 table 1000 protocol 84',
    ours: () => [
      rule.add({
        family: 4,
        priority: 10,
        from: '10.0.0.0/8',
        to: '192.0.2.0/24',
        iif: 'v0',
        oif: 'lo',
        fwmark: 0x10,
        fwmask: 0xf0,
        tos: 16,
        table: 1000,
        protocol: 84,
      }),
    ],
  },
  {
    theirs:
      'ip rule add priority 11 not ipproto tcp sport 1000-2000 dport 80 uidrange 5-9 tun_id 77 table 7',
    ours: () => [
      rule.add({
        family: 4,
        priority: 11,
        not: true,
        ipProtocol: 6,
        sport: { start: 1000, end: 2000 },
        dport: { start: 80, end: 80 },
        uidRange: { start: 5, end: 9 },
        tunId: 77,
        table: 7,
      }),
    ],
  },
  {
    theirs: `ip rule add priority 12 table main suppress_prefixlength 0
      ip rule add priority 13 from 10.9.0.0/16 prohibit
      ip rule add priority 14 goto 20
      ip rule add from 10.8.0.0/16 table 8`,
    ours: () => [
      rule.add({ family: 4, priority: 12, table: 254, suppressPrefixLength: 0 }),
      rule.add({ family: 4, priority: 13, from: '10.9.0.0/16', action: 'prohibit' }),
      rule.add({ family: 4, priority: 14, goto: 20 }),
      rule.add({ family: 4, from: '10.8.0.0/16', table: 8 }),
    ],
  },
  {
    theirs: 'ip -6 rule add priority 15 from fd00::/8 table 70',
    ours: () => [rule.add({ family: 6, priority: 15, from: 'fd00::/8', table: 70 })],
  },
  {
    theirs: 'ip rule add priority 1000 l3mdev',
    ours: () => [rule.add({ family: 4, priority: 1000, l3mdev: true })],
  },
  {
    setup: 'ip rule add priority 9 from 10.0.0.0/8 table 7\nip rule add priority 9 table 8',
    theirs: 'ip rule delete priority 9 table 8',
    ours: () => [rule.remove({ family: 4, priority: 9, table: 8 })],
  },
]

export const NEIGH_ROWS: readonly Row[] = [
  {
    setup: VETH_UP,
    theirs: `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent
      ip neigh add fd00::9 lladdr 02:00:00:00:00:0a dev v0 nud permanent router
      ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:0b dev v0 nud noarp extern_learn`,
    ours: (i) => [
      neigh.add({ index: i('v0'), address: '10.0.0.9', mac: '02:00:00:00:00:09' }),
      neigh.add({ index: i('v0'), address: 'fd00::9', mac: '02:00:00:00:00:0a', router: true }),
      neigh.add({
        index: i('v0'),
        address: '10.0.0.8',
        mac: '02:00:00:00:00:0b',
        state: 'noarp',
        externLearn: true,
      }),
    ],
  },
  {
    setup: VETH_UP,
    theirs: 'ip neigh add proxy 10.0.0.7 dev v0',
    ours: (i) => [neigh.add({ index: i('v0'), address: '10.0.0.7', proxy: true })],
  },
  {
    setup: `${VETH_UP}
ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0; ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev v0`,
    theirs: `ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:99 dev v0 nud permanent
      ip neigh delete 10.0.0.8 dev v0`,
    ours: (i) => [
      neigh.replace({ index: i('v0'), address: '10.0.0.9', mac: '02:00:00:00:00:99' }),
      neigh.remove({ index: i('v0'), address: '10.0.0.8' }),
    ],
  },
]

const TBF = 'tbf rate 1mbit burst 32768 limit 100000'
const tbf = {
  type: 'tbf',
  rateBytesPerSecond: 125_000,
  burstBytes: 32_768,
  limitBytes: 100_000,
} as const

export const QDISC_ROWS: readonly Row[] = [
  {
    setup: VETH_UP,
    theirs: `tc qdisc add dev v0 root handle 1: ${TBF}`,
    ours: (i) => [qdisc.add({ index: i('v0'), handle: '1:', kind: tbf })],
  },
  {
    setup: `${VETH_UP}\ntc qdisc add dev v0 root handle 1: ${TBF}`,
    theirs:
      'tc qdisc replace dev v0 root handle 1: tbf rate 40gbit burst 4000000 limit 8000000 peakrate 48gbit mtu 10000',
    ours: (i) => [
      qdisc.replace({
        index: i('v0'),
        handle: '1:',
        kind: {
          type: 'tbf',
          rateBytesPerSecond: 5e9,
          burstBytes: 4_000_000,
          limitBytes: 8_000_000,
          peakRateBytesPerSecond: 6e9,
          peakBurstBytes: 10_000,
        },
      }),
    ],
  },
  {
    setup: VETH_UP,
    theirs: 'tc qdisc add dev v0 clsact',
    ours: (i) => [qdisc.add({ index: i('v0'), kind: { type: 'clsact' } })],
  },
  {
    setup: VETH_UP,
    theirs: 'tc qdisc add dev v0 ingress',
    ours: (i) => [qdisc.add({ index: i('v0'), kind: { type: 'ingress' } })],
  },
  {
    setup: `${VETH_UP}\ntc qdisc add dev v0 root ${TBF}\ntc qdisc add dev v1 ingress`,
    theirs: 'tc qdisc del dev v0 root\ntc qdisc del dev v1 ingress',
    ours: (i) => [
      qdisc.remove({ index: i('v0') }),
      qdisc.remove({ index: i('v1'), parent: 'ingress' }),
    ],
  },
]
