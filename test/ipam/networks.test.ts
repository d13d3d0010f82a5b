/** Networks: what a person can get wrong, what conflicts, and what changing one does. */
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  allocate,
  createNetwork,
  deleteNetwork,
  keys,
  type NetworkSpec,
  type NodeRecord,
  parseNetworkSpec,
  registerNode,
  setNetwork,
  type Tx,
} from '../../ipam/mod.ts'
import { macFromName, parseIp } from '../../src/net/mod.ts'
import { answerOf } from '../contract/store.ts'

const good: NetworkSpec = { name: 'pods', mode: 'vxlan', pools: [{ cidr: '10.42.0.0/16' }] }
const pool = (cidr: string, rest: object = {}): Partial<NetworkSpec> => ({
  pools: [{ cidr, ...rest }],
})

const U = 'Cannot use network pods: '
const bad: readonly (readonly [what: string, change: object, message: string])[] = [
  [
    'no name',
    { name: '' },
    'Cannot use network name "": wanted at most 64 letters, digits, "_", "." and "-", a letter or digit first',
  ],
  ['slash in the name', { name: 'a/b' }, 'Cannot use network name "a/b"'],
  ['dash first', { name: '-a' }, 'Cannot use network name "-a"'],
  ['long name', { name: 'a'.repeat(65) }, 'Cannot use network name "aaa'],
  ['name that is no text', { name: 7 }, 'Cannot use network name 7'],
  ['unknown mode', { mode: 'bgp' }, `${U}mode is "bgp", wanted vxlan, route, vlan or ipam`],
  ['no mode', { mode: undefined }, `${U}mode is missing, wanted vxlan, route, vlan or ipam`],
  ['no pools', { pools: [] }, `${U}list of pools is [], wanted at least one`],
  ['pools missing', { pools: undefined }, `${U}list of pools is missing, wanted at least one`],
  ['no CIDR', { pools: [{}] }, `${U}pool CIDR is missing, wanted text like 10.42.0.0/16`],
  [
    'text that is no CIDR',
    pool('10.42'),
    'Cannot read pool CIDR of network pods "10.42": wanted an address, a slash and a length',
  ],
  [
    'host bits',
    pool('10.42.0.9/16'),
    'Cannot read pool CIDR of network pods "10.42.0.9/16": host bits are set, 10.42.0.0/16 would do',
  ],
  [
    'IPv4 pool of two',
    pool('10.0.0.0/31'),
    `${U}pool 10.0.0.0/31 has 2 addresses, wanted at least 4`,
  ],
  [
    'IPv6 pool of two',
    pool('fd00::/127'),
    `${U}pool fd00::/127 has 2 addresses, wanted at least 4`,
  ],
  [
    'block shorter than the pool',
    pool('10.42.0.0/24', { blockLength: 23 }),
    `${U}block length of pool 10.42.0.0/24 is 23, wanted 24 to 32`,
  ],
  [
    'block longer than an address',
    pool('10.42.0.0/24', { blockLength: 33 }),
    `${U}block length of pool 10.42.0.0/24 is 33, wanted 24 to 32`,
  ],
  [
    'block with 17 host bits',
    pool('10.0.0.0/8', { blockLength: 15 }),
    `${U}block length of pool 10.0.0.0/8 is 15, wanted 16 to 32`,
  ],
  [
    'IPv6 block with 17 host bits',
    pool('fd00::/64', { blockLength: 111 }),
    `${U}block length of pool fd00::/64 is 111, wanted 112 to 128`,
  ],
  [
    'block length as text',
    pool('10.42.0.0/24', { blockLength: '26' }),
    `${U}block length of pool 10.42.0.0/24 is "26", wanted 24 to 32`,
  ],
  [
    'gateway outside',
    pool('10.42.0.0/24', { gateway: '10.43.0.1' }),
    `${U}gateway of pool 10.42.0.0/24 is "10.43.0.1", wanted an address inside the pool`,
  ],
  [
    'gateway of the other family',
    pool('10.42.0.0/24', { gateway: 'fd00::1' }),
    `${U}gateway of pool 10.42.0.0/24 is "fd00::1", wanted an address inside the pool`,
  ],
  [
    'gateway at the start',
    pool('10.42.0.0/24', { gateway: '10.42.0.0' }),
    `${U}gateway of pool 10.42.0.0/24 is "10.42.0.0", wanted`,
  ],
  [
    'gateway at the end',
    pool('10.42.0.0/24', { gateway: '10.42.0.255' }),
    `${U}gateway of pool 10.42.0.0/24 is "10.42.0.255", wanted`,
  ],
  [
    'gateway that is no address',
    pool('10.42.0.0/24', { gateway: 'gw' }),
    'Cannot read gateway of pool 10.42.0.0/24 of network pods "gw": not an IPv4 or IPv6 address',
  ],
  [
    'pools that overlap',
    { pools: [{ cidr: '10.42.0.0/16' }, { cidr: '10.42.7.0/24' }] },
    `${U}pools 10.42.0.0/16 and 10.42.7.0/24 overlap, wanted separate ones`,
  ],
  ['VNI 0', { options: { vni: 0 } }, `${U}vni is 0, wanted 1 to 16777215`],
  ['VNI of 25 bits', { options: { vni: 2 ** 24 } }, `${U}vni is 16777216, wanted 1 to 16777215`],
  ['half a VNI', { options: { vni: 1.5 } }, `${U}vni is 1.5, wanted 1 to 16777215`],
  ['port 0', { options: { vxlanPort: 0 } }, `${U}vxlanPort is 0, wanted 1 to 65535`],
  ['port 65536', { options: { vxlanPort: 65_536 } }, `${U}vxlanPort is 65536, wanted 1 to 65535`],
  ['VLAN 4095', { options: { vlanId: 4095 } }, `${U}vlanId is 4095, wanted 1 to 4094`],
  ['VLAN 0', { options: { vlanId: 0 } }, `${U}vlanId is 0, wanted 1 to 4094`],
  [
    'VLAN 0 with a bridge',
    { mode: 'vlan', options: { vlanId: 0 } },
    `${U}vlanId is 0 (untagged) with attachment bridge, wanted 1 to 4094`,
  ],
  [
    'VLAN -1 with macvlans',
    { mode: 'vlan', options: { vlanId: -1, attachment: 'macvlan' } },
    `${U}vlanId is -1, wanted 0 to 4094`,
  ],
  [
    'an attachment that nobody knows',
    { mode: 'vlan', options: { vlanId: 7, attachment: 'ipvlan' } },
    `${U}attachment is "ipvlan", wanted bridge or macvlan`,
  ],
  ['vlan without id', { mode: 'vlan' }, `${U}vlanId is missing, wanted 1 to 4094 in vlan mode`],
  ['MTU 67', { options: { mtuBytes: 67 } }, `${U}mtuBytes is 67, wanted 68 to 65535`],
  [
    'MTU 1279 with IPv6',
    { ...pool('fd00::/64'), options: { mtuBytes: 1279 } },
    `${U}mtuBytes is 1279, wanted 1280 to 65535`,
  ],
  ['options as text', { options: 'vni=1' }, `${U}options is "vni=1", wanted an object`],
  [
    'option with a typo',
    { options: { vnl: 1 } },
    `${U}unknown option is "vnl", wanted vni, vxlanPort, vlanId, cooldownSeconds, idleSeconds, mtuBytes, flavour, attachment, peerRoutes, crossSubnet, masquerade, checksumOffload, anyKernel, cooldownStrict or conflictProbe`,
  ],
]

