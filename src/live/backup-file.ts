/**
 * Files of backups: written beside their name and moved there when they are on
 * disk, read in pieces. Both hold no more than a piece of text in memory.
 *
 * Synchronous, so that all of a file is one state of the store.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import {
  footerLine,
  headerLine,
  IMAGE_LINE_BYTES_MAX,
  type Image,
  type ImageKind,
  type ImagePair,
  imageParser,
  pairLine,
} from '../../ipam/backup/image.ts'
import { TriviumError } from '../errors.ts'

const PIECE_BYTES = 1024 * 1024
/** Records between two words of progress. */
const TOLD_EVERY = 5000

/** Instead of a path: standard output or input. */
export const STANDARD = '-'

export interface WrittenImage {
  readonly records: number
  readonly bytes: number
  readonly sha256: string
}

/**
 * Writes a file (0600) that is whole or not there.
 *
 * @param progress Told the number of records now and then.
 */
export function writeImageFile(
  path: string,
  kind: ImageKind,
  madeMs: number,
  pairs: Iterable<ImagePair>,
  progress: (records: number) => void = () => {},
): WrittenImage {
  if (path === STANDARD) return writeImage(1, kind, madeMs, pairs, progress)
  const temporary = `${path}.${process.pid}.part`
  const fd = openSync(temporary, 'wx', 0o600)
  try {
    const written = writeImage(fd, kind, madeMs, pairs, progress)
    fsyncSync(fd)
    renameSync(temporary, path)
    syncFolder(dirname(path))
    return written
  } catch (thrown) {
    rmSync(temporary, { force: true })
    throw thrown
  } finally {
    closeSync(fd)
  }
}

function writeImage(
  fd: number,
  kind: ImageKind,
  madeMs: number,
  pairs: Iterable<ImagePair>,
  progress: (records: number) => void,
): WrittenImage {
  const hash = createHash('sha256')
  let waiting: string[] = []
  let length = 0
  let records = 0
  let bytes = 0
  const flush = (): void => {
    const piece = Buffer.from(waiting.join(''))
    hash.update(piece)
    writeAll(fd, piece)
    bytes += piece.length
    waiting = []
    length = 0
  }
  const add = (line: string): void => {
    waiting.push(line)
    length += line.length
    if (length >= PIECE_BYTES) flush()
  }
  add(headerLine(kind, madeMs))
  for (const pair of pairs) {
    add(pairLine(pair))
    records++
    if (records % TOLD_EVERY === 0) progress(records)
  }
  flush()
  const sha256 = hash.digest('hex')
  const last = Buffer.from(footerLine({ records, sha256 }))
  writeAll(fd, last)
  return { records, bytes: bytes + last.length, sha256 }
}

function writeAll(fd: number, piece: Uint8Array): void {
  for (let from = 0; from < piece.length; ) from += writeSync(fd, piece, from)
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * Reads a file and proves its sum.
 *
 * @param progress Told how much of the file, 0 to 1, now and then.
 * @throws {TriviumError} BAD_JSON; NOT_FOUND
 */
export function readImageFile(path: string, progress: (part: number) => void = () => {}): Image {
  const fd = path === STANDARD ? 0 : opened(path)
  try {
    return readImage(fd, progress)
  } finally {
    if (fd !== 0) closeSync(fd)
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('NOT_FOUND', `Cannot read the backup ${path}: ${why}`, '', thrown)
  }
}

function readImage(fd: number, progress: (part: number) => void): Image {
  const total = fstatSync(fd).size
  const parser = imageParser()
  const hash = createHash('sha256')
  let done = 0
  for (const line of linesOf(fd)) {
    parser.add(line.toString('utf8', 0, line.length - 1))
    // The last line is not part of its own sum.
    if (parser.footer() === undefined) hash.update(line)
    if (Math.floor(done / PIECE_BYTES) !== Math.floor((done + line.length) / PIECE_BYTES)) {
      if (total > 0) progress(Math.min(1, done / total))
    }
    done += line.length
  }
  const image = parser.image()
  const sum = hash.digest('hex')
  if (sum === parser.footer()?.sha256) return image
  throw new TriviumError(
    'BAD_JSON',
    `Cannot read the backup: its sum is ${sum}, wanted ${parser.footer()?.sha256}`,
    'The file was changed or damaged: use another copy',
  )
}

/** Each with its end; what follows the last end is a line, too, and gets one. */
function* linesOf(fd: number): Generator<Buffer> {
  const piece = Buffer.alloc(PIECE_BYTES)
  let rest: Buffer = Buffer.alloc(0)
  for (;;) {
    const count = readSync(fd, piece, 0, piece.length, null)
    if (count === 0) break
    const all = Buffer.concat([rest, piece.subarray(0, count)])
    let from = 0
    for (let end = all.indexOf(10); end >= 0; end = all.indexOf(10, from)) {
      yield all.subarray(from, end + 1)
      from = end + 1
    }
    rest = all.subarray(from)
    if (rest.length > IMAGE_LINE_BYTES_MAX) {
      const wanted = `at most ${IMAGE_LINE_BYTES_MAX}`
      throw new TriviumError('BAD_JSON', `Cannot read the backup: a line is too long, ${wanted}`)
    }
  }
  if (rest.length > 0) yield Buffer.concat([rest, Buffer.from('\n')])
}
