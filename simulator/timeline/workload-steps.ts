/**
 * What each kind of step asks the control plane for.
 *
 * @module
 */
import { assertNever } from '../../src/errors.ts'
import type { Prng } from '../../src/prng.ts'
import { TICKS_PER_MS } from '../clock.ts'
import { exponential } from '../math.ts'
import type { Scenario } from '../scenario.ts'
import type { StepOf, WorkloadStep } from '../scenario-workload.ts'
import { shuffled } from '../shuffle.ts'
import { nodeNamed } from '../underlay.ts'
import type { ControlPlane, PlannedPod } from './control-plane.ts'
import type { StepInput } from './inputs.ts'
import type { ClusterPod } from './kubernetes.ts'
import { rollOut } from './rolling.ts'
import { runStatefulSet } from './stateful.ts'
import type { TraceRow } from './trace.ts'

const TICKS_PER_S = 1000 * TICKS_PER_MS

export interface Beginning {
  readonly step: WorkloadStep
  readonly input: StepInput | undefined
  /** First pods that have names. */
  readonly first: ReadonlyMap<string, PlannedPod>
}

/** A step begins. @param chance The step's own. */
export function beginStep(
  plane: ControlPlane,
  scenario: Scenario,
  { step, input, first }: Beginning,
  chance: Prng,
): void {
  switch (step.kind) {
    case 'poisson':
      poisson(plane, step, chance)
      break
    case 'batch':
      batch(plane, step)
      break
    case 'rolling':
      rollOut(plane, step, shuffled(rollable(plane), chance).slice(0, step.pods))
      break
    case 'statefulset':
      runStatefulSet(plane, step)
      break
    case 'drain':
      drain(plane, scenario, step)
      break
    case 'restart':
      restart(plane, scenario, step, chance)
      break
    case 'trace':
      trace(plane, input?.kind === 'trace' ? input.rows : [], first)
      break
    case 'kubernetes':
      kubernetes(plane, scenario, step, input?.kind === 'kubernetes' ? input.pods : [])
      break
    default:
      assertNever(step)
  }
}

/** Pods that a Deployment may own: those that may be anywhere. */
export const rollable = (plane: ControlPlane): readonly PlannedPod[] =>
  [...plane.pods].filter(({ nature, sandbox }) => nature === 'free' && sandbox !== undefined)

/** Pods come or go by chance, one as often as the other. */
export function runSwarmPods(
  plane: ControlPlane,
  swarm: NonNullable<Scenario['swarm']>,
  chance: Prng,
): void {
  for (let count = 0; count < swarm.workload; count++) {
    plane.at(chance.below(swarm.forMs * TICKS_PER_MS), () => {
      const pods = rollable(plane)
      const leaving =
        chance.below(2) === 0 ? pods[chance.below(Math.max(1, pods.length))] : undefined
      if (leaving === undefined) plane.create({})
      else plane.remove(leaving)
    })
  }
}

function poisson(plane: ControlPlane, step: StepOf<'poisson'>, chance: Prng): void {
  const { network, lifetimeMs, perSecond } = step
  const unit = (): number => (chance.uint32() + 1) / 2 ** 32
  const endTick = plane.engine.tick + step.forMs * TICKS_PER_MS
  const gap = (): number => exponential(TICKS_PER_S / perSecond, unit())
  const arrive = (): void => {
    if (plane.engine.tick >= endTick) return
    const pod = plane.create({ network })
    if (lifetimeMs !== undefined) {
      const lifeTicks = Math.max(1, exponential(lifetimeMs * TICKS_PER_MS, unit()))
      plane.at(lifeTicks, () => plane.remove(pod))
    }
    plane.at(gap(), arrive)
  }
  plane.at(gap(), arrive)
}

function batch(
  plane: ControlPlane,
  { pods, spreadMs, lifetimeMs, network }: StepOf<'batch'>,
): void {
  for (let index = 0; index < pods; index++) {
    plane.at(Math.floor((index * spreadMs * TICKS_PER_MS) / pods), () => {
      const pod = plane.create({ network })
      if (lifetimeMs !== undefined) plane.at(lifetimeMs * TICKS_PER_MS, () => plane.remove(pod))
    })
  }
}

/** Nodes that a drain names, by their indexes. */
export function drained({ nodes }: Pick<Scenario, 'nodes'>, step: StepOf<'drain'>) {
  const named = step.nodes ?? (step.node === undefined ? [] : [step.node])
  return named.flatMap((node) => nodeNamed(node, nodes) ?? [])
}

function drain(plane: ControlPlane, scenario: Scenario, step: StepOf<'drain'>): void {
  const eachTicks = step.eachMs * TICKS_PER_MS
  const [...left] = drained(scenario, step)
  const drainNext = (): void => {
    const node = left.shift()
    if (node === undefined) return
    plane.cordon(node, true)
    if (step.forMs !== undefined) {
      plane.at(step.forMs * TICKS_PER_MS, () => plane.cordon(node, false))
    }
    const pods = plane.podsOn(node)
    for (const [index, pod] of pods.entries()) {
      plane.at(index * eachTicks, () => {
        if (pod.node === node) plane.evict(pod)
      })
    }
    plane.at(pods.length * eachTicks, drainNext)
  }
  drainNext()
}

function restart(
  plane: ControlPlane,
  { times }: Scenario,
  { share }: StepOf<'restart'>,
  chance: Prng,
): void {
  const running = [...plane.pods].filter(({ sandbox }) => sandbox !== undefined)
  const some = shuffled(running, chance).slice(0, Math.round(share * running.length))
  for (const [index, pod] of some.entries()) {
    plane.at(Math.floor((index * TICKS_PER_S) / times.podsPerSecond), () => plane.restart(pod))
  }
}

function trace(
  plane: ControlPlane,
  rows: readonly TraceRow[],
  first: ReadonlyMap<string, PlannedPod>,
): void {
  const pods = new Map(first)
  for (const { atTick, action, pod: name, node, network } of rows) {
    plane.at(atTick, () => {
      const known = pods.get(name)
      if (action === 'add') pods.set(name, plane.create({ node, network }))
      else if (known !== undefined) plane.remove(known)
    })
  }
}

function kubernetes(
  plane: ControlPlane,
  { times }: Scenario,
  { arrival, fill }: StepOf<'kubernetes'>,
  pods: readonly ClusterPod[],
): void {
  // Those of a fill are there already.
  if (fill) return
  for (const [index, { node, nature }] of pods.entries()) {
    const slice = arrival === 'rate' ? index : 0
    plane.at(Math.floor((slice * TICKS_PER_S) / times.podsPerSecond), () => {
      plane.create({ node, nature })
    })
  }
}
