/**
 * Which scenarios the scaled engine answers, and which word of any other it does not know.
 *
 * @module
 */
import { isTriviumError, TriviumError } from '../../src/errors.ts'
import { type Prefix, prefixFamily, prefixLength } from '../../src/net/mod.ts'
import type { RunMode, Scenario, ScenarioMode } from '../scenario.ts'
import { type BgpShape, refuseUnknown } from './bgp/plan.ts'

/** Racks that the underlay has /24s for, and nodes of one. */
const RACKS_MAX = 16_384
const RACK_NODES_MAX = 250
const BLOCK_LENGTH = 26
const BLOCK_LENGTH_MAX = 29
/** Each is two ends with their timers. */
const MESH_NODES_MAX = 1000

/** What is left of a scenario that is accepted. */
export interface Plan {
  readonly mode: 'vxlan' | 'route' | 'vlan'
  readonly scenario: Scenario
  readonly pool: Prefix
  readonly blockLength: number
  readonly network: string
  readonly vlanId: number
  /** A tunnel in the route, without neighbours. */
  readonly isLightweight: boolean
  /** No tunnel inside a rack. */
  readonly isDirect: boolean
  readonly masquerades: boolean
  /** What switches hear of nodes. */
  readonly announces: 'nothing' | 'blocks' | 'hosts' | 'macs'
  /** Blocks of the part of the pool that each rack has; undefined: the pool is everybody's. */
  readonly share: number | undefined
  /** Who speaks BGP; undefined: announcements go by timers. */
  readonly bgp: BgpShape | undefined
}

/**
 * @throws {TriviumError} BAD_CONFIG: names the first word that the engine does not know.
 */
export function acceptPlan(scenario: Scenario, mode: RunMode): Plan {
  for (const [word, found, wanted] of words(scenario)) {
    if (found !== wanted) throw refusal(word, found, wanted)
  }
  if (mode.mode === 'mixed') throw refusal('mode', 'mixed', 'vxlan, route or vlan')
  for (const [word, found, wanted] of modeWords(mode)) {
    if (found !== wanted) throw refusal(word, found, wanted)
  }
  if (mode.vlanId === 0) throw refusal('vlanId', 0, 'a tag')
  if (mode.announce === 'rack') throw refusal('announce', 'rack', 'block, host or static')
  const isLightweight = mode.flavour === 'lightweight'
  const pool = poolOf(scenario)
  if (isLightweight && mode.crossSubnet) throw refusal('crossSubnet', true, false)
  return {
    mode: mode.mode,
    scenario,
    vlanId: mode.vlanId ?? 100,
    isLightweight,
    isDirect: mode.crossSubnet,
    masquerades: mode.masquerade,
    announces: announcedIn(mode),
    ...pool,
    share: mode.announce === 'static' ? shareOf(scenario, pool) : undefined,
    bgp: bgpOf(scenario, mode),
  }
}

/** Nobody speaks where switches do not route; inside of one AS nobody where nodes tell nothing. */
function bgpOf(scenario: Scenario, mode: ScenarioMode): BgpShape | undefined {
  const { routing: words, fabric, nodes, racks, spines } = scenario
  if (words.protocol !== 'bgp' || mode.mode === 'vlan') return undefined
  if (mode.mode === 'vxlan' && words.sessions !== 'fabric') return undefined
  refuseUnknown(words)
  if (words.sessions === 'mesh' && nodes > MESH_NODES_MAX) {
    throw refusal('routing.sessions', `a mesh of ${nodes} nodes`, `at most ${MESH_NODES_MAX}`)
  }
  if (fabric.lossPercent > 0) throw refusal('fabric.lossPercent', fabric.lossPercent, 0)
  if (fabric.linkGbps !== undefined) throw refusal('fabric.linkGbps', fabric.linkGbps, undefined)
  const hasHosts = mode.announce === 'host'
  return { nodes, racks, spines, words, hasHosts, linkTicks: fabric.linkUs }
}

function announcedIn({ mode, announce }: ScenarioMode): Plan['announces'] {
  if (mode === 'vlan') return 'macs'
  if (mode === 'vxlan') return 'nothing'
  return announce === 'host' ? 'hosts' : 'blocks'
}

/** Why the engine does not take it; undefined: it does. */
export function refusalOf(scenario: Scenario, mode: RunMode): TriviumError | undefined {
  try {
    acceptPlan(scenario, mode)
    return undefined
  } catch (thrown) {
    if (isTriviumError(thrown)) return thrown
    throw thrown
  }
}

type Word = readonly [word: string, found: unknown, wanted: unknown]

function words(scenario: Scenario): readonly Word[] {
  const { pools, fabric, store, allow, workload, faults, swarm } = scenario
  return [
    ['workload', workload.length, 0],
    ['faults', faults.length, 0],
    ['swarm', swarm, undefined],
    ['pools', pools.length, 1],
    ['allow', allow.length, 0],
    ['fabric.kind', fabric.kind, 'leaf-spine'],
    ['fabric.dataCenters', fabric.dataCenters, 1],
    ['store.rack', store.rack, undefined],
    ['store.dataCenter', store.dataCenter, undefined],
    ['store.latencyMs', store.latencyMs, 0],
    ['store.mbps', store.mbps, undefined],
    ['store.lossPercent', store.lossPercent, 0],
  ]
}

const modeWords = (mode: ScenarioMode): readonly Word[] => [
  ['placement', mode.placement ?? 'lowest', 'lowest'],
  ['attachment', mode.attachment ?? 'bridge', 'bridge'],
]

function poolOf({ pools, nodes, racks }: Scenario): Pick<Plan, 'pool' | 'blockLength' | 'network'> {
  const [first] = pools
  if (first === undefined) throw refusal('pools', 'none', 1)
  const { cidr: pool, blockLength = BLOCK_LENGTH, network = 'pods' } = first
  if (prefixFamily(pool) !== 4) throw refusal('pools.cidr', pool, 'an IPv4 prefix')
  if (blockLength > BLOCK_LENGTH_MAX) {
    throw refusal('pools.blockLength', blockLength, `at most ${BLOCK_LENGTH_MAX}`)
  }
  const blocks = 2 ** (blockLength - prefixLength(pool))
  if (blocks < nodes) throw refusal('pools', `${blocks} blocks`, `one for each of ${nodes} nodes`)
  const most = Math.ceil(nodes / racks)
  if (most > RACK_NODES_MAX) throw refusal('racks', `${most} nodes a rack`, RACK_NODES_MAX)
  if (racks > RACKS_MAX) throw refusal('racks', racks, `at most ${RACKS_MAX}`)
  return { pool, blockLength, network }
}

/** Of a pool that is cut into the next power of two of the racks; each must have room for all of its own. */
function shareOf(
  scenario: Scenario,
  { pool, blockLength }: Pick<Plan, 'pool' | 'blockLength'>,
): number {
  const { nodes, racks, podsPerNode } = scenario
  let parts = 1
  while (parts < racks) parts *= 2
  const share = 2 ** (blockLength - prefixLength(pool)) / parts
  const size = 2 ** (32 - blockLength)
  // What pods fill, where each block lacks two addresses at most, and a spare one.
  const owned = 1 + Math.ceil(podsPerNode / (size - 2))
  const needed = Math.ceil(nodes / racks) * owned
  if (share < needed) throw refusal('announce: static', `${share} blocks a rack`, needed)
  return share
}

const refusal = (word: string, found: unknown, wanted: unknown): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot run ${word} in the scaled engine: found ${String(found)}, wanted ${wanted === undefined ? 'none' : String(wanted)}`,
    'The exact engine runs it, use: --engine exact',
  )
