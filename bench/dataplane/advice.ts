/**
 * Which road to take when: what was measured, where a road fits at all. A
 * sentence says of two roads that one is better only where it was so in every
 * round; where no measure tells them apart, their facts do, and it says so.
 */
import { counted } from '../../src/words.ts'
import {
  costOf,
  difference,
  type Findings,
  isClearlyBetter,
  lead,
  MEASURES,
  type Measure,
  ROUNDS_MIN,
  type RoadFigures,
  type Unmeasured,
} from './figures.ts'
import { type Facts, GUARDED, REFERENCE, type Road, UNGUARDED } from './roads.ts'
import { percent, timesWords } from './words.ts'

/** What somebody has, or wants, that not every road fits. */
interface Situation {
  /** Begins a sentence. */
  readonly when: string
  readonly fits: (facts: Facts) => boolean
}

const SITUATIONS: readonly Situation[] = [
  {
    when: 'Where nodes share nothing but IP (racks behind routers, a cloud)',
    fits: ({ ground }) => ground === 'ip',
  },
  {
    when: 'Where other programs’ nodes or hardware tunnel endpoints take part, or a kernel is old',
    fits: ({ ground, isCommon, leastKernel }) =>
      ground === 'ip' && isCommon && leastKernel === undefined,
  },
  {
    when: 'Where all nodes are on one L2 network, or the fabric hears of the blocks',
    fits: ({ ground }) => ground !== 'segment',
  },
  {
    when: 'Where pods must stand beside physical machines on their segment',
    fits: ({ isBeside }) => isBeside,
  },
  {
    when: 'Where pods with NET_ADMIN must not forge their addresses there',
    fits: ({ isBeside, guardInPod }) => isBeside && guardInPod === undefined,
  },
]

/** From here on, what others used of the machine shows in the figures. */
const LOUD = 0.1
/** A measure that two roads differ by less in is not worth a word. */
const LEAD_MIN = 0.03

/** The paragraph, a sentence or two an entry. */
export function adviceOf(findings: Findings): readonly string[] {
  return [
    ...noiseWords(findings),
    ...SITUATIONS.map((situation) => situationWords(findings, situation)),
    ...tunnelWords(findings),
    ...guardWords(findings),
    ...referenceWords(findings),
  ]
}

function noiseWords({ othersBusy, rounds }: Findings): readonly string[] {
  const loud =
    othersBusy.median < LOUD
      ? []
      : [
          `Others used ${percent(othersBusy.median)} of the processors between the turns; what measures comes before them, but a quiet machine is a better witness.`,
        ]
  const short =
    rounds < ROUNDS_MIN
      ? [
          `With ${counted(rounds, 'round')} nothing can be told from chance; ${ROUNDS_MIN} are the least.`,
        ]
      : []
  return [...loud, ...short]
}

interface Choice {
  readonly road: RoadFigures
  readonly next: RoadFigures | undefined
}

function situationWords(findings: Findings, { when, fits }: Situation): string {
  const named = (road: Road): boolean => road.facts !== undefined && fits(road.facts)
  const lacking = findings.unmeasured.filter(({ road }) => named(road))
  const choice = choose(findings.measured.filter(({ road }) => named(road)))
  const missing = lackWords(lacking)
  if (choice === undefined) {
    return `${when}: ${missing.length === 0 ? 'no road of these fits' : missing.join('; ')}.`
  }
  const { road, next } = choice
  const beside = next === undefined ? [] : [besideWords(road, next)]
  return `${when}, take ${road.road.name}: ${[figureWords(road), ...beside, ...missing].join('; ')}.`
}

/** Roads that lack the same in one part. */
function lackWords(lacking: readonly Unmeasured[]): readonly string[] {
  const reasons = [...new Set(lacking.map(({ reason }) => reason))]
  return reasons.map((reason) => {
    const names = lacking.filter((each) => each.reason === reason).map(({ road }) => road.name)
    return `${names.join(' and ')} ${names.length === 1 ? 'was' : 'were'} not measured (${reason})`
  })
}

/** The cheapest by what was measured, unless the next is not clearly dearer and has the better facts. */
function choose(candidates: readonly RoadFigures[]): Choice | undefined {
  const [first, second] = [...candidates].sort((one, other) => costOf(one) - costOf(other))
  if (first === undefined) return undefined
  if (second === undefined) return { road: first, next: undefined }
  const isTold = clear(first, second).length + clear(second, first).length > 0
  if (isTold || factsOf(first) <= factsOf(second)) return { road: first, next: second }
  return { road: second, next: first }
}

