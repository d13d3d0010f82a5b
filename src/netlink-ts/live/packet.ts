/**
 * A packet socket: whole frames of one protocol on one link.
 *
 * Source: packet(7), include/uapi/linux/if_packet.h and if_ether.h, v6.12.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { errnoNumber } from '../errno.ts'
import { SyscallError } from '../errors.ts'
import { HOST_LITTLE } from '../writer.ts'
import { ifindex } from './ifindex.ts'
import { bind, check, errno, recv, send, socket } from './libc.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** ENODEV is what the kernel says to it. */
const NO_LINK = -1
const SOCKADDR_LL_BYTES = 20
const SOCKADDR_LL = { protocol: 2, ifindex: 4 } as const
/** Longer ones are cut off. */
const FRAME_BYTES_MAX = 1600

export interface PacketSocket {
  /** @throws {SyscallError} e.g. ENETDOWN */
  send(frame: Uint8Array): void
  /** The next frame that came, without waiting; undefined when there is none. */
  receive(): Uint8Array | undefined
  close(): void
}

/**
 * Opens one on the link of this name in the thread's current namespace. The link must be up.
 *
 * @param etherType Of the frames that are wanted, e.g. 0x0806.
 * @throws {SyscallError} EPERM without CAP_NET_RAW.
 */
export function openPacketSocket(link: string, etherType: number): PacketSocket {
  const subject = `open a packet socket on link ${link}`
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC
  // Nothing is received before it is bound: protocol 0.
  const fd = check('socket', subject, () => socket(AF_PACKET, type, 0))
  try {
    const address = new Uint8Array(SOCKADDR_LL_BYTES)
    const view = new DataView(address.buffer)
    view.setUint16(0, AF_PACKET, HOST_LITTLE)
    view.setUint16(SOCKADDR_LL.protocol, etherType, false)
    view.setInt32(SOCKADDR_LL.ifindex, ifindex(fd, link) ?? NO_LINK, HOST_LITTLE)
    check('bind', subject, () => bind(fd, address, address.length))
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
  const buffer = new Uint8Array(FRAME_BYTES_MAX)
  return {
    send(frame) {
      check('send', 'send a frame', () => send(fd, frame, frame.length, 0))
    },
    receive() {
      const bytes = recv(fd, buffer, buffer.length, 0)
      if (bytes >= 0) return buffer.slice(0, bytes)
      const number = errno()
      if (number === EAGAIN) return undefined
      throw new SyscallError('recv', number, 'receive a frame')
    },
    close: () => closeSync(fd),
  }
}

const EAGAIN = errnoNumber('EAGAIN')
