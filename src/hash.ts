/**
 * A stable 64-bit hash of text, for names and seeds; not for security.
 *
 * Two 32-bit lanes of multiply-xor rounds with MurmurHash3's finalizer
 * (Austin Appleby, public domain). The result never changes: link names and
 * MAC addresses on running nodes depend on it.
 *
 * @module
 */

/** The hash as two unsigned 32-bit halves. */
export function hash64(text: string, seed = 0): readonly [high: number, low: number] {
  let a = 0x9e3779b9 ^ seed
  let b = 0x85ebca6b ^ seed
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = Math.imul(a ^ unit, 0x9e3779b1)
    b = Math.imul(b ^ unit, 0x5f356495)
    a ^= b >>> 15
    b ^= a >>> 13
  }
  return [finalize(a ^ (b >>> 1)), finalize(b ^ text.length)]
}

/** The first `digits` (at most 16) hexadecimal digits of the hash. */
export function hashHex(text: string, digits: number): string {
  const [high, low] = hash64(text)
  const hex = high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
  return hex.slice(0, digits)
}

function finalize(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
