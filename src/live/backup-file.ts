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
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  footerLine,
  headerLine,
  IMAGE_LINE_BYTES_MAX,
  type Image,
  type ImageFooter,
  type ImageHeader,
  type ImageKind,
  type ImagePair,
  type ImageParser,
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

/** A file whose sum was proved. */
export interface ImageFile {
  readonly header: ImageHeader
  readonly footer: ImageFooter
  /** All of it, where it is small. */
  readonly image: Image | undefined
  /**
   * Reads it once more, record by record; proves its sum again at the end.
   *
   * @throws {TriviumError} BAD_JSON
   */
  pairs(progress?: (part: number) => void): Generator<ImagePair>
  close(): void
}

/**
 * Reads a file and proves its sum. Standard input goes to a file of its own first.
 *
 * @param keepsMax Larger ones are only read through, in characters.
 * @param progress Told how much of the file, 0 to 1, now and then.
 * @throws {TriviumError} BAD_JSON; NOT_FOUND
 */
export function openImageFile(
  path: string,
  keepsMax: number,
  progress: (part: number) => void = () => {},
): ImageFile {
  const fd = path === STANDARD ? spooled(0) : opened(path)
  try {
    const parser = imageParser(keepsMax)
    for (const _ of readPairs(fd, parser, progress));
    const image = parser.image()
    const footer = parser.footer()
    if (footer === undefined) throw new Error('an image has a footer')
    return {
      header: image.header,
      footer,
      image: image.pairs.size === footer.records ? image : undefined,
      *pairs(told = () => {}) {
        yield* readPairs(fd, imageParser(0), told)
      },
      close: () => closeSync(fd),
    }
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}

/** What can be read only once, as a file that nobody else finds. */
function spooled(source: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'trivium-'))
  try {
    const fd = openSync(join(folder, 'backup'), 'wx+', 0o600)
    const piece = Buffer.alloc(PIECE_BYTES)
    for (;;) {
      const count = readSync(source, piece, 0, piece.length, null)
      if (count === 0) return fd
      writeAll(fd, piece.subarray(0, count))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function opened(path: string): number {
  try {
    const fd = openSync(path, 'r')
    if (fstatSync(fd).isFile()) return fd
    const copy = spooled(fd)
    closeSync(fd)
    return copy
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('NOT_FOUND', `Cannot read the backup ${path}: ${why}`, '', thrown)
  }
}

function* readPairs(
  fd: number,
  parser: ImageParser,
  progress: (part: number) => void,
): Generator<ImagePair> {
  const total = fstatSync(fd).size
  const hash = createHash('sha256')
  let done = 0
  for (const line of linesOf(fd)) {
    const pair = parser.add(line.toString('utf8', 0, line.length - 1))
    // The last line is not part of its own sum.
    if (parser.footer() === undefined) hash.update(line)
    if (Math.floor(done / PIECE_BYTES) !== Math.floor((done + line.length) / PIECE_BYTES)) {
      if (total > 0) progress(Math.min(1, done / total))
    }
    done += line.length
    if (pair !== undefined) yield pair
  }
  parser.image()
  const sum = hash.digest('hex')
  if (sum === parser.footer()?.sha256) return
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
  for (let at = 0; ; ) {
    const count = readSync(fd, piece, 0, piece.length, at)
    at += count
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