t.test('parseNetworkSpec() refuses', async (t) => {
  for (const [what, change, message] of bad) {
    const spec = { ...good, ...change } as NetworkSpec
    try {
      parseNetworkSpec(spec, 1)
      t.fail(`${what} passes`)
    } catch (thrown) {
      const { code, message: found } = thrown as { code: string; message: string }
      t.equal(code, 'BAD_CONFIG', what)
      t.ok(found.startsWith(message), what, { found, wanted: message })
      t.notMatch(found, /\.$/)
    }
  }
})

t.test('parseNetworkSpec() fills in defaults', async (t) => {
  const pools = [{ cidr: '10.42.0.0/16' }, { cidr: '10.9.0.0/28' }, { cidr: 'FD42:0::/64' }]
  t.strictSame(parseNetworkSpec({ ...good, pools }, 5), {
    name: 'pods',
    mode: 'vxlan',
    pools: [
      { cidr: '10.42.0.0/16', blockLength: 26 },
      { cidr: '10.9.0.0/28', blockLength: 28 },
      { cidr: 'fd42::/64', blockLength: 122 },
    ],
    options: { vxlanPort: 8472, vlanId: 1 },
    createdMs: 5,
  })
})

const transact = <T>(body: (tx: Tx) => T): Promise<T> =>
  answerOf(memoryStore({ defer: queueMicrotask }), body)
const spec = (name: string, cidr: string, rest: object = {}) =>
  parseNetworkSpec({ name, mode: 'vxlan', pools: [{ cidr }], ...rest }, 1)
const attach = (tx: Tx, network: string, containerId: string, node = 'n1') =>
  allocate(tx, {
    key: { network, containerId, ifname: 'eth0' },
    node,
    netns: '',
    mayClaim: true,
    nowMs: 1,
    bootId: '',
  })

