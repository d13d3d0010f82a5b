/** The parts of the store on etcd that decide, against a model of etcd's own rules. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { isInternal, rangeEnd, removedKey, sectionOf } from '../../ipam/etcd/layout.ts'
import { type Check, record } from '../../ipam/etcd/recording.ts'
import { type Change, emptyReplica, type Pair } from '../../ipam/etcd/replica.ts'
import { checksMax, type Op, opsOf, TXN_OPS_MAX, txnOf } from '../../ipam/etcd/txn.ts'
import { parseEtcdUrl } from '../../ipam/etcd/url.ts'
import type { Key, KeyRange } from '../../ipam/store.ts'
import { holds } from '../support/property.ts'

/** One commit: keys put (a number) or removed (null). */
type Commit = readonly (readonly [key: string, value: number | null])[]

const KEYS = ['a/1', 'a/2', 'a/b/1', 'a/b/2', 'a/bc', 'b/1', 'b/x/1', 'b/x/2', 'c', 'a']
const RANGES = ['a/', 'a/b/', 'b/', 'b/x/', 'z/']
const key = fc.constantFrom(...KEYS)
const write = fc.tuple(key, fc.option(fc.integer({ min: 0, max: 3 })))
const commit: fc.Arbitrary<Commit> = fc.uniqueArray(write, {
  minLength: 1,
  maxLength: 4,
  selector: ([each]) => each,
})
const commits = fc.array(commit, { maxLength: 12 })

/** etcd as far as it matters: pairs, and the revision counted by every commit. */
function modelEtcd() {
  const pairs = new Map<string, Pair>()
  let revision = 1
  return {
    pairs,
    revision: () => revision,
    carryOut(writes: Commit): Change[] {
      const map = new Map(
        writes.map(([each, value]) => [each, value === null ? undefined : `${value}`]),
      )
      const ops = opsOf(map, `mark ${revision}`)
      revision++
      return ops.flatMap((op): Change[] => {
        if (op.kind === 'delete') {
          // No event for a key that is not there.
          if (!pairs.delete(op.key)) return []
          return [{ key: op.key, text: undefined, revision }]
        }
        const pair = { key: op.key, text: op.text, revision }
        pairs.set(op.key, pair)
        return [pair]
      })
    },
    /** As `applyCompare` of etcd: over the keys that are there, and 0 for none. */
    holds(check: Check): boolean {
      if (check.kind === 'key') return (pairs.get(check.key)?.revision ?? 0) === check.revision
      const { key: from, end, revision: most } = check
      const found = [...pairs.values()].filter((pair) =>
        end === undefined ? pair.key === from : pair.key >= from && pair.key < end,
      )
      return found.every((pair) => pair.revision <= most)
    },
  }
}

const records = (pairs: Iterable<Pair>): [string, string][] =>
  [...pairs].filter((pair) => !isInternal(pair.key)).map(({ key, text }) => [key, text])

holds(
  t,
  'a replica that heard every event, some of them twice, is what a list of the end says',
  fc.record({ commits, listedAfter: fc.nat(12), again: fc.nat(5) }),
  ({ commits, listedAfter, again }) => {
    const etcd = modelEtcd()
    const replica = emptyReplica()
    const events: Change[][] = []
    commits.forEach((each, n) => {
      if (n === listedAfter) replica.replace([...etcd.pairs.values()], etcd.revision())
      const before = JSON.stringify(records(etcd.pairs.values()).sort())
      const changes = etcd.carryOut(each)
      events.push(changes)
      const told = replica.apply([...events.slice(-1 - again).flat()])
      assert.ok(
        !replica.apply(events.slice(-1 - again, -1).flat()),
        'older ones alone change nothing',
      )
      const differs = before !== JSON.stringify(records(etcd.pairs.values()).sort())
      if (differs && n >= listedAfter) assert.ok(told, 'a change was told')
    })
    if (listedAfter >= commits.length) replica.replace([...etcd.pairs.values()], etcd.revision())
    for (const each of KEYS) {
      const pair = etcd.pairs.get(each)
      assert.equal(replica.revisionOf(each), pair?.revision ?? 0)
      assert.equal(replica.reader.get(each as Key<number>), pair && Number(pair.text))
    }
    for (const range of RANGES) {
      const wanted = records(etcd.pairs.values())
        .filter(([each]) => each.startsWith(range))
        .map(([each, text]) => [each, Number(text)])
        .sort()
      assert.deepEqual([...replica.reader.range(range as KeyRange<number>)], wanted)
    }
    const other = emptyReplica()
    assert.equal(
      other.replace([...etcd.pairs.values()], 99),
      records(etcd.pairs.values()).length > 0,
    )
    assert.equal(other.replace([...etcd.pairs.values()], 100), false, 'the same list is no change')
  },
)

const reads = fc.record({
  keys: fc.uniqueArray(key, { maxLength: 8 }),
  ranges: fc.uniqueArray(fc.constantFrom(...RANGES), { maxLength: 4 }),
  most: fc.integer({ min: 6, max: 12 }),
})

