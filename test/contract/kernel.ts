/**
 * What every kernel does with the operations that planners emit: one suite, run
 * on the simulated kernel and, with root, on Linux in a namespace of its own.
 *
 * Each case is a list of operations, the errno of each that fails, and the
 * state afterwards in iproute2 words. Only objects that are ours are compared,
 * so it does not matter what else a real kernel holds.
 *
 * The errnos and side effects were read off Linux 6.18 with iproute2, and hold on 6.1 (`test/guest`).
 */
import type { Test } from 'tap'
import {
  isNft,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type KernelState,
  kernelState,
  type Link,
  ROUTE_PROTOCOL,
  type Route,
  renderState,
  subjectOf,
} from '../../src/kernel/mod.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import type { KernelPort } from '../../src/ports.ts'
import { MACVLAN_CASES } from './kernel-macvlan.ts'
import { NFT_CASES } from './kernel-nft.ts'
import {
  add,
  addr,
  bridge,
  type Case,
  change,
  fdb,
  neigh,
  onlink,
  PEER,
  PEER_IP,
  pair,
  remove,
  route,
  toPeer,
  UNDERLAY,
  vlan,
  vxlan,
} from './kernel-objects.ts'
import { LIGHTWEIGHT_CASES } from './kernel-tunnels.ts'

/**
 * A kernel to try. It holds one link, `under0`, up, MTU 1500, with 192.0.2.1/24
 * and 2001:db8::1/64, and nothing of ours.
 */
export interface KernelUnderTest {
  readonly port: KernelPort
  /** Lets time pass until the port has answered; a no-op where it passes by itself. */
  settle(): void
  /** Path of the namespace for the other end of a pair. */
  readonly podNetns: string
  /** Makes a pair whose other end is there. */
  addPair(link: Link): KernelFailure | undefined
  /** Changes a setting of this kernel, and of no other. */
  setSysctl(name: string, value: string): void
  /** MTU of that other end, from outside. */
  peerMtuBytes(): number | undefined
  close(): void
}

/** What a kernel may lack, or the way to it: a sort of link, nftables, other ends, offloads. */
export type KernelPart = Link['link']['type'] | 'nftables' | 'peer MTU' | 'offloads'

export interface KernelContractOptions {
  /** What this kernel lacks; such cases are skipped, which is said. @default [] */
  readonly lacks?: readonly KernelPart[]
}

const tunnel: readonly KernelObject[] = [
  vxlan(),
  addr('10.42.0.0', 32),
  neigh('10.42.0.64'),
  fdb(PEER),
  onlink('10.42.0.64/26', '10.42.0.64'),
]

/** A second tunnel. */
const second = (settings: Partial<Link> = {}): Link =>
  vxlan({
    name: 'trvx.8',
    link: { type: 'vxlan', vni: 8, port: 8472, underlay: UNDERLAY, local: '192.0.2.1' as Ip },
    ...settings,
  })
const { mac: _own, ...anyBridge } = bridge()

