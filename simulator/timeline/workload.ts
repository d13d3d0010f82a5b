/**
 * The workload of a scenario as actions on pods, planned from the seed.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { TICKS_PER_MS } from '../clock.ts'
import { networksOf } from '../network.ts'
import type { Scenario } from '../scenario.ts'
import type { Complaint } from '../scenario-rules.ts'
import type { StepOf, WorkloadStep } from '../scenario-workload.ts'
import type { Fault, PodAction } from './action.ts'
import { ControlPlane, type PlannedPod, type PodNature } from './control-plane.ts'
import { reachChanges } from './reach.ts'
import { beginStep, rollable, runSwarmPods } from './workload-steps.ts'

/** A pod that is there before anything happens; pods are numbered from 0. */
export interface InitialPod {
  readonly node: number
  readonly nature: PodNature
  /** By which a trace removes it. */
  readonly name?: string
}

export interface WorkloadPlan {
  /** In the order of their ticks. */
  readonly actions: readonly PodAction[]
  /** What cannot be planned, found on the way; the actions end there. */
  readonly complaint: Complaint | undefined
}

/** Everything random about the timeline of a scenario. */
export const timelineChance = ({ seed }: Pick<Scenario, 'seed'>): Prng =>
  prng(seed).fork('timeline')

/**
 * Every action, in the order of their ticks.
 *
 * @param faults Where no pod can be placed.
 * @throws {TriviumError} BAD_CONFIG for what a checked scenario does not ask for.
 */
export function planWorkload(
  scenario: Scenario,
  faults: readonly Fault[],
  chance: Prng,
): readonly PodAction[] {
  const { actions, complaint } = tryPlan(scenario, faults, chance)
  if (complaint === undefined) return actions
  const { path, message } = complaint
  throw new TriviumError('BAD_CONFIG', `Cannot plan ${path.join('.')}: ${message}`)
}

/** The same, with what is wrong as an answer. */
export function tryPlan(scenario: Scenario, faults: readonly Fault[], chance: Prng): WorkloadPlan {
  const { workload, swarm, times } = scenario
  const isIdle = workload.length + (swarm?.workload ?? 0) === 0 && !faults.some(concernsPods)
  if (isIdle) return { actions: [], complaint: undefined }
  const plane = new ControlPlane({
    nodes: scenario.nodes,
    networks: networksOf(scenario),
    evictTicks: times.evictMs * TICKS_PER_MS,
    changes: reachChanges(scenario, faults),
  })
  const first = new Map<string, PlannedPod>()
  for (const { node, nature, name } of initialPods(scenario)) {
    const pod = plane.existing(node, nature)
    if (name !== undefined) first.set(name, pod)
  }
  let complaint: Complaint | undefined
  for (const [index, step] of workload.entries()) {
    plane.at(step.atMs * TICKS_PER_MS, () => {
      complaint ??= misfit(plane, step, ['workload', String(index)])
      if (complaint !== undefined) return
      const input = scenario.inputs?.get(index)
      beginStep(plane, scenario, { step, input, first }, chance.fork(`step ${index}`))
    })
  }
  if (swarm !== undefined) runSwarmPods(plane, swarm, chance.fork('swarm'))
  plane.run()
  if (plane.excess !== undefined) complaint ??= { path: ['workload'], message: plane.excess }
  return { actions: plane.actions, complaint }
}

/** The first pods: so many a node, or those of a file, in the order of their creation. */
export function initialPods(scenario: Scenario): readonly InitialPod[] {
  const { nodes, podsPerNode, workload } = scenario
  const input = scenario.inputs?.get(workload.findIndex(isFill))
  if (input?.kind === 'kubernetes') return input.pods
  return Array.from({ length: nodes * podsPerNode }, (_, pod): InitialPod => {
    return { node: Math.floor(pod / podsPerNode), nature: 'free' }
  })
}

/** How many they are. */
export const firstPods = (scenario: Scenario): number =>
  fillOf(scenario) === undefined
    ? scenario.nodes * scenario.podsPerNode
    : initialPods(scenario).length

const isFill = (step: WorkloadStep): boolean => step.kind === 'kubernetes' && step.fill

/** The step whose pods are the first ones. */
export function fillOf({ workload }: Scenario): StepOf<'kubernetes'> | undefined {
  const step = workload.find(isFill)
  return step?.kind === 'kubernetes' ? step : undefined
}

/** Whether pods have to be made anew. */
const concernsPods = ({ target }: Fault): boolean => !['agent', 'store'].includes(target.kind)

function misfit(
  plane: ControlPlane,
  step: WorkloadStep,
  path: readonly string[],
): Complaint | undefined {
  const found = step.kind === 'rolling' ? rollable(plane).length : undefined
  if (step.kind !== 'rolling' || found === undefined || found >= step.pods) return undefined
  const message = `found ${step.pods}, but ${found} pods that could be replaced are there by then`
  return { path: [...path, 'pods'], message }
}
