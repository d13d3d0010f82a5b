/**
 * The token bucket filter: a link sends no faster than a rate, but for a burst.
 *
 * The kernel keeps bursts as times, in ticks of 64 ns, so a burst read may be a
 * few bytes off what was asked, the more the higher the rate.
 *
 * Source: include/uapi/linux/pkt_sched.h, struct tc_tbf_qopt and TCA_TBF_*;
 * net/sched/sch_tbf.c, tbf_change, v6.12.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { type Codec, u32, u64 } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { present, word, words } from './body.ts'

const RATESPEC_BYTES = 12 // struct tc_ratespec: cell_log, linklayer u8; overhead, cell_align, mpu u16; rate u32
const PARMS_BYTES = 2 * RATESPEC_BYTES + 12 // struct tc_tbf_qopt: rate, peakrate; limit, buffer, mtu u32
const LINKLAYER_ETHERNET = 1
const U32_MAX = 0xffff_ffff
const TICK_SECONDS = 64e-9

/** A rate limit. */
export interface TbfKind {
  readonly type: 'tbf'
  readonly rateBytesPerSecond: number
  /** What may go at once; at least the rate times the timer's period, and a packet. */
  readonly burstBytes: number
  /** What may wait before packets are dropped. */
  readonly limitBytes: number
  /** How fast a burst may go; wants `peakBurstBytes`. @default no limit */
  readonly peakRateBytesPerSecond?: number | undefined
  /** What may go at once within a burst: the link's MTU and header, or more. */
  readonly peakBurstBytes?: number | undefined
}

/** The fields of struct tc_tbf_qopt in use. */
interface TbfParms {
  readonly rate: number
  readonly peakRate: number
  readonly limit: number
  /** Ticks; the kernel prefers TCA_TBF_BURST when it is given. */
  readonly buffer: number
  readonly mtu: number
}

const parms: Codec<TbfParms> = {
  write(out, { rate, peakRate, limit, buffer, mtu }, name) {
    writeRate(out, rate)
    writeRate(out, peakRate)
    u32.write(out, limit, `${name}.limit`)
    u32.write(out, buffer, `${name}.buffer`)
    u32.write(out, mtu, `${name}.mtu`)
  },
  read(view, offset, length, name) {
    if (length < PARMS_BYTES) throw new DecodeError(name, offset, `${PARMS_BYTES} bytes`, length)
    const at = (field: number): number => view.getUint32(offset + field, HOST_LITTLE)
    return { rate: at(8), peakRate: at(20), limit: at(24), buffer: at(28), mtu: at(32) }
  },
}

function writeRate(out: Writer, rate: number): void {
  const at = out.reserve(RATESPEC_BYTES)
  if (rate === 0) return
  out.view.setUint8(at + 1, LINKLAYER_ETHERNET)
  out.view.setUint32(at + 8, rate, HOST_LITTLE)
}

/** TCA_TBF_*, in TCA_OPTIONS. */
export const tbfAttrs = attrTable({
  parms: attr(1, parms), //     TCA_TBF_PARMS
  rate: attr(4, u64), //        TCA_TBF_RATE64, above 4 GB/s
  peakRate: attr(5, u64), //    TCA_TBF_PRATE64
  burst: attr(6, u32), //       TCA_TBF_BURST, bytes, requests only
  peakBurst: attr(7, u32), //   TCA_TBF_PBURST, bytes, requests only
})

/**
 * Appends the contents of TCA_OPTIONS.
 *
 * @throws {RangeError} A number that does not fit, or a peak rate without its burst.
 */
export function writeTbf(out: Writer, kind: TbfKind): void {
  const { rateBytesPerSecond: rate, peakRateBytesPerSecond: peakRate = 0 } = kind
  if (peakRate > 0 && kind.peakBurstBytes === undefined) {
    throw new RangeError('Cannot encode tbf: found a peak rate, wanted its burst (mtu) as well')
  }
  writeAttrs(out, tbfAttrs, {
    parms: {
      rate: Math.min(rate, U32_MAX),
      peakRate: Math.min(peakRate, U32_MAX),
      limit: kind.limitBytes,
      buffer: 0,
      mtu: 0,
    },
    rate: rate >= U32_MAX ? rate : undefined,
    peakRate: peakRate >= U32_MAX ? peakRate : undefined,
    burst: kind.burstBytes,
    peakBurst: peakRate > 0 ? kind.peakBurstBytes : undefined,
  })
}

/** Reads the contents of TCA_OPTIONS; undefined without struct tc_tbf_qopt. */
export function readTbf(view: DataView, start: number, end: number): TbfKind | undefined {
  const {
    parms,
    rate = parms?.rate,
    peakRate = parms?.peakRate,
  } = readAttrs(tbfAttrs, view, start, end)
  if (parms === undefined || rate === undefined) return undefined
  const isPeaked = peakRate !== undefined && peakRate > 0
  return present({
    type: 'tbf' as const,
    rateBytesPerSecond: rate,
    burstBytes: Math.round(rate * parms.buffer * TICK_SECONDS),
    limitBytes: parms.limit,
    peakRateBytesPerSecond: isPeaked ? peakRate : undefined,
    peakBurstBytes: isPeaked ? Math.round(peakRate * parms.mtu * TICK_SECONDS) : undefined,
  })
}

/** The words after the place, e.g. `tbf rate 1000000bit burst 32768 limit 3000000`. */
export function tbfText(kind: TbfKind): string {
  const { peakRateBytesPerSecond: peakRate } = kind
  return words(
    `tbf rate ${kind.rateBytesPerSecond * 8}bit burst ${kind.burstBytes} limit ${kind.limitBytes}`,
    peakRate !== undefined && `peakrate ${peakRate * 8}bit`,
    word('mtu', kind.peakBurstBytes),
  )
}
