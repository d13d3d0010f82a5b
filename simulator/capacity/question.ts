/**
 * What somebody asks on the command line, checked: a scenario's shape or the
 * defaults, with what the flags say in its place.
 *
 * @module
 */
import { parseNetworkSpec } from '../../ipam/networks.ts'
import { asTriviumError, invariant, TriviumError } from '../../src/errors.ts'
import {
  ADDRESS_BITS,
  type IpFamily,
  type Prefix,
  prefixesOverlap,
  prefixFamily,
  tryParsePrefix,
} from '../../src/net/mod.ts'
import { labelOf, networkSpecs } from '../network.ts'
import { profileNamed, SWITCH_PROFILES } from '../profiles.ts'
import { parseScenario, type RunMode, type Scenario, type ScenarioMode } from '../scenario.ts'
import { nearest } from '../suggest.ts'
import { CAPACITY_MODES, isCounted, modeNames, modeOfName } from './modes.ts'
import { type Growth, leastRacks, NODES_LIMIT, type Shape } from './shape.ts'

/** A checked question. */
export interface Question {
  /** What it is called in reports. */
  readonly title: string
  readonly shape: Shape
  readonly growth: Growth
  readonly modes: readonly ScenarioMode[]
  /** Whose times and routing a run has. */
  readonly base: Scenario
}

/** Flags as given; numbers are whole and in the range of their flag. */
export interface QuestionFlags {
  readonly nodes?: number
  readonly racks?: number
  readonly nodesPerRack?: number
  readonly pods?: number
  readonly profile?: string
  readonly host?: number
  readonly lpm?: number
  readonly mac?: number
  readonly pool?: readonly string[]
  readonly blockLength?: number
  readonly families?: '4' | '6' | '46'
  readonly fabric?: 'leaf-spine' | 'three-tier'
  readonly spines?: number
  readonly groups?: number
  readonly aggregations?: number
  readonly cores?: number
  readonly dataCenters?: number
  readonly talk?: 'none' | 'all' | number
  readonly gcThresh3?: number
  readonly mode?: readonly string[]
}

/** Without a scenario: what many data centres have. Every flag has the last word. */
export const QUESTION_DEFAULTS = {
  nodes: 1000,
  nodesPerRack: 40,
  /** Source: Kubernetes, "Considerations for large clusters". */
  pods: 110,
  profile: 'trident3-default',
  pools: { 4: '10.0.0.0/8', 6: 'fd42::/64' },
  spines: 4,
} as const

/** @throws {TriviumError} USAGE: the flag, what was found, what was wanted. */
export function questionOf(flags: QuestionFlags, scenario?: Scenario): Question {
  const base = scenario ?? plainScenario()
  const pools = poolsOf(flags, base, scenario !== undefined)
  const sizes = sizesOf(flags, base, scenario !== undefined)
  const { fabric, kernel } = base
  const shape: Shape = {
    ...sizes.size,
    podsPerNode: flags.pods ?? base.podsPerNode,
    spines: flags.spines ?? base.spines,
    pools,
    switch: switchOf(flags, base),
    fabric: {
      ...fabric,
      kind: kindOf(flags, base),
      groups: flags.groups ?? fabric.groups,
      aggregations: flags.aggregations ?? fabric.aggregations,
      cores: flags.cores ?? fabric.cores,
      dataCenters: flags.dataCenters ?? fabric.dataCenters,
    },
    talk: flags.talk ?? base.talk,
    kernel: { ...kernel, gcThresh3: flags.gcThresh3 ?? kernel.gcThresh3 },
  }
  checkRacks(shape)
  const modes = modesOf(flags, scenario)
  checkPools(shape, modes)
  return { title: base.name, shape, growth: sizes.growth, modes, base }
}

