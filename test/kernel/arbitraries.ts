/**
 * Kernel states with few names, so that two of them meet: ours, foreign ones
 * beside them, and foreign ones in the place of ours.
 */
import fc from 'fast-check'
import {
  deviceAlias,
  identity,
  type KernelObject,
  type KernelState,
  type Link,
  type LinkKind,
  podAlias,
  ROUTE_PROTOCOL,
} from '../../src/kernel/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'

export const ETH0: Link = {
  kind: 'link',
  name: 'eth0',
  link: { type: 'other', name: 'device' },
  up: true,
}
const PODS = ['trv0000000000a', 'trv0000000000b']
const IPS = ['10.42.0.0', '10.42.0.1', 'fd42::1'].map((text) => parseIp(text))
const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02'].map((text) => parseMac(text))
const PREFIXES = ['10.42.0.64/26', '10.42.0.128/26', 'fd42::/122'].map((text) => parsePrefix(text))

const vxlan = (vni: number): LinkKind => ({
  type: 'vxlan',
  vni,
  port: 8472,
  underlay: 'eth0',
  local: parseIp('192.0.2.1'),
})

const settings = fc.record({
  up: fc.boolean(),
  mtuBytes: fc.constantFrom(1450, 1500),
  mac: fc.constantFrom(...MACS),
})

/** Our devices and pods' links; wrong fixed attributes are among them. */
const ownLinks: fc.Arbitrary<readonly Link[]> = fc
  .tuple(
    fc.option(fc.constantFrom(1, 1, 2)),
    fc.boolean(),
    fc.option(fc.constantFrom(1, 1, 2)),
    fc.subarray(PODS),
    fc.boolean(),
    fc.array(settings, { minLength: 5, maxLength: 5 }),
  )
  .map(([vni, hasBridge, vlanId, pods, inBridge, all]) => {
    const alias = deviceAlias('pods')
    const place = hasBridge && inBridge ? { master: 'trvb.1' } : {}
    const make = (name: string, link: LinkKind, index: number, more: object): Link => ({
      kind: 'link',
      name,
      link,
      alias,
      up: true,
      ...all[index],
      ...more,
    })
    return [
      ...(vni === null ? [] : [make('trvx.1', vxlan(vni), 0, {})]),
      ...(hasBridge ? [make('trvb.1', { type: 'bridge' }, 1, {})] : []),
      ...(vlanId === null
        ? []
        : [make('trvl.1', { type: 'vlan', parent: 'eth0', id: vlanId }, 2, place)]),
      ...pods.map((name, index) =>
        make(name, { type: 'veth' }, 3 + index, {
          ...place,
          alias: podAlias('pods', name, 'eth0', 1),
        }),
      ),
    ]
  })

/** What may hang on one of our links, or on the underlay. */
function objectsOn(links: readonly Link[]): fc.Arbitrary<readonly KernelObject[]> {
  const names = links.map(({ name }) => name)
  const tunnels = links.filter(({ link }) => link.type === 'vxlan').map(({ name }) => name)
  const anyOf = (list: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...list)
  const route = fc.record({ dst: fc.constantFrom(...PREFIXES), link: anyOf(['eth0', ...names]) })
  const unicast = route.map(
    ({ dst, link }): KernelObject => ({
      kind: 'route',
      dst,
      type: 'unicast',
      link,
      metric: 0,
      protocol: ROUTE_PROTOCOL,
    }),
  )
  const blackhole = fc.constantFrom(...PREFIXES).map(
    (dst): KernelObject => ({
      kind: 'route',
      dst,
      type: 'blackhole',
      metric: 0,
      protocol: ROUTE_PROTOCOL,
    }),
  )
  const kinds: fc.Arbitrary<KernelObject>[] = [unicast, blackhole]
  if (names.length > 0) {
    const place = { link: anyOf(names), ip: fc.constantFrom(...IPS) }
    kinds.push(
      fc
        .record({ ...place, prefixLength: fc.constantFrom(26, 32) })
        .map((addr): KernelObject => ({ kind: 'addr', ...addr })),
      fc
        .record({ ...place, mac: fc.constantFrom(...MACS) })
        .map((neigh): KernelObject => ({ kind: 'neigh', ...neigh })),
    )
  }
  if (tunnels.length > 0) {
    const entry = {
      link: anyOf(tunnels),
      mac: fc.constantFrom(...MACS),
      dst: fc.constantFrom(...IPS),
    }
    kinds.push(fc.record(entry).map((fdb): KernelObject => ({ kind: 'fdb', ...fdb })))
  }
  return fc.array(fc.oneof(...kinds), { maxLength: 8 })
}

const sysctl = (value: string): KernelObject => ({
  kind: 'sysctl',
  name: 'net.ipv4.ip_forward',
  value,
})

const stateOf = (objects: readonly KernelObject[]): KernelState =>
  new Map(objects.map((object) => [identity(object), object]))

/** As a planner makes it: no foreign object, pods' links adopted. */
export const desiredArb: fc.Arbitrary<KernelState> = ownLinks.chain((links) =>
  objectsOn(links).map((objects) => {
    const planned = links.map((link) =>
      link.link.type === 'veth' ? { ...link, adopt: true } : link,
    )
    return stateOf([sysctl('1'), ...planned, ...objects])
  }),
)

/** Somebody else's, also where ours would go. */
const foreign: fc.Arbitrary<readonly KernelObject[]> = fc.subarray([
  {
    kind: 'route',
    dst: PREFIXES[0] ?? never(),
    type: 'unicast',
    link: 'eth0',
    metric: 0,
    protocol: 3,
  },
  {
    kind: 'route',
    dst: parsePrefix('10.9.0.0/16'),
    type: 'unicast',
    link: 'eth0',
    metric: 0,
    protocol: 2,
  },
  { kind: 'addr', link: 'eth0', ip: parseIp('192.0.2.1'), prefixLength: 24 },
  { kind: 'link', name: 'trvx.1', link: vxlan(7), up: false, alias: 'somebody else' },
  { kind: 'link', name: 'trvb.1', link: { type: 'bridge' }, up: true, alias: 'mine' },
  { kind: 'link', name: 'br0', link: { type: 'bridge' }, up: true },
] satisfies KernelObject[])

function never(): never {
  throw new Error('the list of prefixes is not empty')
}

/** As a dump shows it. */
export const actualArb: fc.Arbitrary<KernelState> = fc
  .tuple(ownLinks, foreign, fc.constantFrom('0', '1'))
  .chain(([links, others, forwarding]) =>
    objectsOn(links).map((objects) => {
      const eth1: KernelObject = { ...ETH0, name: 'eth1' }
      return stateOf([ETH0, eth1, sysctl(forwarding), ...links, ...objects, ...others])
    }),
  )
