/**
 * Every attribute table: what is written is read back, each check of the reader
 * fires, and values that do not fit are refused.
 *
 * A table or a row without a generator fails, so none can be forgotten.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { extAckAttrs } from '../../src/netlink-ts/ack.ts'
import { type AttrTable, readAttrs, writeAttrs } from '../../src/netlink-ts/attrs.ts'
import * as codecs from '../../src/netlink-ts/codecs.ts'
import { viewOf } from '../../src/netlink-ts/message.ts'
import { DecodeError, formatIp } from '../../src/netlink-ts/mod.ts'
import { addrAttrs } from '../../src/netlink-ts/route/addr.ts'
import { bridgeSpecAttrs } from '../../src/netlink-ts/route/bridge-vlan.ts'
import { ip6EncapAttrs, ipEncapAttrs } from '../../src/netlink-ts/route/encap.ts'
import { linkMessageAttrs } from '../../src/netlink-ts/route/link.ts'
import {
  familyAttrs,
  inet6Attrs,
  linkAttrs,
  xdpAttrs,
} from '../../src/netlink-ts/route/link-attrs.ts'
import { bridgeAttrs, bridgePortAttrs } from '../../src/netlink-ts/route/link-bridge.ts'
import { ipvlanAttrs, macvlanAttrs, vlanAttrs } from '../../src/netlink-ts/route/link-vlan.ts'
import { vxlanAttrs } from '../../src/netlink-ts/route/link-vxlan.ts'
import { neighAttrs } from '../../src/netlink-ts/route/neigh-attrs.ts'
import { nexthopAttrs } from '../../src/netlink-ts/route/nexthop-object.ts'
import { nsidAttrs } from '../../src/netlink-ts/route/nsid.ts'
import { tbfAttrs } from '../../src/netlink-ts/route/qdisc-tbf.ts'
import { routeAttrs, routeMetrics } from '../../src/netlink-ts/route/route-attrs.ts'
import { ruleAttrs } from '../../src/netlink-ts/route/rule-attrs.ts'
import { vniAttrs, vniStats } from '../../src/netlink-ts/route/vni.ts'
import { Writer } from '../../src/netlink-ts/writer.ts'
import { hex, holds, unhex } from './support.ts'

type Values = Readonly<Record<string, fc.Arbitrary<unknown>>>
interface Entry {
  readonly table: AttrTable
  /** For rows whose codec has no generator of its own. */
  readonly values?: Values
}

const u8 = fc.nat(0xff)
const u16 = fc.nat(0xffff)
const u32 = fc.nat(0xffff_ffff)
const u64 = fc.maxSafeNat()
const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(formatIp)
const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatIp)
const lladdr = (min: number, max: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((b) => hex(b).replace(/..(?=.)/g, '$&:'))
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((s) => !s.includes('\0'))
const optional = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> =>
  fc.record(shape, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Partial<T>>

const byCodec = new Map<unknown, fc.Arbitrary<unknown>>([
  [codecs.u8, u8],
  [codecs.u16, u16],
  [codecs.u32, u32],
  [codecs.s32, fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })],
  [codecs.u16be, u16],
  [codecs.u32be, u32],
  [codecs.u64, u64],
  [codecs.u64be, u64],
  [codecs.vni, fc.nat(0xff_ffff)],
  [codecs.vlanId, fc.nat(4094)],
  [codecs.bool, fc.boolean()],
  [codecs.flag, fc.constant(true)],
  [codecs.string, text],
  [codecs.text, text],
  [codecs.ifname, fc.stringMatching(/^[a-z0-9_.-]{1,15}$/).filter((s) => !/^\.{1,2}$/.test(s))],
  [codecs.binary, fc.uint8Array({ maxLength: 64 })],
  [codecs.lladdr, lladdr(1, 32)],
  [codecs.mac, lladdr(6, 6)],
  [codecs.ip, fc.oneof(ip4, ip6)],
  [codecs.ipv4, ip4],
  [codecs.ipv6, ip6],
])

