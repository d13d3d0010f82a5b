/**
 * One hardware table: what the control plane wants in it, what is in it, and
 * what happens when there is no room.
 *
 * Two maps: `wanted` is what was heard, `taken` is what was programmed. What is
 * wanted and was tried without room waits, in the order of asking, and comes in
 * when room is freed. Demand counts what is wanted, so a report can say how
 * large the table would have had to be.
 *
 * @module
 */
import type { IpFamily } from '../src/net/mod.ts'
import { HOST_COST, type SwitchTable } from './profiles.ts'

/**
 * What a full table does with an entry more. `refuse`: it stays out. `evict`:
 * the oldest entry makes room and waits. `software`: it stays out, and packets
 * for it go through the switch's processor, slowly.
 */
export const OVERFLOW_POLICIES = ['refuse', 'evict', 'software'] as const
export type OverflowPolicy = (typeof OVERFLOW_POLICIES)[number]

/** The moment in which a table was full. */
export interface Overflow {
  readonly atTick: number
  /** Pods that the fabric had heard of, the one that did not fit included. */
  readonly pods: number
  /** What was refused. */
  readonly entry: string
}

/**
 * Memory that two tables share: all of it holds `limits[0]` entries of the one
 * or `limits[1]` of the other. In units that make both whole numbers.
 */
export class SharedBank {
  readonly capacity: number
  used = 0
  readonly tables: HardwareTable[] = []

  constructor(limits: readonly [number, number]) {
    this.capacity = limits[0] * limits[1]
  }
}

/** A bank, and the units of it that one entry of this table takes. */
export interface BankShare {
  readonly bank: SharedBank
  readonly unit: number
}

/** What a table knows of an entry. `queued`: heard of, and not yet tried. */
export type EntryState = 'taken' | 'queued' | 'refused' | 'software'

export class HardwareTable {
  /** Undefined: unknown, so without limit. */
  readonly capacity: number | undefined
  readonly policy: OverflowPolicy
  /** Entries in the hardware. */
  used = 0
  /** Entries asked for: what would be used if there were room. */
  demand = 0
  usedPeak = 0
  demandPeak = 0
  /** Entries that had to leave for others. */
  evictions = 0
  firstOverflow: Overflow | undefined

  private readonly share: BankShare | undefined
  private readonly wanted = new Map<string, number>()
  private readonly taken = new Map<string, number>()
  /** Wanted, tried, without room; oldest first. */
  private readonly waiting = new Map<string, number>()

  constructor(capacity: number | undefined, policy: OverflowPolicy = 'refuse', share?: BankShare) {
    this.capacity = capacity
    this.policy = policy
    this.share = share
    share?.bank.tables.push(this)
  }

  /** The control plane wants an entry. False when it did already. */
  want(entry: string, cost: number): boolean {
    if (this.wanted.has(entry)) return false
    this.wanted.set(entry, cost)
    this.demand += cost
    this.demandPeak = Math.max(this.demandPeak, this.demand)
    return true
  }

  /** The control plane does not want an entry any more. False when it did not. */
  unwant(entry: string): boolean {
    const cost = this.wanted.get(entry)
    if (cost === undefined) return false
    this.wanted.delete(entry)
    this.waiting.delete(entry)
    this.demand -= cost
    return true
  }

  /**
   * Makes the hardware what is wanted of one entry.
   *
   * @returns Whether the hardware was written to, or would have been if there were room.
   */
  program(entry: string, atTick: number, pods: number): boolean {
    const cost = this.wanted.get(entry)
    const held = this.taken.has(entry)
    if (cost === undefined) {
      if (held) this.give(entry)
      return held
    }
    if (held || this.waiting.has(entry)) return false
    if (!this.fits(cost)) this.firstOverflow ??= { atTick, pods, entry }
    if (this.policy === 'evict') this.makeRoom(cost)
    if (this.fits(cost)) this.take(entry, cost)
    else this.waiting.set(entry, cost)
    return true
  }

  /** Asks for an entry and programs it. False when there is no room; asking twice is free. */
  add(entry: string, cost: number, atTick: number, pods: number): boolean {
    this.want(entry, cost)
    this.program(entry, atTick, pods)
    return this.taken.has(entry)
  }

  /** Gives an entry back; a no-op when it is not there. */
  remove(entry: string): void {
    if (this.unwant(entry)) this.program(entry, 0, 0)
  }

  /** What becomes of a packet that needs the entry; undefined: never heard of it. */
  ask(entry: string): EntryState | undefined {
    if (this.taken.has(entry)) return 'taken'
    if (this.waiting.has(entry)) return this.policy === 'software' ? 'software' : 'refused'
    return this.wanted.has(entry) ? 'queued' : undefined
  }

  /** Everything asked for. */
  entries(): readonly string[] {
    return [...this.wanted.keys()]
  }

  /** Demand over capacity, with that of the tables that share the memory; undefined: unknown. */
  get pressure(): number | undefined {
    const tables = this.share?.bank.tables ?? [this]
    let sum = 0
    for (const { demandPeak, capacity } of tables) {
      if (capacity === undefined) return undefined
      sum += demandPeak / capacity
    }
    return sum
  }

  private fits(cost: number): boolean {
    const { capacity, share } = this
    if (capacity !== undefined && this.used + cost > capacity) return false
    return share === undefined || share.bank.used + cost * share.unit <= share.bank.capacity
  }

  /** Sends the oldest entries away, unless even an empty table has no room. */
  private makeRoom(cost: number): void {
    const { capacity, share } = this
    if (capacity !== undefined && cost > capacity) return
    const others = share === undefined ? 0 : share.bank.used - this.used * share.unit
    if (share !== undefined && others + cost * share.unit > share.bank.capacity) return
    while (!this.fits(cost)) {
      const [oldest] = this.taken
      if (oldest === undefined) return
      const [entry, size] = oldest
      this.release(entry, size)
      this.evictions++
      if (this.wanted.has(entry)) this.waiting.set(entry, size)
    }
  }

  private take(entry: string, cost: number): void {
    this.taken.set(entry, cost)
    this.used += cost
    this.usedPeak = Math.max(this.usedPeak, this.used)
    if (this.share !== undefined) this.share.bank.used += cost * this.share.unit
  }

  private release(entry: string, cost: number): void {
    this.taken.delete(entry)
    this.used -= cost
    if (this.share !== undefined) this.share.bank.used -= cost * this.share.unit
  }

  /** Room is free: who waits longest comes first, here and then where the memory is shared. */
  private give(entry: string): void {
    this.release(entry, this.taken.get(entry) ?? 0)
    for (const table of this.share?.bank.tables ?? [this]) table.refill()
  }

  private refill(): void {
    for (const [next, cost] of this.waiting) {
      if (!this.fits(cost)) break
      this.waiting.delete(next)
      this.take(next, cost)
    }
  }
}

/** Which table a prefix goes to and what it costs there: full length is a host entry. */
export function placeOf(
  family: IpFamily,
  length: number,
): { readonly table: SwitchTable; readonly cost: number } {
  if (length === (family === 4 ? 32 : 128)) return { table: 'host', cost: HOST_COST[family] }
  return { table: family === 4 ? 'lpm' : 'lpm6', cost: 1 }
}
