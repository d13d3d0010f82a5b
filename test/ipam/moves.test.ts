/** Changes of a network's road under nodes: what is written, taken back and refused. */
import t from 'tap'
import { movedNetwork, movesOfNew, notYetMoved, vnisInUse } from '../../ipam/moves.ts'
import type { NetworkRecord, NodeRecord, Standing } from '../../ipam/records.ts'
import { network, node, POOL_6 } from '../backend/views.ts'

const PLAIN = network('vxlan')
const LIGHT = network('vxlan', {
  options: { ...PLAIN.options, vxlanPort: 4790, flavour: 'lightweight' },
})
const ROUTE = network('route')

const at = (index: number, standing?: Standing): NodeRecord =>
  node(index, standing === undefined ? {} : { moves: { pods: standing } })
const arrived = (record: NetworkRecord, index: number): NodeRecord => node(index, movesOf(record))
const movesOf = (record: NetworkRecord): Partial<NodeRecord> => {
  const moves = movesOfNew([record])
  return moves === undefined ? {} : { moves }
}
const both = (record: NetworkRecord): readonly NodeRecord[] => [
  arrived(record, 0),
  arrived(record, 1),
]

t.test('a move names both roads; nobody has followed yet', async (t) => {
  const moved = movedNetwork(PLAIN, ROUTE, [at(0), at(1)])
  t.match(moved, {
    mode: 'route',
    move: { serial: 1, old: { mode: 'vxlan' }, new: { mode: 'route' } },
  })
  t.strictSame(notYetMoved(moved, [at(0), at(1)]), ['n0', 'n1'])
  t.strictSame(notYetMoved(moved, both(moved)), [])
  t.strictSame(movedNetwork(PLAIN, ROUTE, []), ROUTE, 'without nodes there is nobody to wait for')
  t.strictSame(movedNetwork(PLAIN, PLAIN, [at(0)]), PLAIN)
})

t.test('two tunnels of one VNI have two names, in turn', async (t) => {
  const light = movedNetwork(PLAIN, LIGHT, [at(0), at(1)])
  t.equal(light.alternate, true)
  const plain = movedNetwork(light, { ...PLAIN, ...kept(light) }, both(light))
  t.equal(plain.alternate, undefined)
  t.equal(plain.move?.serial, 2)
  const route = movedNetwork(light, { ...ROUTE, ...kept(light) }, both(light))
  t.equal(route.alternate, undefined, 'no tunnel, no name')
  t.equal(route.move?.old.alternate, true, 'the one that is left keeps its own')
  const cross = { ...light, options: { ...light.options, crossSubnet: true } }
  t.equal(movedNetwork(light, cross, both(light)).alternate, true, 'the same tunnel keeps its name')
})

t.test('on the way, only its two ends are allowed', async (t) => {
  const moved = movedNetwork(PLAIN, LIGHT, [at(0), at(1)])
  const half = [arrived(moved, 0), at(1)]
  t.throws(() => movedNetwork(moved, { ...ROUTE, ...kept(moved) }, half), {
    code: 'CONFLICT',
    message: 'Cannot change network pods: node n1 has not followed its last change yet',
  })
  const back = movedNetwork(moved, { ...PLAIN, ...kept(moved) }, half)
  t.strictSame([back.move, back.alternate], [moved.move, undefined])
  t.strictSame(notYetMoved(back, half), ['n0'], 'who never left is there')
  const again = movedNetwork(back, { ...LIGHT, ...kept(back) }, half)
  t.strictSame([again.move, again.alternate], [moved.move, true])
})

t.test("a VNI that is being left is nobody else's yet", async (t) => {
  const other = network('vxlan', { options: { ...PLAIN.options, vni: 7 } })
  const moved = movedNetwork(PLAIN, other, [at(0)])
  t.strictSame([...vnisInUse(moved, [at(0)])].sort(), [1, 7])
  t.strictSame([...vnisInUse(moved, [arrived(moved, 0)])], [7])
  t.strictSame([...vnisInUse(PLAIN, [at(0)])], [1])
})

t.test('a strict filter refuses where there is IPv4', async (t) => {
  const strict = [at(0), { ...at(1), strictFilter: true as const }]
  t.throws(() => movedNetwork(PLAIN, ROUTE, strict), {
    code: 'CONFLICT',
    message: /net\.ipv4\.conf\.all\.rp_filter is 1 \(strict\) on node n1 /,
  })
  const six = { ...PLAIN, pools: [POOL_6] }
  t.equal(movedNetwork(six, { ...ROUTE, pools: [POOL_6] }, strict).mode, 'route')
})

const kept = ({ move, alternate }: NetworkRecord): Partial<NetworkRecord> => ({
  ...(move && { move }),
  ...(alternate && { alternate }),
})
