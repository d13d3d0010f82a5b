/**
 * Every page of an LMDB data file that a commit leads to, walked with plain
 * reads: whether LMDB can be let near it.
 *
 * What is looked at is what LMDB trusts when it reads and writes: where pages
 * and nodes lie, what sort they are, the order of keys, the totals in the meta
 * page, and that no page is used twice or both used and free. Values have no
 * checksum; one that holds a zero byte is no JSON, and told.
 *
 * Layout: `MDB_page`, `MDB_node`, `MDB_ovpage` and, for free pages, `MDB_IDL` of
 * lmdb-js 3.5.6; its lists hold holes (0) and runs (minus a length, then a page).
 *
 * @module
 */
import {
  type Damage,
  flagsOf,
  type Meta,
  PAGE_HEADER_BYTES,
  type RawFile,
  type Tree,
  u64,
} from './meta.ts'

const P_BRANCH = 0x01
const P_LEAF = 0x02
const P_OVERFLOW = 0x04
/** `P_DIRTY_OVF`, `P_LOOSE` and `P_KEEP` mean nothing on disk. */
const FLAGS_KEPT = 0x1fff
/** The value is on pages of its own. */
const F_BIGDATA = 0x01
const NODE_HEADER_BYTES = 8
/** `MDB_ovpage`: page u64, txnid u64, number of pages u64. */
const OVERFLOW_NODE_BYTES = 24

/** A key and a value, or a key and a child. */
interface Node {
  readonly key: Buffer
  /** Where the value begins in the page; of a branch: the end of the key. */
  readonly dataAt: number
  /** Bytes of the value; of a branch: the child's page number. */
  readonly size: number
  readonly isBig: boolean
}

/** What a tree was found to hold. */
interface Counts {
  branchPages: number
  leafPages: number
  overflowPages: number
  entries: number
}

/** Ends the walk. */
class Found extends Error {
  readonly damage: Damage
  constructor(found: string, wanted: string) {
    super(found)
    this.damage = { found, wanted }
  }
}

/** The first damage that the walk meets; undefined when all of it is sound. */
export function treeDamage(file: RawFile, meta: Meta): Damage | undefined {
  try {
    const pages = pagesOf(file, meta)
    walkTree(pages, meta.main, 'record', (_key, value, where) => {
      if (value.includes(0)) throw new Found(`has zeros in a record of ${where}`, 'JSON text')
    })
    const lists: Buffer[] = []
    walkTree(pages, meta.free, 'free', (_key, value) => void lists.push(Buffer.from(value)))
    for (const list of lists) walkFreeList(pages, meta, list)
    return undefined
  } catch (thrown) {
    if (thrown instanceof Found) return thrown.damage
    throw thrown
  }
}

interface Pages {
  readonly meta: Meta
  /** `count` pages in a row, as yet unseen. */
  take(pgno: number, count: number, user: string): Buffer
  /** Free pages may lie after the end of the file. */
  takeFree(pgno: number): void
}

function pagesOf(file: RawFile, meta: Meta): Pages {
  const { pageBytes, lastPage } = meta
  const inFile = Math.floor(file.sizeBytes / pageBytes)
  const seen = new Uint8Array(Math.min(inFile, lastPage + 1))
  const mark = (pgno: number): void => {
    if (seen[pgno] === 1) throw new Found(`uses page ${pgno} twice`, 'each page once')
    seen[pgno] = 1
  }
  return {
    meta,
    take(pgno, count, user) {
      if (!(pgno > 1 && count >= 1 && pgno + count - 1 <= lastPage)) {
        throw new Found(`names page ${pgno} in ${user}`, `pages 2 to ${lastPage}`)
      }
      if (pgno + count > inFile) {
        const wanted = `${(pgno + count) * pageBytes}: it was cut off`
        throw new Found(`has ${file.sizeBytes} bytes`, wanted)
      }
      for (let each = pgno; each < pgno + count; each++) mark(each)
      return file.read(pgno * pageBytes, count * pageBytes)
    },
    takeFree(pgno) {
      if (!(pgno > 1 && pgno <= lastPage)) {
        throw new Found(`has page ${pgno} among its free ones`, `pages 2 to ${lastPage}`)
      }
      if (pgno < inFile) mark(pgno)
    },
  }
}

