/** BGP settings: made, changed, refused, mirrored, and carried by backups. */
import t from 'tap'
import { wholeImage } from '../../ipam/backup/image.ts'
import { flawOf } from '../../ipam/backup/shape.ts'
import {
  addBgpPeer,
  peersOf,
  removeBgpPeer,
  setBgp,
  setBgpNode,
  setBgpRack,
  unsetBgp,
} from '../../ipam/bgp.ts'
import { isShared } from '../../ipam/cluster/down.ts'
import {
  createNetwork,
  keys,
  parseNetworkSpec,
  registerNode,
  setNetwork,
  type Tx,
} from '../../ipam/mod.ts'
import { readView } from '../../src/cluster/read-view.ts'
import { macFromName, parseIp } from '../../src/net/mod.ts'
import { smallStore } from './small-store.ts'

const ROUTER = parseIp('192.0.2.254')
const ALL = { kind: 'all' } as const

function world() {
  const store = smallStore()
  store.run((tx) => {
    const pools = [{ cidr: '10.42.0.0/16' }, { cidr: '10.43.0.0/16', rack: 'r2' }]
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1))
    registerNode(tx, {
      name: 'n1',
      underlayLink: 'eth0',
      underlayIps: [parseIp('192.0.2.1')],
      underlayMtuBytes: 1500,
      rack: 'r1',
      vtepMac: macFromName('n1'),
      registeredMs: 1,
    })
  })
  return store
}

/** As `world`, and everything that can be set. */
function full() {
  const store = world()
  store.run((tx) => {
    setBgp(
      tx,
      {
        asn: 64512,
        sessions: 'reflectors',
        clusterId: '0.0.0.7',
        bfd: { intervalMs: 100, multiplier: 3 },
      },
      5,
    )
    setBgpRack(tx, { rack: 'r1', asn: 64601, summaries: ['10.42.16.0/20', '10.42.0.0/20'] })
    setBgpNode(tx, { node: 'n1', reflector: true })
    addBgpPeer(tx, {
      scope: ALL,
      address: '192.0.2.254',
      asn: 65001,
      passwordFile: '/etc/trivium/tor',
    })
    addBgpPeer(tx, {
      scope: { kind: 'rack', name: 'r1' },
      address: '2001:db8::fe',
      asn: 65001,
      ttlSecurityHops: 1,
      families: ['ipv6', 'ipv4'],
    })
    addBgpPeer(tx, {
      scope: { kind: 'node', name: 'n1' },
      address: '192.0.2.253',
      asn: 65002,
      prefixesMax: 7,
      port: 1179,
    })
  })
  return store
}

t.test('what is set is in the view of every node', async (t) => {
  const store = full()
  const view = store.run((tx) => readView(tx, 'n1'))
  t.match(view?.bgp, {
    settings: { asn: 64512, sessions: 'reflectors', clusterId: '0.0.0.7', createdMs: 5 },
    peers: [
      { address: '192.0.2.254', asn: 65001 },
      { address: '192.0.2.253', prefixesMax: 7, port: 1179 },
      { address: '2001:db8::fe', families: ['ipv4', 'ipv6'], ttlSecurityHops: 1 },
    ],
  })
  t.strictSame(view?.bgp?.racks.get('r1')?.summaries, ['10.42.0.0/20', '10.42.16.0/20'])
  t.equal(view?.bgp?.nodes.get('n1')?.reflector, true)
  for (const [key] of store.run((tx) => [...tx.range(keys.bgp)])) t.ok(isShared(key), key)
  t.equal(store.run((tx) => setBgp(tx, { sessions: 'mesh' }, 9)).kind, 'changed', 'the rest stays')
  t.match(
    store.run((tx) => tx.get(keys.bgpSettings)),
    { asn: 64512, sessions: 'mesh', createdMs: 5 },
  )
  t.equal(store.run((tx) => setBgp(tx, {}, 9)).kind, 'unchanged')
})

