/**
 * UPDATE messages that leave together. Most are about one prefix: those need no lists.
 *
 * @module
 */

const NO_PREFIXES = new Int32Array(0)
const NO_VARIANTS = new Uint8Array(0)

/** Announced and withdrawn prefixes, in their order; several connections may carry the same one. */
export class Piece {
  readonly kind = 'update'
  readonly octets: number
  readonly messages: number
  readonly count: number
  /** Everything was said (RFC 4724). */
  readonly isEndOfRib: boolean
  private readonly prefix: number
  private readonly variant: number
  private readonly prefixes: Int32Array
  private readonly variants: Uint8Array

  private constructor(
    ...[octets, messages, count, prefix, variant, prefixes, variants]: readonly [
      octets: number,
      messages: number,
      count: number,
      prefix: number,
      variant: number,
      prefixes: Int32Array,
      variants: Uint8Array,
    ]
  ) {
    this.octets = octets
    this.messages = messages
    this.count = count
    this.isEndOfRib = count === 0
    this.prefix = prefix
    this.variant = variant
    this.prefixes = prefixes
    this.variants = variants
  }

  static endOfRib(octets: number): Piece {
    return new Piece(octets, 1, 0, 0, 0, NO_PREFIXES, NO_VARIANTS)
  }

  static ofOne(octets: number, prefix: number, variant: number): Piece {
    return new Piece(octets, 1, 1, prefix, variant, NO_PREFIXES, NO_VARIANTS)
  }

  /** Takes the first `count` of both lists, as copies. */
  static ofMany(
    { octets, messages, count }: { octets: number; messages: number; count: number },
    prefixes: Int32Array,
    variants: Uint8Array,
  ): Piece {
    return new Piece(
      octets,
      messages,
      count,
      0,
      0,
      prefixes.slice(0, count),
      variants.slice(0, count),
    )
  }

  prefixAt(at: number): number {
    return this.count === 1 ? this.prefix : this.prefixes[at]!
  }

  /** What is said of it; 0: withdrawn. See `variants.ts`. */
  variantAt(at: number): number {
    return this.count === 1 ? this.variant : this.variants[at]!
  }
}
