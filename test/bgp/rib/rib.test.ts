/**
 * The RIB against a model of lists: after any history, the kernel and every peer
 * hold what the model says, whatever the turns in which it was worked out.
 */
import fc from 'fast-check'
import t from 'tap'
import { STEPS } from '../../../src/bgp/rib/decision.ts'
import { holds } from '../../support/property.ts'
import { histories, POLICY_FUNCTIONS, play, rivalries } from './routers.ts'
import { World, type WorldOptions } from './world.ts'

const variants: fc.Arbitrary<WorldOptions> = fc.record({
  multipath: fc.constantFrom(1, 1, 2, 4),
  medMissing: fc.constantFrom('best', 'worst'),
  alwaysCompareMed: fc.constantFrom(false, false, true),
})

holds(
  t,
  'after any history the kernel and every peer know what the model says',
  fc.tuple(variants, histories),
  ([options, history]) => play(new World({ ...options, policies: POLICY_FUNCTIONS }), history),
  { numRuns: 150 },
)

holds(
  t,
  'of paths that hardly differ the model chooses the same',
  fc.tuple(variants, rivalries),
  ([options, history]) => play(new World({ ...options, policies: POLICY_FUNCTIONS }), history),
  { numRuns: 500 },
)

for (const name of STEPS) {
  const steps = STEPS.filter((each) => each !== name)
  const run = fc.check(
    fc.property(rivalries, (history) =>
      play(new World({ policies: POLICY_FUNCTIONS, rib: { steps } }), history),
    ),
    { numRuns: 2000, seed: 7, endOnFailure: true },
  )
  t.ok(run.failed, `a decision without ${name} is noticed`, { runs: run.numRuns })
}
