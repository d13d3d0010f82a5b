/**
 * Many seeds: ours in several orders, as whole speakers and in the simulator, then BIRD,
 * then both side by side.
 *
 * @module
 */
import { daemonNamed } from '../../../simulator/bgp/daemons.ts'
import { againstBird, type Compared } from './against-bird.ts'
import type { Equaliser } from './bird-config.ts'
import { generate } from './generate.ts'
import { latenciesOf } from './latencies.ts'
import { differences, differenceText, type Outcome, outcomeText } from './outcome.ts'
import { RibNetwork } from './rib-network.ts'
import { SimulatedNetwork } from './simulated-network.ts'
import { SpeakersOfTopology } from './speaker-network.ts'
import type { Topology } from './topology.ts'

/** What a network comes to in any order of its messages, as far as orders were tried. */
export type Settled =
  | { readonly kind: 'one'; readonly outcome: Outcome; readonly after: Outcome }
  | { readonly kind: 'several' }
  | { readonly kind: 'never' }

/** In how many orders each network is played. */
const ORDERS = 5
const ORDERS_OF_DIFFERENT = 60

/** One outcome before its events and one behind them, or why there is not. */
export function settle(topology: Topology, orders = ORDERS): Settled {
  let first: { readonly outcome: Outcome; readonly after: Outcome } | undefined
  let text = ''
  for (let order = 1; order <= orders; order++) {
    const network = new RibNetwork(topology, order)
    if (!network.begin()) return { kind: 'never' }
    const outcome = network.outcome()
    if (!network.carryOut(topology.events)) return { kind: 'never' }
    const after = network.outcome()
    const now = `${outcomeText(outcome)}\n${outcomeText(after)}`
    if (first === undefined) {
      first = { outcome, after }
      text = now
    } else if (now !== text) return { kind: 'several' }
  }
  return { kind: 'one', ...first! }
}

type Expected = Pick<Extract<Settled, { readonly kind: 'one' }>, 'outcome' | 'after'>

/**
 * The same network of whole speakers: undefined where it comes to what its RIBs came to.
 *
 * @throws {TriviumError} INTERNAL: it does not come to rest.
 */
function speakersProblem(topology: Topology, expected: Expected): string | undefined {
  const network = new SpeakersOfTopology(topology)
  const isWrong = (wanted: Outcome): string | undefined => {
    if (network.down.length > 0) return `speakers: ${network.down.join(', ')}`
    return firstOf('speakers', network.outcome(), wanted)
  }
  const before = isWrong(expected.outcome)
  if (before !== undefined) return before
  network.carryOut(topology.events)
  return isWrong(expected.after)
}

/**
 * The same on the simulator's road, with BIRD's times and sessions of some length.
 *
 * @throws {TriviumError} INTERNAL: it does not come to rest.
 */
function simulatedProblem(topology: Topology, expected: Expected): string | undefined {
  const latenciesMs = latenciesOf(topology)
  const network = new SimulatedNetwork({ topology, daemon: daemonNamed('bird'), latenciesMs })
  const before = firstOf('simulator', network.outcome(), expected.outcome)
  if (before !== undefined) return before
  network.carryOut(topology.events)
  return firstOf('simulator', network.outcome(), expected.after)
}

function firstOf(who: string, found: Outcome, wanted: Outcome): string | undefined {
  const [first] = differences(found, wanted)
  return first && `${who} and RIBs: ${differenceText(first)}`
}

export interface Tally {
  /** Seeds that both agree on. */
  readonly equal: readonly number[]
  readonly different: readonly Compared[]
  /** Equal after BIRD had to learn something again. */
  readonly relearnt: readonly number[]
  /** Left out: networks with more than one outcome, and those without any. */
  readonly several: readonly number[]
  readonly never: readonly number[]
}

export interface CampaignOptions {
  /** The first seed. */
  readonly from: number
  /** How many networks are compared. */
  readonly count: number
  readonly atOnce: number
  readonly without?: Equaliser
}

/** Seeds from `from` on until `count` were compared. */
export async function campaign(
  { from, count, atOnce, without }: CampaignOptions,
  scratch: string,
): Promise<Tally> {
  const equal: number[] = []
  const different: Compared[] = []
  const relearnt: number[] = []
  const several: number[] = []
  const never: number[] = []
  let [seed, started] = [from, 0]
  const worker = async (): Promise<void> => {
    while (started < count) {
      const topology = generate(seed++)
      const settled = settle(topology)
      if (settled.kind !== 'one') {
        ;(settled.kind === 'several' ? several : never).push(topology.seed)
        continue
      }
      let problem: string | undefined
      try {
        problem = speakersProblem(topology, settled) ?? simulatedProblem(topology, settled)
      } catch (error) {
        // In step with each other they may change their minds for ever where any other order ends.
        if (!String(error).includes('did not come to rest')) throw error
        never.push(topology.seed)
        continue
      }
      started++
      const result: Compared =
        problem === undefined
          ? await againstBird(topology, settled, scratch, without)
          : { seed: topology.seed, problem, found: [], relearnt: 0 }
      const isDifferent = result.problem !== undefined
      // A rare second outcome is found by looking longer.
      if (isDifferent && settle(topology, ORDERS_OF_DIFFERENT).kind === 'several') {
        several.push(topology.seed)
        started--
        continue
      }
      if (isDifferent) different.push(result)
      else equal.push(topology.seed)
      if (result.relearnt > 0) relearnt.push(topology.seed)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { equal, different, relearnt, several, never }
}

export const tallyText = ({ equal, different, relearnt, several, never }: Tally): string => {
  const named = (seeds: readonly number[]): string =>
    seeds.length === 0 ? '0' : `${seeds.length} (${seeds.join(' ')})`
  return [
    `${equal.length + different.length} compared`,
    `${different.length} different`,
    `BIRD learnt again in ${named(relearnt)}`,
    `left out: several outcomes ${named(several)}, never at rest ${named(never)}`,
  ].join(', ')
}
