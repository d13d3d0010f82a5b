/**
 * What a scenario's faults hit: names and numbers to places in the topology, or
 * why there is no such thing.
 *
 * @module
 */
import { topologyOf } from '../fabric-plan.ts'
import type { Topology } from '../fabric-topology.ts'
import type { Scenario } from '../scenario.ts'
import { FAULT_KINDS, type FaultKind } from '../scenario-faults.ts'
import type { Complaint } from '../scenario-rules.ts'
import { among } from '../suggest.ts'
import { nodeName } from '../underlay.ts'
import type { FaultTarget } from './action.ts'

type Listed = Scenario['faults'][number]
type Sized = Pick<Scenario, 'nodes' | 'racks' | 'spines' | 'fabric'>

const NODE_EXAMPLE = 'node, by name or number'

/** Which key says what a fault of a kind hits, and how it is written. */
const SUBJECT: Readonly<Record<FaultKind, readonly [key: keyof Listed, example: string]>> = {
  node: ['node', NODE_EXAMPLE],
  agent: ['node', NODE_EXAMPLE],
  link: ['between', 'between: [tor-0, spine-1]'],
  device: ['name', 'name: tor-0'],
  tor: ['rack', 'rack: 0'],
  spine: ['spine', 'spine: 0'],
  partition: ['racks', 'racks: [0]'],
  store: ['kind', ''],
}
const SUBJECTS = ['node', 'between', 'name', 'rack', 'spine', 'racks'] as const

/** What a fault hits, or why it hits nothing. */
type Answer = FaultTarget | { readonly kind: 'nothing'; readonly why: string }

/** @returns undefined for what does not exist; a checked scenario has no such fault. */
export function targetOf(
  scenario: Sized,
  topology: Topology,
  fault: Listed,
): FaultTarget | undefined {
  const answer = find(scenario, topology, fault)
  return answer.kind === 'nothing' ? undefined : answer
}

/** The first fault, or kind of a swarm, that hits nothing. */
export function checkFaults(scenario: Scenario): Complaint | undefined {
  const topology = topologyOf(scenario)
  for (const [index, fault] of scenario.faults.entries()) {
    const path = ['faults', String(index)]
    const message = mismatch(fault) ?? whyNothing(find(scenario, topology, fault))
    if (message !== undefined) return { path, message }
  }
  for (const [index, kind] of (scenario.swarm?.kinds ?? []).entries()) {
    if (possibleKinds(scenario, topology).includes(kind)) continue
    const message = `found ${kind}, but this cluster has nothing of that kind that could break`
    return { path: ['swarm', 'kinds', String(index)], message }
  }
  return undefined
}

/** Kinds of faults that this cluster can have. */
export function possibleKinds(
  { racks }: Sized,
  { devices, links }: Topology,
): readonly FaultKind[] {
  return FAULT_KINDS.filter((kind) => {
    if (kind === 'spine') return devices.some(({ role }) => role === 'spine')
    if (kind === 'partition') return racks > 1
    return kind !== 'link' || links.length > 0
  })
}

/** Indexes of the spine switches, over all data centres. */
export const spinesOf = ({ devices }: Topology): readonly number[] =>
  devices.flatMap(({ role }, index) => (role === 'spine' ? [index] : []))

function mismatch(fault: Listed): string | undefined {
  const [own, example] = SUBJECT[fault.kind]
  if (fault[own] === undefined) return `kind ${fault.kind} lacks what it hits, wanted ${example}`
  const strange = SUBJECTS.find((key) => key !== own && fault[key] !== undefined)
  if (strange === undefined) return undefined
  const kinds = FAULT_KINDS.filter((kind) => SUBJECT[kind][0] === strange).join(' or ')
  return `${strange} belongs to kind ${kinds}, not ${fault.kind}`
}

const nothing = (why: string): Answer => ({ kind: 'nothing', why })
const whyNothing = (answer: Answer): string | undefined =>
  answer.kind === 'nothing' ? answer.why : undefined

function find(scenario: Sized, topology: Topology, fault: Listed): Answer {
  const { kind } = fault
  switch (kind) {
    case 'store':
      return { kind }
    case 'node':
    case 'agent':
      return findNode(scenario, kind, fault.node)
    case 'link':
      return findLink(topology, fault.between)
    case 'device':
      return findDevice(topology, fault.name)
    case 'tor':
      return findRack(scenario, fault.rack) ?? { kind: 'device', device: fault.rack ?? 0 }
    case 'spine':
      return findSpine(topology, fault.spine)
    case 'partition':
      return findRacks(scenario, fault.racks)
  }
}

function findNode({ nodes }: Sized, kind: 'node' | 'agent', node: Listed['node']): Answer {
  const names = Array.from({ length: nodes }, (_, index) => nodeName(index))
  const index = typeof node === 'number' ? node : names.indexOf(node ?? '')
  if (index >= 0 && index < nodes) return { kind, node: index }
  if (typeof node === 'number') {
    return nothing(`no node ${node}, there are ${nodes}, counted from 0`)
  }
  return nothing(`no node ${node}, ${among(node ?? '', names)}`)
}

function findLink(topology: Topology, pair: Listed['between']): Answer {
  const names = topology.devices.map(({ name }) => name)
  const stranger = pair?.find((name) => !names.includes(name))
  if (stranger !== undefined) return nothing(`no device ${stranger}, ${among(stranger, names)}`)
  const link = pair === undefined ? -1 : linkBetween(topology, pair)
  return link === -1 ? nothing(`no link between ${pair?.join(' and ')}`) : { kind: 'link', link }
}

/** The link between two devices; -1: there is none. */
function linkBetween({ devices, links }: Topology, pair: readonly string[]): number {
  return links.findIndex(({ ends }) => {
    const names = ends.map((end) => devices[end]?.name)
    return pair[0] !== pair[1] && pair.every((name) => names.includes(name))
  })
}

function findDevice({ devices }: Topology, name = ''): Answer {
  const names = devices.map((device) => device.name)
  const device = names.indexOf(name)
  if (device === -1) return nothing(`no device ${name}, ${among(name, names)}`)
  return { kind: 'device', device }
}

function findRack({ racks }: Sized, rack: number | undefined): Answer | undefined {
  if (rack !== undefined && rack < racks) return undefined
  return nothing(`no rack ${rack}, there are ${racks}, counted from 0`)
}

function findSpine(topology: Topology, number = 0): Answer {
  const spines = spinesOf(topology)
  const device = spines[number]
  if (device !== undefined) return { kind: 'device', device }
  if (spines.length === 0)
    return nothing('this fabric has no spines, wanted kind device and a name')
  const names = spines.map((index) => topology.devices[index]?.name ?? '')
  return nothing(`no spine ${number}, there are ${spines.length}: ${names.slice(0, 12).join(', ')}`)
}

function findRacks(scenario: Sized, racks: readonly number[] = []): Answer {
  for (const rack of racks) {
    const stranger = findRack(scenario, rack)
    if (stranger !== undefined) return stranger
  }
  if (new Set(racks).size < racks.length) return nothing('a rack is listed twice')
  if (racks.length === scenario.racks) {
    return nothing(`cuts all ${scenario.racks} racks off from nobody, wanted at least one other`)
  }
  return { kind: 'partition', racks }
}
