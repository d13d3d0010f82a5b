/**
 * How a typed expression maps to the attributes of NFTA_EXPR_DATA.
 *
 * A row of the registry is made of an attribute table and two functions. Values
 * that are the kernel's defaults are absent on our side, so that an expression
 * that was written and one that was read are equal.
 *
 * @module
 */
import { type AttrsOf, type AttrTable, readAttrs, writeAttrs } from '../../attrs.ts'
import { present } from '../../route/body.ts'
import type { Writer } from '../../writer.ts'

/** An expression: the kernel's name is not always ours (`nat` is `dnat` and `snat`). */
export interface ExprCodec<E> {
  /** NFTA_EXPR_NAME. */
  readonly name: string
  /** Our names, in `type`. */
  readonly types: readonly string[]
  write(out: Writer, expression: E): void
  /** undefined when the kernel sent something this package has no words for. */
  read(view: DataView, start: number, end: number): E | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: the rows of a table differ in type
type Table = AttrTable<any>

/** Builds a row of the registry. */
export function exprCodec<E extends { readonly type: string }, T extends Table>(
  name: string,
  types: readonly E['type'][],
  table: T,
  toAttrs: (expression: E) => AttrsOf<T>,
  fromAttrs: (attrs: AttrsOf<T>) => E | undefined,
): ExprCodec<E> {
  return {
    name,
    types,
    write: (out, expression) => writeAttrs(out, table, toAttrs(expression) as never),
    read(view, start, end) {
      const found = fromAttrs(readAttrs(table, view, start, end) as AttrsOf<T>)
      return found && present(found)
    },
  }
}

/** Register 0 is what everybody means who says nothing. */
export const unlessZero = (value: number | undefined): number | undefined =>
  value === 0 ? undefined : value

/** An empty list is no list. */
export const unlessEmpty = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
  list !== undefined && list.length > 0 ? list : undefined
