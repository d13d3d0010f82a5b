/** A backup comes back as it was, and never gives an address that somebody has. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  footerLine,
  headerLine,
  type Image,
  imageParser,
  NOT_KEPT,
  networksImage,
  pairLine,
  wholeImage,
} from '../../ipam/backup/image.ts'
import { type RestoreReport, restore } from '../../ipam/backup/restore.ts'
import { flawOf } from '../../ipam/backup/shape.ts'
import { checkIpam } from '../../ipam/check.ts'
import { keys, type Tx } from '../../ipam/mod.ts'
import { holds } from '../support/property.ts'
import { ruled } from './check-world.ts'
import { checkInvariants } from './invariants.ts'
import { everything, LIFE_NODES, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

const SUM = '0'.repeat(64)

/** Through text, as a file would. */
function imageOf(tx: Tx, networks?: readonly string[]): Image {
  const pairs = [...(networks === undefined ? wholeImage(tx) : networksImage(tx, networks))]
  const parser = imageParser()
  const lines = [headerLine(networks === undefined ? 'backup' : 'export', 7)]
  lines.push(...pairs.map(pairLine), footerLine({ records: pairs.length, sha256: SUM }))
  for (const line of lines) parser.add(line.trimEnd())
  return parser.image()
}

class Undone extends Error {}

/** As the command does: with conflicts nothing stays. */
function restored(store: ReturnType<typeof smallStore>, image: Image): RestoreReport {
  let report: RestoreReport | undefined
  try {
    store.run((tx) => {
      report = restore(tx, image)
      if (report.conflicts.length > 0) throw new Undone()
    })
  } catch (thrown) {
    if (!(thrown instanceof Undone)) throw thrown
  }
  assert.ok(report)
  return report
}

const born = (): ReturnType<typeof smallStore> => {
  const store = smallStore()
  store.run((tx) => lifeStart(tx))
  return store
}

const heldBy = (tx: Tx): ReadonlyMap<string, string> =>
  new Map(
    [...tx.range(keys.allAddresses)].map(([, { ip, containerId, sequence }]) => [
      ip,
      `${containerId} ${sequence}`,
    ]),
  )

holds(
  t,
  'into an empty store: the same records, twice',
  life(60),
  (events) => {
    const store = born()
    store.run((tx) => live(tx, events, 1))
    const [image, before] = store.run((tx) => [imageOf(tx), everything(tx)])
    const other = smallStore()
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(restored(other, image).conflicts, [])
      assert.equal(other.run(everything), before)
    }
    other.run((tx) => checkInvariants(tx, LIFE_NODES))
  },
  { numRuns: 150 },
)

holds(
  t,
  'into a store that went on: conflicts and no change, or all of both and no duplicate',
  fc.tuple(life(30), life(30), fc.boolean()),
  ([early, late, isLost]) => {
    const store = born()
    const nowMs = store.run((tx) => live(tx, early, 1))
    const image = store.run((tx) => imageOf(tx))
    const target = isLost ? born() : store
    target.run((tx) => live(tx, late, nowMs))
    const before = target.run(everything)
    const held = target.run(heldBy)
    const report = restored(target, image)
    if (report.conflicts.length > 0) {
      assert.equal(target.run(everything), before)
      return
    }
    target.run((tx) => {
      checkInvariants(tx, LIFE_NODES)
      assert.deepEqual(
        checkIpam(tx).filter(({ code }) => code !== 'reservation-held'),
        [],
      )
      const after = heldBy(tx)
      for (const [ip, who] of held) assert.equal(after.get(ip), who, `${ip} keeps its holder`)
      for (const [key, value] of image.pairs) {
        if (!key.startsWith('sequence/')) continue
        assert.ok((tx.get(keys.sequence(key.slice(9))) ?? 0) >= Number(value), 'numbers grow')
      }
      live(tx, late, nowMs + 60_000)
      checkInvariants(tx, LIFE_NODES)
    })
  },
  { numRuns: 300 },
)

t.test('an export becomes part of another store, beside its own networks', async (t) => {
  const image = ruled().run((tx) => imageOf(tx, ['pods']))
  const other = smallStore()
  const pools = [{ cidr: '10.9.0.0/24' }]
  other.run((tx) => {
    lifeStart(tx, pools, 'others')
    tx.put(keys.network('others'), {
      ...tx.get(keys.network('others'))!,
      options: { ...tx.get(keys.network('others'))!.options, vni: 9 },
    })
  })
  t.strictSame(restored(other, image).conflicts, [])
  t.strictSame(
    other.run((tx) => [...tx.range(keys.networks)].map(([, { name }]) => name)),
    ['others', 'pods'],
  )
  other.run((tx) => checkInvariants(tx, ['n1', 'n2']))
  const clashing = smallStore()
  clashing.run((tx) => lifeStart(tx, [{ cidr: '10.1.0.0/16' }], 'wide'))
  t.match(restored(clashing, image).conflicts[0]?.found, /VNI 1 belongs to network wide/)
})

