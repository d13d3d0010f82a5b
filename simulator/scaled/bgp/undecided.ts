/**
 * Prefixes to decide about in the order in which they came, each once, and whether there
 * was a way to it before. Mostly there is one or none.
 *
 * @module
 */
import { grown } from './prefixes.ts'

/** More than so many are looked up, not walked through. */
const FEW = 16
const FIRST_ROOM = 4
const NO_PREFIXES = new Int32Array(0)
const NO_MARKS = new Uint8Array(0)

export class Undecided {
  /** What `take` took. */
  prefix = 0
  wasThere = false
  private head = 0
  private tail = 0
  private prefixes = NO_PREFIXES
  private were = NO_MARKS
  private known: Set<number> | undefined

  get size(): number {
    return this.tail - this.head
  }

  /** Unless it waits already. */
  add(prefix: number, wasThere: boolean): void {
    if (this.tail > this.head && this.has(prefix)) return
    const at = this.tail++
    if (at === this.prefixes.length) this.widen(Math.max(FIRST_ROOM, 2 * at))
    this.prefixes[at] = prefix
    this.were[at] = wasThere ? 1 : 0
    if (this.known !== undefined) this.known.add(prefix)
    else if (this.size > FEW) this.known = new Set(this.prefixes.slice(this.head, this.tail))
  }

  /** Takes the first one. False: there is none. */
  take(): boolean {
    if (this.head === this.tail) return false
    const at = this.head++
    this.prefix = this.prefixes[at]!
    this.wasThere = this.were[at] === 1
    if (this.head === this.tail) this.clear()
    else this.known?.delete(this.prefix)
    return true
  }

  addAll(other: Undecided): void {
    for (let at = other.head; at < other.tail; at++) {
      this.add(other.prefixes[at]!, other.were[at] === 1)
    }
  }

  clear(): void {
    this.head = 0
    this.tail = 0
    if (this.known === undefined) return
    this.known = undefined
    this.prefixes = NO_PREFIXES
    this.were = NO_MARKS
  }

  private widen(room: number): void {
    this.prefixes = grown(this.prefixes, room)
    this.were = grown(this.were, room)
  }

  private has(prefix: number): boolean {
    if (this.known !== undefined) return this.known.has(prefix)
    for (let at = this.head; at < this.tail; at++) if (this.prefixes[at] === prefix) return true
    return false
  }
}
