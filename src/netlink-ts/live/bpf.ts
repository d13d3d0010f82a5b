/**
 * Classic BPF programs: the kernel drops what a socket does not want before it
 * takes room in the socket's buffer.
 *
 * Source: include/uapi/linux/filter.h and bpf_common.h, v6.12.
 *
 * @module
 */
import { RTM } from '../route/constants.ts'
import { HOST_LITTLE } from '../writer.ts'
import { addressOf, check, setsockopt } from './libc.ts'

/** struct sock_filter: code, jump if true, jump if false, operand. Jumps skip so many. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number]

const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26
const SOCK_FILTER_BYTES = 8
const SOCK_FPROG_BYTES = 16

/** BPF_LD | size | BPF_ABS, and the rest as the program is read. */
const LOAD = { u8: 0x30, u16: 0x28, u32: 0x20 } as const
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const WHOLE = 0xffff_ffff

/** SKF_NET_OFF: offsets from here on are those of the IP header. */
const IP_HEADER = 0xfff0_0000
/** Offsets of struct iphdr and ipv6hdr. */
const TTL_AT = { 4: 8, 6: 7 } as const
/** Offsets of struct nlmsghdr, and of rtm_protocol behind it. */
const [TYPE_AT, PORT_ID_AT, PROTOCOL_AT] = [4, 12, 21]

/**
 * Attaches a program to a socket of any kind; what waits in its buffer already stays.
 *
 * @throws {SyscallError} EINVAL: the kernel does not take the program.
 */
export function attachFilter(fd: number, program: readonly Instruction[]): void {
  // One buffer, which the call keeps alive: struct sock_fprog and the program behind it.
  const bytes = new Uint8Array(SOCK_FPROG_BYTES + program.length * SOCK_FILTER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, program.length, HOST_LITTLE)
  view.setBigUint64(8, addressOf(bytes) + BigInt(SOCK_FPROG_BYTES), HOST_LITTLE)
  for (const [index, [code, jt, jf, k]] of program.entries()) {
    const at = SOCK_FPROG_BYTES + index * SOCK_FILTER_BYTES
    view.setUint16(at, code, HOST_LITTLE)
    view.setUint8(at + 2, jt)
    view.setUint8(at + 3, jf)
    view.setUint32(at + 4, k, HOST_LITTLE)
  }
  check('setsockopt', 'attach a filter to a socket', () =>
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, SOCK_FPROG_BYTES),
  )
}

/** Changes of routes to leave out, of one protocol or made by one socket. */
export type IgnoredRoutes = { readonly protocol: number } | { readonly portId: number }

/** For a monitor: everything but notifications of these routes. */
export function ignoreRoutes(which: IgnoredRoutes): readonly Instruction[] {
  const told: Instruction =
    'protocol' in which ? [LOAD.u8, 0, 0, PROTOCOL_AT] : [LOAD.u32, 0, 0, PORT_ID_AT]
  const value = 'protocol' in which ? which.protocol : asLoaded32(which.portId)
  return [
    [LOAD.u16, 0, 0, TYPE_AT],
    [JUMP_IF_EQUAL, 1, 0, asLoaded16(RTM.newRoute)],
    [JUMP_IF_EQUAL, 0, 3, asLoaded16(RTM.delRoute)],
    told,
    [JUMP_IF_EQUAL, 0, 1, value],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, WHOLE],
  ]
}

/** For a UDP socket: only packets that arrive with this TTL or hop limit (RFC 5082). */
export const ttlFilter = (family: 4 | 6, ttl: number): readonly Instruction[] => [
  [LOAD.u8, 0, 0, IP_HEADER + TTL_AT[family]],
  [JUMP_IF_EQUAL, 1, 0, ttl],
  [RETURN, 0, 0, 0],
  [RETURN, 0, 0, WHOLE],
]

/** Netlink is in host order; BPF loads as the network orders. */
const asLoaded16 = (value: number): number =>
  HOST_LITTLE ? ((value & 0xff) << 8) | (value >>> 8) : value

function asLoaded32(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, value, HOST_LITTLE)
  return view.getUint32(0, false)
}
