/**
 * Switches in columns: what each holds before there is any node, then the shared
 * list of what nodes announced, of which every switch has heard the same and written as
 * much as its rate allows. Nothing is ever taken back, so a table is a stretch of that list.
 *
 * Switches are one group that hold as many entries of each table from the start: they
 * hear the same list at the same moments through a queue of the same rate, so from then
 * on their counters and clocks are the same to the last tick. What each held before
 * is its own. Where speakers tell them, they are one group for as long as they are told
 * the same at the same moments: who is told something else leaves it with a list that
 * begins as the others' does.
 *
 * @module
 */
import type { SwitchTable } from '../profiles.ts'
import type { Plan } from './accept.ts'
import { podOf } from './announcements.ts'
import { EntryNames, type EntrySources } from './entry-names.ts'
import { Bits } from './growing.ts'
import { HeardLog } from './heard-log.ts'
import { InitialTables, OWN_TABLES, type OwnTable, type Stretch, totalOf } from './initial.ts'
import type { Places } from './places.ts'
import { type SwitchModel, switchModelOf } from './switch-model.ts'

const TICKS_PER_SECOND = 1_000_000
/** Octets of an UPDATE but for prefixes: header, lengths and attributes; and of a longest one. */
const UPDATE_OCTETS = 19 + 4 + 30
const MESSAGE_OCTETS_MAX = 4096
const HOST_OCTETS = 1 + 4

/** The first entry that found no room. */
export interface ScaledOverflow {
  readonly atTick: number
  readonly pods: number
  readonly entry: string
}

interface Column {
  asked: number
  /** Entries of the list that were tried. */
  tried: number
  used: number
  evictions: number
  /** Place in the list, tick and pods of the first that found no room; undefined: all did. */
  overflow: { readonly at: number; readonly tick: number; readonly pods: number } | undefined
}

/** Switches that are the same from their first announcement on. */
interface Group {
  /** What they hear: one list for all, or of their rack alone. */
  readonly log: HeardLog
  members: readonly number[]
  /** What is in the list, where speakers may tell it twice. */
  readonly known: Bits
  /** Entries from the start. */
  readonly initial: number
  readonly columns: Readonly<Record<OwnTable, Column>>
  /** Writes that were done, and waits for them. */
  done: number
  carried: number
  lagMaxTicks: number
  queuePeak: number
  programmedTick: number
  /** When the first write that waits has its turn, and since when it waits for it. */
  dueTick: number
  dueSince: number
}

export interface SwitchPorts extends EntrySources {
  /** Schedules the turn of a group's first write. */
  post(ticks: number, group: number, sinceTick: number): void
  /** Rack of a claim's node. */
  rackOf(claim: number): number
  /** What speakers call an entry, and when a kernel came to hold it; undefined: there are none. */
  readonly spoken: { entryOf(prefix: number): number; sinceOf(prefix: number): number } | undefined
}

export class ScaledSwitches {
  readonly count: number
  /** Writes that wait, of all switches. */
  queued = 0
  /** Pods that switches have heard of. */
  pods = 0
  readonly model: SwitchModel

  private readonly plan: Plan
  private readonly ports: SwitchPorts
  private readonly names: EntryNames
  private readonly initials: InitialTables
  private readonly groups: Group[]
  private readonly groupOf: Int32Array
  /** The table that announcements go to. */
  private readonly table: OwnTable
  /** What was heard, since when a kernel had it, and pods by then. */
  private readonly log = new HeardLog()
  private readonly sent = { updates: 0, prefixesTold: 0, bytes: 0 }
  private batchOctets = 0
  /** By group: how many of those that are told something now are in it. */
  private readonly counts: number[] = []
  /** Groups that are these switches, while there were so many of them. */
  private readonly covers = new WeakMap<Int32Array, { groups: number; indices: number[] }>()

  constructor(plan: Plan, places: Places, ports: SwitchPorts) {
    this.plan = plan
    this.ports = ports
    const { racks, spines } = plan.scenario
    this.count = racks + spines
    this.model = switchModelOf(plan.scenario)
    this.table = { blocks: 'lpm', hosts: 'host', macs: 'mac', nothing: 'lpm' }[
      plan.announces
    ] as OwnTable
    this.names = new EntryNames(plan, ports)
    this.initials = new InitialTables(plan, places, this.model)
    this.groupOf = new Int32Array(this.count)
    this.groups = this.grouped()
  }

