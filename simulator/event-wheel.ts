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
 * prefetcher like. The last two digits are not told apart: a cell of 256 ticks
 * is handed out whole and sorted by who asked.
 *
 * @module
 */
import type { EventRun } from './event-run.ts'
import { widened } from './widened.ts'

const DIGIT_BITS = 8
const CELLS = 2 ** DIGIT_BITS
const WORDS = CELLS / 32
/** Of the digits above the lowest, in two 32-bit halves: 3 below, 3 of 21 bits above. */
const LEVELS = 6
const LOW_LEVELS = 3
const HALF = 2 ** 32
const CHUNK_BITS = 5
const CHUNK = 2 ** CHUNK_BITS
const FIRST_CHUNKS = 64
const NONE = -1
/** Ticks of a cell, by level. Multiplied: the power of a number is not exact everywhere. */
const UNITS = [CELLS]
while (UNITS.length <= LEVELS) UNITS.push(UNITS.at(-1)! * CELLS)
/** A cell of so few is not spread: sorting it is cheaper. */
const FEW = 40

export class EventWheel {
  /** How many are in it, taken-back ones too. */
  size = 0
  private baseLow = 0
  private baseHigh = 0

  /** By level and cell: where the next one goes, the first chunk, how many. */
  private readonly tails = new Int32Array(LEVELS * CELLS)
  private readonly heads = new Int32Array(LEVELS * CELLS)
  private readonly counts = new Int32Array(LEVELS * CELLS)
  /** A bit a cell that holds any. */
  private readonly occupied = new Int32Array(LEVELS * WORDS)

  private ticks = new Float64Array(FIRST_CHUNKS * CHUNK)
  private slots = new Int32Array(FIRST_CHUNKS * CHUNK)
  /** By chunk: the one after it, of its cell or of the free ones. */
  private nexts = new Int32Array(FIRST_CHUNKS)
  private free = NONE
  private chunks = 0

  /** Adds an event that is not before anything handed out. */
  add(tick: number, slot: number): void {
    const low = tick | 0
    const high = (tick / HALF) | 0
    let level: number
    let digit: number
    if (high === this.baseHigh) {
      const above = (low ^ this.baseLow) >>> DIGIT_BITS
      level = above === 0 ? 0 : (31 - Math.clz32(above)) >> 3
      digit = (low >>> ((level + 1) << 3)) & (CELLS - 1)
    } else {
      const above = (31 - Math.clz32(high ^ this.baseHigh)) >> 3
      level = above + LOW_LEVELS
      digit = (high >>> (above << 3)) & (CELLS - 1)
    }
    this.append(level * CELLS + digit, tick, slot)
    this.size++
  }

  /**
   * Moves the earliest events into `run`, sorted. There must be some.
   *
   * @returns The tick before which nothing is left here.
   */
  take(run: EventRun): number {
    for (;;) {
      let word = 0
      while (this.occupied[word] === 0) word++
      const bits = this.occupied[word]!
      const digit = ((word % WORDS) << 5) | (31 - Math.clz32(bits & -bits))
      const level = (word / WORDS) | 0
      const cell = level * CELLS + digit
      const count = this.counts[cell]!
      const start = this.startOf(level, digit)
      if (level > 0 && count > FEW) {
        this.setBase(start)
        this.spread(cell, count)
        continue
      }
      const end = start + UNITS[level]!
      this.setBase(end - 1)
      this.handOut(cell, count, run)
      if (level === 0 && count > FEW) run.sortByLastDigit()
      else run.sortFew()
      return end
    }
  }

  /** Keeps what `isWanted` says yes to; calls it once for each event. */
  filter(isWanted: (slot: number) => boolean): void {
    for (let cell = 0; cell < LEVELS * CELLS; cell++) {
      const count = this.counts[cell]!
      if (count === 0) continue
      const first = this.empty(cell)
      this.each(first, count, (tick, slot) => {
        if (isWanted(slot)) this.append(cell, tick, slot)
        else this.size--
      })
    }
  }

  private spread(cell: number, count: number): void {
    let chunk = this.empty(cell)
    let left = count
    this.size -= count
    while (left > 0) {
      const from = chunk << CHUNK_BITS
      const end = from + Math.min(left, CHUNK)
      for (let at = from; at < end; at++) this.add(this.ticks[at]!, this.slots[at]!)
      left -= CHUNK
      chunk = this.release(chunk)
    }
  }

  private handOut(cell: number, count: number, run: EventRun): void {
    let chunk = this.empty(cell)
    let left = count
    this.size -= count
    run.begin(count)
    while (left > 0) {
      const from = chunk << CHUNK_BITS
      const many = Math.min(left, CHUNK)
      run.append(this.ticks, this.slots, from, many)
      left -= CHUNK
      chunk = this.release(chunk)
    }
  }

  private each(first: number, count: number, visit: (tick: number, slot: number) => void): void {
    let chunk = first
    let left = count
    while (left > 0) {
      const from = chunk << CHUNK_BITS
      const end = from + Math.min(left, CHUNK)
      for (let at = from; at < end; at++) visit(this.ticks[at]!, this.slots[at]!)
      left -= CHUNK
      chunk = this.release(chunk)
    }
  }

  private append(cell: number, tick: number, slot: number): void {
    let at = this.tails[cell]!
    if ((at & (CHUNK - 1)) === 0) at = this.extend(cell, at)
    this.ticks[at] = tick
    this.slots[at] = slot
    this.tails[cell] = at + 1
    this.counts[cell]!++
  }

  /** Gives the cell another chunk, `at` being the end of its last one. */
  private extend(cell: number, at: number): number {
    const chunk = this.takeChunk()
    if (this.counts[cell] === 0) {
      this.heads[cell] = chunk
      this.occupied[cell >> 5]! |= 1 << (cell & 31)
    } else this.nexts[(at - 1) >> CHUNK_BITS] = chunk
    return chunk << CHUNK_BITS
  }

  /** Forgets what the cell holds and says where it lies. */
  private empty(cell: number): number {
    this.counts[cell] = 0
    this.tails[cell] = 0
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

  private release(chunk: number): number {
    const next = this.nexts[chunk]!
    this.nexts[chunk] = this.free
    this.free = chunk
    return next
  }

  private grow(): void {
    const chunks = this.chunks * 2
    this.ticks = widened(this.ticks, chunks * CHUNK)
    this.slots = widened(this.slots, chunks * CHUNK)
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
