/** Any writes over any store read as if they were in it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { overlay } from '../../ipam/lmdb/overlay.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import type { Key, KeyRange, Reader, Tx } from '../../ipam/store.ts'
import { holds } from '../support/property.ts'

const PREFIXES: readonly KeyRange<number>[] = ['a/', 'a/b/', 'b/', 'none/']
const RANGES: readonly KeyRange<number>[] = [...PREFIXES, 'a/\uffee/']

/** Few keys, so that they meet; some whose order is not that of UTF-16. */
const key: fc.Arbitrary<Key<number>> = fc
  .tuple(fc.constantFrom(...RANGES), fc.constantFrom('', '0', 'x', '\uffee', '😀', 'b'))
  .map(([prefix, name]) => `${prefix}${name}`)
/** Undefined: removed. */
const write = fc.tuple(key, fc.option(fc.nat(9), { nil: undefined }))
const writes = fc.array(write, { maxLength: 12 })

const inOrder = (model: ReadonlyMap<string, number>): (readonly [string, number])[] =>
  [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

function readerOf(model: ReadonlyMap<string, number>): Reader {
  const queue: (() => void)[] = []
  const store = memoryStore({ defer: (run) => queue.push(run) })
  store.transact(
    (tx) => {
      for (const [name, value] of model) tx.put(name as Key<number>, value)
    },
    () => {},
  )
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) step()
  return store.read((reader) => reader)
}

t.test('three layers', async (t) => {
  holds(t, 'as a map would', fc.tuple(writes, writes, writes), ([base, outer, inner]) => {
    const model = modelOf(base)
    const all = overlay(readerOf(model))
    const own = overlay(all)
    const layers = [
      [all, outer],
      [own, inner],
    ] as const
    for (const [layer, some] of layers) {
      for (const [name, value] of some) {
        if (value === undefined) layer.remove(name)
        else layer.put(name, value)
        apply(model, [name, value])
      }
      for (const range of RANGES) {
        const wanted = inOrder(model).filter(([name]) => name.startsWith(range))
        assert.deepEqual([...layer.range(range)], wanted)
      }
      for (const [name] of [...base, ...outer, ...inner]) {
        assert.equal(layer.get(name), model.get(name))
      }
    }
  })
})

/** Reads in between are remembered, and must not be what they were. */
const bodies = fc.array(
  fc.record({ writes, asked: fc.constantFrom(...RANGES), fails: fc.boolean() }),
)

t.test('bodies one after the other, some of which throw', async (t) => {
  holds(t, 'as a map would', fc.tuple(writes, bodies), ([base, doings]) => {
    const model = modelOf(base)
    const all = overlay(readerOf(model))
    const handedOut: (readonly [pairs: unknown, then: string])[] = []
    for (const { writes, asked, fails } of doings) {
      const own = new Map(model)
      const body = (tx: Tx): void => {
        for (const [name, value] of writes) {
          if (value === undefined) tx.remove(name)
          else tx.put(name, value)
          apply(own, [name, value])
          const found = tx.range(asked)
          handedOut.push([found, JSON.stringify(found)])
          const wanted = inOrder(own).filter(([key]) => key.startsWith(asked))
          assert.deepEqual([...found], wanted)
          assert.equal(tx.get(name), own.get(name))
        }
        if (fails) throw new Error('planted')
      }
      if (fails) assert.throws(() => all.attempt(body))
      else all.attempt(body)
      if (!fails) for (const one of writes) apply(model, one)
      for (const range of RANGES) {
        const wanted = inOrder(model).filter(([name]) => name.startsWith(range))
        assert.deepEqual([...all.range(range)], wanted)
      }
    }
    for (const [pairs, then] of handedOut) assert.equal(JSON.stringify(pairs), then)
    const left = modelOf(base)
    for (const [name, text] of all.writes()) {
      if (text === undefined) left.delete(name)
      else left.set(name, JSON.parse(text))
    }
    assert.deepEqual(inOrder(left), inOrder(model), 'what is written makes it so')
  })
})

type Write = readonly [string, number | undefined]

/** Undefined: removed. */
function apply(model: Map<string, number>, [name, value]: Write): void {
  if (value === undefined) model.delete(name)
  else model.set(name, value)
}

function modelOf(some: readonly Write[]): Map<string, number> {
  const model = new Map<string, number>()
  for (const one of some) apply(model, one)
  return model
}

t.test('what cannot be written is refused while nothing is', async (t) => {
  const tx = overlay(readerOf(new Map()))
  t.throws(() => tx.put('', 1))
  t.throws(() => tx.put(`a/${'x'.repeat(2000)}`, 1))
  t.throws(() => tx.remove(`a/${'é'.repeat(1000)}`))
  t.throws(() => tx.put('a/undefined', undefined))
  t.equal(tx.values.size, 0)
})

t.test('lists that follow on each other', async (t) => {
  const part = fc.oneof(fc.record({ offset: fc.nat(3) }), fc.constantFrom(0, -0, 'x', true))
  const change = fc.record({ from: fc.nat(4), to: fc.nat(8), twice: fc.boolean(), more: part })
  holds(t, 'are as JSON, and nobody else’s', fc.array(change, { maxLength: 8 }), (changes) => {
    const all = overlay(readerOf(new Map()))
    const list = 'list' as Key<readonly unknown[]>
    for (const { from, to, twice, more } of changes) {
      const kept = (all.get(list) ?? []).slice(from, to)
      const next = [...kept, more, ...(twice ? kept : [])]
      const wanted = JSON.parse(JSON.stringify(next))
      all.put(list, next)
      if (typeof more === 'object') more.offset = 9
      next.length = 0
      assert.deepEqual(all.get(list), wanted)
    }
  })
})
