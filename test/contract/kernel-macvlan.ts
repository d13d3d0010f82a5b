/**
 * Macvlans: several MACs on one link, each a link of its own. Read off Linux 6.18.
 */
import type { Link } from '../../src/kernel/mod.ts'
import type { Mac } from '../../src/net/mod.ts'
import {
  add,
  addr,
  bridge,
  type Case,
  change,
  PEER,
  remove,
  route,
  UNDERLAY,
  VTEP,
  vxlan,
} from './kernel-objects.ts'

const macvlan = (settings: Partial<Link> = {}): Link => ({
  kind: 'link',
  name: 'trvm.0',
  link: { type: 'macvlan', mode: 'bridge', parent: UNDERLAY },
  up: true,
  mac: '02:00:00:00:00:0e' as Mac,
  mtuBytes: 1500,
  alias: 'trivium pods',
  ...settings,
})
const second = (settings: Partial<Link> = {}): Link =>
  macvlan({ name: 'trvm.8', mac: PEER, ...settings })
/** On a link of ours, which may come, change and go. */
const onTunnel = (settings: Partial<Link> = {}): Link =>
  macvlan({
    link: { type: 'macvlan', mode: 'bridge', parent: 'trvx.7' },
    mtuBytes: 1450,
    ...settings,
  })
/** What leads from a node to a pod on a macvlan. */
const way = route('10.42.0.5/32', { link: 'trvm.0' })
export const MACVLAN_CASES: readonly Case[] = [
  {
    name: 'a macvlan with all that hangs on it',
    ops: [macvlan(), addr('10.42.0.0', 32, 'trvm.0'), way].map(add),
    state: [macvlan(), addr('10.42.0.0', 32, 'trvm.0'), way],
  },
  {
    name: 'the same macvlan again; one without parent; what is on it goes with it',
    ops: [
      add(macvlan()),
      add(macvlan()),
      add(second({ link: { type: 'macvlan', mode: 'bridge', parent: 'no0' } })),
      add(way),
      add(second()),
      remove(macvlan()),
    ],
    errors: { 1: 'EEXIST', 2: 'ENODEV' },
    state: [second()],
  },
  {
    name: 'a macvlan goes with its parent',
    ops: [add(vxlan()), add(onTunnel()), add(way), add(second()), remove(vxlan())],
    state: [second()],
  },
  {
    name: 'a port of a bridge is no parent',
    ops: [
      add(bridge()),
      add(vxlan({ master: 'trvb.7' })),
      add(onTunnel()),
      change(vxlan({ master: 'trvb.7' }), vxlan()),
      add(onTunnel()),
    ],
    errors: { 2: 'EBUSY' },
    state: [bridge(), vxlan(), onTunnel()],
  },
  {
    name: 'a parent becomes no port; its macvlan may',
    ops: [
      add(bridge()),
      add(vxlan()),
      add(onTunnel()),
      change(vxlan(), vxlan({ master: 'trvb.7' })),
      change(onTunnel(), onTunnel({ master: 'trvb.7' })),
    ],
    errors: { 3: 'EBUSY' },
    state: [bridge({ mtuBytes: 1450 }), vxlan(), onTunnel({ master: 'trvb.7' })],
  },
  {
    name: 'a bridge has macvlans of its own',
    ops: [
      add(bridge()),
      add(macvlan({ link: { type: 'macvlan', mode: 'bridge', parent: 'trvb.7' } })),
    ],
    state: [bridge(), macvlan({ link: { type: 'macvlan', mode: 'bridge', parent: 'trvb.7' } })],
  },
  {
    name: 'a macvlan on a macvlan is one beside it',
    ops: [
      add(macvlan()),
      add(second({ link: { type: 'macvlan', mode: 'bridge', parent: 'trvm.0' } })),
      remove(macvlan()),
    ],
    state: [second()],
  },
  {
    name: 'one MAC among macvlans that are up and their parent',
    ops: [
      add(vxlan()),
      add(onTunnel()),
      add(second({ link: onTunnel().link, mtuBytes: 1450, up: false, mac: VTEP })),
      change(
        second({ link: onTunnel().link, mtuBytes: 1450, up: false, mac: VTEP }),
        second({ link: onTunnel().link, mtuBytes: 1450, mac: VTEP }),
      ),
      change(onTunnel(), onTunnel({ mac: VTEP })),
      change(onTunnel(), onTunnel({ mac: PEER })),
    ],
    errors: { 3: 'EADDRINUSE', 4: 'EADDRINUSE' },
    state: [
      vxlan(),
      onTunnel({ mac: PEER }),
      second({ link: onTunnel().link, mtuBytes: 1450, up: false, mac: VTEP }),
    ],
  },
  {
    name: 'a macvlan is never larger than its parent, and follows it down',
    ops: [
      add(vxlan()),
      add(onTunnel({ mtuBytes: 1451 })),
      add(onTunnel()),
      change(onTunnel(), onTunnel({ mtuBytes: 1451 })),
      change(vxlan(), vxlan({ mtuBytes: 1400 })),
      change(vxlan({ mtuBytes: 1400 }), vxlan()),
    ],
    errors: { 1: 'EINVAL', 3: 'EINVAL' },
    state: [vxlan(), onTunnel({ mtuBytes: 1400 })],
  },
  {
    name: 'under a parent that is down it keeps what it has, and takes more',
    ops: [
      add(vxlan()),
      add(onTunnel()),
      add(addr('10.42.0.0', 32, 'trvm.0')),
      add(addr('fd42::', 128, 'trvm.0')),
      add(way),
      change(vxlan(), vxlan({ up: false })),
      add(route('10.42.0.6/32', { link: 'trvm.0' })),
      change(onTunnel(), onTunnel({ up: false })),
      change(onTunnel({ up: false }), onTunnel()),
      add(addr('fd42::', 128, 'trvm.0')),
      add(way),
    ],
    state: [
      vxlan({ up: false }),
      onTunnel(),
      addr('10.42.0.0', 32, 'trvm.0'),
      addr('fd42::', 128, 'trvm.0'),
      way,
    ],
  },
]
