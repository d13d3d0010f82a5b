/**
 * A look at a store's data file before LMDB maps it: plain reads fail with an
 * error, a mapping ends the process.
 *
 * The two pages that describe the rest are read at every opening: two system
 * calls. The rest is walked where it is in doubt: the last commit was made in
 * another boot, so there may have been a power cut between, or the file is
 * shorter than its last page; or where there is time.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { TriviumError } from '../../src/errors.ts'
import { type Damage, type Meta, type RawFile, readHead } from './meta.ts'
import { treeDamage } from './tree.ts'

export const DATA_FILE = 'data.mdb'

/** Smaller files are read at once; larger ones, a page at a time. */
const WHOLE_BYTES_MAX = 64 << 20

/**
 * Whether the directory `path` has a store. Call it inside the gate: nobody may write meanwhile.
 *
 * @param thorough Walk every page, in doubt or not: about 2 µs a record.
 * @returns false where the data file is missing or empty, so that nothing is lost by making one.
 * @throws {TriviumError} STORE when it is damaged or cannot be read; nothing was changed.
 */
export function hasStore(path: string, thorough: boolean): boolean {
  const file = join(path, DATA_FILE)
  const fd = openOrNot(file)
  if (fd === undefined) return false
  try {
    const raw = rawFile(fd)
    const head = readHead(raw)
    if (head.kind === 'empty') return false
    if (head.kind === 'damaged') throw damaged(path, head.damage)
    if (!thorough && !isInDoubt(head.meta, raw.sizeBytes)) return true
    const damage = treeDamage(raw.sizeBytes <= WHOLE_BYTES_MAX ? wholeFile(raw) : raw, head.meta)
    if (damage !== undefined) throw damaged(path, damage)
    return true
  } finally {
    closeSync(fd)
  }
}

/** Whether there is a data file with something in it. */
export function hasData(path: string): boolean {
  const fd = openOrNot(join(path, DATA_FILE))
  if (fd === undefined) return false
  try {
    return fstatSync(fd).size > 0
  } finally {
    closeSync(fd)
  }
}

/** LMDB does not say where the last pages were free and never written: then the file may be short. */
function isInDoubt({ pageBytes, lastPage, bootId }: Meta, sizeBytes: number): boolean {
  return sizeBytes < (lastPage + 1) * pageBytes || bootId !== bootNow()
}

/** As LMDB writes it into a meta: the first group of the UUID. */
function bootNow(): number {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    return Number.parseInt(text.slice(0, 8), 16)
  } catch {
    return -1
  }
}

function openOrNot(file: string): number | undefined {
  try {
    return openSync(file, 'r')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw thrown
  }
}

export function rawFile(fd: number): RawFile {
  return {
    sizeBytes: fstatSync(fd).size,
    read(offset, bytes) {
      const buffer = Buffer.allocUnsafe(bytes)
      let got = 0
      while (got < bytes) {
        const more = readSync(fd, buffer, got, bytes - got, offset + got)
        if (more === 0) break
        got += more
      }
      return buffer.subarray(0, got)
    },
  }
}

function wholeFile(raw: RawFile): RawFile {
  const all = raw.read(0, raw.sizeBytes)
  return {
    sizeBytes: all.length,
    read: (offset, bytes) => all.subarray(offset, offset + bytes),
  }
}

function damaged(path: string, { found, wanted }: Damage): TriviumError {
  const file = join(path, DATA_FILE)
  return new TriviumError(
    'STORE',
    `Cannot open store ${path}: ${DATA_FILE} ${found}, wanted ${wanted}`,
    `Nothing was changed. Stop the agent, move the file aside (mv ${file} ${file}.damaged), put a copy of the store in its place if there is one, and start the agent: it reads the addresses of running pods back from the kernel`,
  )
}
