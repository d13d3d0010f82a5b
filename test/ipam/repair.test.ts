/** Repairs mend what they are for, and leave alone what has changed since. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { keys, release, type Tx } from '../../ipam/mod.ts'
import { applyRepairs, type StoreRepair } from '../../ipam/repair.ts'
import { readReleases, writeReport } from '../../ipam/report.ts'
import { holds } from '../support/property.ts'
import { add, inhabited, NODES, SPOILS } from './check-world.ts'
import { checkInvariants } from './invariants.ts'

const repairsOf = (tx: Tx): readonly StoreRepair[] =>
  checkIpam(tx).flatMap(({ repair }) =>
    repair === undefined || repair.kind === 'remove-link' ? [] : [repair],
  )

const everything = (tx: Tx): string => JSON.stringify([...tx.range('')])

const spoiling = fc.record({ name: fc.constantFrom(...Object.keys(SPOILS)), at: fc.nat(20) })

holds(
  t,
  'after repairs nothing is left but what is for a person',
  fc.array(spoiling, { minLength: 1, maxLength: 3 }),
  (spoilings) => {
    inhabited().run((tx) => {
      for (const { name, at } of spoilings) {
        try {
          SPOILS[name]?.(tx, at)
        } catch {
          // Nothing left of that kind.
        }
      }
      const byHand = checkIpam(tx).some(({ repair }) => repair === undefined)
      for (let round = 0; round < 3; round++) applyRepairs(tx, repairsOf(tx))
      if (byHand) return
      assert.deepEqual(checkIpam(tx), [])
      checkInvariants(tx, NODES)
      add(tx, 'n1', 'newcomer')
      checkInvariants(tx, NODES)
    })
  },
  { numRuns: 300 },
)

t.test('a release is for one number only', async (t) => {
  const store = inhabited()
  const key = { network: 'pods', containerId: 'n1c0', ifname: 'eth0' }
  const results = store.run((tx) => {
    const old = { kind: 'release', node: 'n1', key, sequence: 1 } as const
    release(tx, 'n1', key)
    add(tx, 'n1', 'n1c0')
    const before = everything(tx)
    const [stale] = applyRepairs(tx, [old])
    assert.equal(everything(tx), before)
    return [stale?.outcome, applyRepairs(tx, [{ ...old, sequence: 4 }])[0]?.outcome]
  })
  t.strictSame(results, ['stale', 'done'])
})

t.test('an address that was given again is not removed', async (t) => {
  const store = inhabited()
  store.run((tx) => SPOILS['an attachment forgotten']?.(tx, 0))
  const leaks = store.run(repairsOf)
  const outcomes = store.run((tx) => {
    applyRepairs(tx, leaks)
    for (let pod = 0; pod < 8; pod++) add(tx, 'n1', `again${pod}`)
    return applyRepairs(tx, leaks).map(({ outcome, why }) => `${outcome}: ${why}`)
  })
  t.equal(outcomes.length, 2)
  for (const outcome of outcomes) t.match(outcome, /^stale: it was given again, number \d+/)
})

t.test('a wrong counter does not stop a release', async (t) => {
  const store = inhabited()
  const key = { network: 'pods', containerId: 'n1c1', ifname: 'eth0' }
  const left = store.run((tx) => {
    for (const [name, use] of [...tx.range(keys.allUses)]) tx.put(name, { ...use, used: 0 })
    applyRepairs(tx, [{ kind: 'release', node: 'n1', key, sequence: 2 }, ...repairsOf(tx)])
    return checkIpam(tx)
  })
  t.strictSame(left, [])
})

t.test('a report', async (t) => {
  const store = inhabited()
  const findings = store.run((tx) => {
    SPOILS['an attachment forgotten']?.(tx, 0)
    SPOILS['a wrong counter']?.(tx, 0)
    return checkIpam(tx)
  })
  const text = writeReport({ version: 1, madeMs: 1, findings })
  const kinds = readReleases(text).map(({ kind }) => kind)
  t.strictSame(kinds, ['remove-address', 'remove-address'], 'only what frees addresses comes back')
  for (const bad of ['', '[]', '{}', '{"version":2,"findings":[]}', '{"version":1}']) {
    t.throws(() => readReleases(bad), { code: 'BAD_JSON' }, bad)
  }
  const release = { kind: 'release', node: 'n1/pods', key: {}, sequence: 1 }
  const slash = { version: 1, findings: [{ repair: release }] }
  t.throws(() => readReleases(JSON.stringify(slash)), { code: 'BAD_JSON' }, 'a slash in a name')
})

holds(t, 'whatever a report holds, it is read or refused', fc.json(), (text) => {
  try {
    readReleases(text)
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'BAD_JSON')
  }
})