/** Where nothing is measured between two roads, the one that leaves more of a packet, then the one with fewer objects. */
function factsOf({ road, mtuBytes }: RoadFigures): number {
  return (road.facts?.objectsPerPeer ?? 0) - mtuBytes * 1000
}

/** Measures in which `one` was better than `other` in every round, by something worth a word. */
const clear = (one: RoadFigures, other: RoadFigures): readonly Measure[] =>
  MEASURES.filter(
    (measure) => isClearlyBetter(one, other, measure) && lead(one, other, measure) >= LEAD_MIN,
  )

function figureWords({ figures }: RoadFigures): string {
  const of = (name: 'tcp' | 'transactions' | 'cpu'): string =>
    timesWords(figures[name].ratio?.median ?? 1)
  return `${of('tcp')} bare veth’s TCP at ${of('cpu')} its processor time a gigabit, ${of('transactions')} its transactions`
}

function besideWords(one: RoadFigures, other: RoadFigures): string {
  const [ahead, behind] = [clear(one, other), clear(other, one)]
  const name = other.road.name
  if (ahead.length === 0 && behind.length === 0) {
    return `between it and ${name} no difference was measured, so ${tieWords(one, other)}`
  }
  const words = [
    ...(ahead.length === 0 ? [] : [`ahead of ${name} in ${changes(one, other, ahead)}`]),
    ...(behind.length === 0
      ? []
      : [`behind ${ahead.length === 0 ? name : 'it'} in ${changes(one, other, behind)}`]),
  ]
  return words.join(', ')
}

/** What `one` has beside `other`: `TCP (12 % more), round trip (30 % less)`. */
const changes = (one: RoadFigures, other: RoadFigures, measures: readonly Measure[]): string =>
  measures
    .map((measure) => {
      const change = difference(one, other, measure)
      return `${measure.title} (${percent(Math.abs(change))} ${change < 0 ? 'less' : 'more'})`
    })
    .join(', ')

function tieWords(one: RoadFigures, other: RoadFigures): string {
  const bytes = one.mtuBytes - other.mtuBytes
  if (bytes > 0) return `its ${bytes} bytes more of each packet decide`
  const [own = 0, theirs = 0] = [one, other].map(({ road }) => road.facts?.objectsPerPeer ?? 0)
  return own < theirs
    ? `its ${own} objects a peer in place of ${theirs} decide`
    : 'take what you know'
}

/** What going without one L2 network costs. */
function tunnelWords({ measured }: Findings): readonly string[] {
  const on = (...grounds: readonly string[]) =>
    choose(measured.filter(({ road }) => grounds.includes(road.facts?.ground ?? '')))?.road
  const [tunnel, plain] = [on('ip'), on('l2')]
  if (tunnel === undefined || plain === undefined) return []
  const bytes = plain.mtuBytes - tunnel.mtuBytes
  const dear = clear(plain, tunnel)
  const cost = dear.length === 0 ? 'nothing that was measured' : changes(tunnel, plain, dear)
  const gain = clear(tunnel, plain)
  const back = gain.length === 0 ? '' : `, and gains ${changes(tunnel, plain, gain)}`
  return [
    `The tunnel (${tunnel.road.name}) costs, beside ${plain.road.name}: ${cost}${back}; and ${bytes} bytes of each packet.`,
  ]
}

/** What is between a pod and another one besides the way. */
function guardWords({ measured }: Findings): readonly string[] {
  const [guarded, unguarded] = [GUARDED, UNGUARDED].map((id) =>
    measured.find(({ road }) => road.id === id),
  )
  if (guarded === undefined || unguarded === undefined) return []
  const dear = clear(unguarded, guarded)
  const cost = dear.length === 0 ? 'nothing that was measured' : changes(guarded, unguarded, dear)
  return [
    `Guards against forged senders, isolation of networks and masquerade cost ${guarded.road.name}: ${cost}.`,
  ]
}

function referenceWords({ measured }: Findings): readonly string[] {
  const reference = measured.find(({ road }) => road.id === REFERENCE)
  const ours = choose(
    measured.filter(({ road }) => road.facts !== undefined && road.facts.ground === 'l2'),
  )?.road
  if (reference === undefined || ours === undefined) return []
  const [ahead, behind] = [clear(ours, reference), clear(reference, ours)]
  const words = [
    ...(ahead.length === 0 ? [] : [`ahead in ${changes(ours, reference, ahead)}`]),
    ...(behind.length === 0 ? [] : [`behind in ${changes(ours, reference, behind)}`]),
  ]
  const told = words.length === 0 ? 'no difference was measured' : words.join(' and ')
  return [`Beside ${reference.road.name}, which has none of these, ${ours.road.name}: ${told}.`]
}
