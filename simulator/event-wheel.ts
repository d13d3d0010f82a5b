/**
 * Events of the future, by how far their ticks agree with the present one.
 *
 * A tick is read as digits of eight bits. An event lies on the level of the
 * highest digit in which it differs from `base`, in the cell of its own digit
 * there (a radix heap: Ahuja et al., "Faster algorithms for the shortest path
 * problem", JACM 1990). So the earliest events are in the lowest cell of the
 * lowest level that holds any, and a cell is spread over lower levels at most
 * once a level. Events enter a cell at its end and are spread in that order, so
 * two events of one tick stay in the order in which they were added.
 *
 * A cell is a list of chunks, read and written in sequence: what a cache and a
 * prefetcher like. An entry is five words beside each other, not an element in
 * each of five arrays: spreading writes to 256 places at a time, and five times
 * as many do not fit into the nearest cache. Nothing is kept below cells of 256
 * ticks; such a one is handed out whole, sorted.
 *
 * @module
 */
import type { EventRun } from './event-run.ts'
import { widened } from './widened.ts'

/** Words of an entry; the first is the tick's lower half. */
const HIGH = 1
export const SLOT_AND_KIND = 2
export const A = 3
export const B = 4
const ENTRY_WORDS = 5
/** The low bits of `slotAndKind`; the kind is above. */
export const SLOT_BITS = 24
export const SLOT_MASK = 2 ** SLOT_BITS - 1

const DIGIT_BITS = 8
const CELLS = 2 ** DIGIT_BITS
const WORDS = CELLS / 32
/** Of the digits above the lowest, in two 32-bit halves: 3 below, 3 of 21 bits above. */
const LEVELS = 6
const LOW_LEVELS = 3
const HALF = 2 ** 32
const CHUNK = 32
const CHUNK_WORDS = CHUNK * ENTRY_WORDS
const FIRST_CHUNKS = 64
const NONE = -1
/** Ticks of a cell, by level. Multiplied: the power of a number is not exact everywhere. */
const UNITS = [CELLS]
while (UNITS.length <= LEVELS) UNITS.push(UNITS.at(-1)! * CELLS)
/** So few are put in order by insertion alone. */
const ALONE_MAX = 12
/** A cell of more is spread: its entries would not fit into the nearer caches. */
const SORTED_MAX = 4096
/** So many of one digit at most are put in order by insertion. */
const INSERTED_MAX = 32

/** Which half of a tick holds the digit below a level's own, and how far up. */
const DIGIT_PLACES: readonly (readonly [half: number, shift: number])[] = [
  [0, 0],
  [0, 8],
  [0, 16],
  [0, 24],
  [HIGH, 0],
  [HIGH, 8],
]
const digitPlace = (level: number): readonly [number, number] => DIGIT_PLACES[level]!

export class EventWheel {
  /** All entries; a run says where its own begin. */
  words = new Int32Array(FIRST_CHUNKS * CHUNK_WORDS)

  private baseLow = 0
  private baseHigh = 0

  /** By level and cell: where the next entry goes, the first chunk, how many. */
  private readonly tails = new Int32Array(LEVELS * CELLS)
  private readonly heads = new Int32Array(LEVELS * CELLS)
  private readonly counts = new Int32Array(LEVELS * CELLS)
  /** A bit a cell that holds any. */
  private readonly occupied = new Int32Array(LEVELS * WORDS)

  /** By chunk: the one after it, of its cell or of the free ones. */
  private nexts = new Int32Array(FIRST_CHUNKS)
  private free = NONE
  private chunks = 0
  /** What the run is made of, free when the next one is asked for. */
  private lent = NONE
  private lentCount = 0

  /** Adds an event that is not before anything handed out. */
  add(tick: number, slotAndKind: number, a: number, b: number): void {
    const low = tick | 0
    const high = (tick / HALF) | 0
    this.append(this.cellOf(low, high), low, high, slotAndKind, a, b)
  }

