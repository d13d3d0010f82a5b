/**
 * Words of messages that more than one part of the product needs.
 *
 * @module
 */

/** `1 block`, `3 blocks`. @param tell How the number itself is written. */
export function counted<N extends number | bigint>(
  number: N,
  one: string,
  tell: (number: N) => string = String,
): string {
  return `${tell(number)} ${BigInt(number) === 1n ? one : pluralOf(one)}`
}

/** The nouns that we count; not English at large. */
function pluralOf(one: string): string {
  return /(s|sh|ch|x)$/.test(one) ? `${one}es` : `${one}s`
}
