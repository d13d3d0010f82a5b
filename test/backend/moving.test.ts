/**
 * Nodes in the middle of a change of road, in every order in which they may hear of
 * it, fall silent, and hear of its being taken back: whoever sends, the other takes it.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { movedNetwork, notYetMoved } from '../../ipam/moves.ts'
import { standings } from '../../src/backend/moving.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { ClusterView, NetworkRecord } from '../../src/cluster/view.ts'
import type { KernelState, Link, Route } from '../../src/kernel/mod.ts'
import { parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { attachment, claims, network, networkView, node } from './views.ts'

const COUNT = 3
const OPTIONS = { vni: 1, vxlanPort: 8472, vlanId: 100 }
const LIGHT = { ...OPTIONS, vxlanPort: 4790, flavour: 'lightweight', anyKernel: true } as const
const ROADS: readonly NetworkRecord[] = [
  network('vxlan'),
  network('route'),
  network('vxlan', { options: LIGHT }),
  network('vxlan', { options: { ...OPTIONS, crossSubnet: true } }),
  network('vxlan', { options: { ...OPTIONS, vxlanPort: 9000 } }),
  network('vxlan', { options: { ...OPTIONS, vni: 7 } }),
]
const PREFIXES = { underlayPrefixes: [parsePrefix('192.0.2.0/24'), parsePrefix('2001:db8::/64')] }

/** A cluster whose nodes read the store, follow it and tell of it one by one. */
class World {
  record: NetworkRecord
  readonly nodes = Array.from({ length: COUNT }, (_, index) => node(index, PREFIXES))
  readonly kernels: KernelState[]
  readonly seen: ClusterView[]

  constructor(record: NetworkRecord) {
    this.record = record
    this.seen = this.nodes.map((_, index) => this.view(index))
    this.kernels = this.seen.map((view) => planNode(view).desired)
  }

  view(index: number): ClusterView {
    const pods = [attachment(`c${index}`, [`10.42.0.${64 * index + 5}`], { node: `n${index}` })]
    const nodes = new Map(this.nodes.map((each) => [each.name, each]))
    const self = this.nodes[index] ?? node(index)
    return { self, nodes, networks: [networkView(this.record, COUNT, pods)], allows: [] }
  }

  set(index: number): void {
    const { move, alternate } = this.record
    const asked = { ...ROADS[index], ...(move && { move }), ...(alternate && { alternate }) }
    try {
      this.record = movedNetwork(this.record, asked as NetworkRecord, this.nodes)
    } catch (thrown) {
      assert.equal((thrown as { code?: string }).code, 'CONFLICT')
    }
  }

  /** One round of an agent: it tells what its kernel holds. */
  round(index: number): void {
    const view = this.view(index)
    this.kernels[index] = planNode(view).desired
    const moves = standings(view)
    const { moves: _before, ...rest } = view.self
    this.nodes[index] = { ...rest, ...(Object.keys(moves).length > 0 && { moves }) }
  }

  /** Pairs whose packets are sent by a road that the other has closed. */
  cut(): readonly string[] {
    return this.kernels.flatMap((kernel, from) =>
      this.nodes.flatMap((_, to) => (from === to ? [] : this.fault(kernel, from, to))),
    )
  }

  fault(kernel: KernelState, from: number, to: number): readonly string[] {
    const [block] = claims(this.record, `n${to}`, [to])
    const route = kernel.get(`route ${block?.cidr} metric 0`) as Route | undefined
    if (route === undefined) return [`n${from} has no route to n${to}`]
    if (route.link === 'eth0') return []
    const [out, into] = [route.link ?? '', this.kernels[to]]
    const link = kernel.get(`link ${out}`) as Link
    const other = [...(into?.values() ?? [])].some(
      (each) => each.kind === 'link' && sameWire(each, link),
    )
    const guard = into?.has(`nft-element tunnels ${wireKey(link, this.record)}`)
    const room = (into?.get(`link ${out}`) as Link | undefined)?.mtuBytes
    const pod = [...kernel.values()].find(
      (each): each is Link => each.kind === 'link' && each.link.type === 'veth',
    )
    return [
      ...(other ? [] : [`n${to} has closed what n${from} sends by: ${out}`]),
      ...(other && guard === false && link.link.type === 'vxlan' ? [`n${to} has no guard`] : []),
      ...((pod?.mtuBytes ?? 0) > (link.mtuBytes ?? 0) ? [`n${from}: pods above ${out}`] : []),
      ...(room !== undefined && room < 1280 ? ['too small'] : []),
    ]
  }
}

const sameWire = (left: Link, right: Link): boolean =>
  left.link.type === right.link.type &&
  'port' in left.link &&
  'port' in right.link &&
  left.link.port === right.link.port &&
  (!('vni' in left.link) || !('vni' in right.link) || left.link.vni === right.link.vni)

const wireKey = ({ link }: Link, { options }: NetworkRecord): string =>
  'port' in link ? `${link.port} . ${'vni' in link ? link.vni : options.vni}` : ''

type Event = { readonly round: number } | { readonly set: number }

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ round: fc.nat({ max: COUNT - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ set: fc.nat({ max: ROADS.length - 1 }) }) },
)

/** Nobody takes it back meanwhile. */
holds(
  t,
  'one change, in any order of rounds: no pair is ever cut, and all arrive',
  fc.record({
    from: fc.nat({ max: ROADS.length - 1 }),
    to: fc.nat({ max: ROADS.length - 1 }),
    rounds: fc.array(fc.nat({ max: COUNT - 1 }), { maxLength: 20 }),
  }),
  ({ from, to, rounds }) => {
    const world = new World(ROADS[from] as NetworkRecord)
    world.set(to)
    for (const index of rounds) {
      world.round(index)
      assert.deepEqual(world.cut(), [])
    }
    arrive(world)
  },
  { numRuns: 100 },
)

holds(
  t,
  'changes and rounds in any order: all arrive where the last one wanted',
  fc.record({
    from: fc.nat({ max: ROADS.length - 1 }),
    events: fc.array(event, { maxLength: 40 }),
  }),
  ({ from, events }) => {
    const world = new World(ROADS[from] as NetworkRecord)
    for (const each of events) {
      if ('set' in each) world.set(each.set)
      else world.round(each.round)
    }
    arrive(world)
  },
  { numRuns: 100 },
)

/** Three rounds each are enough: open, go over, close. */
function arrive(world: World): void {
  for (let turn = 0; turn < 5; turn++)
    for (let index = 0; index < COUNT; index++) world.round(index)
  assert.deepEqual(notYetMoved(world.record, world.nodes), [])
  assert.deepEqual(world.cut(), [])
  const { move: _done, ...final } = world.record
  for (let index = 0; index < COUNT; index++) {
    const view = world.view(index)
    const networks = view.networks.map((each) => ({ ...each, network: final }))
    assert.deepEqual(
      [...(world.kernels[index]?.keys() ?? [])].sort(),
      [...planNode({ ...view, networks }).desired.keys()].sort(),
    )
  }
}
