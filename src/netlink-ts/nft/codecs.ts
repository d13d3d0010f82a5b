/**
 * Payload codecs that only nf_tables needs: everything in network order, values
 * as hexadecimal text, lists of equal attributes, registers, data.
 *
 * @module
 */
import { attr, attrTable, eachAttr, nested } from '../attrs.ts'
import { bytesAt, type Codec, inRange, namesOf, numberOf, string, u32be } from '../codecs.ts'
import { DecodeError } from '../errors.ts'

/** A u64 in network order. Numbers above 2^53 are read rounded. */
export const u64be: Codec<number> = {
  write(out, value, name) {
    inRange(value, 0, Number.MAX_SAFE_INTEGER, name)
    out.view.setBigUint64(out.reserve(8), BigInt(value), false)
  },
  read(view, offset, length, name) {
    if (length !== 8) throw new DecodeError(name, offset, '8 bytes', length)
    return Number(view.getBigUint64(offset, false))
  },
}

/** A signed 32-bit integer in network order: a chain's priority, a verdict. */
export const s32be: Codec<number> = {
  write(out, value, name) {
    inRange(value, -0x8000_0000, 0x7fff_ffff, name)
    out.view.setInt32(out.reserve(4), value, false)
  },
  read: (view, offset, length, name) => u32be.read(view, offset, length, name) | 0,
}

/** Lower-case hexadecimal text of bytes. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/**
 * The bytes of hexadecimal text.
 *
 * @throws {RangeError} Not pairs of lower-case hexadecimal digits.
 */
export function fromHex(text: string, name: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(text)) {
    throw new RangeError(
      `Cannot encode ${name}: found "${text.slice(0, 80)}", wanted bytes like 0a000002`,
    )
  }
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  }
  return bytes
}

/** Bytes as hexadecimal text: comparable with ===. */
export const hexBytes: Codec<string> = {
  write: (out, value, name) => out.append(fromHex(value, name)),
  read: (view, offset, length) => toHex(bytesAt(view, offset, length)),
}

/** Equal attributes in a row (NFTA_LIST_ELEM), each with the same codec. */
export function listOf<T>(codec: Codec<T>): Codec<readonly T[]> {
  return {
    nested: true,
    write(out, items, name) {
      for (const item of items) {
        const start = out.beginAttr(NFTA_LIST_ELEM | (codec.nested === true ? NLA_F_NESTED : 0))
        codec.write(out, item, name)
        out.endAttr(start)
      }
    },
    read(view, offset, length, name) {
      const items: T[] = []
      eachAttr(view, offset, offset + length, (type, at, size) => {
        if (type === NFTA_LIST_ELEM) items.push(codec.read(view, at, size, name))
      })
      return items
    },
  }
}

const NFTA_LIST_ELEM = 1
const NLA_F_NESTED = 0x8000

/** A u32 in network order with a name for each value; a number without one stays a number. */
export function named32<const N extends Readonly<Record<string, number>>>(
  names: N,
): Codec<(keyof N & string) | number> {
  const byNumber = namesOf(names)
  return {
    write: (out, value, name) => u32be.write(out, numberOf(names, value, name), name),
    read(view, offset, length, name) {
      const value = u32be.read(view, offset, length, name)
      return byNumber.get(value) ?? value
    },
  }
}

/** Flags in a u32 in network order, as names in the order of the table; bits without a name are left out. */
export function flags32<const N extends Readonly<Record<string, number>>>(
  names: N,
): Codec<readonly (keyof N & string)[]> {
  const entries = Object.entries(names) as readonly (readonly [keyof N & string, number])[]
  return {
    write(out, value, name) {
      const bits = value.reduce((sum, flag) => sum | numberOf(names, flag, name), 0)
      u32be.write(out, bits >>> 0, name)
    },
    read(view, offset, length, name) {
      const bits = u32be.read(view, offset, length, name)
      return entries.filter(([, bit]) => (bits & bit) !== 0).map(([flag]) => flag)
    },
  }
}

const REG_4_BYTES_FIRST = 8 // NFT_REG32_00
const REGISTERS = 16

/**
 * A register, as the number 0 to 15 of its first four bytes.
 *
 * The kernel has two names for the same memory: NFT_REG_1 to 4 are 16 bytes
 * each, NFT_REG32_00 to 15 are 4. NFT_REG_2 is thus 4 here, and a concatenation
 * continues four bytes further on. Written as the kernel reports it: by the long
 * name where there is one.
 */
export const register: Codec<number> = {
  write(out, value, name) {
    inRange(value, 0, REGISTERS - 1, name)
    out.view.setUint32(
      out.reserve(4),
      value % 4 === 0 ? 1 + value / 4 : REG_4_BYTES_FIRST + value,
      false,
    )
  },
  read(view, offset, length, name) {
    const value = u32be.read(view, offset, length, name)
    if (value >= 1 && value <= 4) return (value - 1) * 4
    const short = value - REG_4_BYTES_FIRST
    if (short >= 0 && short < REGISTERS) return short
    throw new DecodeError(name, offset, 'a data register', value)
  },
}

