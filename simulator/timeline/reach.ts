/**
 * When nodes can be reached by those who place pods, from the faults.
 *
 * A node without power is not, nor are those of a rack that is cut off, or whose
 * switch is down or alone. Agents and the store do not matter: a kubelet takes
 * pods without them, and tries again.
 *
 * @module
 */
import { topologyOf } from '../fabric-plan.ts'
import type { Topology } from '../fabric-topology.ts'
import type { Scenario } from '../scenario.ts'
import { planRacks } from '../underlay.ts'
import type { Fault, FaultTarget } from './action.ts'
import { Causes } from './causes.ts'
import { linksBetween, racksAlone } from './sides.ts'

/** Some nodes go out of reach, or one reason for it ends. */
export interface ReachChange {
  readonly atTick: number
  readonly nodes: readonly number[]
  readonly up: boolean
  /** Their pods are lost, too. */
  readonly power: boolean
}

type Sized = Pick<Scenario, 'nodes' | 'racks' | 'spines' | 'fabric'>

/** A fault begins, or is mended. */
interface Change {
  readonly atTick: number
  readonly up: boolean
  readonly target: FaultTarget
}

/** Every change, in the order of ticks; of one tick in the order of faults. */
export function reachChanges(scenario: Sized, faults: readonly Fault[]): readonly ReachChange[] {
  if (faults.length === 0) return []
  const racks = planRacks(scenario.nodes, scenario.racks, [4]).map(({ nodes }) =>
    nodes.map(({ index }) => index),
  )
  const nodesOf = (some: readonly number[]): readonly number[] =>
    some.flatMap((rack) => racks[rack] ?? [])
  const paths = new Paths(topologyOf(scenario))
  return changesOf(faults).flatMap(({ atTick, up, target }): readonly ReachChange[] => {
    if (target.kind === 'node') return [{ atTick, up, nodes: [target.node], power: true }]
    const cut = target.kind === 'partition' ? nodesOf(target.racks) : []
    const { joined, parted } = paths.change(target, up)
    return [
      { atTick, up, nodes: cut, power: false },
      { atTick, up: true, nodes: nodesOf(joined), power: false },
      { atTick, up: false, nodes: nodesOf(parted), power: false },
    ].filter(({ nodes }) => nodes.length > 0)
  })
}

function changesOf(faults: readonly Fault[]): readonly Change[] {
  const changes = faults.flatMap(({ atTick, forTicks, target }): readonly Change[] => {
    const down = { atTick, up: false, target }
    return forTicks === undefined ? [down] : [down, { atTick: atTick + forTicks, up: true, target }]
  })
  return changes.sort((left, right) => left.atTick - right.atTick)
}

/** Which racks' switches are down or alone, while links and switches fail and are mended. */
class Paths {
  private readonly topology: Topology
  private readonly causes = new Causes()
  private alone: readonly number[] = []

  constructor(topology: Topology) {
    this.topology = topology
  }

  /** @returns racks that have a way again, and those that have none any more. */
  change(
    target: FaultTarget,
    up: boolean,
  ): { readonly joined: readonly number[]; readonly parted: readonly number[] } {
    const { topology, causes, alone: before } = this
    const things =
      target.kind === 'partition'
        ? linksBetween(topology, target.racks).map((link) => `link ${link}`)
        : target.kind === 'link'
          ? [`link ${target.link}`]
          : target.kind === 'device'
            ? [`device ${target.device}`]
            : []
    if (things.length === 0) return { joined: [], parted: [] }
    for (const thing of things) causes.change(thing, !up)
    const state = {
      links: topology.links.map((_, link) => !causes.isDown(`link ${link}`)),
      devices: topology.devices.map((_, device) => !causes.isDown(`device ${device}`)),
    }
    this.alone = racksAlone(topology, state)
    return {
      joined: before.filter((rack) => !this.alone.includes(rack)),
      parted: this.alone.filter((rack) => !before.includes(rack)),
    }
  }
}
