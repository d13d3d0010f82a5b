/**
 * Room in the data file for the next commit, taken from the disk beforehand.
 *
 * A commit that the disk refuses half way is what the native library bears
 * badly (see `transactions.ts`). Zeros after the last page do no harm to LMDB and
 * make its own writes go where the disk has already given its consent; so a full
 * disk refuses here, before anything has begun. Whoever only adds leaves a reserve,
 * so that removing (a DEL) goes on: the pages it frees are enough for the next one.
 * File systems that never write in place (btrfs, ZFS) may still refuse later.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Volume } from './batch.ts'
import { DATA_FILE, rawFile } from './inspect.ts'
import { type Meta, readHead } from './meta.ts'

export interface Room {
  /** Throws what the disk says when there is no room for the writes. Call it inside the gate, on the newest commit. */
  make(volume: Volume): void
  close(): void
}

/** Taken at a time, if the disk has it. */
const CHUNK_BYTES = 128 << 10
/** Pages for writes that remove something: what `pagesFor` says of one in a large store. */
const RESERVE_PAGES = 32
/** A node's header, the place in the list of nodes, and what ends a key. */
const NODE_BYTES = 16

export function openRoom(path: string): Room {
  const fd = openSync(join(path, DATA_FILE), 'r+')
  return {
    make(volume) {
      const raw = rawFile(fd)
      const head = readHead(raw)
      // What is wrong with it, LMDB is about to say.
      if (head.kind !== 'sound') return
      const { pageBytes, lastPage } = head.meta
      const reserve = volume.removes ? 0 : RESERVE_PAGES
      const end = (lastPage + 1 + pagesFor(volume, head.meta) + reserve) * pageBytes
      if (raw.sizeBytes < end) extend(fd, raw.sizeBytes, end)
    },
    close: () => closeSync(fd),
  }
}

/** To `end`, and some more where that is to be had. */
function extend(fd: number, size: number, end: number): void {
  try {
    fill(fd, size, Math.max(end, size + CHUNK_BYTES))
  } catch (thrown) {
    // What was written before it failed stays, and may be enough.
    if (fstatSync(fd).size < end) throw thrown
  }
}

function fill(fd: number, from: number, to: number): void {
  const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, to - from))
  for (let at = from; at < to; ) {
    at += writeSync(fd, zeros, 0, Math.min(zeros.length, to - at), at)
  }
}

/**
 * Pages that a commit of the writes may add, were none free: a copy of each page
 * on the way to a record, but none twice; what the values fill, with pages half
 * full; and the list of free pages.
 */
export function pagesFor({ sizes }: Volume, { pageBytes, main, free }: Meta): number {
  let [leafBytes, bigPages] = [0, 0]
  for (const bytes of sizes) {
    if (bytes > pageBytes / 4) bigPages += Math.ceil((bytes + NODE_BYTES) / pageBytes) + 1
    leafBytes += Math.min(bytes, pageBytes / 2) + NODE_BYTES
  }
  const copied = Math.min(sizes.length * main.depth, main.branchPages + main.leafPages)
  const filled = Math.min(sizes.length, Math.ceil((2 * leafBytes) / pageBytes)) * 2 + main.depth + 1
  const listed = free.branchPages + free.leafPages + free.overflowPages + free.depth + 4
  return copied + filled + bigPages + listed
}
