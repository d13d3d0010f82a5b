/**
 * Every single change to a cluster that might let it go further.
 *
 * @module
 */
import {
  type IpFamily,
  networkAddress,
  prefixFamily,
  prefixLength,
  prefixOf,
} from '../../src/net/mod.ts'
import { bitsFor } from '../math.ts'
import { labelOf, networksOf } from '../network.ts'
import { profileNamed, SWITCH_PROFILES, type SwitchProfile } from '../profiles.ts'
import type { ScenarioMode } from '../scenario.ts'
import { demander, demandOf } from './demand.ts'
import { type Bound, boundsOf, type ModeCapacity } from './limit.ts'
import { CAPACITY_MODES } from './modes.ts'
import type { Shape } from './shape.ts'

/** In the order of what it costs to change, cheapest first. */
export const CHANGE_KINDS = [
  'gcThresh3',
  'announce',
  'flavour',
  'blockLength',
  'pool',
  'profile',
  'mode',
  'podsPerNode',
  'families',
] as const
export type ChangeKind = (typeof CHANGE_KINDS)[number]

/** One change, from what and to what in the words of the option, and the cluster then. */
export interface Change {
  readonly kind: ChangeKind
  readonly from: string
  readonly to: string
  readonly shape: Shape
  readonly mode: ScenarioMode
}

/** @param breaks What the changes are to mend. */
export function changesOf(shape: Shape, base: ModeCapacity, breaks: Bound): readonly Change[] {
  const { mode } = base
  const onSwitch = breaks.role !== 'node' && breaks.role !== 'pool' && breaks.role !== 'network'
  const ofBlocks = ['lpm', 'lpm6', 'blocks'].includes(breaks.table)
  return [
    ...(breaks.table === 'learned' ? [learnMore(shape, mode, breaks)] : []),
    ...otherModes(shape, mode),
    ...(ofBlocks ? [...otherBlocks(shape, mode, 4), ...otherBlocks(shape, mode, 6)] : []),
    ...(breaks.role === 'pool' ? largerPools(shape, mode, base) : []),
    ...(onSwitch ? otherProfiles(shape, mode) : []),
    ...(base.holds ? [] : fewerPods(shape, mode)),
    ...oneFamily(shape, mode),
  ]
}

/** Room for twice of what is asked for, as a power of two. */
function learnMore(shape: Shape, mode: ScenarioMode, { entries }: Bound): Change {
  const asked = demandOf(shape, mode).tables.find(({ table }) => table === 'learned')
  const gcThresh3 = 2 ** bitsFor(2 * Math.max(entries, asked?.entries ?? 0))
  return {
    kind: 'gcThresh3',
    from: String(shape.kernel.gcThresh3),
    to: String(gcThresh3),
    shape: { ...shape, kernel: { ...shape.kernel, gcThresh3 } },
    mode,
  }
}

function otherModes(shape: Shape, mode: ScenarioMode): readonly Change[] {
  const { masquerade } = mode
  return CAPACITY_MODES.flatMap((other): readonly Change[] => {
    const [from, to] = [labelOf({ ...mode, masquerade: true }), labelOf(other)]
    if (from === to) return []
    const kind = other.mode !== mode.mode ? 'mode' : other.mode === 'route' ? 'announce' : 'flavour'
    return [{ kind, from, to, shape, mode: { ...other, masquerade } }]
  })
}

/** The shortest and the longest block that the allocator takes. */
const BLOCK_LENGTHS = { 4: [16, 30], 6: [112, 126] } as const
const DEFAULT_BLOCK_LENGTH = { 4: 26, 6: 122 } as const

function otherBlocks(shape: Shape, mode: ScenarioMode, family: IpFamily): readonly Change[] {
  const own = shape.pools.filter(({ cidr }) => prefixFamily(cidr) === family)
  const [first] = own
  if (first === undefined) return []
  const [low, high] = BLOCK_LENGTHS[family]
  const shortest = Math.max(low, ...own.map(({ cidr }) => prefixLength(cidr)))
  const from = first.blockLength ?? Math.max(DEFAULT_BLOCK_LENGTH[family], shortest)
  const lengths = Array.from({ length: high - shortest + 1 }, (_, index) => shortest + index)
  return lengths
    .filter((length) => length !== from)
    .map((blockLength) => ({
      kind: 'blockLength',
      from: `/${from}`,
      to: `/${blockLength}`,
      shape: {
        ...shape,
        pools: shape.pools.map((pool) => (own.includes(pool) ? { ...pool, blockLength } : pool)),
      },
      mode,
    }))
}

/** A single pool of its family as wide as the asked size needs, or twice as wide. */
function largerPools(shape: Shape, mode: ScenarioMode, base: ModeCapacity): readonly Change[] {
  return base.demand.blocks.flatMap(({ pools, wanted, available }): readonly Change[] => {
    const [pool] = pools
    if (pool === undefined || pools.length > 1) return []
    const more = Math.max(1, bitsFor(wanted / available))
    const length = prefixLength(pool.cidr) - more
    // A block keeps its length: it may not be longer than the allocator takes.
    if (length < (prefixFamily(pool.cidr) === 4 ? 8 : 32)) return []
    const cidr = prefixOf(networkAddress(pool.cidr), length)
    const widened = shape.pools.map((each) =>
      each.cidr === pool.cidr ? { ...each, cidr, blockLength: pool.blockLength } : each,
    )
    return [{ kind: 'pool', from: pool.cidr, to: cidr, shape: { ...shape, pools: widened }, mode }]
  })
}

/** Other forwarding profiles of the same chip: what is before the colon of its name. */
function otherProfiles(shape: Shape, mode: ScenarioMode): readonly Change[] {
  const { switch: model } = shape
  const own = 'profile' in model ? profileNamed(model.profile) : undefined
  if (own === undefined) return []
  const chip = ({ asic }: SwitchProfile): string => asic.split(':', 1)[0] ?? asic
  return SWITCH_PROFILES.filter(
    (other) => other.name !== own.name && chip(other) === chip(own),
  ).map(({ name }) => ({
    kind: 'profile',
    from: own.name,
    to: name,
    shape: { ...shape, switch: { ...model, profile: name } },
    mode,
  }))
}

/** As many pods a node as the asked size holds. */
function fewerPods(shape: Shape, mode: ScenarioMode): readonly Change[] {
  const at = (podsPerNode: number): Shape => ({ ...shape, podsPerNode })
  const holds = (pods: number): boolean =>
    boundsOf(demander(at(pods), mode)(shape), mode).every(({ pressure }) => pressure <= 1)
  let [good, bad] = [0, shape.podsPerNode]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (holds(middle)) good = middle
    else bad = middle
  }
  if (good === 0) return []
  const [from, to] = [String(shape.podsPerNode), String(good)]
  return [{ kind: 'podsPerNode', from, to, shape: at(good), mode }]
}

/** Networks of both families with one of them. */
function oneFamily(shape: Shape, mode: ScenarioMode): readonly Change[] {
  return ([4, 6] as const).flatMap((family): readonly Change[] => {
    const pools = shape.pools.filter(({ cidr }) => prefixFamily(cidr) === family)
    const isWhole = networksOf({ pools }).length === networksOf(shape).length
    if (!isWhole || pools.length === shape.pools.length) return []
    const to = `IPv${family} alone`
    return [{ kind: 'families', from: 'both families', to, shape: { ...shape, pools }, mode }]
  })
}