const CASES: readonly Case[] = [
  { name: 'a tunnel with all that hangs on it', ops: tunnel.map(add), state: tunnel },
  {
    // A neighbour is replaced: one that failed to resolve may be in its place.
    name: 'the same again is EEXIST for each but a neighbour, and changes nothing',
    ops: [...tunnel, ...tunnel].map(add),
    errors: { 5: 'EEXIST', 6: 'EEXIST', 8: 'EEXIST', 9: 'EEXIST' },
    state: tunnel,
  },
  {
    name: 'removing what is not there',
    ops: [
      add(vxlan()),
      remove(addr('10.42.0.5', 32)),
      remove(neigh('10.42.0.64')),
      remove(fdb(PEER)),
      remove(onlink('10.42.0.64/26', '10.42.0.64')),
      remove(bridge()),
    ],
    errors: { 1: 'EADDRNOTAVAIL', 2: 'ENOENT', 3: 'ENOENT', 4: 'ESRCH', 5: 'ENODEV' },
    state: [vxlan()],
  },
  {
    name: 'objects on a missing link',
    ops: tunnel.slice(1).map(add),
    errors: { 0: 'ENODEV', 1: 'ENODEV', 2: 'ENODEV', 3: 'ENODEV' },
    state: [],
  },
  {
    name: 'a removed link takes everything on it along',
    ops: [...tunnel.map(add), add(toPeer), remove(vxlan())],
    state: [toPeer],
  },
  {
    name: 'a second tunnel of the same id and port',
    ops: [add(vxlan()), add(vxlan({ name: 'trvx.8' }))],
    errors: { 1: 'EEXIST' },
    state: [vxlan()],
  },
  {
    name: 'a gateway must be on the link',
    ops: [
      add(toPeer),
      add(route('10.42.0.128/26', { link: UNDERLAY, via: '198.51.100.2' as Ip })),
      add(route('fd42:0:0:1::/64', { link: UNDERLAY, via: '2001:db8::2' as Ip })),
      add(route('fd42:0:0:2::/64', { link: UNDERLAY, via: '2001:db8:ffff::2' as Ip })),
    ],
    errors: { 1: 'ENETUNREACH', 3: 'EHOSTUNREACH' },
    state: [toPeer, route('fd42:0:0:1::/64', { link: UNDERLAY, via: '2001:db8::2' as Ip })],
  },
  {
    name: 'a route needs a link that is up, onlink or not',
    ops: [
      add(bridge({ up: false })),
      add(route('10.42.0.64/26', { link: 'trvb.7' })),
      add(route('10.42.0.128/26', { link: 'trvb.7', via: PEER_IP, onlink: true })),
      add(route('fd42:0:0:1::/64', { link: 'trvb.7' })),
    ],
    errors: { 1: 'ENETDOWN', 2: 'ENETDOWN', 3: 'ENETDOWN' },
    state: [bridge({ up: false })],
  },
  {
    name: 'a blackhole beside a unicast route: same prefix, same metric, EEXIST',
    ops: [add(route('10.42.5.0/26', { type: 'blackhole' })), add(toPeer)],
    errors: { 1: 'EEXIST' },
    state: [route('10.42.5.0/26', { type: 'blackhole' })],
  },
  {
    name: 'removing a route by another gateway is ESRCH',
    ops: [add(toPeer), remove({ ...toPeer, via: '192.0.2.3' as Ip })],
    errors: { 1: 'ESRCH' },
    state: [toPeer],
  },
  {
    name: 'change moves a route, a neighbour and a forwarding entry',
    ops: [
      ...tunnel.map(add),
      change(fdb(PEER), fdb(PEER, '192.0.2.3' as Ip)),
      change(neigh('10.42.0.64'), neigh('10.42.0.64', '02:00:00:00:00:0e' as Mac)),
      add(toPeerOf(UNDERLAY)),
      change(toPeerOf(UNDERLAY), toPeerOf('trvx.7')),
    ],
    state: [
      vxlan(),
      addr('10.42.0.0', 32),
      neigh('10.42.0.64', '02:00:00:00:00:0e' as Mac),
      fdb(PEER, '192.0.2.3' as Ip),
      onlink('10.42.0.64/26', '10.42.0.64'),
      toPeerOf('trvx.7'),
    ],
  },
  {
    name: 'settings of a link change, what hangs on it stays',
    ops: [
      ...tunnel.map(add),
      change(vxlan(), vxlan({ mtuBytes: 1400, alias: 'trivium other' })),
      change(vxlan({ mtuBytes: 1400 }), vxlan({ mtuBytes: 1451 })),
    ],
    errors: { 6: 'EINVAL' },
    state: [vxlan({ mtuBytes: 1400, alias: 'trivium other' }), ...tunnel.slice(1)],
  },
  {
    name: 'a tunnel that is made too large is made smaller in silence',
    ops: [add(vxlan({ mtuBytes: 1480 }))],
    state: [vxlan({ mtuBytes: 1450 })],
  },
  {
    name: 'a link that goes down loses routes, neighbours and IPv6 addresses',
    ops: [...tunnel.map(add), add(addr('fd42::', 128)), change(vxlan(), vxlan({ up: false }))],
    state: [vxlan({ up: false }), addr('10.42.0.0', 32), fdb(PEER)],
  },
  {
    name: 'the last IPv4 address takes IPv4 routes and neighbours with it',
    ops: [
      ...tunnel.map(add),
      add(addr('10.42.1.0', 32)),
      remove(addr('10.42.0.0', 32)),
      add(onlink('10.42.0.128/26', '10.42.0.128')),
      remove(addr('10.42.1.0', 32)),
    ],
    state: [vxlan(), fdb(PEER)],
  },
  {
    name: 'the route of an IPv6 prefix stays until its last address goes',
    ops: [
      add(bridge()),
      add(addr('fd50::1', 64, 'trvb.7')),
      add(addr('fd50::2', 64, 'trvb.7')),
      remove(addr('fd50::1', 64, 'trvb.7')),
      add(behind('fd51::/64', 'fd50::9')),
      remove(addr('fd50::2', 64, 'trvb.7')),
      add(behind('fd52::/64', 'fd50::9')),
    ],
    errors: { 6: 'EHOSTUNREACH' },
    state: [bridge(), behind('fd51::/64', 'fd50::9')],
  },
  {
    name: 'the first IPv4 address of a subnet takes the others of it along',
    ops: [
      add(bridge()),
      add(addr('10.50.0.1', 24, 'trvb.7')),
      add(addr('10.50.0.2', 24, 'trvb.7')),
      add(addr('10.50.0.3', 24, 'trvb.7')),
      add(addr('10.50.0.4', 25, 'trvb.7')),
      remove(addr('10.50.0.3', 24, 'trvb.7')),
      add(behind('10.51.0.0/24', '10.50.0.200')),
      remove(addr('10.50.0.1', 24, 'trvb.7')),
      add(behind('10.52.0.0/24', '10.50.0.200')),
    ],
    errors: { 8: 'ENETUNREACH' },
    state: [bridge(), addr('10.50.0.4', 25, 'trvb.7'), behind('10.51.0.0/24', '10.50.0.200')],
  },
  {
    name: 'unless secondary addresses are promoted',
    sysctls: { 'net.ipv4.conf.all.promote_secondaries': '1' },
    ops: [
      add(bridge()),
      add(addr('10.50.0.1', 24, 'trvb.7')),
      add(addr('10.50.0.2', 24, 'trvb.7')),
      add(addr('10.50.0.3', 24, 'trvb.7')),
      remove(addr('10.50.0.1', 24, 'trvb.7')),
      add(behind('10.51.0.0/24', '10.50.0.200')),
      remove(addr('10.50.0.3', 24, 'trvb.7')),
      add(behind('10.52.0.0/24', '10.50.0.200')),
    ],
    state: [
      bridge(),
      addr('10.50.0.2', 24, 'trvb.7'),
      behind('10.51.0.0/24', '10.50.0.200'),
      behind('10.52.0.0/24', '10.50.0.200'),
    ],
  },
  {
    name: 'a bridge takes the lowest MAC of its ports, and the smallest MTU',
    ops: [
      add(anyBridge),
      add(vxlan({ master: 'trvb.7' })),
      add(second({ mac: '02:00:00:00:00:09' as Mac, master: 'trvb.7' })),
    ],
    state: [
      bridge({ mac: '02:00:00:00:00:09' as Mac, mtuBytes: 1450 }),
      vxlan({ master: 'trvb.7' }),
      second({ mac: '02:00:00:00:00:09' as Mac, master: 'trvb.7' }),
    ],
  },
  {
    name: 'and follows them',
    ops: [
      add(anyBridge),
      add(vxlan({ master: 'trvb.7' })),
      add(second({ mac: '02:00:00:00:00:09' as Mac, master: 'trvb.7' })),
      remove(second()),
      change(vxlan({ master: 'trvb.7' }), vxlan({ master: 'trvb.7', mac: PEER })),
    ],
    state: [bridge({ mac: PEER, mtuBytes: 1450 }), vxlan({ master: 'trvb.7', mac: PEER })],
  },
  {
    name: 'without ports it has none',
    ops: [add({ ...anyBridge, mtuBytes: 1400 }), add(vxlan({ master: 'trvb.7' })), remove(vxlan())],
    state: [bridge({ mac: '00:00:00:00:00:00' as Mac })],
  },
  {
    name: 'a MAC and an MTU that were chosen stay',
    ops: [
      add(anyBridge),
      change(bridge(), bridge({ mac: '02:00:00:00:00:0f' as Mac, mtuBytes: 1300 })),
      add(vxlan({ master: 'trvb.7' })),
    ],
    state: [
      bridge({ mac: '02:00:00:00:00:0f' as Mac, mtuBytes: 1300 }),
      vxlan({ master: 'trvb.7' }),
    ],
  },
  {
    name: 'an address with a prefix makes its gateway reachable',
    ops: [
      add(bridge()),
      add(addr('10.50.0.1', 24, 'trvb.7')),
      add(route('10.51.0.0/24', { link: 'trvb.7', via: '10.50.0.2' as Ip })),
    ],
    state: [
      bridge(),
      addr('10.50.0.1', 24, 'trvb.7'),
      route('10.51.0.0/24', { link: 'trvb.7', via: '10.50.0.2' as Ip }),
    ],
  },
  {
    name: 'a bridge with a VLAN port; the port outlives the bridge',
    ops: [add(bridge()), add(vlan({ master: 'trvb.7' })), remove(bridge())],
    state: [vlan()],
  },
  {
    name: 'a port joins and leaves a bridge',
    ops: [
      add(bridge()),
      add(vlan()),
      change(vlan(), vlan({ master: 'trvb.7' })),
      change(vlan({ master: 'trvb.7' }), vlan()),
      add(vlan({ name: 'trvl.8' })),
      add(vlan({ name: 'trvl.9', link: { type: 'vlan', parent: UNDERLAY, id: 9 }, master: 'no0' })),
      add(vlan({ name: 'trvl.9', link: { type: 'vlan', parent: 'no0', id: 9 } })),
      add(
        vlan({ name: 'trvl.9', link: { type: 'vlan', parent: UNDERLAY, id: 9 }, mtuBytes: 1501 }),
      ),
    ],
    errors: { 4: 'EEXIST', 5: 'ENODEV', 6: 'ENODEV', 7: 'EINVAL' },
    state: [bridge(), vlan()],
  },
]

