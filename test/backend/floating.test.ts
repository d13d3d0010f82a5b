/**
 * Floating addresses in iproute2's words: a route for one address, on every road.
 *
 * ```
 *   n0 (plans) 192.0.2.0     n1 192.0.2.1        n2 192.0.2.2
 *   10.42.0.0/26             10.42.0.64/26       10.42.0.128/26
 *                            10.43.0.5/32        fd43::7/128
 * ```
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { planNode } from '../../src/backend/plan.ts'
import { nodePlanner } from '../../src/backend/planner.ts'
import type { ClusterView, Mode, NetworkRecord } from '../../src/cluster/view.ts'
import { renderState } from '../../src/kernel/mod.ts'
import { holds } from '../support/property.ts'
import { floatingView, network } from './views.ts'

/** What the kernel holds of floating addresses and of the way to a node that has some. */
const lines = (view: ClusterView): readonly string[] =>
  renderState(planNode(view).desired)
    .trimEnd()
    .split('\n')
    .filter((line) => /10\.43|fd43/.test(line) && !line.startsWith('nft '))

const PLACES = { '10.43.0.5': 'n1', 'fd43::7': 'n2', '10.43.0.9': 'n0' }
const OWN = [
  /^ip -6 route add blackhole fd43::\/120 proto 84$/,
  /^ip route add 10\.43\.0\.9\/32 dev trv[0-9a-f]+ proto 84$/,
  /^ip route add blackhole 10\.43\.0\.0\/24 proto 84$/,
]
const ROADS: readonly (readonly [string, NetworkRecord, readonly string[]])[] = [
  [
    'route',
    network('route'),
    [
      'ip -6 route add fd43::7/128 via 2001:db8::2 dev eth0 proto 84',
      'ip route add 10.43.0.5/32 via 192.0.2.1 dev eth0 proto 84',
    ],
  ],
  [
    'vxlan, classic: by the tunnel endpoint of its node',
    network('vxlan'),
    [
      'ip -6 route add fd43::7/128 via fd42::80 dev trvx.1 proto 84 onlink',
      'ip route add 10.43.0.5/32 via 10.42.0.64 dev trvx.1 proto 84 onlink',
    ],
  ],
  [
    'vxlan, lightweight',
    network('vxlan', {
      options: { vni: 1, vxlanPort: 4790, vlanId: 1, flavour: 'lightweight', anyKernel: true },
    }),
    [
      'ip -6 route add fd43::7/128 encap ip id 1 dst 192.0.2.2 dev trvx.1 proto 84',
      'ip route add 10.43.0.5/32 encap ip id 1 dst 192.0.2.1 dev trvx.1 proto 84',
    ],
  ],
]
for (const [road, record, wanted] of ROADS) {
  t.test(road, async (t) => {
    const found = lines(floatingView(record, PLACES))
    t.strictSame(
      found.filter((line) => wanted.includes(line)),
      wanted,
    )
    const own = found.filter((line) => !wanted.includes(line) && !line.startsWith('ip link'))
    t.match(own, OWN)
    t.equal(own.length, OWN.length, 'a blackhole for the pool, none for an address')
  })
}

t.test('vlan: switches find it, no route', async (t) => {
  const found = lines(floatingView(network('vlan'), PLACES))
  t.strictSame(
    found.filter((line) => line.startsWith('ip route')),
    [],
  )
})

const sorted = ({ desired }: ReturnType<typeof planNode>): unknown =>
  [...desired].sort(([left], [right]) => (left < right ? -1 : 1))

const IPS = ['10.43.0.5', '10.43.0.9', 'fd43::7']
const places = fc
  .tuple(...IPS.map(() => fc.constantFrom('n0', 'n1', 'n2', 'nobody')))
  .map((names) => Object.fromEntries(IPS.map((ip, at) => [ip, names[at] ?? 'nobody'])))

holds(
  t,
  'however addresses move, a plan that is carried on is the plan of the view',
  fc.tuple(
    fc.constantFrom<Mode>('route', 'vxlan', 'vlan'),
    fc.array(fc.tuple(places, fc.boolean()), { minLength: 5, maxLength: 15 }),
  ),
  ([mode, moves]) => {
    const planner = nodePlanner()
    for (const [each, isLook] of moves) {
      const held = Object.entries(each).filter(([, node]) => node !== 'nobody')
      const view = floatingView(network(mode), Object.fromEntries(held))
      if (isLook) planner.step(view)
      else assert.deepEqual(sorted(planner.planWhole(view)), sorted(planNode(view)))
    }
  },
  { numRuns: 100 },
)
