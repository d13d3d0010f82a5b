/**
 * What the fabric hears of nodes, and when: the place where a routing protocol
 * goes. Two questions, answered by two small parts:
 *
 * - *timers*: how long after a kernel changed the switches hear of it;
 * - *announcer*: what an announcement of a node becomes on each switch: itself, or
 *   wherever the rack is not one's own a summary of the rack, or nothing where the
 *   rack's summary is configured and covers it.
 *
 * @module
 */
import {
  containsPrefix,
  type Ip,
  type Prefix,
  prefixLength,
  prefixOf,
  subPrefixAt,
} from '../src/net/mod.ts'
import { TICKS_PER_MS } from './clock.ts'
import { type Announcement, prefixEntry, type SwitchDevice } from './fabric-device.ts'
import type { Share } from './shares.ts'

/**
 * Timers of the protocol between node and fabric.
 *
 * | name           | waits                                                                | believes a silent peer for |
 * |----------------|----------------------------------------------------------------------|----------------------------|
 * | ideal          | nothing but `announceMs`                                             | no time                    |
 * | frr            | coalesces for 1 000 ms and 50 ms a peer (bgpd/bgp_updgrp.h); MRAI is 0 | 180 s (bgpd/bgpd.h)       |
 * | frr-datacenter | the same                                                             | 9 s (bgpd/bgp_vty.h)       |
 * | calico         | until BIRD scans the kernel, every 2 s (scan time in bird.cfg)        | 240 s (proto/bgp/config.Y) |
 */
export const PROTOCOL_TIMERS = ['ideal', 'frr', 'frr-datacenter', 'calico'] as const
export type ProtocolTimers = (typeof PROTOCOL_TIMERS)[number]

/** A node's only peer is its top-of-rack switch. */
const FRR_COALESCE_TICKS = (1000 + 50) * TICKS_PER_MS
const CALICO_SCAN_TICKS = 2000 * TICKS_PER_MS

const HOLD_TICKS: Readonly<Record<ProtocolTimers, number>> = {
  ideal: 0,
  frr: 180_000 * TICKS_PER_MS,
  'frr-datacenter': 9000 * TICKS_PER_MS,
  calico: 240_000 * TICKS_PER_MS,
}

/** Ticks until what a kernel changed at `tick` is heard. */
export function heardAfter(timers: ProtocolTimers, tick: number, announceTicks: number): number {
  switch (timers) {
    case 'ideal':
      return announceTicks
    case 'frr':
    case 'frr-datacenter':
      return FRR_COALESCE_TICKS + announceTicks
    case 'calico':
      return CALICO_SCAN_TICKS - (tick % CALICO_SCAN_TICKS) + announceTicks
  }
}

/** Ticks until the peers of a node that fell silent give up what it announced. */
export function heldFor(timers: ProtocolTimers, announceTicks: number): number {
  return HOLD_TICKS[timers] + announceTicks
}

/** An entry that some switches want, or do not want any more. */
export interface Told {
  readonly entry: Announcement
  readonly add: boolean
  /** Rack whose own switch is meant (`only`), or is not (`except`); undefined: all switches. */
  readonly rack?: number
  readonly whom?: 'only' | 'except'
}

/** An announcement and the rack that it came from. */
export interface Announced {
  readonly rack: number
  readonly entry: Announcement
}

export interface Announcer {
  /** What switches are told when a node of the rack announces an entry or takes it back. */
  tell(announced: Announced, add: boolean): readonly Told[]
  /** Everything that one switch holds of these, counted anew. */
  held(device: Pick<SwitchDevice, 'rack'>, all: readonly Announced[]): readonly Announcement[]
  /** What every switch holds by configuration, whatever nodes announce. */
  readonly configured?: readonly Announcement[]
}

export const isFor = (device: Pick<SwitchDevice, 'rack'>, { rack, whom }: Told): boolean =>
  whom === undefined || (device.rack === rack) === (whom === 'only')

/** Every switch hears what nodes say. */
export const plainAnnouncer: Announcer = {
  tell: ({ entry }, add) => [{ entry, add }],
  held: (_device, all) => all.map(({ entry }) => entry),
}

