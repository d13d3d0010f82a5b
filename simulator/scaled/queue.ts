/**
 * Events by (tick, when they were scheduled, order) in typed arrays. The second is of
 * those that are written down later than they would have been. Few events are soon and
 * many are late, so there are two binary heaps of slots: those before a moment, which
 * are all that is looked at, and all others.
 *
 * @module
 */

const FIRST_ROOM = 1024
/** How far the heap of what is soon reaches. */
const SOON_TICKS = 1000

/** What heaps compare, by slot. */
interface Keys {
  ticks: Float64Array
  since: Float64Array
  orders: Float64Array
}

class Heap {
  size = 0
  private readonly keys: Keys
  private slots = new Int32Array(FIRST_ROOM)

  constructor(keys: Keys) {
    this.keys = keys
  }

  get bytes(): number {
    return this.slots.byteLength
  }

  /** The slot of the first event; there is one. */
  get first(): number {
    return this.slots[0]!
  }

  push(slot: number): void {
    if (this.size === this.slots.length) this.slots = wider(this.slots)
    const { slots } = this
    let at = this.size++
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!this.isBefore(slot, slots[up]!)) break
      slots[at] = slots[up]!
      at = up
    }
    slots[at] = slot
  }

  shift(): number {
    const { slots } = this
    const first = slots[0]!
    const last = slots[--this.size]!
    if (this.size > 0) this.sink(last)
    return first
  }

  private sink(slot: number): void {
    const { slots, size } = this
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && this.isBefore(slots[down + 1]!, slots[down]!)) down++
      if (!this.isBefore(slots[down]!, slot)) break
      slots[at] = slots[down]!
      at = down
    }
    slots[at] = slot
  }

  private isBefore(left: number, right: number): boolean {
    const { ticks, since, orders } = this.keys
    const apart = ticks[left]! - ticks[right]!
    if (apart !== 0) return apart < 0
    const later = since[left]! - since[right]!
    return later !== 0 ? later < 0 : orders[left]! < orders[right]!
  }
}

export class ScaledQueue {
  /** Of the event that `pop` took. */
  tick = 0
  kind = 0
  a = 0
  b = 0

  private order = 0
  private readonly keys: Keys = {
    ticks: new Float64Array(FIRST_ROOM),
    since: new Float64Array(FIRST_ROOM),
    orders: new Float64Array(FIRST_ROOM),
  }
  /** Kind, a, b of each slot. */
  private words = new Int32Array(3 * FIRST_ROOM)
  /** Slots that nothing is in. */
  private free = Int32Array.from({ length: FIRST_ROOM }, (_, slot) => slot)
  private freeCount = FIRST_ROOM
  private readonly soon = new Heap(this.keys)
  private readonly late = new Heap(this.keys)
  /** What is before it is soon. */
  private soonTick = 0

  get bytes(): number {
    const { keys, words, free, soon, late } = this
    const { ticks, since, orders } = keys
    const slots = ticks.byteLength + since.byteLength + orders.byteLength + words.byteLength
    return slots + free.byteLength + soon.bytes + late.bytes
  }

  /** Events that were posted so far. */
  get posted(): number {
    return this.order
  }

  /** Whether the first event comes before one of that tick, which was scheduled at `since` after `order` others. */
  isFirstBefore(tick: number, since: number, order: number): boolean {
    if (!this.look()) return false
    const slot = this.soon.first
    const { keys } = this
    if (keys.ticks[slot] !== tick) return keys.ticks[slot]! < tick
    if (keys.since[slot] !== since) return keys.since[slot]! < since
    return keys.orders[slot]! < order
  }

  /** @param since When it was scheduled. */
  post(tick: number, since: number, kind: number, a: number, b: number): void {
    if (this.freeCount === 0) this.grow()
    const slot = this.free[--this.freeCount]!
    const { keys, words } = this
    keys.ticks[slot] = tick
    keys.since[slot] = since
    keys.orders[slot] = this.order++
    words[3 * slot] = kind
    words[3 * slot + 1] = a
    words[3 * slot + 2] = b
    if (tick < this.soonTick) this.soon.push(slot)
    else this.late.push(slot)
  }

  /** Takes the first event. False: there is none. */
  pop(): boolean {
    if (!this.look()) return false
    const { words } = this
    const slot = this.soon.shift()
    this.tick = this.keys.ticks[slot]!
    this.kind = words[3 * slot]!
    this.a = words[3 * slot + 1]!
    this.b = words[3 * slot + 2]!
    this.free[this.freeCount++] = slot
    return true
  }

  /** Sees to it that the first event is among those that are soon. False: there is none. */
  private look(): boolean {
    const { soon, late } = this
    if (soon.size > 0) return true
    if (late.size === 0) return false
    const { ticks } = this.keys
    this.soonTick = ticks[late.first]! + SOON_TICKS
    while (late.size > 0 && ticks[late.first]! < this.soonTick) soon.push(late.shift())
    return true
  }

  private grow(): void {
    const { keys } = this
    const from = keys.ticks.length
    keys.ticks = wider(keys.ticks)
    keys.since = wider(keys.since)
    keys.orders = wider(keys.orders)
    this.words = wider(this.words)
    this.free = wider(this.free)
    for (let slot = from; slot < 2 * from; slot++) this.free[this.freeCount++] = slot
  }
}

function wider<T extends Float64Array | Int32Array>(from: T): T {
  const to = new (from.constructor as new (length: number) => T)(2 * from.length)
  to.set(from as never)
  return to
}
