/**
 * Expressions that do something: immediate values and verdicts, counter, log,
 * limit, reject, notrack.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum
 * nft_immediate_attributes, nft_counter_attributes, nft_log_attributes,
 * nft_limit_attributes, nft_reject_attributes.
 *
 * @module
 */
import { attr, attrTable } from '../../attrs.ts'
import { string, u8, u16be, u32be } from '../../codecs.ts'
import { data, named32, registerOrVerdict, u64be, type Verdict } from '../codecs.ts'
import { exprCodec, unlessZero } from './codec.ts'

/** Loads bytes, hexadecimal, into a register. */
export interface ImmediateExpr {
  readonly type: 'immediate'
  readonly value: string
  readonly dreg?: number | undefined
}

/** Decides: `accept`, `drop`, `jump base`. */
export interface VerdictExpr extends Verdict {
  readonly type: 'verdict'
}

const immediateAttrs = attrTable({
  dreg: attr(1, registerOrVerdict), // NFTA_IMMEDIATE_DREG
  data: attr(2, data), //              NFTA_IMMEDIATE_DATA
})

export const immediate = exprCodec<ImmediateExpr | VerdictExpr, typeof immediateAttrs>(
  'immediate',
  ['immediate', 'verdict'],
  immediateAttrs,
  (e) => {
    if (e.type === 'verdict') {
      const { verdict, chain } = e
      return {
        dreg: 'verdict',
        data: { verdict: chain === undefined ? { verdict } : { verdict, chain } },
      }
    }
    const { value, dreg = 0 } = e
    return { dreg, data: { value } }
  },
  ({ dreg, data }) => {
    if (data?.verdict !== undefined) return { type: 'verdict', ...data.verdict }
    if (data?.value === undefined || typeof dreg !== 'number') return undefined
    return { type: 'immediate', value: data.value, dreg: unlessZero(dreg) }
  },
)

/** What a counter has counted; bytes and packets above 2^53 are rounded. */
export interface Counted {
  readonly packets: number
  readonly bytes: number
}

/** Counts packets. What it has counted is in the rule's `counters`, because it is no part of the rule. */
export interface CounterExpr {
  readonly type: 'counter'
}

export const counterAttrs = attrTable({
  bytes: attr(1, u64be), //   NFTA_COUNTER_BYTES
  packets: attr(2, u64be), // NFTA_COUNTER_PACKETS
})

export const counter = exprCodec<CounterExpr, typeof counterAttrs>(
  'counter',
  ['counter'],
  counterAttrs,
  () => ({}),
  () => ({ type: 'counter' }),
)

const LOG_LEVELS = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  audit: 8,
} as const

/** Writes a line to the kernel's log, or to a `group` of nflog. */
export interface LogExpr {
  readonly type: 'log'
  readonly prefix?: string | undefined
  /** Absent: warn. */
  readonly level?: keyof typeof LOG_LEVELS | number | undefined
  readonly group?: number | undefined
  readonly snaplen?: number | undefined
  readonly queueThreshold?: number | undefined
}

const logAttrs = attrTable({
  group: attr(1, u16be), //              NFTA_LOG_GROUP
  prefix: attr(2, string), //            NFTA_LOG_PREFIX
  snaplen: attr(3, u32be), //            NFTA_LOG_SNAPLEN
  queueThreshold: attr(4, u16be), //     NFTA_LOG_QTHRESHOLD
  level: attr(5, named32(LOG_LEVELS)), // NFTA_LOG_LEVEL
  flags: attr(6, u32be), //              NFTA_LOG_FLAGS
})

export const log = exprCodec<LogExpr, typeof logAttrs>(
  'log',
  ['log'],
  logAttrs,
  ({ type: _, ...attrs }) => attrs,
  ({ flags = 0, level, snaplen, queueThreshold, ...rest }) =>
    flags !== 0
      ? undefined
      : {
          type: 'log',
          ...(rest as Omit<LogExpr, 'type'>),
          level: level === 'warn' ? undefined : level,
          snaplen: snaplen === 0 ? undefined : snaplen,
          queueThreshold: queueThreshold === 0 ? undefined : queueThreshold,
        },
)

const LIMIT_TYPES = { packets: 0, bytes: 1 } as const

/** Goes on for at most `rate` packets or bytes each `unitSeconds`, with `burst` more at once. */
export interface LimitExpr {
  readonly type: 'limit'
  readonly rate: number
  readonly unitSeconds: number
  readonly burst: number
  /** Absent: packets. */
  readonly of?: 'bytes' | undefined
  /** Go on once the limit is exceeded: `limit rate over`. */
  readonly inverted?: true | undefined
}

const limitAttrs = attrTable({
  rate: attr(1, u64be), //                 NFTA_LIMIT_RATE
  unitSeconds: attr(2, u64be), //          NFTA_LIMIT_UNIT
  burst: attr(3, u32be), //                NFTA_LIMIT_BURST
  of: attr(4, named32(LIMIT_TYPES)), //    NFTA_LIMIT_TYPE
  flags: attr(5, u32be), //                NFTA_LIMIT_FLAGS
})

export const limit = exprCodec<LimitExpr, typeof limitAttrs>(
  'limit',
  ['limit'],
  limitAttrs,
  ({ rate, unitSeconds, burst, of, inverted }) => ({
    rate,
    unitSeconds,
    burst,
    of: of ?? 'packets',
    flags: inverted === true ? 1 : 0,
  }),
  ({ rate, unitSeconds, burst, of = 'packets', flags = 0 }) => {
    if (rate === undefined || unitSeconds === undefined || burst === undefined) return undefined
    if (typeof of === 'number' || flags > 1) return undefined
    return {
      type: 'limit',
      rate,
      unitSeconds,
      burst,
      of: of === 'bytes' ? of : undefined,
      inverted: flags === 1 ? true : undefined,
    }
  },
)

const REJECT_WITH = { icmp: 0, tcpReset: 1, icmpx: 2 } as const

/** Drops the packet and tells the sender; `code` is of ICMP, ICMPv6 or NFT_REJECT_ICMPX_*. */
export interface RejectExpr {
  readonly type: 'reject'
  readonly with: keyof typeof REJECT_WITH | number
  /** Absent with `tcpReset`. */
  readonly code?: number | undefined
}

const rejectAttrs = attrTable({
  with: attr(1, named32(REJECT_WITH)), // NFTA_REJECT_TYPE
  code: attr(2, u8), //                   NFTA_REJECT_ICMP_CODE
})

export const reject = exprCodec<RejectExpr, typeof rejectAttrs>(
  'reject',
  ['reject'],
  rejectAttrs,
  ({ with: how, code }) => ({ with: how, code: code ?? (how === 'tcpReset' ? 0 : undefined) }),
  ({ with: how, code }) =>
    how === undefined
      ? undefined
      : { type: 'reject', with: how, code: how === 'tcpReset' ? undefined : code },
)

/** Leaves the packet out of connection tracking. */
export interface NotrackExpr {
  readonly type: 'notrack'
}

export const notrack = exprCodec<NotrackExpr, ReturnType<typeof attrTable>>(
  'notrack',
  ['notrack'],
  attrTable({}),
  () => ({}),
  () => ({ type: 'notrack' }),
)
