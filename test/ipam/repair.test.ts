/** Repairs mend what they are for, and leave alone what has changed since. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { keys, release, type Tx } from '../../ipam/mod.ts'
import { applyRepairs, type StoreRepair } from '../../ipam/repair.ts'
import { judgeReport, readReport, storeMoment, writeReport } from '../../ipam/report.ts'
import { holds } from '../support/property.ts'
import { add, BOOT, inhabited, NODES, RULE_SPOILS, ruled, SPOILS } from './check-world.ts'
import { checkInvariants } from './invariants.ts'
import { LIFE_NODES, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

const NOW = { nowMs: 5 }

type World = ReturnType<typeof smallStore>

const nameOf = ([key, { sequence }]: readonly [string, { readonly sequence: number }]): string =>
  `${key} ${sequence}`

const repairsOf = (tx: Tx): readonly StoreRepair[] =>
  checkIpam(tx).flatMap(({ repair }) =>
    repair === undefined || repair.kind === 'remove-link' ? [] : [repair],
  )

const everything = (tx: Tx): string => JSON.stringify([...tx.range('')])

const ALL = { ...SPOILS, ...RULE_SPOILS }

const spoiling = fc.record({ name: fc.constantFrom(...Object.keys(ALL)), at: fc.nat(20) })

holds(
  t,
  'after repairs nothing is left but what is for a person',
  fc.array(spoiling, { minLength: 1, maxLength: 3 }),
  (spoilings) => {
    ruled().run((tx) => {
      for (const { name, at } of spoilings) {
        try {
          ALL[name]?.(tx, at)
        } catch {
          // Nothing left of that kind.
        }
      }
      const byHand = checkIpam(tx).some(({ repair }) => repair === undefined)
      for (let round = 0; round < 3; round++) applyRepairs(tx, repairsOf(tx), NOW)
      if (byHand) return
      // What only a person ends with a reservation is seen when it is under its own block.
      const left = checkIpam(tx)
      const wasHidden = spoilings.some(({ name }) => name === 'a reservation in another block')
      const forAPerson = left.filter(
        ({ code, repair }) => wasHidden && code.startsWith('reservation-') && repair === undefined,
      )
      assert.deepEqual(left, forAPerson)
      if (forAPerson.length > 0) return
      checkInvariants(tx, NODES)
      try {
        add(tx, 'n1', 'newcomer')
      } catch (thrown) {
        assert.match((thrown as Error).message, /every block of/)
      }
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
    const [stale] = applyRepairs(tx, [old], NOW)
    assert.equal(everything(tx), before)
    return [stale?.outcome, applyRepairs(tx, [{ ...old, sequence: 4 }], NOW)[0]?.outcome]
  })
  t.strictSame(results, ['stale', 'done'])
})

t.test('an address that was given again is not removed', async (t) => {
  const store = inhabited()
  store.run((tx) => SPOILS['an attachment forgotten']?.(tx, 0))
  const leaks = store.run(repairsOf)
  const outcomes = store.run((tx) => {
    applyRepairs(tx, leaks, NOW)
    for (let pod = 0; pod < 8; pod++) add(tx, 'n1', `again${pod}`)
    return applyRepairs(tx, leaks, NOW).map(({ outcome, why }) => `${outcome}: ${why}`)
  })
  t.equal(outcomes.length, 2)
  for (const outcome of outcomes) t.match(outcome, /^stale: it was given again, number \d+/)
})

t.test('a wrong counter does not stop a release', async (t) => {
  const store = inhabited()
  const key = { network: 'pods', containerId: 'n1c1', ifname: 'eth0' }
  const left = store.run((tx) => {
    for (const [name, use] of [...tx.range(keys.allUses)]) tx.put(name, { ...use, used: 0 })
    applyRepairs(tx, [{ kind: 'release', node: 'n1', key, sequence: 2 }, ...repairsOf(tx)], NOW)
    return checkIpam(tx)
  })
  t.strictSame(left, [])
})

t.test('what is released rests and is remembered, and not what an earlier boot had', async (t) => {
  const key = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })
  for (const bootId of [BOOT, 'boot-2']) {
    const [cooling, past] = ruled().run((tx) => {
      const before = [...tx.range(keys.networkHistory('pods'))].length
      const one = { kind: 'release', node: 'n1', key: key('n1c0'), sequence: 1 } as const
      applyRepairs(tx, [one], { nowMs: 5, bootId })
      const after = [...tx.range(keys.networkHistory('pods'))].length
      const uses = [...tx.range(keys.uses('n1', 'pods'))].map(([, use]) => use)
      const at5 = uses.flatMap(({ cooling = [] }) => cooling.filter(({ sinceMs }) => sinceMs === 5))
      return [at5.length, after - before]
    })
    t.strictSame([cooling, past], [bootId === BOOT ? 2 : 0, 2], bootId)
  }
  const leaked = ruled().run((tx) => {
    SPOILS['an attachment forgotten']?.(tx, 1)
    applyRepairs(tx, repairsOf(tx), NOW)
    const [, use] = [...tx.range(keys.uses('n1', 'pods'))][0] ?? []
    return use?.cooling?.filter(({ sinceMs }) => sinceMs === 5)
  })
  t.strictSame(leaked, [{ offset: 2, sinceMs: 5 }], 'a leak, too')
})

const SHAPELESS =
  '{"version":1,"madeMs":1,"findings":[],"of":{"networks":{},"sequences":{"n1":"7"}}}'

t.test('a report', async (t) => {
  const store = inhabited()
  const findings = store.run((tx) => {
    SPOILS['an attachment forgotten']?.(tx, 0)
    SPOILS['a wrong counter']?.(tx, 0)
    return checkIpam(tx)
  })
  const text = writeReport({ version: 1, madeMs: 1, findings })
  const kinds = readReport(text).releases.map(({ kind }) => kind)
  t.strictSame(kinds, ['remove-address', 'remove-address'], 'only what frees addresses comes back')
  for (const bad of ['', '[]', '{}', '{"version":2,"findings":[]}', '{"version":1}', SHAPELESS]) {
    t.throws(() => readReport(bad), { code: 'BAD_JSON' }, bad)
  }
  const release = { kind: 'release', node: 'n1/pods', key: {}, sequence: 1 }
  const slash = { version: 1, madeMs: 1, findings: [{ repair: release }] }
  t.throws(
    () => readReport(JSON.stringify(slash)).releases,
    { code: 'BAD_JSON' },
    'a slash in a name',
  )
})

t.test('a report of another time, node or store', async (t) => {
  const store = inhabited()
  const now = { node: 'n1', nowMs: 60_000 }
  const report = store.run((tx) => {
    SPOILS['an attachment forgotten']?.(tx, 0)
    const made = { version: 1, madeMs: 1, node: 'n1', of: storeMoment(tx) } as const
    return readReport(writeReport({ ...made, findings: checkIpam(tx) }))
  })
  const judge = (change: object = {}, when: object = {}): unknown =>
    store.run((tx) => judgeReport(tx, { ...report, ...change }, { ...now, ...when }))
  t.strictSame(judge(), [], 'nothing is to be said')
  t.match(judge({}, { nowMs: 3_600_000 }), [/^the report is 60 minutes old$/])
  t.match(judge({}, { node: 'n2' }), [/^it was made on node n1, this is node n2$/])
  t.match(judge({ of: undefined }), [/does not tell which store/])
  store.run((tx) => add(tx, 'n1', 'newcomer'))
  t.match(judge(), [/^node n1 has made 1 attachment since$/])
  const networks = Object.fromEntries(
    Object.keys(report.of?.networks ?? {}).map((name) => [name, 7]),
  )
  const other = { of: { ...report.of, networks } }
  t.throws(() => judge(other), {
    code: 'CONFLICT',
    message: /its network .* created at different times/,
  })
  const newer = { of: { ...report.of, sequences: { n1: 1000 } } }
  t.throws(() => judge(newer), { code: 'CONFLICT', message: /knows number 1000 of node n1/ })
  t.strictSame(
    judge({ of: { networks: {}, sequences: { n9: 5 } } }),
    [],
    'a cluster tells no numbers',
  )
})

holds(t, 'whatever a report holds, it is read or refused', fc.json(), (text) => {
  try {
    readReport(text)
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'BAD_JSON')
  }
})

/** The worst report: its machine said that every pod is dead, and some records were lost. */
function direReport(store: World, nowMs: number): string {
  return store.run((tx) => {
    const look = { node: 'n1', bootId: 'later', links: [], namespace: () => false }
    const findings = LIFE_NODES.flatMap((node) => checkIpam(tx, { ...look, node }))
    return writeReport({ version: 1, madeMs: nowMs, node: 'n1', findings })
  })
}

