/**
 * Which pool an address is of, for reports that ask it of every address there is.
 *
 * @module
 */
import { containsIp, type Ip, networkAddress, prefixLength } from '../src/net/mod.ts'
import type { Pool } from './records.ts'

/** Answers the pool's place in `pools`, -1 outside of all. */
export function poolFinder(pools: readonly Pick<Pool, 'cidr'>[]): (ip: Ip) => number {
  const starts: number[] = []
  const ends: number[] = []
  const others: (readonly [number, Pick<Pool, 'cidr'>])[] = []
  for (const [place, pool] of pools.entries()) {
    const isV4 = !pool.cidr.includes(':')
    const start = isV4 ? integerV4(networkAddress(pool.cidr)) : 0
    starts.push(start)
    ends.push(isV4 ? start + 2 ** (32 - prefixLength(pool.cidr)) : 0)
    if (!isV4) others.push([place, pool])
  }
  return (ip) => {
    if (ip.includes(':')) return others.find(([, { cidr }]) => containsIp(cidr, ip))?.[0] ?? -1
    const integer = integerV4(ip)
    for (let place = 0; place < starts.length; place++) {
      if (integer >= starts[place]! && integer < ends[place]!) return place
    }
    return -1
  }
}

const [ZERO, DOT] = ['0'.charCodeAt(0), '.'.charCodeAt(0)]

/** Of a dotted quad that was looked at when it was written: a tenth of the time of `ipToInteger`. */
function integerV4(ip: string): number {
  let [integer, part] = [0, 0]
  for (let at = 0; at < ip.length; at++) {
    const code = ip.charCodeAt(at)
    if (code !== DOT) {
      part = part * 10 + code - ZERO
      continue
    }
    integer = integer * 256 + part
    part = 0
  }
  return integer * 256 + part
}
