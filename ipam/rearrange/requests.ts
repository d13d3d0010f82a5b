/**
 * What a person asks for: one pool in halves, several as one, one of another size.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import {
  ADDRESS_BITS,
  compareIp,
  containsPrefix,
  networkAddress,
  type Prefix,
  prefixFamily,
  prefixLength,
  prefixOf,
  subPrefixAt,
} from '../../src/net/mod.ts'
import { keys } from '../keys.ts'
import type { NetworkRecord, Pool } from '../records.ts'
import type { Reader } from '../store.ts'
import { type PoolsPlan, planPools } from './plan.ts'

/** Beyond, every allocation would look at too many. */
const PARTS_MAX = 256

/**
 * One pool as `parts` equal ones, a power of two, each with its rack and namespaces.
 *
 * @throws {TriviumError} NOT_FOUND, BAD_CONFIG
 */
export function planSplit(
  reader: Reader,
  cidr: Prefix,
  parts: number,
  nowMs: number,
  inCluster = false,
): PoolsPlan {
  const { network, pool } = poolOf(reader, cidr, 'split')
  const bits = Math.log2(parts)
  if (!Number.isInteger(bits) || bits < 1 || parts > PARTS_MAX) {
    throw bad(`split pool ${cidr}`, `${parts} parts`, `2, 4, 8 and so on to ${PARTS_MAX}`)
  }
  const length = prefixLength(cidr) + bits
  if (length > pool.blockLength) {
    const found = `its blocks are /${pool.blockLength}, its parts would be /${length}`
    const hint = `First make the blocks smaller: trivium ipam resize ${cidr} --block-length ${length}`
    throw bad(`split pool ${cidr}`, found, 'parts that hold a block', hint)
  }
  if (pool.gateway !== undefined) {
    const found = `pods reach the world by ${pool.gateway}, which would be in one part only`
    throw bad(`split pool ${cidr}`, found, 'a pool without a gateway')
  }
  const after = Array.from({ length: parts }, (_, index): Pool => {
    return { ...pool, cidr: subPrefixAt(cidr, length, BigInt(index)) }
  })
  return planPools(reader, network, { before: [cidr], after, nowMs, inCluster })
}

/**
 * Pools that lie side by side as one.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG where they are no prefix together, or differ.
 */
export function planMerge(
  reader: Reader,
  cidrs: readonly Prefix[],
  nowMs: number,
  inCluster = false,
): PoolsPlan {
  const before = [...new Set(cidrs)].sort((a, b) => compareIp(networkAddress(a), networkAddress(b)))
  const names = before.join(' and ')
  const found = before.map((cidr) => poolOf(reader, cidr, 'merge'))
  const [one, ...others] = found
  if (one === undefined || others.length === 0) {
    throw bad('merge pools', `${before.length}`, 'at least two')
  }
  const { network, pool } = one
  const whole = wholeOf(before)
  if (whole === undefined) {
    throw bad(`merge ${names}`, 'together they are no prefix', 'neighbours like .0/17 and .128/17')
  }
  for (const other of others) {
    if (other.network.name !== network.name) {
      const what = `networks ${network.name} and ${other.network.name}`
      throw bad(`merge ${names}`, `they are of ${what}`, 'pools of one network')
    }
    const [ours, theirs] = [settingsOf(pool), settingsOf(other.pool)]
    if (ours !== theirs) throw bad(`merge ${names}`, `${ours} and ${theirs}`, 'the same settings')
  }
  return planPools(reader, network, { before, after: [{ ...pool, cidr: whole }], nowMs, inCluster })
}

/** The prefix that sorted prefixes fill exactly; undefined when there is none. */
function wholeOf(cidrs: readonly Prefix[]): Prefix | undefined {
  const [one] = cidrs
  if (one === undefined) return undefined
  const family = prefixFamily(one)
  if (cidrs.some((cidr) => prefixFamily(cidr) !== family)) return undefined
  const bits = ADDRESS_BITS[family]
  const sizes = cidrs.map((cidr) => 1n << BigInt(bits - prefixLength(cidr)))
  const total = sizes.reduce((sum, size) => sum + size, 0n)
  const length = bits - (total.toString(2).length - 1)
  const whole = prefixOf(networkAddress(one), Math.max(0, length))
  // Separate pools of this size within it leave nothing out.
  const isFull = total === 1n << BigInt(bits - prefixLength(whole))
  return isFull && cidrs.every((cidr) => containsPrefix(whole, cidr)) ? whole : undefined
}

const settingsOf = ({ cidr: _cidr, ...settings }: Pool): string =>
  JSON.stringify(Object.fromEntries(Object.entries(settings).sort()))

/**
 * A pool with another prefix, around it or within it, or with other blocks.
 *
 * @throws {TriviumError} NOT_FOUND, BAD_CONFIG, CONFLICT
 */
export function planResize(
  reader: Reader,
  cidr: Prefix,
  wanted: { readonly cidr?: Prefix; readonly blockLength?: number },
  nowMs: number,
  inCluster = false,
): PoolsPlan {
  const { network, pool } = poolOf(reader, cidr, 'resize')
  const next = wanted.cidr ?? cidr
  if (!containsPrefix(cidr, next) && !containsPrefix(next, cidr)) {
    throw bad(`resize pool ${cidr}`, `${next} is elsewhere`, 'a prefix around it or within it')
  }
  const blockLength = wanted.blockLength ?? Math.max(pool.blockLength, prefixLength(next))
  if (next === cidr && blockLength === pool.blockLength) {
    const found = `it is ${cidr} with blocks of /${blockLength}`
    throw bad(`resize pool ${cidr}`, found, 'another prefix or block length')
  }
  const after = [{ ...pool, cidr: next, blockLength }]
  return planPools(reader, network, { before: [cidr], after, nowMs, inCluster })
}

function poolOf(
  reader: Reader,
  cidr: Prefix,
  verb: string,
): { readonly network: NetworkRecord; readonly pool: Pool } {
  const all: Prefix[] = []
  for (const [, network] of reader.range(keys.networks)) {
    const pool = network.pools.find((each) => each.cidr === cidr)
    if (pool?.floating === true) {
      const hint = `Create another one: trivium ipam pool create CIDR --floating --network ${network.name}`
      throw bad(`${verb} pool ${cidr}`, 'it is floating', 'a pool of blocks', hint)
    }
    if (pool !== undefined) return { network, pool }
    all.push(...network.pools.map((each) => each.cidr))
  }
  const known = all.length === 0 ? 'there are none' : `there is ${all.join(', ')}`
  throw new TriviumError('NOT_FOUND', `Cannot ${verb} pool ${cidr}: ${known}`)
}

const bad = (what: string, found: string, wanted: string, hint = ''): TriviumError =>
  new TriviumError('BAD_CONFIG', `Cannot ${what}: ${found}, wanted ${wanted}`, hint)
