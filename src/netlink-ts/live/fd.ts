/**
 * Making a netlink socket: a file descriptor with the options this package
 * relies on.
 *
 * Source: include/uapi/linux/netlink.h and include/uapi/asm-generic/socket.h, v6.12.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { HOST_LITTLE } from '../writer.ts'
import { bind, check, getsockname, getsockopt, setsockopt, socket } from './libc.ts'

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_ROUTE = 0
const SOL_SOCKET = 1
const SOL_NETLINK = 270
const SO = { sndbuf: 7, rcvbuf: 8, rcvtimeo: 20, sndbufForce: 32, rcvbufForce: 33 } as const
const NETLINK = { addMembership: 1, capAck: 10, extAck: 11, getStrictChk: 12 } as const
const SOCKADDR_NL_BYTES = 12
const SOCKADDR_NL_PID = 4

/** A kernel that says nothing for this long is taken for dead. */
const ANSWER_SECONDS_MAX = 10

/** Bytes that one datagram may have, unless `setSendBuffer` says otherwise. */
export const SNDBUF_BYTES = 1 << 20

/**
 * A new netlink socket in the thread's current namespace, of NETLINK_ROUTE unless
 * another netlink family is named. Close it with `closeSync`.
 */
export function openSocket(rcvbufBytes: number, protocol: number = NETLINK_ROUTE): number {
  const subject = 'open a netlink socket'
  const type = SOCK_RAW | SOCK_CLOEXEC
  const fd = check('socket', subject, () => socket(AF_NETLINK, type, protocol))
  try {
    const address = new Uint8Array(SOCKADDR_NL_BYTES)
    new DataView(address.buffer).setUint16(0, AF_NETLINK, HOST_LITTLE)
    check('bind', subject, () => bind(fd, address, address.length))
    for (const name of [NETLINK.capAck, NETLINK.extAck, NETLINK.getStrictChk]) {
      setInt(fd, SOL_NETLINK, name, 1)
    }
    setBuffer(fd, SO.rcvbufForce, SO.rcvbuf, rcvbufBytes)
    setSendBuffer(fd, SNDBUF_BYTES)
    const timeout = new BigInt64Array([BigInt(ANSWER_SECONDS_MAX), 0n]) // struct timeval
    setOption(fd, SOL_SOCKET, SO.rcvtimeo, new Uint8Array(timeout.buffer))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Makes room for datagrams of `bytes`. */
export const setSendBuffer = (fd: number, bytes: number): void =>
  setBuffer(fd, SO.sndbufForce, SO.sndbuf, bytes)

/** Subscribes to a multicast group. */
export const joinGroup = (fd: number, group: number): void =>
  setInt(fd, SOL_NETLINK, NETLINK.addMembership, group)

/** The receive buffer the kernel granted, in bytes of its own book-keeping. */
export function rcvbufBytes(fd: number): number {
  const value = new Uint32Array(1)
  const size = Uint32Array.of(4)
  const bytes = (array: Uint32Array): Uint8Array => new Uint8Array(array.buffer)
  check('getsockopt', 'read the receive buffer size', () =>
    getsockopt(fd, SOL_SOCKET, SO.rcvbuf, bytes(value), bytes(size)),
  )
  return value[0]!
}

/** The number by which the kernel names a socket to others: nlmsg_pid of what it causes. */
export function portIdOf(fd: number): number {
  const address = new Uint8Array(SOCKADDR_NL_BYTES)
  const size = new Uint8Array(Uint32Array.of(address.length).buffer)
  check('getsockname', 'read the port id of a socket', () => getsockname(fd, address, size))
  return new DataView(address.buffer).getUint32(SOCKADDR_NL_PID, HOST_LITTLE)
}

/** Past the system's limit with CAP_NET_ADMIN, up to the limit without. */
function setBuffer(fd: number, forced: number, plain: number, bytes: number): void {
  const value = new Uint8Array(Int32Array.of(bytes).buffer)
  if (setsockopt(fd, SOL_SOCKET, forced, value, value.length) < 0) {
    setInt(fd, SOL_SOCKET, plain, bytes)
  }
}

function setInt(fd: number, level: number, name: number, value: number): void {
  setOption(fd, level, name, new Uint8Array(Int32Array.of(value).buffer))
}

function setOption(fd: number, level: number, name: number, value: Uint8Array): void {
  check('setsockopt', `set netlink socket option ${level}/${name}`, () =>
    setsockopt(fd, level, name, value, value.length),
  )
}
