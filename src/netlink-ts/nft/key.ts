/**
 * Keys of sets: one field, or several one behind the other (`ifname . ipv4_addr`),
 * each beginning at a multiple of four bytes.
 *
 * @module
 */
import { DecodeError } from '../errors.ts'
import { aligned } from '../writer.ts'
import {
  type Field,
  type FieldBytes,
  fieldType,
  formatField,
  type KeyType,
  parseField,
} from './field.ts'

/** The types of a key's fields. A number is a type that only nftables knows. */
export type KeyTypes = readonly (KeyType | number)[]

/** How many bytes a key of these types has. */
export function keyBytes(types: KeyTypes): number {
  const [only] = types
  if (types.length === 1 && only !== undefined) return fieldType(only).bytes
  return types.reduce<number>((sum, type) => sum + aligned(fieldType(type).bytes), 0)
}

/**
 * Both ends of a key.
 *
 * @throws {RangeError} As many fields as types are wanted, each of its type.
 */
export function parseKey(types: KeyTypes, fields: readonly Field[]): FieldBytes {
  if (fields.length !== types.length) {
    throw new RangeError(
      `Cannot encode element ${keyText(fields)}: ${fields.length} fields, wanted ${types.join(' . ')}`,
    )
  }
  const from = new Uint8Array(keyBytes(types))
  const to = new Uint8Array(from.length)
  let at = 0
  for (let i = 0; i < types.length; i++) {
    const ends = parseField(types[i]!, fields[i]!)
    from.set(ends.from, at)
    to.set(ends.to, at)
    at += aligned(ends.from.length)
  }
  return { from, to }
}

/**
 * The fields of a key.
 *
 * @throws {DecodeError} It is shorter than its types.
 */
export function formatKey(types: KeyTypes, { from, to }: FieldBytes): readonly Field[] {
  const [only] = types
  if (only === undefined || types.some((type) => typeof type === 'number')) {
    return [formatField(0, { from, to })] // nobody knows where its fields end
  }
  if (types.length === 1) return [formatField(only, { from, to })]
  const fields: Field[] = []
  let at = 0
  for (const type of types) {
    const end = at + fieldType(type).bytes
    if (end > from.length || end > to.length) {
      throw new DecodeError('element', at, `${keyBytes(types)} bytes`, from.length)
    }
    fields.push(formatField(type, { from: from.subarray(at, end), to: to.subarray(at, end) }))
    at = aligned(end)
  }
  return fields
}

/** A key in nft's words. */
export const keyText = (fields: readonly Field[]): string => fields.map(fieldText).join(' . ')

const fieldText = (field: Field): string =>
  typeof field === 'object' ? `${field.from}-${field.to}` : `${field}`
