/**
 * What became of a network's pools in the longest window that is known whole.
 *
 * Cost: every remembered release and the text of every attachment once; none is kept.
 *
 * @module
 */
import type { Ip, Prefix } from '../src/net/mod.ts'
import { attachmentAge } from './attachment-words.ts'
import { HISTORY_MAX } from './history.ts'
import { keys } from './keys.ts'
import { poolFinder } from './pool-finder.ts'
import type { NetworkRecord } from './records.ts'
import { type Reader, scan, texts } from './store.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
/** From the longest; the first that is known whole is used. */
const WINDOWS_MS = [30 * DAY_MS, 7 * DAY_MS, DAY_MS] as const

/** One pool's. */
export interface Past {
  /** Since when everything is known. */
  readonly pastMs: number
  /** How much of that is looked at. */
  readonly windowMs: number
  /** How often an address was taken or given up in the window. */
  readonly changes: number
  /** How many more were taken than given up. */
  readonly grown: number
}

type Tally = { -readonly [name in keyof Past]: Past[name] }

/** By pool. */
export function pastOf(
  reader: Reader,
  network: NetworkRecord,
  nowMs: number,
): ReadonlyMap<Prefix, Past> {
  const { name, pools, createdMs } = network
  const poolOf = poolFinder(pools)
  const { steps, rings } = remembered(reader, name, nowMs)
  const starts = pools.map(() => createdMs)
  for (const { count, oldestMs, ip } of rings) {
    const place = poolOf(ip)
    // A full ring has forgotten what was before.
    if (count >= HISTORY_MAX && place >= 0) starts[place] = Math.max(starts[place]!, oldestMs)
  }
  const tallies = starts.map((startMs): Tally => {
    const pastMs = nowMs - startMs
    const windowMs = WINDOWS_MS.find((each) => each <= pastMs) ?? pastMs
    return { pastMs, windowMs, changes: 0, grown: 0 }
  })
  const count = ({ ip, ms, by }: Step): void => {
    if (!isRecent(ms, nowMs)) return
    const tally = tallies[poolOf(ip)]
    if (tally === undefined || ms <= nowMs - tally.windowMs) return
    tally.changes++
    tally.grown += by
  }
  for (const step of steps) count(step)
  const nodes = new Set([...reader.range(keys.claims(name))].map(([, { node }]) => node))
  for (const node of nodes) {
    texts(reader, keys.networkAttachments(node, name), (text) => {
      const { addedMs: ms, ips } = attachmentAge(text)
      for (const ip of ips) count({ ip, ms, by: 1 })
    })
  }
  return new Map(pools.map(({ cidr }, place) => [cidr, tallies[place]!]))
}

/** When an address was taken or given up. */
interface Step {
  readonly ip: Ip
  readonly ms: number
  readonly by: 1 | -1
}

/** No window begins before. */
const isRecent = (ms: number, nowMs: number): boolean => ms > nowMs - WINDOWS_MS[0] && ms <= nowMs

interface Ring {
  count: number
  oldestMs: number
  readonly ip: Ip
}

function remembered(
  reader: Reader,
  network: string,
  nowMs: number,
): { readonly steps: readonly Step[]; readonly rings: Iterable<Ring> } {
  const steps: Step[] = []
  const rings = new Map<string, Ring>()
  for (const [key, { ip, fromMs, toMs }] of scan(reader, keys.networkHistory(network))) {
    if (isRecent(fromMs, nowMs)) steps.push({ ip, ms: fromMs, by: 1 })
    if (isRecent(toMs, nowMs)) steps.push({ ip, ms: toMs, by: -1 })
    const name = key.slice(0, key.lastIndexOf('/'))
    const ring = rings.get(name)
    if (ring === undefined) rings.set(name, { count: 1, oldestMs: toMs, ip })
    else {
      ring.count++
      ring.oldestMs = Math.min(ring.oldestMs, toMs)
    }
  }
  return { steps, rings: rings.values() }
}
