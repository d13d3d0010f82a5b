/**
 * Plans of take-overs on a model of the kernel: any host there and back is as it was, and from any
 * place in between, too. Nothing is ever away.
 */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { Act, Entry, TakeOver } from '../../src/kernel/take-over/model.ts'
import { doing, planGive, planTake, undoing } from '../../src/kernel/take-over/plan.ts'
import { renderAct } from '../../src/kernel/take-over/render.ts'
import { golden } from '../support/golden.ts'
import { holds } from '../support/property.ts'
import { type Facts, Model } from './take-over-model.ts'

const [NIC, BRIDGE] = ['eth0', 'br-eth0']

const entryOf = (
  entry: Omit<Entry, 'told' | 'words'> & { readonly words?: string },
  facts: Facts,
): Entry => ({
  words: `${JSON.stringify(facts)} dev %`,
  ...entry,
  told: JSON.stringify({ ...facts, of: entry.kind + entry.family }),
})

const family = fc.constantFrom(4 as const, 6 as const)
const net = fc.nat({ max: 2 })

const arbitraryHost = fc
  .record({
    addrs: fc.array(fc.record({ family, net, isProbed: fc.boolean() }), {
      minLength: 1,
      maxLength: 6,
    }),
    direct: fc.array(fc.record({ family, net: fc.integer({ min: 10, max: 12 }) }), {
      maxLength: 3,
    }),
    vias: fc.array(fc.record({ family, net: fc.nat({ max: 12 }), prefers: fc.nat({ max: 8 }) }), {
      maxLength: 8,
    }),
    neighs: fc.array(fc.record({ family, isHint: fc.boolean() }), { maxLength: 3 }),
    rules: fc.array(family, { maxLength: 2 }),
    settings: fc.uniqueArray(
      fc.constantFrom('ipv6.conf.%.accept_ra', 'ipv4.conf.%.rp_filter', 'ipv6.conf.%.use_tempaddr'),
      { maxLength: 3 },
    ),
    riders: fc.nat({ max: 2 }),
    genMode: fc.nat({ max: 3 }),
    elsewhere: fc.nat({ max: 3 }),
  })
  .map(hostOf)

interface Wanted {
  readonly addrs: readonly { family: 4 | 6; net: number; isProbed: boolean }[]
  readonly direct: readonly { family: 4 | 6; net: number }[]
  readonly vias: readonly { family: 4 | 6; net: number; prefers: number }[]
  readonly neighs: readonly { family: 4 | 6; isHint: boolean }[]
  readonly rules: readonly (4 | 6)[]
  readonly settings: readonly string[]
  readonly riders: number
  readonly genMode: number
  readonly elsewhere: number
}

function hostOf(wanted: Wanted): () => Model {
  return () => {
    const model = new Model()
    model.links.set(NIC, { master: undefined, genMode: wanted.genMode })
    model.links.set('eth1', { master: undefined, genMode: 0 })
    let id = 0
    const ips = wanted.addrs.map((_, index) => `ip${index}`)
    for (const [index, { family, net, isProbed }] of wanted.addrs.entries()) {
      const probed = family === 6 ? { isProbed } : {}
      model.add(
        entryOf({ kind: 'addr', family, ...probed }, { id: id++, net, ip: ips[index] as string }),
        NIC,
      )
    }
    for (const { family, net } of wanted.direct) {
      const hasFour = wanted.addrs.some((each) => each.family === 4)
      if (family === 6 || hasFour)
        model.add(entryOf({ kind: 'route', family }, { id: id++, net }), NIC)
    }
    for (const { family, net, prefers } of wanted.vias) {
      const ways = model.held.filter(
        ({ entry }) =>
          entry.family === family && model.facts(entry).net === net && entry.isVia !== true,
      )
      if (ways.length === 0) continue
      const prefSrc =
        wanted.addrs[prefers]?.family === family ? { prefSrc: ips[prefers] as string } : {}
      model.add(entryOf({ kind: 'route', family, isVia: true }, { id: id++, net, ...prefSrc }), NIC)
    }
    const hasFour = wanted.addrs.some((each) => each.family === 4)
    for (const { family, isHint } of wanted.neighs) {
      if (family === 6 || hasFour)
        model.add(entryOf({ kind: 'neigh', family, isHint }, { id: id++ }), NIC)
    }
    for (const family of wanted.rules)
      model.add(entryOf({ kind: 'rule', family }, { id: id++ }), NIC)
    for (const [index, name] of wanted.settings.entries())
      model.settings.set(name.replace('%', NIC), `${index + 1}`)
    for (let rider = 0; rider < wanted.riders; rider++) model.riders.set(`trvx.${rider}`, NIC)
    for (let other = 0; other < wanted.elsewhere; other++) {
      model.add(
        entryOf({ kind: 'addr', family: 4 }, { id: id++, net: other, ip: `other${other}` }),
        'eth1',
      )
    }
    return model
  }
}

const take = (model: Model): TakeOver => planTake(model.laden(NIC, 2, BRIDGE), BRIDGE)
const give = (model: Model): TakeOver => planGive(model.laden(BRIDGE, 9, NIC), NIC)
const runAll = (model: Model, acts: readonly Act[]): void => {
  for (const act of acts) model.run(act)
}

/** Hints are the kernel's to forget. */
const lasting = (model: Model): readonly string[] => {
  const hints = model.held
    .filter(({ entry }) => entry.isHint === true)
    .map(({ entry }) => entry.told)
  return model.dump().filter((line) => !hints.some((hint) => line.includes(hint)))
}

