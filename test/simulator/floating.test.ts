/** Floating addresses on the simulated kernel: single routes come and go with the pods. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { SimKernel } from '../../simulator/kernel.ts'
import { lookUp } from '../../simulator/lookup.ts'
import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { diff, identity, isWayToPeer, type KernelOp } from '../../src/kernel/mod.ts'
import { ADDRESS_BITS, ipFamily, parseIp, prefixFamily, prefixLength } from '../../src/net/mod.ts'
import { floatingView, network } from '../backend/views.ts'
import { holds } from '../support/property.ts'
import { FOREIGN } from './views.ts'

const IPS = ['10.43.0.5', '10.43.0.9', 'fd43::7']
const places = fc.tuple(...IPS.map(() => fc.constantFrom('n0', 'n1', 'n2', 'nobody')))

function apply(kernel: SimKernel, ops: readonly KernelOp[]): void {
  for (const op of ops) {
    const failure = kernel.apply(op)
    assert.equal(failure, undefined, failure?.message)
  }
}

/** ADD and DEL of n0's pods, before its agent has followed. */
function pods(kernel: SimKernel, before: ClusterView | undefined, view: ClusterView): void {
  const linksOf = ({ networks }: ClusterView) =>
    networks.flatMap((each) =>
      each.attachments.map((one) => backends[each.network.mode].pod(one, each, view).node),
    )
  const [was, is] = [before === undefined ? [] : linksOf(before), linksOf(view)]
  const names = is.map(([link]) => link && identity(link))
  for (const [link] of was) {
    if (link !== undefined && !names.includes(identity(link)))
      apply(kernel, [{ kind: 'remove', object: link }])
  }
  for (const [link, ...others] of is) {
    if (link === undefined || kernel.get(identity(link)) !== undefined) continue
    const ways = others.filter(({ kind }) => !kind.startsWith('nft'))
    apply(
      kernel,
      [link, ...ways].map((object): KernelOp => {
        const from = kernel.get(identity(object))
        const moves = from !== undefined && isWayToPeer(from)
        return moves ? { kind: 'change', from, to: object } : { kind: 'add', object }
      }),
    )
  }
}

for (const mode of ['route', 'vxlan'] as const) {
  holds(
    t,
    `${mode}: each address is reached where it is, by a route of its own`,
    fc.array(places, { minLength: 2, maxLength: 8 }),
    (moves) => {
      const kernel = new SimKernel('n0')
      for (const object of FOREIGN.slice(0, 3)) apply(kernel, [{ kind: 'add', object }])
      let before: ClusterView | undefined
      for (const names of moves) {
        const held = IPS.flatMap((ip, at) => (names[at] === 'nobody' ? [] : [[ip, names[at]]]))
        const view = floatingView(network(mode), Object.fromEntries(held))
        pods(kernel, before, view)
        apply(kernel, diff(planNode(view).desired, kernel.snapshot()).ops)
        before = view
        for (const [at, text] of IPS.entries()) check(kernel, text, names[at] ?? '')
        const singles = [...kernel.snapshot().values()].filter(
          (object) =>
            object.kind === 'route' &&
            /^(10\.43|fd43)/.test(object.dst) &&
            prefixLength(object.dst) === ADDRESS_BITS[prefixFamily(object.dst)],
        )
        assert.equal(singles.length, held.length, 'a route for each and no more')
      }
    },
    { numRuns: 60 },
  )
}

function check(kernel: SimKernel, text: string, node: string): void {
  const hop = lookUp(kernel, parseIp(text), true)
  const found = JSON.stringify(hop)
  if (node === 'nobody') assert.equal(hop.kind, 'drop', found)
  else if (node === 'n0') assert.match(found, /"link":"trv[0-9a-f]{11}"/)
  else assert.match(found, ipFamily(parseIp(text)) === 4 ? /10\.42|192\.0\.2/ : /fd42|2001:db8/)
}
