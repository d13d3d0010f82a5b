/**
 * Numbers of prefixes in one table, in the order in which they came; those of prefixes
 * that are gone are given again.
 *
 * @module
 */
import { grown } from './prefixes.ts'

const FIRST_ROOM = 64
const FREE = -1

export class IdTable {
  /** One past the largest number so far. */
  end = 0
  private byPrefix = new Int32Array(FIRST_ROOM).fill(FREE)
  private prefixes = new Int32Array(FIRST_ROOM).fill(FREE)
  private free: number[] = []

  get bytes(): number {
    return this.byPrefix.byteLength + this.prefixes.byteLength
  }

  /** The prefix of a number, or -1. */
  at(id: number): number {
    return this.prefixes[id]!
  }

  add(prefix: number): void {
    if (prefix >= this.byPrefix.length) {
      const before = this.byPrefix.length
      let room = before
      while (room <= prefix) room *= 2
      this.byPrefix = grown(this.byPrefix, room)
      this.byPrefix.fill(FREE, before)
    }
    if (this.byPrefix[prefix] !== FREE) return
    const id = this.free.pop() ?? this.end++
    this.byPrefix[prefix] = id
    if (id >= this.prefixes.length) this.prefixes = grown(this.prefixes, 2 * this.prefixes.length)
    this.prefixes[id] = prefix
  }

  remove(prefix: number): void {
    const id = this.byPrefix[prefix] ?? FREE
    if (id === FREE) return
    this.byPrefix[prefix] = FREE
    this.prefixes[id] = FREE
    this.free.push(id)
  }

  /** Whether every prefix has the same number in both, and will have. */
  isLike(other: IdTable): boolean {
    const { end, free } = this
    if (end !== other.end || free.length !== other.free.length) return false
    for (let id = 0; id < end; id++) if (this.prefixes[id] !== other.prefixes[id]) return false
    return free.every((id, at) => id === other.free[at])
  }

  copy(): IdTable {
    const copy = new IdTable()
    copy.end = this.end
    copy.byPrefix = this.byPrefix.slice()
    copy.prefixes = this.prefixes.slice()
    copy.free = [...this.free]
    return copy
  }
}
