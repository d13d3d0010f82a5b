/**
 * What switches forward by: next hops of the prefixes that their speakers chose, and
 * the sets of equal ones, which hardware keeps as groups.
 *
 * @module
 */
import type { Ip, Prefix } from '../../src/net/mod.ts'
import type { NextHop } from '../fabric-routing.ts'
import type { RoutingPlan } from './plan.ts'

/** A set of equal next hops that came or went, and its size. */
export interface GroupChange {
  readonly name: string
  readonly size: number
  readonly add: boolean
}

interface Way {
  readonly hops: readonly NextHop[]
  readonly group: string | undefined
}

export const groupName = (hops: readonly NextHop[]): string | undefined =>
  hops.length < 2 ? undefined : `group ${hops.map(({ link }) => link).join(' ')}`

export class SwitchFib {
  /** By device. */
  private readonly ways: readonly Map<Prefix, Way>[]
  /** Prefixes that use a group, by device. */
  private readonly users: readonly Map<string, number>[]
  /** What an address is on a device: the other end of one of its links. */
  private readonly links: readonly ReadonlyMap<Ip, NextHop>[]

  constructor({ sessions, speakers, nodes }: RoutingPlan) {
    const devices = speakers.length - nodes
    const links = Array.from({ length: devices }, () => new Map<Ip, NextHop>())
    for (const { ends, ips, way } of sessions) {
      if (way.kind !== 'link') continue
      for (const side of [0, 1] as const) {
        const other = ends[1 - side]! - nodes
        for (const ip of ips[1 - side] ?? []) {
          links[ends[side] - nodes]?.set(ip, { link: way.link, device: other })
        }
      }
    }
    this.links = links
    this.ways = links.map(() => new Map())
    this.users = links.map(() => new Map())
  }

  /** Where packets of a prefix may go; none: into the switch's own rack, or nowhere. */
  hops(device: number, prefix: Prefix): readonly NextHop[] {
    return this.ways[device]?.get(prefix)?.hops ?? []
  }

  prefixes(device: number): readonly Prefix[] {
    return [...(this.ways[device]?.keys() ?? [])]
  }

  /** Another choice. */
  set(device: number, prefix: Prefix, nextHops: readonly Ip[]): readonly GroupChange[] {
    const ways = this.ways[device]
    const links = this.links[device]
    if (ways === undefined || links === undefined) return []
    const before = ways.get(prefix)
    if (nextHops.length === 0) {
      ways.delete(prefix)
      return this.use(device, before, undefined)
    }
    const hops = nextHops.flatMap((ip) => links.get(ip) ?? []).sort((a, b) => a.link - b.link)
    const way = { hops, group: groupName(hops) }
    ways.set(prefix, way)
    return this.use(device, before, way)
  }

  private use(
    device: number,
    before: Way | undefined,
    after: Way | undefined,
  ): readonly GroupChange[] {
    const users = this.users[device]
    if (users === undefined || before?.group === after?.group) return []
    const changes: GroupChange[] = []
    if (after?.group !== undefined) {
      const count = users.get(after.group) ?? 0
      users.set(after.group, count + 1)
      const size = after.hops.length
      if (count === 0) changes.push({ name: after.group, size, add: true })
    }
    if (before?.group !== undefined) {
      const count = users.get(before.group) ?? 0
      if (count > 1) users.set(before.group, count - 1)
      else {
        users.delete(before.group)
        changes.push({ name: before.group, size: before.hops.length, add: false })
      }
    }
    return changes
  }
}