/** Through a gateway on the bridge. */
function behind(dst: string, via: string): Route {
  return route(dst, { link: 'trvb.7', via: via as Ip })
}

function toPeerOf(link: string): Route {
  const dst = '10.42.9.0/26'
  return link === UNDERLAY ? route(dst, { link, via: PEER_IP }) : onlink(dst, '10.42.0.64')
}

/** Runs the suite on fresh kernels from `make`. */
export function kernelContract(
  t: Test,
  name: string,
  make: () => KernelUnderTest | Promise<KernelUnderTest>,
  { lacks = [] }: KernelContractOptions = {},
): void {
  for (const each of [...CASES, ...MACVLAN_CASES, ...LIGHTWEIGHT_CASES, ...NFT_CASES]) {
    const lacking = each.ops.flatMap((op) => partsOf(op)).find((part) => lacks.includes(part))
    const skip = lacking === undefined ? false : `this kernel lacks ${lacking}`
    t.test(`${name}: ${each.name}`, { skip }, async (t) => {
      const kernel = await make()
      t.teardown(() => kernel.close())
      for (const [key, value] of Object.entries(each.sysctls ?? {})) kernel.setSysctl(key, value)
      const failures = await applied(kernel, each.ops)
      const found = Object.fromEntries(
        failures.flatMap((failure, place) =>
          failure === undefined ? [] : [[place, failure.code]],
        ),
      )
      t.strictSame(found, told(each, found), 'errnos')
      t.equal(
        renderState(ours(await dumped(kernel))),
        renderState(kernelState(each.state)),
        'state',
      )
    })
  }
  if (!lacks.includes('peer MTU')) peerMtu(t, name, make)
}