t.test('what is taken back is gone, and with the last of it the record', async (t) => {
  const store = full()
  store.run((tx) => setBgpRack(tx, { rack: 'r1', asn: undefined }))
  t.strictSame(
    store.run((tx) => tx.get(keys.bgpRack('r1'))?.asn),
    undefined,
  )
  store.run((tx) => setBgpRack(tx, { rack: 'r1', summaries: undefined }))
  t.equal(
    store.run((tx) => tx.get(keys.bgpRack('r1'))),
    undefined,
  )
  store.run((tx) => setBgpNode(tx, { node: 'n1', reflector: false }))
  t.equal(
    store.run((tx) => tx.get(keys.bgpNode('n1'))),
    undefined,
  )
  store.run((tx) => removeBgpPeer(tx, ALL, ROUTER))
  t.equal(store.run(peersOf).length, 2)
  store.run((tx) => setNetwork(tx, 'pods', { options: { peerRoutes: 'bgp' } }))
  t.throws(() => store.run(unsetBgp), {
    code: 'CONFLICT',
    message: 'Cannot remove BGP settings: network pods has its routes from BGP, wanted none',
  })
  store.run((tx) => setNetwork(tx, 'pods', { options: { peerRoutes: 'direct' } }))
  store.run(unsetBgp)
  t.strictSame(
    store.run((tx) => [...tx.range(keys.bgp)]),
    [],
  )
  t.equal(store.run((tx) => readView(tx, 'n1'))?.bgp, undefined)
})

type Act = (tx: Tx) => unknown
const peer =
  (change: object): Act =>
  (tx) =>
    addBgpPeer(tx, { scope: ALL, address: '192.0.2.254', asn: 65001, ...change })

