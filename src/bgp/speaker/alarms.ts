/**
 * Which of many sessions wants to be woken next: a heap in which each has one place,
 * because every message that comes in moves a hold timer.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'

/** Something with a time of its own. */
export interface Alarmed {
  /** When it is to be woken; undefined: not at all. Written by `Alarms` only. */
  due: Instant | undefined
  /** Its place in the heap; -1: none. Written by `Alarms` only. */
  place: number
}

export class Alarms<Owner extends Alarmed> {
  readonly #heap: Owner[] = []

  get next(): Instant | undefined {
    return this.#heap[0]?.due
  }

  set(owner: Owner, due: Instant | undefined): void {
    if (due === owner.due) return
    owner.due = due
    if (due === undefined) this.#remove(owner)
    else {
      if (owner.place < 0) owner.place = this.#heap.push(owner) - 1
      this.#settle(owner)
    }
  }

  /** The one that has waited longest, if its time has come. It stays until `set` moves it. */
  dueAt(now: Instant): Owner | undefined {
    const [first] = this.#heap
    return first !== undefined && first.due! <= now ? first : undefined
  }

  #remove(owner: Owner): void {
    const { place } = owner
    if (place < 0) return
    owner.place = -1
    const last = this.#heap.pop()!
    if (last === owner) return
    this.#put(last, place)
    this.#settle(last)
  }

  /** Moves it up as far as it goes, or down. */
  #settle(owner: Owner): void {
    const heap = this.#heap
    const due = owner.due!
    let { place } = owner
    while (place > 0) {
      const parent = heap[(place - 1) >>> 1]!
      if (parent.due! <= due) break
      this.#put(parent, place)
      place = (place - 1) >>> 1
    }
    for (;;) {
      const left = 2 * place + 1
      const right = heap[left + 1]
      const child = right !== undefined && right.due! < heap[left]!.due! ? right : heap[left]
      if (child === undefined || child.due! >= due) break
      const below = child.place
      this.#put(child, place)
      place = below
    }
    this.#put(owner, place)
  }

  #put(owner: Owner, place: number): void {
    this.#heap[place] = owner
    owner.place = place
  }
}
