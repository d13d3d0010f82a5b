/**
 * What a kernel held at one moment, while it goes on changing.
 *
 * Nothing is copied: a snapshot looks at what the kernel holds now, and knows
 * what was there before of whatever has changed since.
 *
 * Cost: taking one is O(1), each change after it one entry, a look-up one or two.
 *
 * @module
 */
import type { KernelObject, KernelState } from '../src/kernel/mod.ts'

const NOTED_MAX = 4096

export class Snapshot implements KernelState {
  readonly size: number
  private readonly live: KernelState
  /** Of what changed since, until `next` was taken: what was there; undefined: nothing. */
  private readonly before = new Map<string, KernelObject | undefined>()
  /** What is not in `before` yet, because mostly nobody asks: identities, and what was there. */
  private notedKeys: string[] = []
  private noted: (KernelObject | undefined)[] = []
  private next: Snapshot | undefined

  /** @param live What the kernel holds, and goes on changing. */
  constructor(live: KernelState) {
    this.live = live
    this.size = live.size
  }

  /** Whether the kernel still holds just this. */
  get isCurrent(): boolean {
    return this.next === undefined && this.before.size + this.notedKeys.length === 0
  }

  /** Told before each change. */
  note(key: string, object: KernelObject | undefined): void {
    this.notedKeys.push(key)
    this.noted.push(object)
    if (this.noted.length > NOTED_MAX) this.sortNotes()
  }

  /** The first word about an object is what was there. */
  private sortNotes(): void {
    const { before, noted } = this
    for (const [index, key] of this.notedKeys.entries()) {
      if (!before.has(key)) before.set(key, noted[index])
    }
    this.notedKeys = []
    this.noted = []
  }

  /** A later snapshot is told from now on, and this one asks it. */
  handOver(next: Snapshot): void {
    this.next = next
  }

  get(key: string): KernelObject | undefined {
    if (this.noted.length > 0) this.sortNotes()
    const { before } = this
    if (before.size > 0 && before.has(key)) return before.get(key)
    return (this.next ?? this.live).get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** The kernel may change between two entries. */
  *entries(): MapIterator<[string, KernelObject]> {
    const seen = new Set<string>()
    for (const key of (this.next ?? this.live).keys()) {
      seen.add(key)
      const object = this.get(key)
      if (object !== undefined) yield [key, object]
    }
    // What went away, and what a later one lost.
    for (let each: Snapshot | undefined = this; each !== undefined; each = each.next) {
      each.sortNotes()
      for (const key of each.before.keys()) {
        if (seen.has(key)) continue
        seen.add(key)
        const object = this.get(key)
        if (object !== undefined) yield [key, object]
      }
    }
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<KernelObject> {
    for (const [, object] of this.entries()) yield object
  }

  [Symbol.iterator](): MapIterator<[string, KernelObject]> {
    return this.entries()
  }

  forEach(run: (object: KernelObject, key: string, state: KernelState) => void): void {
    for (const [key, object] of this.entries()) run(object, key, this)
  }
}
