/** Snapshots of a simulated kernel against copies of what it held. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { SimKernel } from '../../simulator/kernel.ts'
import {
  type KernelObject,
  type KernelOp,
  type KernelState,
  kernelState,
} from '../../src/kernel/mod.ts'
import { type Ip, macFromName } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

const LINK: KernelObject = { kind: 'link', name: 'eth0', link: { type: 'bridge' }, up: true }

const neigh = (at: number, to: number): KernelObject => ({
  kind: 'neigh',
  link: 'eth0',
  ip: `192.0.2.${at}` as Ip,
  mac: macFromName(String(to)),
})

const op: fc.Arbitrary<KernelOp> = fc
  .record({ at: fc.nat(7), to: fc.nat(3), kind: fc.constantFrom('add', 'remove') })
  .map(({ at, to, kind }) => ({ kind, object: neigh(at, to) }))

function kernelWithLink(): SimKernel {
  const kernel = new SimKernel('n0')
  kernel.apply({ kind: 'add', object: LINK })
  return kernel
}

const copyOf = (state: KernelState): Map<string, KernelObject> => new Map([...state].sort())

holds(
  t,
  'a snapshot stays what it was, however many come after it',
  fc.array(fc.record({ op, isShown: fc.boolean() }), { minLength: 5, maxLength: 60 }),
  (steps) => {
    const kernel = kernelWithLink()
    const shown: { readonly found: KernelState; readonly wanted: Map<string, KernelObject> }[] = []
    for (const { op, isShown } of steps) {
      kernel.apply(op)
      if (!isShown) continue
      const wanted = copyOf(kernelState(kernel.objects()))
      shown.push({ found: kernel.snapshot(), wanted })
    }
    for (const { found, wanted } of shown) {
      assert.deepEqual(copyOf(found), wanted)
      assert.deepEqual([...found.keys()].sort(), [...wanted.keys()])
      assert.equal([...found.values()].length, wanted.size)
      assert.equal(found.size, wanted.size)
      for (let at = 0; at < 8; at++) {
        const key = `neigh eth0 192.0.2.${at}`
        assert.equal(found.has(key), wanted.has(key))
        assert.equal(found.get(key), wanted.get(key))
      }
    }
  },
)

t.test('nothing changed: the same snapshot', async (t) => {
  const kernel = kernelWithLink()
  const first = kernel.snapshot()
  t.equal(kernel.snapshot(), first)
  kernel.apply({ kind: 'add', object: neigh(1, 1) })
  t.not(kernel.snapshot(), first)
})

t.test('a kernel that changes while its snapshot is read', async (t) => {
  const kernel = kernelWithLink()
  for (let at = 0; at < 8; at++) kernel.apply({ kind: 'add', object: neigh(at, 0) })
  const snapshot = kernel.snapshot()
  const wanted = [...snapshot.keys()].sort()
  const found: string[] = []
  for (const [key] of snapshot) {
    found.push(key)
    // Behind the reader, in front of it, and something new.
    kernel.apply({ kind: 'remove', object: neigh(1, 0) })
    kernel.apply({ kind: 'remove', object: neigh(6, 0) })
    kernel.apply({ kind: 'add', object: neigh(100 + found.length, 0) })
    if (found.length === 6) kernel.apply({ kind: 'add', object: neigh(1, 2) })
  }
  t.strictSame(found.sort(), wanted)
})
