/**
 * Every planner on the simulated kernel: from any view to any other, applied,
 * cut short, and taken back.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Flavour, Mode } from '../../ipam/records.ts'
import { PROTOCOL_KERNEL, SimKernel } from '../../simulator/kernel.ts'
import { lookUp } from '../../simulator/lookup.ts'
import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import {
  diff,
  identity,
  inverse,
  type KernelObject,
  type KernelOp,
  type KernelState,
  owns,
  renderState,
  satisfies,
} from '../../src/kernel/mod.ts'
import { holds } from '../support/property.ts'
import { FOREIGN, type ViewSeed, viewOf, viewSeed } from './views.ts'

const RUNS = 100

/** A kernel with what was there before us, and the pods' links of `views`, as ADD makes them. */
function kernelFor(...views: readonly ClusterView[]): SimKernel {
  const kernel = new SimKernel('n0')
  for (const object of FOREIGN) mustApply(kernel, { kind: 'add', object })
  for (const view of views) {
    for (const op of podLinksOf(view, kernel)) mustApply(kernel, op)
  }
  return kernel
}

function mustApply(kernel: SimKernel, op: KernelOp): void {
  const failure = kernel.apply(op)
  assert.equal(failure, undefined, failure?.message)
}

function converge(kernel: SimKernel, view: ClusterView): readonly KernelOp[] {
  const { ops, conflicts } = diff(planNode(view).desired, kernel.snapshot())
  assert.deepEqual(conflicts, [])
  for (const op of ops) mustApply(kernel, op)
  return ops
}

function assertDesired(kernel: SimKernel, desired: KernelState): void {
  for (const [key, wanted] of desired) {
    const found = kernel.get(key)
    assert.ok(found !== undefined && satisfies(found, wanted), `${key} is as desired`)
  }
  const state = kernel.snapshot()
  for (const [key, found] of state) {
    assert.ok(!owns(found, state) || desired.has(key), `${key} is desired`)
  }
}

/** Sysctls are set, never taken back. */
const withoutSysctls = (state: KernelState): string =>
  renderState(new Map([...state].filter(([, { kind }]) => kind !== 'sysctl')))

/** What a test may not touch: everything that is neither ours nor the kernel's echo of it. */
function foreign(kernel: SimKernel): string {
  const state = kernel.snapshot()
  const isEcho = (object: KernelObject): boolean =>
    object.kind === 'route' &&
    object.protocol === PROTOCOL_KERNEL &&
    object.link?.startsWith('trv') === true
  const objects = [...state].filter(([, object]) => {
    return object.kind !== 'sysctl' && !owns(object, state) && !isEcho(object)
  })
  return renderState(new Map(objects))
}

/** Every road; tunnels in both flavours. */
const ROADS: readonly (readonly [mode: Mode, flavour: Flavour])[] = [
  ['vxlan', 'classic'],
  ['vxlan', 'lightweight'],
  ['route', 'classic'],
  ['vlan', 'classic'],
]

for (const [mode, flavour] of ROADS) {
  const road = flavour === 'classic' ? mode : `${mode}, ${flavour}`
  const one = viewSeed(mode, true, flavour)
  const two = fc.tuple(
    one,
    one.chain((seed) => fc.constant(seed)),
  )

  holds(
    t,
    `${road}: diff and apply lead from any view to any other, and touch nothing foreign`,
    two,
    ([before, after]) => {
      const [from, to] = viewsOf(before, after)
      const kernel = kernelFor(from)
      const others = foreign(kernel)
      converge(kernel, from)
      assertDesired(kernel, planNode(from).desired)
      for (const op of podLinksOf(to, kernel)) mustApply(kernel, op)
      converge(kernel, to)
      assertDesired(kernel, planNode(to).desired)
      assert.deepEqual(diff(planNode(to).desired, kernel.snapshot()).ops, [], 'a second round')
      assert.equal(foreign(kernel), others)
    },
    { numRuns: RUNS },
  )

  holds(
    t,
    `${road}: the inverses of any completed prefix, last first, restore the start`,
    fc.tuple(one, one, fc.nat()),
    ([before, after, cut]) => {
      const [from, to] = viewsOf(before, after)
      const kernel = kernelFor(from)
      converge(kernel, from)
      for (const op of podLinksOf(to, kernel)) mustApply(kernel, op)
      const start = kernel.snapshot()
      const { ops } = diff(planNode(to).desired, kernel.snapshot())
      const done = ops.slice(0, cut % (ops.length + 1))
      for (const op of done) mustApply(kernel, op)
      for (const op of [...done].reverse()) mustApply(kernel, inverse(op))
      assert.equal(withoutSysctls(kernel.snapshot()), withoutSysctls(start))
    },
    { numRuns: RUNS },
  )

  holds(
    t,
    `${road}: no prefix of the operations cuts off what stays reachable`,
    two,
    ([before, after]) => {
      const [from, to] = viewsOf(before, after)
      const kernel = kernelFor(from, to)
      converge(kernel, from)
      const there = destinations(to, from)
      const stay = destinations(from, to).filter((dst) => there.includes(dst))
      const reached = stay.filter((dst) => isRouted(kernel, dst))
      for (const op of diff(planNode(to).desired, kernel.snapshot()).ops) {
        mustApply(kernel, op)
        for (const dst of reached) assert.ok(isRouted(kernel, dst), `${dst} after ${op.kind}`)
      }
    },
    { numRuns: RUNS },
  )
}

