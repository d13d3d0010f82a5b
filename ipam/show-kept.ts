/**
 * How many addresses are kept from just any pod: reserved for one, or excluded,
 * and nobody's now.
 *
 * @module
 */
import {
  containsIp,
  containsPrefix,
  type Ip,
  ipFamily,
  ipToInteger,
  networkAddress,
  type Prefix,
  prefixesOverlap,
  prefixFamily,
  prefixSize,
} from '../src/net/mod.ts'
import { keys } from './keys.ts'
import type { NetworkRecord } from './records.ts'
import type { Reader } from './store.ts'

/**
 * Counts in a pool or a block of the network. Reads the reservations once, and
 * the addresses where ranges are excluded.
 */
export function keptCounter(
  reader: Reader,
  { name, exclusions = [] }: NetworkRecord,
): (cidr: Prefix) => bigint {
  const ranges = exclusions.filter(
    (one) => !exclusions.some((other) => other !== one && containsPrefix(other, one)),
  )
  const isExcluded = (ip: Ip): boolean => ranges.some((range) => containsIp(range, ip))
  const reserved: Ip[] = []
  for (const [, { ip }] of reader.range(keys.reservations(name))) {
    const isHeld = reader.get(keys.address(name, ip)) !== undefined
    if (!isHeld && !isExcluded(ip)) reserved.push(ip)
  }
  const held: Ip[] = []
  if (ranges.length > 0) {
    for (const [, { ip }] of reader.range(keys.addresses(name))) if (isExcluded(ip)) held.push(ip)
  }
  const reservedIn = rangeCounter(reserved)
  const heldIn = rangeCounter(held)
  return (cidr) => {
    let kept = reservedIn(cidr)
    for (const range of ranges) {
      if (!prefixesOverlap(range, cidr)) continue
      const both = containsPrefix(cidr, range) ? range : cidr
      kept += prefixSize(both) - heldIn(both)
    }
    return kept
  }
}

/** How many of some addresses lie in a prefix, by halving: there may be thousands of blocks. */
function rangeCounter(ips: readonly Ip[]): (cidr: Prefix) => bigint {
  const sorted = { 4: [] as bigint[], 6: [] as bigint[] }
  for (const ip of ips) sorted[ipFamily(ip)].push(ipToInteger(ip))
  for (const all of Object.values(sorted)) all.sort((a, b) => (a < b ? -1 : 1))
  return (cidr) => {
    const all = sorted[prefixFamily(cidr)]
    const start = ipToInteger(networkAddress(cidr))
    return BigInt(placeOf(all, start + prefixSize(cidr)) - placeOf(all, start))
  }
}

/** How many are below `value`. */
function placeOf(all: readonly bigint[], value: bigint): number {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (all[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