type Visit = (key: Buffer, value: Buffer, where: string) => void

function walkTree(pages: Pages, tree: Tree, sort: 'record' | 'free', visit: Visit): void {
  const counts: Counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
  if (tree.root !== undefined) {
    const walk: Walk = { pages, tree, sort, visit, counts, last: undefined, floor: undefined }
    walkPage(walk, tree.root, 1, 'its root')
  }
  for (const name of ['branchPages', 'leafPages', 'overflowPages', 'entries'] as const) {
    if (counts[name] === tree[name]) continue
    throw new Found(`leads to ${counts[name]} ${name} of ${sort}s`, `${tree[name]}`)
  }
}

interface Walk {
  readonly pages: Pages
  readonly tree: Tree
  readonly sort: 'record' | 'free'
  readonly visit: Visit
  readonly counts: Counts
  /** The key before, of a leaf. */
  last: Buffer | undefined
  /** No key from here on may be less. */
  floor: Buffer | undefined
}

function walkPage(walk: Walk, pgno: number, level: number, user: string): void {
  const { pages, tree, sort, counts } = walk
  const page = pages.take(pgno, 1, user)
  const where = `page ${pgno}`
  const isLeaf = level === tree.depth
  checkHeader(page, pgno, pages.meta, isLeaf ? P_LEAF : P_BRANCH)
  const count = countOf(page, pgno)
  if (isLeaf) counts.leafPages++
  else counts.branchPages++
  if (!isLeaf && sort === 'record' && count < 2) throw new Found(`has one child in ${where}`, 'two')
  for (let index = 0; index < count; index++) {
    const node = nodeAt(page, index, count, isLeaf, where)
    if (isLeaf) {
      checkKey(walk, node.key, where)
      counts.entries++
      walk.visit(
        node.key,
        node.isBig ? bigValue(walk, page, node, where) : valueIn(page, node),
        where,
      )
      continue
    }
    if (index > 0) {
      if (walk.last !== undefined && compare(walk, walk.last, node.key) >= 0) {
        throw new Found(`has its keys out of order in ${where}`, 'them in order')
      }
      walk.floor = node.key
    }
    walkPage(walk, node.size, level + 1, where)
  }
}

function checkHeader(page: Buffer, pgno: number, { txnid }: Meta, wanted: number): void {
  const flags = flagsOf(page) & FLAGS_KEPT
  if (u64(page, 0) === pgno && flags === wanted && u64(page, 8) <= txnid) return
  const found = page.every((byte) => byte === 0)
    ? `has zeros in page ${pgno}`
    : `says in page ${pgno} that it is page ${u64(page, 0)} of sort ${flags}, transaction ${u64(page, 8)}`
  throw new Found(found, `page ${pgno} of sort ${wanted}, at most transaction ${txnid}`)
}

/** Number of nodes: the list of their places ends at `lower`, they themselves begin at `upper`. */
function countOf(page: Buffer, pgno: number): number {
  const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)]
  const room = page.length - PAGE_HEADER_BYTES
  if (lower >= 2 && lower % 2 === 0 && lower <= upper && upper <= room) return lower >> 1
  throw new Found(`has its free room at ${lower} to ${upper} in page ${pgno}`, `within ${room}`)
}

