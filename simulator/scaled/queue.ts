/**
 * Events by (tick, when they were scheduled, order) in typed arrays: a binary heap of
 * slots. The second is of those that are written down later than they would have been.
 *
 * @module
 */

const FIRST_ROOM = 1024

export class ScaledQueue {
  /** Of the event that `pop` took. */
  tick = 0
  kind = 0
  a = 0
  b = 0

  private size = 0
  private order = 0
  private ticks = new Float64Array(FIRST_ROOM)
  private since = new Float64Array(FIRST_ROOM)
  private orders = new Float64Array(FIRST_ROOM)
  /** Kind, a, b of each slot. */
  private words = new Int32Array(3 * FIRST_ROOM)
  /** Slots as a heap, then those that are free. */
  private heap = Int32Array.from({ length: FIRST_ROOM }, (_, slot) => slot)

  get bytes(): number {
    const { ticks, since, orders, words, heap } = this
    const keys = ticks.byteLength + since.byteLength + orders.byteLength
    return keys + words.byteLength + heap.byteLength
  }

  /** Events that were posted so far. */
  get posted(): number {
    return this.order
  }

  /** Whether the first event comes before one of that tick, which was scheduled at `since` after `order` others. */
  isFirstBefore(tick: number, since: number, order: number): boolean {
    if (this.size === 0) return false
    const slot = this.heap[0]!
    if (this.ticks[slot] !== tick) return this.ticks[slot]! < tick
    if (this.since[slot] !== since) return this.since[slot]! < since
    return this.orders[slot]! < order
  }

  /** @param since When it was scheduled. */
  post(tick: number, since: number, kind: number, a: number, b: number): void {
    if (this.size === this.heap.length) this.grow()
    const at = this.size++
    const slot = this.heap[at]!
    this.ticks[slot] = tick
    this.since[slot] = since
    this.orders[slot] = this.order++
    this.words[3 * slot] = kind
    this.words[3 * slot + 1] = a
    this.words[3 * slot + 2] = b
    this.rise(at, slot)
  }

  /** Takes the first event. False: there is none. */
  pop(): boolean {
    if (this.size === 0) return false
    const { heap, words } = this
    const slot = heap[0]!
    this.tick = this.ticks[slot]!
    this.kind = words[3 * slot]!
    this.a = words[3 * slot + 1]!
    this.b = words[3 * slot + 2]!
    const last = heap[--this.size]!
    heap[this.size] = slot
    if (this.size > 0) this.sink(last)
    return true
  }

  private isBefore(left: number, right: number): boolean {
    const { ticks, since, orders } = this
    const apart = ticks[left]! - ticks[right]!
    if (apart !== 0) return apart < 0
    const later = since[left]! - since[right]!
    return later !== 0 ? later < 0 : orders[left]! < orders[right]!
  }

  private rise(from: number, slot: number): void {
    const { heap } = this
    let at = from
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!this.isBefore(slot, heap[up]!)) break
      heap[at] = heap[up]!
      at = up
    }
    heap[at] = slot
  }

  private sink(slot: number): void {
    const { heap, size } = this
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && this.isBefore(heap[down + 1]!, heap[down]!)) down++
      if (!this.isBefore(heap[down]!, slot)) break
      heap[at] = heap[down]!
      at = down
    }
    heap[at] = slot
  }

  private grow(): void {
    const room = 2 * this.heap.length
    const wider = <T extends Float64Array | Int32Array>(to: T, from: T): T => {
      to.set(from)
      return to
    }
    const from = this.heap.length
    this.ticks = wider(new Float64Array(room), this.ticks)
    this.since = wider(new Float64Array(room), this.since)
    this.orders = wider(new Float64Array(room), this.orders)
    this.words = wider(new Int32Array(3 * room), this.words)
    this.heap = wider(new Int32Array(room), this.heap)
    for (let slot = from; slot < room; slot++) this.heap[slot] = slot
  }
}
