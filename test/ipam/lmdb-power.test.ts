/**
 * Power cuts: what was written is recorded, and every state in which a cut could
 * leave the disk is opened. Each holds exactly what some commit made, and nothing
 * that was answered is missing.
 *
 * A cut keeps what was synced before it, and any of what was written since, in any
 * order, cut at sectors. A sector itself is whole: a meta fits into one.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { KeyRange } from '../../ipam/store.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { ownFolder } from '../support/folder.ts'
import { tell } from '../support/tally.ts'
import { powerStep } from './lmdb-power.ts'

const LONG = process.env['TRIVIUM_LONG'] === '1'
const SEED = process.env['FC_SEED'] ?? String(Date.now())
const STEPS = LONG ? 80 : 30
/** Reorderings between two syncs. */
const REORDERINGS = LONG ? 200 : 4
const SECTOR = 512

t.setTimeout(LONG ? 3_600_000 : 240_000)
const folder = ownFolder(t)
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

interface Written {
  readonly kind: 'write'
  readonly offset: number
  readonly bytes: Buffer
  readonly isDurable: boolean
}

type Event =
  | Written
  | { readonly kind: 'sync' | 'rename' }
  | { readonly kind: 'answer'; readonly step: number }

function parse(log: Buffer): readonly Event[] {
  const events: Event[] = []
  for (let at = 0; at < log.length; ) {
    const end = log.indexOf(10, at)
    const [sort, ...numbers] = log.toString('latin1', at, end).split(' ')
    const [first = 0, length = 0, durable = 0] = numbers.map(Number)
    at = end + 1
    if (sort === 'W') {
      const bytes = log.subarray(at, at + length)
      events.push({ kind: 'write', offset: first, bytes, isDurable: durable === 1 })
      at += length
    } else if (sort === 'A') events.push({ kind: 'answer', step: first })
    else if (sort === 'S') events.push({ kind: 'sync' })
    else if (sort === 'R') events.push({ kind: 'rename' })
    else throw new Error(`There is a record of sort ${sort}`)
  }
  return events
}

