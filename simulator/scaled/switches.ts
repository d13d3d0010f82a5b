/**
 * Switches in columns: what each holds before there is any node, then the shared
 * list of announced blocks, of which every switch has heard the same and written as
 * much as its rate allows. Nothing is ever taken back in a cold start, so a table is
 * a stretch of that list.
 *
 * @module
 */
import { hostPrefix, type Prefix } from '../../src/net/mod.ts'
import { type Capacities, PROGRAMMING_RATES, profileNamed, type SwitchTable } from '../profiles.ts'
import type { Plan } from './accept.ts'
import type { Places } from './places.ts'

const TICKS_PER_SECOND = 1_000_000

/** The first entry that found no room. */
export interface ScaledOverflow {
  readonly atTick: number
  readonly entry: string
}

interface Column {
  /** Entries asked for, and tried: `asked` from the start, `tried` by now. */
  asked: number
  tried: number
  used: number
  usedPeak: number
  evictions: number
  overflow: ScaledOverflow | undefined
}

const OF_SWITCH = ['mac', 'host', 'arp', 'lpm', 'ecmp'] as const
type OwnTable = (typeof OF_SWITCH)[number]

interface Entry {
  readonly table: OwnTable
  readonly entry: string
  readonly cost: number
}

export class ScaledSwitches {
  readonly count: number
  /** Writes that wait, of all switches. */
  queued = 0
  readonly lagMaxTicks: Float64Array
  readonly queuePeaks: Int32Array
  readonly programmedTicks: Float64Array

  private readonly plan: Plan
  private readonly places: Places
  private readonly capacities: Capacities
  private readonly overflow: 'refuse' | 'evict' | 'software'
  private readonly rate: number
  /** Writes that were heard and done, by switch. */
  private readonly heard: Int32Array
  private readonly done: Int32Array
  private readonly carried: Int32Array
  private readonly columns: readonly Readonly<Record<OwnTable, Column>>[]
  private readonly initial: readonly (readonly Entry[])[]
  /** Announced blocks in the order in which they were heard, and when the kernel had each. */
  private readonly log: { blocks: Prefix[]; sinceTicks: number[] } = { blocks: [], sinceTicks: [] }
  private readonly postProgram: (device: number, ticks: number) => void

  /** @param postProgram Schedules the turn of a switch's first write. */
  constructor(plan: Plan, places: Places, postProgram: (device: number, ticks: number) => void) {
    this.plan = plan
    this.places = places
    this.postProgram = postProgram
    const { racks, spines, switch: choice } = plan.scenario
    this.count = racks + spines
    const known = 'profile' in choice ? profileNamed(choice.profile)?.capacities : choice
    this.capacities = known ?? {}
    this.overflow = choice.overflow ?? 'refuse'
    const { routesPerSecond: rate } = choice
    const named = PROGRAMMING_RATES.find(({ name }) => name === rate)?.routesPerSecond
    this.rate = typeof rate === 'number' ? rate : (named ?? 0)
    this.heard = new Int32Array(this.count)
    this.done = new Int32Array(this.count)
    this.carried = new Int32Array(this.count)
    this.lagMaxTicks = new Float64Array(this.count)
    this.queuePeaks = new Int32Array(this.count)
    this.programmedTicks = new Float64Array(this.count)
    this.columns = Array.from({ length: this.count }, () => ({
      mac: newColumn(),
      host: newColumn(),
      arp: newColumn(),
      lpm: newColumn(),
      ecmp: newColumn(),
    }))
    // A VLAN is everywhere: what one switch learns, all do.
    const everywhere = plan.mode === 'vlan' ? this.initialOf(0) : undefined
    this.initial = Array.from(
      { length: this.count },
      (_, device) => everywhere ?? this.initialOf(device),
    )
  }

  /** Switches learn what they are configured with. */
  start(): void {
    for (let device = 0; device < this.count; device++) {
      for (const entry of this.initial[device] ?? []) this.hear(device, entry, 0, 0)
    }
  }

  /** Every switch hears of a block. */
  announce(block: Prefix, sinceTick: number, tick: number): void {
    this.log.blocks.push(block)
    this.log.sinceTicks.push(sinceTick)
    const entry: Entry = { table: 'lpm', entry: block, cost: 1 }
    for (let device = 0; device < this.count; device++) this.hear(device, entry, sinceTick, tick)
  }

  /** The first write's turn has come. */
  program(device: number, tick: number): void {
    const index = this.done[device]!
    const own = this.initial[device]!
    const entry = own[index]
    const { blocks, sinceTicks } = this.log
    const at = index - own.length
    this.queued--
    if (entry !== undefined) this.write(device, entry, 0, tick)
    else {
      const block: Entry = { table: 'lpm', entry: blocks[at]!, cost: 1 }
      this.write(device, block, sinceTicks[at]!, tick)
    }
    if (this.done[device]! < this.heard[device]!) this.wait(device)
  }

  name(device: number): string {
    const { racks } = this.plan.scenario
    return device < racks ? `tor-${device}` : `spine-${device - racks}`
  }

  /** Entries asked for, at the peak and now. */
  demand(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.columns[device]![table].asked : 0
  }

