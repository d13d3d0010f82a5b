/**
 * Which of a speaker's sessions is to be woken next. What is due at one moment is
 * served in the order of a heap, which is the order in which the product serves it.
 *
 * @module
 */

/** Something with a time of its own, in milliseconds; both are written here only. */
export interface Alarmed {
  due: number | undefined
  place: number
}

export class Alarms<T extends Alarmed> {
  private readonly heap: T[] = []

  get next(): number | undefined {
    return this.heap[0]?.due
  }

  /** The first one, if its time has come. */
  dueAt(now: number): T | undefined {
    const [first] = this.heap
    return first !== undefined && first.due! <= now ? first : undefined
  }

  set(owner: T, due: number | undefined): void {
    if (owner.due === due) return
    owner.due = due
    const { heap } = this
    if (due !== undefined) {
      if (owner.place < 0) owner.place = heap.push(owner) - 1
      this.settle(owner)
      return
    }
    const { place } = owner
    if (place < 0) return
    owner.place = -1
    const last = heap.pop()!
    if (last === owner) return
    this.put(last, place)
    this.settle(last)
  }

  clear(): void {
    for (const owner of this.heap) {
      owner.due = undefined
      owner.place = -1
    }
    this.heap.length = 0
  }

  /** Moves it up as far as it goes, then down. */
  private settle(owner: T): void {
    const { heap } = this
    const due = owner.due!
    let at = owner.place
    for (let up = (at - 1) >>> 1; at > 0 && heap[up]!.due! > due; up = (at - 1) >>> 1) {
      this.put(heap[up]!, at)
      at = up
    }
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && heap[down + 1]!.due! < heap[down]!.due!) down++
      if (heap[down]!.due! >= due) break
      const below = heap[down]!
      this.put(below, at)
      at = down
    }
    this.put(owner, at)
  }

  private put(owner: T, at: number): void {
    this.heap[at] = owner
    owner.place = at
  }
}
