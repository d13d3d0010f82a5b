/**
 * Expressions that load something into a register: meta, ct, payload, fib; and
 * those of them that can also set it.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_meta_attributes,
 * nft_meta_keys, nft_ct_attributes, nft_ct_keys, nft_payload_attributes,
 * nft_payload_bases, nft_fib_attributes, nft_fib_result, nft_fib_flags.
 *
 * @module
 */
import { attr, attrTable } from '../../attrs.ts'
import { named, u8, u32be } from '../../codecs.ts'
import { flags32, named32, register } from '../codecs.ts'
import { exprCodec, unlessZero } from './codec.ts'

/** NFT_META_*, by nft's names. */
export const META_KEYS = {
  length: 0,
  protocol: 1,
  priority: 2,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  iiftype: 8,
  oiftype: 9,
  skuid: 10,
  skgid: 11,
  nftrace: 12,
  nfproto: 15,
  l4proto: 16,
  ibrname: 17,
  obrname: 18,
  pkttype: 19,
  cpu: 20,
  iifgroup: 21,
  oifgroup: 22,
  cgroup: 23,
  iifkind: 26,
  oifkind: 27,
} as const

/** Something about a packet that is not in it. */
export type MetaKey = keyof typeof META_KEYS | number

/** Loads a meta value. `dreg` is 0 to 15, see `register`; absent: 0. */
export interface MetaExpr {
  readonly type: 'meta'
  readonly key: MetaKey
  readonly dreg?: number | undefined
}

/** Sets a meta value from register `sreg`. */
export interface MetaSetExpr {
  readonly type: 'metaSet'
  readonly key: MetaKey
  readonly sreg?: number | undefined
}

const metaAttrs = attrTable({
  key: attr(2, named32(META_KEYS)), // NFTA_META_KEY
  dreg: attr(1, register), //          NFTA_META_DREG
  sreg: attr(3, register), //          NFTA_META_SREG
})

export const meta = exprCodec<MetaExpr | MetaSetExpr, typeof metaAttrs>(
  'meta',
  ['meta', 'metaSet'],
  metaAttrs,
  (e) =>
    e.type === 'meta' ? { key: e.key, dreg: e.dreg ?? 0 } : { key: e.key, sreg: e.sreg ?? 0 },
  ({ key, dreg, sreg }) => {
    if (key === undefined) return undefined
    if (sreg !== undefined) return { type: 'metaSet', key, sreg: unlessZero(sreg) }
    return dreg === undefined ? undefined : { type: 'meta', key, dreg: unlessZero(dreg) }
  },
)

/** NFT_CT_*, by nft's names. */
export const CT_KEYS = {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  expiration: 5,
  helper: 6,
  l3proto: 7,
  src: 8,
  dst: 9,
  protocol: 10,
  protoSrc: 11,
  protoDst: 12,
  zone: 17,
} as const

const CT_DIRECTIONS = { original: 0, reply: 1 } as const

/** Loads something about the packet's connection. */
export interface CtExpr {
  readonly type: 'ct'
  readonly key: keyof typeof CT_KEYS | number
  readonly direction?: keyof typeof CT_DIRECTIONS | number | undefined
  readonly dreg?: number | undefined
}

/** Sets something about the packet's connection. */
export interface CtSetExpr {
  readonly type: 'ctSet'
  readonly key: keyof typeof CT_KEYS | number
  readonly direction?: keyof typeof CT_DIRECTIONS | number | undefined
  readonly sreg?: number | undefined
}

const ctAttrs = attrTable({
  dreg: attr(1, register), //                       NFTA_CT_DREG
  key: attr(2, named32(CT_KEYS)), //                NFTA_CT_KEY
  direction: attr(3, named(u8, CT_DIRECTIONS)), //  NFTA_CT_DIRECTION
  sreg: attr(4, register), //                       NFTA_CT_SREG
})

export const ct = exprCodec<CtExpr | CtSetExpr, typeof ctAttrs>(
  'ct',
  ['ct', 'ctSet'],
  ctAttrs,
  ({ key, direction, ...e }) =>
    e.type === 'ct' ? { key, direction, dreg: e.dreg ?? 0 } : { key, direction, sreg: e.sreg ?? 0 },
  ({ key, direction, dreg, sreg }) => {
    if (key === undefined) return undefined
    const named = { key, direction: direction }
    if (sreg !== undefined) return { type: 'ctSet', ...named, sreg: unlessZero(sreg) }
    return dreg === undefined ? undefined : { type: 'ct', ...named, dreg: unlessZero(dreg) }
  },
)