  usedPeak(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.columns[device]![table].usedPeak : 0
  }

  evictions(device: number, table: SwitchTable): number {
    return isOwn(table) ? this.columns[device]![table].evictions : 0
  }

  firstOverflow(device: number, table: SwitchTable): ScaledOverflow | undefined {
    return isOwn(table) ? this.columns[device]![table].overflow : undefined
  }

  /** Everything asked for, in that order. */
  wanted(device: number, table: SwitchTable): readonly string[] {
    return this.sequence(device, table).map(({ entry }) => entry)
  }

  /** What is in the hardware. */
  held(device: number, table: SwitchTable): readonly string[] {
    if (!isOwn(table)) return []
    const { tried } = this.columns[device]![table]
    const entries = this.sequence(device, table).slice(0, tried)
    const capacity = this.capacities[table] ?? Number.POSITIVE_INFINITY
    const kept: Entry[] = []
    let used = 0
    const order = this.overflow === 'evict' ? entries.toReversed() : entries
    for (const each of order) {
      if (used + each.cost > capacity) continue
      used += each.cost
      kept.push(each)
    }
    return kept.map(({ entry }) => entry)
  }

  /** Entries of all tables, and how many are stored for them. */
  get sharing(): { readonly entries: number; readonly stored: number } {
    let stored = this.log.blocks.length
    for (const own of new Set(this.initial)) stored += own.length
    return { entries: this.heard.reduce((sum, count) => sum + count, 0), stored }
  }

  private sequence(device: number, table: SwitchTable): readonly Entry[] {
    const own = this.initial[device]!.filter((each) => each.table === table)
    if (table !== 'lpm') return own
    return [...own, ...this.log.blocks.map((entry): Entry => ({ table: 'lpm', entry, cost: 1 }))]
  }

  private hear(device: number, entry: Entry, sinceTick: number, tick: number): void {
    this.columns[device]![entry.table].asked += entry.cost
    this.heard[device]!++
    if (this.rate === 0) {
      this.write(device, entry, sinceTick, tick)
      return
    }
    this.queued++
    const waiting = this.heard[device]! - this.done[device]!
    if (waiting > this.queuePeaks[device]!) this.queuePeaks[device] = waiting
    if (waiting === 1) this.wait(device)
  }

  private write(device: number, { table, entry, cost }: Entry, since: number, tick: number): void {
    const column = this.columns[device]![table]
    const capacity = this.capacities[table] ?? Number.POSITIVE_INFINITY
    this.done[device]!++
    column.tried++
    if (column.used + cost > capacity) {
      column.overflow ??= { atTick: tick, entry }
      if (this.overflow === 'evict' && cost <= capacity) column.evictions++
    } else {
      column.used += cost
      column.usedPeak = Math.max(column.usedPeak, column.used)
    }
    this.programmedTicks[device] = tick
    this.lagMaxTicks[device] = Math.max(this.lagMaxTicks[device]!, tick - since)
  }

  /** A second holds exactly `rate` writes: what whole ticks leave over is carried on. */
  private wait(device: number): void {
    const { rate, carried } = this
    let ticks = Math.floor(TICKS_PER_SECOND / rate)
    carried[device]! += TICKS_PER_SECOND % rate
    if (carried[device]! >= rate) {
      carried[device]! -= rate
      ticks++
    }
    this.postProgram(device, ticks)
  }

  /** Nodes and racks, then links and groups of equal paths. */
  private initialOf(device: number): readonly Entry[] {
    const { places, plan } = this
    const { racks, spines } = plan.scenario
    const entries: Entry[] = []
    const isVlan = plan.mode === 'vlan'
    for (let rack = 0; rack < racks; rack++) {
      const isNear = rack === device
      if (!isVlan && !isNear) {
        entries.push({ table: 'lpm', entry: places.rackPrefix(rack), cost: 1 })
        continue
      }
      const nodes = places.nodesOf(rack)
      entries.push(...nodes.map((node) => one('mac', `node ${places.mac(node)}`)))
      if (isVlan) continue
      entries.push(...nodes.map((node) => one('host', hostPrefix(places.ip(node)))))
      entries.push(...nodes.map((node) => one('arp', `node ${places.ip(node)}`)))
    }
    if (!isVlan) {
      const isTor = device < racks
      const links = Array.from({ length: isTor ? spines : racks }, (_, other) =>
        isTor ? device * spines + other : other * spines + (device - racks),
      )
      entries.push(...links.map((link) => one('arp', `link ${link}`)))
      if (isTor && racks > 1 && spines > 1) {
        entries.push({ table: 'ecmp', entry: `group ${links.join(' ')}`, cost: spines })
      }
    }
    // Next hops without a table of their own are in that of hosts.
    return this.capacities.arp === undefined
      ? entries.filter(({ table }) => table !== 'arp')
      : entries
  }
}

const one = (table: OwnTable, entry: string): Entry => ({ table, entry, cost: 1 })

const newColumn = (): Column => ({
  asked: 0,
  tried: 0,
  used: 0,
  usedPeak: 0,
  evictions: 0,
  overflow: undefined,
})

const isOwn = (table: SwitchTable): table is OwnTable => OF_SWITCH.includes(table as OwnTable)
