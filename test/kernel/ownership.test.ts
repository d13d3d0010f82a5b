/** What is ours: by protocol number, by name and alias, by the link something is on. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  bridgeLinkName,
  identity,
  type KernelObject,
  kernelState,
  type Link,
  owns,
  ownsLink,
  podAlias,
  podAliasOwner,
  podLinkName,
  ROUTE_PROTOCOL,
  vlanLinkName,
  vxlanLinkName,
} from '../../src/kernel/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

const link = (name: string, alias?: string): Link => ({
  kind: 'link',
  name,
  link: { type: 'veth' },
  up: true,
  ...(alias === undefined ? {} : { alias }),
})

const LINKS: readonly (readonly [
  name: string,
  alias: string | undefined,
  ours: boolean,
  why: string,
])[] = [
  ['trv0123456789a', 'trivium pods c0ffee eth0 1', true, 'a pod'],
  ['trv0123456789a', undefined, true, 'killed between creation and alias'],
  ['trv0123456789a', '', true, 'an alias of nothing'],
  ['trv0123456789a', 'trivium', false, 'not our whole prefix'],
  ['trv0123456789a', 'uplink of rack 7', false, 'somebody gave it a meaning'],
  ['trv0123456789', undefined, false, 'one digit short'],
  ['trv0123456789ab', undefined, false, 'one digit long'],
  ['trv0123456789G', undefined, false, 'no hexadecimal'],
  ['trvx.1', 'trivium pods', true, 'a tunnel'],
  ['trvb.100', 'trivium pods', true, 'a bridge'],
  ['trvl.4094', 'trivium pods', true, 'a VLAN'],
  ['trvx.', 'trivium pods', false, 'no number'],
  ['trvz.1', 'trivium pods', false, 'no kind of ours'],
  ['eth0', 'trivium pods', false, 'an alias is not enough'],
]
for (const [name, alias, ours, why] of LINKS)
  t.equal(ownsLink(link(name, alias)), ours, `${name}: ${why}`)

const state = kernelState([link('trvx.1', 'trivium pods'), link('eth0'), link('trvx.2', 'mine')])
const mac = parseMac('02:00:00:00:00:07')
const OBJECTS: readonly (readonly [KernelObject, boolean])[] = [
  [{ kind: 'addr', link: 'trvx.1', ip: parseIp('10.42.0.0'), prefixLength: 32 }, true],
  [{ kind: 'addr', link: 'eth0', ip: parseIp('10.42.0.0'), prefixLength: 32 }, false],
  [{ kind: 'addr', link: 'trvx.2', ip: parseIp('10.42.0.0'), prefixLength: 32 }, false],
  [{ kind: 'addr', link: 'gone', ip: parseIp('10.42.0.0'), prefixLength: 32 }, false],
  [{ kind: 'addr', link: 'trvx.1', ip: parseIp('fe80::2'), prefixLength: 64 }, false],
  [{ kind: 'addr', link: 'trvx.1', ip: parseIp('febf::2'), prefixLength: 64 }, false],
  [{ kind: 'addr', link: 'trvx.1', ip: parseIp('fe80::1'), prefixLength: 64 }, true],
  [{ kind: 'neigh', link: 'trvx.1', ip: parseIp('10.42.0.64'), mac }, true],
  [{ kind: 'neigh', link: 'eth0', ip: parseIp('10.42.0.64'), mac }, false],
  [{ kind: 'fdb', link: 'trvx.1', mac, dst: parseIp('192.0.2.2') }, true],
  [{ kind: 'fdb', link: 'trvx.2', mac, dst: parseIp('192.0.2.2') }, false],
  [{ kind: 'sysctl', name: 'net.ipv4.ip_forward', value: '1' }, false],
]
for (const [object, ours] of OBJECTS) t.equal(owns(object, state), ours, JSON.stringify(object))

for (const protocol of [0, 2, 3, 4, 16, 80, 83, ROUTE_PROTOCOL, 85, 186]) {
  const route: KernelObject = {
    kind: 'route',
    dst: parsePrefix('10.42.0.0/26'),
    type: 'blackhole',
    metric: 0,
    protocol,
  }
  t.equal(owns(route, state), protocol === 84, `proto ${protocol}`)
}

const owned = [...state.values()].filter((object) => owns(object, state))
t.strictSame(owned.map(identity), ['link trvx.1'])

const idArb = fc.string({ unit: fc.constantFrom(...'abc019._-'), minLength: 1, maxLength: 200 })
holds(
  t,
  'every name and alias we give is one that we own, and fits the kernel',
  fc.tuple(idArb, idArb, fc.nat(99_999_999)),
  ([network, id, number]) => {
    const names = [
      podLinkName(network, id, 'eth0'),
      vxlanLinkName(number),
      bridgeLinkName(number),
      vlanLinkName(number),
    ]
    const alias = podAlias(network.slice(0, 100), id, 'eth0', number)
    assert.ok(alias.length <= 255)
    const owner = { network, containerId: id, ifname: 'eth0', sequence: number }
    if (network.length + id.length < 100) assert.deepEqual(podAliasOwner(alias), owner)
    for (const name of names) {
      assert.ok(name.length <= 15, name)
      assert.ok(ownsLink(link(name, alias)), name)
    }
  },
)

t.test("pods' links have names of their own", async (t) => {
  const names = new Set<string>()
  for (let index = 0; index < 50_000; index++) names.add(podLinkName('pods', `c${index}`, 'eth0'))
  t.equal(names.size, 50_000)
  t.equal(
    podLinkName('pods', 'c0ffee', 'eth0'),
    'trv7535a8431d2',
    'running nodes carry these: never change',
  )
})

t.test('aliases that name nobody', async (t) => {
  const good = 'trivium pods c0ffee eth0 7'
  t.strictSame(podAliasOwner(good), {
    ...{ network: 'pods', containerId: 'c0ffee', ifname: 'eth0' },
    sequence: 7,
  })
  for (const alias of [
    undefined,
    '',
    'trivium pods',
    'trivium pods c0ffee eth0',
    'trivium pods c0ffee eth0 x',
    'trivium pods c0ffee eth0 1234567890123456',
    'trivium pods #0123456789abcdef eth0 7',
    'trivium pods a/b eth0 7',
    'trivium ../pods c0ffee eth0 7',
    'trivium pods c0ffee  7',
    'somebody pods c0ffee eth0 7',
  ]) {
    t.equal(podAliasOwner(alias), undefined, String(alias))
  }
})