/** A rack's own switch hears its nodes; all others hear the fewest prefixes that say the same. */
export function summaryAnnouncer(): Announcer {
  const summaries = new Map<number, Summary>()
  return {
    tell: ({ rack, entry }, add) => {
      if (!isPrefix(entry)) return [{ entry, add }]
      const summary = summaries.get(rack) ?? new Summary()
      summaries.set(rack, summary)
      const prefix = entry.entry as Prefix
      const changes = add ? summary.add(prefix) : summary.remove(prefix)
      return [
        { entry, add, rack, whom: 'only' },
        ...changes.map(
          (change): Told => ({
            entry: prefixEntry(change.prefix),
            add: change.add,
            rack,
            whom: 'except',
          }),
        ),
      ]
    },
    held: (device, all) => {
      const plain = all.filter(({ rack, entry }) => rack === device.rack || !isPrefix(entry))
      const racks = new Set(all.map(({ rack }) => rack))
      const others = [...racks].filter((rack) => rack !== device.rack)
      const summed = others.flatMap((rack) => {
        const own = all.filter((each) => each.rack === rack && isPrefix(each.entry))
        return summarised(own.map(({ entry }) => entry.entry as Prefix)).map(prefixEntry)
      })
      return [...plain.map(({ entry }) => entry), ...summed]
    },
  }
}

/**
 * Every switch knows which part of the pools is whose rack's, by configuration. A rack's
 * own switch hears its nodes; all others only what lies outside of the rack's part.
 */
export function staticAnnouncer(shares: readonly Share[]): Announcer {
  const isCovered = ({ rack, entry }: Announced): boolean =>
    shares.some(
      (share) => share.rack === rack && containsPrefix(share.prefix, entry.entry as Prefix),
    )
  return {
    configured: shares.map(({ prefix }) => prefixEntry(prefix)),
    tell: (announced, add) => {
      const { rack, entry } = announced
      return [isCovered(announced) ? { entry, add, rack, whom: 'only' } : { entry, add }]
    },
    held: (device, all) =>
      all
        .filter((announced) => announced.rack === device.rack || !isCovered(announced))
        .map(({ entry }) => entry),
  }
}

const isPrefix = ({ table }: Announcement): boolean => table === 'lpm' || table === 'lpm6'

interface SummaryChange {
  readonly prefix: Prefix
  readonly add: boolean
}

/** The fewest prefixes that hold the same addresses as some that do not overlap, kept up to date. */
export class Summary {
  /** Every prefix of which each address is held: what was added, and what it fills together. */
  private readonly full = new Set<Prefix>()

  /** What the summary gains and loses; the gain comes first. */
  add(prefix: Prefix): readonly SummaryChange[] {
    if (this.full.has(prefix)) return []
    const merged: SummaryChange[] = []
    let top = prefix
    this.full.add(top)
    for (;;) {
      const [parent, sibling] = familyOf(top)
      if (sibling === undefined || !this.full.has(sibling)) break
      merged.push({ prefix: sibling, add: false })
      top = parent
      this.full.add(top)
    }
    return [{ prefix: top, add: true }, ...merged]
  }

  remove(prefix: Prefix): readonly SummaryChange[] {
    if (!this.full.delete(prefix)) return []
    const split: SummaryChange[] = []
    let top = prefix
    for (;;) {
      const [parent, sibling] = familyOf(top)
      if (sibling === undefined || !this.full.delete(parent)) break
      split.push({ prefix: sibling, add: true })
      top = parent
    }
    return [...split, { prefix: top, add: false }]
  }
}

/** The prefix around one, and the other half of it; no half for what has no bits. */
function familyOf(prefix: Prefix): readonly [parent: Prefix, sibling: Prefix | undefined] {
  const length = prefixLength(prefix)
  if (length === 0) return [prefix, undefined]
  const parent = prefixOf(prefix.slice(0, prefix.indexOf('/')) as Ip, length - 1)
  const first = subPrefixAt(parent, length, 0n)
  return [parent, first === prefix ? subPrefixAt(parent, length, 1n) : first]
}

/** The same from nothing: halves are joined until none are left. */
export function summarised(prefixes: readonly Prefix[]): readonly Prefix[] {
  const left = new Set(prefixes)
  for (let joined = true; joined; ) {
    joined = false
    for (const prefix of left) {
      const [parent, sibling] = familyOf(prefix)
      if (sibling === undefined || !left.has(sibling)) continue
      left.delete(prefix)
      left.delete(sibling)
      left.add(parent)
      joined = true
    }
  }
  return [...left]
}
