/**
 * Events of the future, by how far their ticks agree with the present one.
 *
 * Ticks are counted from the start of an epoch of 2^32, about 72 minutes, and
 * read as digits of eight bits. An event lies on the level of the highest digit
 * in which it differs from `base`, in the cell of its own digit there (a radix
 * heap: Ahuja et al., "Faster algorithms for the shortest path problem", JACM
 * 1990). So the earliest events are in the lowest cell of the lowest level that
 * holds any, and a cell is spread over lower levels at most once a level. Events
 * enter a cell at its end and are spread in that order, so two events of one
 * tick stay in the order in which they were added.
 *
 * A cell is a list of chunks, read and written in sequence: what a cache and a
 * prefetcher like. An event is four words beside each other, all that there is
 * to know about it, and nothing else is read to serve it. Nothing is kept below
 * cells of 256 ticks; such a one, or a larger one with few events, is handed out
 * whole, sorted.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import { type EventRun, KEY_BITS, placesOf } from './event-run.ts'
import { CANCELLED_BIT, type EventSlots } from './event-slots.ts'
import { widened } from './widened.ts'

/** Words of an event; the first is its tick in the epoch. */
export const WORD = { what: 1, a: 2, b: 3 } as const
/** Of the second word: the kind in the low bits, and above it the slot, 0 for none. */
export const PACKING = { kindBits: 8 } as const
/** Ticks of an epoch. */
export const EPOCH = 2 ** 32

// Copied: a constant of the same module is compiled in, an imported one is read each time.
const WHAT = WORD.what
const A = WORD.a
const B = WORD.b
const KIND_BITS = PACKING.kindBits
const KEY_MASK = 2 ** KEY_BITS - 1
const CANCELLED_SHIFT = CANCELLED_BIT
const EVENT_BITS = 2
const EVENT_WORDS = 2 ** EVENT_BITS
const DIGIT_BITS = 8
const CELLS = 2 ** DIGIT_BITS
const BITMAP_WORDS = CELLS / 32
/** Of the digits above the lowest. */
const LEVELS = 3
/** Events of a chunk: a kilobyte, for long reads in sequence. */
const CHUNK_BITS = 6
const CHUNK = 2 ** CHUNK_BITS
const CHUNK_WORDS = CHUNK * EVENT_WORDS
const CHUNK_SHIFT = CHUNK_BITS + EVENT_BITS
const FIRST_CHUNKS = 64
const NONE = -1
/** A cell of more is spread: its keys would not fit into the nearer caches. */
const SORTED_MAX = 8192
/** So few are handed out whatever their share. */
const FEW = 12
/** A cell with more than an eighth of all is spread: many new ones would be before its end. */
const SHARE_BITS = 3

export class EventWheel {
  /** Tick at which the epoch starts. Minus zero makes it a field of doubles (event-queue.ts). */
  epoch = -0
  /** All events; `atOf` says where one of the run begins. */
  words = new Int32Array(FIRST_CHUNKS * CHUNK_WORDS)
  private base = 0

  /** By level and cell: where the next event goes; 0 when it is empty. */
  private readonly tails = new Int32Array(LEVELS * CELLS)
  /** By level and cell, while it holds any: the first chunk, and events in all but the last one. */
  private readonly heads = new Int32Array(LEVELS * CELLS)
  private readonly counts = new Int32Array(LEVELS * CELLS)
  /** A bit a cell that holds any. */
  private readonly occupied = new Int32Array(LEVELS * BITMAP_WORDS)

  /** By chunk: the one after it, of its cell or of the free ones. */
  private nexts = new Int32Array(FIRST_CHUNKS)
  private free = NONE
  private chunks = 0
  /** Where the run's chunks begin; they are free when the next run is asked for. */
  private lent = new Int32Array(FIRST_CHUNKS)
  private lentCount = 0

