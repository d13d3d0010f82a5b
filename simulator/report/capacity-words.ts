/**
 * Limits, sizes and changes in words.
 *
 * @module
 */
import { ADDRESS_BITS, prefixFamily } from '../../src/net/mod.ts'
import { counted } from '../../src/words.ts'
import type { Advice } from '../capacity/advice.ts'
import type { Bound, ModeCapacity } from '../capacity/limit.ts'
import type { Question } from '../capacity/question.ts'
import { NODES_LIMIT, type Shape } from '../capacity/shape.ts'
import { profileNamed } from '../profiles.ts'
import { count, percent, SHORT_ROLES, TABLE_NAMES } from './words.ts'

/** What ends, e.g. `ToR host`, `node learned neighbors`, `addresses`. */
export function boundName({ role, table }: Pick<Bound, 'role' | 'table'>): string {
  if (role === 'pool' || table === 'blocks') return 'addresses'
  if (role === 'network' || table === 'vlan-ids') return 'VLAN ids'
  return `${SHORT_ROLES[role]} ${TABLE_NAMES[table]}`
}

/** `ToR host 16 428 / 16 384`. */
export function boundWords(bound: Bound): string {
  const { entries, capacity, table, of, pressure } = bound
  const isShared = pressure > 1 && entries <= capacity
  const shared = isShared ? ' (IPv4 and IPv6 share it)' : ''
  const kind = table === 'blocks' && of !== undefined ? ` (blocks of ${of})` : ''
  return `${boundName(bound)} ${count(entries)} / ${count(capacity)}${kind}${shared}`
}

export function holdsWord({ holds, unknown, worst }: ModeCapacity): string {
  if (!holds) return 'NO'
  return isKnown({ unknown, worst }) ? 'yes' : 'as far as known'
}

/** ECMP sizes are rarely published, and groups are few; any other unknown table is worth a word. */
const isKnown = ({ unknown }: Pick<ModeCapacity, 'unknown' | 'worst'>): boolean =>
  unknown.every(({ table }) => table === 'ecmp')

/** Where a mode ends: `148`, or `more than 1 000 000`. */
export function upToWords({ upTo, breaks, refusal }: ModeCapacity): readonly [string, string] {
  if (refusal !== undefined) return ['-', '-']
  if (breaks === undefined) return [`${count(NODES_LIMIT)} +`, `${count(upTo.pods)} +`]
  return [count(upTo.nodes), count(upTo.pods)]
}

export function breaksWords({ breaks, refusal }: ModeCapacity): string {
  if (refusal !== undefined) return refusal
  return breaks === undefined ? 'nothing that has a known end' : boundWords(breaks)
}

export function pressureWords({ worst, refusal }: ModeCapacity): string {
  if (refusal !== undefined) return '-'
  return worst === undefined ? 'unknown' : `${percent(worst.pressure)} ${boundName(worst)}`
}

/** What comes after the first limit is out of the way. */
export function nextWords({ next, breaks }: ModeCapacity): string {
  if (next === undefined || breaks === undefined) return '-'
  const { upTo } = next
  if (next.breaks === undefined) return `nothing up to ${counted(upTo.nodes, 'node', count)}`
  return `${boundWords(next.breaks)} after ${counted(upTo.nodes, 'node', count)}`
}

/** What is changed, as an order. */
export function changeWords({ kind, from, to }: Pick<Advice, 'kind' | 'from' | 'to'>): string {
  switch (kind) {
    case 'gcThresh3':
      return `raise gc_thresh3 from ${count(Number(from))} to ${count(Number(to))}`
    case 'announce':
      return `announce ${announced(to)} in place of ${announced(from)}`
    case 'flavour':
    case 'mode':
      return `${to} in place of ${from}`
    case 'blockLength':
      return `blocks of ${to} in place of ${from}`
    case 'pool':
      return `pool ${to} in place of ${from}`
    case 'profile':
      return `forwarding profile ${to} in place of ${from}`
    case 'podsPerNode':
      return `at most ${count(Number(to))} pods a node in place of ${count(Number(from))}`
    case 'families':
      return `${to} in place of ${from}`
  }
}