/** What frames come in by has every address, and every route is there by one of the two. */
function assertWhole(model: Model, start: Model): void {
  const inward = model.links.get(NIC)?.master === BRIDGE ? BRIDGE : NIC
  for (const { on, entry } of start.held) {
    if (on === 'eth1') assert(model.has(on, entry), `untouched: ${entry.told}`)
    else if (entry.kind === 'addr') assert(model.has(inward, entry), `${inward} has ${entry.told}`)
    else if (entry.isHint !== true)
      assert(model.has(NIC, entry) || model.has(BRIDGE, entry), `somewhere: ${entry.told}`)
  }
}

holds(
  t,
  'there and back is as before, and nothing is away at any moment',
  arbitraryHost,
  (host) => {
    const [model, start] = [host(), host()]
    for (const act of doing(take(model))) {
      model.run(act)
      assertWhole(model, start)
    }
    const isLeft = model.held.some(({ on, entry }) => on === NIC && entry.isHint !== true)
    assert(!isLeft, 'the link has nothing of its own')
    const taken = lasting(model)
    const back = give(model)
    for (const act of doing(back)) {
      model.run(act)
      assertWhole(model, start)
    }
    runAll(model, undoing(back))
    assert.deepEqual(lasting(model), taken, 'given back, and that taken back')
    runAll(model, doing(give(model)))
    runAll(model, back.commit)
    assert.deepEqual(lasting(model), lasting(start))
  },
  { numRuns: 300 },
)

holds(
  t,
  'from every step of a take-over there is a way back',
  fc.tuple(arbitraryHost, fc.nat({ max: 200 }), fc.nat({ max: 200 })),
  ([host, at, again]) => {
    const [model, start] = [host(), host()]
    const plan = take(model)
    runAll(model, doing(plan).slice(0, at))
    // Whoever takes it back may die, too.
    const back = undoing(plan)
    for (const act of back.slice(0, again)) {
      model.run(act)
      assertWhole(model, start)
    }
    runAll(model, back)
    assert.deepEqual(lasting(model), lasting(start))
  },
  { numRuns: 300 },
)

holds(
  t,
  'a giving that was cut off goes on',
  fc.tuple(arbitraryHost, fc.nat({ max: 200 })),
  ([host, at]) => {
    const [model, start] = [host(), host()]
    runAll(model, doing(take(model)))
    const plan = give(model)
    runAll(model, doing(plan).slice(0, at))
    runAll(model, [...doing(plan), ...plan.commit])
    assert.deepEqual(lasting(model), lasting(start))
  },
  { numRuns: 300 },
)

t.test('golden', async (t) => {
  const model = new Model()
  model.links.set(NIC, { master: undefined, genMode: 0 })
  const add = (
    kind: Entry['kind'],
    family: 4 | 6,
    words: string,
    facts: Partial<Facts> = {},
    more: Partial<Entry> = {},
  ): void =>
    model.add(entryOf({ kind, family, words, ...more }, { id: model.held.length, ...facts }), NIC)
  add('addr', 4, '192.0.2.10/24 brd 192.0.2.255 dev %', { net: 1, ip: '192.0.2.10' })
  add('addr', 4, '192.0.2.11/24 label %:1 dev %', { net: 1, ip: '192.0.2.11' })
  add(
    'addr',
    6,
    '2001:db8::10/64 valid_lft 86000 preferred_lft 14000 dev %',
    { net: 2, ip: '2001:db8::10' },
    { isProbed: true },
  )
  add('addr', 6, 'fe80::1234/64 scope link dev %', { net: 3, ip: 'fe80::1234' }, { isProbed: true })
  add(
    'route',
    4,
    'default via 192.0.2.1 dev % proto dhcp src 192.0.2.10 metric 100',
    { net: 1, prefSrc: '192.0.2.10' },
    { isVia: true },
  )
  add('route', 4, '198.51.100.0/24 dev % proto static scope link', { net: 9 })
  add(
    'route',
    6,
    'default via fe80::1 dev % proto ra metric 1024 expires 1750 pref medium',
    { net: 3 },
    { isVia: true },
  )
  add('neigh', 4, '192.0.2.7 lladdr 02:00:00:00:00:07 dev % nud permanent')
  add('neigh', 4, '192.0.2.1 lladdr 02:00:00:00:00:fe dev % nud stale', {}, { isHint: true })
  add('rule', 4, 'priority 1000 from all iif % table 100')
  model.settings.set(`ipv6.conf.${NIC}.accept_ra`, '2')
  model.riders.set('trvx.1', NIC)
  const there = take(model)
  const lines = (acts: readonly Act[]): string => acts.flatMap(renderAct).join('\n')
  runAll(model, doing(there))
  const back = give(model)
  golden(
    t,
    'take-over',
    [
      '# The uplink of a host is taken over, and given back',
      '#',
      '#   192.0.2.10, 2001:db8::10             192.0.2.10, 2001:db8::10',
      '#         eth0                                  br-eth0 -- pods',
      '#          |                   <->                 |',
      '#          |                                      eth0',
      '#   ---+---+--- 192.0.2.1, fe80::1        ---+-----+--- 192.0.2.1, fe80::1',
      '',
      '# Taken:',
      lines(doing(there)),
      '',
      '# Taken back from wherever it stopped:',
      lines(undoing(there)),
      '',
      '# Given back, and when the gateway answers:',
      lines([...doing(back), ...back.commit]),
      '',
    ].join('\n'),
  )
})