  /**
   * Fills `run` with the earliest events. There must be some.
   *
   * @returns The tick before which nothing is left here.
   */
  take(run: EventRun): number {
    this.releaseLent()
    for (;;) {
      let word = 0
      while (this.occupied[word] === 0) word++
      const bits = this.occupied[word]!
      const cell = (word << 5) | (31 - Math.clz32(bits & -bits))
      const level = cell >> DIGIT_BITS
      const count = this.counts[cell]!
      const start = this.startOf(level, cell & (CELLS - 1))
      if (level > 0 && !this.isSortable(cell, level, run)) {
        this.setBase(start)
        this.spread(cell, count)
        continue
      }
      if (level === 0 && count > ALONE_MAX) this.countDigits(cell, 0, run)
      const end = start + UNITS[level]!
      this.setBase(end - 1)
      this.lent = this.empty(cell)
      this.lentCount = count
      if (count > ALONE_MAX) this.handOut(level, run)
      else this.handOutFew(run)
      return end
    }
  }

  /** Keeps what `isWanted` says yes to; asks once for each event that is not handed out. */
  filter(isWanted: (slot: number) => boolean): void {
    for (let cell = 0; cell < LEVELS * CELLS; cell++) {
      let left = this.counts[cell]!
      if (left === 0) continue
      for (let chunk = this.empty(cell); left > 0; left -= CHUNK) {
        const end = chunk * CHUNK_WORDS + Math.min(left, CHUNK) * ENTRY_WORDS
        for (let at = chunk * CHUNK_WORDS; at < end; at += ENTRY_WORDS) {
          if (isWanted(this.words[at + SLOT_AND_KIND]! & SLOT_MASK)) this.copy(cell, at)
        }
        chunk = this.release(chunk)
      }
    }
  }

  private cellOf(low: number, high: number): number {
    if (high === this.baseHigh) {
      const level = (31 - Math.clz32(((low ^ this.baseLow) >>> DIGIT_BITS) | 1)) >> 3
      return (level << DIGIT_BITS) | ((low >>> ((level + 1) << 3)) & (CELLS - 1))
    }
    const above = (31 - Math.clz32(high ^ this.baseHigh)) >> 3
    return ((above + LOW_LEVELS) << DIGIT_BITS) | ((high >>> (above << 3)) & (CELLS - 1))
  }

  /** Moves a cell's events to lower levels, `base` being its first tick. */
  private spread(cell: number, count: number): void {
    let left = count
    for (let chunk = this.empty(cell); left > 0; left -= CHUNK) {
      const end = chunk * CHUNK_WORDS + Math.min(left, CHUNK) * ENTRY_WORDS
      for (let at = chunk * CHUNK_WORDS; at < end; at += ENTRY_WORDS) {
        const { words } = this
        this.copy(this.cellOf(words[at]!, words[at + HIGH]!), at)
      }
      chunk = this.release(chunk)
    }
  }

  /** Whether sorting a cell is cheaper than spreading it. Leaves the digits counted if so. */
  private isSortable(cell: number, level: number, run: EventRun): boolean {
    return this.counts[cell]! <= SORTED_MAX && this.countDigits(cell, level, run) <= INSERTED_MAX
  }

  /** Counts the digits below a cell's own, and says how often the most frequent one occurs. */
  private countDigits(cell: number, level: number, run: EventRun): number {
    const { words, nexts } = this
    let left = this.counts[cell]!
    const { starts } = run.begin(left)
    const [half, shift] = digitPlace(level)
    for (let chunk = this.heads[cell]!; left > 0; left -= CHUNK) {
      const end = chunk * CHUNK_WORDS + Math.min(left, CHUNK) * ENTRY_WORDS
      for (let at = chunk * CHUNK_WORDS + half; at < end; at += ENTRY_WORDS) {
        starts[((words[at]! >>> shift) & (CELLS - 1)) + 1]!++
      }
      chunk = nexts[chunk]!
    }
    return run.counted()
  }

