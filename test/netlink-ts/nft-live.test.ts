/**
 * nftables in a namespace: transactions are whole or nothing, what is read is
 * what was written, and somebody else's changes do not go unnoticed.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Monitor, NftSocket } from '../../src/netlink-ts/live/mod.ts'
import { splitMessages } from '../../src/netlink-ts/message.ts'
import { nft } from '../../src/netlink-ts/mod.ts'
import { decodeRule } from '../../src/netlink-ts/nft/rule.ts'
import { rows } from './nft-rows/mod.ts'
import { type Lab, lab, notRoot } from './support.ts'

const { match, action, verdict, exprs } = nft
const demo = { family: 'inet', table: 'demo' } as const
const table = nft.table.add({ family: 'inet', name: 'demo' })
const skip = { skip: notRoot }

interface NftLab extends Lab {
  readonly nft: NftSocket
}

function nftLab(t: Test): NftLab {
  const l = lab(t)
  const socket = NftSocket.open({ netnsFd: l.fd })
  t.teardown(() => socket.close())
  return { ...l, nft: socket }
}

/** The code of every result; an empty text for success. */
const codes = (socket: NftSocket, ...args: Parameters<NftSocket['transact']>): readonly string[] =>
  socket.transact(...args).map((error) => error?.code ?? '')

t.test('a refused transaction leaves nothing behind and names what was refused', skip, (t) => {
  const l = nftLab(t)
  l.nft.commit([table])
  const before = l.exec('nft', 'list', 'ruleset')
  const bad = nft.rule.add({
    ...demo,
    chain: 'nowhere',
    expressions: exprs(match.iifname('trv*'), match.udpDport(53), verdict.accept),
  })
  const requests = [
    nft.chain.add({ ...demo, name: 'made' }),
    nft.set.add({ ...demo, name: 'made', key: ['ipv4_addr'] }),
    bad,
    nft.element.add({ ...demo, set: 'absent', key: ['ipv4_addr'], elements: [['10.0.0.1']] }),
    nft.chain.create({ ...demo, name: 'made' }),
  ]
  const results = l.nft.transact(requests)
  t.strictSame(
    results.map((error) => error?.code),
    [undefined, undefined, 'ENOENT', 'ENOENT', 'EEXIST'],
    'every faulty request has its own error',
  )
  t.equal(
    results[2]?.message,
    'Cannot add rule inet demo nowhere iifname "trv*" meta l4proto udp th dport 53 accept: ENOENT: at "nowhere"',
  )
  // Linux 6.1 does not point at the set.
  t.match(results[3]?.message, /^Cannot add element inet demo absent { 10.0.0.1 }: ENOENT/)
  t.equal(l.exec('nft', 'list', 'ruleset'), before, 'nothing was applied')
  t.throws(() => l.nft.commit(requests), { code: 'ENOENT', request: bad.text })
  t.strictSame(l.nft.transact([]), [], 'an empty transaction does nothing')
  t.end()
})

t.test('add, create, remove, destroy', skip, (t) => {
  const l = nftLab(t)
  const ref = { family: 'inet', name: 'demo' } as const
  const key = ['ipv4_addr'] as const
  const set = { ...demo, name: 's', key }
  const element = { ...demo, set: 's', key, elements: [['10.0.0.1']] }
  t.strictSame(codes(l.nft, [nft.table.create(ref), nft.set.create(set)]), ['', ''])
  t.strictSame(codes(l.nft, [nft.table.create(ref)]), ['EEXIST'])
  t.strictSame(codes(l.nft, [nft.table.add(ref), nft.set.add(set)]), ['', ''])
  t.strictSame(codes(l.nft, [nft.element.create(element)]), [''])
  t.strictSame(codes(l.nft, [nft.element.create(element)]), ['EEXIST'])
  t.strictSame(codes(l.nft, [nft.element.add(element)]), [''])
  t.strictSame(codes(l.nft, [nft.element.remove(element)]), [''])
  t.strictSame(codes(l.nft, [nft.element.remove(element)]), ['ENOENT'])
  t.strictSame(codes(l.nft, [nft.chain.remove({ ...demo, name: 'c' })]), ['ENOENT'])
  if (l.nft.canDestroy) {
    const gone = [
      nft.element.destroy(element),
      nft.chain.destroy({ ...demo, name: 'c' }),
      nft.set.destroy({ ...demo, name: 'x' }),
      nft.table.destroy({ family: 'ip', name: 'x' }),
    ]
    t.strictSame(codes(l.nft, gone), ['', '', '', ''], 'destroys what is not there')
  } else {
    t.comment('this kernel has no destroy')
  }
  t.throws(() => l.nft.dump(nft.element.list({ ...demo, set: 'x', key })), { code: 'ENOENT' })
  t.throws(() => nft.table.remove({ family: 'inet', name: '' }), RangeError, 'not: all tables')
  const missing = { ...demo, chain: 'c' } as unknown as nft.RuleRef
  t.throws(() => nft.rule.remove(missing), RangeError, 'not: all rules of the chain')
  t.end()
})