/** Errnos to expect from a kernel that answered `found`. */
function told({ errors = {}, untold = [] }: Case, found: Readonly<Record<number, string>>): object {
  const isLeftOut = (place: string): boolean =>
    untold.includes(Number(place)) && found[Number(place)] === undefined
  return Object.fromEntries(Object.entries(errors).filter(([place]) => !isLeftOut(place)))
}

/** The other end of a pair follows, wherever it is. */
function peerMtu(
  t: Test,
  name: string,
  make: () => KernelUnderTest | Promise<KernelUnderTest>,
): void {
  t.test(`${name}: both ends of a pair are born with an MTU, and change it each`, async (t) => {
    const kernel = await make()
    t.teardown(() => kernel.close())
    const { podNetns } = kernel
    const made = pair(podNetns, 1450)
    t.equal(kernel.addPair(made), undefined)
    const ends = async (): Promise<readonly unknown[]> => {
      const found = (await dumped(kernel)).get(`link ${made.name}`)
      return found?.kind === 'link'
        ? [found.mtuBytes, found.peerMtuBytes, kernel.peerMtuBytes()]
        : []
    }
    t.strictSame(await ends(), [1450, 1450, 1450])
    const born = pair(podNetns, 1450, 1450)
    const both = pair(podNetns, 1400, 1400)
    const inner = pair(podNetns, 1400, 1300)
    t.strictSame(await applied(kernel, [change(born, both)]), [undefined])
    t.strictSame(await ends(), [1400, 1400, 1400])
    t.strictSame(await applied(kernel, [change(both, inner)]), [undefined])
    t.strictSame(await ends(), [1400, 1300, 1300])
  })
}

