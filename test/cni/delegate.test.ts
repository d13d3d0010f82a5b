/** The result of a delegated IPAM plugin, and what the plugin above may say about it. */
import t from 'tap'
import { type CniRequest, checkGateways, ipamResult, parseRequest } from '../../src/cni/mod.ts'
import { parseIp } from '../../src/net/mod.ts'
import { attachment, network, POOL_4, POOL_6 } from '../backend/views.ts'

const POD = attachment('c0ffee', ['10.42.0.7', 'fd42::7'])
const GATEWAY = parseIp('10.42.0.1')
const HALF = network('ipam', { pools: [{ ...POOL_4, gateway: GATEWAY }, POOL_6] })
const WHOLE = network('ipam', {
  pools: [
    { ...POOL_4, gateway: GATEWAY },
    { ...POOL_6, gateway: parseIp('fd42::1') },
  ],
})

const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/c0ffee',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}

/** The request with these keys of the main plugin, and these in its `ipam`. */
function ask(main: object, own: object = {}, verb = 'ADD'): CniRequest {
  const ipam = { type: 'trivium-ipam', ...own }
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'lan', type: 'bridge', ...main, ipam })
  const input = { plugin: 'trivium-ipam', env: { ...ENV, CNI_COMMAND: verb }, config } as const
  const request = parseRequest(input)
  if (request.verb === 'VERSION') throw new Error('this is no VERSION')
  return request
}

const delegation = (main: object, own: object = {}) => ask(main, own).config.delegation

t.test("the pool's prefix, and its gateway with a default route through it", async (t) => {
  t.strictSame(ipamResult(POD, HALF, delegation({})), {
    interfaces: [],
    ips: [
      { ip: '10.42.0.7', prefixLength: 16, gateway: GATEWAY },
      { ip: 'fd42::7', prefixLength: 48 },
    ],
    routes: [{ dst: '0.0.0.0/0', via: GATEWAY }],
  })
})

t.test('routes of the configuration take their place, none among them', async (t) => {
  const routes = [{ dst: '10.0.0.0/8', gw: '10.42.0.9' }, { dst: '2001:db8::/32' }]
  t.strictSame(ipamResult(POD, WHOLE, delegation({}, { routes })).routes, [
    { dst: '10.0.0.0/8', via: '10.42.0.9' },
    { dst: '2001:db8::/32' },
  ])
  t.strictSame(ipamResult(POD, WHOLE, delegation({}, { routes: [] })).routes, [])
  t.equal(ipamResult(POD, WHOLE, delegation({}, { routes: null })).routes.length, 2)
})

t.test('routes that make no sense are refused, but not by DEL', async (t) => {
  const many = Array.from({ length: 257 }, () => ({ dst: '10.0.0.0/8' }))
  const family = [{ dst: '10.0.0.0/8', gw: 'fe80::1' }]
  const wrong = ['10.0.0.0/8', [{}], [{ dst: 7 }], [{ dst: '10.0.0.0/8', gw: 1 }], many, family]
  for (const routes of [...wrong, [{ dst: '10.1.2.3/8' }], [{ dst: '10.0.0.0/8', gw: 'x' }]]) {
    t.throws(() => ask({}, { routes }), { code: 'BAD_CONFIG', message: /"ipam.routes"/ })
    t.doesNotThrow(() => ask({}, { routes }, 'DEL'))
  }
})

t.test('keys of host-local that the store owns are refused', async (t) => {
  for (const key of ['subnet', 'ranges', 'rangeStart', 'rangeEnd', 'gateway']) {
    t.throws(() => ask({}, { [key]: '10.1.0.0/16' }), {
      code: 'UNSUPPORTED_FIELD',
      message: `unsupported field "${key}": "10.1.0.0/16"`,
    })
  }
})

t.test('plugins that need a gateway are told when a pool has none', async (t) => {
  const needy = [
    [{ isGateway: true }, 'bridge with isGateway'],
    [{ isDefaultGateway: true }, 'bridge with isDefaultGateway'],
    [{ type: 'ptp' }, 'ptp'],
  ] as const
  for (const [main, words] of needy) {
    t.throws(() => checkGateways(delegation(main), HALF), {
      code: 'BAD_CONFIG',
      message: `Cannot serve ${words}: pool ${POOL_6.cidr} of network pods has no gateway, wanted one`,
    })
    t.doesNotThrow(() => checkGateways(delegation(main), WHOLE))
  }
  for (const main of [{}, { type: 'macvlan', isGateway: true }, { isGateway: false }]) {
    t.doesNotThrow(() => checkGateways(delegation(main), HALF))
  }
})