/** A register, or the one that decides (NFT_REG_VERDICT). */
export const registerOrVerdict: Codec<number | 'verdict'> = {
  write(out, value, name) {
    if (value === 'verdict') out.view.setUint32(out.reserve(4), NFT_REG_VERDICT, false)
    else register.write(out, value, name)
  },
  read: (view, offset, length, name) =>
    u32be.read(view, offset, length, name) === NFT_REG_VERDICT
      ? 'verdict'
      : register.read(view, offset, length, name),
}

const NFT_REG_VERDICT = 0

/** NF_* and NFT_*: what becomes of a packet. Source: netfilter.h and enum nft_verdicts. */
export const VERDICTS = {
  drop: 0,
  accept: 1,
  queue: 3,
  continue: -1,
  break: -2,
  jump: -3,
  goto: -4,
  return: -5,
} as const

/** A verdict by nft's name, and the chain of `jump` and `goto`. */
export interface Verdict {
  readonly verdict: keyof typeof VERDICTS | number
  readonly chain?: string
}

const VERDICT_NAMES = namesOf(VERDICTS)

/** NFTA_VERDICT_*. */
const verdictAttrs = attrTable({
  code: attr(1, s32be), //   NFTA_VERDICT_CODE
  chain: attr(2, string), // NFTA_VERDICT_CHAIN
})
const verdictTable = nested(verdictAttrs)

/** NFTA_DATA_VERDICT's payload. */
export const verdict: Codec<Verdict> = {
  nested: true,
  write(out, { verdict, chain }, name) {
    verdictTable.write(out, { code: numberOf(VERDICTS, verdict, name), chain }, name)
  },
  read(view, offset, length, name) {
    const { code, chain } = verdictTable.read(view, offset, length, name)
    if (code === undefined) throw new DecodeError(name, offset, 'a verdict', 'none')
    const word = VERDICT_NAMES.get(code) ?? code
    return chain === undefined ? { verdict: word } : { verdict: word, chain }
  },
}

/** NFTA_DATA_*: bytes or a verdict. */
export const data = nested(
  attrTable({
    value: attr(1, hexBytes), // NFTA_DATA_VALUE
    verdict: attr(2, verdict), // NFTA_DATA_VERDICT
  }),
)

/** Bytes in an NFTA_DATA_VALUE, as hexadecimal text. */
export const dataValue: Codec<string> = {
  nested: true,
  write: (out, value, name) => data.write(out, { value }, name),
  read(view, offset, length, name) {
    const { value } = data.read(view, offset, length, name)
    if (value === undefined) throw new DecodeError(name, offset, 'a value', 'none')
    return value
  },
}

/** Raw bytes in an NFTA_DATA_VALUE: a set's keys, of which there are many. */
export const dataBytes: Codec<Uint8Array> = {
  nested: true,
  write(out, value) {
    const start = out.beginAttr(1)
    out.append(value)
    out.endAttr(start)
  },
  read(view, offset, length, name) {
    let found: Uint8Array | undefined
    eachAttr(view, offset, offset + length, (type, at, size) => {
      if (type === 1) found = bytesAt(view, at, size).slice()
    })
    if (found === undefined) throw new DecodeError(name, offset, 'a value', 'none')
    return found
  },
}

/** Comments and other notes that the kernel keeps for us: type u8, length u8, bytes, repeated. */
export function readUserdata(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const notes = new Map<number, Uint8Array>()
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + bytes[at + 1]!
    if (end > bytes.length) break // somebody else's format: there is no rule for it
    notes.set(bytes[at]!, bytes.subarray(at + 2, end))
    at = end
  }
  return notes
}

const COMMENT_BYTES_MAX = 128

/** A comment as userdata of `type`: nft's format, with a zero byte at the end. */
export function commentNote(type: number, comment: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${comment}\0`)
  if (comment.includes('\0') || bytes.length > COMMENT_BYTES_MAX) {
    throw new RangeError(
      `Cannot encode comment "${comment.slice(0, 40)}": ${bytes.length - 1} bytes, ` +
        `wanted at most ${COMMENT_BYTES_MAX - 1} without a zero`,
    )
  }
  return Uint8Array.of(type, bytes.length, ...bytes)
}

/** The comment in userdata, or undefined. */
export function noteText(note: Uint8Array | undefined): string | undefined {
  if (note === undefined) return undefined
  const end = note.indexOf(0)
  return new TextDecoder().decode(end < 0 ? note : note.subarray(0, end))
}