  private handOut(level: number, run: EventRun): void {
    const { words, nexts } = this
    const { starts, ticks, entries } = run
    const [half, shift] = digitPlace(level)
    let left = this.lentCount
    run.end = left
    for (let chunk = this.lent; left > 0; left -= CHUNK) {
      const end = chunk * CHUNK_WORDS + Math.min(left, CHUNK) * ENTRY_WORDS
      for (let at = chunk * CHUNK_WORDS; at < end; at += ENTRY_WORDS) {
        const place = starts[(words[at + half]! >>> shift) & (CELLS - 1)]!++
        ticks[place] = words[at + HIGH]! * HALF + (words[at]! >>> 0)
        entries[place] = at
      }
      chunk = nexts[chunk]!
    }
    if (level > 0) run.sortNearly()
  }

  /** As many as fit into one chunk. */
  private handOutFew(run: EventRun): void {
    const { words } = this
    const { ticks, entries } = run.restart(this.lentCount)
    let at = this.lent * CHUNK_WORDS
    for (let place = 0; place < run.end; place++) {
      ticks[place] = words[at + HIGH]! * HALF + (words[at]! >>> 0)
      entries[place] = at
      at += ENTRY_WORDS
    }
    run.sortNearly()
  }

  private releaseLent(): void {
    for (; this.lentCount > 0; this.lentCount -= CHUNK) this.lent = this.release(this.lent)
  }

  private copy(cell: number, at: number): void {
    const { words } = this
    const slotAndKind = words[at + SLOT_AND_KIND]!
    const a = words[at + A]!
    this.append(cell, words[at]!, words[at + HIGH]!, slotAndKind, a, words[at + B]!)
  }

  private append(
    cell: number,
    low: number,
    high: number,
    slotAndKind: number,
    a: number,
    b: number,
  ): void {
    const count = this.counts[cell]!
    const at = (count & (CHUNK - 1)) === 0 ? this.extend(cell, count) : this.tails[cell]!
    const { words } = this
    words[at + B] = b
    words[at] = low
    words[at + HIGH] = high
    words[at + SLOT_AND_KIND] = slotAndKind
    words[at + A] = a
    this.tails[cell] = at + ENTRY_WORDS
    this.counts[cell] = count + 1
  }

  /** Gives a cell another chunk and says where it begins. */
  private extend(cell: number, count: number): number {
    const chunk = this.takeChunk()
    if (count === 0) {
      this.heads[cell] = chunk
      this.occupied[cell >> 5]! |= 1 << (cell & 31)
    } else this.nexts[((this.tails[cell]! - 1) / CHUNK_WORDS) | 0] = chunk
    return chunk * CHUNK_WORDS
  }

  /** Forgets what the cell holds and says where it lies. */
  private empty(cell: number): number {
    this.counts[cell] = 0
    this.occupied[cell >> 5]! &= ~(1 << (cell & 31))
    return this.heads[cell]!
  }

  private takeChunk(): number {
    const reused = this.free
    if (reused !== NONE) {
      this.free = this.nexts[reused]!
      return reused
    }
    if (this.chunks === this.nexts.length) this.grow()
    return this.chunks++
  }

  /** Gives a chunk back and says which one followed it. */
  private release(chunk: number): number {
    const next = this.nexts[chunk]!
    this.nexts[chunk] = this.free
    this.free = chunk
    return next
  }

  private grow(): void {
    const chunks = this.chunks * 2
    this.words = widened(this.words, chunks * CHUNK_WORDS)
    this.nexts = widened(this.nexts, chunks)
  }

  private setBase(tick: number): void {
    this.baseLow = tick | 0
    this.baseHigh = (tick / HALF) | 0
  }

  /** First tick of a cell. */
  private startOf(level: number, digit: number): number {
    const base = this.baseHigh * HALF + (this.baseLow >>> 0)
    const block = UNITS[level + 1]!
    return Math.floor(base / block) * block + digit * UNITS[level]!
  }
}
