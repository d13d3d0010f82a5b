/**
 * The attributes of a policy rule.
 *
 * Source: include/uapi/linux/fib_rules.h, FRA_*, v6.12.
 *
 * @module
 */
import { attr, attrTable } from '../attrs.ts'
import { bool, type Codec, ifname, inRange, ip, u8, u16, u32, u64be } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { HOST_LITTLE } from '../writer.ts'

export const FRA_DST = 1
export const FRA_SRC = 2

/** First and last, both included. Source: struct fib_rule_port_range, fib_rule_uid_range. */
export interface NumberRange {
  readonly start: number
  readonly end: number
}

/** Two numbers of `size` bytes, in host order. */
function range(size: 2 | 4): Codec<NumberRange> {
  const codec = size === 2 ? u16 : u32
  return {
    write(out, { start, end }, name) {
      codec.write(out, start, `${name}.start`)
      codec.write(out, inRange(end, start, size === 2 ? 0xffff : 0xffff_ffff, `${name}.end`), name)
    },
    read(view, offset, length, name) {
      if (length !== 2 * size) throw new DecodeError(name, offset, `${2 * size} bytes`, length)
      if (size === 4) {
        const start = view.getUint32(offset, HOST_LITTLE)
        return { start, end: view.getUint32(offset + 4, HOST_LITTLE) }
      }
      const start = view.getUint16(offset, HOST_LITTLE)
      return { start, end: view.getUint16(offset + 2, HOST_LITTLE) }
    },
  }
}

/** FRA_*. */
export const ruleAttrs = attrTable({
  dst: attr(FRA_DST, ip), //        FRA_DST, with dst_len
  src: attr(FRA_SRC, ip), //        FRA_SRC, with src_len
  iif: attr(3, ifname), //          FRA_IIFNAME
  goto: attr(4, u32), //            FRA_GOTO
  priority: attr(6, u32), //        FRA_PRIORITY
  fwmark: attr(10, u32), //         FRA_FWMARK
  tunId: attr(12, u64be), //        FRA_TUN_ID
  suppressPrefixLength: attr(14, u32), // FRA_SUPPRESS_PREFIXLEN, 0xffffffff = none
  table: attr(15, u32), //          FRA_TABLE
  fwmask: attr(16, u32), //         FRA_FWMASK
  oif: attr(17, ifname), //         FRA_OIFNAME
  l3mdev: attr(19, bool), //        FRA_L3MDEV
  uidRange: attr(20, range(4)), //  FRA_UID_RANGE
  protocol: attr(21, u8), //        FRA_PROTOCOL, who added it
  ipProtocol: attr(22, u8), //      FRA_IP_PROTO
  sport: attr(23, range(2)), //     FRA_SPORT_RANGE
  dport: attr(24, range(2)), //     FRA_DPORT_RANGE
})