const vlanProtocol = fc.oneof(fc.constantFrom('802.1Q', '802.1ad'), fc.nat(0x80ff))
const seconds = u32.map((centi) => centi / 100)
const vxlanValues = {
  portRange: fc.record({ low: u16, high: u16 }, { noNullPrototype: true }),
  labelPolicy: fc.constantFrom('fixed', 'inherit'),
  df: fc.oneof(fc.constantFrom('unset', 'set', 'inherit'), fc.integer({ min: 3, max: 255 })),
}
const bridgeValues = {
  forwardDelaySeconds: seconds,
  helloSeconds: seconds,
  maxAgeSeconds: seconds,
  ageingSeconds: seconds,
  stp: fc.boolean(),
  vlanProtocol,
}
const range = (most: number): fc.Arbitrary<unknown> =>
  fc
    .tuple(fc.nat(most), fc.nat(most))
    .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }))
const ruleValues = { uidRange: range(0xffff_ffff), sport: range(0xffff), dport: range(0xffff) }
const vlanInfo = fc.record(
  { flags: fc.subarray(['pvid', 'untagged', 'rangeBegin', 'rangeEnd']), vid: fc.nat(4094) },
  { noNullPrototype: true },
)
const tbfParms = fc.record(
  { rate: u32, peakRate: u32, limit: u32, buffer: u32, mtu: u32 },
  { noNullPrototype: true },
)
const portValues = { state: fc.oneof(fc.constantFrom('disabled', 'blocking'), fc.constant(77)) }
const one = (key: string, value: fc.Arbitrary<unknown>) =>
  value.map((each) => ({ [key]: each }) as Record<string, unknown>)
const familyValues = { inet6: one('addrGenMode', u8) }
const linkValues = {
  operState: fc.oneof(fc.constantFrom('up', 'down'), fc.constant(99)),
  families: one('inet6', familyValues.inet6),
  xdp: one('attached', u8),
}
const bytes = fc.uint8Array({ maxLength: 64 })
const encapValues = { flags: fc.subarray(['csum', 'key', 'seq']) }
const encap = (type: string, table: AttrTable) =>
  valuesOf({ table, values: encapValues }).map((value) => readable({ type, ...value }))
const hop = optional({
  encap: fc.oneof(encap('ip', ipEncapAttrs), encap('ip6', ip6EncapAttrs)),
  gateway: fc.oneof(ip4, ip6),
  oif: fc.integer({ min: 1, max: 0x7fff_ffff }),
  onlink: fc.constant(true),
}).chain((h) => fc.integer({ min: 1, max: 256 }).map((weight) => ({ ...h, weight })))

const registry: Readonly<Record<string, Entry>> = {
  extAck: { table: extAckAttrs },
  inet6: { table: inet6Attrs },
  families: { table: familyAttrs, values: familyValues },
  xdp: { table: xdpAttrs },
  link: { table: linkAttrs, values: linkValues },
  vxlan: { table: vxlanAttrs, values: vxlanValues },
  bridge: { table: bridgeAttrs, values: bridgeValues },
  bridgePort: { table: bridgePortAttrs, values: portValues },
  vlan: { table: vlanAttrs, values: { protocol: vlanProtocol } },
  macvlan: {
    table: macvlanAttrs,
    values: { mode: fc.oneof(fc.constantFrom('bridge', 'private', 'passthru'), fc.constant(3)) },
  },
  ipvlan: {
    table: ipvlanAttrs,
    values: {
      mode: fc.constantFrom('l2', 'l3', 'l3s'),
      flags: fc.subarray(['private', 'vepa']),
    },
  },
  bridgeSpec: {
    table: bridgeSpecAttrs,
    values: { flags: fc.subarray(['master', 'self']), vlan: vlanInfo },
  },
  rule: { table: ruleAttrs, values: ruleValues },
  nexthop: {
    table: nexthopAttrs,
    values: {
      group: fc.array(
        fc.record({ id: u32, weight: fc.integer({ min: 1, max: 256 }) }, { noNullPrototype: true }),
        { maxLength: 5 },
      ),
      encap: bytes,
    },
  },
  tbf: { table: tbfAttrs, values: { parms: tbfParms } },
  addr: {
    table: addrAttrs,
    values: {
      lifetime: fc.record({ preferredSeconds: u32, validSeconds: u32 }, { noNullPrototype: true }),
    },
  },
  routeMetrics: { table: routeMetrics },
  ipEncap: { table: ipEncapAttrs, values: encapValues },
  ip6Encap: { table: ip6EncapAttrs, values: encapValues },
  vniStats: { table: vniStats },
  nsid: { table: nsidAttrs },
  neigh: { table: neighAttrs },
}