  /** Switches learn what they are configured with. */
  start(): void {
    for (const [index, group] of this.groups.entries()) {
      if (this.model.rate === 0) group.done = group.initial
      else if (group.initial > 0) {
        this.queued += group.initial * group.members.length
        group.queuePeak = group.initial
        this.wait(index, 0)
      }
    }
  }

  /** Switches' speakers have chosen a way to a prefix. @param devices Not changed afterwards. */
  learn(devices: Int32Array, prefix: number, tick: number): void {
    for (const index of this.covering(devices, tick)) {
      const group = this.groups[index]!
      if (!group.known.add(prefix)) continue
      group.log.push(prefix, tick, this.pods)
      this.hear(index, group, tick)
    }
  }

  /** Whether some of them have. */
  hasLearned(devices: Int32Array, prefix: number): boolean {
    return devices.some((device) => this.of(device).known.has(prefix))
  }

  /** Every switch hears of an entry. */
  tell(entry: number, sinceTick: number, tick: number): void {
    const isPod = podOf(entry) >= 0
    if (isPod) this.pods++
    const { announces, bgp } = this.plan
    if (bgp !== undefined) return
    if (announces === 'nothing' || (isPod && announces === 'blocks')) return
    const isShared = this.plan.share === undefined
    // Everybody else knows the rack's part of the pool.
    const only = isShared ? undefined : this.groupOf[this.ports.rackOf(entry)]!
    const log = only === undefined ? this.log : this.groups[only]!.log
    log.push(entry, sinceTick, this.pods)
    if (announces !== 'macs') {
      this.batchOctets += isPod ? HOST_OCTETS : 1 + Math.ceil(this.plan.blockLength / 8)
      this.sent.prefixesTold += this.hearers
    }
    if (only !== undefined) this.hear(only, this.groups[only]!, tick)
    else for (const [index, group] of this.groups.entries()) this.hear(index, group, tick)
  }

  /** Switches that hear of one announcement. */
  private get hearers(): number {
    return this.plan.share === undefined ? this.count : 1
  }

  /** The batch of a node is over: messages for it, of at most so many octets. */
  told(): void {
    if (this.batchOctets === 0) return
    const messages = Math.ceil(this.batchOctets / (MESSAGE_OCTETS_MAX - UPDATE_OCTETS))
    this.sent.updates += messages * this.hearers
    this.sent.bytes += (this.batchOctets + messages * UPDATE_OCTETS) * this.hearers
    this.batchOctets = 0
  }

  /** What announcements cost, as BGP would carry them. */
  get traffic(): {
    readonly updates: number
    readonly prefixesTold: number
    readonly bytes: number
  } {
    return { ...this.sent }
  }

  /** The turn of a group's first write has come. @returns how many switches write. */
  program(index: number, tick: number): number {
    const group = this.groups[index]!
    this.queued -= group.members.length
    this.write(group, tick)
    if (group.done < group.initial + group.log.length) this.wait(index, tick)
    return group.members.length
  }

  name(device: number): string {
    const { racks } = this.plan.scenario
    return device < racks ? `tor-${device}` : `spine-${device - racks}`
  }

  lagMaxTicks(device: number): number {
    return this.of(device).lagMaxTicks
  }

  queuePeak(device: number): number {
    return this.of(device).queuePeak
  }

  programmedTick(device: number): number {
    return this.of(device).programmedTick
  }

  /** Entries asked for, now and at the peak. */
  demand(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.of(device).columns[table].asked : 0
  }

  /** Entries in the hardware, now and at the peak. */
  used(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.of(device).columns[table].used : 0
  }

  evictions(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.of(device).columns[table].evictions : 0
  }

  firstOverflow(device: number, table: SwitchTable): ScaledOverflow | undefined {
    if (!isOwn(table)) return undefined
    const group = this.of(device)
    const first = this.initialOverflow(device, table, group.done)
    if (first !== undefined) return first
    const { overflow } = group.columns[table]
    if (overflow === undefined) return undefined
    const { at, tick, pods } = overflow
    return { atTick: tick, pods, entry: this.nameOf(group.log.entryAt(at)) }
  }