// A tunnel that changes its flavour is made anew, so what it carries is away for a moment.
const routed = fc.oneof(viewSeed('vxlan'), viewSeed('route'))
holds(
  t,
  'one round leads from any road and flavour to any other',
  fc.tuple(routed, routed),
  ([before, after]) => {
    const [from, to] = viewsOf(before, after)
    const kernel = kernelFor(from)
    const others = foreign(kernel)
    converge(kernel, from)
    for (const op of podLinksOf(to, kernel)) mustApply(kernel, op)
    converge(kernel, to)
    assertDesired(kernel, planNode(to).desired)
    assert.deepEqual(diff(planNode(to).desired, kernel.snapshot()).ops, [], 'a second round')
    assert.equal(foreign(kernel), others)
  },
  { numRuns: 3 * RUNS },
)

// Linux drops a link's IPv4 routes and neighbours with its last IPv4 address, so a
// tunnel whose node loses its last block needs a second round.
holds(
  t,
  'vxlan: with nodes that have no block, two rounds lead from any view to any other',
  fc.tuple(viewSeed('vxlan', false), viewSeed('vxlan', false)),
  ([before, after]) => {
    const [from, to] = viewsOf(before, after)
    const kernel = kernelFor(from)
    for (const view of [from, from]) roundOf(kernel, view)
    for (const op of podLinksOf(to, kernel)) mustApply(kernel, op)
    for (const view of [to, to]) roundOf(kernel, view)
    assertDesired(kernel, planNode(to).desired)
  },
  { numRuns: RUNS },
)

/** One round of the agent: what is gone already may be removed again. */
function roundOf(kernel: SimKernel, view: ClusterView): void {
  for (const op of diff(planNode(view).desired, kernel.snapshot()).ops) {
    const failure = kernel.apply(op)
    assert.ok(failure === undefined || op.kind === 'remove', failure?.message)
  }
}

function viewsOf(before: ViewSeed, after: ViewSeed): readonly [ClusterView, ClusterView] {
  return [viewOf(before), viewOf(after)]
}

function podLinksOf(view: ClusterView, kernel: SimKernel): readonly KernelOp[] {
  const network = view.networks[0]!
  return network.attachments.flatMap((attachment): readonly KernelOp[] => {
    // Alone: bridge and routes are the agent's.
    const [link] = backends[network.network.mode].pod(attachment, network, view).node
    if (link?.kind !== 'link' || kernel.get(identity(link)) !== undefined) return []
    const { master: _bridge, ...alone } = link
    return [{ kind: 'add', object: alone }]
  })
}

/**
 * One address in every peer's block, and own pods, of networks whose tunnels
 * have the same flavour in both views: another flavour is another link.
 */
function destinations({ networks, self }: ClusterView, other: ClusterView): readonly string[] {
  return networks.flatMap(({ claims, attachments, network }) => {
    const counterpart = other.networks.find((each) => each.network.name === network.name)
    if (counterpart?.network.options.flavour !== network.options.flavour) return []
    const own = attachments.flatMap(({ ips }) => ips)
    if (network.mode === 'vlan') return own
    const peers = claims.filter(({ node }) => node !== self.name)
    return [...own, ...peers.map(({ cidr }) => cidr.slice(0, cidr.indexOf('/')))]
  })
}

/** Whether a packet would find its way out of this node, all entries included. */
function isRouted(kernel: SimKernel, dst: string): boolean {
  const hop = lookUp(kernel, dst as Parameters<typeof lookUp>[1], false)
  if (hop.kind === 'local') return true
  if (hop.kind === 'drop') return false
  const link = kernel.link(hop.link)
  if (link?.link.type === 'vxlan-gpe') return hop.encapDst !== undefined
  if (link?.link.type !== 'vxlan') return link !== undefined
  return hop.mac !== undefined && kernel.get(`fdb ${link.name} ${hop.mac}`) !== undefined
}
