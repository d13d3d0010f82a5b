/**
 * The same networks of ours and of BIRD 2: random ASes, reflectors and policies, and what
 * every router came to is equal, before and after routes and sessions went. Ours are RIBs
 * in several orders, whole speakers, and the simulator's with its transport. Networks with
 * several outcomes or none are left out and counted.
 *
 * TRIVIUM_LONG=1 compares a thousand; `FC_SEED=N` begins with network N, `run.ts` shows the
 * smallest part of one.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { STEPS, type StepName } from '../../../src/bgp/rib/decision.ts'
import { campaign, tallyText } from './campaign.ts'
import { generate } from './generate.ts'
import { differences, differenceText, type Outcome } from './outcome.ts'
import { RibNetwork } from './rib-network.ts'
import { SpeakersOfTopology } from './speaker-network.ts'

const LONG = process.env['TRIVIUM_LONG'] === '1'
const COUNT = LONG ? 1000 : 20
const FROM = Number(process.env['FC_SEED'] ?? 1) >>> 0
/** BIRD's answers sometimes depend on the order of arrival (`closest`); much more often is no accident. */
const RELEARNT_MAX = 0.1
const LEFT_OUT_MAX = 0.2

const skip =
  process.getuid?.() !== 0
    ? 'network namespaces need root'
    : existsSync('/usr/sbin/bird')
      ? false
      : 'no BIRD (package bird2)'

t.setTimeout(LONG ? 3_600_000 : 300_000)

t.test('every router uses what BIRD uses', { skip }, async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'differential-'))
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
  const tally = await campaign({ from: FROM, count: COUNT, atOnce: 10 }, scratch)
  t.comment(tallyText(tally))
  for (const { seed, problem, found } of tally.different) {
    t.fail(`network ${seed}: ${problem}`, { found: found.slice(0, 3).map(differenceText) })
  }
  t.equal(tally.equal.length, COUNT, 'networks are equal')
  const left = tally.several.length + tally.never.length
  t.ok(left <= LEFT_OUT_MAX * (COUNT + left), `${left} are left out`)
  t.ok(tally.relearnt.length <= Math.max(5, RELEARNT_MAX * COUNT), 'BIRD is of one mind')
  for (const step of STEPS) {
    // Only paths of one peer differ in it, and BIRD has no rule for them.
    if (step === 'path-id') continue
    const seed = tally.equal.find((each) => isCaught(each, step))
    t.not(seed, undefined, `without ${step} ours is another, first in network ${seed}`)
  }
})

const outcomes = new Map<number, Outcome>()

/** Whether a network that is equal with all steps is not without this one. */
function isCaught(seed: number, step: StepName): boolean {
  const topology = generate(seed)
  const wanted = outcomes.get(seed) ?? new SpeakersOfTopology(topology).outcome()
  outcomes.set(seed, wanted)
  const without = STEPS.filter((each) => each !== step)
  // What does not come to rest has no answer to compare.
  if (!new RibNetwork(topology, 1, without).begin()) return false
  return differences(new SpeakersOfTopology(topology, without).outcome(), wanted).length > 0
}
