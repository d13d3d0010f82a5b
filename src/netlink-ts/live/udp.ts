/**
 * UDP sockets with options that Node has no call for: a filter before the first packet
 * can arrive, and the mark of routing traffic. What comes out is a bound descriptor,
 * which Node then reads (`socket.bind({ fd })` of node:dgram).
 *
 * Source: udp(7), ip(7), ipv6(7), v6.12.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { attachFilter, type Instruction } from './bpf.ts'
import { bind, check, socket } from './libc.ts'
import { type AddressFamily, type AddressOctets, markControl, setHops, sockaddr } from './tcp.ts'

const AF = { 4: 2, 6: 10 } as const
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

export interface UdpOptions {
  /** Where it is bound; octets of zero are every address of the family. */
  readonly address: AddressOctets
  /** 0: the kernel takes one. */
  readonly port: number
  /** TTL or hop limit of what is sent. @default the system's */
  readonly ttl?: number
  /** What is taken; see `ttlFilter`. @default everything */
  readonly filter?: readonly Instruction[]
}

/** @throws {SyscallError} EADDRNOTAVAIL, EADDRINUSE, or an option that this kernel lacks. */
export function openUdpSocket(family: AddressFamily, options: UdpOptions): number {
  const fd = check('socket', 'open a UDP socket', () =>
    socket(AF[family], SOCK_DGRAM | SOCK_CLOEXEC, 0),
  )
  try {
    if (options.filter !== undefined) attachFilter(fd, options.filter)
    markControl(fd, family)
    setHops(fd, family, options.ttl === undefined ? {} : { ttl: options.ttl })
    const address = sockaddr(options.address, options.port)
    check('bind', 'bind a UDP socket', () => bind(fd, address, address.length))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
