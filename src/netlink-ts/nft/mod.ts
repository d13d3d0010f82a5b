/**
 * nf_tables: tables, chains, rules, sets and their elements, in transactions.
 *
 * @example
 * const demo = { family: 'inet', table: 'demo' } as const
 * const key = ['ifname', 'ipv4_addr'] as const
 * socket.commit([
 *   nft.table.add({ family: 'inet', name: 'demo' }),
 *   nft.set.add({ ...demo, name: 'pods4', key }),
 *   nft.element.add({ ...demo, set: 'pods4', key, elements: [['veth0', '10.0.0.2']] }),
 *   nft.chain.add({ ...demo, name: 'forward', type: 'filter', hook: 'forward', priority: 0 }),
 *   nft.rule.add({
 *     ...demo,
 *     chain: 'forward',
 *     expressions: nft.exprs(
 *       nft.match.lookup(['iifname', 'ipSaddr'], 'pods4', { inverted: true }),
 *       nft.verdict.drop,
 *     ),
 *   }),
 * ])
 *
 * @module
 */
export {
  type BaseChain,
  type Chain,
  type ChainFilter,
  type ChainRef,
  type ChainSpec,
  chain,
} from './chain.ts'
export type { Verdict } from './codecs.ts'
export { type NftConn, NftSession, type Snapshot } from './conn.ts'
export { type Family, type Hook, NFT_MSG } from './constants.ts'
export { type Element, type ElementFilter, type ElementSpec, element } from './element.ts'
export { decodeNftEvent, type NftEvent } from './event.ts'
export type { Counted } from './expr/action.ts'
export type { Expr } from './expr/mod.ts'
export type { NatFlag } from './expr/nat.ts'
export { ruleText } from './expr/text.ts'
export type { Field, FieldRange, KeyType } from './field.ts'
export { generation } from './generation.ts'
export type { KeyTypes } from './key.ts'
export {
  action,
  type CtState,
  type Exprs,
  exprs,
  type LookupOptions,
  match,
  matchIn,
  type PortRange,
  verdict,
} from './match.ts'
export type { MatchField } from './match-field.ts'
export type { GatherRequest, NftDump, NftRequest, Tearing } from './request.ts'
export {
  type Rule,
  type RuleFilter,
  type RulePlace,
  type RulePosition,
  type RuleRef,
  type RuleSpec,
  rule,
} from './rule.ts'
export {
  type NftSet,
  type SetFilter,
  type SetFlag,
  type SetRef,
  type SetShape,
  type SetSpec,
  set,
} from './set.ts'
export {
  flushRuleset,
  type Table,
  type TableFlag,
  type TableRef,
  type TableSpec,
  table,
} from './table.ts'
export type { TransactOptions } from './transaction.ts'
