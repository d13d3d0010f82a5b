/** A link without a record is overlooked for as long as its record is on the way, and no longer. */
import t from 'tap'
import { type KernelObject, kernelState } from '../../src/kernel/mod.ts'
import { unrecordedLinks } from '../../src/live/unrecorded-links.ts'
import type { Ip } from '../../src/net/mod.ts'

const link = (name: string): KernelObject => ({
  kind: 'link',
  name,
  link: { type: 'veth' },
  up: true,
})
const addr = (name: string): KernelObject => ({
  kind: 'addr',
  link: name,
  ip: 'fe80::1' as Ip,
  prefixLength: 64,
})

t.test('a link and what hangs on it', (t) => {
  const unrecorded = unrecordedLinks()
  const state = kernelState([link('a'), addr('a'), link('b'), addr('b')])
  t.equal(unrecorded.past(state), state, 'nothing is on the way')
  const recorded = unrecorded.add('a')
  t.strictSame(unrecorded.past(state), kernelState([link('b'), addr('b')]))
  t.strictSame(unrecorded.pastIn({ kind: 'state', state }), {
    kind: 'state',
    state: kernelState([link('b'), addr('b')]),
  })
  const failed = { kind: 'failed', reason: 'no memory' } as const
  t.equal(unrecorded.pastIn(failed), failed)
  recorded()
  t.equal(unrecorded.past(state), state)
  t.end()
})
