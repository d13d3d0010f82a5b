/**
 * What the fields of a scenario must be to each other, each rule with the
 * number that would do.
 *
 * @module
 */

import { parseNetworkSpec } from '../ipam/networks.ts'
import { asTriviumError } from '../src/errors.ts'
import {
  ADDRESS_BITS,
  type IpFamily,
  prefixesOverlap,
  prefixFamily,
  prefixLength,
  prefixSize,
} from '../src/net/mod.ts'
import { checkFabric } from './fabric-plan.ts'
import { bitsFor } from './math.ts'
import { labelOf, networkOf, networkSpecs, networksOf } from './network.ts'
import { PODS_MAX, type RunMode, type Scenario, type ScenarioMode } from './scenario.ts'
import { checkRouting } from './scenario-routing.ts'
import { checkStore } from './scenario-store.ts'
import { shareLength } from './shares.ts'
import { checkFaults } from './timeline/targets.ts'
import { checkSteps } from './timeline/workload-check.ts'
import { RACK_NODES_MAX, UNDERLAY_PREFIXES } from './underlay.ts'

/** What is wrong and where. `key`: the name itself is wrong, not its value. */
export interface Complaint {
  readonly path: readonly string[]
  readonly message: string
  readonly key?: string
}

/** The first rule that a scenario breaks. */
export function checkScenario(scenario: Scenario): Complaint | undefined {
  const first = sizes(scenario) ?? modes(scenario) ?? pools(scenario)
  return (
    first ??
    allows(scenario) ??
    checkFabric(scenario) ??
    checkStore(scenario) ??
    checkRouting(scenario) ??
    checkFaults(scenario) ??
    checkSteps(scenario)
  )
}

function sizes({ nodes, podsPerNode, racks }: Scenario): Complaint | undefined {
  const pods = nodes * podsPerNode
  if (pods > PODS_MAX) {
    return {
      path: ['podsPerNode'],
      message: `${nodes} nodes x ${podsPerNode} pods are ${pods}, wanted at most ${PODS_MAX}`,
    }
  }
  if (racks > nodes) {
    return { path: ['racks'], message: `found ${racks}, wanted at most one a node (${nodes})` }
  }
  const fullest = Math.ceil(nodes / racks)
  if (fullest > RACK_NODES_MAX) {
    const least = Math.ceil(nodes / RACK_NODES_MAX)
    return {
      path: ['racks'],
      message: `a rack would have ${fullest} nodes, wanted at most ${RACK_NODES_MAX}: at least ${least} racks`,
    }
  }
  return undefined
}

function modes(scenario: Scenario): Complaint | undefined {
  const seen = new Set<string>()
  for (const [index, mode] of scenario.modes.entries()) {
    const path = ['modes', String(index)]
    const wrong = mode.mode === 'mixed' ? mixed(scenario, mode) : misused(scenario, mode)
    if (wrong !== undefined) return { path, message: wrong }
    const label = labelOf(mode)
    if (seen.has(label)) return { path, message: `mode ${label} is listed twice` }
    seen.add(label)
  }
  return undefined
}

