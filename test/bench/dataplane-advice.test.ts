/**
 * Which road when: from figures and facts, never by name.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { adviceOf } from '../../bench/dataplane/advice.ts'
import { holds } from '../support/property.ts'
import { findings, type Wanted } from './dataplane-findings.ts'

const MTU = { classic: 1450, lightweight: 1464, route: 1500 }
const told = (wanted: Wanted): readonly string[] => adviceOf(findings({ mtuBytes: MTU, ...wanted }))
const about = (sentences: readonly string[], words: string): string =>
  sentences.find((sentence) => sentence.includes(words)) ?? `nothing about "${words}"`

const [IP, OLD, L2, BESIDE, FORGED] = [
  'share nothing but IP',
  'a kernel is old',
  'on one L2 network',
  'beside physical machines',
  'NET_ADMIN',
]

t.test('the cheaper road is advised, whichever it is', async (t) => {
  const one = told({ roads: { classic: 1.5, lightweight: 1.2, route: 1.1 } })
  t.match(about(one, IP), /take vxlan lightweight: 0\.83 x bare veth’s TCP at 1\.20 x/)
  t.match(about(one, IP), /ahead of vxlan classic in TCP \(25 % more\), .*round trip \(20 % less\)/)
  t.match(about(one, L2), /take route: .*ahead of vxlan lightweight in/)
  const other = told({ roads: { classic: 1.05, lightweight: 1.2, route: 1.4 } })
  t.match(about(other, IP), /take vxlan classic: .*ahead of vxlan lightweight/)
  t.match(about(other, L2), /take vxlan classic: /, 'a tunnel, where it were the cheaper')
})

t.test('an old kernel has one tunnel, whatever it costs', async (t) => {
  const one = told({ roads: { classic: 3, lightweight: 1.2, route: 1.1 } })
  t.match(about(one, OLD), /take vxlan classic: 0\.33 x bare veth’s TCP at 3\.00 x/)
  t.notMatch(about(one, OLD), /lightweight|route/)
})

t.test('where nothing tells two roads apart, their facts decide, and it says so', async (t) => {
  const chance = (round: number, road: string) =>
    road === 'classic' && round % 2 === 0 ? 0.9 : 1.01
  const mixed = told({ roads: { classic: 1.2, lightweight: 1.2, route: 1.5 }, minute: chance })
  t.match(about(mixed, IP), /take vxlan lightweight: .*no difference was measured, so its 14 bytes/)
  const short = told({ roads: { classic: 1.1, lightweight: 1.2, route: 1.5 }, rounds: 3 })
  t.match(about(short, IP), /take vxlan lightweight: .*no difference was measured/)
  t.match(short[0], /With 3 rounds nothing can be told/)
  const equal = told({ roads: { macvlan: 1, vlan: 1 } })
  t.match(about(equal, BESIDE), /no difference was measured, so take what you know/)
})

t.test('gains and losses of one road are both told', async (t) => {
  const roads = { lightweight: { tcp: 1.5, roundTrip: 1.1 }, classic: { tcp: 1.1, roundTrip: 2 } }
  const sentence = about(told({ roads }), IP)
  t.match(sentence, /take vxlan lightweight/)
  t.match(
    sentence,
    /ahead of vxlan classic in round trip \(45 % less\), behind it in TCP \(27 % less\)/,
  )
})

t.test('what a tunnel costs', async (t) => {
  const dear = about(told({ roads: { lightweight: 1.25, route: 1 } }), 'The tunnel')
  t.match(
    dear,
    /\(vxlan lightweight\) costs, beside route: TCP \(20 % less\), .*round trip \(25 % more\)/,
  )
  t.match(dear, /and 36 bytes of each packet\.$/)
  const free = about(told({ roads: { lightweight: 1, route: 1 } }), 'The tunnel')
  t.match(free, /nothing that was measured; and 36 bytes/)
})

t.test('beside the reference, also where it is the better', async (t) => {
  const worse = about(told({ roads: { reference: 1, route: { cpu: 1.25 } } }), 'none of these')
  t.match(worse, /route: behind in processor time a gigabit \(25 % more\)\.$/)
  const better = about(told({ roads: { reference: { tcp: 2 }, route: 1 } }), 'none of these')
  t.match(better, /route: ahead in TCP \(100 % more\)\.$/)
})

t.test('what the guards cost', async (t) => {
  const roads = { route: { roundTrip: 1.25, tcp: 1.1 }, 'route-unguarded': 1 }
  const dear = about(told({ roads }), 'forged senders')
  t.match(dear, /cost route: TCP \(9\.1 % less\), round trip \(25 % more\)\.$/)
  const free = about(told({ roads: { route: 1, 'route-unguarded': 1.1 } }), 'forged senders')
  t.match(free, /cost route: nothing that was measured\.$/)
  t.match(about(told({ roads: { route: 1 } }), 'forged senders'), /^nothing about/)
})

t.test('what was not measured is said, with the reason', async (t) => {
  const lacks = { vlan: 'no 802.1Q', 'macvlan-tagged': 'no 802.1Q' }
  const none = told({ roads: { route: 1 }, lacks: { ...lacks, macvlan: 'no macvlan' } })
  t.match(
    about(none, BESIDE),
    /vlan bridge and vlan macvlan were not measured \(no 802\.1Q\); macvl/,
  )
  t.notMatch(about(none, BESIDE), /take/)
  const some = told({ roads: { route: 1, macvlan: 1.1 }, lacks })
  t.match(about(some, BESIDE), /take macvlan untagged: .*were not measured \(no 802\.1Q\)/)
  t.notMatch(about(some, FORGED), /take/, 'a guard in the pod is none there')
})

t.test('a loud machine is named', async (t) => {
  t.match(told({ roads: { route: 1 }, othersBusy: 0.5 })[0], /Others used 50 %/)
  t.notMatch(told({ roads: { route: 1 }, othersBusy: 0.05 }).join('\n'), /Others used/)
})

/** All that may stand behind `take` in a situation. */
const FIT: Readonly<Record<string, readonly string[]>> = {
  [IP]: ['vxlan classic', 'vxlan lightweight'],
  [OLD]: ['vxlan classic'],
  [L2]: ['vxlan classic', 'vxlan lightweight', 'route'],
  [BESIDE]: ['vlan bridge', 'vlan macvlan', 'macvlan untagged'],
  [FORGED]: ['vlan bridge'],
}

t.test('no figures make it advise a road where that one does not fit', async (t) => {
  const ids = ['classic', 'lightweight', 'route', 'vlan', 'macvlan-tagged', 'macvlan', 'reference']
  const dear = fc.double({ min: 0.5, max: 4, noNaN: true })
  const values = fc.record({
    roads: fc.dictionary(fc.constantFrom(...ids), dear),
    rounds: fc.integer({ min: 1, max: 9 }),
  })
  holds(t, 'advice fits', values, checkFits, { numRuns: 200 })
})

function checkFits(wanted: Wanted): void {
  const sentences = told(wanted)
  for (const [words, fit] of Object.entries(FIT)) {
    const sentence = about(sentences, words)
    const taken = /, take ([^:]+):/.exec(sentence)?.[1]
    if (taken !== undefined) assert.ok(fit.includes(taken), sentence)
  }
  for (const sentence of sentences) assert.doesNotMatch(sentence, /NaN|undefined|Infinity/)
}
