/** What is wrong with a data file is told before LMDB maps it, and nothing of it is changed. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { parseMeta, type RawFile, readHead } from '../../ipam/lmdb/meta.ts'
import { treeDamage } from '../../ipam/lmdb/tree.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { keys } from '../../ipam/mod.ts'
import type { Key, Store } from '../../ipam/store.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'
import { holds } from '../support/property.ts'

const LONG = process.env['TRIVIUM_LONG'] === '1'
const SEED = process.env['FC_SEED'] ?? String(Date.now())
const PAGE = 4096

t.setTimeout(LONG ? 3_600_000 : 240_000)
const folder = ownFolder(t)
let stores = 0
const freshPath = (): string => join(folder, `store.${stores++}`)
const dataOf = (path: string): string => join(path, 'data.mdb')
const row = (n: number): Key<unknown> => `row/${n}`

/** A store with every sort of page: several levels, values on pages of their own, free pages. */
async function fill(store: Store, random: Prng, rounds = 40): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await answerOf(store, (tx) => {
      for (let n = random.below(30); n >= 0; n--) {
        const key = row(random.below(800))
        if (random.below(3) === 0) tx.remove(key)
        else tx.put(key, { text: 'x'.repeat(random.below(random.below(10) === 0 ? 9000 : 500)) })
      }
    })
  }
}

const rawOf = (bytes: Buffer): RawFile => ({
  sizeBytes: bytes.length,
  read: (offset, count) => bytes.subarray(offset, offset + count),
})

/** As the opening judges it, with every page looked at. */
function judge(bytes: Buffer): string {
  const head = readHead(rawOf(bytes))
  if (head.kind !== 'sound') return head.kind
  return treeDamage(rawOf(bytes), head.meta) === undefined ? 'sound' : 'damaged'
}

/** Pages after the last one that was ever used; what LMDB writes beyond its room leaves none. */
function roomIn(bytes: Buffer): number {
  const head = readHead(rawOf(bytes))
  assert.ok(head.kind === 'sound')
  return bytes.length / PAGE - (head.meta.lastPage + 1)
}

/** A store of its own with these bytes as its data file. */
function planted(bytes: Buffer): string {
  const path = freshPath()
  mkdirSync(path, { mode: 0o700 })
  writeFileSync(dataOf(path), bytes)
  return path
}

t.test('a store is sound after any commits and openings', async (t) => {
  const random = prng(SEED)
  for (let round = 0; round < (LONG ? 30 : 2); round++) {
    const path = freshPath()
    for (let opening = 0; opening < 5; opening++) {
      const store = openLmdbStore(path, { patience: opening % 2 === 0 ? 'pool' : 'blocks' })
      for (let part = 0; part < 6; part++) {
        await fill(store, random, 4)
        assert.equal(judge(readFileSync(dataOf(path))), 'sound', `FC_SEED=${SEED}`)
        assert.ok(roomIn(readFileSync(dataOf(path))) > 0, `there was room: FC_SEED=${SEED}`)
      }
      store.close()
    }
  }
  t.pass(`FC_SEED=${SEED}`)
})

/** Damage as disks, file systems and people do it. */
function damage(whole: Buffer, random: Prng): Buffer {
  const bytes = Buffer.from(whole)
  const pages = bytes.length / PAGE
  const page = (): number => random.below(pages) * PAGE
  switch (random.below(7)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length))
    case 1: // a sector
      return Buffer.from(bytes.fill(0, ...sector(page() + random.below(8) * 512)))
    case 2:
      return Buffer.from(bytes.fill(random.below(256), ...sector(page())))
    case 3: // a page that was written to the wrong place
      bytes.copy(bytes, page(), page(), page() + PAGE)
      return bytes
    case 4: // a bit
      bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
      return bytes
    case 5: // where pages keep what others trust
      bytes.writeUInt16LE(random.below(65_536), page() + random.below(60) * 2)
      return bytes
    default:
      bytes.writeUInt32LE(random.below(2 ** 32), page() + random.below(PAGE / 4) * 4)
      return bytes
  }
}

const sector = (at: number): [number, number] => [at, at + 512]

