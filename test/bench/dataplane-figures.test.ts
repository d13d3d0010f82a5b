/**
 * From turns to ratios, and when one road counts as better.
 */
import t from 'tap'
import {
  costOf,
  findingsOf,
  isClearlyBetter,
  lead,
  MEASURES,
  type RoadFigures,
  spreadOf,
} from '../../bench/dataplane/figures.ts'
import { markdownTable, textReport } from '../../bench/dataplane/text.ts'
import { digits } from '../../bench/dataplane/words.ts'
import { findings } from './dataplane-findings.ts'

const measureOf = (name: string) => MEASURES.find((each) => each.name === name)!
const roadOf = (all: readonly RoadFigures[], id: string) => all.find(({ road }) => road.id === id)!

t.test('the spread of odd and even numbers of values', async (t) => {
  t.strictSame(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 })
  t.strictSame(spreadOf([4, 1, 10, 2]), { median: 3, min: 1, max: 10 })
  t.throws(() => spreadOf([]), RangeError)
  t.throws(() => spreadOf([1, Number.NaN]), RangeError)
})

t.test('a slow minute of the machine divides out, round by round', async (t) => {
  const slow = (round: number) => [1, 7, 2, 1, 3][round] ?? 1
  const { measured, rounds } = findings({ roads: { route: 1.25 }, rounds: 5, minute: slow })
  const { figures } = roadOf(measured, 'route')
  t.equal(rounds, 5)
  const close = (value: number, wanted: number, what: string) =>
    t.ok(Math.abs(value / wanted - 1) < 1e-9, what, { value, wanted })
  const { ratio } = figures.tcp
  close(ratio?.min ?? 0, 0.8, 'least ratio')
  close(ratio?.max ?? 0, 0.8, 'most ratio')
  close(figures.roundTrip.ratio?.median ?? 0, 1.25, 'ratio of what is better less')
  close(figures.tcp.value.median, 8, 'the value itself is that of the minute')
  t.equal(roadOf(measured, 'veth').figures.tcp.ratio, undefined)
})

t.test('without bare veth there is nothing to compare with', async (t) => {
  const none = { mtuBytes: new Map(), othersBusy: [0], lacks: new Map() }
  t.throws(() => findingsOf({ turns: new Map(), ...none }), /bare veth/)
})

t.test('better is what is better in every round', async (t) => {
  const tcp = measureOf('tcp')
  const roundTrip = measureOf('roundTrip')
  /** In these rounds the second road is unlucky, so that the first would win by chance. */
  const chance = (bad: readonly number[], rounds: number) => {
    const { measured } = findings({
      roads: { classic: 1, route: 1.1 },
      rounds,
      minute: (round, road) => (road === 'classic' && bad.includes(round) ? 2 : 1),
    })
    const [classic, route] = [roadOf(measured, 'classic'), roadOf(measured, 'route')]
    return [isClearlyBetter(classic, route, tcp), isClearlyBetter(route, classic, tcp)]
  }
  t.strictSame(chance([], 8), [true, false], 'in all')
  t.strictSame(chance([3], 8), [false, false], 'in all but one of eight')
  t.strictSame(chance([3], 16), [true, false], 'in all but one of sixteen')
  t.strictSame(chance([3, 5], 16), [false, false], 'in fourteen of sixteen')
  t.strictSame(chance([], 7), [true, false], 'in all of seven')
  t.strictSame(chance([], 6), [false, false], 'six rounds are too few')
  const { measured } = findings({ roads: { classic: 1.5, route: 1 } })
  const [classic, route] = [roadOf(measured, 'classic'), roadOf(measured, 'route')]
  t.ok(isClearlyBetter(route, classic, roundTrip), 'less time is better')
  t.notOk(isClearlyBetter(classic, route, roundTrip))
  const same = findings({ roads: { classic: 1, route: 1 } }).measured
  t.notOk(
    isClearlyBetter(roadOf(same, 'classic'), roadOf(same, 'route'), tcp),
    'equal is not better',
  )
})

t.test('leads and costs', async (t) => {
  const { measured } = findings({ roads: { classic: 2, route: 1.25 } })
  const [classic, route] = [roadOf(measured, 'classic'), roadOf(measured, 'route')]
  t.equal(lead(route, classic, measureOf('tcp')).toFixed(6), '0.600000', 'more by 60 %')
  t.equal(lead(route, classic, measureOf('cpu')).toFixed(6), '0.375000', 'less by 37.5 %')
  t.equal(
    costOf(classic).toFixed(6),
    '2.000000',
    'the same in each measure, whichever way it leans',
  )
  t.equal(costOf(roadOf(measured, 'veth')), 1)
})

t.test('numbers have the digits that they are worth', async (t) => {
  const words = [0.3456, 1.006, 17.52, 99.96, 636.4, 8398, 218_432].map(digits)
  t.strictSame(words, ['0.35', '1.01', '17.5', '100.0', '636', '8 398', '218 000'])
})

t.test('tables name every road, with figures or the reason why not', async (t) => {
  const known = findings({
    roads: { classic: 2 },
    mtuBytes: { classic: 1450 },
    lacks: { vlan: 'this kernel has no 802.1Q' },
  })
  const lines = markdownTable(known).split('\n')
  t.strictSame(lines.slice(1, 2), ['|---|---|---|---|---|---|---|---|'])
  t.match(lines[2], /^\| bare veth \| 20\.0 Gbit\/s \| 5\.00 Gbit\/s \| 200 000 \/s /)
  t.match(lines[3], /^\| vxlan classic \| 0\.50 \(0\.50 to 0\.50\) .* \| 2\.00 .* \| 1450 \|$/)
  t.match(lines[4], /^\| vlan bridge \| this kernel has no 802\.1Q \| {2}\|/)
  const text = textReport(known)
  t.match(text, /^vxlan classic +0\.50 x +0\.50 x +0\.50 x +0\.50 x +2\.00 x +2\.00 x +1450/m)
  t.match(text, /^vlan bridge +this kernel has no 802\.1Q/m)
})
