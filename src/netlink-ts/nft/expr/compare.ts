/**
 * Expressions that go on or end the rule: cmp, range, lookup; and bitwise, which
 * prepares a register for them.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_cmp_attributes,
 * nft_cmp_ops, nft_range_attributes, nft_lookup_attributes,
 * nft_bitwise_attributes, nft_bitwise_ops.
 *
 * @module
 */
import { attr, attrTable } from '../../attrs.ts'
import { string, u32be } from '../../codecs.ts'
import { dataValue, named32, register, registerOrVerdict } from '../codecs.ts'
import { exprCodec, unlessZero } from './codec.ts'

const CMP_OPS = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const

/** How a register is compared. */
export type CmpOp = keyof typeof CMP_OPS | number

/**
 * Compares as many bytes of register `sreg` as `value` has: lower-case
 * hexadecimal, in the order of the packet. A value shorter than what was loaded
 * compares a prefix: `"trv*"`.
 */
export interface CmpExpr {
  readonly type: 'cmp'
  readonly op: CmpOp
  readonly value: string
  readonly sreg?: number | undefined
}

const cmpAttrs = attrTable({
  sreg: attr(1, register), //       NFTA_CMP_SREG
  op: attr(2, named32(CMP_OPS)), // NFTA_CMP_OP
  value: attr(3, dataValue), //     NFTA_CMP_DATA
})

export const cmp = exprCodec<CmpExpr, typeof cmpAttrs>(
  'cmp',
  ['cmp'],
  cmpAttrs,
  ({ op, value, sreg = 0 }) => ({ op, value, sreg }),
  ({ op, value, sreg }) =>
    op === undefined || value === undefined
      ? undefined
      : { type: 'cmp', op, value, sreg: unlessZero(sreg) },
)

const RANGE_OPS = { eq: 0, neq: 1 } as const

/** Whether register `sreg` lies in an interval, both ends inclusive, hexadecimal. */
export interface RangeExpr {
  readonly type: 'range'
  readonly op: keyof typeof RANGE_OPS | number
  readonly from: string
  readonly to: string
  readonly sreg?: number | undefined
}

const rangeAttrs = attrTable({
  sreg: attr(1, register), //         NFTA_RANGE_SREG
  op: attr(2, named32(RANGE_OPS)), // NFTA_RANGE_OP
  from: attr(3, dataValue), //        NFTA_RANGE_FROM_DATA
  to: attr(4, dataValue), //          NFTA_RANGE_TO_DATA
})

export const range = exprCodec<RangeExpr, typeof rangeAttrs>(
  'range',
  ['range'],
  rangeAttrs,
  ({ op, from, to, sreg = 0 }) => ({ op, from, to, sreg }),
  ({ op, from, to, sreg }) =>
    op === undefined || from === undefined || to === undefined
      ? undefined
      : { type: 'range', op, from, to, sreg: unlessZero(sreg) },
)

const LOOKUP_INVERTED = 1 // NFT_LOOKUP_F_INV

/** Looks register `sreg` up in a set: `@pods4`; in a map, the result goes to `dreg`. */
export interface LookupExpr {
  readonly type: 'lookup'
  readonly set: string
  /** Go on when it is not there: `!= @pods4`. */
  readonly inverted?: true | undefined
  readonly sreg?: number | undefined
  /** Of a map. */
  readonly dreg?: number | undefined
  /** Of a verdict map: what is found there becomes of the packet. */
  readonly verdict?: true | undefined
  /** The id of an anonymous set in the same transaction; never reported. */
  readonly setId?: number | undefined
}

const lookupAttrs = attrTable({
  set: attr(1, string), //   NFTA_LOOKUP_SET
  sreg: attr(2, register), // NFTA_LOOKUP_SREG
  dreg: attr(3, registerOrVerdict), // NFTA_LOOKUP_DREG
  id: attr(4, u32be), //     NFTA_LOOKUP_SET_ID
  flags: attr(5, u32be), //  NFTA_LOOKUP_FLAGS
})

export const lookup = exprCodec<LookupExpr, typeof lookupAttrs>(
  'lookup',
  ['lookup'],
  lookupAttrs,
  ({ set, inverted, sreg = 0, dreg, verdict, setId }) => ({
    set,
    sreg,
    dreg: verdict === true ? 'verdict' : dreg,
    id: setId,
    flags: inverted === true ? LOOKUP_INVERTED : undefined,
  }),
  ({ set, sreg, dreg, flags = 0 }) => {
    if (set === undefined || sreg === undefined) return undefined
    return {
      type: 'lookup',
      set,
      inverted: (flags & LOOKUP_INVERTED) !== 0 ? true : undefined,
      sreg: unlessZero(sreg),
      dreg: dreg === 'verdict' ? undefined : dreg,
      verdict: dreg === 'verdict' ? true : undefined,
    }
  },
)

const BITWISE_MASK_XOR = 0 // NFT_BITWISE_MASK_XOR

/** `dreg = (sreg & mask) ^ xor`; hexadecimal, of one length. */
export interface BitwiseExpr {
  readonly type: 'bitwise'
  readonly mask: string
  /** Absent: all zeroes. */
  readonly xor?: string | undefined
  readonly sreg?: number | undefined
  /** Absent: `sreg`. */
  readonly dreg?: number | undefined
}

const bitwiseAttrs = attrTable({
  sreg: attr(1, register), //  NFTA_BITWISE_SREG
  dreg: attr(2, register), //  NFTA_BITWISE_DREG
  length: attr(3, u32be), //   NFTA_BITWISE_LEN
  mask: attr(4, dataValue), // NFTA_BITWISE_MASK
  xor: attr(5, dataValue), //  NFTA_BITWISE_XOR
  op: attr(6, u32be), //       NFTA_BITWISE_OP, since 5.6
})

export const bitwise = exprCodec<BitwiseExpr, typeof bitwiseAttrs>(
  'bitwise',
  ['bitwise'],
  bitwiseAttrs,
  ({ mask, xor = '0'.repeat(mask.length), sreg = 0, dreg = sreg }) => ({
    sreg,
    dreg,
    length: mask.length / 2,
    mask,
    xor,
  }),
  ({ sreg, dreg, mask, xor, op = BITWISE_MASK_XOR }) => {
    if (op !== BITWISE_MASK_XOR || mask === undefined || xor === undefined) return undefined
    return {
      type: 'bitwise',
      mask,
      xor: /^0*$/.test(xor) ? undefined : xor,
      sreg: unlessZero(sreg),
      dreg: dreg === sreg ? undefined : dreg,
    }
  },
)