t.test('what only a person can decide is a conflict, told with both sides', async (t) => {
  const image = ruled().run((tx) => imageOf(tx))
  const told = (spoil: (tx: Tx) => void): string => {
    const store = ruled()
    store.run(spoil)
    const [one] = restored(store, image).conflicts
    return `${one?.subject}: ${one?.found} / ${one?.wanted}`
  }
  const claimKey = '10.1.0.4/30'
  t.match(
    told((tx) => {
      const [key, claim] = [...tx.range(keys.allClaims)].find(([, { cidr }]) => cidr === claimKey)!
      tx.put(key, { ...claim, node: 'n9' })
    }),
    /^block 10\.1\.0\.4\/30: 10\.1\.0\.4\/30 is node n9's.* \/ node n\d's/,
  )
  t.match(
    told((tx) => {
      const [key, one] = [...tx.range(keys.allAttachments)][0]!
      tx.remove(key)
      for (const ip of one.ips) {
        const address = tx.get(keys.address('pods', ip))!
        tx.put(keys.address('pods', ip), { ...address, containerId: 'newcomer', sequence: 99 })
      }
    }),
    /^10\.1\.0\.\d+: eth0 of container newcomer has it by number 99/,
  )
  t.match(
    told((tx) => {
      const network = tx.get(keys.network('pods'))!
      tx.put(keys.network('pods'), { ...network, mode: 'vlan' })
    }),
    /^network pods: vlan.* \/ vxlan/,
  )
})

/** The text of a key, or of the template that makes it. */
const bodyOf = (key: unknown): string =>
  typeof key === 'function' ? (/`[^`]*/.exec(String(key))?.[0] ?? '') : String(key)

t.test('every kind of key is kept or left out, on purpose', async (t) => {
  const kinds = new Set(
    Object.values(keys).map((key) => /^[^a-z]*([a-z-]+)/.exec(bodyOf(key))?.[1] ?? 'unread'),
  )
  for (const kind of kinds) {
    const flaw = flawOf(`${kind}/x`, {})
    const isKept = flaw !== 'is no kind of record'
    t.not(isKept, NOT_KEPT.includes(kind), kind)
  }
})

t.test('a file from anywhere', async (t) => {
  const pairs = ruled().run((tx) => [...wholeImage(tx)])
  const good = [headerLine('backup', 1), ...pairs.map(pairLine)]
  const end = footerLine({ records: pairs.length, sha256: SUM })
  const read = (lines: readonly string[]): string => {
    const parser = imageParser()
    try {
      for (const line of lines) parser.add(line.trimEnd())
      parser.image()
      return 'read'
    } catch (thrown) {
      return (thrown as Error).message
    }
  }
  t.equal(read([...good, end]), 'read')
  const [head = '', ...rest] = good
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /empty/],
    [good, /cut off/],
    [['{'], /not JSON/],
    [[...rest, end], /no header/],
    [[head.replace('"version":1', '"version":2'), ...rest, end], /says version 2/],
    [[head.replace(/"layout":\d+/, '"layout":99'), ...rest, end], /layout 99/],
    [[...good, rest[0]!, end], /is there twice/],
    [[...good.slice(0, -1), end], /counts/],
    [[...good, end, end], /comes after the end/],
    [[head, '["__proto__/x",{}]'], /is no kind of record/],
    [[head, '["sequence/n1",-1]'], /is no sequence/],
    [[head, '["sequence/n1/x",1]'], /is no sequence/],
    [[head, '["node/a/b",{}]'], /is no node/],
    [[head, `["claim/pods/4/0a010000",${JSON.stringify({})}]`], /is no claim/],
    [[head, `${'['.repeat(2000)}`], /is not JSON/],
  ]
  for (const [lines, wanted] of cases) t.match(read(lines), wanted)
})

const HEADER = { trivium: 'backup', version: 1, layout: 2, madeMs: 1 } as const
const SAMPLE: readonly string[] = (() => {
  const pairs = ruled().run((tx) => [...wholeImage(tx)])
  return [...pairs.map(pairLine), footerLine({ records: pairs.length, sha256: SUM })]
})()

holds(
  t,
  'any byte changed is an error or the same records',
  fc.tuple(fc.nat(), fc.string({ maxLength: 4 })),
  ([at, text]) => {
    const lines = [headerLine('backup', 1), ...SAMPLE]
    const whole = lines.join('')
    const place = at % whole.length
    const changed = `${whole.slice(0, place)}${text}${whole.slice(place + 1)}`
    const parser = imageParser()
    try {
      for (const line of changed.split('\n')) if (line !== '') parser.add(line)
      const { pairs } = parser.image()
      restored(smallStore(), { header: { ...HEADER }, pairs })
    } catch (thrown) {
      assert.match((thrown as Error).message, /^Cannot read/)
    }
  },
  { numRuns: 800 },
)
