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
 * Counts in a pool or a block of the network. Reads the reservations once and,
 * where ranges are excluded, the blocks in them; no address of a block that lies in one whole.
 */
export function keptCounter(reader: Reader, network: NetworkRecord): (cidr: Prefix) => bigint {
  const { name, exclusions = [] } = network
  const ranges = exclusions.filter(
    (one) => !exclusions.some((other) => other !== one && containsPrefix(other, one)),
  )
  const isExcluded = (ip: Ip): boolean => ranges.some((range) => containsIp(range, ip))
  const reserved: Held[] = []
  for (const [, { ip }] of reader.range(keys.reservations(name))) {
    const isHeld = reader.get(keys.address(name, ip)) !== undefined
    if (!isHeld && !isExcluded(ip)) reserved.push({ ip, count: 1 })
  }
  const reservedIn = rangeCounter(reserved)
  const heldIn = rangeCounter(heldInRanges(reader, name, ranges))
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

/** How many addresses are held: of a block, at its start, or one. */
interface Held {
  readonly ip: Ip
  readonly count: number
}

function* heldInRanges(
  reader: Reader,
  network: string,
  ranges: readonly Prefix[],
): Generator<Held> {
  if (ranges.length === 0) return
  const parts = new Set<Prefix>()
  for (const [, { node, cidr }] of reader.range(keys.claims(network))) {
    for (const range of ranges) {
      if (!prefixesOverlap(range, cidr)) continue
      if (!containsPrefix(range, cidr)) parts.add(range)
      else {
        const count = reader.get(keys.use(node, network, cidr))?.used ?? 0
        yield { ip: networkAddress(cidr), count }
      }
    }
  }
  for (const part of parts) {
    const family = prefixFamily(part)
    const start = ipToInteger(networkAddress(part))
    for (let at = start; at < start + prefixSize(part); at++) {
      const address = reader.get(keys.addressAt(network, family, at))
      if (address !== undefined) yield { ip: address.ip, count: 1 }
    }
  }
}

/** How many of some addresses lie in a prefix, by halving: there may be thousands of blocks. */
function rangeCounter(all: Iterable<Held>): (cidr: Prefix) => bigint {
  const sorted = { 4: [] as Place[], 6: [] as Place[] }
  for (const { ip, count } of all) sorted[ipFamily(ip)].push({ at: ipToInteger(ip), upTo: count })
  for (const places of Object.values(sorted)) {
    places.sort((a, b) => (a.at < b.at ? -1 : 1))
    let sum = 0
    for (const place of places) {
      sum += place.upTo
      place.upTo = sum
    }
  }
  return (cidr) => {
    const places = sorted[prefixFamily(cidr)]
    const start = ipToInteger(networkAddress(cidr))
    return BigInt(heldBelow(places, start + prefixSize(cidr)) - heldBelow(places, start))
  }
}

interface Place {
  readonly at: bigint
  /** Of all places up to this one. */
  upTo: number
}

function heldBelow(places: readonly Place[], value: bigint): number {
  let [low, high] = [0, places.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (places[middle]!.at < value) low = middle + 1
    else high = middle
  }
  return places[low - 1]?.upTo ?? 0
}
