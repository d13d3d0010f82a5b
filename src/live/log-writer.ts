/**
 * Lines to a descriptor whose reader may stand still: the writer never waits
 * for it. What does not go through is kept, up to a bound, and then dropped and
 * counted.
 *
 * A pipe or terminal is opened once more, not to block: the flag is of the
 * opening, which others share (Linux open(2), "Open file descriptions"). A
 * socket takes the flag with each call. A file makes nobody wait for long, and
 * is written in a pool thread.
 *
 * @module
 */
import { constants, fstatSync, openSync, type Stats, write, writeSync } from 'node:fs'
import { sendNow } from 'netlink-ts/live'

export interface LogWriter {
  /** Takes a line with its end; what is taken is written in this turn of the event loop, if it goes. */
  write(line: string): void
  /** Lines that found no room so far. */
  dropped(): number
  /** Writes what is left, and waits a moment for a slow reader. Nothing is written later. */
  close(): void
}

/** Some hundred lines. */
const KEPT_BYTES_MAX = 256 * 1024
const WRITE_BYTES_MAX = 64 * 1024
/** When a reader that stood still is looked at again. */
const RETRY_MS = 50
/** How long the end waits for one. */
const CLOSE_MS_MAX = 200
const CLOSE_STEP_MS = 5

/** Bytes that went through; 0: not now. Throws when nobody will ever read them. */
type Put = (bytes: Uint8Array) => number

/** @param hasRoom Called once a reader goes on after lines were dropped. */
export function logWriter(fd: number, hasRoom: () => void): LogWriter {
  const kept: Buffer[] = []
  let keptBytes = 0
  let [dropped, untold] = [0, 0]
  let isDue = false
  let isUnderWay = false
  const road = roadOf(fd)

  function schedule(ms: number): void {
    if (isDue || isUnderWay) return
    isDue = true
    if (ms === 0) setImmediate(drain)
    else setTimeout(drain, ms).unref()
  }

  function drain(): void {
    isDue = false
    if (kept.length === 0 || isUnderWay) return
    if (road === undefined) {
      writeInPool()
      return
    }
    const count = put(road)
    if (count !== undefined) goOn(count > 0 ? 0 : RETRY_MS)
  }

  /** Somebody reads: also what was lost. */
  function goOn(ms: number): void {
    if (untold > 0 && keptBytes < KEPT_BYTES_MAX / 2) {
      untold = 0
      hasRoom()
    }
    if (kept.length > 0) schedule(ms)
  }

  /** One piece; how much of it went through. undefined: the reader is gone, and so are its lines. */
  function put(through: Put): number | undefined {
    const piece = next()
    try {
      const count = through(piece)
      took(count)
      return count
    } catch {
      dropAll()
      return undefined
    }
  }

  /** The first lines, together. */
  function next(): Buffer {
    let [count, bytes] = [0, 0]
    while (count < kept.length && bytes < WRITE_BYTES_MAX) bytes += kept[count++]?.length ?? 0
    const piece = count === 1 ? (kept[0] ?? Buffer.alloc(0)) : Buffer.concat(kept.slice(0, count))
    kept.splice(0, count, piece)
    return piece
  }

  function took(count: number): void {
    keptBytes -= count
    const rest = kept[0]?.subarray(count)
    if (rest === undefined || rest.length === 0) kept.shift()
    else kept[0] = rest
  }

  function drop(lines: number): void {
    dropped += lines
    untold += lines
  }

  function dropAll(): void {
    for (const piece of kept.splice(0)) drop(linesIn(piece))
    keptBytes = 0
  }

  function writeInPool(): void {
    isUnderWay = true
    write(fd, next(), (error, count) => {
      isUnderWay = false
      if (error !== null) {
        dropAll()
        return
      }
      took(count)
      goOn(0)
    })
  }

  return {
    write(line) {
      const bytes = Buffer.from(line)
      if (keptBytes + bytes.length > KEPT_BYTES_MAX) {
        drop(1)
        return
      }
      kept.push(bytes)
      keptBytes += bytes.length
      schedule(0)
    },
    dropped: () => dropped,
    close() {
      const through = road ?? ((bytes: Uint8Array) => writeSync(fd, bytes))
      const until = performance.now() + CLOSE_MS_MAX
      // The end of the process waits for the pool thread that has it.
      if (isUnderWay) kept.shift()
      while (kept.length > 0 && performance.now() < until)
        if (put(through) === 0) pause(CLOSE_STEP_MS)
      dropAll()
    },
  }
}

const NEWLINE = 10

function linesIn(piece: Uint8Array): number {
  let lines = 0
  for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) lines++
  return lines
}

/** A way that never waits; undefined: of a file. */
function roadOf(fd: number): Put | undefined {
  const stats = statsOf(fd)
  if (stats?.isSocket() === true) return (bytes) => sendNow(fd, bytes)
  if (stats?.isFIFO() !== true && stats?.isCharacterDevice() !== true) return undefined
  const own = openAgain(fd)
  return own === undefined ? undefined : (bytes) => writeNow(own, bytes)
}

function statsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined // closed: the first write drops its lines
  }
}

function openAgain(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return undefined // another user's terminal
  }
}

function writeNow(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw thrown
  }
}

const pause = (ms: number): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
