/** What a node tells its rack of its own blocks. */
import t from 'tap'
import { ownRoutes } from '../../../src/bgp/policy/own-routes.ts'
import { toldTo } from '../../../src/bgp/rib/explain.ts'
import type { Peer } from '../../../src/bgp/rib/peers.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import { PEERS } from '../rib/routers.ts'
import { World } from '../rib/world.ts'

const blocks = [
  { prefix: '10.42.0.0/16' as Prefix, ge: 26, le: 26 },
  { prefix: 'fd42::/48' as Prefix, ge: 64, le: 64 },
]
const floating = [{ prefix: '10.42.200.0/24' as Prefix, ge: 32, le: 32 }]
const set = { addCommunities: [7] }

function toldWith(summaries: readonly Prefix[]): readonly string[] {
  const rack: Peer = {
    ...PEERS[0]!,
    exportPolicy: ownRoutes('rack', { blocks, floating, summaries, set }),
  }
  const world = new World({ policies: { all: (_, attributes) => attributes } })
  world.up(rack)
  world.up(PEERS[1]!)
  const own = [
    '10.42.0.64/26',
    '10.42.0.128/26',
    '10.42.0.0/20',
    '10.42.200.9/32',
    '10.42.0.65/32',
    'fd42:0:0:9::/64',
  ]
  for (const prefix of own as Prefix[]) world.rib.originate(prefix)
  // Somebody else's block is theirs to announce.
  world.setCost('192.0.2.5' as never, 1)
  world.learn(PEERS[1]!.address, 'ipv4', [{ prefix: '10.42.9.0/26' as Prefix }], {
    origin: 'igp',
    asPath: [{ kind: 'sequence', asns: [65_001] }],
    nextHop: '192.0.2.5' as never,
  })
  world.settle()
  const told = (['ipv4', 'ipv6'] as const).flatMap((family) => [
    ...toldTo(world.rib, rack.address, family),
  ])
  t.ok(told.every(({ attributes }) => attributes.communities?.includes(7)))
  return told.map(({ prefix }) => prefix).sort()
}

t.strictSame(
  toldWith([]),
  ['10.42.0.128/26', '10.42.0.64/26', '10.42.200.9/32', 'fd42:0:0:9::/64'],
  'blocks and floating addresses, no pod singly',
)
t.strictSame(
  toldWith(['10.42.0.0/20' as Prefix, '10.42.192.0/18' as Prefix]),
  ['10.42.0.0/20', '10.42.200.9/32', 'fd42:0:0:9::/64'],
  'a summary in place of what is inside, but for floating addresses',
)
