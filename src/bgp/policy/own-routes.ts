/**
 * The export policy of a node: its blocks as they are, its rack's summary in place of
 * the blocks inside of it, floating addresses singly, and nothing that others taught.
 *
 * @example
 * ownRoutes('to-rack', {
 *   blocks: [{ prefix: '10.42.0.0/16' as Prefix, ge: 26, le: 26 }],
 *   floating: [{ prefix: '10.42.200.0/24' as Prefix, ge: 32, le: 32 }],
 *   set: { addCommunities: [community(64512, 7)] },
 * })
 *
 * @module
 */
import { type Prefix, prefixFamily, prefixLength } from '../../net/mod.ts'
import { FAMILY_BITS } from '../rib/prefix-table.ts'
import type { Changes, Condition, Policy, PrefixRange } from './policy.ts'

export interface OwnRoutes {
  /** Where this node's blocks lie, and how long they are. */
  readonly blocks: readonly PrefixRange[]
  /** Prefixes that are announced in place of everything of ours inside of them. */
  readonly summaries?: readonly Prefix[]
  /** Addresses that are announced one by one, also inside of a summary. */
  readonly floating?: readonly PrefixRange[]
  /** Said with each of them. */
  readonly set?: Changes
}

export function ownRoutes(
  name: string,
  { blocks, summaries = [], floating = [], set = {} }: OwnRoutes,
): Policy {
  const own = (prefixes: readonly PrefixRange[]): Condition => ({ sources: ['own'], prefixes })
  const inside = summaries.flatMap((prefix): PrefixRange[] => {
    const le = FAMILY_BITS[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
    const ge = prefixLength(prefix) + 1
    return ge > le ? [] : [{ prefix, ge, le }]
  })
  return {
    name,
    rules: [
      { name: 'floating addresses', when: own(floating), set },
      { name: 'inside a summary', when: own(inside), action: 'reject' },
      { name: 'summaries', when: own(summaries.map((prefix) => ({ prefix }))), set },
      { name: 'blocks', when: own(blocks), set },
    ],
    otherwise: 'reject',
  }
}
