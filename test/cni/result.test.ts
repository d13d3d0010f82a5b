/** One result in the shape of every version that a caller may speak. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { CNI_VERSIONS, type CniResult, renderResult, resultAddresses } from '../../src/cni/mod.ts'
import { ADDRESS_BITS, ipFamily, parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { ipArb } from '../net/arbitraries.ts'
import { holds } from '../support/property.ts'

const RESULT: CniResult = {
  interfaces: [
    { name: 'trv1', mac: parseMac('02:74:72:69:76:01'), mtuBytes: 1450 },
    { name: 'eth0', mac: parseMac('02:00:00:00:00:07'), mtuBytes: 1450, sandbox: '/run/netns/a' },
  ],
  ips: [
    { ip: parseIp('10.42.0.7'), prefixLength: 32, gateway: parseIp('169.254.1.1'), interface: 1 },
    { ip: parseIp('10.42.0.8'), prefixLength: 32, interface: 1 },
    { ip: parseIp('fd42::7'), prefixLength: 128, gateway: parseIp('fe80::1'), interface: 1 },
  ],
  routes: [
    { dst: parsePrefix('0.0.0.0/0'), via: parseIp('169.254.1.1') },
    { dst: parsePrefix('::/0'), via: parseIp('fe80::1') },
    { dst: parsePrefix('10.0.0.0/8') },
  ],
}

const LEGACY = {
  ip4: {
    ip: '10.42.0.7/32',
    gateway: '169.254.1.1',
    routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '10.0.0.0/8' }],
  },
  ip6: { ip: 'fd42::7/128', gateway: 'fe80::1', routes: [{ dst: '::/0', gw: 'fe80::1' }] },
  dns: {},
}

const interfaces = (extra: object): readonly object[] => [
  { name: 'trv1', mac: '02:74:72:69:76:01', ...extra },
  { name: 'eth0', mac: '02:00:00:00:00:07', ...extra, sandbox: '/run/netns/a' },
]
const ips = (typed: boolean): readonly object[] => {
  const version = (text: string): object => (typed ? { version: text } : {})
  return [
    { ...version('4'), interface: 1, address: '10.42.0.7/32', gateway: '169.254.1.1' },
    { ...version('4'), interface: 1, address: '10.42.0.8/32' },
    { ...version('6'), interface: 1, address: 'fd42::7/128', gateway: 'fe80::1' },
  ]
}
const routes = [
  { dst: '0.0.0.0/0', gw: '169.254.1.1' },
  { dst: '::/0', gw: 'fe80::1' },
  { dst: '10.0.0.0/8' },
]

const SHAPES: Readonly<Record<(typeof CNI_VERSIONS)[number], object>> = {
  '0.1.0': LEGACY,
  '0.2.0': LEGACY,
  '0.3.0': { interfaces: interfaces({}), ips: ips(true), routes, dns: {} },
  '0.3.1': { interfaces: interfaces({}), ips: ips(true), routes, dns: {} },
  '0.4.0': { interfaces: interfaces({}), ips: ips(true), routes, dns: {} },
  '1.0.0': { interfaces: interfaces({}), ips: ips(false), routes, dns: {} },
  '1.1.0': { interfaces: interfaces({ mtu: 1450 }), ips: ips(false), routes, dns: {} },
}

for (const version of CNI_VERSIONS) {
  const expected = { cniVersion: version, ...SHAPES[version] }
  t.strictSame(JSON.parse(JSON.stringify(renderResult(RESULT, version))), expected, version)
}

t.test('ADD-07 a delegated result has no interfaces, and no index of one', async (t) => {
  const alone = {
    interfaces: [],
    routes: [],
    ips: [{ ip: parseIp('10.42.0.7'), prefixLength: 16 }],
  }
  t.strictSame(renderResult(alone, '1.0.0'), {
    cniVersion: '1.0.0',
    ips: [{ address: '10.42.0.7/16' }],
    routes: [],
    dns: {},
  })
})

t.test('up to 0.2.0 a result without addresses cannot be said', async (t) => {
  const empty = { interfaces: [], ips: [], routes: [] }
  t.throws(() => renderResult(empty, '0.2.0'), { message: 'cannot convert: no valid IP addresses' })
  t.strictSame(renderResult(empty, '0.4.0'), { cniVersion: '0.4.0', ips: [], routes: [], dns: {} })
})

t.test('one family: routes of the other are dropped up to 0.2.0', async (t) => {
  const [first] = RESULT.ips
  const one = renderResult({ ...RESULT, ips: first === undefined ? [] : [first] }, '0.1.0')
  t.strictSame(Object.keys(one), ['cniVersion', 'ip4', 'dns'])
})

const odd: readonly (readonly [unknown, readonly string[]])[] = [
  [{}, []],
  [{ ips: 'x' }, []],
  [{ ips: [null, 7, {}, { address: 7 }, { address: '10.0.0.1/24' }] }, ['10.0.0.1/24']],
  [{ ip4: null, ip6: { ip: 'fd42::7/64' } }, ['fd42::7/64']],
]
for (const [result, expected] of odd) {
  t.strictSame(resultAddresses(result as Record<string, unknown>), expected, JSON.stringify(result))
}

const manyArb = fc.array(ipArb, { minLength: 1, maxLength: 5 })
holds(t, 'every version names the addresses that CHECK reads back', manyArb, (addresses) => {
  const all = addresses.map((ip) => ({ ip, prefixLength: ADDRESS_BITS[ipFamily(ip)] }))
  const firsts = [4, 6].flatMap((family) =>
    addresses.filter((ip) => ipFamily(ip) === family).slice(0, 1),
  )
  for (const version of CNI_VERSIONS) {
    const read = resultAddresses(renderResult({ interfaces: [], ips: all, routes: [] }, version))
    const wanted = version < '0.3.0' ? firsts : addresses
    assert.deepEqual(
      read.map((text) => text.split('/')[0]),
      wanted,
    )
  }
})
