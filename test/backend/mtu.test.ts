/** MTU arithmetic, against the tables of the RFCs worked out by hand. */
import t from 'tap'
import { type Carriage, networkMtu } from '../../src/backend/mtu.ts'
import type { IpFamily } from '../../src/net/mod.ts'

type Case = readonly [
  Carriage,
  underlay: number,
  outer: IpFamily,
  inner: IpFamily,
  expected: number,
]

const GOOD: readonly Case[] = [
  ['vxlan', 1500, 4, 4, 1450],
  ['vxlan', 1500, 6, 4, 1430],
  ['vxlan', 1500, 4, 6, 1450],
  ['vxlan', 9000, 4, 4, 8950],
  ['vxlan', 1330, 4, 6, 1280],
  ['vxlan', 118, 4, 4, 68],
  ['vxlan-gpe', 1500, 4, 4, 1464],
  ['vxlan-gpe', 1500, 6, 4, 1444],
  ['vxlan-gpe', 1316, 4, 6, 1280],
  ['route', 1500, 4, 4, 1500],
  ['route', 1280, 4, 6, 1280],
  ['vlan', 1500, 4, 4, 1500],
  ['vlan', 68, 4, 4, 68],
]
for (const [mode, underlay, outer, inner, expected] of GOOD) {
  t.equal(
    networkMtu(mode, underlay, outer, inner),
    expected,
    `${mode} over ${underlay}, IPv${outer}/IPv${inner}`,
  )
}

const SMALL: readonly (readonly [...Case])[] = [
  ['vxlan', 1329, 4, 6, 1330],
  ['vxlan', 1349, 6, 6, 1350],
  ['vxlan', 117, 4, 4, 118],
  ['vxlan-gpe', 1335, 6, 6, 1336],
  ['route', 1279, 4, 6, 1280],
  ['vlan', 67, 4, 4, 68],
]
for (const [mode, underlay, outer, inner, needed] of SMALL) {
  t.throws(() => networkMtu(mode, underlay, outer, inner), {
    code: 'BAD_CONFIG',
    message: `Cannot run ${mode} over an underlay of ${underlay} bytes: IPv${inner} pods need at least ${needed}`,
  })
}

t.equal(networkMtu('vxlan', 1500, 4, 4, 1400), 1400, 'a wish that fits')
t.equal(networkMtu('vxlan', 1500, 4, 4, 1450), 1450, 'a wish that just fits')
t.throws(() => networkMtu('vxlan', 1500, 4, 4, 1451), {
  code: 'BAD_CONFIG',
  message: 'Cannot use an MTU of 1451 bytes: the underlay leaves at most 1450',
})
