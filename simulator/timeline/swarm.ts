/**
 * Faults that a seed makes up. Each seed leaves some kinds out altogether: a mix of
 * everything hides what only a few kinds together bring about.
 *
 * Source of the idea: Groce, Zhang, Eide, Chen, Regehr: Swarm Testing, ISSTA 2012.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import { TICKS_PER_MS } from '../clock.ts'
import type { Topology } from '../fabric-topology.ts'
import type { Scenario } from '../scenario.ts'
import type { FaultKind } from '../scenario-faults.ts'
import { shuffled } from '../shuffle.ts'
import type { Fault, FaultTarget } from './action.ts'
import { possibleKinds, spinesOf } from './targets.ts'

/** The shortest faults last so long, and up to twice that. */
const SHORTEST_MS = 50
/** One fault of so many is never mended, of kinds without which a cluster goes on. */
const ONE_FOR_EVER_OF = 8
const FOR_EVER: readonly FaultKind[] = ['node', 'agent', 'link', 'spine']

/** The kinds that a seed takes: each by a coin, at least one. */
export function swarmKinds(kinds: readonly FaultKind[], chance: Prng): readonly FaultKind[] {
  const taken = kinds.filter(() => chance.below(2) === 0)
  return taken.length > 0 ? taken : shuffled(kinds, chance).slice(0, 1)
}

export function swarmFaults(
  scenario: Scenario,
  topology: Topology,
  chance: Prng,
): readonly Fault[] {
  const { swarm } = scenario
  if (swarm === undefined) return []
  const kinds = swarmKinds(swarm.kinds ?? possibleKinds(scenario, topology), chance.fork('kinds'))
  const spanTicks = swarm.forMs * TICKS_PER_MS
  return Array.from({ length: swarm.faults }, (): Fault => {
    const kind = kinds[chance.below(kinds.length)] ?? 'node'
    const atTick = chance.below(spanTicks)
    const isForEver = FOR_EVER.includes(kind) && chance.below(ONE_FOR_EVER_OF) === 0
    const forTicks = isForEver ? undefined : lasting(swarm.forMs, chance)
    return { atTick, forTicks, target: anyTarget(kind, scenario, topology, chance) }
  })
}

/** Short ones as often as long ones: each doubling is as likely as any other. */
function lasting(spanMs: number, chance: Prng): number {
  let doublings = 1
  while (SHORTEST_MS * 2 ** doublings < spanMs) doublings++
  const leastTicks = SHORTEST_MS * 2 ** chance.below(doublings) * TICKS_PER_MS
  return leastTicks + chance.below(leastTicks)
}

function anyTarget(
  kind: FaultKind,
  { nodes, racks }: Scenario,
  topology: Topology,
  chance: Prng,
): FaultTarget {
  switch (kind) {
    case 'node':
    case 'agent':
      return { kind, node: chance.below(nodes) }
    case 'store':
      return { kind }
    case 'link':
      return { kind, link: chance.below(topology.links.length) }
    case 'device':
      return { kind, device: chance.below(topology.devices.length) }
    case 'tor':
      return { kind: 'device', device: chance.below(racks) }
    case 'spine': {
      const spines = spinesOf(topology)
      return { kind: 'device', device: spines[chance.below(spines.length)] ?? 0 }
    }
    case 'partition': {
      const all = Array.from({ length: racks }, (_, rack) => rack)
      const few = shuffled(all, chance).slice(0, 1 + chance.below(racks - 1))
      return { kind, racks: [...few].sort((left, right) => left - right) }
    }
  }
}
