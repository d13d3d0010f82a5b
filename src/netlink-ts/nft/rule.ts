/**
 * Rules: lists of expressions, in the order they run.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_rule_attributes.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, inRange, string } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { DumpRequest } from '../request.ts'
import { present, words } from '../route/body.ts'
import { commentNote, listOf, noteText, readUserdata, u64be } from './codecs.ts'
import { type Family, NFT_MSG } from './constants.ts'
import type { Counted } from './expr/action.ts'
import { counted, type Expr, expr } from './expr/mod.ts'
import { ruleText } from './expr/text.ts'
import { changeOf, NFGEN_BYTES, type NftRequest, nfgenOf, nftDump } from './request.ts'

const NOTE_COMMENT = 0 // NFTNL_UDATA_RULE_COMMENT

/** NFTA_RULE_*. */
const ruleAttrs = attrTable({
  table: attr(1, string), //            NFTA_RULE_TABLE
  chain: attr(2, string), //            NFTA_RULE_CHAIN
  handle: attr(3, u64be), //            NFTA_RULE_HANDLE
  expressions: attr(4, listOf(expr)), // NFTA_RULE_EXPRESSIONS
  position: attr(6, u64be), //          NFTA_RULE_POSITION
  userdata: attr(7, binary), //         NFTA_RULE_USERDATA
})

/** The same expressions once more, for what their counters say. */
const counterRow = attrTable({ counters: attr(4, listOf(counted)) })

/** Where a rule stands. */
export interface RulePlace {
  readonly family: Family
  readonly table: string
  readonly chain: string
}

/** A rule to add. */
export interface RuleSpec extends RulePlace {
  readonly expressions: readonly Expr[]
  readonly comment?: string | undefined
}

/** Which rule. */
export interface RuleRef extends RulePlace {
  readonly handle: number
}

/** A rule as the kernel reports it. */
export interface Rule extends RuleRef {
  readonly expressions: readonly Expr[]
  readonly comment?: string
  /** One for each `counter` expression, in their order; absent when there is none. */
  readonly counters?: readonly Counted[]
}

/** The neighbour of a new rule. */
export interface RulePosition {
  /** The handle of the rule it goes next to. @default the chain's end */
  readonly position?: number | undefined
}

/** Adds a rule at the chain's end, or behind the one at `position`. */
const add = (spec: RuleSpec & RulePosition): NftRequest =>
  change('add', NLM_F.create | NLM_F.append, anew(spec))

/** Adds a rule at the chain's start, or before the one at `position`. */
const insert = (spec: RuleSpec & RulePosition): NftRequest =>
  change('insert', NLM_F.create, anew(spec))

/** A rule that was read has a handle, which the new one must not have. */
const anew = <T extends RuleSpec>(spec: T): T => ({ ...spec, handle: undefined })

/** Puts a rule in the place of another one; it gets a new handle. */
const replace = (spec: RuleSpec & { readonly handle: number }): NftRequest =>
  change('replace', NLM_F.replace, spec)

/** Removes a rule; ENOENT when it is not there. */
const remove = (ref: RuleRef): NftRequest => drop('delete', NFT_MSG.delRule, ref)

/** Removes a rule if it is there; for kernels before 6.3 see `table.destroy`. */
const destroy = (ref: RuleRef): NftRequest => drop('destroy', NFT_MSG.destroyRule, ref)

/** Which rules to read. */
export interface RuleFilter {
  readonly family?: Family | undefined
  readonly table?: string | undefined
  readonly chain?: string | undefined
}

/** Reads rules, in the order of each chain. */
const list = ({ family, table, chain }: RuleFilter = {}): DumpRequest<Rule> =>
  nftDump(NFT_MSG.getRule, family, (out) => writeAttrs(out, ruleAttrs, { table, chain }), {
    text: words('list rules', family, table, chain),
    decode: (message) => {
      const rule = decodeRule(message)
      if (rule === undefined || (family !== undefined && rule.family !== family)) return undefined
      if (table !== undefined && rule.table !== table) return undefined
      return chain === undefined || rule.chain === chain ? rule : undefined
    },
  })

/** Requests about rules. */
export const rule = { add, insert, replace, remove, destroy, list } as const

/**
 * Reads NFT_MSG_NEWRULE and NFT_MSG_DELRULE; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeRule(message: Message): Rule | undefined {
  if (message.type !== NFT_MSG.newRule && message.type !== NFT_MSG.delRule) return undefined
  const { family, view } = nfgenOf(message)
  const attrs = readAttrs(ruleAttrs, view, NFGEN_BYTES, view.byteLength)
  const { table, chain, handle = 0, expressions = [], userdata } = attrs
  if (family === undefined || table === undefined || chain === undefined) return undefined
  const counters = expressions.some(({ type }) => type === 'counter')
    ? readAttrs(counterRow, view, NFGEN_BYTES, view.byteLength).counters
    : undefined
  return present({
    family,
    table,
    chain,
    handle,
    expressions,
    comment: userdata && noteText(readUserdata(userdata).get(NOTE_COMMENT)),
    counters: counters?.filter((each) => each !== undefined),
  }) as Rule
}

function change(
  verb: string,
  flags: number,
  spec: RuleSpec & RulePosition & { readonly handle?: number },
): NftRequest {
  const { family, table, chain, handle, position, expressions, comment } = spec
  return changeOf(
    NFT_MSG.newRule,
    flags,
    family,
    (out) =>
      writeAttrs(out, ruleAttrs, {
        table,
        chain,
        handle,
        position,
        expressions,
        userdata: comment === undefined ? undefined : commentNote(NOTE_COMMENT, comment),
      }),
    () =>
      words(
        `${verb} rule ${family} ${table} ${chain}`,
        handle === undefined ? undefined : `handle ${handle}`,
        position === undefined ? undefined : `position ${position}`,
        ruleText(expressions),
        comment === undefined ? undefined : `comment "${comment}"`,
      ),
  )
}

const drop = (verb: string, type: number, { family, table, chain, handle }: RuleRef): NftRequest =>
  changeOf(
    type,
    0,
    family,
    (out) =>
      writeAttrs(out, ruleAttrs, {
        table,
        chain,
        // Without one, the kernel would remove every rule of the chain.
        handle: inRange(handle, 1, Number.MAX_SAFE_INTEGER, 'handle'),
      }),
    () => `${verb} rule ${family} ${table} ${chain} handle ${handle}`,
  )
