/**
 * The truth from outside: for each command, what iproute2 sent (recorded in
 * test/corpus/netlink) and what we send must be the same tree of attributes.
 *
 * Order of attributes, NLA_F_NESTED and the zero byte after a string may differ:
 * the kernel does not care.
 */
import t from 'tap'
import { type Message, splitMessages } from '../../src/netlink-ts/message.ts'
import {
  addr,
  bridgeVlan,
  fdb,
  link,
  neigh,
  nexthop,
  qdisc,
  type Request,
  route,
  routeProtocol,
  rule,
  vni,
} from '../../src/netlink-ts/mod.ts'
import { corpus, hex, unhex } from './support.ts'

const [V1, V0, BR0, VX0] = [2, 3, 5, 6] // in the order the capture makes them; 4 is br0's failed try
const mac = '02:00:00:00:00:09'

const ours: Readonly<Record<string, Request>> = {
  'ip link add name v0 mtu 1450 type veth peer name v1 address 02:00:00:00:00:01': link.add({
    name: 'v0',
    mtu: 1450,
    kind: { type: 'veth', peer: { name: 'v1', mac: '02:00:00:00:00:01' } },
  }),
  'ip link add name br0 type bridge ageing_time 30000 stp_state 0 vlan_filtering 1': link.add({
    name: 'br0',
    kind: { type: 'bridge', ageingSeconds: 300, stp: false, vlanFiltering: true },
  }),
  'ip link add name vx0 type vxlan id 42 local 10.0.0.1 dev v0 ttl 64 nolearning dstport 4789':
    link.add({
      name: 'vx0',
      kind: {
        type: 'vxlan',
        vni: 42,
        local: '10.0.0.1',
        link: V0,
        ttl: 64,
        learning: false,
        port: 4789,
      },
    }),
  'ip link add name vx6 type vxlan external local fd00::1 dstport 4790 gpe': link.add({
    name: 'vx6',
    kind: {
      type: 'vxlan',
      external: true,
      learning: false,
      local6: 'fd00::1',
      port: 4790,
      gpe: true,
    },
  }),
  'ip link add link v0 name v0.7 type vlan protocol 802.1Q id 7': link.add({
    name: 'v0.7',
    kind: { type: 'vlan', id: 7, protocol: '802.1Q', link: V0 },
  }),
  'ip link add link v0 name mv0 type macvlan mode bridge': link.add({
    name: 'mv0',
    kind: { type: 'macvlan', mode: 'bridge', link: V0 },
  }),
  'ip link add name d0 type dummy': link.add({ name: 'd0', kind: { type: 'dummy' } }),
  'ip link set dev v0 up mtu 1400': link.set({ index: V0 }, { up: true, mtu: 1400 }),
  'ip link set dev v1 master br0': link.set({ index: V1 }, { master: BR0 }),
  'ip link set dev v1 type bridge_slave hairpin on isolated on': link.set(
    { index: V1 },
    { bridgePort: { hairpin: true, isolated: true } },
  ),
  'ip link set dev v0 alias to the pod': link.set({ index: V0 }, { alias: 'to the pod' }),
  'ip link delete dev mv0': link.remove({ index: 8 }),
  'ip address add 10.0.0.1/24 dev v0': addr.add({
    index: V0,
    address: '10.0.0.1',
    prefixLength: 24,
  }),
  'ip address add fd00::1/64 dev v0 nodad noprefixroute': addr.add({
    index: V0,
    address: 'fd00::1',
    prefixLength: 64,
    flags: ['nodad', 'noprefixroute'],
  }),
  'ip address add 10.9.0.1 peer 10.9.0.2/32 dev v0 scope link': addr.add({
    index: V0,
    address: '10.9.0.1',
    peer: '10.9.0.2',
    prefixLength: 32,
    scope: 'link',
  }),
  'ip address delete 10.9.0.1 peer 10.9.0.2/32 dev v0': addr.remove({
    index: V0,
    address: '10.9.0.1',
    peer: '10.9.0.2',
    prefixLength: 32,
  }),
  'ip route add 10.1.0.0/24 via 10.0.0.2 dev v0 proto 99 onlink': route.add({
    family: 4,
    dst: '10.1.0.0/24',
    gateway: '10.0.0.2',
    oif: V0,
    protocol: 99,
    onlink: true,
  }),
  'ip route add 10.1.1.0/24 dev v0': route.add({ family: 4, dst: '10.1.1.0/24', oif: V0 }),
  'ip route add blackhole 10.2.0.0/16': route.add({
    family: 4,
    dst: '10.2.0.0/16',
    type: 'blackhole',
  }),
  'ip route add 10.3.0.0/24 nexthop via 10.0.0.2 dev v0 weight 2 nexthop via 10.0.0.3 dev v0 onlink':
    route.add({
      family: 4,
      dst: '10.3.0.0/24',
      multipath: [
        { gateway: '10.0.0.2', oif: V0, weight: 2 },
        { gateway: '10.0.0.3', oif: V0, onlink: true },
      ],
    }),
  'ip route replace default via 10.0.0.2 mtu 1400': route.replace({
    family: 4,
    gateway: '10.0.0.2',
    mtu: 1400,
  }),
  'ip -6 route add fd01::/64 via fd00::2 dev v0 metric 50': route.add({
    family: 6,
    dst: 'fd01::/64',
    gateway: 'fd00::2',
    oif: V0,
    priority: 50,
    protocol: routeProtocol.boot,
  }),
  'ip route add 10.4.0.0/24 via inet6 fd00::2 dev v0': route.add({
    family: 4,
    dst: '10.4.0.0/24',
    gateway: 'fd00::2',
    oif: V0,
  }),
  'ip route add 10.5.0.0/24 dev v0 table 1000 src 10.0.0.1': route.add({
    family: 4,
    dst: '10.5.0.0/24',
    oif: V0,
    table: 1000,
    prefSrc: '10.0.0.1',
  }),
  'ip route delete 10.1.0.0/24': route.remove({ family: 4, dst: '10.1.0.0/24' }),
  'ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent': neigh.replace({
    index: V0,
    address: '10.0.0.9',
    mac,
  }),
  'ip neigh add fd00::9 lladdr 02:00:00:00:00:09 dev v0 protocol 99': neigh.add({
    index: V0,
    address: 'fd00::9',
    mac,
    protocol: 99,
  }),
  'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.5': fdb.append({
    index: VX0,
    mac: '00:00:00:00:00:00',
    dst: '10.0.0.5',
  }),
  'bridge fdb replace 02:00:00:00:00:0a dev vx0 dst 10.0.0.6 port 8472 vni 7 via v0': fdb.replace({
    index: VX0,
    mac: '02:00:00:00:00:0a',
    dst: '10.0.0.6',
    port: 8472,
    vni: 7,
    via: V0,
  }),
  'bridge fdb add 02:00:00:00:00:0b dev v1 master static': fdb.add({
    index: V1,
    mac: '02:00:00:00:00:0b',
    master: true,
    state: 'static',
  }),
  'bridge fdb delete 02:00:00:00:00:0a dev vx0 dst 10.0.0.6': fdb.remove({
    index: VX0,
    mac: '02:00:00:00:00:0a',
    dst: '10.0.0.6',
  }),
  'ip route add 10.6.0.0/24 encap ip id 100 dst 192.0.2.7 src 192.0.2.1 ttl 9 tos 4 csum dev vx0':
    route.add({
      family: 4,
      dst: '10.6.0.0/24',
      oif: VX0,
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
  'ip -6 route add fd06::/64 encap ip6 id 16777215 dst 2001:db8::7 hoplimit 3 dev vx0': route.add({
    family: 6,
    dst: 'fd06::/64',
    oif: VX0,
    encap: { type: 'ip6', id: 16_777_215, dst: '2001:db8::7', ttl: 3 },
  }),
  'ip nexthop add id 1 via 10.0.0.2 dev v0': nexthop.add({ id: 1, gateway: '10.0.0.2', oif: V0 }),
  'ip nexthop add id 10 group 1,3/2': nexthop.add({
    id: 10,
    group: [{ id: 1, weight: 3 }, { id: 2 }],
  }),
  'ip rule add priority 10 from 10.0.0.0/8 to 192.0.2.0/24 iif v0 fwmark 0x10/0xf0 table 1000 protocol 84':
    rule.add({
      family: 4,
      priority: 10,
      from: '10.0.0.0/8',
      to: '192.0.2.0/24',
      iif: 'v0',
      fwmark: 0x10,
      fwmask: 0xf0,
      table: 1000,
      protocol: 84,
    }),
  'ip rule add priority 11 not ipproto tcp sport 1000-2000 dport 80 table 7 suppress_prefixlength 0':
    rule.add({
      family: 4,
      priority: 11,
      not: true,
      ipProtocol: 6,
      sport: { start: 1000, end: 2000 },
      dport: { start: 80, end: 80 },
      table: 7,
      suppressPrefixLength: 0,
    }),
  'ip rule delete priority 10': rule.remove({ family: 4, priority: 10 }),
  'bridge vlan add dev v1 vid 10 pvid untagged': bridgeVlan.add({
    index: V1,
    vid: 10,
    pvid: true,
    untagged: true,
  }),
  'bridge vlan add dev v1 vid 20-29 master': bridgeVlan.add({
    index: V1,
    vid: 20,
    end: 29,
    master: true,
  }),
  'bridge vlan del dev br0 vid 30 self': bridgeVlan.remove({ index: BR0, vid: 30, self: true }),
  'bridge vni add vni 200-209 dev vx0': vni.add({ index: VX0, vni: 200, end: 209 }),
  'bridge vni delete vni 300 remote 192.0.2.7 dev vx0': vni.remove({
    index: VX0,
    vni: 300,
    remote: '192.0.2.7',
  }),
  'tc qdisc add dev v0 clsact': qdisc.add({ index: V0, kind: { type: 'clsact' } }),
}

type Shape = { readonly [type: number]: Shape | 'text' | number }
const PEER = 16 // bytes of struct ifinfomsg before the attributes
const INFO: Shape = { 1: 'text', 2: { 1: PEER }, 5: {} }
const LINK: Shape = { 3: 'text', 20: 'text', 18: INFO, 26: {} }

/** By the first type of a family of messages: bytes of its struct, and what its attributes hold. */
const FAMILIES: readonly (readonly [first: number, struct: number, shape: Shape])[] = [
  [16, 16, LINK],
  [20, 8, {}],
  [24, 12, { 8: {}, 22: {} }], // routes
  [28, 12, {}],
  [32, 12, { 3: 'text', 17: 'text' }], // rules
  [36, 20, { 1: 'text' }], // queueing disciplines
  [104, 8, {}], // nexthop objects
  [120, 8, { 1: {} }], // VNI filters
]

const NEWLINK = 16
const SETLINK = 19

for (const [command, theirs] of Object.entries(recorded())) {
  const request = ours[command]
  if (request === undefined) {
    t.fail(`no request of ours for: ${command}`)
    continue
  }
  t.strictSame(describe(request.message), describe(theirs), command)
}
t.equal(Object.keys(ours).length, Object.keys(recorded()).length, 'every request has a recording')

function recorded(): Record<string, Uint8Array> {
  const found: Record<string, Uint8Array> = {}
  let command = ''
  for (const line of corpus('requests.txt').split('\n')) {
    if (line.startsWith('# ')) command = line.slice(2)
    if (line.startsWith('> ')) found[command] = unhex(line.slice(2))
  }
  return found
}

/** A message as a tree: header, struct, and attributes sorted by number. */
function describe(bytes: Uint8Array): unknown {
  const [message] = splitMessages(bytes)
  const { type, flags, body } = message as Message
  const [, struct, shape] = FAMILIES.findLast(([first]) => first <= type)!
  return {
    // iproute2 changes links with RTM_NEWLINK; see link.set for why we mostly do not.
    type: type === SETLINK ? NEWLINK : type,
    flags,
    struct: hex(body.subarray(0, struct)),
    attrs: tree(body.subarray(struct), shape),
  }
}

function tree(bytes: Uint8Array, shape: Shape): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: [number, unknown][] = []
  for (let offset = 0; offset < bytes.length; ) {
    const length = view.getUint16(offset, true)
    const type = view.getUint16(offset + 2, true) & 0x3fff
    const payload = bytes.subarray(offset + 4, offset + length)
    const inner = shape[type]
    // Only veth nests a struct; in other kinds attribute 1 is a number.
    const isPeer = typeof inner === 'number' && payload.length > inner
    if (inner === 'text') found.push([type, Buffer.from(payload).toString().replace(/\0$/, '')])
    else if (isPeer) found.push([type, tree(payload.subarray(inner), LINK)])
    else if (typeof inner === 'object') found.push([type, tree(payload, inner)])
    else found.push([type, hex(payload)])
    offset += (length + 3) & ~3
  }
  // A port's settings: iproute2 says kind bridge_slave, we say slave kind bridge.
  // The kernel looks at neither, only at the master the port has.
  const isPort = shape === INFO && found.some(([type]) => type === 5)
  if (isPort) return found.filter(([type]) => type === 5)
  return found.sort(([a], [b]) => a - b)
}
