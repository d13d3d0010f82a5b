/**
 * What a node says to whom, and what it takes: its own blocks and floating addresses
 * go out, blocks and summaries of the pools come in, and nothing else, a default
 * route least of all.
 *
 * @module
 */
import { ownRoutes } from '../../bgp/policy/own-routes.ts'
import type { Policy, PrefixRange } from '../../bgp/policy/policy.ts'
import type { NetworkRecord } from '../../cluster/view.ts'
import { ADDRESS_BITS, type Prefix, prefixFamily, prefixLength } from '../../net/mod.ts'

export interface NodePolicies {
  /** From whomever. */
  readonly take: Policy
  /** To the fabric: summaries in place of what is inside. */
  readonly toFabric: Policy
  /** To a node of the circle. */
  readonly toNode: Policy
  /** To a node of the circle that we reflect to, and to another that reflects. */
  readonly toCircle: Policy
}

/** One object for one meaning: a speaker compares, and peers with the same policy are one group. */
const known = new Map<string, NodePolicies>()
const KNOWN_MAX = 64

/** @param networks Those that are routed. */
export function policiesOf(
  networks: readonly NetworkRecord[],
  summaries: readonly Prefix[],
): NodePolicies {
  const pools = networks.flatMap((network) => network.pools)
  const blocks = pools.flatMap(({ cidr, blockLength, floating }) =>
    floating === true ? [] : [{ prefix: cidr, ge: prefixLength(cidr), le: blockLength }],
  )
  const singles = pools.flatMap(({ cidr, floating }): readonly PrefixRange[] => {
    const bits = ADDRESS_BITS[prefixFamily(cidr)]
    return floating === true ? [{ prefix: cidr, ge: bits, le: bits }] : []
  })
  const key = JSON.stringify([blocks, singles, summaries])
  const before = known.get(key)
  if (before !== undefined) return before
  if (known.size >= KNOWN_MAX) known.clear()
  const made = madeOf(blocks, singles, summaries)
  known.set(key, made)
  return made
}

function madeOf(
  blocks: readonly PrefixRange[],
  floating: readonly PrefixRange[],
  summaries: readonly Prefix[],
): NodePolicies {
  const own = ownRoutes('to-node', { blocks, floating })
  const fabricOnly = {
    sources: ['own'] as const,
    prefixes: summaries.map((prefix) => ({ prefix })),
  }
  const rules =
    summaries.length === 0
      ? own.rules
      : [
          { name: 'summaries are for the fabric', when: fabricOnly, action: 'reject' as const },
          ...own.rules,
        ]
  const reflected = { name: 'reflected', when: { sources: ['ibgp'] as const } }
  return {
    take: {
      name: 'take',
      rules: [
        { name: 'floating addresses', when: { prefixes: floating } },
        { name: 'blocks and summaries', when: { prefixes: blocks } },
      ],
      otherwise: 'reject',
    },
    toFabric: ownRoutes('to-fabric', { blocks, floating, summaries }),
    toNode: { ...own, rules },
    toCircle: { name: 'to-circle', rules: [...rules, reflected], otherwise: 'reject' },
  }
}