const REFUSED: readonly (readonly [name: string, act: Act, message: RegExp])[] = [
  [
    'no AS',
    (tx) => setBgp(tx, { asn: undefined }, 1),
    /^Cannot use BGP settings: AS number is missing, wanted 1 to 4294967294, none of 23456 and 65535$/,
  ],
  ...[0, 23_456, 65_535, 4_294_967_295, 1.5, '64512'].map(
    (asn) => [`AS ${asn}`, (tx: Tx) => setBgp(tx, { asn }, 1), /AS number is /] as const,
  ),
  [
    'sessions',
    (tx) => setBgp(tx, { sessions: 'ring' }, 1),
    /sessions is "ring", wanted auto, mesh, reflectors or none$/,
  ],
  ['a cluster id of IPv6', (tx) => setBgp(tx, { clusterId: '::1' }, 1), /cluster id is "::1"/],
  [
    'restart',
    (tx) => setBgp(tx, { restartSeconds: 4096 }, 1),
    /restartSeconds is 4096, wanted 0 to 4095$/,
  ],
  [
    'bfd',
    (tx) => setBgp(tx, { bfd: { intervalMs: 1, multiplier: 3 } }, 1),
    /bfd interval is 1, wanted 10 to 60000$/,
  ],
  [
    'an unknown node',
    (tx) => setBgpNode(tx, { node: 'n9', asn: 1 }),
    /^Cannot set BGP of node n9: the store does not know it$/,
  ],
  ['a name with a slash', (tx) => setBgpRack(tx, { rack: 'r/1', asn: 1 }), /rack is "r\/1"/],
  [
    'a summary of no pool',
    (tx) => setBgpRack(tx, { rack: 'r3', summaries: ['10.9.0.0/20'] }),
    /^Cannot use summary 10.9.0.0\/20 of rack r3: no pool holds it, wanted a part of a pool$/,
  ],
  [
    'a summary of one block',
    (tx) => setBgpRack(tx, { rack: 'r3', summaries: ['10.42.200.0/26'] }),
    /blocks of 10.42.0.0\/16 have length 26, wanted a shorter one$/,
  ],
  [
    "a summary of another rack's pool",
    (tx) => setBgpRack(tx, { rack: 'r3', summaries: ['10.43.0.0/20'] }),
    /pool 10.43.0.0\/16 is rack r2's/,
  ],
  [
    'summaries of two racks',
    (tx) => setBgpRack(tx, { rack: 'r3', summaries: ['10.42.0.0/21'] }),
    /rack r1 has 10.42.0.0\/20, wanted separate ones$/,
  ],
  [
    'too many summaries',
    (tx) => setBgpRack(tx, { rack: 'r3', summaries: Array(17).fill('10.42.0.0/20') }),
    /wanted 1 to 16 prefixes$/,
  ],
  [
    'a node as a router',
    peer({ address: '192.0.2.1' }),
    /^Cannot add BGP peer 192.0.2.1: it is node n1, wanted a router of the fabric$/,
  ],
  ...[
    '0.0.0.0',
    '127.0.0.1',
    '224.0.0.5',
    '239.1.1.1',
    '::',
    '::1',
    'ff02::5',
    'fe80::1',
    'tor1',
  ].map(
    (address) =>
      [`peer ${address}`, peer({ address }), /address is .*, wanted a router's address$/] as const,
  ),
  [
    'a relative path',
    peer({ passwordFile: 'secret' }),
    /password file is "secret", wanted an absolute path on its nodes$/,
  ],
  ['hops', peer({ ttlSecurityHops: 256 }), /ttlSecurityHops is 256, wanted 1 to 255$/],
  ['no families', peer({ families: [] }), /families is \[\], wanted ipv4, ipv6 or both$/],
  ['no scope', peer({ scope: undefined }), /scope is missing, wanted all nodes, a rack or a node$/],
  [
    'no such peer',
    (tx) => removeBgpPeer(tx, ALL, parseIp('192.0.2.9')),
    /^Cannot remove BGP peer 192.0.2.9 of all nodes: there is 192.0.2.254 of all nodes, 192.0.2.253 of node n1, 2001:db8::fe of rack r1$/,
  ],
]
for (const [name, act, message] of REFUSED) {
  t.test(`refused: ${name}`, async (t) => {
    const store = full()
    const before = store.run((tx) => [...tx.range(keys.bgp)])
    t.throws(() => store.run(act), { message })
    t.strictSame(
      store.run((tx) => [...tx.range(keys.bgp)]),
      before,
      'nothing was changed',
    )
  })
}

t.test('nothing goes before settings', async (t) => {
  const store = world()
  for (const act of [peer({}), (tx: Tx) => setBgpRack(tx, { rack: 'r1', asn: 1 }), unsetBgp]) {
    t.throws(() => store.run(act), {
      code: 'NOT_FOUND',
      message: /no settings yet, wanted an AS number first/,
    })
  }
  t.throws(() => store.run((tx) => setNetwork(tx, 'pods', { options: { peerRoutes: 'bgp' } })), {
    code: 'CONFLICT',
    message: /^Cannot use network pods: its routes come from BGP, and no node speaks it/,
  })
})

t.test('at most so many routers for one scope', async (t) => {
  const store = world()
  store.run((tx) => {
    setBgp(tx, { asn: 1 }, 1)
    for (let n = 1; n <= 64; n++) peer({ address: `198.51.100.${n}` })(tx)
  })
  t.throws(() => store.run(peer({})), { message: /all nodes has 64 peers, wanted at most 64$/ })
  store.run(peer({ address: '198.51.100.3', asn: 7 }))
  t.equal(store.run(peersOf).find(({ address }) => address.endsWith('.3'))?.asn, 7, 'replaced')
})

t.test('backups: all of it, nothing else', async (t) => {
  const pairs = full()
    .run((tx) => [...wholeImage(tx)])
    .filter(([key]) => key.startsWith('bgp/'))
  t.equal(pairs.length, 6)
  for (const [key, value] of pairs) {
    t.equal(flawOf(key, value), undefined, key)
    t.ok(flawOf(`${key}x`, value), 'another key')
    t.ok(flawOf(key, { ...(value as object), asn: -1 }), 'a value that breaks a rule')
    t.equal(flawOf(key, { ...(value as object), more: 1 }), undefined, 'what later programs add')
  }
})