const BASES = { link: 0, network: 1, transport: 2, inner: 3 } as const
const CHECKSUMS = { none: 0, inet: 1 } as const

/** Loads `length` bytes of a header, from `offset` bytes behind its start. */
export interface PayloadExpr {
  readonly type: 'payload'
  readonly base: keyof typeof BASES | number
  readonly offset: number
  readonly length: number
  readonly dreg?: number | undefined
}

/** Writes `length` bytes into a header. */
export interface PayloadSetExpr {
  readonly type: 'payloadSet'
  readonly base: keyof typeof BASES | number
  readonly offset: number
  readonly length: number
  readonly sreg?: number | undefined
  /** The 16-bit Internet checksum to mend: bytes from the start of the header. */
  readonly checksumOffset?: number | undefined
  /** Mend the transport header's checksum, too. */
  readonly pseudoHeader?: true | undefined
}

const payloadAttrs = attrTable({
  dreg: attr(1, register), //                NFTA_PAYLOAD_DREG
  base: attr(2, named32(BASES)), //          NFTA_PAYLOAD_BASE
  offset: attr(3, u32be), //                 NFTA_PAYLOAD_OFFSET
  length: attr(4, u32be), //                 NFTA_PAYLOAD_LEN
  sreg: attr(5, register), //                NFTA_PAYLOAD_SREG
  checksum: attr(6, named32(CHECKSUMS)), //  NFTA_PAYLOAD_CSUM_TYPE
  checksumOffset: attr(7, u32be), //         NFTA_PAYLOAD_CSUM_OFFSET
  checksumFlags: attr(8, u32be), //          NFTA_PAYLOAD_CSUM_FLAGS
})

export const payload = exprCodec<PayloadExpr | PayloadSetExpr, typeof payloadAttrs>(
  'payload',
  ['payload', 'payloadSet'],
  payloadAttrs,
  ({ base, offset, length, ...e }) =>
    e.type === 'payload'
      ? { base, offset, length, dreg: e.dreg ?? 0 }
      : {
          base,
          offset,
          length,
          sreg: e.sreg ?? 0,
          checksum: e.checksumOffset === undefined ? 'none' : 'inet',
          checksumOffset: e.checksumOffset ?? 0,
          checksumFlags: e.pseudoHeader === true ? 1 : 0,
        },
  ({ base, offset, length, dreg, sreg, checksum, checksumOffset, checksumFlags }) => {
    if (base === undefined || offset === undefined || length === undefined) return undefined
    if (sreg === undefined) {
      if (dreg === undefined) return undefined
      return { type: 'payload', base, offset, length, dreg: unlessZero(dreg) }
    }
    if (checksum !== undefined && typeof checksum === 'number') return undefined
    return {
      type: 'payloadSet',
      base,
      offset,
      length,
      sreg: unlessZero(sreg),
      checksumOffset: checksum === 'inet' ? checksumOffset : undefined,
      pseudoHeader: checksumFlags === 1 ? true : undefined,
    }
  },
)

const FIB_RESULTS = { oif: 1, oifname: 2, type: 3 } as const
const FIB_FLAGS = { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 0x10, present: 0x20 } as const

/** Asks the routing tables, e.g. `fib daddr type`. */
export interface FibExpr {
  readonly type: 'fib'
  readonly result: keyof typeof FIB_RESULTS | number
  readonly flags: readonly (keyof typeof FIB_FLAGS)[]
  readonly dreg?: number | undefined
}

const fibAttrs = attrTable({
  dreg: attr(1, register), //               NFTA_FIB_DREG
  result: attr(2, named32(FIB_RESULTS)), // NFTA_FIB_RESULT
  flags: attr(3, flags32(FIB_FLAGS)), //    NFTA_FIB_FLAGS
})

export const fib = exprCodec<FibExpr, typeof fibAttrs>(
  'fib',
  ['fib'],
  fibAttrs,
  ({ result, flags, dreg = 0 }) => ({ result, flags, dreg }),
  ({ result, flags, dreg }) =>
    result === undefined || flags === undefined || dreg === undefined
      ? undefined
      : { type: 'fib', result, flags, dreg: unlessZero(dreg) },
)

/** Values of `fib ... type`, in the machine's order. Source: rtnetlink.h, enum rtn_type. */
export const FIB_TYPES = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
} as const