  /** Everything asked for, in that order. */
  wanted(device: number, table: SwitchTable): readonly string[] {
    if (!isOwn(table)) return []
    const own = this.initials.entries(device).filter((each) => each.table === table)
    return [...own.map(({ entry }) => entry), ...this.heard(device, table)]
  }

  /** What is in the hardware. */
  held(device: number, table: SwitchTable): readonly string[] {
    if (!isOwn(table)) return []
    const own = this.initials.entries(device).filter((each) => each.table === table)
    const { tried } = this.of(device).columns[table]
    const heard = this.heard(device, table).slice(0, tried)
    const entries = [...own, ...heard.map((entry) => ({ entry, cost: 1 }))]
    const capacity = this.capacity(table)
    const kept: string[] = []
    let used = 0
    const order = this.model.overflow === 'evict' ? entries.toReversed() : entries
    for (const { entry, cost } of order) {
      if (used + cost > capacity) continue
      used += cost
      kept.push(entry)
    }
    return kept
  }

  /** Entries of all tables, and how many are stored for them. */
  get sharing(): { readonly entries: number; readonly stored: number } {
    let [entries, stored] = [0, 0]
    for (const { initial, members, log } of this.groups) {
      entries += (initial + log.length) * members.length
      stored += initial
    }
    for (const log of this.logs) stored += log.own
    return { entries, stored }
  }

  /** Kinds of switches that are the same from their first announcement on. */
  get kinds(): number {
    return this.groups.length
  }

  get bytes(): number {
    let sum = this.groupOf.byteLength
    for (const log of this.logs) sum += log.bytes
    for (const { known } of this.groups) sum += known.bytes
    return sum
  }

  private get logs(): ReadonlySet<HeardLog> {
    return new Set(this.groups.map(({ log }) => log))
  }

  private heard(device: number, table: OwnTable): readonly string[] {
    if (table !== this.table) return []
    const { log } = this.of(device)
    return Array.from({ length: log.length }, (_, at) => this.nameOf(log.entryAt(at)))
  }

  private nameOf(heard: number): string {
    return this.names.of(this.ports.spoken?.entryOf(heard) ?? heard)
  }

  /** Groups of these switches and of no others. */
  private covering(devices: Int32Array, tick: number): readonly number[] {
    const { counts, groupOf } = this
    const known = this.covers.get(devices)
    if (known?.groups === this.groups.length) return known.indices
    const touched: number[] = []
    for (const device of devices) {
      const index = groupOf[device]!
      if ((counts[index] ?? 0) === 0) touched.push(index)
      counts[index] = (counts[index] ?? 0) + 1
    }
    const indices = touched.map((index) => {
      const isWhole = counts[index] === this.groups[index]!.members.length
      counts[index] = 0
      if (isWhole) return index
      const leaving = devices.filter((device) => groupOf[device] === index)
      return this.part(index, [...leaving], tick)
    })
    this.covers.set(devices, { groups: this.groups.length, indices })
    return indices
  }

  /** Some of a group are from now on another one. @returns which. */
  private part(index: number, leaving: readonly number[], tick: number): number {
    const group = this.groups[index]!
    const { columns, log, known, initial, done, dueTick, dueSince } = group
    const other = this.groups.length
    const { mac, host, arp, lpm, ecmp } = columns
    this.groups.push({
      ...group,
      members: leaving,
      log: log.fork(),
      known: known.copy(),
      columns: {
        mac: { ...mac },
        host: { ...host },
        arp: { ...arp },
        lpm: { ...lpm },
        ecmp: { ...ecmp },
      },
    })
    for (const device of leaving) this.groupOf[device] = other
    group.members = group.members.filter((device) => this.groupOf[device] === index)
    if (done < initial + log.length) this.ports.post(dueTick - tick, other, dueSince)
    return other
  }

  private of(device: number): Group {
    return this.groups[this.groupOf[device]!]!
  }

  private capacity(table: OwnTable): number {
    return this.model.capacities[table] ?? Number.POSITIVE_INFINITY
  }

