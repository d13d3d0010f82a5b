/** What libcni does, and what is made of answers. */
import t from 'tap'
import { parseDump } from '../../src/conformance/dump.ts'
import { convertResult, readResult, shapeFaults } from '../../src/conformance/result.ts'
import {
  answerOf,
  type Call,
  capabilitiesOf,
  parseNetworkList,
  pluginInput,
} from '../../src/conformance/runtime.ts'

const call = (more: Partial<Call>): Call => ({
  verb: 'ADD',
  plugin: 'x',
  exitStatus: 0,
  stdout: '',
  stderr: '',
  ms: 1,
  ...more,
})

t.test('configurations', async (t) => {
  const parse = (value: unknown) => parseNetworkList(JSON.stringify(value), 'x.conf')
  t.match(parse({ name: 'n', type: 'a' }), { cniVersion: '0.1.0', plugins: [{ type: 'a' }] })
  t.match(parse({ name: 'n', cniVersion: '1.0.0', plugins: [{ type: 'a' }, { type: 'b' }] }), {
    plugins: [{ type: 'a' }, { type: 'b' }],
  })
  for (const wrong of [
    [],
    {},
    { name: 'n' },
    { name: 'n', plugins: [] },
    { name: 'n', type: '../a' },
  ]) {
    t.throws(() => parse(wrong), { code: 'USAGE' }, JSON.stringify(wrong))
  }
  t.throws(() => parseNetworkList('{', 'x.conf'), { code: 'USAGE' })
})

t.test("a plugin's standard input", async (t) => {
  const plugin = { type: 'a', capabilities: { portMappings: true, dns: false } }
  const runtimeConfig = { portMappings: [1], dns: {}, mac: 'x' }
  t.strictSame(pluginInput(plugin, { name: 'n', version: '1.0.0', runtimeConfig }), {
    ...plugin,
    name: 'n',
    cniVersion: '1.0.0',
    runtimeConfig: { portMappings: [1] },
  })
  const list = parseNetworkList(JSON.stringify({ name: 'n', plugins: [plugin] }), 'x')
  t.strictSame(capabilitiesOf(list), ['portMappings'])
})

t.test('answers', async (t) => {
  const kind = (more: Partial<Call>) => answerOf(call(more))
  t.match(kind({ stdout: '{"a":1}\n' }), { kind: 'ok', object: { a: 1 }, isStrict: true })
  t.match(kind({ stdout: 'log\n{"a":1}\nlog' }), { kind: 'ok', object: { a: 1 }, isStrict: false })
  t.match(kind({ stdout: '{\n "a": {\n  "b": 1\n }\n}\n' }), {
    object: { a: { b: 1 } },
    isStrict: true,
  })
  t.match(kind({ stdout: '' }), { kind: 'ok', object: undefined })
  t.match(kind({ exitStatus: 1, stdout: '{"code":7,"msg":"m","details":"d"}' }), {
    kind: 'error',
    code: 7,
    msg: 'm; d',
  })
  t.match(kind({ exitStatus: 1, stdout: 'panic' }), { kind: 'broken', why: /"panic"/ })
  for (const fault of ['timeout', 'flood', 'encoding'] as const) {
    t.equal(kind({ fault, stdout: '{}' }).kind, 'broken', fault)
  }
})

const CURRENT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'h' }, { name: 'eth0', mac: 'AA', mtu: 1400, sandbox: '/n' }],
  ips: [
    { address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 1 },
    { address: 'FD00:0::2/64', interface: 1 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }, { dst: '::/0' }],
}

t.test('results: read and converted', async (t) => {
  t.match(readResult(CURRENT).ips, [{ address: '10.0.0.2/24' }, { address: 'fd00::2/64' }])
  const legacy = convertResult(CURRENT, '0.2.0')
  t.strictSame(legacy, {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
    dns: {},
  })
  const middle = convertResult(CURRENT, '0.4.0')
  t.match(middle, { ips: [{ version: '4' }, { version: '6' }] })
  for (const version of ['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const) {
    t.strictSame(shapeFaults(convertResult(CURRENT, version), version), [], version)
  }
  t.match(readResult(legacy).ips, [{ address: '10.0.0.2/24' }, { address: 'fd00::2/64' }])
})

t.test('results: what their version does not allow', async (t) => {
  const faults = (result: object, version: '0.2.0' | '0.4.0' | '1.0.0') =>
    shapeFaults(result as Record<string, unknown>, version)
  const ip = { address: '10.0.0.2/24', version: '4' }
  t.match(faults({ ips: [ip] }, '1.0.0'), [/"version"/])
  t.strictSame(faults({ ips: [ip] }, '0.4.0'), [])
  t.match(faults({ ips: [{ address: '10.0.0.2/24' }] }, '0.4.0'), [/version is undefined/])
  t.match(faults({ ips: [{ ...ip, interface: 1 }], interfaces: [{ name: 'a' }] }, '0.4.0'), [
    /of 1 int/,
  ])
  t.match(faults({ interfaces: [{ name: 'a', mtu: 1 }] }, '0.4.0'), [/"mtu" of 1.1.0/])
  t.match(faults({ ips: [] }, '0.2.0'), [/"ips" is no key/, /neither/])
  t.match(faults({ ip4: {} }, '1.0.0'), [/"ip4" is no key/])
  t.match(faults({ ips: [{ address: '10.0.0.2' }] }, '1.0.0'), [/address is "10.0.0.2"/])
  t.match(faults({ routes: [{ dst: 'default' }] }, '1.0.0'), [/dst is "default"/])
})

t.test('dumps leave out what the kernel does by itself', async (t) => {
  const text = [
    '== links',
    JSON.stringify([
      {
        ifname: 'br0',
        address: 'aa',
        mtu: 1500,
        flags: ['UP', 'LOWER_UP'],
        linkinfo: { info_kind: 'bridge' },
      },
    ]),
    JSON.stringify([
      {
        ifname: 'br0',
        addr_info: [
          { local: '10.0.0.1', prefixlen: 24, scope: 'global' },
          { local: 'fe80::5', prefixlen: 64, scope: 'link' },
        ],
      },
    ]),
    '[]',
    '== tables4',
    JSON.stringify([
      {
        type: '1',
        dst: '10.0.0.0/24',
        dev: 'br0',
        table: '254',
        protocol: '2',
        flags: ['linkdown'],
      },
      { type: '2', dst: '10.0.0.1', dev: 'br0', table: '255', protocol: '2' },
    ]),
    '[]',
    '== tables6',
    JSON.stringify([{ type: '1', dst: 'fe80::/64', dev: 'br0', protocol: '2' }]),
    '[]',
    '== iptables',
    '# Generated at noon',
    ':POSTROUTING ACCEPT [5:7]',
    ':CNI-1 - [0:0]',
    '-A CNI-1 -j MASQUERADE',
    '== files',
    '/var/lib/cni/networks/n/lock',
    '/var/lib/cni/networks/n/10.0.0.2',
  ].join('\n')
  t.strictSame(parseDump(text).lines, [
    'addr br0 10.0.0.1/24',
    'file /var/lib/cni/networks/n/10.0.0.2',
    'iptables -A CNI-1 -j MASQUERADE',
    'iptables :CNI-1 -',
    'link br0 bridge up mtu 1500',
    'route 10.0.0.0/24 type 1 table 254 dev br0 metric 0 proto 2',
  ])
})
