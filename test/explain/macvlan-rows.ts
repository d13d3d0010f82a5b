/** What breaks where pods hang on macvlans. */
import type { Row } from './near-rows.ts'
import type { Ground } from './scene.ts'

export const MACVLAN: Ground = { mode: 'vlan', options: { attachment: 'macvlan', vlanId: 0 } }
export const TAGGED: Ground = { mode: 'vlan', options: { attachment: 'macvlan', vlanId: 100 } }

export const MACVLAN_ROWS: Readonly<Record<string, Row>> = {
  'macvlan: the uplink of the other node is down': {
    ground: MACVLAN,
    harm: (s) => s.change('n2', 'link eth0', { up: false }),
    place: 'node n2',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n2: ip link set dev eth0 up$/,
  },
  'macvlan: the 802.1Q link is down': {
    ground: TAGGED,
    harm: (s) => s.change('n1', 'link trvl.100', { up: false }),
    place: 'node n1',
    object: /^link trvl\.100$/,
    says: /down/,
    command: /ip link set dev trvl\.100 up$/,
    byAgent: true,
  },
  'macvlan: the pod lost its address': {
    ground: MACVLAN,
    harm: (s) => s.drop('b', /^addr eth0 10\./),
    place: 'pod default/b',
    object: /^addr 10\.42\.0\.129 dev eth0$/,
    says: /missing/,
    command: /nsenter .* ip addr show dev eth0$/,
  },
  'macvlan: a pod of another network': {
    ground: MACVLAN,
    harm: () => {},
    to: 'z',
    place: 'pod default/a',
    object: /^route 10\.99\.0\.129$/,
    says: /none/,
    command: /nsenter .* ip route get 10\.99\.0\.129$/,
  },
  "macvlan: the node's own is down": {
    ground: MACVLAN,
    harm: (s) => s.change('n1', 'link trvm.0', { up: false }),
    from: 'n1',
    to: 'a',
    place: 'node n1',
    object: /^link trvm\.0$/,
    says: /down/,
    command: /ip link set dev trvm\.0 up$/,
    byAgent: true,
  },
  "macvlan: the node's way to the pod is gone": {
    ground: MACVLAN,
    harm: (s) => s.drop('n1', /^route 10\.42\.0\.65\/32/),
    from: 'n1',
    to: 'a',
    place: 'node n1',
    object: /^route 10\.42\.0\.65/,
    says: /missing/,
    command: /ip route replace 10\.42\.0\.65\/32 dev trvm\.0/,
    byAgent: true,
  },
}
