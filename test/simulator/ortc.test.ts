/**
 * ORTC: the published example, and any table: the same forwarding of every address, never
 * more entries, and none fewer where all tables can be tried.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DISCARD, fewestRoutes, nextHopOf, type PlainRoute } from '../../simulator/ortc.ts'
import { holds } from '../support/property.ts'

/** Of the last so many bits of the address space, so that all addresses can be asked. */
const BITS = 5
const BASE = 2 ** 32 - 2 ** BITS

const anyRoute = (bits: number): fc.Arbitrary<PlainRoute> =>
  fc
    .record({
      depth: fc.integer({ min: 0, max: bits }),
      place: fc.integer({ min: 0, max: 2 ** bits - 1 }),
      nextHop: fc.integer({ min: 0, max: 3 }),
    })
    .map(({ depth, place, nextHop }) => {
      const size = 2 ** (bits - depth)
      const first = 2 ** 32 - 2 ** bits
      return { start: first + Math.floor(place / size) * size, length: 32 - bits + depth, nextHop }
    })

/** One of each prefix. */
const anyTable = (bits: number, maxLength: number): fc.Arbitrary<readonly PlainRoute[]> =>
  fc.uniqueArray(anyRoute(bits), {
    maxLength,
    selector: ({ start, length }) => `${start}/${length}`,
  })

const addresses = (bits: number): readonly number[] =>
  Array.from({ length: 2 ** bits }, (_, index) => 2 ** 32 - 2 ** bits + index)

t.test('the example of Draves 1999, figure 1', async (t) => {
  // 0/0 to 1, 10/2 to 2, 11/2 to 3, 00/2 to 2, 01/2 to 1 of two bits; 2 serves most.
  const at = (bits: string, nextHop: number): PlainRoute => ({
    start: Number.parseInt(bits.padEnd(32, '0'), 2),
    length: bits.length,
    nextHop,
  })
  const table = [at('00', 2), at('01', 1), at('10', 2), at('11', 3)]
  t.equal(fewestRoutes(table).length, 3)
})

t.test(
  'blocks of one rack become one prefix, and one that is elsewhere an exception',
  async (t) => {
    const block = (place: number, nextHop: number): PlainRoute => ({
      start: BASE + 4 * place,
      length: 30,
      nextHop,
    })
    const of = [0, 1, 2, 3, 4, 5, 6, 7].map((place) => block(place, 0))
    t.strictSame(fewestRoutes(of), [{ start: BASE, length: 27, nextHop: 0 }])
    t.equal(fewestRoutes(of.with(3, block(3, 1))).length, 2)
    // What nobody has is discarded, which is an entry, but where anything serves.
    t.equal(fewestRoutes(of.toSpliced(3, 1)).length, 2)
    t.equal(fewestRoutes(of.toSpliced(3, 1), { unrouted: 'any' }).length, 1)
  },
)

holds(t, 'forwards as before, with no more entries', anyTable(BITS, 20), (table) => {
  const few = fewestRoutes(table)
  assert.ok(few.length <= table.length, `${few.length} of ${table.length}`)
  for (const address of addresses(BITS)) {
    assert.equal(nextHopOf(few, address), nextHopOf(table, address), `address ${address}`)
  }
  const any = fewestRoutes(table, { unrouted: 'any' })
  assert.ok(any.length <= few.length, 'with less asked, no more')
  for (const address of addresses(BITS)) {
    const wanted = nextHopOf(table, address)
    if (wanted !== DISCARD) assert.equal(nextHopOf(any, address), wanted, `address ${address}`)
  }
})

/** Every table of `size` entries over two bits: 7 prefixes, hops and discarding. */
function* tablesOf(size: number, from = 0): Generator<readonly PlainRoute[]> {
  if (size === 0) return yield []
  const prefixes = [0, 1, 2].flatMap((depth) =>
    Array.from({ length: 2 ** depth }, (_, index) => ({
      start: 2 ** 32 - 4 + index * 2 ** (2 - depth),
      length: 30 + depth,
    })),
  )
  for (let index = from; index < prefixes.length; index++) {
    for (const rest of tablesOf(size - 1, index + 1)) {
      for (const nextHop of [DISCARD, 0, 1, 2, 3]) yield [{ ...prefixes[index]!, nextHop }, ...rest]
    }
  }
}

holds(
  t,
  'no table with fewer entries forwards so',
  anyTable(2, 5),
  (table) => {
    const few = fewestRoutes(table)
    if (few.length === 0) return
    const wanted = addresses(2).map((address) => nextHopOf(table, address))
    for (const other of tablesOf(few.length - 1)) {
      const same = addresses(2).every((address, at) => nextHopOf(other, address) === wanted[at])
      assert.ok(!same, `${few.length} entries, and ${JSON.stringify(other)} does it, too`)
    }
  },
  { numRuns: 60 },
)
