/** What a caller asks for a pod, by every way that it may come, and in every case of letters. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseCniArgs } from '../../src/cni/args.ts'
import { parseAsk } from '../../src/cni/ask.ts'
import { ASKS_NOTHING, cniError } from '../../src/cni/mod.ts'
import { holds } from '../support/property.ts'

type Json = Readonly<Record<string, unknown>>

const ask = (raw: Json, args = '') => parseAsk(raw, parseCniArgs(args))
const annotated = (annotations: unknown): Json => ({
  runtimeConfig: { 'io.kubernetes.cri.pod-annotations': annotations },
})

type Good = readonly [what: string, raw: Json, args: string, expected: Json]

const GOOD: readonly Good[] = [
  ['nothing', {}, '', { ips: [], pools: [] }],
  ['CNI_ARGS IP', {}, 'IP=10.42.0.7', { ips: ['10.42.0.7'] }],
  ['CNI_ARGS IP with length', {}, 'IP=10.42.0.7/24', { ips: ['10.42.0.7'] }],
  ['CNI_ARGS IP, long', {}, 'IP=FD42::0007', { ips: ['fd42::7'] }],
  ['CNI_ARGS IP, two', {}, 'IP=10.42.0.7,fd42::7', { ips: ['10.42.0.7', 'fd42::7'] }],
  ['args.cni.ips', { args: { cni: { ips: ['10.42.0.8'] } } }, '', { ips: ['10.42.0.8'] }],
  [
    'args.cni takes the place of CNI_ARGS',
    { args: { cni: { ips: ['10.42.0.8'], mac: '02:00:00:00:00:08' } } },
    'IP=10.42.0.7;MAC=02:00:00:00:00:07',
    { ips: ['10.42.0.8'], mac: '02:00:00:00:00:08' },
  ],
  [
    'args.cni that says nothing of addresses leaves CNI_ARGS',
    { args: { cni: { labels: [{ key: 'a', value: 'b' }] } } },
    'IP=10.42.0.7',
    { ips: ['10.42.0.7'] },
  ],
  [
    'what is passed over is not even read',
    { args: { cni: { ips: [] } } },
    'IP=nonsense',
    { ips: [] },
  ],
  [
    'runtimeConfig.ips, with and without length',
    { runtimeConfig: { ips: ['10.42.0.7', 'fd42::7/64'] } },
    '',
    { ips: ['10.42.0.7', 'fd42::7'] },
  ],
  [
    'the same address by three ways is one',
    { runtimeConfig: { ips: ['10.42.0.7/16'] }, ...{ args: {} } },
    'IP=10.42.0.7',
    { ips: ['10.42.0.7'] },
  ],
  [
    'the runtime before args before CNI_ARGS',
    { runtimeConfig: { mac: '02:00:00:00:00:09' }, args: { cni: { mac: '02:00:00:00:00:08' } } },
    'MAC=02:00:00:00:00:07',
    { mac: '02:00:00:00:00:09' },
  ],
  ['MAC in capitals', {}, 'MAC=02:AB:CD:EF:00:07', { mac: '02:ab:cd:ef:00:07' }],
  [
    'capitalised keys',
    { runtimeConfig: { Ips: ['10.42.0.7'], Mac: '02:00:00:00:00:09' } },
    '',
    { ips: ['10.42.0.7'], mac: '02:00:00:00:00:09' },
  ],
  [
    "containerd's DNS",
    { runtimeConfig: { dns: { Servers: ['10.0.0.10'], Searches: ['a.b'], Options: ['ndots:5'] } } },
    '',
    { dns: { nameservers: ['10.0.0.10'], search: ['a.b'], options: ['ndots:5'] } },
  ],
  [
    "podman's DNS",
    { runtimeConfig: { dns: { servers: ['10.0.0.10'] } } },
    '',
    { dns: { nameservers: ['10.0.0.10'] } },
  ],
  [
    "empty lists are nothing: the network's own DNS",
    {
      runtimeConfig: { dns: { Servers: [], Searches: null, Options: [] } },
      dns: { nameservers: ['192.0.2.53'], domain: 'example.org' },
    },
    '',
    { dns: { nameservers: ['192.0.2.53'], domain: 'example.org' } },
  ],
  [
    'annotations',
    annotated({ 'trivium.io/ip': '10.42.0.7, fd42::7', 'trivium.io/pool': '10.42.0.0/16' }),
    '',
    { ips: ['10.42.0.7', 'fd42::7'], pools: ['10.42.0.0/16'] },
  ],
  [
    "others' annotations are theirs",
    annotated({ 'example.org/ip': '7', 'trivium.iox/ip': '7' }),
    '',
    { ips: [], pools: [] },
  ],
  ['no annotations at all', annotated(null), '', { ips: [], pools: [] }],
  [
    'port mappings and bandwidth are the other plugins’',
    {
      runtimeConfig: {
        portMappings: [{ HostPort: 80 }],
        bandwidth: { IngressRate: 1 },
        cgroupPath: 7,
      },
    },
    '',
    { ips: [], pools: [] },
  ],
  [
    'truth as text is never read',
    { capabilities: { mac: 'true' }, disableCheck: 'false', disableGC: 'true' },
    '',
    { ips: [], pools: [] },
  ],
]

for (const [what, raw, args, expected] of GOOD) {
  t.strictSame(ask(raw, args), { ips: [], pools: [], ...expected }, `CFG-09 ${what}`)
}
t.strictSame(ask({}), ASKS_NOTHING)

type Bad = readonly [raw: Json, args: string, msg: string]
const config = (runtimeConfig: Json): Json => ({ runtimeConfig })
const LIST = 'wanted a list of at most 16 addresses'
const ONE = 'wanted an address like 10.42.0.7 or 10.42.0.7/24'

const BAD: readonly Bad[] = [
  [{}, 'IP=10.42.0.256', 'Cannot read IP in CNI_ARGS "10.42.0.256": not an IPv4 or IPv6 address'],
  [{}, 'IP=', 'Cannot read IP in CNI_ARGS "": not an IPv4 or IPv6 address'],
  [{}, 'MAC=7', 'Cannot read MAC in CNI_ARGS "7": wanted a unicast MAC like 02:54:72:00:00:01'],
  [
    config({ mac: '01:00:5e:00:00:01' }),
    '',
    'Cannot read runtimeConfig.mac "01:00:5e:00:00:01": wanted a unicast MAC like 02:54:72:00:00:01',
  ],
  [
    config({ mac: 7 }),
    '',
    'Cannot read runtimeConfig.mac: found 7, wanted a unicast MAC like 02:54:72:00:00:01',
  ],
  [
    config({ mac: '02:74:72:69:76:01' }),
    '',
    'Cannot read runtimeConfig.mac: found "02:74:72:69:76:01", wanted another one: this is the node\'s end of every pod\'s link',
  ],
  [config({ ips: '10.42.0.7' }), '', `Cannot read runtimeConfig.ips: found "10.42.0.7", ${LIST}`],
  [config({ ips: [7] }), '', `Cannot read runtimeConfig.ips: found 7, ${ONE}`],
  [
    config({ ips: ['10.42.0.7/x'] }),
    '',
    `Cannot read runtimeConfig.ips: found "10.42.0.7/x", ${ONE}`,
  ],
  [
    { args: { cni: { ips: ['x'] } } },
    '',
    'Cannot read args.cni.ips "x": not an IPv4 or IPv6 address',
  ],
  [{ args: 7 }, '', 'Cannot read args: found 7, wanted an object'],
  [{ args: { cni: [] } }, '', 'Cannot read args.cni: found [], wanted an object'],
  [{ runtimeConfig: 'x' }, '', 'Cannot read runtimeConfig: found "x", wanted an object'],
  [config({ dns: [] }), '', 'Cannot read runtimeConfig.dns: found [], wanted an object'],
  [
    config({ dns: { Servers: '10.0.0.10' } }),
    '',
    'Cannot read runtimeConfig.dns.nameservers: found "10.0.0.10", wanted a list of at most 64 texts',
  ],
  [{ dns: { domain: 7 } }, '', 'Cannot read dns.domain: found 7, wanted a text'],
  [
    annotated({ 'trivium.io/ip': 'here' }),
    '',
    'Cannot read annotation trivium.io/ip "here": not an IPv4 or IPv6 address',
  ],
  [
    annotated({ 'trivium.io/ip': 7 }),
    '',
    'Cannot read annotation trivium.io/ip: found 7, wanted a text',
  ],
  [
    annotated({ 'trivium.io/pool': 'blue' }),
    '',
    'Cannot read annotation trivium.io/pool "blue": wanted an address, a slash and a length, like 10.42.0.0/16',
  ],
  [
    annotated({ 'trivium.io/pol': '10.42.0.0/16' }),
    '',
    'Cannot carry out annotation trivium.io/pol: it means nothing here, wanted trivium.io/ip or trivium.io/pool',
  ],
  [annotated([]), '', 'Cannot read io.kubernetes.cri.pod-annotations: found [], wanted an object'],
]

for (const [raw, args, msg] of BAD) {
  let error: unknown
  try {
    ask(raw, args)
  } catch (thrown) {
    error = cniError(thrown, '1.1.0')
  }
  t.match(error, { code: 7, msg }, `CFG-08 ${msg}`)
}

holds(t, 'CFG-08 whatever comes is read or refused with code 7', fc.object(), (raw) => {
  try {
    ask(raw)
  } catch (thrown) {
    assert.equal(cniError(thrown, '1.1.0').code, 7, String(thrown))
  }
})