function plainScenario(): Scenario {
  const { nodes, pods, profile, pools, spines, nodesPerRack } = QUESTION_DEFAULTS
  const racks = Math.ceil(nodes / nodesPerRack)
  const text = [
    'name: a cluster',
    `nodes: ${nodes}`,
    `podsPerNode: ${pods}`,
    `racks: ${racks}`,
    `spines: ${spines}`,
    `pools: [{ cidr: ${pools[4]} }]`,
    'modes: [vxlan]',
    `switch: { profile: ${profile} }`,
    'talk: all',
  ].join('\n')
  return parseScenario(text, 'defaults')
}

/** Nodes and racks, and which of the two grows. */
function sizesOf(
  { nodes, racks, nodesPerRack }: QuestionFlags,
  base: Scenario,
  isScenario: boolean,
): { readonly size: Pick<Shape, 'nodes' | 'racks'>; readonly growth: Growth } {
  if (base.fabric.kind === 'listed') {
    const flag = racks === undefined ? '--nodes-per-rack' : '--racks'
    if (racks !== undefined || nodesPerRack !== undefined) {
      throw usage(flag, 'a listed fabric', 'none: its racks are those of the scenario')
    }
    return {
      size: { nodes: nodes ?? base.nodes, racks: base.racks },
      growth: { kind: 'racks fixed' },
    }
  }
  if (racks !== undefined) {
    // Given both, racks are full; given one, racks stay as many.
    const all = nodes ?? (nodesPerRack === undefined ? base.nodes : racks * nodesPerRack)
    if (all > NODES_LIMIT) throw usage('--racks', `${all} nodes`, `at most ${NODES_LIMIT}`)
    if (racks > all) throw usage('--racks', racks, `at most one a node (${all})`)
    return nodesPerRack === undefined
      ? { size: { nodes: all, racks }, growth: { kind: 'racks fixed' } }
      : { size: { nodes: all, racks }, growth: { kind: 'racks grow', nodesPerRack } }
  }
  const given = isScenario ? Math.ceil(base.nodes / base.racks) : QUESTION_DEFAULTS.nodesPerRack
  const perRack = nodesPerRack ?? given
  const all = nodes ?? base.nodes
  const isAsGiven = isScenario && nodes === undefined && nodesPerRack === undefined
  const grown = isAsGiven ? base.racks : Math.ceil(all / perRack)
  return {
    size: { nodes: all, racks: grown },
    growth: { kind: 'racks grow', nodesPerRack: perRack },
  }
}

function kindOf({ fabric }: QuestionFlags, base: Scenario): Scenario['fabric']['kind'] {
  if (fabric !== undefined && base.fabric.kind === 'listed') {
    throw usage('--fabric', fabric, 'none: the scenario lists its devices')
  }
  return fabric ?? base.fabric.kind
}

/** Every group of racks has one. */
function checkRacks({ nodes, racks, fabric }: Shape): void {
  const least = leastRacks({ fabric, racks })
  if (fabric.kind === 'listed' || racks >= least) return
  const flag = fabric.kind === 'three-tier' ? '--groups' : '--data-centers'
  throw usage(flag, `${least} groups of racks`, `at most one a rack (${racks}, of ${nodes} nodes)`)
}

function switchOf({ profile, host, lpm, mac }: QuestionFlags, base: Scenario): Shape['switch'] {
  const own = { host, lpm, mac }
  const missing = Object.entries(own).filter(([, size]) => size === undefined)
  if (missing.length < 3) {
    if (profile !== undefined) {
      throw usage('--profile', profile, 'either --profile or --host, --lpm and --mac')
    }
    if (host === undefined || lpm === undefined || mac === undefined) {
      const names = missing.map(([name]) => `--${name}`).join(' and ')
      throw usage(names, 'nothing', 'all of --host, --lpm and --mac, or --profile')
    }
    return { host, lpm, mac, lpm6: lpm }
  }
  if (profile === undefined) return base.switch
  if (profileNamed(profile) !== undefined) return { ...onlyBehaviour(base.switch), profile }
  const names = SWITCH_PROFILES.map(({ name }) => name)
  throw unknownName('--profile', profile, names)
}