  private grouped(): Group[] {
    const byTotals = new Map<string, number[]>()
    for (let device = 0; device < this.count; device++) {
      const stretches = this.initials.stretches(device)
      const counts = OWN_TABLES.map((table) => totalOf(stretches, table).count).join()
      const isOwn = this.plan.share !== undefined && device < this.plan.scenario.racks
      const key = isOwn ? `${counts} of rack ${device}` : counts
      const members = byTotals.get(key) ?? []
      byTotals.set(key, members)
      members.push(device)
    }
    return [...byTotals.values()].map((members, index): Group => {
      const stretches = this.initials.stretches(members[0]!)
      for (const device of members) this.groupOf[device] = index
      const column = (table: OwnTable): Column => this.columnOf(stretches, table)
      const [mac, host, arp] = [column('mac'), column('host'), column('arp')]
      return {
        log: this.newLog(),
        known: new Bits(),
        members,
        initial: stretches.reduce((sum, { count }) => sum + count, 0),
        columns: { mac, host, arp, lpm: column('lpm'), ecmp: column('ecmp') },
        done: 0,
        carried: 0,
        lagMaxTicks: 0,
        queuePeak: 0,
        programmedTick: 0,
        dueTick: 0,
        dueSince: 0,
      }
    })
  }

  private newLog(): HeardLog {
    const { spoken } = this.ports
    if (spoken !== undefined) return new HeardLog((prefix) => spoken.sinceOf(prefix))
    return this.plan.share === undefined ? this.log : new HeardLog()
  }

  /** A table with everything in it that is there from the start; entries of a table cost alike. */
  private columnOf(stretches: readonly Stretch[], table: OwnTable): Column {
    const { count, cost } = totalOf(stretches, table)
    const fits = Math.min(count, Math.floor(this.capacity(table) / Math.max(1, cost)))
    const isEvicting = this.model.overflow === 'evict' && cost <= this.capacity(table)
    const evictions = isEvicting ? count - fits : 0
    return { asked: count * cost, tried: 0, used: fits * cost, evictions, overflow: undefined }
  }

  /** What a switch held from the start may have been too much already. */
  private initialOverflow(
    device: number,
    table: OwnTable,
    done: number,
  ): ScaledOverflow | undefined {
    let [at, used] = [0, 0]
    for (const each of this.initials.stretches(device)) {
      const room = Math.floor(this.capacity(table) / Math.max(1, each.cost)) - used
      if (each.table === table && each.count > room) {
        const place = at + Math.max(0, room)
        if (place >= done) return undefined
        const { rate } = this.model
        const atTick = rate === 0 ? 0 : Math.floor(((place + 1) * TICKS_PER_SECOND) / rate)
        return { atTick, pods: 0, entry: this.initials.entries(device)[place]!.entry }
      }
      if (each.table === table) used += each.count
      at += each.count
    }
    return undefined
  }

  private hear(index: number, group: Group, tick: number): void {
    group.columns[this.table].asked++
    if (this.model.rate === 0) {
      this.write(group, tick)
      return
    }
    this.queued += group.members.length
    const waiting = group.initial + group.log.length - group.done
    if (waiting > group.queuePeak) group.queuePeak = waiting
    if (waiting === 1) this.wait(index, tick)
  }

  private write(group: Group, tick: number): void {
    const at = group.done++ - group.initial
    group.programmedTick = tick
    const since = at < 0 ? 0 : group.log.sinceAt(at)
    if (tick - since > group.lagMaxTicks) group.lagMaxTicks = tick - since
    if (at < 0) return
    const column = group.columns[this.table]
    const capacity = this.capacity(this.table)
    column.tried++
    if (column.used + 1 <= capacity) {
      column.used++
      return
    }
    column.overflow ??= { at, tick, pods: group.log.podsAt(at) }
    if (this.model.overflow === 'evict') column.evictions++
  }

  /** A second holds exactly `rate` writes: what whole ticks leave over is carried on. */
  private wait(index: number, tick: number): void {
    const group = this.groups[index]!
    const { rate } = this.model
    let ticks = Math.floor(TICKS_PER_SECOND / rate)
    group.carried += TICKS_PER_SECOND % rate
    if (group.carried >= rate) {
      group.carried -= rate
      ticks++
    }
    group.dueTick = tick + ticks
    group.dueSince = tick
    this.ports.post(ticks, index, tick)
  }
}

const isOwn = (table: SwitchTable): table is OwnTable =>
  (OWN_TABLES as readonly SwitchTable[]).includes(table)
