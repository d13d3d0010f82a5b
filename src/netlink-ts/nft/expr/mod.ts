/**
 * Expressions: what rules are made of, as plain data.
 *
 * Encoding, the kernel and decoding give back the same data. What this package
 * has no words for is `{ type: 'unknown', name, data }` and never an error; it
 * can be sent back as it is.
 *
 * @module
 */
import { attr, attrTable, nested, readAttrs } from '../../attrs.ts'
import { bytesAt, type Codec, string } from '../../codecs.ts'
import { fromHex, toHex } from '../codecs.ts'
import {
  type Counted,
  type CounterExpr,
  counter,
  counterAttrs,
  type ImmediateExpr,
  immediate,
  type LimitExpr,
  type LogExpr,
  limit,
  log,
  type NotrackExpr,
  notrack,
  type RejectExpr,
  reject,
  type VerdictExpr,
} from './action.ts'
import type { ExprCodec } from './codec.ts'
import {
  type BitwiseExpr,
  bitwise,
  type CmpExpr,
  cmp,
  type LookupExpr,
  lookup,
  type RangeExpr,
  range,
} from './compare.ts'
import {
  type CtExpr,
  type CtSetExpr,
  ct,
  type FibExpr,
  fib,
  type MetaExpr,
  type MetaSetExpr,
  meta,
  type PayloadExpr,
  type PayloadSetExpr,
  payload,
} from './load.ts'
import { type MasqExpr, masq, type NatExpr, nat, type RedirExpr, redir } from './nat.ts'

/** An expression without words: its attributes, hexadecimal. */
export interface UnknownExpr {
  readonly type: 'unknown'
  /** The kernel's name. */
  readonly name: string
  readonly data: string
}

/** One step of a rule. */
export type Expr =
  | MetaExpr
  | MetaSetExpr
  | CtExpr
  | CtSetExpr
  | PayloadExpr
  | PayloadSetExpr
  | FibExpr
  | CmpExpr
  | RangeExpr
  | LookupExpr
  | BitwiseExpr
  | ImmediateExpr
  | VerdictExpr
  | CounterExpr
  | LogExpr
  | LimitExpr
  | RejectExpr
  | NotrackExpr
  | NatExpr
  | MasqExpr
  | RedirExpr
  | UnknownExpr

// biome-ignore lint/suspicious/noExplicitAny: rows differ in their expression; `type` restores it
const CODECS: readonly ExprCodec<any>[] = [
  meta,
  ct,
  payload,
  fib,
  cmp,
  range,
  lookup,
  bitwise,
  immediate,
  counter,
  log,
  limit,
  reject,
  notrack,
  nat,
  masq,
  redir,
]

const BY_NAME = new Map(CODECS.map((codec) => [codec.name, codec]))
const BY_TYPE = new Map(CODECS.flatMap((codec) => codec.types.map((type) => [type, codec])))

const NFTA_EXPR = { name: 1, data: 2 } as const
const NLA_F_NESTED = 0x8000

/** The place of an expression's attributes. */
const place: Codec<{ readonly start: number; readonly end: number }> = {
  nested: true,
  write: () => {},
  read: (_, offset, length) => ({ start: offset, end: offset + length }),
}

const exprAttrs = attrTable({
  name: attr(NFTA_EXPR.name, string),
  data: attr(NFTA_EXPR.data, place),
})

/** One expression, in an NFTA_LIST_ELEM. */
export const expr: Codec<Expr> = {
  nested: true,
  write(out, expression) {
    const unknown = expression.type === 'unknown'
    const codec = BY_TYPE.get(expression.type)
    if (!unknown && codec === undefined) {
      throw new RangeError(
        `Cannot encode expression: found type "${expression.type}", wanted ${[...BY_TYPE.keys()].join(', ')}`,
      )
    }
    const name = out.beginAttr(NFTA_EXPR.name)
    string.write(out, unknown ? expression.name : codec!.name, 'expression')
    out.endAttr(name)
    const data = out.beginAttr(NFTA_EXPR.data | NLA_F_NESTED)
    if (unknown) out.append(fromHex(expression.data, 'expression'))
    else codec!.write(out, expression)
    out.endAttr(data)
  },
  read(view, offset, length) {
    const { name = '', data } = readAttrs(exprAttrs, view, offset, offset + length)
    const { start, end } = data ?? { start: offset, end: offset }
    const known = BY_NAME.get(name)?.read(view, start, end) as Expr | undefined
    return known ?? { type: 'unknown', name, data: toHex(bytesAt(view, start, end - start)) }
  },
}

const dataTable = nested(counterAttrs)

/** What a counter expression has counted; undefined for any other expression. */
export const counted: Codec<Counted | undefined> = {
  nested: true,
  write: () => {},
  read(view, offset, length, name) {
    const { name: word, data } = readAttrs(exprAttrs, view, offset, offset + length)
    if (word !== 'counter' || data === undefined) return undefined
    const { bytes = 0, packets = 0 } = dataTable.read(view, data.start, data.end - data.start, name)
    return { packets, bytes }
  },
}
