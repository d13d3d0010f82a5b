/** Results of other plugins: read in every version, put together with ours, written in every version. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  answerOf,
  CNI_VERSIONS,
  type CniResult,
  type CniVersion,
  cniError,
  readResult,
  renderResult,
  writeResult,
} from '../../src/cni/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

type Json = Readonly<Record<string, unknown>>

/** All that 1.1.0 can say. */
const RICH: Json = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'br0', mac: '02:00:00:00:00:01', mtu: 1500 },
    {
      name: 'net1',
      mac: '02:00:00:00:00:02',
      mtu: 1500,
      sandbox: '/run/netns/a',
      socketPath: '/run/vhost.sock',
      pciID: '0000:00:1f.6',
    },
  ],
  ips: [
    { interface: 1, address: '192.0.2.7/24', gateway: '192.0.2.1' },
    { interface: 1, address: '192.0.2.8/24' },
    { interface: 1, address: '2001:db8::7/64', gateway: '2001:db8::1' },
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '192.0.2.1', mtu: 1400, advmss: 1360, priority: 7, table: 9, scope: 0 },
    { dst: '2001:db8:1::/48', gw: '2001:db8::1' },
    { dst: '198.51.100.0/24' },
  ],
  dns: { nameservers: ['192.0.2.53'], domain: 'example.org', search: ['a'], options: ['ndots:5'] },
}
const { interfaces, ips, routes, dns } = RICH as Record<string, readonly Json[]>
const of = (list: readonly Json[] | undefined, index: number): Json => list?.[index] ?? {}

const plain = [
  { name: 'br0', mac: '02:00:00:00:00:01' },
  { name: 'net1', mac: '02:00:00:00:00:02', sandbox: '/run/netns/a' },
]
const typed = ips?.map((ip) => ({
  version: String(ip['address']).includes(':') ? '6' : '4',
  ...ip,
}))
const legacy = {
  ip4: { ip: '192.0.2.7/24', gateway: '192.0.2.1', routes: [of(routes, 0), of(routes, 2)] },
  ip6: { ip: '2001:db8::7/64', gateway: '2001:db8::1', routes: [of(routes, 1)] },
  dns,
}

/** Goldens: what the reference library makes of it. */
const GOLDENS: Readonly<Record<CniVersion, Json>> = {
  '0.1.0': { cniVersion: '0.1.0', ...legacy },
  '0.2.0': { cniVersion: '0.2.0', ...legacy },
  '0.3.0': { cniVersion: '0.3.0', interfaces: plain, ips: typed, routes, dns },
  '0.3.1': { cniVersion: '0.3.1', interfaces: plain, ips: typed, routes, dns },
  '0.4.0': { cniVersion: '0.4.0', interfaces: plain, ips: typed, routes, dns },
  '1.0.0': { cniVersion: '1.0.0', interfaces, ips, routes, dns },
  '1.1.0': RICH,
}

for (const version of CNI_VERSIONS) {
  const written = writeResult(readResult(RICH, '1.1.0'), version)
  t.strictSame(JSON.parse(JSON.stringify(written)), GOLDENS[version], `ADD-04 1.1.0 to ${version}`)
  t.strictSame(
    writeResult(readResult(GOLDENS[version], '0.1.0'), version),
    GOLDENS[version],
    `ADD-04 ${version} to itself`,
  )
}

t.test('ADD-04 up from old versions: a family is told by its address, no interfaces', async (t) => {
  const up = writeResult(readResult(GOLDENS['0.2.0'], '0.2.0'), '0.4.0')
  t.strictSame(up['ips'], [
    { version: '4', address: '192.0.2.7/24', gateway: '192.0.2.1' },
    { version: '6', address: '2001:db8::7/64', gateway: '2001:db8::1' },
  ])
  t.notOk('interfaces' in up)
})

t.test('ADD-04 a result without a version is of the configuration’s', async (t) => {
  const { cniVersion: _none, ...bare } = GOLDENS['0.2.0']
  t.equal(readResult(bare, '0.2.0').ips.length, 2)
  t.equal(readResult(bare, '1.0.0').ips.length, 0, 'which another version does not see')
})

const OURS: CniResult = {
  interfaces: [
    { name: 'trv1', mac: parseMac('02:74:72:69:76:01'), mtuBytes: 1450 },
    { name: 'eth0', mac: parseMac('02:00:00:00:00:07'), mtuBytes: 1450, sandbox: '/run/netns/a' },
  ],
  ips: [
    { ip: parseIp('10.42.0.7'), prefixLength: 32, gateway: parseIp('169.254.1.1'), interface: 1 },
  ],
  routes: [{ dst: parsePrefix('0.0.0.0/0'), via: parseIp('169.254.1.1') }],
}

