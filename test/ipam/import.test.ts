/** Other address managers' stores: what they hold, whatever they hold, and what becomes of it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { readCalico } from '../../ipam/import/calico.ts'
import { readEtcdSubnets, readKubeSubnets, readSubnetEnv } from '../../ipam/import/flannel.ts'
import type { Foreign, ForeignAddress } from '../../ipam/import/foreign.ts'
import { readHostLocal } from '../../ipam/import/host-local.ts'
import { applyImport, type ImportInto, planImport } from '../../ipam/import/plan.ts'
import { readWhereabouts } from '../../ipam/import/whereabouts.ts'
import { exclude, keys, release, type Tx } from '../../ipam/mod.ts'
import { type Ip, type Prefix, tryParseIp } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { add, inhabited, NODES, ruled } from './check-world.ts'
import { checkInvariants } from './invariants.ts'

t.test('host-local', async (t) => {
  const found = readHostLocal([
    { name: '10.1.0.9', text: 'c0ffee\r\neth0' },
    { name: 'fd01::9', text: 'c0ffee\r\neth0\n' },
    { name: '10.1.0.10', text: 'older' },
    { name: '10.1.0.11', text: '' },
    { name: '10.1.0.12', text: 'a/b\r\neth0' },
    { name: 'last_reserved_ip.0', text: '10.1.0.12' },
    { name: 'lock', text: '' },
    { name: 'README', text: 'x' },
  ])
  t.strictSame(found.addresses, [
    { ip: '10.1.0.9', containerId: 'c0ffee', ifname: 'eth0' },
    { ip: 'fd01::9', containerId: 'c0ffee', ifname: 'eth0' },
    { ip: '10.1.0.10', containerId: 'older' },
  ])
  const named = found.ignored.map((line) => line.slice(0, line.indexOf(':')))
  t.strictSame(named, ['10.1.0.11', '10.1.0.12', 'file "README"'])
})

t.test('whereabouts', async (t) => {
  const pod = { id: 'c0ffee', podref: 'default/web-0', ifname: 'net1' }
  const allocations = { '5': pod, '300': { id: 'old', podref: 'bad' }, x: pod, '7': {} }
  const pool = { kind: 'IPPool', spec: { range: '10.10.0.0/16', allocations } }
  const found = readWhereabouts({ kind: 'List', items: [pool, { kind: 'Pod' }] })
  t.strictSame(found.addresses, [
    {
      ip: '10.10.0.5',
      containerId: 'c0ffee',
      ifname: 'net1',
      pod: { namespace: 'default', name: 'web-0' },
    },
    { ip: '10.10.1.44', containerId: 'old' },
  ])
  t.equal(found.ignored.length, 2)
  t.strictSame(readWhereabouts(pool), found, 'one pool by itself')
})

t.test('calico', async (t) => {
  const secondary = { namespace: 'default', node: 'n1', pod: 'web-0' }
  const attributes = [
    { handle_id: 'k8s-pod-network.c0ffee', secondary },
    { handle_id: 'vxlan-tunnel-addr-n1', secondary: { node: 'n1', type: 'vxlanTunnelAddress' } },
    { handle_id: 'k8s-pod-network.bad\r\n eth0', secondary },
  ]
  const allocations = [1, 0, null, 2, 9]
  const spec = { cidr: '10.244.0.0/26', affinity: 'host:n1', allocations, attributes }
  const found = readCalico({ items: [{ kind: 'IPAMBlock', spec }] })
  const pod = { namespace: 'default', name: 'web-0' }
  const rest = { ifname: 'eth0', pod, node: 'n1' }
  t.strictSame(found.addresses, [
    { ip: '10.244.0.1', containerId: 'c0ffee', ...rest },
    { ip: '10.244.0.3', containerId: 'bad', ...rest },
  ])
  t.strictSame(found.blocks, [{ cidr: '10.244.0.0/26', node: 'n1' }])
  t.match(found.ignored, [/^10.244.0.0: "vxlanTunnelAddress"/, /^10.244.0.4: its handle is/])
})

t.test('flannel', async (t) => {
  const env = 'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\n'
  t.strictSame(readSubnetEnv(env).blocks, [{ cidr: '10.244.1.0/24' }])
  const kube = { kind: 'Node', metadata: { name: 'n2' }, spec: { podCIDR: '10.244.2.0/24' } }
  t.strictSame(readKubeSubnets({ items: [kube] }).blocks, [{ cidr: '10.244.2.0/24', node: 'n2' }])
  const etcd = ['/coreos.com/network/subnets/10.5.34.0-24&fc00:2::-64', '/x/config']
  const found = readEtcdSubnets(etcd)
  t.strictSame(
    found.blocks.map(({ cidr }) => cidr),
    ['10.5.34.0/24', 'fc00:2::/64'],
  )
  t.equal(found.ignored.length, 1)
})

const wild = fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue()))
const shaped = (kind: string, spec: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.record({ items: fc.array(fc.record({ kind: fc.constant(kind), metadata: wild, spec })) })
const ranges = fc.constantFrom(
  '10.0.0.0/24',
  'ffff::/16',
  '255.255.255.255/32',
  '10.0.0.0/99',
  '/',
  7,
)
const sources = fc.oneof(
  wild,
  shaped(
    'IPPool',
    fc.record({
      range: ranges,
      allocations: fc.dictionary(fc.oneof(fc.bigInt().map(String), fc.string()), wild),
    }),
  ),
  shaped(
    'IPAMBlock',
    fc.record({ cidr: ranges, affinity: wild, allocations: fc.array(wild), attributes: wild }),
  ),
  shaped('Node', fc.record({ podCIDRs: fc.oneof(wild, fc.array(ranges)) })),
)
const files = fc.array(
  fc.record({ name: fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), text: fc.string() }),
)

holds(
  t,
  'parsers answer whatever they read',
  fc.tuple(sources, files, fc.string()),
  ([value, folder, text]) => {
    const all = [
      readHostLocal(folder),
      readWhereabouts(value),
      readCalico(value),
      readKubeSubnets(value),
      readSubnetEnv(text),
      readEtcdSubnets([text]),
    ]
    for (const { addresses, ignored } of all) {
      for (const { ip, containerId = 'x', ifname = 'x' } of addresses) {
        assert.equal(tryParseIp(ip), ip, 'canonical')
        assert.match(containerId + ifname, /^[^/\s]+$/)
      }
      for (const line of ignored) assert.ok(line.length < 400)
    }
  },
)

const into = (tx: Tx, node = 'n1'): ImportInto => {
  const network = tx.get(keys.network('pods'))
  if (network === undefined) throw new Error('there is a network')
  return { network, node, bootId: 'boot-1', nowMs: 2 }
}
const foreign = (...addresses: readonly ForeignAddress[]): Foreign => ({
  addresses,
  blocks: [],
  ignored: [],
})
const one = (
  ip: string,
  containerId: string,
  more: Partial<ForeignAddress> = {},
): ForeignAddress => ({
  ip: ip as Ip,
  containerId,
  ifname: 'eth0',
  ...more,
})

t.test('what is planned, and what is not', async (t) => {
  inhabited().run((tx) => {
    const source = foreign(
      one('10.1.0.17', 'new'),
      one('fd01::11', 'new'),
      one('10.1.0.1', 'thief'),
      one('10.1.0.6', 'stray'),
      one('10.9.0.1', 'outside'),
      one('10.1.0.31', 'broadcast'),
      one('10.1.0.18', 'elsewhere', { node: 'n2' }),
      one('10.1.0.17', 'twice'),
    )
    const { operations, conflicts } = planImport(tx, source, into(tx))
    t.strictSame(
      operations.map((each) => (each.kind === 'claim' ? each.cidr : each.ips.join(' '))),
      ['10.1.0.16/30', 'fd01::10/126', '10.1.0.17 fd01::11'],
    )
    t.strictSame(
      conflicts.map(({ subject, found }) => `${subject}: ${found}`),
      [
        '10.1.0.18: a pod of node n2',
        '10.1.0.1: container n1c0 has it',
        '10.1.0.6: block 10.1.0.4/30 belongs to node n2',
        '10.9.0.1: in no pool',
        '10.1.0.31: it is the broadcast address of pool 10.1.0.0/27',
        '10.1.0.17: eth0 of container new has it too',
      ],
    )
    applyImport(tx, source, into(tx))
    t.strictSame(checkIpam(tx), [])
    t.equal(planImport(tx, source, into(tx)).present, 1, 'a second time it is here')
  })
})

t.test('rules are for pods to come, but what is reserved', async (t) => {
  ruled().run((tx) => {
    const of = (name: string) => ({ pod: { namespace: 'db', name } })
    const source = {
      ...foreign(
        one('10.1.0.5', 'rested'),
        one('10.1.0.18', 'thief', of('thief')),
        one('fd01::12', 'nameless'),
        one('10.1.0.24', 'excluded'),
      ),
      blocks: [{ cidr: '10.1.0.8/30' as Prefix }, { cidr: '10.1.0.12/30' as Prefix }],
    }
    exclude(tx, 'pods', '10.1.0.8/29' as Prefix)
    const later = foreign(one('10.1.0.18', 'later', of('later')))
    release(tx, 'n2', { network: 'pods', containerId: 'n2c0', ifname: 'eth0' }, 4)
    const node = 'n2'
    const { operations, conflicts } = applyImport(tx, source, into(tx, node))
    t.strictSame(
      operations.map((each) => (each.kind === 'claim' ? each.cidr : each.ips.join(' '))),
      ['10.1.0.24/30', '10.1.0.5', '10.1.0.24'],
      'no block that nobody could use',
    )
    t.strictSame(
      conflicts.map(({ subject, found }) => `${subject}: ${found}`),
      ['10.1.0.18: it is reserved for pod db/later', 'fd01::12: it is reserved for pod db/later'],
    )
    t.equal(applyImport(tx, later, into(tx, node)).conflicts.length, 0, 'its pod has it')
    t.strictSame(checkIpam(tx), [])
    checkInvariants(tx, NODES)
  })
})

t.test('a pool for another rack', async (t) => {
  inhabited().run((tx) => {
    const network = tx.get(keys.network('pods'))
    if (network === undefined) throw new Error('there is a network')
    const pools = network.pools.map((pool) => ({ ...pool, rack: 'r7' }))
    tx.put(keys.network('pods'), { ...network, pools })
    const { conflicts } = planImport(tx, foreign(one('10.1.0.17', 'new')), into(tx))
    t.match(conflicts, [{ subject: '10.1.0.17', found: 'pool 10.1.0.0/27 is for rack r7' }])
  })
})

const imported = fc.array(
  fc.record({
    ip: fc.oneof(
      fc.nat(33).map((last) => `10.1.0.${last}`),
      fc.nat(33).map((last) => `fd01::${last.toString(16)}`),
    ),
    containerId: fc.constantFrom('a', 'b', 'c', 'n1c0', 'd', 'e'),
    node: fc.constantFrom(...NODES, 'n3'),
  }),
  { maxLength: 12 },
)

holds(
  t,
  'an import never makes a duplicate, and ADD and DEL go on',
  fc.tuple(imported, fc.constantFrom('n1', 'n3')),
  ([list, node]) => {
    ruled().run((tx) => {
      const source = foreign(
        ...list.map(({ ip, containerId, node: host }) =>
          one(tryParseIp(ip) ?? ip, containerId, { node: host }),
        ),
      )
      const before = JSON.stringify([...tx.range('')])
      const plan = planImport(tx, source, into(tx, node))
      assert.equal(JSON.stringify([...tx.range('')]), before)
      assert.deepEqual(applyImport(tx, source, into(tx, node)), plan)
      checkInvariants(tx, [...NODES, 'n3'])
      for (const operation of plan.operations) {
        if (operation.kind !== 'attach') continue
        for (const ip of operation.ips)
          assert.equal(tx.get(keys.address('pods', ip))?.containerId, operation.key.containerId)
      }
      try {
        add(tx, node, 'afterwards')
      } catch (thrown) {
        assert.match((thrown as Error).message, /is claimed/)
      }
      for (const operation of plan.operations)
        if (operation.kind === 'attach') release(tx, node, operation.key)
      checkInvariants(tx, [...NODES, 'n3'])
    })
  },
  { numRuns: 300 },
)
