/**
 * Attribute tables: one row per attribute gives its TypeScript type, its
 * encoder and its decoder.
 *
 * On the wire an attribute is a u16 length (of header and payload), a u16 type
 * and the payload, zero-padded to a multiple of 4. The two top bits of the type
 * are flags. Unknown attributes are skipped: a newer kernel may send more. Of
 * an attribute that occurs twice the last one counts, as in the kernel.
 *
 * Source: include/uapi/linux/netlink.h, struct nlattr.
 *
 * @module
 */
import type { Codec } from './codecs.ts'
import { DecodeError } from './errors.ts'
import { aligned, HOST_LITTLE, type Writer } from './writer.ts'

const HEADER_BYTES = 4
const TYPE_MASK = 0x3fff // NLA_TYPE_MASK
const NLA_F_NESTED = 0x8000

/** One row: an attribute number and the codec of its payload. */
export interface Attr<T> {
  readonly type: number
  readonly codec: Codec<T>
}

/** A row of a table. */
export const attr = <T>(type: number, codec: Codec<T>): Attr<T> => ({ type, codec })

// biome-ignore lint/suspicious/noExplicitAny: rows differ in T; AttrsOf restores each one
type Rows = Readonly<Record<string, Attr<any>>>

interface NamedRow {
  readonly name: string
  readonly type: number
  readonly codec: Codec<unknown>
}

/** Rows, and the same rows indexed for the encoder and the decoder. */
export interface AttrTable<R extends Rows = Rows> {
  readonly rows: R
  readonly list: readonly NamedRow[]
  readonly byType: ReadonlyMap<number, NamedRow>
}

/** The object a table describes. Every attribute is optional, as on the wire. */
export type AttrsOf<T> =
  T extends AttrTable<infer R>
    ? { readonly [K in keyof R]?: (R[K] extends Attr<infer V> ? V : never) | undefined }
    : never

/** Declares a table. Attributes are written in the order of the rows. */
export function attrTable<R extends Rows>(rows: R): AttrTable<R> {
  const list = Object.entries(rows).map(([name, row]) => ({ name, ...row }))
  return { rows, list, byType: new Map(list.map((row) => [row.type, row])) }
}

/**
 * Appends every attribute of `table` that `value` has.
 *
 * @throws {RangeError} A value does not fit its attribute; the message names it.
 */
export function writeAttrs<R extends Rows>(
  out: Writer,
  table: AttrTable<R>,
  value: AttrsOf<AttrTable<R>>,
): void {
  const values = value as Readonly<Record<string, unknown>>
  for (const { name, type, codec } of table.list) {
    const item = values[name]
    if (item === undefined || (codec.presence === true && item === false)) continue
    const start = out.beginAttr(type | (codec.nested === true ? NLA_F_NESTED : 0))
    codec.write(out, item, name)
    out.endAttr(start)
  }
}

/**
 * Calls `visit` for every attribute between `start` and `end` of `view`.
 *
 * @throws {DecodeError} A length below the header's or past `end`.
 */
export function eachAttr(
  view: DataView,
  start: number,
  end: number,
  visit: (type: number, offset: number, length: number) => void,
): void {
  for (let offset = start; offset < end; ) {
    const left = end - offset
    if (left < HEADER_BYTES) {
      throw new DecodeError('attribute header', offset, `${HEADER_BYTES} bytes`, left)
    }
    const length = view.getUint16(offset, HOST_LITTLE)
    if (length < HEADER_BYTES || length > left) {
      throw new DecodeError('attribute length', offset, `${HEADER_BYTES}..${left}`, length)
    }
    const type = view.getUint16(offset + 2, HOST_LITTLE) & TYPE_MASK
    visit(type, offset + HEADER_BYTES, length - HEADER_BYTES)
    offset += aligned(length)
  }
}

/**
 * Decodes the attributes that `table` names.
 *
 * @throws {DecodeError} A length is wrong, or a payload breaks its codec's rules.
 */
export function readAttrs<R extends Rows>(
  table: AttrTable<R>,
  view: DataView,
  start: number,
  end: number,
): AttrsOf<AttrTable<R>> {
  const value: Record<string, unknown> = {}
  eachAttr(view, start, end, (type, offset, length) => {
    const row = table.byType.get(type)
    if (row !== undefined) value[row.name] = row.codec.read(view, offset, length, row.name)
  })
  return value as AttrsOf<AttrTable<R>>
}

/** An attribute that holds a table of its own. */
export function nested<R extends Rows>(table: AttrTable<R>): Codec<AttrsOf<AttrTable<R>>> {
  return {
    nested: true,
    write: (out, value) => writeAttrs(out, table, value),
    read: (view, offset, length) => readAttrs(table, view, offset, offset + length),
  }
}