t.test('ADD-04 an earlier result is handed on, with ours behind it', async (t) => {
  const answer = answerOf(OURS, RICH, '1.1.0') as Record<string, readonly Json[]>
  t.strictSame(answer['interfaces']?.slice(0, 2), interfaces)
  t.match(answer['interfaces']?.slice(2), [{ name: 'trv1' }, { name: 'eth0', mtu: 1450 }])
  t.strictSame(answer['ips']?.slice(0, 3), ips)
  t.match(answer['ips']?.[3], { address: '10.42.0.7/32', interface: 3 })
  t.strictSame(answer['routes']?.slice(0, 3), routes)
  t.equal(answer['routes']?.length, 4)
  t.strictSame(answer['dns'], dns, 'their DNS, where we have none')
  const own = { nameservers: ['10.0.0.10'] }
  t.strictSame(answerOf({ ...OURS, dns: own }, RICH, '1.0.0')['dns'], own, 'ours, where we have')
  t.strictSame(answerOf(OURS, undefined, '0.2.0'), renderResult(OURS, '0.2.0'), 'none: ours alone')
})

t.test('ADD-06 an index points at its interface in every version', async (t) => {
  for (const version of CNI_VERSIONS.filter((each) => each >= '0.3.0')) {
    const answer = answerOf(OURS, GOLDENS[version], version) as Record<string, readonly Json[]>
    const last = answer['ips']?.at(-1)
    t.match(answer['interfaces']?.[Number(last?.['interface'])], { name: 'eth0' }, version)
  }
})

const BAD: readonly (readonly [raw: Json, code: number, msg: string | RegExp])[] = [
  [{ cniVersion: '9.9.9' }, 1, 'unsupported CNI result version "9.9.9"'],
  [{ cniVersion: 7 }, 1, 'unsupported CNI result version 7'],
  [{ ips: {} }, 6, 'could not parse prevResult: ips is {}, wanted a list of objects'],
  [{ ips: [7] }, 6, /ips is \[7\], wanted a list of objects/],
  [
    { ips: [{ address: '10.0.0.1' }] },
    6,
    'could not parse prevResult: ips[0].address is "10.0.0.1", wanted an address with prefix length',
  ],
  [{ ips: [{ address: '10.0.0.1/33' }] }, 6, /ips\[0\]\.address is "10\.0\.0\.1\/33"/],
  [
    { ips: [{ address: '10.0.0.1/8', interface: 0 }] },
    6,
    'could not parse prevResult: ips[0].interface is 0, wanted an index below 0, the number of interfaces',
  ],
  [{ interfaces: [{ name: 7 }] }, 6, /interfaces\[0\]\.name is 7, wanted a text/],
  [
    { interfaces: [{ name: 'a', mtu: 'x' }] },
    6,
    /interfaces\[0\]\.mtu is "x", wanted a whole number/,
  ],
  [{ routes: [{ dst: 'x' }] }, 6, /routes\[0\]\.dst is "x", wanted a prefix/],
  [{ cniVersion: '0.2.0', ip4: 7 }, 6, /ip4 is 7, wanted an object/],
  [{ dns: { search: 'x' } }, 7, /Cannot read prevResult\.dns\.search: found "x"/],
]
for (const [raw, code, msg] of BAD) {
  let error: unknown
  try {
    readResult(raw, '1.1.0')
  } catch (thrown) {
    error = cniError(thrown, '1.1.0')
  }
  t.match(error, { code, msg }, `ADD-04 refused: ${JSON.stringify(raw)}`)
}

const text = fc.constantFrom('a', 'eth0', '/run/netns/a')
const foreignArb = fc
  .record({
    interfaces: fc.array(
      fc.record(
        { name: text, mac: fc.constant('02:00:00:00:00:01'), mtu: fc.nat() },
        { requiredKeys: ['name'] },
      ),
      { maxLength: 3 },
    ),
    addresses: fc.array(fc.constantFrom('10.0.0.1/8', '10.0.0.2/8', 'fd00::1/64', 'fd00::2/128'), {
      minLength: 1,
      maxLength: 5,
    }),
    routes: fc.array(
      fc.record(
        {
          dst: fc.constantFrom('0.0.0.0/0', '::/0', 'fd01::/48'),
          gw: fc.constant('10.0.0.9'),
          table: fc.nat(),
        },
        { requiredKeys: ['dst'] },
      ),
      { maxLength: 4 },
    ),
  })
  .map(({ interfaces, addresses, routes }) => ({
    interfaces,
    routes,
    ips: addresses.map((address, index) => ({
      address,
      ...(interfaces.length === 0 ? {} : { interface: index % interfaces.length }),
    })),
  }))
const versionArb = fc.constantFrom(...CNI_VERSIONS)
holds(
  t,
  'ADD-04 a conversion keeps what both versions can say, and is made at most once',
  fc.tuple(foreignArb, versionArb, versionArb),
  ([result, first, second]) => {
    const once = writeResult(readResult({ cniVersion: '1.1.0', ...result }, '1.1.0'), first)
    assert.deepEqual(writeResult(readResult(once, first), first), once)
    const lower = first < second ? first : second
    const twice = writeResult(readResult(once, first), second)
    const direct = writeResult(readResult({ cniVersion: '1.1.0', ...result }, '1.1.0'), lower)
    const down = writeResult(readResult(twice, second), lower)
    assert.deepEqual(down, direct)
  },
)