/** A file that grows. */
class Disk {
  #bytes: Buffer
  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#bytes = Buffer.from(bytes)
  }
  write(offset: number, bytes: Buffer): void {
    const end = offset + bytes.length
    if (end > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(end - this.#bytes.length)])
    }
    bytes.copy(this.#bytes, offset)
  }
  get bytes(): Buffer {
    return this.#bytes
  }
}

/** Some sectors of a write. */
function torn({ offset, bytes }: Written, random: Prng): readonly (readonly [number, Buffer])[] {
  const parts: (readonly [number, Buffer])[] = []
  for (let at = 0; at < bytes.length; ) {
    const next = Math.min(bytes.length, at + SECTOR - ((offset + at) % SECTOR))
    if (random.below(2) === 0) parts.push([offset + at, bytes.subarray(at, next)])
    at = next
  }
  return parts
}

/** Any of the writes, in any order, some of them in part. */
function reordered(durable: Buffer, pending: readonly Written[], random: Prng): Buffer {
  const disk = new Disk(durable)
  const order = pending.map((write) => ({ write, place: random.below(2 ** 31) }))
  order.sort((left, right) => left.place - right.place)
  for (const { write } of order) {
    const fate = random.below(4)
    if (fate < 2) disk.write(write.offset, write.bytes)
    else if (fate === 2)
      for (const [offset, bytes] of torn(write, random)) disk.write(offset, bytes)
  }
  return disk.bytes
}

let places = 0

/** The rows of a store with these bytes, as an agent finds them when the machine is back. */
function found(bytes: Buffer): ReadonlyMap<string, unknown> {
  const path = join(folder, `cut.${places++}`)
  mkdirSync(path, { mode: 0o700 })
  writeFileSync(join(path, 'data.mdb'), bytes)
  const store = openLmdbStore(path, { patience: 'pool', mustExist: true })
  try {
    return new Map(store.read((reader) => [...reader.range('row/' as KeyRange<unknown>)]))
  } finally {
    store.close()
    rmSync(path, { recursive: true })
  }
}

/** The rows after each step, the first: none. */
function models(seed: string): readonly ReadonlyMap<string, unknown>[] {
  const rows = new Map<string, unknown>()
  const after: ReadonlyMap<string, unknown>[] = [new Map()]
  for (let step = 1; step <= STEPS; step++) {
    const put = (key: string, value: unknown): void => void rows.set(key, value)
    powerStep({ put, remove: (key) => void rows.delete(key) }, seed, step)
    after.push(new Map([...rows].sort(([left], [right]) => (left < right ? -1 : 1))))
  }
  return after
}

function recorded(library: string): readonly Event[] {
  const log = join(folder, 'writes')
  writeFileSync(log, '')
  const program = here('lmdb-power.ts')
  const args = ['--conditions=trivium-source', '--import', 'tsx', program]
  const env = { ...process.env, LD_PRELOAD: library, RECORD_WRITES: log }
  const { status, stderr } = spawnSync(
    process.execPath,
    [...args, join(folder, 'store'), SEED, String(STEPS)],
    { env, encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  return parse(readFileSync(log))
}

const library = join(folder, 'record-writes.so')
const compiled = spawnSync(
  process.env['CC'] ?? 'gcc',
  ['-shared', '-fPIC', '-o', library, here('record-writes.c'), '-ldl'],
  { stdio: 'ignore' },
)
const skip = compiled.status !== 0 && 'no C compiler: CC or gcc'

t.test(`a power cut at any moment (FC_SEED=${SEED})`, { skip }, async (t) => {
  const events = recorded(library)
  const wanted = models(SEED)
  const random = prng(`${SEED} cuts`)
  const commits = new Set<number>()
  let answered = 0
  /** How far the rows have come. Throws when they are of no commit, or lack what was answered. */
  const check = (bytes: Buffer, what: string): number => {
    let rows: ReadonlyMap<string, unknown>
    try {
      rows = found(bytes)
    } catch (thrown) {
      throw new Error(`${what}: ${(thrown as Error).message} (FC_SEED=${SEED})`)
    }
    const step = Number(rows.get('row/step') ?? 0)
    assert.deepEqual([...rows], [...(wanted[step] ?? [])], `${what}: rows of step ${step}`)
    assert.ok(step >= answered, `${what}: step ${step}, ${answered} was answered`)
    return step
  }

  const disk = new Disk()
  let durable = new Disk()
  let pending: Written[] = []
  let isThere = false
  const tried = { prefixes: 0, reorderings: 0 }
  /** What a cut at this moment may leave. */
  const look = (event: Event, index: number): void => {
    const step = check(disk.bytes, `cut after event ${index}`)
    tried.prefixes++
    // What makes a commit visible is one write; before it there was one commit less.
    const isEnd = event.kind === 'rename' || (event.kind === 'write' && event.isDurable)
    if (isEnd) commits.add(step)
    assert.ok(commits.has(step), `cut after event ${index}: step ${step} ends a commit`)
    if (event.kind === 'write' && !event.isDurable) return
    for (let n = 0; pending.length > 0 && n < REORDERINGS; n++) {
      const what = `reordering ${n} at ${index}`
      const came = check(reordered(durable.bytes, pending, random), what)
      assert.ok(commits.has(came), `${what}: step ${came} ends a commit`)
      tried.reorderings++
    }
  }
  for (const [index, event] of events.entries()) {
    if (event.kind === 'rename') {
      assert.equal(pending.length, 0, 'a new file is on disk before it has its name')
      isThere = true
    }
    if (event.kind === 'answer') answered = Math.max(answered, event.step)
    if (event.kind === 'write') {
      disk.write(event.offset, event.bytes)
      if (event.isDurable) durable.write(event.offset, event.bytes)
      else pending.push(event)
    }
    if (isThere) look(event, index)
    if (event.kind !== 'sync') continue
    durable = new Disk(disk.bytes)
    pending = []
  }
  t.equal(answered, STEPS)
  t.ok(
    commits.size > STEPS / 5 && commits.size < STEPS,
    `${commits.size} commits of ${STEPS} steps`,
  )
  tell(t, 'power cuts', { commands: commits.size, faults: tried.prefixes + tried.reorderings })
  t.comment(`${tried.prefixes} prefixes, ${tried.reorderings} reorderings, ${commits.size} commits`)
  t.ok(tried.prefixes > STEPS && tried.reorderings > STEPS, JSON.stringify(tried))
})