t.test('rules: order, insert, replace, remove, counters, what nobody knows', skip, (t) => {
  const l = nftLab(t)
  const place = { ...demo, chain: 'c' }
  const add = (comment: string): nft.NftRequest =>
    nft.rule.add({ ...place, comment, expressions: exprs(action.counter, verdict.accept) })
  const list = (): readonly nft.Rule[] => l.nft.dump(nft.rule.list(place))
  const order = (): string =>
    list()
      .map(({ comment }) => comment)
      .join(' ')
  l.nft.commit([table, nft.chain.add({ ...demo, name: 'c' }), add('b'), add('c')])
  l.nft.commit([nft.rule.insert({ ...place, comment: 'a', expressions: [] })])
  t.equal(order(), 'a b c')
  t.strictSame(list()[1]?.counters, [{ packets: 0, bytes: 0 }])
  const [, b, c] = list()
  l.nft.commit([
    nft.rule.replace({ ...place, handle: b!.handle, comment: 'B', expressions: [] }),
    nft.rule.add({ ...place, position: b!.handle, comment: 'after', expressions: [] }),
    nft.rule.remove(c!),
  ])
  t.match(order(), /^a (B after|after B)$/)
  l.exec('nft', 'add', 'rule', 'inet', 'demo', 'c', 'quota', 'over', '1', 'mbytes', 'drop')
  const [unknown, drop] = list().at(-1)!.expressions
  t.match(unknown, { type: 'unknown', name: 'quota' })
  t.strictSame(drop, { type: 'verdict', verdict: 'drop' })
  l.nft.commit([nft.chain.add({ ...demo, name: 'd' })])
  l.nft.commit([nft.rule.add({ ...demo, chain: 'd', expressions: [unknown!, drop!] })])
  const copies = l.exec('nft', 'list', 'ruleset').match(/quota over 1 mbytes drop/g)
  t.equal(copies?.length, 2, 'what nobody knows can be sent back')
  t.end()
})

/** The rules in requests, in the order of their chains, as we understand them ourselves. */
function plannedRules(requests: readonly nft.NftRequest[]): readonly nft.Rule[] {
  const rules = requests
    .flatMap(({ messages }) => messages)
    .flatMap((message) => decodeRule(splitMessages(message)[0]!) ?? [])
  const chains = [...new Set(rules.map(({ chain }) => chain))]
  return chains.flatMap((name) => rules.filter(({ chain }) => chain === name))
}

const plain = ({ handle: _, counters: __, ...rule }: nft.Rule): unknown => rule

