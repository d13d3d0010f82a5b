/**
 * Forwarding entries, VNI filters and VLANs of bridge ports.
 *
 * @module
 */
import { bridgeVlan, fdb, vni } from '../../../src/netlink-ts/mod.ts'
import type { Row } from '../commands.ts'
import { VETH_UP } from './links.ts'

const ZERO = '00:00:00:00:00:00'
const MAC = '02:00:00:00:00:0c'
const VXLAN = `${VETH_UP}
ip link add vx0 address 02:00:00:00:00:0a type vxlan id 42 dstport 4789 nolearning; ip link set vx0 up`
const EXTERNAL =
  'ip link add vx0 address 02:00:00:00:00:0a type vxlan external dstport 4789; ip link set vx0 up'
const FILTER =
  'ip link add vx0 address 02:00:00:00:00:0a type vxlan external vnifilter dstport 4789; ip link set vx0 up'
const BRIDGE = `${VETH_UP}
ip link add br0 address 02:00:00:00:00:06 type bridge; ip link set v0 master br0`
const FILTERING = `${VETH_UP}
ip link add br0 address 02:00:00:00:00:06 type bridge vlan_filtering 1; ip link set v0 master br0`

export const FDB_ROWS: readonly Row[] = [
  {
    setup: VXLAN,
    theirs: `bridge fdb append ${ZERO} dev vx0 dst 192.0.2.7
      bridge fdb append ${ZERO} dev vx0 dst 192.0.2.8`,
    ours: (i) => [
      fdb.append({ index: i('vx0'), mac: ZERO, dst: '192.0.2.7' }),
      fdb.append({ index: i('vx0'), mac: ZERO, dst: '192.0.2.8' }),
    ],
  },
  {
    setup: VXLAN,
    theirs: `bridge fdb add ${MAC} dev vx0 dst 192.0.2.7 port 4790 vni 77 via v0
      bridge fdb add 02:00:00:00:00:0d dev vx0 dst 192.0.2.8 extern_learn dynamic`,
    ours: (i) => [
      fdb.add({
        index: i('vx0'),
        mac: MAC,
        dst: '192.0.2.7',
        port: 4790,
        vni: 77,
        via: i('v0'),
      }),
      fdb.add({
        index: i('vx0'),
        mac: '02:00:00:00:00:0d',
        dst: '192.0.2.8',
        externLearn: true,
        state: 'dynamic',
      }),
    ],
  },
  {
    setup: EXTERNAL,
    theirs: `bridge fdb add ${MAC} dev vx0 dst 192.0.2.7 src_vni 100 vni 100`,
    ours: (i) => [fdb.add({ index: i('vx0'), mac: MAC, dst: '192.0.2.7', srcVni: 100, vni: 100 })],
  },
  {
    setup: `${VXLAN}\nbridge fdb add ${MAC} dev vx0 dst 192.0.2.7`,
    theirs: `bridge fdb replace ${MAC} dev vx0 dst 192.0.2.99`,
    ours: (i) => [fdb.replace({ index: i('vx0'), mac: MAC, dst: '192.0.2.99' })],
  },
  {
    setup: `${VXLAN}
bridge fdb append ${ZERO} dev vx0 dst 192.0.2.7; bridge fdb append ${ZERO} dev vx0 dst 192.0.2.8`,
    theirs: `bridge fdb del ${ZERO} dev vx0 dst 192.0.2.7`,
    ours: (i) => [fdb.remove({ index: i('vx0'), mac: ZERO, dst: '192.0.2.7' })],
  },
  {
    setup: BRIDGE,
    theirs: `bridge fdb add ${MAC} dev v0 master static
      bridge fdb add 02:00:00:00:00:0d dev v0 master static sticky
      bridge fdb add 02:00:00:00:00:0e dev v0 master permanent`,
    ours: (i) => [
      fdb.add({ index: i('v0'), mac: MAC, master: true, state: 'static' }),
      fdb.add({
        index: i('v0'),
        mac: '02:00:00:00:00:0d',
        master: true,
        state: 'static',
        sticky: true,
      }),
      fdb.add({ index: i('v0'), mac: '02:00:00:00:00:0e', master: true }),
    ],
  },
  {
    setup: `${FILTERING}\nbridge vlan add dev v0 vid 7`,
    theirs: `bridge fdb add ${MAC} dev v0 master static vlan 7`,
    ours: (i) => [fdb.add({ index: i('v0'), mac: MAC, master: true, state: 'static', vlan: 7 })],
  },
]

export const VNI_ROWS: readonly Row[] = [
  {
    setup: FILTER,
    theirs: `bridge vni add vni 100 dev vx0
      bridge vni add vni 200-209 dev vx0
      bridge vni add vni 300 remote 192.0.2.7 dev vx0`,
    ours: (i) => [
      vni.add({ index: i('vx0'), vni: 100 }),
      vni.add({ index: i('vx0'), vni: 200, end: 209 }),
      vni.add({ index: i('vx0'), vni: 300, remote: '192.0.2.7' }),
    ],
  },
  {
    setup: `${FILTER}\nbridge vni add vni 200-209 dev vx0`,
    theirs: `bridge vni delete vni 205-206 dev vx0
      bridge vni delete vni 200 dev vx0`,
    ours: (i) => [
      vni.remove({ index: i('vx0'), vni: 205, end: 206 }),
      vni.remove({ index: i('vx0'), vni: 200 }),
    ],
  },
]

export const VLAN_ROWS: readonly Row[] = [
  {
    setup: FILTERING,
    theirs: `bridge vlan add dev v0 vid 10 pvid untagged
      bridge vlan add dev v0 vid 20-29
      bridge vlan add dev v0 vid 40 untagged master`,
    ours: (i) => [
      bridgeVlan.add({ index: i('v0'), vid: 10, pvid: true, untagged: true }),
      bridgeVlan.add({ index: i('v0'), vid: 20, end: 29 }),
      bridgeVlan.add({ index: i('v0'), vid: 40, untagged: true, master: true }),
    ],
  },
  {
    setup: `${FILTERING}\nbridge vlan add dev v0 vid 20-29`,
    theirs: `bridge vlan del dev v0 vid 24-25
      bridge vlan del dev v0 vid 1`,
    ours: (i) => [
      bridgeVlan.remove({ index: i('v0'), vid: 24, end: 25 }),
      bridgeVlan.remove({ index: i('v0'), vid: 1 }),
    ],
  },
  {
    setup: FILTERING,
    theirs: `bridge vlan add dev br0 vid 30 self
      bridge vlan add dev br0 vid 31 pvid untagged self`,
    ours: (i) => [
      bridgeVlan.add({ index: i('br0'), vid: 30, self: true }),
      bridgeVlan.add({ index: i('br0'), vid: 31, pvid: true, untagged: true, self: true }),
    ],
  },
]
