/**
 * What makes a workload impossible, each with the number that would do.
 *
 * @module
 */
import { networkOfPod, networksOf } from '../network.ts'
import { EXACT_PODS_MAX, type Scenario } from '../scenario.ts'
import { type Complaint, roomFor } from '../scenario-rules.ts'
import { ACTIONS_MAX, type StepOf, type WorkloadStep } from '../scenario-workload.ts'
import { among } from '../suggest.ts'
import { nodeNamed } from '../underlay.ts'
import type { PodAction } from './action.ts'
import { planFaults } from './faults.ts'
import { unknownNode } from './trace.ts'
import { initialPods, timelineChance, tryPlan } from './workload.ts'

/** The first rule that a step breaks, whatever its file holds. */
export function checkSteps(scenario: Scenario): Complaint | undefined {
  for (const [index, step] of scenario.workload.entries()) {
    const complaint = checkStep(scenario, step)
    if (complaint === undefined) continue
    return { ...complaint, path: ['workload', String(index), ...complaint.path] }
  }
  return checkFirstPods(scenario)
}

/** Plans the workload, and looks whether its pods have room. Files must have been read. */
export function checkPlan(scenario: Scenario): Complaint | undefined {
  const chance = timelineChance(scenario)
  const faults = planFaults(scenario, chance.fork('faults'))
  const { actions, complaint } = tryPlan(scenario, faults, chance.fork('workload'))
  return complaint ?? checkPeak(scenario, actions)
}

const adds = (step: WorkloadStep): boolean =>
  ['poisson', 'batch', 'statefulset', 'trace', 'kubernetes'].includes(step.kind)

function checkFirstPods({ podsPerNode, workload }: Scenario): Complaint | undefined {
  const fills = workload.flatMap((step, index) =>
    step.kind === 'kubernetes' && step.fill ? [String(index)] : [],
  )
  const [fill, second] = fills
  if (second !== undefined) {
    const message = `the first pods are those of step ${fill} already`
    return { path: ['workload', second, 'fill'], message }
  }
  if (fill !== undefined && podsPerNode > 0) {
    const message = `found ${podsPerNode}, wanted 0: the first pods are those of workload.${fill}`
    return { path: ['podsPerNode'], message }
  }
  if (podsPerNode > 0 || workload.some(adds)) return undefined
  return {
    path: ['podsPerNode'],
    message: 'found 0, wanted a whole number from 1 to 1000, or a workload that adds pods',
  }
}

function checkStep(scenario: Scenario, step: WorkloadStep): Complaint | undefined {
  if ('network' in step && step.network !== undefined) {
    const networks = networksOf(scenario)
    if (!networks.includes(step.network)) {
      const message = `no network ${step.network}, ${among(step.network, networks)}`
      return { path: ['network'], message }
    }
  }
  switch (step.kind) {
    case 'poisson':
      return checkPoisson(step)
    case 'rolling':
      return checkRolling(step)
    case 'statefulset':
      return checkStateful(step)
    case 'drain':
      return checkDrain(scenario, step)
    case 'kubernetes':
      if (!step.fill || step.atMs === 0) return undefined
      return {
        path: ['atMs'],
        message: `found ${step.atMs}, wanted 0: the first pods are there before`,
      }
    default:
      return undefined
  }
}

function checkPoisson(step: StepOf<'poisson'>): Complaint | undefined {
  const { perSecond, forMs, lifetimeMs } = step
  const pods = Math.round((perSecond * forMs) / 1000)
  if (pods * (lifetimeMs === undefined ? 1 : 2) <= ACTIONS_MAX) return undefined
  const message =
    `${perSecond} pods a second for ${forMs} ms are ${pods}, ` +
    `wanted at most ${ACTIONS_MAX} that come or go`
  return { path: ['perSecond'], message }
}

function checkRolling({ surge, unavailable }: StepOf<'rolling'>): Complaint | undefined {
  if (![surge, unavailable].every((value) => /^0%?$/.test(String(value)))) return undefined
  const message = 'surge 0 and unavailable 0 let no pod come or go, wanted one of them above 0'
  return { path: ['surge'], message }
}

function checkStateful({ replicas, restarts }: StepOf<'statefulset'>): Complaint | undefined {
  const actions = replicas * (1 + 2 * restarts)
  if (actions <= ACTIONS_MAX) return undefined
  const message = `${replicas} replicas that restart ${restarts} times come and go ${actions} times, wanted at most ${ACTIONS_MAX}`
  return { path: ['restarts'], message }
}

function checkDrain({ nodes }: Scenario, step: StepOf<'drain'>): Complaint | undefined {
  const { node, nodes: list } = step
  if ((node === undefined) === (list === undefined)) {
    return { path: [], message: 'wanted node: node-0003, or nodes: a list of them' }
  }
  const seen = new Set<number>()
  for (const [index, name] of (list ?? [node ?? '']).entries()) {
    const path = list === undefined ? ['node'] : ['nodes', String(index)]
    const found = nodeNamed(name, nodes)
    if (found === undefined) return { path, message: unknownNode(name, nodes) }
    if (seen.has(found)) return { path, message: `node ${name} is listed twice` }
    seen.add(found)
  }
  return undefined
}

/** Most pods at once, and on each node of each network. */
interface Peak {
  readonly pods: number
  readonly ofNodes: ReadonlyMap<string, readonly number[]>
}

function peakOf(scenario: Scenario, actions: readonly PodAction[]): Peak {
  const networks = networksOf(scenario)
  const zeros = (): number[] => Array.from({ length: scenario.nodes }, () => 0)
  const now = new Map(networks.map((name) => [name, zeros()]))
  const most = new Map(networks.map((name) => [name, zeros()]))
  const places = new Map<number, readonly [network: string, node: number]>()
  let pods = 0
  const come = (pod: number, node: number, network: string): void => {
    const [held, peak] = [now.get(network), most.get(network)]
    if (held === undefined || peak === undefined) return
    places.set(pod, [network, node])
    held[node] = (held[node] ?? 0) + 1
    peak[node] = Math.max(peak[node] ?? 0, held[node])
    pods = Math.max(pods, places.size)
  }
  for (const [pod, { node }] of initialPods(scenario).entries()) {
    come(pod, node, networkOfPod(networks, pod))
  }
  for (const action of actions) {
    if (action.kind === 'add') {
      const { pod, node, network } = action
      come(pod, node, network ?? networkOfPod(networks, pod))
      continue
    }
    const [network = '', node = 0] = places.get(action.pod) ?? []
    const held = now.get(network)
    if (held !== undefined) held[node] = (held[node] ?? 0) - 1
    places.delete(action.pod)
  }
  return { pods, ofNodes: most }
}

function checkPeak(scenario: Scenario, actions: readonly PodAction[]): Complaint | undefined {
  const { pods, ofNodes } = peakOf(scenario, actions)
  if (pods > EXACT_PODS_MAX) {
    const message = `${pods} pods are there at once, the exact engine holds ${EXACT_PODS_MAX}`
    return { path: ['workload'], message }
  }
  for (const [network, counts] of ofNodes) {
    const fullest = counts.reduce((most, count) => Math.max(most, count), 0)
    const who = `the workload's peak of ${pods} pods, up to ${fullest} on one of ${scenario.nodes} nodes, needs`
    for (const family of [4, 6] as const) {
      const complaint = roomFor(scenario, network, family, counts, who)
      if (complaint !== undefined) return complaint
    }
  }
  return undefined
}
