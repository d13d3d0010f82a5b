/**
 * A count of entries, and one table of the fullest device of a role.
 *
 * @module
 */
import type { Role, TableFigure } from '../measure.ts'

/** A count, and between what it may lie where chance or the order of claims decides. */
export interface Range {
  readonly entries: number
  readonly least: number
  readonly most: number
}

export const exactly = (entries: number): Range => ({ entries, least: entries, most: entries })

export const times = (range: Range, factor: number): Range => ({
  entries: range.entries * factor,
  least: range.least * factor,
  most: range.most * factor,
})

export const plus = (left: Range, right: Range): Range => ({
  entries: left.entries + right.entries,
  least: left.least + right.least,
  most: left.most + right.most,
})

/** Of several devices what the fullest may have. */
export const larger = (left: Range, right: Range): Range => ({
  entries: Math.max(left.entries, right.entries),
  least: Math.max(left.least, right.least),
  most: Math.max(left.most, right.most),
})

/** One table of the fullest device of a role. */
export interface TableDemand extends Range {
  readonly role: Role
  readonly table: TableFigure['table']
  /** Devices of the role. */
  readonly devices: number
  /** Undefined: unknown, or of a kernel without fixed size. */
  readonly capacity: number | undefined
  /** Entries over capacity, tables that share its memory included. */
  readonly pressure: number | undefined
}
