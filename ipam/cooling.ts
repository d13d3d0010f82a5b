/**
 * Cool-down: an address that a pod gave up rests before another pod gets it,
 * because caches, connection tracking and clients still know the old one.
 *
 * What cools is a list in the record of its block, in order of release. An
 * allocation and a release write that record anyway, so cool-down costs neither
 * a read nor a write more; entries whose time is over go at the next write.
 *
 * @module
 */
import { addressAt, type Ip, type Mac, offsetIn, prefixSize } from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import type { AddressRecord, BlockUse, CooledAddress, NetworkRecord } from './records.ts'

type Cooldown = Pick<NetworkRecord['options'], 'cooldownSeconds'>

/** Unless the network says otherwise. */
export const COOLDOWN_SECONDS = 60

/**
 * Addresses of one block that may cool at once. In a larger block the ones that
 * cool longest are forgotten beyond that; the cursor still passes all others first.
 */
export const COOLING_MAX = 1024

export const cooldownMs = ({ options }: { readonly options: Cooldown }): number =>
  (options.cooldownSeconds ?? COOLDOWN_SECONDS) * 1000

/**
 * Addresses of the block that cool at `nowMs`, in order of release. A clock that
 * was put back lengthens a cool-down at most to twice its time.
 */
export function coolingIn(
  network: NetworkRecord,
  { cooling = NONE }: BlockUse,
  nowMs: number,
): readonly CooledAddress[] {
  if (cooling.length === 0) return cooling
  const spanMs = cooldownMs(network)
  const cools = ({ sinceMs }: CooledAddress): boolean =>
    nowMs < sinceMs + spanMs && sinceMs <= nowMs + spanMs
  return cooling.every(cools) ? cooling : cooling.filter(cools)
}

/** What the block's list rightly holds: places of it that nobody has, each once. */
export function restingIn(
  { cidr, cooling = [] }: BlockUse,
  isHeld: (ip: Ip) => boolean,
): readonly CooledAddress[] {
  const size = Number(prefixSize(cidr))
  const seen = new Set<number>()
  return cooling.filter(({ offset }) => {
    if (!Number.isInteger(offset) || offset < 0 || offset >= size) return false
    if (seen.has(offset) || isHeld(addressAt(cidr, BigInt(offset)))) return false
    seen.add(offset)
    return true
  })
}

/** The block whose list holds `cooling` and no more. */
export function resting(use: BlockUse, cooling: readonly CooledAddress[]): BlockUse {
  if (cooling === use.cooling) return use
  if (cooling.length > 0) return { ...use, cooling }
  const { cooling: _before, ...rest } = use
  return rest
}

const NONE: readonly CooledAddress[] = []

/** The same as places in the block, for loops that ask for each. */
export function offsetsOf(cooling: readonly CooledAddress[]): ReadonlySet<number> {
  let found = offsets.get(cooling)
  if (found === undefined) {
    found = new Set(cooling.map(({ offset }) => offset))
    offsets.set(cooling, found)
  }
  return found
}

/** A list stays the same until the next release in its block. */
const offsets = new WeakMap<readonly CooledAddress[], ReadonlySet<number>>()

/** The block after `address` was given up, without what need not cool any longer. */
export function cooled(
  network: NetworkRecord,
  use: BlockUse,
  address: AddressRecord,
  nowMs: number,
): BlockUse {
  if (cooldownMs(network) === 0) return resting(use, [])
  const offset = Number(offsetIn(use.cidr, address.ip))
  const cooling = without(coolingIn(network, use, nowMs), offset).slice(1 - COOLING_MAX)
  cooling.push({ offset, sinceMs: nowMs })
  return resting(use, cooling)
}

/** The list itself where the place is not in it. */
const without = (cooling: readonly CooledAddress[], offset: number): readonly CooledAddress[] =>
  cooling.some((each) => each.offset === offset)
    ? cooling.filter((each) => each.offset !== offset)
    : cooling

/** The block after somebody else was found to have one of its addresses: it rests, too. */
export function takenByOther(
  network: NetworkRecord,
  use: BlockUse,
  ip: Ip,
  taken: Mac,
  nowMs: number,
): BlockUse {
  const offset = Number(offsetIn(use.cidr, ip))
  const others = without(coolingIn(network, use, nowMs), offset)
  return resting(use, [...others.slice(1 - COOLING_MAX), { offset, sinceMs: nowMs, taken }])
}

/** The block after the address at `offset` was given to somebody. */
export function warmed(
  network: NetworkRecord,
  use: BlockUse,
  offset: number,
  nowMs: number,
): BlockUse {
  if (use.cooling === undefined) return use
  return resting(use, without(coolingIn(network, use, nowMs), offset))
}

/** The address that cools longest, of several blocks; undefined when none does. */
export function longestCooling(
  network: NetworkRecord,
  blocks: readonly BlockUse[],
  nowMs: number,
  isClosed: (use: BlockUse, offset: number) => boolean,
): { readonly use: BlockUse; readonly offset: number } | undefined {
  let found:
    | { readonly use: BlockUse; readonly offset: number; readonly sinceMs: number }
    | undefined
  for (const use of blocks) {
    for (const { offset, sinceMs } of coolingIn(network, use, nowMs)) {
      if (found !== undefined && sinceMs >= found.sinceMs) continue
      if (!isClosed(use, offset)) found = { use, offset, sinceMs }
    }
  }
  return found
}

/** When an address is free again, in words. */
export const restWords = (
  network: NetworkRecord,
  { sinceMs }: CooledAddress,
  nowMs: number,
): string => `free in ${Math.ceil((sinceMs + cooldownMs(network) - nowMs) / 1000)} s`

/** What cools in the blocks, as the end of a sentence; empty when nothing does. */
export function restingWords(
  network: NetworkRecord,
  blocks: readonly BlockUse[],
  nowMs: number,
): string {
  const cooling = blocks.flatMap((use) => coolingIn(network, use, nowMs))
  const [one] = cooling.toSorted((a, b) => a.sinceMs - b.sinceMs)
  if (one === undefined) return ''
  return `, ${counted(cooling.length, 'more address')} cooling down (the first ${restWords(network, one, nowMs)})`
}
