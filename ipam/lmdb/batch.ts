/**
 * A commit as the library's writer thread reads it.
 *
 * The library's own `put` makes half a dozen objects and a buffer of each record,
 * which costs the main thread more than all that is decided about it. So a whole
 * commit is written down here for the thread, the way `writer.cpp` of lmdb-js
 * 3.5.6 reads it ("write instructions"): in chunks of memory, instructions
 * and values apart. An instruction begins at a multiple of eight:
 *
 *     0   u32  what to do; 0: the end, where the thread leaves a word behind
 *     4   u32  number of the database
 *     8   u32  bytes of the key
 *     12       key, zeros, and in the last four bytes before a multiple of eight the bytes of the value
 *         f64  address of the value; for NEXT, at 8, that of the next instruction
 *
 * @module
 */
import * as lmdb from 'lmdb'
import type { Database } from './environment.ts'
import type { Writes } from './overlay.ts'

const PUT = 15
const DEL = 13
const NEXT = 3

const CHUNK_BYTES = 128 << 10
/** Chunks kept for the next commit. */
const CHUNKS_KEPT = 8
/** An instruction without its key, and the one behind it that ends a chunk or a commit. */
const INSTRUCTION_BYTES = 64
/** UTF-8 has at most three bytes for a unit of UTF-16. */
const UNIT_BYTES_MAX = 3
const KEY_AT = 12
/** The first instruction: the thread writes into the word before the end, also of a commit of nothing. */
const FIRST_AT = 8

/** What a commit takes on disk. */
export interface Volume {
  /** Bytes of key and value, for each that is written. */
  readonly sizes: readonly number[]
  /** Whether something is removed. */
  readonly removes: boolean
}

export function volumeOf(writes: Writes): Volume {
  const sizes: number[] = []
  let removes = false
  for (const [key, text] of writes) {
    if (text === undefined) removes = true
    sizes.push(Buffer.byteLength(key) + (text === undefined ? 0 : Buffer.byteLength(text)))
  }
  return { sizes, removes }
}

/** A commit that is written down. */
export interface Batch extends Volume {
  /** What the thread reads; they live as long as it works. */
  readonly chunks: readonly Chunk[]
}

interface Chunk {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly doubles: Float64Array
  readonly address: number
}

/** What the types of the library do not name. */
interface Native {
  getBufferAddress(bytes: Uint8Array): number
  /** Throws what LMDB says of a status. */
  lmdbError(status: number): void
}
interface Internals {
  readonly db: { readonly dbi: number }
  readonly env: { startWriting(address: number, done: (status: number) => void): void }
  writeKey(key: string, bytes: Buffer, at: number): number
}

const native = (lmdb as unknown as { readonly nativeAddon: Native }).nativeAddon

export interface Batches {
  /** An empty one. */
  begin(): BatchWriter
  /** Has a thread of the pool write and commit it; `done` is called once, later, with what was thrown. */
  commit(batch: Batch, done: (thrown: unknown) => void): void
}

export interface BatchWriter {
  /** Undefined: removes the key. Each key once. */
  add(key: string, value: unknown): void
  end(): Batch
}

export function openBatches(db: Database): Batches {
  const internals = db as unknown as Internals
  const spare: Chunk[] = []

  function chunkOf(bytes: number): Chunk {
    return (bytes <= CHUNK_BYTES ? spare.pop() : undefined) ?? newChunk(bytes)
  }

  return {
    begin: () => batchWriter(internals, chunkOf),
    commit({ chunks }, done) {
      internals.env.startWriting(chunks[0]!.address + FIRST_AT, (status) => {
        for (const chunk of chunks) {
          if (chunk.bytes.length === CHUNK_BYTES && spare.length < CHUNKS_KEPT) spare.push(chunk)
        }
        done(status === 0 ? undefined : reasonOf(status))
      })
    },
  }
}

function newChunk(bytes: number): Chunk {
  // Not of a slab that Buffer shares: it begins at a multiple of eight, and is nobody else's.
  const own = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, Math.ceil(bytes / 8) * 8))
  const { buffer } = own
  return {
    bytes: own,
    words: new Uint32Array(buffer),
    doubles: new Float64Array(buffer),
    address: native.getBufferAddress(own),
  }
}

function batchWriter(internals: Internals, chunkOf: (bytes: number) => Chunk): BatchWriter {
  const { dbi } = internals.db
  let code = chunkOf(0)
  let data = chunkOf(0)
  const chunks = [code, data]
  const sizes: number[] = []
  let removes = false
  /** Where the next instruction and the next value begin. */
  let codeAt = FIRST_AT
  let dataAt = 0

  /** Goes on in another chunk where this one might be too short. */
  function roomForCode(bytes: number): void {
    if (codeAt + bytes <= code.bytes.length) return
    const next = chunkOf(bytes)
    code.words[codeAt >> 2] = NEXT
    code.doubles[(codeAt + 8) >> 3] = next.address
    chunks.push(next)
    code = next
    codeAt = 0
  }

  function roomForData(bytes: number): void {
    if (dataAt + bytes <= data.bytes.length) return
    data = chunkOf(bytes)
    chunks.push(data)
    dataAt = 0
  }

  return {
    add(key, value) {
      roomForCode(INSTRUCTION_BYTES + UNIT_BYTES_MAX * key.length)
      const { bytes, words, doubles } = code
      const keyAt = codeAt + KEY_AT
      const keyEnd = internals.writeKey(key, bytes, keyAt)
      const after = (keyEnd + 16) & ~7
      for (let at = keyEnd; at < after; at++) bytes[at] = 0
      const word = codeAt >> 2
      words[word] = value === undefined ? DEL : PUT
      words[word + 1] = dbi
      words[word + 2] = keyEnd - keyAt
      codeAt = after
      let size = 0
      if (value === undefined) removes = true
      else {
        const text = JSON.stringify(value)
        roomForData(UNIT_BYTES_MAX * text.length)
        size = data.bytes.write(text, dataAt)
        words[(after >> 2) - 1] = size
        doubles[after >> 3] = data.address + dataAt
        dataAt += size
        codeAt += 8
      }
      sizes.push(keyEnd - keyAt + size)
    },
    end() {
      code.words[codeAt >> 2] = 0
      return { chunks, sizes, removes }
    },
  }
}

function reasonOf(status: number): unknown {
  try {
    native.lmdbError(status)
    return new Error(`LMDB: status ${status}`)
  } catch (thrown) {
    return thrown
  }
}
