/**
 * What each road puts into a node's kernel, in iproute2 words: three nodes, two
 * pods, dual stack. The picture is on top of each file.
 */
import t from 'tap'
import type { Mode } from '../../ipam/records.ts'
import { SimKernel } from '../../simulator/kernel.ts'
import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import { diff, kernelState, renderOp, renderState } from '../../src/kernel/mod.ts'
import { golden } from '../support/golden.ts'
import { FOREIGN, viewOf } from './views.ts'

const PICTURE = `
#   n0 192.0.2.1                 n1 192.0.2.2          n2 192.0.2.3
#   10.42.0.0/26                 10.42.0.64/26         10.42.0.192/26
#   10.42.0.128/26 (spare)       fd42::40/122          fd42::c0/122
#   fd42::/122, fd42::80/122
#   pods .5 and .6
#      |                            |                     |
#   ---+------ underlay 192.0.2.0/24, 2001:db8::/64, MTU 1500 -+---
#
# Seen from n0.
`.trimStart()

for (const mode of ['vxlan', 'route', 'vlan'] as const satisfies readonly Mode[]) {
  t.test(mode, async (t) => {
    const view = viewOf({
      mode,
      dualStack: true,
      blocks: [[0, 2], [1], [3]],
      pods: [5, 6],
      mtuBytes: undefined,
    })
    const network = view.networks[0]!
    const kernel = new SimKernel('n0')
    for (const object of FOREIGN.slice(0, 3)) kernel.apply({ kind: 'add', object })
    const pods = network.attachments.map((attachment) =>
      backends[mode].pod(attachment, network, view),
    )
    for (const { node } of pods) {
      const [link] = node
      if (link?.kind !== 'link') continue
      const { master: _bridge, ...alone } = link
      t.equal(kernel.apply({ kind: 'add', object: alone }), undefined)
    }
    const { desired, problems } = planNode(view)
    t.strictSame(problems, [])
    const { ops } = diff(desired, kernel.snapshot())
    for (const op of ops) t.equal(kernel.apply(op), undefined, renderOp(op))
    t.strictSame(diff(desired, kernel.snapshot()).ops, [])
    const text = [
      `# ${mode}\n#\n${PICTURE}`,
      '# The pods were added; what the agent of n0 does, in order:',
      ...ops.map(renderOp),
      '',
      '# Everything in the kernel of n0 afterwards:',
      renderState(kernel.snapshot()),
      '# In the namespace of the first pod:',
      renderState(kernelState(pods[0]?.pod ?? [])),
    ].join('\n')
    golden(t, `backend-${mode}`, text)
  })
}
