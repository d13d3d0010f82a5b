/**
 * TCP sockets with options that Node has no call for: MD5 signatures, hop limits, and
 * the mark of routing traffic. What comes out is a descriptor, which Node then reads.
 *
 * Source: tcp(7), ip(7), ipv6(7); include/uapi/linux/tcp.h (struct tcp_md5sig), in.h
 * and in6.h, v6.12.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { HOST_LITTLE } from '../writer.ts'
import { bind, check, setsockopt, socket } from './libc.ts'

const AF = { 4: 2, 6: 10 } as const
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL = { socket: 1, ip: 0, tcp: 6, ipv6: 41 } as const
const SO_REUSEADDR = 2
const IP = { tos: 1, ttl: 2, minTtl: 21 } as const
const IPV6 = { unicastHops: 16, v6only: 26, tclass: 67, minHopCount: 73 } as const
const TCP_MD5SIG = 14
/** sockaddr_storage, flags, prefix length, key length, interface, key. */
const MD5SIG_BYTES = 128 + 88
const MD5_KEY_AT = 136
const MD5_KEY_BYTES_MAX = 80
/** sockaddr_in6. */
const SOCKADDR_BYTES_MAX = 28
/** CS6, network control: RFC 4594 section 3.1. */
const TOS_NETWORK_CONTROL = 0xc0

export type AddressFamily = 4 | 6

/** An address as octets, 4 or 16. */
export type AddressOctets = Uint8Array

export interface TcpOptions {
  /** Where it is bound; without a port the kernel takes one. */
  readonly local?: { readonly address: AddressOctets; readonly port?: number }
  /** Whether it is for a listener: the address may be bound again at once. */
  readonly isListener?: boolean
  /** RFC 2385, by peer. */
  readonly md5?: readonly { readonly address: AddressOctets; readonly key: string }[]
  /** TTL of what is sent. @default the system's */
  readonly ttl?: number
  /** RFC 5082: what comes with less is dropped by the kernel. */
  readonly ttlMin?: number
}

/**
 * A TCP socket that is neither connected nor listening.
 *
 * @throws {SyscallError} An option that this kernel lacks, or an address that is not ours.
 */
export function openTcpSocket(family: AddressFamily, options: TcpOptions): number {
  const { local, isListener = false, md5 = [] } = options
  const fd = check('socket', 'open a TCP socket', () =>
    socket(AF[family], SOCK_STREAM | SOCK_CLOEXEC, 0),
  )
  try {
    markControl(fd, family)
    if (isListener) setInt(fd, SOL.socket, SO_REUSEADDR, 1, 'bind again')
    setHops(fd, family, options)
    for (const { address, key } of md5) setMd5Key(fd, address, key)
    if (local !== undefined) {
      const address = sockaddr(local.address, local.port ?? 0)
      check('bind', 'bind a TCP socket', () => bind(fd, address, address.length))
    }
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Routing traffic, of one family. */
export function markControl(fd: number, family: AddressFamily): void {
  const [level, name] = family === 4 ? [SOL.ip, IP.tos] : [SOL.ipv6, IPV6.tclass]
  setInt(fd, level, name, TOS_NETWORK_CONTROL, 'mark its packets')
  if (family === 6) setInt(fd, SOL.ipv6, IPV6.v6only, 1, 'keep IPv4 apart')
}

/** TTL, or hop limit, of what is sent, and the least of what is taken. */
export function setHops(
  fd: number,
  family: AddressFamily,
  { ttl, ttlMin }: Pick<TcpOptions, 'ttl' | 'ttlMin'>,
): void {
  const level = family === 4 ? SOL.ip : SOL.ipv6
  if (ttl !== undefined) {
    setInt(fd, level, family === 4 ? IP.ttl : IPV6.unicastHops, ttl, `send with TTL ${ttl}`)
  }
  if (ttlMin !== undefined) {
    const name = family === 4 ? IP.minTtl : IPV6.minHopCount
    setInt(fd, level, name, ttlMin, `take no TTL below ${ttlMin}`)
  }
}

/** Signs what goes to and comes from an address; without a key not any more. */
export function setMd5Key(fd: number, address: AddressOctets, key: string | undefined): void {
  const octets = new TextEncoder().encode(key ?? '')
  if (octets.length > MD5_KEY_BYTES_MAX) {
    throw new RangeError(`Cannot set a TCP MD5 key of ${octets.length} octets: wanted at most 80`)
  }
  const value = new Uint8Array(MD5SIG_BYTES)
  value.set(sockaddr(address, 0), 0)
  new DataView(value.buffer).setUint16(130, octets.length, HOST_LITTLE)
  value.set(octets, MD5_KEY_AT)
  const call = (): number => setsockopt(fd, SOL.tcp, TCP_MD5SIG, value, value.length)
  // A key that is not there cannot be removed (ENOENT), and is not there.
  if (key === undefined) call()
  else check('setsockopt', 'set a TCP MD5 key', call)
}

/** struct sockaddr_in or sockaddr_in6. */
export function sockaddr(address: AddressOctets, port: number): Uint8Array {
  const isIp4 = address.length === 4
  const bytes = new Uint8Array(isIp4 ? 16 : SOCKADDR_BYTES_MAX)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, isIp4 ? AF[4] : AF[6], HOST_LITTLE)
  view.setUint16(2, port)
  bytes.set(address, isIp4 ? 4 : 8)
  return bytes
}

function setInt(fd: number, level: number, name: number, value: number, doing: string): void {
  const bytes = new Uint8Array(Int32Array.of(value).buffer)
  check('setsockopt', doing, () => setsockopt(fd, level, name, bytes, bytes.length))
}