t.test('what is read is what was written', skip, (t) => {
  const l = nftLab(t)
  for (const { name, ours } of rows) {
    l.nft.commit([nft.flushRuleset()])
    for (const requests of ours) {
      if (codes(l.nft, requests).some((code) => code !== '')) {
        t.comment(`skipped: ${name}`)
        break
      }
    }
    const found = l.nft.dump(nft.rule.list())
    if (ours.length === 1 && name !== 'an anonymous set') {
      t.strictSame(found.map(plain), plannedRules(ours[0]!).map(plain), `${name}: as planned`)
    }
    if (name === 'an anonymous set') continue // it belongs to one rule
    l.nft.commit(l.nft.dump(nft.chain.list()).map((chain) => nft.chain.flush(chain)))
    l.nft.commit(found.map((rule) => nft.rule.add(rule)))
    t.strictSame(l.nft.dump(nft.rule.list()).map(plain), found.map(plain), `${name}: read and sent`)
  }
  const planned = exprs(
    match.lookup(['iifname', 'ipSaddr'], 'pods4', { inverted: true }),
    match.ctState('established'),
    match.mark(1, 0xff),
    action.counter,
    action.setMark(7),
    action.log('x'),
    verdict.drop,
  )
  l.nft.commit([
    nft.flushRuleset(),
    table,
    nft.set.add({ ...demo, name: 'pods4', key: ['ifname', 'ipv4_addr'] }),
    nft.chain.add({ ...demo, name: 'c' }),
    nft.rule.add({ ...demo, chain: 'c', expressions: planned, comment: 'planned' }),
  ])
  const [found] = l.nft.dump(nft.rule.list())
  t.strictSame(JSON.parse(JSON.stringify(found?.expressions)), planned, 'the plan itself')
  t.equal(found?.comment, 'planned')
  t.end()
})

t.test('a plan made from an older ruleset is refused as a whole', skip, (t) => {
  const l = nftLab(t)
  l.nft.commit([table])
  const { value, generation } = l.nft.snapshot(() => l.nft.dump(nft.table.list()))
  t.equal(value.length, 1)
  l.exec('nft', 'add', 'table', 'inet', 'somebody')
  const requests = [nft.chain.add({ ...demo, name: 'a' }), nft.chain.add({ ...demo, name: 'b' })]
  t.strictSame(codes(l.nft, requests, { generation }), ['ERESTART', 'ERESTART'])
  t.strictSame(l.nft.dump(nft.chain.list()), [])
  const now = l.nft.get(nft.generation())
  t.strictSame(codes(l.nft, requests, { generation: now }), ['', ''])
  let reads = 0
  const again = l.nft.snapshot(() => {
    if (reads++ < 2) l.nft.commit([nft.table.add({ family: 'ip', name: `t${reads}` })])
    return l.nft.dump(nft.table.list()).length
  })
  t.equal(again.value, 4, 'a snapshot is read again until nobody interferes')
  t.equal(again.generation, l.nft.get(nft.generation()))
  t.throws(
    () =>
      l.nft.snapshot(() => l.nft.commit([nft.table.add({ family: 'ip', name: `x${reads++}` })])),
    {
      code: 'NETLINK_INTERRUPTED',
    },
  )
  t.end()
})

t.test('transactions larger than any buffer', skip, async (t) => {
  const l = nftLab(t)
  const key = ['ifname', 'ipv6_addr'] as const
  // 3 MB: a send buffer has 2 MB at first.
  const many = Array.from({ length: 60_000 }, (_, i) => [`v${i}`, `fd00::1:${i.toString(16)}`])
  const spec = { ...demo, set: 's', key, elements: many }
  l.nft.commit([table, nft.set.add({ ...demo, name: 's', key }), nft.element.add(spec)])
  const found = l.nft.dump(nft.element.list({ ...demo, set: 's', key }))
  const text = (elements: readonly nft.Element[]): readonly string[] =>
    elements.map((each) => JSON.stringify(each)).sort()
  t.ok(text(found).join() === text(many).join(), `all of ${found.length} elements`)
  const { value } = await l.nft.snapshotAsync(() =>
    l.nft.dumpAsync(nft.element.list({ ...demo, set: 's', key })),
  )
  t.ok(text(value).join() === text(many).join(), 'and in a pool thread')
  l.nft.commit([nft.element.remove(spec)])
  t.equal(l.nft.dump(nft.element.list({ ...demo, set: 's', key })).length, 0)
  const chains = Array.from({ length: 6000 }, (_, i) => nft.chain.add({ ...demo, name: `c${i}` }))
  t.ok(
    codes(l.nft, chains).every((code) => code === ''),
    'more requests than answers fit',
  )
  const again = [...chains, nft.chain.create({ ...demo, name: 'c5' }), ...chains]
  t.strictSame(
    codes(l.nft, again).flatMap((code, i) => (code === '' ? [] : [i, code])),
    [6000, 'EEXIST'],
  )
  t.equal(l.nft.dump(nft.chain.list(demo)).length, 6000)
})

