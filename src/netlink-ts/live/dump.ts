/**
 * Dumps that keep nobody waiting: the kernel writes them in a pool thread, and
 * the main thread reads them in pieces.
 *
 * All of a dump is received before any of it is read. So it takes no longer than
 * the kernel needs, and is as rarely interrupted as one on the main thread.
 *
 * @module
 */
import { SessionError } from '../errors.ts'
import { Read } from '../exchange.ts'
import { eachMessage, HEADER, NLM_F, NLMSG } from '../message.ts'
import type { DumpRequest } from '../request.ts'
import { DUMP_ATTEMPTS_MAX, noAnswer, type Sequence } from '../session.ts'
import { HOST_LITTLE } from '../writer.ts'
import { receiveManyInPool } from './ring.ts'
import { sendAsync } from './send.ts'

/** What may be done at a stretch. */
const PIECE_MS = 1
/** What is read without a look at the clock: some dozens of messages. */
const PIECE_BYTES = 4096

/** Call it between pieces of long work: it lets others run when a millisecond is over. */
export type Pace = () => Promise<void> | undefined

/** A pace that begins now. */
export function pacer(): Pace {
  let beganMs = performance.now()
  return () => {
    if (performance.now() - beganMs < PIECE_MS) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        beganMs = performance.now()
        resolve()
      }),
    )
  }
}

/**
 * Reads a whole table on a socket that nobody else uses meanwhile, again when
 * it changed while being read.
 *
 * @throws {NetlinkError} The kernel refused.
 * @throws {SessionError} It changed during every attempt, or the kernel did not answer.
 */
export async function dumpInPool<T>(
  fd: number,
  request: DumpRequest<T>,
  sequence: Sequence,
): Promise<readonly T[]> {
  for (let attempt = 0; attempt < DUMP_ATTEMPTS_MAX; attempt++) {
    const seq = sequence.take(1)
    const read = new Read(request, seq)
    await sendAsync(fd, read.first())
    const { datagrams, interrupted } = await receiveDump(fd, seq, request.text)
    if (interrupted) continue
    await readInPieces(read, datagrams)
    if (read.error !== undefined) throw read.error
    return read.rows
  }
  const why = `the table changed during each of ${DUMP_ATTEMPTS_MAX} readings`
  throw new SessionError('NETLINK_INTERRUPTED', request.text, why)
}

interface Received {
  readonly datagrams: readonly DataView[]
  readonly interrupted: boolean
}

async function receiveDump(fd: number, seq: number, text: string): Promise<Received> {
  const datagrams: DataView[] = []
  let [done, interrupted] = [false, false]
  const deliver = (view: DataView, size: number): void => {
    eachMessage(view, size, (offset) => {
      if (view.getUint32(offset + HEADER.seq, HOST_LITTLE) !== seq) return
      const type = view.getUint16(offset + HEADER.type, HOST_LITTLE)
      if (type === NLMSG.done || type === NLMSG.error) done = true
      if (view.getUint16(offset + HEADER.flags, HOST_LITTLE) & NLM_F.dumpIntr) interrupted = true
    })
    // The ring is another's as soon as all is delivered.
    const start = view.byteOffset
    datagrams.push(new DataView(view.buffer.slice(start, start + size)))
  }
  while (!done) if ((await receiveManyInPool(fd, deliver)) === 0) throw noAnswer(text)
  return { datagrams, interrupted }
}

async function readInPieces<T>(read: Read<T>, datagrams: readonly DataView[]): Promise<void> {
  const pace = pacer()
  for (const datagram of datagrams) {
    for (const [start, end] of pieces(datagram)) {
      read.handle(new DataView(datagram.buffer, start, end - start), end - start)
      await pace()
    }
  }
}

/** Where some messages of a datagram begin and end. */
function pieces(datagram: DataView): readonly (readonly [start: number, end: number])[] {
  const found: (readonly [number, number])[] = []
  let start = 0
  eachMessage(datagram, datagram.byteLength, (offset) => {
    if (offset - start < PIECE_BYTES) return
    found.push([start, offset])
    start = offset
  })
  found.push([start, datagram.byteLength])
  return found
}