function nodeAt(page: Buffer, index: number, count: number, isLeaf: boolean, where: string): Node {
  const at = page.readUInt16LE(PAGE_HEADER_BYTES + index * 2) + PAGE_HEADER_BYTES
  const outside = (end: number): Found =>
    new Found(`has a record at ${at} to ${end} in ${where}`, `within ${page.length}`)
  if (at % 2 !== 0 || at < PAGE_HEADER_BYTES + count * 2) throw outside(at)
  if (at + NODE_HEADER_BYTES > page.length) throw outside(at + NODE_HEADER_BYTES)
  const low = page.readUInt32LE(at)
  const flags = page.readUInt16LE(at + 4)
  const keyEnd = at + NODE_HEADER_BYTES + page.readUInt16LE(at + 6)
  const isBig = isLeaf && flags === F_BIGDATA
  if (isLeaf && flags !== 0 && !isBig) {
    throw new Found(`has a record of sort ${flags} in ${where}`, 'sort 0 or 1')
  }
  const end = keyEnd + (isBig ? OVERFLOW_NODE_BYTES : isLeaf ? low : 0)
  if (end > page.length) throw outside(end)
  const key = page.subarray(at + NODE_HEADER_BYTES, keyEnd)
  // A branch's first key stands for everything before the second.
  if (key.length === 0 && (isLeaf || index > 0)) {
    throw new Found(`has a record without a key in ${where}`, 'a key')
  }
  return { key, dataAt: keyEnd, size: isLeaf ? low : low + flags * 2 ** 32, isBig }
}

function checkKey(walk: Walk, key: Buffer, where: string): void {
  const { sort, last, floor } = walk
  if (sort === 'free' && key.length !== 8) {
    throw new Found(`has a key of ${key.length} bytes in ${where}`, '8')
  }
  const isAfter = last === undefined || compare(walk, last, key) < 0
  if (!isAfter || (floor !== undefined && compare(walk, key, floor) < 0)) {
    throw new Found(`has its keys out of order in ${where}`, 'them in order')
  }
  walk.last = key
}

/** As `mdb_cmp_memn` and `mdb_cmp_long` order keys. */
function compare({ sort }: Walk, left: Buffer, right: Buffer): number {
  if (sort === 'record') return Buffer.compare(left, right)
  return left.length === 8 && right.length === 8 ? u64(left, 0) - u64(right, 0) : 0
}

const valueIn = (page: Buffer, { dataAt, size }: Node): Buffer =>
  page.subarray(dataAt, dataAt + size)

/** A value on pages of its own, behind one header. */
function bigValue({ pages, counts }: Walk, page: Buffer, node: Node, where: string): Buffer {
  const [pgno, count] = [u64(page, node.dataAt), u64(page, node.dataAt + 16)]
  const wanted = Math.ceil((PAGE_HEADER_BYTES + node.size) / page.length)
  // More than it needs: a value that was longer before, in the same transaction.
  if (count < wanted) {
    throw new Found(`has ${node.size} bytes on ${count} pages in ${where}`, `${wanted}`)
  }
  const whole = pages.take(pgno, count, where)
  checkHeader(whole, pgno, pages.meta, P_OVERFLOW)
  if (whole.readUInt32LE(20) !== count) {
    throw new Found(`says ${whole.readUInt32LE(20)} pages in page ${pgno}`, `${count}`)
  }
  counts.overflowPages += count
  return whole.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + node.size)
}

function walkFreeList(pages: Pages, { lastPage }: Meta, list: Buffer): void {
  const room = list.length / 8 - 1
  const length = list.length >= 8 ? u64(list, 0) : Number.NaN
  if (!(length <= room)) throw new Found(`lists ${length} free pages`, `at most ${room}`)
  for (let index = 1; index <= length; index++) {
    const entry = list.readBigInt64LE(index * 8)
    if (entry >= 0n) {
      if (entry > 0n) pages.takeFree(Number(entry))
      continue
    }
    const run = Number(-entry)
    if (index === length || run > lastPage) throw new Found(`lists ${run} free pages`, 'fewer')
    const start = u64(list, ++index * 8)
    for (let each = 0; each < run; each++) pages.takeFree(start + each)
  }
}