/** What the suite compares: our links, what is on them, our routes. */
function ours(state: KernelState): KernelState {
  return kernelState(
    [...state.values()].filter((object) => {
      if (object.kind === 'sysctl') return false
      if (isNft(object)) return true
      if (object.kind === 'link') return object.name.startsWith('trv')
      if (object.kind === 'route') return object.protocol === ROUTE_PROTOCOL
      const isLinkLocal = object.kind === 'addr' && /^fe[89ab]/.test(object.ip)
      return object.link.startsWith('trv') && !isLinkLocal
    }),
  )
}

function partsOf(op: KernelOp): readonly KernelPart[] {
  const object = subjectOf(op)
  if (isNft(object)) return ['nftables']
  if (object.kind === 'offload-off') return ['offloads']
  return op.kind === 'add' && object.kind === 'link' ? [object.link.type] : []
}

function applied(
  { port, settle }: KernelUnderTest,
  ops: readonly KernelOp[],
): Promise<readonly (KernelFailure | undefined)[]> {
  return new Promise((resolve) => {
    port.apply(ops, resolve)
    settle()
  })
}

function dumped({ port, settle }: KernelUnderTest): Promise<KernelState> {
  return new Promise((resolve, reject) => {
    port.observe([], (observed) =>
      observed.kind === 'state' ? resolve(observed.state) : reject(new Error(observed.reason)),
    )
    settle()
  })
}