// Tables that hold other tables.
const kinds = (['vxlan', 'bridge', 'vlan', 'macvlan', 'ipvlan'] as const).map((type) =>
  valuesOf(registry[type]!).map((value) => ({ kind: type, data: { type, ...value } })),
)
const nestedRegistry: Readonly<Record<string, Entry>> = {
  linkMessage: {
    table: linkMessageAttrs,
    values: {
      ...linkValues,
      info: fc
        .tuple(fc.oneof(...kinds), fc.option(valuesOf(registry['bridgePort']!), { nil: undefined }))
        .map(([info, bridgePort]) => (bridgePort === undefined ? info : { ...info, bridgePort }))
        // A kind whose data is empty is written without data, and read as unknown.
        .filter(({ data }) => Object.keys(data).length > 1),
    },
  },
  route: {
    table: routeAttrs,
    values: {
      metrics: valuesOf(registry['routeMetrics']!),
      multipath: fc.array(hop, { minLength: 1, maxLength: 4 }).filter(sameFamily),
      via: fc.oneof(ip4, ip6),
      encap: bytes,
    },
  },
  vni: { table: vniAttrs, values: { stats: valuesOf(registry['vniStats']!) } },
}
const tables = { ...registry, ...nestedRegistry }

/** The gateways of one route written through the table are of the first one's family. */
function sameFamily(hops: readonly { gateway?: string }[]): boolean {
  return hops[0]?.gateway !== undefined
}

/** Of an encapsulation the reader leaves out what is zero or empty. */
function readable(encap: Record<string, unknown>): Record<string, unknown> {
  const isZero = (value: unknown): boolean =>
    value === 0 || value === '0.0.0.0' || value === '::' || (value as unknown[]).length === 0
  return Object.fromEntries(Object.entries(encap).filter(([, value]) => !isZero(value)))
}

function valuesOf({ table, values = {} }: Entry): fc.Arbitrary<Record<string, unknown>> {
  const shape: Record<string, fc.Arbitrary<unknown>> = {}
  for (const { name, codec } of table.list) {
    const generator = values[name] ?? byCodec.get(codec)
    if (generator === undefined) throw new Error(`no generator for ${name}`)
    shape[name] = generator
  }
  return optional(shape) as fc.Arbitrary<Record<string, unknown>>
}

function encode(table: AttrTable, value: object): Uint8Array {
  const out = new Writer()
  writeAttrs(out, table, value)
  return out.copy()
}

const decode = (table: AttrTable, bytes: Uint8Array): object =>
  readAttrs(table, viewOf(bytes), 0, bytes.length)

for (const [name, entry] of Object.entries(tables)) {
  holds(t, `${name}: what is written is read back`, valuesOf(entry), (value) => {
    const bytes = encode(entry.table, value)
    assert.equal(bytes.length % 4, 0)
    assert.deepEqual(decode(entry.table, bytes), value)
  })
  holds(
    t,
    `${name}: any bytes are read or refused with DecodeError`,
    fc.tuple(valuesOf(entry), fc.array(fc.tuple(fc.nat(), u8), { maxLength: 4 }), fc.nat(8)),
    ([value, changes, cut]) => {
      const bytes = encode(entry.table, value)
      for (const [at, byte] of changes) bytes[at % Math.max(1, bytes.length)] = byte
      attempt(entry.table, bytes.slice(0, Math.max(0, bytes.length - cut)))
    },
  )
}

