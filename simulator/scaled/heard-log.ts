/**
 * What switches heard, in their order. One that goes on differently begins a list of its
 * own, whose beginning stays in the one before.
 *
 * @module
 */
import { ints, numbers } from './growing.ts'

export class HeardLog {
  private readonly entries = ints()
  private readonly pods = ints()
  private readonly since = numbers()
  private readonly before: HeardLog | undefined
  /** Entries that are in those before. */
  private readonly from: number
  private readonly sinceOf: ((entry: number) => number) | undefined

  /** @param sinceOf Where it is known of each entry when a kernel came to hold it. */
  constructor(sinceOf?: (entry: number) => number, before?: HeardLog) {
    this.sinceOf = sinceOf
    this.before = before
    this.from = before?.length ?? 0
  }

  get length(): number {
    return this.from + this.entries.length
  }

  /** Entries that are here and nowhere else. */
  get own(): number {
    return this.entries.length
  }

  get bytes(): number {
    return this.entries.bytes + this.pods.bytes + this.since.bytes
  }

  /** @param pods That switches have heard of by then. */
  push(entry: number, sinceTick: number, pods: number): void {
    this.entries.push(entry)
    this.pods.push(pods)
    if (this.sinceOf === undefined) this.since.push(sinceTick)
  }

  entryAt(at: number): number {
    return at < this.from ? this.before!.entryAt(at) : this.entries.values[at - this.from]!
  }

  podsAt(at: number): number {
    return at < this.from ? this.before!.podsAt(at) : this.pods.values[at - this.from]!
  }

  sinceAt(at: number): number {
    if (this.sinceOf !== undefined) return this.sinceOf(this.entryAt(at))
    return at < this.from ? this.before!.sinceAt(at) : this.since.values[at - this.from]!
  }

  /** One that begins as this does, up to now. */
  fork(): HeardLog {
    return new HeardLog(this.sinceOf, this)
  }
}
