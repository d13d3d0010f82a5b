/** The prefix table against a Map, with numbers given back and collisions on the way. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { PrefixTable } from '../../../src/bgp/rib/prefix-table.ts'
import { nlriOf } from '../../../src/bgp/wire/mod.ts'
import { addressAt, ipFromInteger, type Prefix, prefixOf } from '../../../src/net/mod.ts'
import { holds } from '../../support/property.ts'

const calls = fc.array(
  fc.record({ what: fc.constantFrom('add', 'add', 'remove', 'find'), index: fc.nat({ max: 400 }) }),
  { maxLength: 600, size: 'max' },
)

/** Neighbours in length and address, where a careless hash or comparison errs. */
const prefixAt = (family: 'ipv4' | 'ipv6', index: number): Prefix =>
  family === 'ipv4'
    ? prefixOf(ipFromInteger(4, BigInt((0x0a00_0000 + (index << 14)) >>> 0)), 8 + (index % 25))
    : prefixOf(
        addressAt('fd00::/16' as Prefix, BigInt(index) << BigInt(16 * (index % 7))),
        17 + (index % 112),
      )

for (const family of ['ipv4', 'ipv6'] as const) {
  holds(
    t,
    `${family}: numbers of prefixes against a Map`,
    calls,
    (history) => {
      const table = new PrefixTable(family)
      const model = new Map<Prefix, number>()
      for (const { what, index } of history) {
        const prefix = prefixAt(family, index)
        // Once from text, once from octets.
        if (index % 2 === 0) table.readPrefix(prefix)
        else table.read(nlriOf(family, [{ prefix }], false).bytes, 0)
        if (what === 'add') {
          const id = table.add()
          assert.equal(model.get(prefix) ?? id, id)
          model.set(prefix, id)
        } else assert.equal(table.find(), model.get(prefix) ?? -1)
        if (what === 'remove' && model.has(prefix)) {
          table.remove(model.get(prefix)!)
          model.delete(prefix)
        }
      }
      assert.equal(table.size, model.size)
      assert.equal(new Set(model.values()).size, model.size)
      assert.ok(table.end <= 401, 'numbers are given again')
      for (const [prefix, id] of model) {
        assert.equal(table.prefixOf(id), prefix)
        const bytes = new Uint8Array(20)
        const end = table.write(id, bytes, 1)
        assert.equal(end - 1, table.octetsOf(id))
        assert.equal(table.read(bytes, 1), end)
        assert.equal(table.find(), id)
      }
    },
    { numRuns: 60 },
  )
}

t.test('bits behind the length do not matter (RFC 4271 section 4.3)', async (t) => {
  const table = new PrefixTable('ipv4')
  table.read(Uint8Array.of(20, 10, 1, 0x2f), 0)
  const id = table.add()
  t.equal(table.prefixOf(id), '10.1.32.0/20' as Prefix)
  table.read(Uint8Array.of(20, 10, 1, 0x20), 0)
  t.equal(table.find(), id)
  table.read(Uint8Array.of(0), 0)
  t.equal(table.prefixOf(table.add()), '0.0.0.0/0' as Prefix)
})
