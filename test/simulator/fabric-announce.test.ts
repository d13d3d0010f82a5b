/** What switches hear of nodes: summaries against joining from nothing, and timers. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { heardAfter, Summary, summarised } from '../../simulator/announcer.ts'
import { type ModeResult, runScenario } from '../../simulator/run.ts'
import { type Prefix, subPrefixAt } from '../../src/net/mod.ts'
import { mustPrefix, smallScenario } from './support.ts'

const POOL = mustPrefix('10.42.0.0/22')

t.test('Summary: step by step the same as from nothing', async () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 15 })), { maxLength: 50 })
  fc.assert(
    fc.property(steps, (history) => {
      const summary = new Summary()
      const blocks = new Set<Prefix>()
      const announced = new Set<Prefix>()
      for (const [add, place] of history) {
        const block = subPrefixAt(POOL, 26, BigInt(place))
        if (add === blocks.has(block)) continue
        if (add) blocks.add(block)
        else blocks.delete(block)
        for (const change of add ? summary.add(block) : summary.remove(block)) {
          assert.equal(announced.has(change.prefix), !change.add, 'only what changes is said')
          if (change.add) announced.add(change.prefix)
          else announced.delete(change.prefix)
        }
        assert.deepEqual([...announced].sort(), [...summarised([...blocks])].sort())
      }
    }),
  )
})

t.test('sixteen blocks in a row are one prefix; with a hole they are four', async (t) => {
  const all = Array.from({ length: 16 }, (_, index) => subPrefixAt(POOL, 26, BigInt(index)))
  t.strictSame(summarised(all), [POOL])
  t.equal(summarised(all.slice(1)).length, 4)
})

t.test('timers', async (t) => {
  t.equal(heardAfter('ideal', 123, 50), 50)
  t.equal(heardAfter('frr', 123, 50), 1_050_050)
  t.equal(heardAfter('calico', 500_000, 50), 1_500_050)
  t.equal(heardAfter('calico', 2_000_000, 50), 2_000_050)
})

const run = (extra: string): ModeResult =>
  runScenario(smallScenario(extra, ['modes', 'times'])).modes[0] ?? assert.fail('one mode')

const lpm = ({ tables }: ModeResult, role: string) =>
  tables.find((figure) => figure.role === role && figure.table === 'lpm')?.demandPeak ?? 0

t.test('a summary a rack: after quiescence tables are what was announced', async (t) => {
  const blocks = run('modes: [route]')
  const racks = run('modes: [{ mode: route, announce: rack }]')
  t.equal(racks.label, 'route racks')
  t.ok(
    lpm(racks, 'spine') < lpm(blocks, 'spine'),
    `${lpm(racks, 'spine')} of ${lpm(blocks, 'spine')}`,
  )
  t.equal(racks.reachability.delivered, 18 * 17)
  t.ok(
    racks.checks.every(({ passed }) => passed),
    'checks',
    { checks: racks.checks.filter(({ passed }) => !passed) },
  )
})

t.test('blocks beside those of their rack: fewer summaries say where they are', async (t) => {
  const size = 'nodes: 24\npodsPerNode: 3\nracks: 4\n'
  const instead = ['modes', 'nodes', 'podsPerNode', 'racks', 'switch']
  const scenario = smallScenario(
    `${size}switch: { host: 200, lpm: 200, mac: 200 }
modes: [{ mode: route, announce: rack }, { mode: route, announce: rack, placement: rack }, { mode: route, announce: host, placement: rack }]`,
    instead,
  )
  const { modes } = runScenario(scenario)
  t.strictSame(
    modes.map(({ label }) => label),
    ['route racks', 'route racks contiguous', 'route /32 contiguous'],
  )
  const [lowest, placed] = modes.map(({ samples }) => samples.at(-1)?.entries['spine lpm'] ?? 0)
  t.ok((lowest ?? 0) > 40, `${lowest}: hardly any of 48 blocks happen to lie together`)
  // Twelve blocks a rack are 8 and 4.
  t.equal(placed, 4 + 4 * 2)
  for (const { label, checks, reachability } of modes) {
    for (const { name, passed } of checks) t.ok(passed, `${label}: ${name}`)
    t.equal(reachability.delivered, reachability.pairs)
  }
})

t.test(
  'slower protocols: the control plane is later, and all is the same in the end',
  async (t) => {
    const ideal = run('modes: [{ mode: route, announce: host }]')
    const calico = run('modes: [{ mode: route, announce: host }]\ntimes: { protocol: calico }')
    t.ok(calico.heardMs > ideal.heardMs, `${calico.heardMs} ms, ${ideal.heardMs} ms`)
    t.equal(ideal.programming.lagMaxMs, 50)
    t.ok(calico.programming.lagMaxMs > 50 && calico.programming.lagMaxMs <= 2050)
    t.strictSame(lpm(calico, 'tor'), lpm(ideal, 'tor'))
    t.equal(calico.reachability.delivered, 18 * 17)
    for (const check of calico.checks) t.ok(check.passed, check.name)
  },
)