t.test('createNetwork() gives the lowest unused VNI', (t) =>
  transact((tx) => {
    const vni = (name: string, cidr: string, options = {}) =>
      createNetwork(tx, spec(name, cidr, { options })).network.options.vni
    t.equal(vni('a', '10.1.0.0/16'), 1)
    t.equal(vni('b', '10.2.0.0/16', { vni: 3 }), 3)
    t.equal(vni('c', '10.3.0.0/16'), 2)
    t.equal(vni('d', '10.4.0.0/16'), 4)
  }),
)

t.test('createNetwork() again', (t) =>
  transact((tx) => {
    t.equal(createNetwork(tx, spec('a', '10.1.0.0/16')).kind, 'created')
    const again = createNetwork(tx, { ...spec('a', '10.1.0.0/16'), createdMs: 9 })
    t.match(again, { kind: 'unchanged', network: { createdMs: 1 } })
    const conflicts: [object, string][] = [
      [{ mode: 'route' }, 'mode vxlan, wanted route'],
      [{ pools: [{ cidr: '10.5.0.0/16' }] }, 'pools 10.1.0.0/16:26, wanted 10.5.0.0/16:26'],
      [{ options: { vni: 7 } }, 'vni 1, wanted 7'],
      [{ options: { vxlanPort: 4789 } }, 'vxlanPort 8472, wanted 4789'],
      [{ options: { mtuBytes: 1400 } }, 'mtuBytes auto, wanted 1400'],
    ]
    for (const [change, difference] of conflicts) {
      t.throws(() => createNetwork(tx, spec('a', '10.1.0.0/16', change)), {
        code: 'CONFLICT',
        message: `Cannot create network a: it exists with ${difference}`,
      })
    }
  }),
)

t.test('createNetwork() beside others', (t) =>
  transact((tx) => {
    createNetwork(tx, spec('a', '10.0.0.0/8'))
    t.throws(() => createNetwork(tx, spec('b', '10.1.0.0/16')), {
      code: 'CONFLICT',
      message:
        'Cannot use network b: its pool 10.1.0.0/16 overlaps pool 10.0.0.0/8 of network a, wanted separate ones',
    })
    t.throws(() => createNetwork(tx, spec('b', '11.1.0.0/16', { options: { vni: 1 } })), {
      code: 'CONFLICT',
      message: 'Cannot use network b: VNI 1 belongs to network a, wanted another',
    })
  }),
)

t.test('setNetwork()', (t) =>
  transact((tx) => {
    createNetwork(tx, spec('a', '10.1.0.0/16'))
    t.equal(setNetwork(tx, 'a', {}).kind, 'unchanged')
    t.match(setNetwork(tx, 'a', { mode: 'route', options: { mtuBytes: 1400 } }), {
      kind: 'changed',
      network: { mode: 'route', options: { mtuBytes: 1400, vni: 1 } },
    })
    t.throws(() => setNetwork(tx, 'b', {}), {
      code: 'NOT_FOUND',
      message: 'Cannot find network b: there is a',
    })
    t.throws(() => setNetwork(tx, 'a', { mode: 'vlan' }), {
      code: 'BAD_CONFIG',
      message: 'vlanId is missing',
    })
    attach(tx, 'a', 'c1')
    t.equal(setNetwork(tx, 'a', { mode: 'vxlan' }).kind, 'changed', 'pods keep their links')
    t.throws(() => setNetwork(tx, 'a', { mode: 'vlan', options: { vlanId: 9 } }), {
      code: 'CONFLICT',
      message:
        'Cannot change network a from vxlan to vlan: 1 pod attached (1 on node n1: c1), wanted none',
    })
    t.throws(() => setNetwork(tx, 'a', { mode: 'ipam' }), {
      code: 'CONFLICT',
      message:
        'Cannot change network a from vxlan to ipam: 1 pod attached (1 on node n1: c1), wanted none',
    })
  }),
)