/** What a label of mode `route` announces. */
function announced(label: string): string {
  const words: Readonly<Record<string, string>> = {
    'route /32': '/32s',
    'route blocks': 'blocks',
    'route racks': 'a summary a rack',
    'route static': 'a part of the pool a rack (pools of racks, agent --rack)',
    'route racks contiguous': 'a summary a rack of blocks placed by rack (agent --rack)',
  }
  return words[label] ?? label
}

/** What a change gives: `ToR host 110 040 -> 40 of 16 384`. */
export function effectWords({ before, after, kind }: Advice): string {
  const name = boundName(before)
  if (after === undefined) return `${name} ${count(before.entries)} -> not used`
  const room = count(after.capacity)
  if (kind === 'profile' || after.entries === before.entries) {
    return `${name} ${count(after.entries)} of ${room}, before of ${count(before.capacity)}`
  }
  return `${name} ${count(before.entries)} -> ${count(after.entries)} of ${room}`
}

/** `holds up to 87 381 nodes, 9 611 910 pods; then addresses`. */
export function reachWords({ capacity }: Pick<Advice, 'capacity'>): string {
  const { upTo, breaks } = capacity
  const pods = counted(upTo.pods, 'pod', count)
  if (breaks === undefined) return `holds beyond ${counted(upTo.nodes, 'node', count)}, ${pods}`
  return `holds up to ${counted(upTo.nodes, 'node', count)}, ${pods}; then ${boundName(breaks)}`
}

/** The question in a few lines, so that an answer can be read alone. */
export function questionWords({ title, shape, growth }: Question): readonly string[] {
  const { nodes, racks, podsPerNode } = shape
  const grow =
    growth.kind === 'racks fixed'
      ? `${counted(racks, 'rack', count)} that get fuller`
      : `racks of ${growth.nodesPerRack}, more with more nodes`
  const pods = `${counted(podsPerNode, 'pod', count)} a node, ${counted(nodes * podsPerNode, 'pod', count)}`
  return [
    `${title}: ${counted(nodes, 'node', count)} in ${counted(racks, 'rack', count)}, ${pods}`,
    `growth ${grow}; fabric ${fabricWords(shape)}; switches ${switchWords(shape)}`,
    `pools ${poolWords(shape)}; ${talkWords(shape)}; gc_thresh3 ${count(shape.kernel.gcThresh3)}`,
  ]
}

function fabricWords({ fabric, spines }: Shape): string {
  const { kind, groups, aggregations, cores, dataCenters } = fabric
  const inside =
    kind === 'leaf-spine'
      ? `${kind}, ${spines} spines`
      : kind === 'three-tier'
        ? `${kind}, ${groups} groups of ${aggregations} aggregation switches, ${cores} cores`
        : kind
  return dataCenters === 1 ? inside : `${dataCenters} data centres, each ${inside}`
}

export function switchWords({ switch: model }: Shape): string {
  const named = 'profile' in model ? profileNamed(model.profile) : undefined
  const sizes = named?.capacities ?? ('profile' in model ? {} : model)
  const words = (['host', 'lpm', 'mac'] as const).map(
    (table) =>
      `${TABLE_NAMES[table]} ${sizes[table] === undefined ? 'unknown' : count(sizes[table])}`,
  )
  return `${named?.name ?? 'of your own'} (${words.join(', ')})`
}

const poolWords = ({ pools }: Shape): string =>
  pools
    .map(({ cidr, blockLength }) => {
      const length = blockLength ?? ADDRESS_BITS[prefixFamily(cidr)] - 6
      return `${cidr} in blocks of /${length}`
    })
    .join(', ')

function talkWords({ talk }: Shape): string {
  if (talk === 'none') return 'no node talks to another'
  return talk === 'all' ? 'every node talks to all others' : `every node talks to ${talk} others`
}

/** Long numbers in a text as reports write them. */
export const grouped = (text: string): string =>
  text.replaceAll(/\d{4,}/g, (digits) => count(Number(digits)))
