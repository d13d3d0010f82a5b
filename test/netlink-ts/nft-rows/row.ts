/**
 * The form of the rows, and what many of them have in common.
 */
import { nft } from '../../../src/netlink-ts/mod.ts'

/** A ruleset in both languages. */
export interface Row {
  readonly name: string
  /** For `nft -f`; several are transactions one after the other, like ours. */
  readonly text: string | readonly string[]
  /** Transactions, one after the other. */
  readonly ours: readonly (readonly nft.NftRequest[])[]
  /** The kernel or the nft of this machine may not have it: then the row is skipped. */
  readonly optional?: true
}

/** Where most rows play. */
export const demo = { family: 'inet', table: 'demo' } as const

/** That table. */
export const table = nft.table.add({ family: 'inet', name: 'demo' })

/** A base chain in it. */
export const forward = nft.chain.add({
  ...demo,
  name: 'forward',
  type: 'filter',
  hook: 'forward',
  priority: 0,
  policy: 'accept',
})
/** A rule of that chain. */
export const rule = (...parts: readonly nft.Exprs[]): nft.NftRequest =>
  nft.rule.add({ ...demo, chain: 'forward', expressions: nft.exprs(...parts) })
/** The same table and chain, with rules in nft's words. */
export const inForward = (...lines: readonly string[]): string =>
  `table inet demo {\n chain forward { type filter hook forward priority 0; policy accept;\n${lines.join('\n')}\n }\n}\n`

/** The flag of interval sets. */
export const interval = ['interval'] as const

/** Elements of a set. */
export function elements(
  set: string,
  key: nft.KeyTypes,
  ...list: readonly nft.Element[]
): nft.NftRequest {
  return nft.element.add({ ...demo, set, key, elements: list })
}

/** Elements of an interval set. */
export function intervals(
  set: string,
  key: nft.KeyTypes,
  ...list: readonly nft.Element[]
): nft.NftRequest {
  return nft.element.add({ ...demo, set, key, flags: interval, elements: list })
}
