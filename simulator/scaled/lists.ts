/**
 * Lists of nodes that wait together in the queue, by a number; arrays are used again.
 *
 * @module
 */
const NO_LIST: number[] = []
const FREE_MAX = 256
const BYTES_EACH = 8

export class Lists {
  private readonly kept: number[][] = []
  private readonly freeIndices: number[] = []
  private readonly free: number[][] = []

  /** Of what is kept now. */
  get bytes(): number {
    return this.kept.reduce((sum, { length }) => sum + BYTES_EACH * length, 0)
  }

  /** An empty one. */
  take(): number[] {
    return this.free.pop() ?? []
  }

  /** Nobody needs it any more. */
  give(list: number[]): void {
    if (this.free.length >= FREE_MAX) return
    list.length = 0
    this.free.push(list)
  }

  /** @returns its number. */
  keep(list: number[]): number {
    const index = this.freeIndices.pop() ?? this.kept.length
    this.kept[index] = list
    return index
  }

  at(index: number): readonly number[] {
    return this.kept[index] ?? NO_LIST
  }

  drop(index: number): void {
    this.give(this.kept[index] ?? [])
    this.kept[index] = NO_LIST
    this.freeIndices.push(index)
  }
}
