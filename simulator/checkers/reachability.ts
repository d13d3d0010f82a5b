/**
 * Pods reach pods, and those of closed networks do not: a packet for every pair where there are few, otherwise for a
 * seeded sample in which every pod sends at least once as long as it is large enough.
 *
 * A pair that is cut off because a switch had no room is a finding of the run,
 * not a fault of the product: it is counted apart.
 *
 * @module
 */
import { ipFamily } from '../../src/net/mod.ts'
import type { Prng } from '../../src/prng.ts'
import { TICKS_PER_MS } from '../clock.ts'
import type { SimPod } from '../node.ts'
import { shuffled } from '../shuffle.ts'
import type { Cluster } from '../world.ts'
import { type CheckResult, checkResult } from './check.ts'
import { pairAnswers } from './openings.ts'
import { checkUnusedAddresses } from './unused.ts'
import { type WayFigure, Ways } from './ways.ts'

/** Up to this many pods every pair is tried. */
const ALL_PAIRS_PODS_MAX = 40
const SAMPLED_PAIRS = 2000

/** What became of the packets. */
export interface Reachability {
  /** Ordered pairs of pods that may meet; a pair is delivered when each family is. */
  readonly pairs: number
  /** Pairs of networks that are closed to each other; each that meets is a fault. */
  readonly closed: number
  readonly delivered: number
  /** Delivered, but through the processor of a switch without room. */
  readonly software: number
  /** Lost because a switch refused an entry. */
  readonly lostToOverflow: number
  /** Lost because a link or a switch is down, or a node has no agent or way to the store. */
  readonly lostToFailure: number
  /** Pods in data centres that the mode does not join. */
  readonly divided: number
  /** What the ways were like, by distance. */
  readonly ways: readonly WayFigure[]
  /** The longest way, over links alone. */
  readonly latencyMaxMs: number
  readonly sampled: boolean
  readonly example: string | undefined
  readonly check: CheckResult
}

export function checkReachability(cluster: Cluster, chance: Prng): Reachability {
  const pods = cluster.pods()
  const world = cluster.world()
  const sampled = pods.length > ALL_PAIRS_PODS_MAX
  const pairs = sampled ? somePairs(pods, chance) : allPairs(pods)
  const findings: string[] = []
  let delivered = 0
  let software = 0
  let lostToOverflow = 0
  let lostToFailure = 0
  let latencyTicks = 0
  let example: string | undefined
  let closed = 0
  let divided = 0
  const ways = new Ways(cluster.fabric)
  for (const [from, to] of pairs) {
    const { asked: answers, leak, closed: isClosed } = pairAnswers(world, cluster, from, to)
    const lost = answers.find((answer) => answer.kind === 'lost')
    if (leak !== undefined) findings.push(leak)
    if (isClosed) {
      closed++
      continue
    }
    ways.add(from, to, answers)
    if (lost?.kind !== 'lost') {
      delivered++
      const trails = answers.filter((answer) => answer.kind === 'delivered')
      if (trails.some((answer) => answer.software)) software++
      for (const trail of trails) latencyTicks = Math.max(latencyTicks, trail.latencyTicks)
    } else {
      const families = to.attachment.ips.map(ipFamily).join(' and ')
      const text = `pod ${from.id} to pod ${to.id} (IPv${families}): ${lost.reason}`
      if (lost.overflow) lostToOverflow++
      else if (lost.cut || [from, to].some(({ node }) => cluster.broken.has(node))) lostToFailure++
      else if (lost.divided) divided++
      else findings.push(text)
      if (lost.overflow || lost.cut) example ??= text
    }
  }
  const open = pairs.length - closed
  const unused = checkUnusedAddresses(cluster)
  findings.push(...unused.findings)
  const strays =
    unused.sent === 0
      ? ''
      : `; ${unused.discarded} of ${unused.sent} packets to unused addresses end at their rack's switch`
  const scope = `${pairs.length} ${sampled ? 'sampled' : ''} pairs${strays}`.replace('  ', ' ')
  const check = checkResult('reachability', scope, findings)
  const latencyMaxMs = latencyTicks / TICKS_PER_MS
  const lostOf = { lostToOverflow, lostToFailure, divided, ways: ways.figures(), latencyMaxMs }
  return { pairs: open, closed, delivered, software, ...lostOf, sampled, example, check }
}

type Pair = readonly [from: SimPod, to: SimPod]

function allPairs(pods: readonly SimPod[]): readonly Pair[] {
  return pods.flatMap((from) => pods.filter((to) => to !== from).map((to): Pair => [from, to]))
}

function somePairs(pods: readonly SimPod[], chance: Prng): readonly Pair[] {
  const senders = shuffled(pods, chance)
  return Array.from({ length: SAMPLED_PAIRS }, (_, index): Pair => {
    const place = index % senders.length
    const other = (place + 1 + chance.below(senders.length - 1)) % senders.length
    return [senders[place]!, senders[other]!]
  })
}
