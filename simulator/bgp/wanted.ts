/**
 * What each speaker should know, worked out without any: whose announcements reach
 * whom over the sessions that can be up. For checks.
 *
 * In a fabric a path is taken only by whoever's AS is not on it yet, and the shortest
 * paths are used together; so what every switch knows of a rack is found round by
 * round, beginning at the rack's own switch.
 *
 * @module
 */
import type { NextHop } from '../fabric-routing.ts'
import { groupName } from './fib.ts'
import type { RoutingPlan } from './plan.ts'

/** A path from a switch to a rack. */
interface Path {
  readonly asns: readonly number[]
  readonly hops: readonly NextHop[]
}

export class Wanted {
  private readonly plan: RoutingPlan
  private readonly isPossible: (session: number) => boolean
  private readonly byRack = new Map<number, readonly (Path | undefined)[]>()
  /** Sessions of each speaker. */
  private readonly sessions: readonly (readonly number[])[]
  /** Whom each speaker reflects to. */
  private readonly clients: readonly ReadonlySet<number>[]
  private readonly nears = new Map<number, ReadonlySet<number>>()

  /** @param isPossible Whether nothing keeps a session from being up. */
  constructor(plan: RoutingPlan, isPossible: (session: number) => boolean) {
    this.plan = plan
    this.isPossible = isPossible
    const sessions: number[][] = plan.speakers.map(() => [])
    for (const [session, { ends }] of plan.sessions.entries()) {
      for (const end of ends) sessions[end]?.push(session)
    }
    this.sessions = sessions
    this.clients = plan.speakers.map(({ config }, speaker) => {
      const addresses = new Set(
        config.peers.filter(({ isClient }) => isClient).map(({ address }) => address),
      )
      const others = (sessions[speaker] ?? []).flatMap((session) => {
        const at = plan.sessions[session]
        return at === undefined
          ? []
          : at.ends.filter((_, side) => addresses.has(at.addresses[side]!))
      })
      return new Set(others)
    })
  }

  /** Whether a switch knows what a rack's own switch announces. */
  reaches(device: number, rack: number): boolean {
    return this.pathsTo(rack)[device] !== undefined
  }

  /** Whether a speaker hears what a node announces. */
  hears(speaker: number, node: number): boolean {
    if (speaker === node) return true
    const { plan } = this
    if (!plan.isFabric) return this.hearsInside(speaker, node)
    const rack = plan.speakers[node]?.device ?? -1
    if (!this.near(node).has(plan.nodes + rack)) return false
    const at = plan.speakers[speaker]
    if (at === undefined) return false
    if (at.node === undefined) return this.reaches(at.device, rack)
    // Nodes of a rack share an AS: they do not take each other's paths.
    if (at.device === rack) return false
    return this.near(speaker).has(plan.nodes + at.device) && this.reaches(at.device, rack)
  }

  /** Whether a node has a session with its switch. */
  hearsSwitch(node: number): boolean {
    return this.near(node).size > 0
  }

  /** Sets of equal next hops of a switch, with their sizes. */
  groups(device: number, racks: number): ReadonlyMap<string, number> {
    const groups = new Map<string, number>()
    for (let rack = 0; rack < racks; rack++) {
      const hops = this.hops(device, rack)
      const name = groupName(hops)
      if (name !== undefined) groups.set(name, hops.length)
    }
    return groups
  }

  /** Where a switch sends packets for a rack. */
  hops(device: number, rack: number): readonly NextHop[] {
    return this.pathsTo(rack)[device]?.hops ?? []
  }

  /** From one speaker to another, or over one that reflects: a client to all, others to clients. */
  private hearsInside(speaker: number, node: number): boolean {
    const near = this.near(speaker)
    if (near.has(node)) return true
    for (const middle of near) {
      if (!this.near(middle).has(node)) continue
      const clients = this.clients[middle]
      if (clients?.has(node) === true || clients?.has(speaker) === true) return true
    }
    return false
  }

  /** Speakers that one has sessions with. */
  private near(speaker: number): ReadonlySet<number> {
    const known = this.nears.get(speaker)
    if (known !== undefined) return known
    const near = new Set<number>()
    for (const session of this.sessions[speaker] ?? []) {
      const ends = this.plan.sessions[session]?.ends ?? []
      if (!this.isPossible(session)) continue
      for (const end of ends) if (end !== speaker) near.add(end)
    }
    this.nears.set(speaker, near)
    return near
  }

  private pathsTo(rack: number): readonly (Path | undefined)[] {
    const known = this.byRack.get(rack)
    if (known !== undefined) return known
    const { speakers, sessions, nodes } = this.plan
    const devices = speakers.length - nodes
    const asnOf = (device: number): number => speakers[nodes + device]?.config.asn ?? 0
    const paths: (Path | undefined)[] = Array.from({ length: devices }, () => undefined)
    paths[rack] = { asns: [], hops: [] }
    const links = sessions.flatMap(({ ends, way }, session) =>
      way.kind === 'link' && this.isPossible(session)
        ? [{ link: way.link, ends: ends.map((end) => end - nodes) }]
        : [],
    )
    for (let round = 1; round < devices; round++) {
      const found = new Map<number, { asns: readonly number[]; hops: NextHop[] }>()
      for (const { link, ends } of links) {
        for (const [from = -1, to = -1] of [ends, [...ends].reverse()]) {
          const path = paths[from]
          // Those of the round before: all are as long.
          if (path?.asns.length !== round - 1 || paths[to] !== undefined) continue
          const asns = [asnOf(from), ...path.asns]
          if (asns.includes(asnOf(to))) continue
          const entry = found.get(to) ?? { asns, hops: [] }
          entry.hops.push({ link, device: from })
          found.set(to, entry)
        }
      }
      for (const [device, { asns, hops }] of found) {
        paths[device] = { asns, hops: hops.sort((a, b) => a.link - b.link) }
      }
    }
    this.byRack.set(rack, paths)
    return paths
  }
}
