/**
 * What is said of a prefix, as a small number: how it came to whom says it. Its owner
 * is known, so that is all that is different between two announcements of it.
 *
 * @module
 */

export const WITHDRAWN = 0
/** Its owner says it. */
export const OWN = 1
/** One that reflects says it, and has it from the owner. */
export const DIRECT = 2
/** One that reflects says it, and has it from another one, whose place is added. */
export const VIA = 3

/** ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF. Source: RFC 4271 section 5. */
const PLAIN_OCTETS = 4 + 3 + 7 + 7
/** ORIGINATOR_ID, and CLUSTER_LIST without clusters. Source: RFC 4456 section 8. */
const REFLECTED_OCTETS = 7 + 3
const CLUSTER_OCTETS = 4

/** Length of the cluster list. @param isViaOwner The other one is the owner itself. */
export function clustersOf(variant: number, isViaOwner: boolean): number {
  if (variant <= OWN) return 0
  return variant === DIRECT || isViaOwner ? 1 : 2
}

export function attributeOctets(variant: number, isViaOwner: boolean): number {
  if (variant === OWN) return PLAIN_OCTETS
  const clusters = clustersOf(variant, isViaOwner)
  return PLAIN_OCTETS + REFLECTED_OCTETS + CLUSTER_OCTETS * clusters
}

/** Of how many of the first prefixes something is said. */
export function said(column: Uint8Array, count: number): number {
  let sum = 0
  for (let prefix = 0; prefix < count; prefix++) if (column[prefix] !== WITHDRAWN) sum++
  return sum
}