  /** Starts a later epoch. Everything of the one before must have been taken. */
  open(epoch: number): void {
    this.epoch = epoch
    this.base = 0
  }

  /** Adds an event that is not before anything handed out; `low` is its tick in the epoch. */
  add(low: number, what: number, a: number, b: number): void {
    const level = (31 - Math.clz32(((low ^ this.base) >>> DIGIT_BITS) | 1)) >> 3
    const cell = (level << DIGIT_BITS) | ((low >>> ((level + 1) << 3)) & (CELLS - 1))
    const tail = this.tails[cell]!
    const at = (tail & (CHUNK_WORDS - 1)) === 0 ? this.extend(cell, tail) : tail
    const { words } = this
    // The last first: one check of the bounds for all.
    words[at + B] = b
    words[at] = low
    words[at + WHAT] = what
    words[at + A] = a
    this.tails[cell] = at + EVENT_WORDS
  }

  /**
   * Fills `run` with the earliest events.
   *
   * @param size How many events wait in all.
   * @returns The tick before which nothing is left here; undefined when nothing was here.
   */
  take(run: EventRun, slots: EventSlots, size: number): number | undefined {
    this.releaseLent()
    for (;;) {
      const cell = this.firstCell()
      if (cell === NONE) return undefined
      const level = cell >> DIGIT_BITS
      const offsetBits = (level + 1) * DIGIT_BITS
      const start = this.startOf(cell, offsetBits)
      const count = this.countOf(cell)
      const chunk = this.empty(cell)
      if (level === 0 && count > placesOf(offsetBits)) invariant(false, `${count} events at once`)
      if (level === 0 || isSortable(count, offsetBits, size)) {
        run.begin(this.epoch + (start >>> 0), offsetBits, count)
        if (this.fill(run, slots, chunk, count)) {
          const ticks = 1 << offsetBits
          this.base = start | (ticks - 1)
          return run.start + ticks
        }
      }
      this.base = start
      this.spread(chunk, count)
    }
  }

  /** Where the first word of an event of the run is. */
  atOf(run: EventRun, key: number): number {
    const place = key & run.placeMask
    return this.lent[place >> CHUNK_BITS]! + (place & (CHUNK - 1)) * EVENT_WORDS
  }

  /** Keeps what `isWanted` says yes to; asks once for each event that is not handed out. */
  filter(isWanted: (what: number) => boolean): void {
    for (let cell = 0; cell < LEVELS * CELLS; cell++) {
      if (this.tails[cell] === 0) continue
      let left = this.countOf(cell)
      for (let chunk = this.empty(cell); left > 0; left -= CHUNK) {
        const begin = chunk * CHUNK_WORDS
        const end = begin + Math.min(left, CHUNK) * EVENT_WORDS
        for (let at = begin; at < end; at += EVENT_WORDS) {
          if (isWanted(this.words[at + WHAT]!)) this.copy(at)
        }
        chunk = this.release(chunk)
      }
    }
  }

  /** Puts a cell's events into the run. False, and nothing done, when sorting would take long. */
  private fill(run: EventRun, slots: EventSlots, first: number, count: number): boolean {
    const { words } = this
    const { states } = slots
    const { unsorted, cancelled, bins, shift, binShift } = run
    this.lend(first, count)
    let kept = 0
    let gone = 0
    for (let place = 0; place < count; ) {
      let at = this.lent[place >> CHUNK_BITS]!
      const end = Math.min(place + CHUNK, count)
      for (; place < end; place++) {
        const slot = words[at + WHAT]! >>> KIND_BITS
        const key = ((words[at]! << shift) & KEY_MASK) | place
        // No branches: which one is cancelled cannot be guessed.
        const isGone = states[slot]! >>> CANCELLED_SHIFT
        const isKept = isGone ^ 1
        unsorted[kept] = key
        kept += isKept
        cancelled[gone] = slot
        gone += isGone
        bins[key >>> binShift]! += isKept
        at += EVENT_WORDS
      }
    }
    if (!run.sort(kept)) {
      this.lentCount = 0
      return false
    }
    for (let each = 0; each < gone; each++) slots.isDropped(cancelled[each]!)
    return true
  }

