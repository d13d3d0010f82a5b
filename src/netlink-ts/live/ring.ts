/**
 * Receiving many datagrams with one system call (recvmmsg).
 *
 * The kernel answers every request of a batch with a datagram of its own, so
 * one call per datagram would cost more than the kernel's work. One ring serves
 * all sockets: what it delivers is consumed before anything else can run. Only
 * what is received in a pool thread needs a ring of its own for that time.
 *
 * Cost: 2 MiB of address space a ring; memory is used as far as datagrams reach.
 *
 * @module
 */
import { errnoNumber } from '../errno.ts'
import { SyscallError } from '../errors.ts'
import type { Deliver } from '../session.ts'
import { HOST_LITTLE } from '../writer.ts'
import { addressOf, errno, recvmmsg } from './libc.ts'

const SLOTS = 32
// The kernel fills dumps up to 32 KiB; single messages may be larger.
const SLOT_BYTES = 64 * 1024
const IOVEC_BYTES = 16 // struct iovec: base u64, len u64
const MMSGHDR_BYTES = 64 // struct mmsghdr: msghdr of 56 bytes, msg_len u32, padding
const MMSGHDR = { iov: 16, iovlen: 24, flags: 48, length: 56 } as const
const MSG_TRUNC = 0x20

/** Flags of recvmmsg: give up at once, or wait for the first datagram only. */
export const MSG = { dontWait: 0x40, waitForOne: 0x1_0000 } as const

const EINTR = errnoNumber('EINTR')
const EAGAIN = errnoNumber('EAGAIN')
const EMSGSIZE = errnoNumber('EMSGSIZE')

interface Ring {
  readonly headers: Uint8Array
  readonly headerView: DataView
  readonly slots: readonly DataView[]
  /** Kept alive for the kernel, which has their addresses. */
  readonly memory: readonly Uint8Array[]
}

let ring: Ring | undefined

/**
 * Receives up to 32 datagrams and delivers each.
 *
 * @returns How many; 0 when none came in time (or at all, with `dontWait`).
 * @throws {SyscallError} recvmmsg failed, e.g. with ENOBUFS: datagrams were lost.
 */
export function receiveMany(fd: number, flags: number, deliver: Deliver): number {
  ring ??= createRing()
  const { headers } = ring
  let count = recvmmsg(fd, headers, SLOTS, flags, null)
  while (count < 0) {
    const number = errno()
    if (number === EAGAIN) return 0
    if (number !== EINTR) throw new SyscallError('recvmmsg', number, 'receive netlink')
    count = recvmmsg(fd, headers, SLOTS, flags, null)
  }
  deliverAll(ring, count, deliver)
  return count
}

const spare: Ring[] = []
/** As many as dumps usually overlap. */
const SPARE_RINGS_MAX = 2

/**
 * The same from a pool thread: waits for the first datagram there. What the
 * kernel has to do for a dump, it does in there.
 *
 * @throws {SyscallError} As `receiveMany`.
 */
export async function receiveManyInPool(fd: number, deliver: Deliver): Promise<number> {
  const own = spare.pop() ?? createRing()
  for (;;) {
    const { count, number } = await receiveInPool(fd, own)
    if (count < 0 && number === EINTR) continue
    if (count > 0) deliverAll(own, count, deliver)
    if (spare.length < SPARE_RINGS_MAX) spare.push(own)
    if (count >= 0) return count
    if (number === EAGAIN) return 0
    throw new SyscallError('recvmmsg', number, 'receive netlink')
  }
}

function receiveInPool(fd: number, { headers }: Ring): Promise<{ count: number; number: number }> {
  return new Promise((resolve, reject) => {
    recvmmsg.async(fd, headers, SLOTS, MSG.waitForOne, null, (error, count) => {
      if (error !== null && error !== undefined) reject(error)
      else resolve({ count, number: count < 0 ? errno() : 0 })
    })
  })
}

function deliverAll({ headerView, slots }: Ring, count: number, deliver: Deliver): void {
  for (let i = 0; i < count; i++) {
    const at = i * MMSGHDR_BYTES
    if (headerView.getUint32(at + MMSGHDR.flags, HOST_LITTLE) & MSG_TRUNC) {
      throw new SyscallError('recvmmsg', EMSGSIZE, `receive a datagram above ${SLOT_BYTES} bytes`)
    }
    deliver(slots[i]!, headerView.getUint32(at + MMSGHDR.length, HOST_LITTLE))
  }
}

function createRing(): Ring {
  const memory = new Uint8Array(SLOTS * SLOT_BYTES)
  const iovecs = new Uint8Array(SLOTS * IOVEC_BYTES)
  const headers = new Uint8Array(SLOTS * MMSGHDR_BYTES)
  const iovecView = new DataView(iovecs.buffer)
  const headerView = new DataView(headers.buffer)
  const slots: DataView[] = []
  for (let i = 0; i < SLOTS; i++) {
    const start = i * SLOT_BYTES
    slots.push(new DataView(memory.buffer, start, SLOT_BYTES))
    const iovec = i * IOVEC_BYTES
    iovecView.setBigUint64(iovec, addressOf(memory) + BigInt(start), HOST_LITTLE)
    iovecView.setBigUint64(iovec + 8, BigInt(SLOT_BYTES), HOST_LITTLE)
    const header = i * MMSGHDR_BYTES
    headerView.setBigUint64(header + MMSGHDR.iov, addressOf(iovecs) + BigInt(iovec), HOST_LITTLE)
    headerView.setBigUint64(header + MMSGHDR.iovlen, 1n, HOST_LITTLE)
  }
  return { headers, headerView, slots, memory: [memory, iovecs] }
}