const born = (): World => {
  const store = smallStore()
  store.run((tx) => lifeStart(tx))
  return store
}

holds(
  t,
  'an old report frees nothing that was given since',
  fc.tuple(life(40), life(40), fc.array(fc.nat(40), { maxLength: 3 })),
  ([early, late, lost]) => {
    const store = born()
    const nowMs = store.run((tx) => live(tx, early, 1))
    store.run((tx) => {
      for (const at of lost) {
        const all = [...tx.range(keys.allAttachments)]
        const one = all[at % Math.max(1, all.length)]
        if (one !== undefined) tx.remove(one[0])
      }
    })
    const known = new Set(store.run((tx) => [...tx.range(keys.allAttachments)].map(nameOf)))
    const report = direReport(store, nowMs)
    store.run((tx) => live(tx, late, nowMs + 10_000))
    const newer = store.run((tx) =>
      [...tx.range(keys.allAttachments)].filter((pair) => !known.has(nameOf(pair))),
    )
    store.run((tx) => {
      applyRepairs(tx, readReport(report).releases, { nowMs: nowMs + 90_000 })
      for (const [key, one] of newer) {
        assert.deepEqual(tx.get(key), one)
        for (const ip of one.ips) {
          assert.equal(tx.get(keys.address(one.network, ip))?.containerId, one.containerId)
        }
      }
      const second = applyRepairs(tx, readReport(report).releases, { nowMs: nowMs + 91_000 })
      assert.ok(
        second.every(({ outcome }) => outcome === 'stale'),
        'twice is once',
      )
      checkInvariants(tx, LIFE_NODES)
    })
  },
  { numRuns: 150 },
)

holds(
  t,
  'a report of another machine, whose node has the same name, frees nothing',
  fc.tuple(life(40), life(40)),
  ([theirs, ours]) => {
    const [there, here] = [born(), born()]
    const nowMs = there.run((tx) => live(tx, theirs, 1))
    const report = direReport(there, nowMs).replaceAll(/"containerId": "c/g, '"containerId": "x')
    here.run((tx) => live(tx, ours, 1))
    const before = here.run(everything)
    const results = here.run((tx) => applyRepairs(tx, readReport(report).releases, { nowMs }))
    assert.ok(results.every(({ outcome }) => outcome === 'stale'))
    assert.equal(here.run(everything), before)
  },
  { numRuns: 100 },
)
