/**
 * Adj-RIBs-In: every path that a peer taught, and this speaker's own, in columns.
 * Paths of one prefix are a list; a path costs 19 bytes.
 *
 * @module
 */
import { grown, ROWS_MIN } from './columns.ts'

/** The end of a list. */
export const NO_PATH = 0

export class Paths {
  peer = new Uint16Array(ROWS_MIN)
  /** Attributes as received (`RawStore`); 0 for own paths. */
  raw = new Int32Array(ROWS_MIN)
  /** Attributes after import (`LocStore`); 0: not accepted. */
  loc = new Int32Array(ROWS_MIN)
  /** The peer's own number for it (RFC 7911); 0 without ADD-PATH. */
  pathId = new Uint32Array(ROWS_MIN)
  /** The next path of the same prefix. */
  next = new Int32Array(ROWS_MIN)
  /** Of the session that taught it, modulo 256: another than the peer's is stale (RFC 4724). */
  epoch = new Uint8Array(ROWS_MIN)
  size = 0
  #end = 1
  #free = NO_PATH

  get bytes(): number {
    return 19 * this.peer.length
  }

  add(): number {
    this.size++
    if (this.#free !== NO_PATH) {
      const path = this.#free
      this.#free = this.next[path]!
      return path
    }
    if (this.#end === this.peer.length) this.#grow(2 * this.#end)
    return this.#end++
  }

  remove(path: number): void {
    this.size--
    this.next[path] = this.#free
    this.#free = path
  }

  #grow(length: number): void {
    this.peer = grown(this.peer, length)
    this.raw = grown(this.raw, length)
    this.loc = grown(this.loc, length)
    this.pathId = grown(this.pathId, length)
    this.next = grown(this.next, length)
    this.epoch = grown(this.epoch, length)
  }
}
