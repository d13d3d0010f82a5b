/**
 * Lightweight tunnels: VXLAN-GPE links, their VNIs, and routes with the tunnel
 * in them.
 */
import type { KernelObject, LinkKind } from '../../src/kernel/mod.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import {
  add,
  addr,
  bridge,
  type Case,
  change,
  encap,
  fdb,
  gpe,
  PEER,
  PEER_IP,
  remove,
  route,
  UNDERLAY,
  vni,
  vxlan,
} from './kernel-objects.ts'

const OTHER_IP = '192.0.2.3' as Ip
const SIX = '2001:db8::2' as Ip

const tunnel: readonly KernelObject[] = [
  gpe(),
  vni(9),
  addr('10.42.0.0', 32, 'trvx.9'),
  encap('10.42.0.64/26'),
  encap('10.42.0.128/26', { encapDst: SIX }),
  encap('fd42:0:0:1::/64'),
  encap('fd42:0:0:2::/64', { encapDst: SIX }),
]

export const LIGHTWEIGHT_CASES: readonly Case[] = [
  { name: 'a lightweight tunnel with its routes', ops: tunnel.map(add), state: tunnel },
  {
    name: 'the same again: a VNI that is there is no error',
    ops: [...tunnel, ...tunnel].map(add),
    errors: { 7: 'EEXIST', 9: 'EEXIST', 10: 'EEXIST', 11: 'EEXIST', 12: 'EEXIST', 13: 'EEXIST' },
    state: tunnel,
  },
  {
    name: 'its end takes VNIs and routes along',
    ops: [...tunnel.map(add), remove(gpe())],
    state: [],
  },
  {
    name: 'on a missing link',
    ops: [add(vni(9)), add(encap('10.42.0.64/26')), remove(vni(9))],
    errors: { 0: 'ENODEV', 1: 'ENODEV', 2: 'ENODEV' },
    state: [],
  },
  {
    name: 'two lightweight tunnels on a port part its VNIs',
    ops: [
      add(gpe()),
      add(gpe({ name: 'trvx.8' })),
      add(vni(9)),
      add(vni(8, 'trvx.8')),
      add(vni(9, 'trvx.8')),
      remove(vni(9)),
      add(vni(9, 'trvx.8')),
      remove(vni(9)),
    ],
    errors: { 4: 'EEXIST', 7: 'ENOENT' },
    state: [gpe(), gpe({ name: 'trvx.8' }), vni(8, 'trvx.8'), vni(9, 'trvx.8')],
  },
  {
    name: 'the same VNI on two ports',
    ops: [
      add(gpe()),
      add(gpe({ name: 'trvx.8', link: { type: 'vxlan-gpe', port: 4791 } })),
      add(vni(9)),
      add(vni(9, 'trvx.8')),
    ],
    state: [
      gpe(),
      gpe({ name: 'trvx.8', link: { type: 'vxlan-gpe', port: 4791 } }),
      vni(9),
      vni(9, 'trvx.8'),
    ],
  },
  {
    name: 'a classic and a lightweight tunnel do not share a port while both are up',
    ops: [
      add(vxlan()),
      add(gpe({ link: { type: 'vxlan-gpe', port: 8472 } })),
      add(gpe({ link: { type: 'vxlan-gpe', port: 8472 }, up: false })),
      change(
        gpe({ link: { type: 'vxlan-gpe', port: 8472 }, up: false }),
        gpe({ link: { type: 'vxlan-gpe', port: 8472 } }),
      ),
      add(gpe({ name: 'trvx.8' })),
      add(vxlan({ name: 'trvx.5', link: classicOn(5, 4790) })),
      add(vxlan({ name: 'trvx.6', link: classicOn(6, 8472) })),
    ],
    errors: { 1: 'EADDRINUSE', 3: 'EADDRINUSE', 5: 'EADDRINUSE' },
    state: [
      vxlan(),
      gpe({ link: { type: 'vxlan-gpe', port: 8472 }, up: false }),
      gpe({ name: 'trvx.8' }),
      vxlan({ name: 'trvx.6', link: classicOn(6, 8472) }),
    ],
  },
  {
    name: 'VNIs are for filtering tunnels only',
    ops: [add(vxlan()), add(bridge()), add(vni(9, 'trvx.7')), add(vni(9, 'trvb.7'))],
    errors: { 2: 'EOPNOTSUPP', 3: 'EINVAL' },
    state: [vxlan(), bridge()],
  },
  {
    name: 'an MTU beyond the underlay, and no MAC',
    ops: [
      add(gpe({ mac: '02:00:00:00:00:0f' as Mac, mtuBytes: 9000 })),
      add(gpe({ name: 'trvx.8', mtuBytes: 65_536 })),
      change(gpe({ mtuBytes: 9000 }), gpe({ mtuBytes: 65_535 })),
      change(gpe({ mtuBytes: 65_535 }), gpe({ mtuBytes: 65_536 })),
      change(gpe({ mtuBytes: 65_535 }), gpe({ mtuBytes: 67 })),
      change(gpe({ mtuBytes: 65_535 }), gpe({ mtuBytes: 65_535, mac: '02:00:00:00:00:0f' as Mac })),
    ],
    errors: { 1: 'EINVAL', 3: 'EINVAL', 4: 'EINVAL', 5: 'EOPNOTSUPP' },
    state: [gpe({ mtuBytes: 65_535 })],
  },
  {
    name: 'nothing of Ethernet: no forwarding entries, no bridge',
    ops: [add(gpe()), add(bridge()), add(fdb(PEER, PEER_IP, 'trvx.9')), ...intoBridge()],
    errors: { 2: 'EINVAL', 3: 'EINVAL' },
    state: [gpe(), bridge()],
  },
  {
    name: 'a tunnel route needs a link that is up; down, routes go and VNIs stay',
    ops: [
      add(gpe({ up: false })),
      add(vni(9)),
      add(encap('10.42.0.64/26')),
      add(encap('fd42:0:0:1::/64')),
      change(gpe({ up: false }), gpe()),
      add(encap('10.42.0.64/26')),
      add(encap('fd42:0:0:1::/64')),
      change(gpe(), gpe({ up: false })),
    ],
    errors: { 2: 'ENETDOWN', 3: 'ENETDOWN' },
    state: [gpe({ up: false }), vni(9)],
  },
  {
    name: 'a block moves between tunnel and direct road, and between peers',
    ops: [
      add(gpe()),
      ...['10.42.0.64/26', 'fd42:0:0:1::/64'].flatMap((dst) => [
        add(direct(dst)),
        change(direct(dst), encap(dst)),
        change(encap(dst), encap(dst, { encapDst: OTHER_IP })),
      ]),
      ...['10.42.0.128/26', 'fd42:0:0:2::/64'].flatMap((dst) => [
        add(encap(dst)),
        change(encap(dst), direct(dst)),
      ]),
    ],
    state: [
      gpe(),
      encap('10.42.0.64/26', { encapDst: OTHER_IP }),
      encap('fd42:0:0:1::/64', { encapDst: OTHER_IP }),
      direct('10.42.0.128/26'),
      direct('fd42:0:0:2::/64'),
    ],
  },
  {
    name: 'removing a route by another tunnel: ESRCH, but IPv6 does not look',
    ops: [
      add(gpe()),
      add(encap('10.42.0.64/26')),
      add(encap('fd42:0:0:1::/64')),
      remove(encap('10.42.0.64/26', { encapVni: 8 })),
      remove(encap('10.42.0.64/26', { encapDst: OTHER_IP })),
      remove(encap('fd42:0:0:1::/64', { encapVni: 8 })),
    ],
    errors: { 3: 'ESRCH', 4: 'ESRCH' },
    state: [gpe(), encap('10.42.0.64/26')],
  },
  {
    name: 'switching an offload off twice and on twice',
    ops: [
      add(vxlan()),
      add(offloadOff('trvx.7')),
      add(offloadOff('trvx.7')),
      add(gpe()),
      add(offloadOff('trvx.9')),
      remove(offloadOff('trvx.9')),
      remove(offloadOff('trvx.9')),
      add(offloadOff('trvx.5')),
    ],
    errors: { 7: 'ENODEV' },
    state: [vxlan(), offloadOff('trvx.7'), gpe()],
  },
]

function offloadOff(link: string): KernelObject {
  return { kind: 'offload-off', link, feature: 'tx-checksum-ip-generic' }
}

function classicOn(id: number, port: number): LinkKind {
  return { type: 'vxlan', vni: id, port, underlay: UNDERLAY, local: '192.0.2.1' as Ip }
}

function direct(dst: string): ReturnType<typeof route> {
  return route(dst, { link: UNDERLAY, via: dst.includes(':') ? SIX : PEER_IP })
}

function intoBridge(): Case['ops'] {
  return [change(gpe(), gpe({ master: 'trvb.7' }))]
}
