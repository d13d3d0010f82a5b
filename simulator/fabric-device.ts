/**
 * A switch: its tables, and the queue through which its software writes them.
 *
 * An entry that was heard is not an entry that forwards: between the two lies a
 * queue that real devices drain at a thousand to some ten thousand routes a
 * second. Without a rate every entry is programmed as it is heard.
 *
 * @module
 */
import { type Ip, type Prefix, prefixFamily, prefixLength, prefixOf } from '../src/net/mod.ts'
import { type Engine, EVENT, TICKS_PER_MS } from './clock.ts'
import { type Capacities, SWITCH_TABLES, type SwitchTable } from './profiles.ts'
import {
  type EntryState,
  HardwareTable,
  type OverflowPolicy,
  placeOf,
  SharedBank,
} from './tables.ts'

const TICKS_PER_SECOND = 1000 * TICKS_PER_MS

/** Writes that are done and still in the queue's array. */
const SPENT_MAX = 4096

/** How a device behaves. */
export interface DeviceModel {
  readonly capacities: Capacities
  /** @default refuse */
  readonly overflow?: OverflowPolicy | undefined
  /** Entries written a second; undefined: as they are heard. */
  readonly routesPerSecond?: number | undefined
}

export const SWITCH_ROLES = ['tor', 'aggregation', 'spine', 'core', 'wan'] as const
export type SwitchRole = (typeof SWITCH_ROLES)[number]

/** One entry for some switches. */
export interface Announcement {
  readonly table: SwitchTable
  readonly entry: string
  readonly cost: number
}

/** A write that waits for its turn. */
interface Write {
  readonly table: SwitchTable
  readonly entry: string
  /** When the cluster's kernels had it, or lost it. */
  readonly sinceTick: number
  readonly pods: number
}

type Tables = Readonly<Record<SwitchTable, HardwareTable>>

export class SwitchDevice {
  readonly index: number
  readonly name: string
  readonly role: SwitchRole
  /** Rack of a top-of-rack switch; -1 for others. */
  readonly rack: number
  readonly tables: Tables
  /** Longest time from a change in a kernel to the hardware, of entries that were programmed. */
  lagMaxTicks = 0
  /** Most writes that waited at once. */
  queuePeak = 0
  /** When an entry was written last. */
  programmedTick = 0
  /** Grows with everything that is heard or written. */
  version = 0

  private readonly engine: Engine
  private readonly own: Capacities
  private readonly ticksPerWrite: number
  private readonly remainder: number
  private readonly rate: number
  private readonly queue: Write[] = []
  private head = 0
  private carried = 0

  constructor(
    engine: Engine,
    index: number,
    place: { readonly name: string; readonly role: SwitchRole; readonly rack: number },
    model: DeviceModel,
  ) {
    this.engine = engine
    this.index = index
    this.name = place.name
    this.role = place.role
    this.rack = place.rack
    this.tables = tablesOf(model)
    this.own = model.capacities
    this.rate = model.routesPerSecond ?? 0
    this.ticksPerWrite = this.rate === 0 ? 0 : Math.floor(TICKS_PER_SECOND / this.rate)
    this.remainder = this.rate === 0 ? 0 : TICKS_PER_SECOND % this.rate
  }

  /** Writes that wait. */
  get queued(): number {
    return this.queue.length - this.head
  }

  /** Where an entry goes on this device. */
  placed(announcement: Announcement): Announcement | undefined {
    return placedOn(this.own, announcement)
  }

  /** The control plane wants an entry, or does not want it any more. */
  hear(announcement: Announcement, add: boolean, sinceTick: number, pods: number): void {
    const placed = this.placed(announcement)
    if (placed === undefined) return
    const { table, entry, cost } = placed
    const own = this.tables[table]
    if (!(add ? own.want(entry, cost) : own.unwant(entry))) return
    this.version++
    const write = { table, entry, sinceTick, pods }
    if (this.rate === 0) {
      this.write(write)
      return
    }
    this.queue.push(write)
    this.queuePeak = Math.max(this.queuePeak, this.queued)
    if (this.queued === 1) this.wait()
  }

  /** The entry of a prefix that a packet to `dst` needs, and what the device knows of it. */
  ask(dst: Ip, length: number): EntryState | undefined {
    const placed = this.placed(prefixEntry(prefixOf(dst, length)))
    return placed && this.tables[placed.table].ask(placed.entry)
  }

  /** The first write's turn has come. Writes that the control plane took back cost no time. */
  drain(): void {
    while (this.head < this.queue.length) {
      const written = this.write(this.queue[this.head++]!)
      if (!written) continue
      break
    }
    if (this.queued > 0) this.wait()
    if (this.queued === 0 || this.head > SPENT_MAX) {
      this.queue.splice(0, this.head)
      this.head = 0
    }
  }

  private write({ table, entry, sinceTick, pods }: Write): boolean {
    const { tick } = this.engine
    if (!this.tables[table].program(entry, tick, pods)) return false
    this.programmedTick = tick
    this.version++
    this.lagMaxTicks = Math.max(this.lagMaxTicks, tick - sinceTick)
    return true
  }

  /** A second holds exactly `rate` writes: what whole ticks leave over is carried on. */
  private wait(): void {
    this.carried += this.remainder
    let ticks = this.ticksPerWrite
    if (this.carried >= this.rate) {
      this.carried -= this.rate
      ticks++
    }
    this.engine.post(ticks, EVENT.program, this.index, 0)
  }
}

function tablesOf({ capacities, overflow = 'refuse' }: DeviceModel): Tables {
  const { lpm, lpm6, sharedLpm } = capacities
  const shared = sharedLpm === true && lpm !== undefined && lpm6 !== undefined
  const bank = shared ? new SharedBank([lpm, lpm6]) : undefined
  const unit: Partial<Record<SwitchTable, number>> = { lpm: lpm6 ?? 0, lpm6: lpm ?? 0 }
  return Object.fromEntries(
    SWITCH_TABLES.map((table) => {
      const own = unit[table]
      const share = bank === undefined || own === undefined ? undefined : { bank, unit: own }
      return [table, new HardwareTable(capacities[table], overflow, share)]
    }),
  ) as Record<SwitchTable, HardwareTable>
}

/**
 * Where an entry goes on a device of these tables: IPv6 hosts share the host table or have
 * their own, next hops have their own or are nowhere but in the host table.
 */
export function placedOn(
  { arp, host6 }: Capacities,
  announcement: Announcement,
): Announcement | undefined {
  const { table, entry } = announcement
  if (table === 'arp' && arp === undefined) return undefined
  if (host6 === undefined || table !== 'host' || prefixFamily(entry as Prefix) === 4) {
    return announcement
  }
  return { table: 'host6', entry, cost: 1 }
}

export function prefixEntry(prefix: Prefix): Announcement {
  return { ...placeOf(prefixFamily(prefix), prefixLength(prefix)), entry: prefix }
}
