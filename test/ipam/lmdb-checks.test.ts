/** Each single thing that is looked at in a data file: one edit of a sound file that nothing else would tell. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Meta, type RawFile, readHead } from '../../ipam/lmdb/meta.ts'
import { treeDamage } from '../../ipam/lmdb/tree.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'

const PAGE = 4096
const path = join(ownFolder(t), 'store')
const store = openLmdbStore(path, { patience: 'blocks' })
for (const first of [0, 100, 200, 0]) {
  await answerOf(store, (tx) => {
    for (let n = first; n < first + 100; n++) {
      tx.put(`row/${n}`, { text: 'x'.repeat(n % 40 === 7 ? 9000 : 300) })
    }
  })
}
store.close()
const sound = readFileSync(join(path, 'data.mdb'))
const rawOf = (bytes: Buffer): RawFile => ({
  sizeBytes: bytes.length,
  read: (offset, count) => bytes.subarray(offset, offset + count),
})
const head = readHead(rawOf(sound))
if (head.kind !== 'sound') throw new Error('the file is sound')
const { meta } = head
const { main, free, lastPage, txnid } = meta

// As MDB_page and MDB_node lie in the file; written apart from the walk that is tested.
const pageAt = (pgno: number): number => pgno * PAGE
const nodeAt = (pgno: number, index: number): number =>
  pageAt(pgno) + 24 + sound.readUInt16LE(pageAt(pgno) + 24 + 2 * index)
const countOf = (pgno: number): number => sound.readUInt16LE(pageAt(pgno) + 20) / 2
const childOf = (pgno: number, index: number): number => sound.readUInt32LE(nodeAt(pgno, index))
const dataAt = (node: number): number => node + 8 + sound.readUInt16LE(node + 6)
const root = main.root ?? 0
const parentOf = (pgno: number, depth: number): number =>
  depth === 2 ? pgno : parentOf(childOf(pgno, 0), depth - 1)
const branch = parentOf(root, main.depth)
const [leaf, next] = [childOf(branch, 0), childOf(branch, 1)]
const big = (() => {
  for (let index = 0; index < countOf(branch); index++) {
    const page = childOf(branch, index)
    for (let n = 0; n < countOf(page); n++) {
      const node = nodeAt(page, n)
      if (sound.readUInt16LE(node + 4) === 1) return node
    }
  }
  throw new Error('a value has pages of its own')
})()
const bigPage = sound.readUInt32LE(dataAt(big))
const freeLeaf = free.root ?? 0
const list = dataAt(nodeAt(freeLeaf, 0))

type Edit = (bytes: Buffer) => Buffer | undefined
const u16 =
  (at: number, value: number): Edit =>
  (bytes) => {
    bytes.writeUInt16LE(value, at)
    return bytes
  }
const u32 =
  (at: number, value: number): Edit =>
  (bytes) => {
    bytes.writeUInt32LE(value, at)
    return bytes
  }
const i64 =
  (at: number, value: number): Edit =>
  (bytes) => {
    bytes.writeBigInt64LE(BigInt(value), at)
    return bytes
  }
const both =
  (...edits: readonly Edit[]): Edit =>
  (bytes) =>
    edits.reduce<Buffer>((last, edit) => edit(last) ?? last, bytes)
const says = (what: string): RegExp => new RegExp(what)

const IN_TREE: readonly (readonly [
  what: string,
  edit: Edit,
  found: RegExp,
  meta?: Partial<Meta>,
])[] = [
  [
    'zeros in a value',
    (b) => b.fill(0, dataAt(nodeAt(leaf, 1)) + 2, dataAt(nodeAt(leaf, 1)) + 3),
    says(`zeros in a record of page ${leaf}`),
  ],
  ['a page used twice', u32(nodeAt(branch, 1), leaf), says(`uses page ${leaf} twice`)],
  ['a child in the head', u32(nodeAt(branch, 0), 1), says(`names page 1 in page ${branch}`)],
  [
    'a child past the last page',
    u32(nodeAt(branch, 0), lastPage + 1),
    says(`names page ${lastPage + 1}`),
  ],
  ['a file cut off', (b) => b.subarray(0, pageAt(Math.max(leaf, next, root))), says('bytes')],
  [
    'a free page past the last',
    i64(list + 8, lastPage + 1),
    says(`has page ${lastPage + 1} among its free ones`),
  ],
  ['a free page in the head', i64(list + 8, 1), says('has page 1 among its free ones')],
  ['a page both used and free', i64(list + 8, leaf), says(`uses page ${leaf} twice`)],
  [
    'branch pages counted',
    (b) => b,
    says('branchPages'),
    { main: { ...main, branchPages: main.branchPages + 1 } },
  ],
  [
    'leaf pages counted',
    (b) => b,
    says('leafPages'),
    { main: { ...main, leafPages: main.leafPages + 1 } },
  ],
  [
    'overflow pages counted',
    (b) => b,
    says('overflowPages'),
    { main: { ...main, overflowPages: main.overflowPages + 1 } },
  ],
  [
    'records counted',
    (b) => b,
    says('entries of records'),
    { main: { ...main, entries: main.entries + 1 } },
  ],
  [
    'free lists counted',
    (b) => b,
    says('entries of frees'),
    { free: { ...free, entries: free.entries + 1 } },
  ],
  ['a branch with one child', u16(pageAt(branch) + 20, 2), says(`one child in page ${branch}`)],
  [
    'a separator before what it follows',
    (b) => b.fill(1, nodeAt(branch, 1) + 8, nodeAt(branch, 1) + 9),
    says(`out of order in page ${branch}`),
  ],
  [
    'a separator after what it leads to',
    (b) => b.fill(0xff, dataAt(nodeAt(branch, 1)) - 1, dataAt(nodeAt(branch, 1))),
    says(`out of order in page ${next}`),
  ],
  ['another number on a page', u32(pageAt(leaf), leaf + 1), says(`says in page ${leaf}`)],
  ['another sort of page', u16(pageAt(leaf) + 18, 1), says(`says in page ${leaf}`)],
  ['a page of a later transaction', i64(pageAt(leaf) + 8, txnid + 1), says(`says in page ${leaf}`)],
  [
    'a page of zeros',
    (b) => b.fill(0, pageAt(leaf), pageAt(leaf) + PAGE),
    says(`zeros in page ${leaf}`),
  ],
  ['no record in a page', u16(pageAt(leaf) + 20, 0), says('free room at 0')],
  ['half a place', u16(pageAt(leaf) + 20, 3), says('free room at 3')],
  ['room that ends before it begins', u16(pageAt(leaf) + 22, 0), says('free room')],
  ['room past the page', u16(pageAt(leaf) + 22, PAGE), says('free room')],
  [
    'a record at an odd place',
    u16(pageAt(leaf) + 24, nodeAt(leaf, 0) - pageAt(leaf) - 24 + 1),
    says('has a record at'),
  ],
  ['a record among the places', u16(pageAt(leaf) + 24, 0), says('has a record at 24')],
  ['a record past the page', u16(pageAt(leaf) + 24, PAGE - 26), says('has a record at 4094')],
  ['a record that is too long', u32(nodeAt(leaf, 0), PAGE), says('has a record at')],
  ['a record of no sort', u16(nodeAt(leaf, 0) + 4, 2), says('record of sort 2')],
  ['a record without a key', u16(nodeAt(leaf, 0) + 6, 0), says('without a key')],
  ['a child without a key', u16(nodeAt(branch, 1) + 6, 0), says(`without a key in page ${branch}`)],
  ['a free list with another key', u16(nodeAt(freeLeaf, 0) + 6, 4), says('a key of 4 bytes')],
  [
    'records out of order',
    both(
      u16(pageAt(leaf) + 24, sound.readUInt16LE(pageAt(leaf) + 26)),
      u16(pageAt(leaf) + 26, sound.readUInt16LE(pageAt(leaf) + 24)),
    ),
    says(`out of order in page ${leaf}`),
  ],
  ['a value on too few pages', i64(dataAt(big) + 16, 1), says('bytes on 1 pages')],
  [
    'a value on a page of another sort',
    u16(pageAt(bigPage) + 18, 2),
    says(`says in page ${bigPage}`),
  ],
  ['another count of pages', u32(pageAt(bigPage) + 20, 9), says(`says 9 pages in page ${bigPage}`)],
  ['a free list longer than its room', i64(list, 60_000), says('lists 60000 free pages')],
  ['a run without a page', both(i64(list, 1), i64(list + 8, -2)), says('lists 2 free pages')],
  [
    'a run past the last page',
    both(i64(list, 2), i64(list + 8, -(lastPage + 1)), i64(list + 16, 2)),
    says(`lists ${lastPage + 1} free pages`),
  ],
  [
    'a run that begins in the head',
    both(i64(list, 2), i64(list + 8, -1), i64(list + 16, 1)),
    says('has page 1 among'),
  ],
]

t.test('the file is sound, and has what is looked at', async (t) => {
  t.equal(treeDamage(rawOf(sound), meta), undefined)
  t.ok(main.depth >= 2 && next !== leaf && countOf(leaf) >= 2 && countOf(branch) > 2, 'branches')
  t.ok(sound.readBigInt64LE(list) >= 2n, 'a free list')
})

for (const [what, edit, found, other] of IN_TREE) {
  t.test(`in the tree: ${what}`, async (t) => {
    const bytes = edit(Buffer.from(sound)) ?? sound
    t.match(treeDamage(rawOf(bytes), { ...meta, ...other })?.found ?? 'nothing', found)
  })
}

/** Which of the two metas counts. */
const at = (sound.readUInt32LE(24 + 24) && head.meta.txnid % 2 === 0 ? 0 : PAGE) + 24
const IN_HEAD: readonly (readonly [what: string, edit: Edit, found: RegExp])[] = [
  ['less than a meta', (b) => b.subarray(0, 100), says('ends within page 0')],
  ['less than two', (b) => b.subarray(0, PAGE + 10), says('ends within page 1')],
  ['another magic', u32(24, 1), says('begins page 0')],
  ['no meta by its sort', u16(18, 0), says('begins page 0')],
  ['a meta of another number', u32(0, 7), says('begins page 0')],
  ['zeros', (b) => b.fill(0, PAGE, 2 * PAGE), says('zeros in page 1')],
  ['another version', u32(28, 3), says('version 3')],
  ['pages of no power of two', u32(48, 4097), says('4097 bytes')],
  ['pages that are too small', u32(48, 256), says('256 bytes')],
  ['pages that are too large', u32(48, 131_072), says('131072 bytes')],
  ['pages of two sizes', u32(PAGE + 48, 8192), says('pages of 4096 and of 8192')],
  ['a last page in the head', i64(at + 120, 0), says('page 0 is the last')],
  ['a last page beyond all disks', i64(at + 120, 2 ** 52), says('is the last')],
  ['free pages by text', u16(at + 28, 0), says('free pages have text keys')],
  ['records by number', u16(at + 76, 8), says('records have flags 8')],
  ['a root in the head', i64(at + 112, 1), says('page 1 is a root')],
  ['a root past the last page', i64(at + 112, lastPage + 1), says('is a root')],
  ['a tree without depth', u16(at + 78, 0), says('a tree is 0 deep')],
  ['a tree that is too deep', u16(at + 78, 33), says('a tree is 33 deep')],
  ['depth without a tree', i64(at + 112, -1), says('deep')],
]
for (const [what, edit, found] of IN_HEAD) {
  t.test(`in the head: ${what}`, async (t) => {
    const judged = readHead(rawOf(edit(Buffer.from(sound)) ?? sound))
    t.match(judged.kind === 'damaged' ? judged.damage.found : judged.kind, found)
  })
}
