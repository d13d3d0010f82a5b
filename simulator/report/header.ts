/**
 * What a report begins with: the seed and every option, in words a person can send.
 *
 * @module
 */
import { labelOf } from '../network.ts'
import type { Scenario } from '../scenario.ts'
import { inputWords } from '../timeline/inputs.ts'

/** The seed and every option, in one line a person can send. */
export function headerOf(path: string, scenario: Scenario): string {
  const { nodes, podsPerNode, racks, spines, seed, pools, times } = scenario
  const modes = scenario.modes.map((mode) => labelOf(mode).replaceAll(' ', '/'))
  const places = pools.map(({ cidr, blockLength, network }) => {
    const place = blockLength === undefined ? cidr : `${cidr}:${blockLength}`
    return network === undefined ? place : `${network}=${place}`
  })
  const sizes = Object.entries(scenario.switch).map(([name, value]) => `${name}=${value}`)
  const delays = Object.entries(times).map(([name, value]) => `${name}=${value}`)
  return [
    `scenario ${path}`,
    `seed ${seed}  nodes ${nodes}  podsPerNode ${podsPerNode}  racks ${racks}  spines ${spines}`,
    `modes ${modes.join(' ')}  pools ${places.join(' ')}  switch ${sizes.join(' ')}`,
    `times ${delays.join(' ')}`,
    `fabric ${fabricWords(scenario)}  talk ${scenario.talk}  gcThresh3 ${scenario.kernel.gcThresh3}`,
    ...workloadWords(scenario).map((words) => `workload ${words}`),
    ...faultWords(scenario),
  ].join('\n')
}

/** A line a fault, one of the swarm, and how closely it was watched. */
function faultWords({ faults, swarm, probe }: Scenario): readonly string[] {
  const words = (what: object): string =>
    Object.entries(what)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')
  if (faults.length === 0 && swarm === undefined) return []
  return [
    ...faults.map(({ kind, ...fault }) => `fault ${kind} ${words(fault)}`),
    ...(swarm === undefined ? [] : [`swarm ${words(swarm)}`]),
    `probe ${words(probe)}`,
  ]
}

/** A line a step; of a file what it holds. */
function workloadWords({ workload, inputs }: Scenario): readonly string[] {
  return workload.map(({ kind, ...step }, index) => {
    const keys = Object.entries(step).map(([name, value]) => `${name}=${value}`)
    const input = inputs?.get(index)
    const held = input === undefined ? [] : [`(${inputWords(input)})`]
    return [kind, ...keys, ...held].join(' ')
  })
}

/** Numbers and words as they are; of lists how long they are. */
function fabricWords({ fabric }: Scenario): string {
  return Object.entries(fabric)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.length : value}`)
    .join(' ')
}