t.test('notifications', skip, (t) => {
  const l = nftLab(t)
  const monitor = Monitor.openNft({ netnsFd: l.fd })
  t.teardown(() => monitor.close())
  const key = ['ipv4_addr'] as const
  l.exec('nft', 'add', 'table', 'inet', 'demo')
  l.nft.commit([
    nft.chain.add({ ...demo, name: 'c' }),
    nft.set.add({ ...demo, name: 's', key }),
    nft.element.add({ ...demo, set: 's', key, elements: [['10.0.0.1']] }),
    nft.rule.add({ ...demo, chain: 'c', expressions: exprs(verdict.accept) }),
  ])
  l.nft.commit([nft.table.remove({ family: 'inet', name: 'demo' })])
  const { events, lost } = monitor.drain()
  t.notOk(lost)
  const seen = events.map(({ change, object, table = '', name = '' }) =>
    [change, object, table, name].join(' ').trim(),
  )
  t.strictSame(seen.slice(0, 7), [
    'new table demo',
    'new generation',
    'new chain demo c',
    'new set demo s',
    'new element demo s',
    'new rule demo c',
    'new generation',
  ])
  t.equal(seen.at(-1), 'new generation')
  t.ok(seen.includes('del table demo'))
  t.equal(events.at(-1)?.generation, l.nft.get(nft.generation()))
  t.end()
})

const octet = fc.integer({ min: 0, max: 255 })
const address = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'))
const name = fc.string({ unit: fc.constantFrom(...'abcv019-_.'), minLength: 1, maxLength: 15 })
const port = fc.integer({ min: 0, max: 0xffff })
const hosts = fc.array(fc.tuple(name, address), { maxLength: 40 })
/** Cuts of the number line: every second piece is an interval, so none overlap. */
const portRanges = fc.uniqueArray(port, { maxLength: 20 }).map((cuts) => {
  const sorted = [...cuts].sort((a, b) => a - b)
  const pieces: nft.Field[] = []
  for (let i = 0; i + 1 < sorted.length; i += 2) {
    pieces.push({ from: sorted[i]!, to: sorted[i + 1]! })
  }
  return pieces
})
const prefixes = fc.uniqueArray(octet, { maxLength: 20 })

/** One form of text for a set of elements. */
const canonical = (elements: readonly nft.Element[]): readonly string[] =>
  [...new Set(elements.map((each) => JSON.stringify(each)))].sort()

t.test('random sets come back as they were', skip, (t) => {
  const l = nftLab(t)
  const run = fc.check(
    fc.property(hosts, portRanges, prefixes, (hosts, ranges, octets) => {
      const sets: readonly (readonly [nft.SetShape, readonly nft.Element[]])[] = [
        [{ key: ['ifname', 'ipv4_addr'] }, hosts],
        [{ key: ['inet_service'], flags: ['interval'] }, ranges.map((range) => [range])],
        [
          { key: ['ipv4_addr', 'ipv4_addr'], flags: ['interval'] },
          octets.map((octet, i) => [`${octet}.0.0.0/${8 + i}`, `10.0.${octet}.0/24`]),
        ],
        [{ key: ['ipv4_addr'], flags: ['interval'] }, octets.map((octet) => [`${octet}.0.0.0/8`])],
      ]
      const requests = sets.flatMap(([shape, elements], i) => [
        nft.set.add({ ...demo, ...shape, name: `s${i}` }),
        nft.element.add({ ...demo, ...shape, set: `s${i}`, elements }),
      ])
      l.nft.commit([nft.flushRuleset(), table, ...requests])
      for (const [i, [shape, elements]] of sets.entries()) {
        const found = l.nft.dump(nft.element.list({ ...demo, ...shape, set: `s${i}` }))
        assert.deepEqual(canonical(found), canonical(elements))
      }
    }),
    { numRuns: 150, ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}) },
  )
  t.notOk(run.failed, 'dump = what was added', {
    found: run.failed ? fc.defaultReportMessage(run) : 'none',
  })
  t.end()
})