  /** Moves events of a cell that was emptied to lower levels, `base` being its first tick. */
  private spread(first: number, count: number): void {
    let left = count
    for (let chunk = first; left > 0; left -= CHUNK) {
      const begin = chunk * CHUNK_WORDS
      const end = begin + Math.min(left, CHUNK) * EVENT_WORDS
      for (let at = begin; at < end; at += EVENT_WORDS) this.copy(at)
      chunk = this.release(chunk)
    }
  }

  private copy(at: number): void {
    const { words } = this
    this.add(words[at]!, words[at + WHAT]!, words[at + A]!, words[at + B]!)
  }

  private firstCell(): number {
    const { occupied } = this
    for (let word = 0; word < LEVELS * BITMAP_WORDS; word++) {
      const bits = occupied[word]!
      if (bits !== 0) return (word << 5) | (31 - Math.clz32(bits & -bits))
    }
    return NONE
  }

  /** First tick of a cell, in the epoch. */
  private startOf(cell: number, offsetBits: number): number {
    const blockBits = offsetBits + DIGIT_BITS
    // A shift by 32 is one by 0.
    const block = blockBits === 32 ? 0 : (this.base >>> blockBits) << blockBits
    return block | ((cell & (CELLS - 1)) << offsetBits)
  }

  private countOf(cell: number): number {
    const last = ((this.tails[cell]! - 1) & (CHUNK_WORDS - 1)) + 1
    return this.counts[cell]! + (last >> EVENT_BITS)
  }

  /** Gives a cell another chunk and says where it begins. */
  private extend(cell: number, tail: number): number {
    const chunk = this.takeChunk()
    if (tail === 0) {
      this.heads[cell] = chunk
      this.counts[cell] = 0
      this.occupied[cell >> 5]! |= 1 << (cell & 31)
    } else {
      this.nexts[(tail >> CHUNK_SHIFT) - 1] = chunk
      this.counts[cell]! += CHUNK
    }
    return chunk * CHUNK_WORDS
  }

  /** Forgets what the cell holds and says where it lies. */
  private empty(cell: number): number {
    this.tails[cell] = 0
    this.occupied[cell >> 5]! &= ~(1 << (cell & 31))
    return this.heads[cell]!
  }

  private lend(first: number, count: number): void {
    const chunks = (count + CHUNK - 1) >> CHUNK_BITS
    while (this.lent.length < chunks) this.lent = widened(this.lent, this.lent.length * 2)
    let chunk = first
    for (let each = 0; each < chunks; each++) {
      this.lent[each] = chunk * CHUNK_WORDS
      chunk = this.nexts[chunk]!
    }
    this.lentCount = chunks
  }

  private releaseLent(): void {
    while (this.lentCount > 0) this.release(this.lent[--this.lentCount]! >> CHUNK_SHIFT)
  }

  private takeChunk(): number {
    const reused = this.free
    if (reused !== NONE) {
      this.free = this.nexts[reused]!
      return reused
    }
    if (this.chunks === this.nexts.length) {
      this.words = widened(this.words, this.chunks * 2 * CHUNK_WORDS)
      this.nexts = widened(this.nexts, this.chunks * 2)
    }
    return this.chunks++
  }

  /** Gives a chunk back and says which one followed it. */
  private release(chunk: number): number {
    const next = this.nexts[chunk]!
    this.nexts[chunk] = this.free
    this.free = chunk
    return next
  }
}

/** Whether handing a cell out is better than spreading it. */
function isSortable(count: number, offsetBits: number, size: number): boolean {
  if (count > Math.min(SORTED_MAX, placesOf(offsetBits))) return false
  return count <= Math.max(FEW, size >> SHARE_BITS)
}
