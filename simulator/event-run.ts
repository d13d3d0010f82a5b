/**
 * The next events in the order in which they leave.
 *
 * An event is one number of 31 bits here: its tick's offset from the run's
 * start, and below that its place in the wheel's cell. The cell is in order of
 * scheduling, so the order of these numbers is the order of events, and a sort
 * moves four bytes an event.
 *
 * Sorting: into bins by the highest bits, as many bins as events, then by
 * insertion, which is left with little to do.
 *
 * @module
 */
/** All bits of a key: it is never below 0. */
export const KEY_BITS = 31
const FIRST_CAPACITY = 256
const BIN_BITS_MAX = 12
/** Offsets of so many bits are always sorted. */
const EXACT_BITS_MAX = 8
/** So few are put in order by insertion alone. */
const ALONE_MAX = 12
/** So many of one bin at most are put in order by insertion. */
const INSERTED_MAX = 32

export class EventRun {
  /** The next one's place; equal to `end` when none is left. */
  next = 0
  end = 0
  /** Tick of offset 0. Minus zero makes it a field of doubles from the start (event-queue.ts). */
  start = -0
  /** Where a key's offset begins, and which bits are the place. */
  shift = 0
  placeMask = 0
  keys = new Int32Array(FIRST_CAPACITY)
  /** While a run is made: keys as they came, and slots of cancelled events. */
  unsorted = new Int32Array(FIRST_CAPACITY)
  cancelled = new Int32Array(FIRST_CAPACITY)
  /** By bin: how many keys; then where the next one belongs. */
  readonly bins = new Int32Array(2 ** BIN_BITS_MAX)
  /** Where a key's bin begins. */
  binShift = 0

  /**
   * Starts over, with room for `count` keys.
   *
   * @param offsetBits Bits of the highest offset; `placesOf` says how many places are left.
   */
  begin(start: number, offsetBits: number, count: number): void {
    this.next = 0
    this.end = 0
    this.start = start
    this.shift = KEY_BITS - offsetBits
    this.placeMask = placesOf(offsetBits) - 1
    const binBits = binBitsOf(count, offsetBits)
    this.binShift = KEY_BITS - binBits
    this.bins.fill(0, 0, 1 << binBits)
    if (count > this.keys.length) {
      const length = 1 << (32 - Math.clz32(count))
      this.keys = new Int32Array(length)
      this.unsorted = new Int32Array(length)
      this.cancelled = new Int32Array(length)
    }
  }

  /** Puts `count` unsorted and counted keys in order. False when that would take long. */
  sort(count: number): boolean {
    const isExact = this.binShift === this.shift
    if (this.countsToPlaces() > INSERTED_MAX && !isExact) return false
    this.scatter(count)
    if (!isExact) this.insert()
    return true
  }

  /** Says what the highest count was. */
  private countsToPlaces(): number {
    const { bins, binShift } = this
    const end = 1 << (KEY_BITS - binShift)
    let most = 0
    let place = 0
    for (let bin = 0; bin < end; bin++) {
      const count = bins[bin]!
      if (count > most) most = count
      bins[bin] = place
      place += count
    }
    return most
  }

  private scatter(count: number): void {
    const { keys, unsorted, bins, binShift } = this
    for (let each = 0; each < count; each++) {
      const key = unsorted[each]!
      const bin = key >>> binShift
      const place = bins[bin]!
      bins[bin] = place + 1
      keys[place] = key
    }
    this.end = count
  }

  private insert(): void {
    const { keys, end } = this
    for (let next = 1; next < end; next++) {
      const key = keys[next]!
      let place = next
      while (place > 0 && keys[place - 1]! > key) {
        keys[place] = keys[place - 1]!
        place--
      }
      keys[place] = key
    }
  }

  /** Keeps what `isWanted` says yes to. */
  filter(isWanted: (key: number) => boolean): void {
    let kept = this.next
    for (let place = this.next; place < this.end; place++) {
      const key = this.keys[place]!
      if (isWanted(key)) this.keys[kept++] = key
    }
    this.end = kept
  }
}

function binBitsOf(count: number, offsetBits: number): number {
  if (count <= ALONE_MAX) return 0
  // A bin a tick: nothing is left to insert, so this never takes long.
  if (count > INSERTED_MAX && offsetBits <= EXACT_BITS_MAX) return offsetBits
  return Math.min(32 - Math.clz32(count), BIN_BITS_MAX)
}

/** How many places a key can tell apart beside an offset. */
export function placesOf(offsetBits: number): number {
  return 1 << (KEY_BITS - offsetBits)
}
