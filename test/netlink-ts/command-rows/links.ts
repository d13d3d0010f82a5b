/**
 * Links and addresses.
 *
 * @module
 */
import { addr, link } from '../../../src/netlink-ts/mod.ts'
import type { Row } from '../commands.ts'

export const VETH = 'ip link add v0 address 02:00:00:00:00:01 type veth peer name v1'
export const VETH_UP = `${VETH}
ip link set v1 up; ip link set v0 up; wait_up v0`

export const LINK_ROWS: readonly Row[] = [
  {
    theirs: `ip link add name v2 mtu 1450 address 02:00:00:00:00:02 txqueuelen 77 type veth
      peer name v3 address 02:00:00:00:00:03 mtu 1400`.replace(/\s*\n\s*/, ' '),
    ours: () => [
      link.add({
        name: 'v2',
        mtu: 1450,
        mac: '02:00:00:00:00:02',
        txQueueLen: 77,
        kind: { type: 'veth', peer: { name: 'v3', mac: '02:00:00:00:00:03', mtu: 1400 } },
      }),
    ],
  },
  {
    theirs:
      'ip link add br0 type bridge ageing_time 1200 forward_delay 400 priority 4096 mcast_snooping 0 stp_state 0',
    ours: () => [
      link.add({
        name: 'br0',
        kind: {
          type: 'bridge',
          ageingSeconds: 12,
          forwardDelaySeconds: 4,
          priority: 4096,
          mcastSnooping: false,
          stp: false,
        },
      }),
    ],
  },
  {
    setup: 'ip link add br0 type bridge',
    theirs: 'ip link set br0 type bridge ageing_time 6000 group_fwd_mask 8',
    ours: () => [
      link.set(
        { name: 'br0' },
        { kind: { type: 'bridge', ageingSeconds: 60, groupForwardMask: 8 } },
      ),
    ],
  },
  {
    theirs: 'ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 7',
    ours: () => [
      link.add({ name: 'br0', kind: { type: 'bridge', vlanFiltering: true, vlanDefaultPvid: 7 } }),
    ],
  },
  {
    setup: VETH,
    theirs:
      `ip link add vx0 address 02:00:00:00:00:09 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dev v0
      dstport 4789 srcport 1000 2000 ttl 9 tos 8 df set nolearning proxy rsc l2miss l3miss ageing 77
      maxaddress 5 noudpcsum udp6zerocsumtx udp6zerocsumrx remcsumtx remcsumrx gbp`.replace(
        /\s*\n\s*/g,
        ' ',
      ),
    ours: (i) => [
      link.add({
        name: 'vx0',
        mac: '02:00:00:00:00:09',
        kind: {
          type: 'vxlan',
          vni: 42,
          local: '192.0.2.1',
          remote: '192.0.2.2',
          link: i('v0'),
          port: 4789,
          portRange: { low: 1000, high: 2000 },
          ttl: 9,
          tos: 8,
          df: 'set',
          learning: false,
          proxy: true,
          rsc: true,
          l2miss: true,
          l3miss: true,
          ageingSeconds: 77,
          limit: 5,
          udpCsum: false,
          udpZeroCsum6Tx: true,
          udpZeroCsum6Rx: true,
          remoteCsumTx: true,
          remoteCsumRx: true,
          gbp: true,
        },
      }),
    ],
  },
  {
    setup: VETH,
    theirs:
      'ip link add vx6 type vxlan id 6 group ff02::6 local fd00::1 dev v0 dstport 4790 flowlabel 0x12345 ttl inherit',
    ours: (i) => [
      link.add({
        name: 'vx6',
        kind: {
          type: 'vxlan',
          vni: 6,
          remote6: 'ff02::6',
          local6: 'fd00::1',
          link: i('v0'),
          port: 4790,
          label: 0x12345,
          ttlInherit: true,
        },
      }),
    ],
  },
  {
    theirs: 'ip link add vx0 type vxlan external gpe dstport 4790',
    ours: () => [
      // `external` turns learning off in ip, not in the kernel.
      link.add({
        name: 'vx0',
        kind: { type: 'vxlan', external: true, learning: false, gpe: true, port: 4790 },
      }),
    ],
  },
  {
    theirs: 'ip link add vx0 type vxlan external vnifilter dstport 4789',
    ours: () => [
      link.add({
        name: 'vx0',
        kind: { type: 'vxlan', external: true, vnifilter: true, learning: false, port: 4789 },
      }),
    ],
  },
  {
    setup: VETH,
    theirs: 'ip link add link v0 name v0.7 type vlan id 7',
    ours: (i) => [link.add({ name: 'v0.7', kind: { type: 'vlan', id: 7, link: i('v0') } })],
  },
  {
    setup: VETH,
    theirs: 'ip link add link v0 name v0.8 type vlan protocol 802.1ad id 8',
    ours: (i) => [
      link.add({ name: 'v0.8', kind: { type: 'vlan', id: 8, protocol: '802.1ad', link: i('v0') } }),
    ],
  },
  {
    setup: VETH,
    theirs: 'ip link add link v0 name mv0 address 02:00:00:00:00:07 type macvlan mode private',
    ours: (i) => [
      link.add({
        name: 'mv0',
        mac: '02:00:00:00:00:07',
        kind: { type: 'macvlan', mode: 'private', link: i('v0') },
      }),
    ],
  },
  {
    setup: VETH,
    theirs: 'ip link add link v0 name iv0 type ipvlan mode l3s private',
    ours: (i) => [
      link.add({
        name: 'iv0',
        kind: { type: 'ipvlan', mode: 'l3s', flags: ['private'], link: i('v0') },
      }),
    ],
  },
  {
    theirs: 'ip link add d0 address 02:00:00:00:00:05 type dummy',
    ours: () => [link.add({ name: 'd0', mac: '02:00:00:00:00:05', kind: { type: 'dummy' } })],
  },
  {
    theirs: 'ip link add i0 address 02:00:00:00:00:05 type ifb',
    ours: () => [link.add({ name: 'i0', mac: '02:00:00:00:00:05', kind: { type: 'ifb' } })],
  },
  {
    setup: VETH,
    theirs: 'ip link set v0 up mtu 1300 txqueuelen 5 address 02:00:00:00:00:08 alias to_the_pod',
    ours: () => [
      link.set(
        { name: 'v0' },
        { up: true, mtu: 1300, txQueueLen: 5, mac: '02:00:00:00:00:08', alias: 'to_the_pod' },
      ),
    ],
  },
  {
    setup: `${VETH}\nip link add br0 address 02:00:00:00:00:06 type bridge`,
    theirs: `ip link set v0 master br0
      ip link set v0 type bridge_slave hairpin on isolated on neigh_suppress on learning off flood off cost 9`,
    ours: (i) => [
      link.set({ index: i('v0') }, { master: i('br0') }),
      link.set(
        { index: i('v0') },
        {
          bridgePort: {
            hairpin: true,
            isolated: true,
            neighSuppress: true,
            learning: false,
            flood: false,
            cost: 9,
          },
        },
      ),
    ],
  },
  {
    setup: `${VETH}\nip link add br0 address 02:00:00:00:00:06 type bridge\nip link set v0 master br0`,
    theirs: 'ip link set v0 nomaster name renamed group 7',
    ours: (i) => [link.set({ index: i('v0') }, { master: 0, name: 'renamed', group: 7 })],
  },
  {
    setup: VETH,
    theirs: 'ip link delete v1',
    ours: () => [link.remove({ name: 'v1' })],
  },
]