t.test('how pods hang on a VLAN', (t) =>
  transact((tx) => {
    const vlan = (vlanId: number, attachment?: 'bridge' | 'macvlan') => ({
      mode: 'vlan',
      options: { vlanId, ...(attachment === undefined ? {} : { attachment }) },
    })
    createNetwork(tx, spec('a', '10.1.0.0/16', vlan(7)))
    t.throws(() => createNetwork(tx, spec('b', '10.2.0.0/16', vlan(7, 'macvlan'))), {
      code: 'CONFLICT',
      message: 'VLAN 7 has attachment bridge in network a, wanted the same, found macvlan',
    })
    createNetwork(tx, spec('b', '10.2.0.0/16', vlan(0, 'macvlan')))
    t.throws(() => setNetwork(tx, 'b', { options: { attachment: undefined } }), {
      code: 'BAD_CONFIG',
      message: 'vlanId is 0 (untagged) with attachment bridge',
    })
    for (const attachment of ['macvlan', 'bridge'] as const) {
      t.equal(setNetwork(tx, 'a', { options: { attachment } }).kind, 'changed', 'without pods')
    }
    attach(tx, 'a', 'c1')
    attach(tx, 'b', 'c2')
    t.throws(() => setNetwork(tx, 'a', { options: { attachment: 'macvlan' } }), {
      code: 'CONFLICT',
      message: /^Cannot change network a from attachment bridge to macvlan: 1 pod attached .*c1/,
    })
    t.throws(() => setNetwork(tx, 'b', { options: { vlanId: 8 } }), {
      code: 'CONFLICT',
      message: 'Cannot change network b from VLAN 0 to 8: 1 pod attached',
    })
    t.equal(setNetwork(tx, 'a', { options: { vlanId: 8 } }).kind, 'changed', 'ports follow')
    t.equal(setNetwork(tx, 'b', { options: { mtuBytes: 1400 } }).kind, 'changed')
  }),
)

t.test('deleteNetwork()', (t) =>
  transact((tx) => {
    createNetwork(tx, spec('a', '10.1.0.0/16'))
    attach(tx, 'a', 'c1', 'n1')
    attach(tx, 'a', 'c2', 'n2')
    attach(tx, 'a', 'c3', 'n2')
    t.throws(() => deleteNetwork(tx, 'a'), {
      code: 'CONFLICT',
      message:
        'Cannot delete network a: 3 pods attached (1 on node n1: c1; 2 on node n2: c2, c3), wanted none',
    })
    createNetwork(tx, spec('b', '10.2.0.0/16'))
    t.strictSame(deleteNetwork(tx, 'b'), { blocks: 0 })
    t.throws(() => deleteNetwork(tx, 'b'), { code: 'NOT_FOUND' })
  }),
)

t.test('registerNode() of a network that changes its road', (t) =>
  transact((tx) => {
    const node = (name: string, ip: string, rest: object = {}): NodeRecord => ({
      ...{ name, underlayLink: 'eth0', underlayIps: [parseIp(ip)], underlayMtuBytes: 1500 },
      ...{ vtepMac: macFromName(name), registeredMs: 1, ...rest },
    })
    createNetwork(tx, spec('a', '10.1.0.0/16'))
    registerNode(tx, node('n1', '192.0.2.1'))
    const { network } = setNetwork(tx, 'a', { mode: 'route' })
    const serial = network.move?.serial
    const there = { a: { serial, takes: ['new'], uses: ['new'] } }
    registerNode(tx, node('n1', '192.0.2.1'))
    t.equal(tx.get(keys.node('n1'))?.moves, undefined, 'who has not said so is not there')
    registerNode(tx, node('n2', '192.0.2.2'))
    t.strictSame(tx.get(keys.node('n2'))?.moves, there, 'who is new was never anywhere else')
    registerNode(tx, node('n1', '192.0.2.1', { moves: there }))
    registerNode(tx, node('n1', '192.0.2.9'))
    t.strictSame(tx.get(keys.node('n1'))?.moves, there, 'what is not said again stays')
    registerNode(tx, node('n1', '192.0.2.9', { moves: {} }))
    t.notOk('moves' in (tx.get(keys.node('n1')) ?? {}), 'in none')
  }),
)

t.test('registerNode()', (t) =>
  transact((tx) => {
    const node = (name: string, ip: string, rest: object = {}): NodeRecord => ({
      name,
      underlayLink: 'eth0',
      underlayIps: [parseIp(ip)],
      underlayMtuBytes: 1500,
      vtepMac: macFromName(name),
      registeredMs: 1,
      ...rest,
    })
    t.equal(registerNode(tx, node('n1', '192.0.2.1')).kind, 'registered')
    t.equal(registerNode(tx, node('n1', '192.0.2.1', { registeredMs: 9 })).kind, 'unchanged')
    t.equal(registerNode(tx, node('n1', '192.0.2.9', { registeredMs: 9 })).kind, 'updated')
    t.equal(tx.get(keys.node('n1'))?.registeredMs, 1)
    t.equal(registerNode(tx, node('n2', '192.0.2.1')).kind, 'registered', 'a freed address')
    t.throws(() => registerNode(tx, node('n3', '192.0.2.9')), {
      code: 'CONFLICT',
      message: 'Cannot register node n3: node n1 has 192.0.2.9, wanted one of its own',
    })
    t.throws(() => registerNode(tx, node('n3', '192.0.2.3', { vtepMac: macFromName('n1') })), {
      code: 'CONFLICT',
    })
  }),
)