/** What is wrong with networks that differ in their roads. */
function mixed(
  scenario: Scenario,
  { networks }: Extract<RunMode, { readonly mode: 'mixed' }>,
): string | undefined {
  const names = networksOf(scenario)
  const stranger = Object.keys(networks).find((name) => !names.includes(name))
  if (stranger !== undefined) return `no network ${stranger}, there is ${names.join(', ')}`
  const missing = names.find((name) => networks[name] === undefined)
  if (missing !== undefined) return `network ${missing} has no road, wanted one a network`
  const roads = Object.values(networks)
  if (roads.some(({ crossSubnet }) => crossSubnet) && roads.some(({ mode }) => mode !== 'vxlan')) {
    return 'crossSubnet beside route or vlan: every node is a neighbour there, wanted tunnels to all'
  }
  for (const road of roads) {
    const wrong = misused(scenario, road)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** An option of another mode. */
function misused(scenario: Scenario, road: ScenarioMode): string | undefined {
  const { mode, announce, placement = 'lowest', flavour, crossSubnet } = road
  const { attachment, vlanId } = road
  if (mode !== 'vlan' && (attachment ?? vlanId) !== undefined) {
    const option = attachment === undefined ? `vlanId: ${vlanId}` : `attachment: ${attachment}`
    return `${option} belongs to mode vlan, not ${mode}`
  }
  if (vlanId === 0 && attachment !== 'macvlan') {
    return 'vlanId: 0 is untagged: wanted attachment: macvlan, or 1 to 4000'
  }
  if (announce !== 'block' && mode !== 'route') {
    return `announce: ${announce} belongs to mode route, not ${mode}`
  }
  if (placement !== 'lowest' && mode !== 'route') {
    return `placement: ${placement} belongs to mode route, not ${mode}`
  }
  const narrow = announce === 'static' ? narrowShare(scenario) : undefined
  if (narrow !== undefined) return narrow
  const option = flavour === 'classic' ? 'crossSubnet' : `flavour: ${flavour}`
  if (mode !== 'vxlan' && (flavour !== 'classic' || crossSubnet)) {
    return `${option} belongs to mode vxlan, not ${mode}`
  }
  return undefined
}

/** A part of a pool that is no larger than a block is no summary. */
function narrowShare({ pools, racks }: Scenario): string | undefined {
  const narrow = pools.find((pool) => shareLength(pool.cidr, racks) >= blockLengthOf(pool))
  if (narrow === undefined) return undefined
  const parts = shareLength(narrow.cidr, racks)
  const wanted = `a pool of at least a /${blockLengthOf(narrow) - bitsFor(racks) - 1} or smaller blocks`
  return `announce: static cuts ${narrow.cidr} into parts of /${parts} for ${racks} racks, blocks are /${blockLengthOf(narrow)}: wanted ${wanted}`
}

function allows({ allow, pools }: Scenario): Complaint | undefined {
  const networks = networksOf({ pools })
  for (const [index, opening] of allow.entries()) {
    for (const side of ['from', 'to'] as const) {
      if (networks.includes(opening[side])) continue
      const message = `no network ${opening[side]}, there is ${networks.join(', ')}`
      return { path: ['allow', String(index), side], message }
    }
    const { from, to } = opening
    const first = allow.findIndex((each) => each.from === from && each.to === to)
    if (first !== index) {
      const message = `${from} to ${to} is listed twice, wanted its ports in one list`
      return { path: ['allow', String(index)], message }
    }
    if (opening.from === opening.to) {
      const path = ['allow', String(index)]
      return { path, message: `${opening.from} reaches itself already, wanted two networks` }
    }
  }
  return undefined
}

function pools(scenario: Scenario): Complaint | undefined {
  for (const [index, { cidr }] of scenario.pools.entries()) {
    const underlay = UNDERLAY_PREFIXES.find((prefix) => prefixesOverlap(prefix, cidr))
    if (underlay === undefined) continue
    const path = ['pools', String(index), 'cidr']
    return { path, message: `${cidr} overlaps ${underlay}, which the simulated nodes use` }
  }
  for (const mode of scenario.modes) {
    try {
      for (const spec of networkSpecs(scenario, mode)) parseNetworkSpec(spec, 0)
    } catch (thrown) {
      return { path: ['pools'], message: asTriviumError(thrown).message }
    }
  }
  return (
    overlap(scenario) ??
    firstOf(
      networksOf(scenario),
      (network) => room(scenario, network, 4) ?? room(scenario, network, 6),
    )
  )
}

function firstOf(
  networks: readonly string[],
  check: (network: string) => Complaint | undefined,
): Complaint | undefined {
  for (const network of networks) {
    const complaint = check(network)
    if (complaint !== undefined) return complaint
  }
  return undefined
}

/** Of different networks; a network's own are the allocator's to judge. */
function overlap({ pools }: Scenario): Complaint | undefined {
  for (const [index, { cidr }] of pools.entries()) {
    const other = pools.slice(0, index).find((each) => prefixesOverlap(each.cidr, cidr))
    if (other === undefined) continue
    const path = ['pools', String(index), 'cidr']
    return { path, message: `${cidr} overlaps ${other.cidr}, wanted separate pools` }
  }
  return undefined
}

/** Whether the first pods have room. */
function room(scenario: Scenario, network: string, family: IpFamily): Complaint | undefined {
  const { nodes } = scenario
  // The fullest node: pods go round the networks.
  const podsPerNode = Math.ceil(scenario.podsPerNode / networksOf(scenario).length)
  const each = Array.from({ length: nodes }, () => podsPerNode)
  const who = `${nodes} nodes with ${podsPerNode} pods need`
  return roomFor(scenario, network, family, each, who)
}

/**
 * Whether a network's pools are large enough. Each node fills its first block less
 * the tunnel endpoint's address, then whole blocks, and keeps one spare. Two more
 * addresses are the pool's own.
 *
 * @param pods Of each node.
 * @param who For the message: who needs the blocks, and the verb.
 */
export function roomFor(
  scenario: Scenario,
  network: string,
  family: IpFamily,
  pods: readonly number[],
  who: string,
): Complaint | undefined {
  const all = scenario.pools.map((pool, index) => ({ ...pool, index }))
  const own = all.filter(
    (pool) => networkOf(pool) === network && prefixFamily(pool.cidr) === family,
  )
  const [first] = own
  if (first === undefined) return undefined
  const blockLength = blockLengthOf(first)
  const blockSize = 2 ** (ADDRESS_BITS[family] - blockLength)
  // The pool's first and last addresses may cost two nodes one more block.
  const isTight = blockSize <= 2 || pods.some((count) => (count + 1) % blockSize === 0)
  const blocks = pods.reduce((sum, count) => sum + Math.ceil((count + 1) / blockSize), 0)
  const wanted = blocks + (isTight ? 2 : 0)
  const found = own.reduce(
    (sum, pool) =>
      sum + Number(prefixSize(pool.cidr)) / 2 ** (ADDRESS_BITS[family] - blockLengthOf(pool)),
    0,
  )
  if (found >= wanted) return undefined
  const bits = bitsFor(wanted * blockSize)
  const spare = bitsFor((wanted + pods.length) * blockSize)
  return {
    path: ['pools', String(first.index), 'cidr'],
    message:
      `${first.cidr} has ${found} blocks of /${blockLength}, ${who} ` +
      `${wanted}: at least a /${ADDRESS_BITS[family] - bits}, a /${ADDRESS_BITS[family] - spare} with a spare block a node`,
  }
}

const DEFAULT_BLOCK_LENGTH = { 4: 26, 6: 122 } as const

function blockLengthOf({ cidr, blockLength }: Scenario['pools'][number]): number {
  const fallback = DEFAULT_BLOCK_LENGTH[prefixFamily(cidr)]
  return blockLength ?? Math.max(fallback, prefixLength(cidr))
}
