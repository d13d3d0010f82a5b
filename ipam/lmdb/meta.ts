/**
 * The head of an LMDB data file, read without LMDB: it maps the file, and what
 * is wrong with a mapped file ends the process (SIGBUS where it is too short,
 * SIGSEGV or SIGABRT where a page is not what it should be).
 *
 * Layout: `MDB_page_header` and `MDB_meta` of the LMDB in lmdb-js 3.5.6
 * (`dependencies/lmdb/libraries/liblmdb/mdb.c`), data version 2, on a 64-bit
 * little-endian machine. Pages 0 and 1 hold one meta each; commits take turns,
 * so the other one is the commit before.
 *
 * @module
 */

/** A file as plain reads see it. */
export interface RawFile {
  readonly sizeBytes: number
  /** Up to `bytes` bytes from `offset`; fewer at the end of the file. Valid until the file changes. */
  read(offset: number, bytes: number): Buffer
}

/** What is wrong, as two ends of a sentence: "it …, wanted …". */
export interface Damage {
  readonly found: string
  readonly wanted: string
}

/** A tree of pages, `MDB_db`. */
export interface Tree {
  readonly flags: number
  /** Levels; 0 without a root. */
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** Page number; undefined in an empty tree. */
  readonly root: number | undefined
}

/** One commit, `MDB_meta`. */
export interface Meta {
  readonly pageBytes: number
  /** Free pages, by the transaction that freed them. */
  readonly free: Tree
  readonly main: Tree
  /** The highest page that was ever in use. */
  readonly lastPage: number
  readonly txnid: number
  /** The first group of the writer's /proc/sys/kernel/random/boot_id, as `strtoll` reads it; 0: not known. */
  readonly bootId: number
}

export type Head =
  | { readonly kind: 'empty' }
  | { readonly kind: 'damaged'; readonly damage: Damage }
  /** `meta` is the newer one. */
  | { readonly kind: 'sound'; readonly meta: Meta }

/** `MDB_page_header`: number u64, txnid u64, pad u16, flags u16, lower u16 and upper u16, or a count of pages u32. */
export const PAGE_HEADER_BYTES = 24
/** `MDB_meta`: magic u32, version u32, address u64, map size u64, two `MDB_db`, last page u64, txnid u64, boot id i64. */
const META_BYTES = 144
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
export const P_META = 0x08
/** `MDB_INTEGERKEY`, a flag of the free tree. */
export const INTEGER_KEY = 0x08
/** `P_INVALID`, the root of an empty tree. */
const NO_PAGE = 2 ** 64
/** `CURSOR_STACK` */
const DEPTH_MAX = 32
const [PAGE_BYTES_MIN, PAGE_BYTES_MAX] = [512, 65_536]

/** Reads at most two metas. */
export function readHead(file: RawFile): Head {
  if (file.sizeBytes === 0) return { kind: 'empty' }
  const first = parseMeta(file.read(0, PAGE_HEADER_BYTES + META_BYTES), 0)
  if ('found' in first) return { kind: 'damaged', damage: first }
  const second = parseMeta(file.read(first.pageBytes, PAGE_HEADER_BYTES + META_BYTES), 1)
  if ('found' in second) return { kind: 'damaged', damage: second }
  // As `mdb_pick_meta` chooses. The other one may say less than it should: after a write that
  // failed, LMDB puts back its number alone.
  const [meta, pgno] = first.txnid >= second.txnid ? [first, 0] : [second, 1]
  const damage = sizesDamage(first, second) ?? metaDamage(meta, `page ${pgno}`)
  return damage === undefined ? { kind: 'sound', meta } : { kind: 'damaged', damage }
}

/** One meta page, from its start; at least `PAGE_HEADER_BYTES + META_BYTES` of it. Its numbers may be any. */
export function parseMeta(page: Buffer, pgno: number): Meta | Damage {
  const where = `page ${pgno}`
  if (page.length < PAGE_HEADER_BYTES + META_BYTES) {
    const found = `ends within ${where}, after ${page.length} bytes of it`
    return { found, wanted: 'two pages that describe the rest' }
  }
  const magic = page.readUInt32LE(PAGE_HEADER_BYTES)
  if ((flagsOf(page) & P_META) === 0 || magic !== MAGIC || u64(page, 0) !== pgno) {
    const wanted = 'a description of the rest there'
    if (page.every((byte) => byte === 0)) return { found: `has zeros in ${where}`, wanted }
    return { found: `begins ${where} with ${page.subarray(0, 8).toString('hex')}`, wanted }
  }
  const version = page.readUInt32LE(PAGE_HEADER_BYTES + 4) & 0xffff
  if (version !== DATA_VERSION) {
    const found = `was written in version ${version} of LMDB's format`
    return { found, wanted: `version ${DATA_VERSION}` }
  }
  const at = PAGE_HEADER_BYTES + 24
  const pageBytes = page.readUInt32LE(at)
  const isPower = (pageBytes & (pageBytes - 1)) === 0
  if (!isPower || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) {
    return { found: `says in ${where} that a page has ${pageBytes} bytes`, wanted: '4096' }
  }
  return {
    pageBytes,
    free: treeAt(page, at),
    main: treeAt(page, at + 48),
    lastPage: u64(page, at + 96),
    txnid: u64(page, at + 104),
    bootId: u64(page, at + 112),
  }
}

/** `MDB_db`: pad u32 (in the free tree the size of a page), flags u16, depth u16, then five u64. */
function treeAt(page: Buffer, at: number): Tree {
  const root = u64(page, at + 40)
  return {
    flags: page.readUInt16LE(at + 4),
    depth: page.readUInt16LE(at + 6),
    branchPages: u64(page, at + 8),
    leafPages: u64(page, at + 16),
    overflowPages: u64(page, at + 24),
    entries: u64(page, at + 32),
    root: root === NO_PAGE ? undefined : root,
  }
}

function metaDamage(meta: Meta, where: string): Damage | undefined {
  const { pageBytes, lastPage, free, main } = meta
  const damage = (what: string, wanted: string): Damage => ({
    found: `says in ${where} ${what}`,
    wanted,
  })
  if (lastPage < 1 || lastPage >= Number.MAX_SAFE_INTEGER / pageBytes) {
    return damage(`that page ${lastPage} is the last`, 'a page that can be')
  }
  if ((free.flags & INTEGER_KEY) === 0) return damage('that free pages have text keys', 'numbers')
  if (main.flags !== 0) return damage(`that records have flags ${main.flags}`, 'none')
  for (const { root, depth } of [free, main]) {
    if (root === undefined ? depth === 0 : depth > 0 && depth <= DEPTH_MAX) {
      if (root === undefined || (root > 1 && root <= lastPage)) continue
      return damage(`that page ${root} is a root`, `one of pages 2 to ${lastPage}`)
    }
    return damage(`that a tree is ${depth} deep`, 'as deep as it has a root')
  }
  return undefined
}

function sizesDamage(first: Meta, second: Meta): Damage | undefined {
  if (first.pageBytes === second.pageBytes) return undefined
  const found = `has pages of ${first.pageBytes} and of ${second.pageBytes} bytes`
  return { found, wanted: 'one size' }
}

export const flagsOf = (page: Buffer): number => page.readUInt16LE(18)

/** Exact below 2^53; what is larger only has to be too large. */
export const u64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