const onlyBehaviour = ({ overflow, routesPerSecond }: Scenario['switch']) => ({
  ...(overflow === undefined ? {} : { overflow }),
  ...(routesPerSecond === undefined ? {} : { routesPerSecond }),
})

function poolsOf(
  { pool, families, blockLength }: QuestionFlags,
  base: Scenario,
  isScenario: boolean,
): Shape['pools'] {
  const given = pool === undefined ? undefined : pool.map((text) => ({ cidr: prefixOfFlag(text) }))
  const wanted: readonly IpFamily[] =
    families === undefined ? [] : families === '46' ? [4, 6] : families === '4' ? [4] : [6]
  const all: Shape['pools'] = given ?? base.pools
  const kept = wanted.length === 0 ? all : all.filter(({ cidr }) => wanted.includes(familyOf(cidr)))
  const added = wanted
    .filter((family) => !kept.some(({ cidr }) => familyOf(cidr) === family))
    .map((family) => ({ cidr: prefixOfFlag(QUESTION_DEFAULTS.pools[family]) }))
  if (isScenario && added.length > 0 && kept.length === 0) {
    throw usage('--families', families ?? '', 'a family that the scenario has a pool of, or --pool')
  }
  const pools = [...kept, ...added]
  if (blockLength === undefined) return pools
  // As many addresses a block in both families.
  const hostBits = ADDRESS_BITS[4] - blockLength
  return pools.map((each) => ({
    ...each,
    blockLength: ADDRESS_BITS[familyOf(each.cidr)] - hostBits,
  }))
}

const familyOf = (prefix: Prefix): IpFamily => prefixFamily(prefix)

function prefixOfFlag(text: string): Prefix {
  const prefix = tryParsePrefix(text)
  if (prefix !== undefined) return prefix
  throw usage('--pool', `"${text}"`, 'a CIDR like 10.0.0.0/8 without host bits')
}

/** What the allocator would say of the pools. */
function checkPools({ pools }: Pick<Shape, 'pools'>, modes: readonly ScenarioMode[]): void {
  const [mode] = modes
  invariant(mode !== undefined, 'a question has a mode')
  for (const [index, { cidr }] of pools.entries()) {
    const other = pools.slice(0, index).find((each) => prefixesOverlap(each.cidr, cidr))
    if (other !== undefined) throw usage('--pool', cidr, `no overlap with ${other.cidr}`)
  }
  try {
    for (const spec of networkSpecs({ pools }, mode)) parseNetworkSpec(spec, 0)
  } catch (thrown) {
    throw new TriviumError('USAGE', asTriviumError(thrown).message, '', thrown)
  }
}

function modesOf(
  { mode = [] }: QuestionFlags,
  scenario: Scenario | undefined,
): readonly ScenarioMode[] {
  if (mode.length === 0 && scenario === undefined) return CAPACITY_MODES
  if (mode.length === 0) return countable(scenario?.modes ?? [])
  return [...new Set(mode)].map((name) => {
    const known = modeOfName(name)
    if (known !== undefined) return known
    throw unknownName('--mode', name, modeNames())
  })
}

/** What this counts. A scenario may run others, of which nothing is said rather than something wrong. */
function countable(modes: readonly RunMode[]): readonly ScenarioMode[] {
  const known = modes.filter(isCounted)
  if (known.length > 0) return known
  throw usage('FILE', modes.map(labelOf).join(', '), 'a mode of vxlan, route or vlan')
}

function unknownName(flag: string, name: string, names: readonly string[]): TriviumError {
  const like = nearest(name, names)
  const hint = like === undefined ? '' : ` (did you mean ${like}?)`
  return usage(flag, `"${name}"${hint}`, `one of ${names.join(', ')}`)
}

const usage = (flag: string, found: string | number, wanted: string): TriviumError =>
  new TriviumError('USAGE', `Cannot use ${flag}: found ${found}, wanted ${wanted}`)