export const ADDR_ROWS: readonly Row[] = [
  {
    setup: VETH_UP,
    theirs: 'ip addr add 10.0.0.1/24 broadcast 10.0.0.255 label v0:x scope link dev v0',
    ours: (i) => [
      addr.add({
        index: i('v0'),
        address: '10.0.0.1',
        prefixLength: 24,
        broadcast: '10.0.0.255',
        label: 'v0:x',
        scope: 'link',
      }),
    ],
  },
  {
    setup: VETH_UP,
    theirs: 'ip addr add fd00::1/64 dev v0 nodad noprefixroute',
    ours: (i) => [
      addr.add({
        index: i('v0'),
        address: 'fd00::1',
        prefixLength: 64,
        flags: ['nodad', 'noprefixroute'],
      }),
    ],
  },
  {
    setup: VETH_UP,
    theirs: 'ip addr add 10.9.0.1 peer 10.9.0.2/32 dev v0 metric 77',
    ours: (i) => [
      addr.add({
        index: i('v0'),
        address: '10.9.0.1',
        peer: '10.9.0.2',
        prefixLength: 32,
        metric: 77,
      }),
    ],
  },
  {
    setup: `${VETH_UP}\nip addr add 10.0.0.1/24 dev v0`,
    theirs: 'ip addr replace 10.0.0.1/24 dev v0 valid_lft 200000 preferred_lft 100000',
    ours: (i) => [
      addr.replace({
        index: i('v0'),
        address: '10.0.0.1',
        prefixLength: 24,
        lifetime: { validSeconds: 200_000, preferredSeconds: 100_000 },
      }),
    ],
  },
  {
    setup: `${VETH_UP}\nip addr add 10.0.0.1/24 dev v0\nip addr add 10.0.0.2/24 dev v0`,
    theirs: 'ip addr delete 10.0.0.1/24 dev v0',
    ours: (i) => [addr.remove({ index: i('v0'), address: '10.0.0.1', prefixLength: 24 })],
  },
]
