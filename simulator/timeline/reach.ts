/**
 * When nodes can be reached by those who place pods, from the faults.
 *
 * A node without power, in a rack that is cut off, or under a top-of-rack switch
 * that is down is not. Agents and the store do not matter: a kubelet takes pods
 * without them, and tries again. Other switches and links have others beside them.
 *
 * @module
 */
import { topologyOf } from '../fabric-plan.ts'
import type { Scenario } from '../scenario.ts'
import { planRacks } from '../underlay.ts'
import type { Fault } from './action.ts'

/** A node goes out of reach, or one reason for it ends. */
export interface ReachChange {
  readonly atTick: number
  readonly nodes: readonly number[]
  readonly up: boolean
  /** Its pods are lost, too. */
  readonly power: boolean
}

type Sized = Pick<Scenario, 'nodes' | 'racks' | 'spines' | 'fabric'>

/** Beginnings and ends, each in the order of faults. */
export function reachChanges(scenario: Sized, faults: readonly Fault[]): readonly ReachChange[] {
  const racks = planRacks(scenario.nodes, scenario.racks, [4]).map(({ nodes }) =>
    nodes.map(({ index }) => index),
  )
  const { devices } = topologyOf(scenario)
  return faults.flatMap(({ atTick, forTicks, target }): readonly ReachChange[] => {
    const power = target.kind === 'node'
    const nodes = nodesOf(target)
    if (nodes.length === 0) return []
    const down = { atTick, nodes, up: false, power }
    if (forTicks === undefined) return [down]
    return [down, { atTick: atTick + forTicks, nodes, up: true, power }]
  })

  function nodesOf(target: Fault['target']): readonly number[] {
    switch (target.kind) {
      case 'node':
        return [target.node]
      case 'partition':
        return target.racks.flatMap((rack) => racks[rack] ?? [])
      case 'device':
        return racks[devices[target.device]?.rack ?? -1] ?? []
      default:
        return []
    }
  }
}