t.test(`what the look lets pass ends no process (FC_SEED=${SEED})`, async (t) => {
  const random = prng(`${SEED} damage`)
  const path = freshPath()
  const store = openLmdbStore(path)
  await fill(store, random)
  store.close()
  const whole = readFileSync(dataOf(path))
  const passed: string[] = []
  let refused = 0
  for (let n = 0; n < (LONG ? 3000 : 150); n++) {
    const bytes = damage(whole, random)
    if (judge(bytes) !== 'sound') refused++
    else if (!bytes.equals(whole)) passed.push(planted(bytes))
  }
  const touch = fileURLToPath(new URL('lmdb-touch.ts', import.meta.url))
  const args = ['--conditions=trivium-source', '--import', 'tsx', touch]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(passed.map((each) => `${each}\n`).join(''))
  const [said, [status, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  const lines = said.trim().split('\n')
  t.strictSame({ status, signal }, { status: 0, signal: null }, `FC_SEED=${SEED} ${lines.at(-1)}`)
  t.equal(lines.length, passed.length)
  t.strictSame(
    lines.filter((line) => line.includes('Cannot')),
    [],
    'each takes writes',
  )
  t.ok(refused > 15 && passed.length > 2, `${refused} refused, ${passed.length} let pass`)
})

t.test('any bytes for a meta page are judged', async (t) => {
  holds(t, 'metas', fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const found = parseMeta(Buffer.from(bytes), 0)
    assert.ok('found' in found)
  })
  const path = freshPath()
  openLmdbStore(path).close()
  const good = readFileSync(dataOf(path))
  const change = fc.tuple(fc.nat(300), fc.nat(255))
  holds(t, 'changed metas', fc.array(change, { maxLength: 4 }), (changes) => {
    const bytes = Buffer.from(good)
    for (const [at, value] of changes) bytes[at] = value
    assert.ok(['sound', 'damaged'].includes(judge(bytes)))
  })
})

interface Case {
  readonly name: string
  readonly change: (file: string) => void
  readonly message: RegExp
}

const write = (file: string, at: number, bytes: Buffer): void => {
  const all = readFileSync(file)
  bytes.copy(all, at)
  writeFileSync(file, all)
}

const CASES: readonly Case[] = [
  {
    name: 'cut off',
    change: (file) => truncateSync(file, 3 * PAGE),
    message: /data\.mdb has 12288 bytes, wanted \d+: it was cut off$/,
  },
  {
    name: 'cut off in its head',
    change: (file) => truncateSync(file, 100),
    message: /data\.mdb ends within page 0, after 100 bytes of it, wanted two pages/,
  },
  {
    name: 'zeroed',
    change: (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length)),
    message: /data\.mdb has zeros in page 0, wanted a description of the rest there$/,
  },
  {
    name: 'with a second page of zeros',
    change: (file) => write(file, PAGE, Buffer.alloc(PAGE)),
    message: /data\.mdb has zeros in page 1, wanted/,
  },
  {
    name: 'another file',
    change: (file) => writeFileSync(file, '{"network":"pods"}\n'.repeat(999)),
    message: /data\.mdb begins page 0 with 7b226e6574776f72, wanted/,
  },
  {
    name: 'of an older LMDB',
    change: (file) => write(file, 28, Buffer.from([1, 0, 0, 0])),
    message: /data\.mdb was written in version 1 of LMDB's format, wanted version 2$/,
  },
  {
    name: 'of a newer LMDB',
    change: (file) => write(file, 28, Buffer.from([3, 0, 0, 0])),
    message: /data\.mdb was written in version 3 of LMDB's format, wanted version 2$/,
  },
  {
    name: 'with zeros in the middle',
    change: (file) => write(file, 2 * PAGE, Buffer.alloc(readFileSync(file).length - 3 * PAGE)),
    message: /data\.mdb has zeros in page \d+, wanted page \d+ of sort/,
  },
]