function attempt(table: AttrTable, bytes: Uint8Array): void {
  try {
    decode(table, bytes)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
  }
}

t.test('no table is missing here', async (t) => {
  const root = new URL('../../src/netlink-ts/', import.meta.url)
  const files = ['', 'route/'].flatMap((folder) =>
    readdirSync(new URL(folder, root))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(new URL(folder + file, root), 'utf8')),
  )
  const exported = files.flatMap(
    (source) => source.match(/^export const \w+ = attrTable\(/gm) ?? [],
  )
  t.equal(Object.keys(tables).length, exported.length)
  const hidden = files.flatMap((source) => source.match(/^const \w+ = attrTable\(/gm) ?? [])
  t.strictSame(hidden.sort(), [
    'const infoAttrs = attrTable(',
    'const nextHopAttrs = attrTable(',
    'const portAttrs = attrTable(',
    'const qdiscAttrs = attrTable(',
  ])
})

// One case per check. Little-endian; type 0x00ff is in no table.
const malformed = [
  ['a header cut short', vxlanAttrs, '08'],
  ['a length below the header, unknown type', vxlanAttrs, '0300ff00'],
  ['a length past the end, unknown type', vxlanAttrs, '0800ff00'],
  ['a second attribute past the end', vxlanAttrs, '050007000100000009001000'],
  ['a u8 of 2 bytes', vxlanAttrs, '0600050001000000'],
  ['a u16 of 1 byte', vxlanAttrs, '05000f0001000000'],
  ['a u32 of 2 bytes', vxlanAttrs, '060001002a000000'],
  ['an IPv4 address of 16 bytes', vxlanAttrs, `14000400${'00'.repeat(16)}`],
  ['an IPv6 address of 4 bytes', vxlanAttrs, '080011000a000001'],
  ['a port range of 2 bytes', vxlanAttrs, '06000a0001000000'],
  ['a boolean of 4 bytes', vxlanAttrs, '0800070001000000'],
  ['an address of 5 bytes', addrAttrs, '090002000a00000100000000'],
  ['a lifetime of 8 bytes', addrAttrs, `0c000600${'00'.repeat(8)}`],
  ['a link-layer address of 33 bytes', linkAttrs, `25000100${'00'.repeat(36)}`],
  ['a bridge time of 2 bytes', bridgeAttrs, '0600040001000000'],
  ['a gateway of another family, of 5 bytes', routeAttrs, '0900120002000a0000000000'],
  ['a next hop cut short', routeAttrs, '0800090010000000'],
  ['a next hop shorter than its struct', routeAttrs, '0c0009000400000003000000'],
  ['a next hop past the end', routeAttrs, '0c0009001000000003000000'],
  ['a nested attribute past the end', routeAttrs, '080008000c000200'],
  ['an identifier of 4 bytes', ipEncapAttrs, '0800010000000064'],
  ['a VLAN of 2 bytes', bridgeSpecAttrs, '0600020001000000'],
  ['a port range of 3 bytes', ruleAttrs, '0700170001000200'],
  ['a rate of 35 bytes', tbfAttrs, `27000100${'00'.repeat(36)}`],
  ['a group member of 7 bytes', nexthopAttrs, '0b000200010000000000000000'],
  ['link info past its end', linkMessageAttrs, '0800120009000100'],
  [
    'vxlan settings of the wrong size',
    linkMessageAttrs,
    `1c001200090001007678${'6c616e'}000000${'0a000200060001002a000000'}`,
  ],
] as const

for (const [what, table, bytes] of malformed) {
  t.throws(() => decode(table, unhex(bytes)), DecodeError, what)
}

const unfit = [
  ['a u8 above 255', vxlanAttrs, { ttl: 256 }],
  ['a VNI of 25 bits', vxlanAttrs, { vni: 2 ** 24 }],
  ['VLAN 4095', vlanAttrs, { id: 4095 }],
  ['a negative u8', vxlanAttrs, { ttl: -1 }],
  ['a fraction', vxlanAttrs, { ttl: 1.5 }],
  ['a u16 above 65535', vxlanAttrs, { port: 65_536 }],
  ['a u32 above 2^32', vxlanAttrs, { limit: 2 ** 32 }],
  ['not a number', vxlanAttrs, { limit: Number.NaN }],
  ['an IPv6 address as IPv4', vxlanAttrs, { local: 'fd00::1' }],
  ['an IPv4 address as IPv6', vxlanAttrs, { local6: '10.0.0.1' }],
  ['a name nobody gave a number', vxlanAttrs, { df: 'maybe' }],
  ['a name every object has', vxlanAttrs, { df: 'constructor' }],
  ['an interface name of 16 bytes', linkAttrs, { name: 'abcdefghijklmnop' }],
  ['an empty interface name', linkAttrs, { name: '' }],
  ['an interface name with a slash', linkAttrs, { name: 'a/b' }],
  ['an interface name with a space', linkAttrs, { name: 'a b' }],
  ['an interface name of dots', linkAttrs, { name: '..' }],
  ['a zero byte in text', linkAttrs, { alias: 'a\0b' }],
  ['a MAC address with a short part', linkAttrs, { mac: '02:0:00:00:00:01' }],
  ['a MAC address with dashes', linkAttrs, { mac: '02-00-00-00-00-01' }],
  ['a weight of 257', routeAttrs, { multipath: [{ weight: 257 }] }],
  ['an encapsulation without a type', routeAttrs, { multipath: [{ encap: { type: 7 } }] }],
  ['an identifier above 2^53', ipEncapAttrs, { id: 2 ** 53 }],
  ['a flag nobody gave a bit', ipEncapAttrs, { flags: ['oam'] }],
  ['a range that ends before it starts', ruleAttrs, { sport: { start: 2, end: 1 } }],
  ['text too long for an attribute', linkAttrs, { alias: 'x'.repeat(65_532) }],
] as const

for (const [what, table, value] of unfit) {
  t.throws(() => encode(table as AttrTable, value), RangeError, what)
}

// Bytes worked out by hand from if_link.h.
const vxlan = '080001002a000000' + '06000f0012b50000'
t.equal(hex(encode(vxlanAttrs, { vni: 42, port: 4789 })), vxlan, 'id 42 dstport 4789')
t.strictSame(decode(vxlanAttrs, unhex('080001802a000000')), { vni: 42 }, 'NLA_F_NESTED is ignored')
t.strictSame(
  decode(vxlanAttrs, unhex('0600 0f40 12b5 0000')),
  { port: 4789 },
  'and so is byte order',
)
t.strictSame(
  // Two next hops; the first is 14 bytes long and padded to 16.
  decode(routeAttrs, unhex('1c000900 0e00000003000000 0600ff00 0000 0000 0800000104000000')),
  {
    multipath: [
      { oif: 3, weight: 1 },
      { oif: 4, weight: 2 },
    ],
  },
  'padding between next hops is skipped',
)
t.strictSame(
  decode(vxlanAttrs, unhex(`0500ff0001000000${vxlan}`)),
  { vni: 42, port: 4789 },
  'an unknown attribute is skipped',
)
t.strictSame(
  decode(vxlanAttrs, unhex('080001000100000008000100020000000')),
  { vni: 2 },
  'of two attributes the last one counts',
)
t.equal(hex(encode(vxlanAttrs, { gpe: false })), '', 'a flag that is off is not written')
t.strictSame(decode(vxlanAttrs, unhex('05001b0000000000')), { gpe: false }, 'a flag sent as a u8')