holds(
  t,
  'the checks of what was read hold until it changes, and never after',
  fc.record({ before: commits, reads, after: fc.array(commit, { maxLength: 2 }) }),
  ({ before, reads: { keys, ranges, most }, after }) => {
    const etcd = modelEtcd()
    for (const each of before) etcd.carryOut(each)
    const replica = emptyReplica()
    replica.replace([...etcd.pairs.values()], etcd.revision())
    const recording = record(replica)
    for (const each of keys) recording.reader.get(each as Key<number>)
    for (const each of ranges) recording.reader.range(each as KeyRange<number>)
    const checks = recording.checks(most)
    assert.ok(checks.length <= Math.max(most, 8), `${checks.length} checks`)
    assert.ok(
      checks.every((each) => etcd.holds(each)),
      'they hold at first',
    )

    // What a reader saw: each key's revision, each range's keys with theirs.
    const seen = (): string => {
      const all = [...etcd.pairs.values()]
      const found = all.filter(
        (pair) => keys.includes(pair.key) || ranges.some((range) => pair.key.startsWith(range)),
      )
      return JSON.stringify(found.map((pair) => [pair.key, pair.revision]).sort())
    }
    const first = seen()
    for (const each of after) etcd.carryOut(each)
    const stillHold = checks.every((each) => etcd.holds(each))
    if (first !== seen()) assert.ok(!stillHold, 'a change is noticed')
    const sections = new Set([...keys, ...ranges].map(sectionOf))
    const elsewhere = after.flat().every(([each]) => !sections.has(sectionOf(each)))
    if (elsewhere) assert.ok(stillHold, 'writes in other sections are no conflict')
  },
  { numRuns: 3000 },
)

/** As `checkTxnRequest` of etcd: the longest list counts, and leaves less for what is below. */
function fits(checks: number, ops: readonly Op[], room: number): boolean {
  const count = Math.max(checks, ops.length)
  return count <= room && ops.every((op) => op.kind !== 'txn' || fits(0, op.ops, room - count))
}

const leaves = (ops: readonly Op[]): Op[] =>
  ops.flatMap((op) => (op.kind === 'txn' ? leaves(op.ops) : [op]))

holds(
  t,
  'a transaction of any size is one that etcd takes, with every write once, in order',
  fc.record({
    writes: fc.integer({ min: 0, max: 9000 }),
    checks: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  ({ writes, checks: share }) => {
    const ops = opsOf(new Map(Array.from({ length: writes }, (_, n) => [`a/${n}`, '1'])), 'm')
    const count = Math.floor(share * checksMax(writes))
    const checks = Array.from(
      { length: count },
      (_, n): Check => ({ kind: 'key', key: `b/${n}`, revision: 0 }),
    )
    const txn = txnOf(checks, ops, '!client/x')
    assert.ok(fits(txn.checks.length, txn.ops, TXN_OPS_MAX), `${writes} writes, ${count} checks`)
    assert.deepEqual(leaves(txn.ops), ops)
  },
  { numRuns: 100 },
)

t.test('many keys of one section become one check of it', async (t) => {
  const replica = emptyReplica()
  const recording = record(replica)
  for (let n = 0; n < 5000; n++) recording.reader.get(`address/${n}` as Key<number>)
  recording.reader.get('network/pods' as Key<number>)
  t.strictSame(recording.checks(100), [
    { kind: 'unchanged', key: 'address/', end: 'address0', revision: 0 },
    { kind: 'unchanged', key: removedKey('address'), revision: 0 },
    { kind: 'key', key: 'network/pods', revision: 0 },
  ])
  t.equal(rangeEnd('a/b/'), 'a/b0')
})

t.test('what etcd would refuse is refused here, with what to do', async (t) => {
  const large = opsOf(new Map([['a/1', 'x'.repeat(1_500_000)]]), 'm')
  t.throws(() => txnOf([], large, 'x'), { code: 'STORE', message: /1500027 bytes, wanted at most/ })
  const checks = Array.from({ length: 129 }, (): Check => ({ kind: 'key', key: 'x', revision: 0 }))
  t.throws(() => txnOf(checks, [], 'x'), { code: 'STORE', message: /129 comparisons.* 128/ })
})

t.test('a value that is no JSON is refused, and changes nothing', async (t) => {
  const replica = emptyReplica()
  replica.replace([{ key: 'a/1', text: '1', revision: 5 }], 5)
  const bad = [{ key: 'a/2', text: '{', revision: 6 }]
  t.throws(() => replica.replace(bad, 6), { code: 'BAD_JSON' })
  t.throws(() => replica.apply(bad), { code: 'BAD_JSON' })
  t.equal(replica.revision(), 5)
  t.equal(replica.reader.get('a/1' as Key<number>), 1)
})

t.test('URLs', async (t) => {
  t.strictSame(parseEtcdUrl('etcd://10.0.0.1:2379,[fd00::1]:2379/trivium/prod/'), {
    hosts: ['http://10.0.0.1:2379', 'http://[fd00::1]:2379'],
    prefix: '/trivium/prod/',
  })
  t.strictSame(parseEtcdUrl('etcds://e1:2379/t?ca=/ca.pem&cert=/c.pem&key=/k.pem'), {
    hosts: ['https://e1:2379'],
    prefix: '/t/',
    tls: { ca: '/ca.pem', cert: '/c.pem', key: '/k.pem' },
  })
  for (const url of [
    'etcd://',
    'etcd://h/p',
    'etcd://h:0/p',
    'etcd://h:70000/p',
    'etcd://h:1',
    'etcd://h:1/',
    'etcd://h:1//p',
    'etcd://h:1/p?ca=/x',
    'etcds://h:1/p',
    'etcds://h:1/p?ca=x',
    'etcds://h:1/p?ca=/x&cert=/y',
    'etcds://h:1/p?ca=/x&ca=/y',
    'etcd://user@h:1/p',
    `etcd://${'h:1,'.repeat(20)}h:1/p`,
  ]) {
    t.throws(() => parseEtcdUrl(url), { code: 'USAGE' }, url)
  }
})