for (const { name, change, message } of CASES) {
  t.test(`a data file ${name}`, async (t) => {
    const path = freshPath()
    const first = openLmdbStore(path)
    await fill(first, prng(name), 10)
    first.close()
    change(dataOf(path))
    const before = readFileSync(dataOf(path))
    for (const mustExist of [false, true]) {
      t.throws(
        () => openLmdbStore(path, { patience: 'pool', mustExist }),
        { code: 'STORE', message, details: /^Nothing was changed\. .*\(mv \S+data\.mdb / },
        `${mustExist}`,
      )
    }
    t.ok(readFileSync(dataOf(path)).equals(before), 'nothing was changed')
    t.notOk(existsSync(`${dataOf(path)}.damaged`))
  })
}

t.test('damage in the middle is found by a short call, too, after another boot', async (t) => {
  const path = freshPath()
  const first = openLmdbStore(path)
  await fill(first, prng('boot'), 10)
  first.close()
  const zeros = Buffer.alloc(readFileSync(dataOf(path)).length - 3 * PAGE)
  write(dataOf(path), 2 * PAGE, zeros)
  // As an opening in the boot of the last commit: it looks at the head alone. Nothing may read there.
  for (const at of [0, PAGE]) write(dataOf(path), at + 24 + 136, Buffer.from([1]))
  t.throws(() => openLmdbStore(path), { code: 'STORE', message: /has zeros in page/ })
})

t.test('an empty data file is no store', async (t) => {
  const path = freshPath()
  mkdirSync(path, { mode: 0o700 })
  writeFileSync(dataOf(path), '')
  for (const options of [{ readOnly: true }, { mustExist: true }]) {
    t.throws(() => openLmdbStore(path, options), { code: 'NOT_FOUND', message: /there is none/ })
  }
  const store = openLmdbStore(path)
  await answerOf(store, (tx) => tx.put(keys.sequence('n1'), 1))
  store.close()
  t.equal(judge(readFileSync(dataOf(path))), 'sound')
})

t.test('a store is made whole or not at all', async (t) => {
  const path = freshPath()
  openLmdbStore(path).close()
  const after = readdirSync(path).sort()
  t.strictSame(after, ['data.mdb', 'lock.mdb', 'writers.lock'], 'nothing else stays')
  rmSync(dataOf(path))
  // What a killed one left aside goes with the next.
  mkdirSync(join(path, '.new-left'))
  writeFileSync(join(path, '.new-left', 'data.mdb'), 'half')
  openLmdbStore(path).close()
  t.strictSame(readdirSync(path).sort(), after)
})

t.test('no second data file beside one that was removed under a process', async (t: Test) => {
  const path = freshPath()
  const program = `
    import { openLmdbStore } from '../../ipam/lmdb-store.ts'
    openLmdbStore(process.argv[1])
    console.log('open')
    setInterval(() => {}, 1000)`
  const args = ['--conditions=trivium-source', '--import', 'tsx', '--input-type=module', '-e']
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const child = spawn(process.execPath, [...args, program, path], { cwd })
  t.teardown(() => child.kill('SIGKILL'))
  await once(createInterface({ input: child.stdout }), 'line')
  const aside = `${dataOf(path)}.aside`
  copyFileSync(dataOf(path), aside)
  rmSync(dataOf(path))
  t.throws(() => openLmdbStore(path), {
    code: 'STORE',
    message: /data\.mdb was removed while a process works on it/,
  })
  t.notOk(existsSync(dataOf(path)))
  child.kill('SIGKILL')
  await once(child, 'exit')
  openLmdbStore(path).close()
  t.ok(existsSync(dataOf(path)))
})

t.test('on a disk that is mounted to read only', { skip: notRoot() }, async (t) => {
  const path = freshPath()
  openLmdbStore(path).close()
  const program = `
    import { openLmdbStore } from '../../ipam/lmdb-store.ts'
    try { openLmdbStore(process.argv[1]) }
    catch ({ code, message, details }) { console.log(JSON.stringify({ code, message, details })) }`
  const bind = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
  const node = ['--conditions=trivium-source', '--import', 'tsx', '--input-type=module']
  const args = ['-m', 'sh', '-c', bind, 'sh', path, process.execPath, ...node, '-e', program, path]
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { stdout, stderr } = spawnSync('unshare', args, { cwd, encoding: 'utf8' })
  t.match(stderr, /^$/)
  t.match(JSON.parse(stdout), {
    code: 'STORE',
    message: /^Cannot open store .*read-only file system/,
    details: /mount it to write again/,
  })
})

t.test('opening on a disk with hardly any room', { skip: notRoot() }, async (t) => {
  const disk = freshPath()
  mkdirSync(disk)
  const program = `
    import { rmSync, statfsSync, writeFileSync } from 'node:fs'
    import { openLmdbStore } from '../../ipam/lmdb-store.ts'
    const [, disk] = process.argv
    const { bavail, bsize } = statfsSync(disk)
    for (let left = 0; left < 100; left += left < 30 ? 1 : 10) {
      writeFileSync(disk + '/filler', Buffer.alloc((bavail - left) * bsize))
      let said = 'opened'
      try { openLmdbStore(disk + '/store').close() } catch (thrown) { said = thrown.code + ' ' + thrown.details }
      console.log(said)
      rmSync(disk + '/store', { recursive: true, force: true })
    }`
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"'
  const node = ['--conditions=trivium-source', '--import', 'tsx', '--input-type=module']
  const args = ['-m', 'sh', '-c', mount, 'sh', disk, process.execPath, ...node, '-e', program, disk]
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { status, signal, stdout } = spawnSync('unshare', args, { cwd, encoding: 'utf8' })
  t.strictSame({ status, signal }, { status: 0, signal: null })
  const said = stdout.trim().split('\n')
  t.strictSame([...new Set(said)], ['STORE Free some space on that disk', 'opened'])
  t.strictSame(said, [...said].sort(), 'refused, and from some room on opened')
})

for (const patience of ['pool', 'blocks']) {
  t.test(`a disk that is full to the last byte (${patience})`, { skip: notRoot() }, async (t) => {
    const disk = freshPath()
    mkdirSync(disk)
    const mount = 'mount -t tmpfs -o size=4m tmpfs "$1" && shift && exec "$@"'
    const program = fileURLToPath(new URL('lmdb-disk.ts', import.meta.url))
    const node = ['--conditions=trivium-source', '--import', 'tsx', program, disk, patience]
    const args = ['-m', 'sh', '-c', mount, 'sh', disk, process.execPath, ...node]
    const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
    t.match(stderr, /^$/)
    const found = JSON.parse(stdout)
    // Node's own words: LMDB had not begun.
    t.match(found.message, /^Cannot write store .*ENOSPC: no space left on device, write$/)
    t.match(found, { code: 'STORE', details: /^Free some space on that disk\. A write is tried/ })
    t.ok(found.held > 20, `${found.held} pods had room`)
    t.equal(found.released, found.held, 'DEL goes on')
    t.equal(found.again, 'committed', 'and ADD does, when there is room')
  })
}

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'a mount needs root'
}
