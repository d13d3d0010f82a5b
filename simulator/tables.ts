/**
 * One hardware table: entries with a cost, a capacity, and what happens when
 * they do not fit.
 *
 * Policy `refuse`: what does not fit stays out, is remembered, and comes in, in
 * the order of asking, when room is freed. Demand goes on being counted, so a
 * report can say how large the table would have had to be.
 *
 * @module
 */
import type { IpFamily } from '../src/net/mod.ts'
import { type Capacities, HOST_COST, SWITCH_TABLES, type SwitchTable } from './profiles.ts'

/** The moment in which a table was full. */
export interface Overflow {
  readonly atTick: number
  /** Pods that the fabric had heard of, the one that did not fit included. */
  readonly pods: number
  /** What was refused. */
  readonly entry: string
}

export class HardwareTable {
  readonly capacity: number
  /** Entries in the hardware. */
  used = 0
  /** Entries asked for: what would be used if there were room. */
  demand = 0
  usedPeak = 0
  demandPeak = 0
  firstOverflow: Overflow | undefined

  private readonly taken = new Map<string, number>()
  /** Refused, oldest first. */
  private readonly waiting = new Map<string, number>()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Asks for an entry. False when there is no room; asking twice is free. */
  add(entry: string, cost: number, atTick: number, pods: number): boolean {
    if (this.taken.has(entry)) return true
    if (this.waiting.has(entry)) return false
    this.demand += cost
    this.demandPeak = Math.max(this.demandPeak, this.demand)
    if (this.used + cost > this.capacity) {
      this.waiting.set(entry, cost)
      this.firstOverflow ??= { atTick, pods, entry }
      return false
    }
    this.take(entry, cost)
    return true
  }

  /** Gives an entry back; a no-op when it is not there. */
  remove(entry: string): void {
    const waited = this.waiting.get(entry)
    if (waited !== undefined) {
      this.waiting.delete(entry)
      this.demand -= waited
      return
    }
    const cost = this.taken.get(entry)
    if (cost === undefined) return
    this.taken.delete(entry)
    this.used -= cost
    this.demand -= cost
    for (const [next, nextCost] of this.waiting) {
      if (this.used + nextCost > this.capacity) break
      this.waiting.delete(next)
      this.take(next, nextCost)
    }
  }

  /** Whether the hardware knows the entry, refused it, or never heard of it. */
  ask(entry: string): 'taken' | 'refused' | undefined {
    if (this.taken.has(entry)) return 'taken'
    return this.waiting.has(entry) ? 'refused' : undefined
  }

  /** Everything asked for. */
  entries(): readonly string[] {
    return [...this.taken.keys(), ...this.waiting.keys()]
  }

  private take(entry: string, cost: number): void {
    this.taken.set(entry, cost)
    this.used += cost
    this.usedPeak = Math.max(this.usedPeak, this.used)
  }
}

/** A switch: its name and its tables. */
export interface SwitchDevice {
  readonly name: string
  readonly role: 'tor' | 'spine'
  /** Rack of a top-of-rack switch; -1 for a spine. */
  readonly rack: number
  readonly tables: Readonly<Record<SwitchTable, HardwareTable>>
}

export function switchDevice(
  name: string,
  role: SwitchDevice['role'],
  rack: number,
  capacities: Capacities,
): SwitchDevice {
  const tables = Object.fromEntries(
    SWITCH_TABLES.map((table) => [table, new HardwareTable(capacities[table])]),
  ) as Record<SwitchTable, HardwareTable>
  return { name, role, rack, tables }
}

/** Which table a prefix goes to and what it costs there: full length is a host entry. */
export function placeOf(
  family: IpFamily,
  length: number,
): { readonly table: SwitchTable; readonly cost: number } {
  if (length === (family === 4 ? 32 : 128)) return { table: 'host', cost: HOST_COST[family] }
  return { table: family === 4 ? 'lpm' : 'lpm6', cost: 1 }
}
