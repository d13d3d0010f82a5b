/**
 * Addresses of links.
 *
 * Source: include/uapi/linux/if_addr.h, v6.12.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import {
  type Codec,
  inRange,
  ip,
  named,
  namesOf,
  numberOf,
  s32,
  string,
  u8,
  u32,
} from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { ADDRESS_BYTES, familyOf, type IpFamily } from '../ip.ts'
import { type Message, NLM_F } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, afOf, ipFamilyOf, RTM, SCOPES, type Scope } from './constants.ts'

/** Bytes of struct ifaddrmsg: family, prefixlen, flags, scope u8; index u32. */
const IFADDR_BYTES = 8

/** Source: if_addr.h, IFA_F_*. */
export const ADDR_FLAGS = {
  secondary: 0x1,
  nodad: 0x2,
  optimistic: 0x4,
  dadfailed: 0x8,
  home: 0x10,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  mngtmpaddr: 0x100,
  noprefixroute: 0x200,
  mcautojoin: 0x400,
  stableprivacy: 0x800,
} as const

/** A flag of an address, by iproute2's name. */
export type AddrFlag = keyof typeof ADDR_FLAGS

/** Lifetimes in seconds; 0xffffffff is forever. Source: struct ifa_cacheinfo. */
export interface AddrLifetime {
  readonly preferredSeconds: number
  readonly validSeconds: number
}

const FOREVER = 0xffff_ffff
const CACHEINFO_BYTES = 16

const cacheInfo: Codec<AddrLifetime> = {
  write(out, { preferredSeconds, validSeconds }, name) {
    u32.write(out, preferredSeconds, `${name}.preferredSeconds`)
    u32.write(out, validSeconds, `${name}.validSeconds`)
    out.reserve(8) // created and updated: the kernel's
  },
  read(view, offset, length, name) {
    if (length < CACHEINFO_BYTES) {
      throw new DecodeError(name, offset, `${CACHEINFO_BYTES} bytes`, length)
    }
    return {
      preferredSeconds: view.getUint32(offset, HOST_LITTLE),
      validSeconds: view.getUint32(offset + 4, HOST_LITTLE),
    }
  },
}

/** IFA_*. */
export const addrAttrs = attrTable({
  address: attr(1, ip), //         IFA_ADDRESS: the prefix, or the peer of a point-to-point link
  local: attr(2, ip), //           IFA_LOCAL: the address itself
  label: attr(3, string), //       IFA_LABEL, IPv4 only
  broadcast: attr(4, ip), //       IFA_BROADCAST, IPv4 only
  lifetime: attr(6, cacheInfo), // IFA_CACHEINFO
  flags: attr(8, u32), //          IFA_FLAGS
  metric: attr(9, u32), //         IFA_RT_PRIORITY, of the prefix route
  targetNetnsId: attr(10, s32), // IFA_TARGET_NETNSID, whose addresses the message is about
  protocol: attr(11, u8), //       IFA_PROTO, who added it
})

/** An address to add or remove. */
export interface AddrSpec {
  /** Index of the link. */
  readonly index: number
  /** E.g. `10.0.0.1` or `fd00::1`. */
  readonly address: string
  /** 0..32 or 0..128. */
  readonly prefixLength: number
  /** The other end of a point-to-point link. */
  readonly peer?: string | undefined
  /** IPv4 only; the kernel sets none by itself. */
  readonly broadcast?: string | undefined
  /** @default 'global' */
  readonly scope?: Scope | undefined
  readonly flags?: readonly AddrFlag[] | undefined
  /** IPv4 only; begins with the link's name. @default the link's name */
  readonly label?: string | undefined
  /** Metric of the route to the prefix. */
  readonly metric?: number | undefined
  /** @default forever */
  readonly lifetime?: AddrLifetime | undefined
}

/** An address as the kernel reports it. */
export interface Addr {
  readonly family: IpFamily
  readonly index: number
  readonly address: string
  readonly prefixLength: number
  readonly scope: Scope
  readonly flags: readonly AddrFlag[]
  readonly peer?: string
  readonly broadcast?: string
  readonly label?: string
  readonly metric?: number
  readonly protocol?: number
  /** Absent when it lives forever. */
  readonly lifetime?: AddrLifetime
}

/** Adds an address; EEXIST when it is there. */
const add = (spec: AddrSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds an address, or changes lifetime and metric of the one there. */
const replace = (spec: AddrSpec): Request => change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes an address; EADDRNOTAVAIL when it is not there. */
const remove = (spec: AddrSpec): Request => change('delete', spec, 0)

/** Which addresses to read. */
export interface AddrFilter {
  readonly family?: IpFamily | undefined
  /** Index of a link. */
  readonly index?: number | undefined
  /** `Link.linkNetnsId` of a veth end: looks there without entering it. Indexes are that namespace's. */
  readonly targetNetnsId?: number | undefined
}

/** Reads addresses: IPv4 first, then IPv6. */
function list(filter: AddrFilter = {}): DumpRequest<Addr> {
  const { family, index, targetNetnsId } = filter
  return dumpRequest(
    RTM.getAddr,
    (out) => {
      const at = out.reserve(IFADDR_BYTES)
      out.view.setUint8(at, family === undefined ? AF.unspec : afOf(family))
      out.view.setUint32(at + 4, index ?? 0, HOST_LITTLE)
      writeAttrs(out, addrAttrs, { targetNetnsId })
    },
    {
      text: words('address show', index && `dev if${index}`, word('link-netnsid', targetNetnsId)),
      missing: ['ENODEV'],
      decode: decodeAddr,
    },
  )
}

/** Requests about addresses. */
export const addr = { add, replace, remove, list } as const

/**
 * Reads RTM_NEWADDR and RTM_DELADDR; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeAddr(message: Message): Addr | undefined {
  if (message.type !== RTM.newAddr && message.type !== RTM.delAddr) return undefined
  const view = bodyOf(message, 'struct ifaddrmsg', IFADDR_BYTES)
  const family = ipFamilyOf(view.getUint8(0))
  const attrs = readAttrs(addrAttrs, view, IFADDR_BYTES, view.byteLength)
  const address = attrs.local ?? attrs.address
  if (family === undefined || address === undefined) return undefined
  const { broadcast, label, metric, protocol, lifetime } = attrs
  return present({
    family,
    index: view.getUint32(4, HOST_LITTLE),
    address,
    prefixLength: view.getUint8(1),
    scope: SCOPE_NAMES.get(view.getUint8(3)) ?? view.getUint8(3),
    flags: flagNames(attrs.flags ?? view.getUint8(2)),
    peer: attrs.address === address ? undefined : attrs.address,
    broadcast,
    label,
    metric,
    protocol,
    lifetime: lifetime?.validSeconds === FOREVER ? undefined : lifetime,
  }) as Addr
}

const SCOPE_NAMES = namesOf(SCOPES)
const scopeCodec = named(u8, SCOPES)
const FLAG_LIST = Object.entries(ADDR_FLAGS) as readonly (readonly [AddrFlag, number])[]

function change(verb: 'add' | 'replace' | 'delete', spec: AddrSpec, flags: number): Request {
  return changeRequest(
    verb === 'delete' ? RTM.delAddr : RTM.newAddr,
    flags,
    () => textOf(verb, spec),
    (out) => writeSpec(out, spec),
  )
}

function writeSpec(out: Writer, spec: AddrSpec): void {
  const family = familyOf(spec.address)
  u8.write(out, afOf(family), 'family')
  inRange(spec.prefixLength, 0, ADDRESS_BYTES[family] * 8, 'prefixLength')
  out.u8(spec.prefixLength)
  out.u8(0) // flags go into IFA_FLAGS, which has room for all of them
  scopeCodec.write(out, spec.scope ?? 'global', 'scope')
  u32.write(out, spec.index, 'index')
  const { address, peer = address, broadcast, label, metric, lifetime } = spec
  const flags = spec.flags?.reduce((sum, flag) => sum | numberOf(ADDR_FLAGS, flag, 'flag'), 0)
  writeAttrs(out, addrAttrs, {
    address: peer,
    local: address,
    broadcast,
    label,
    metric,
    lifetime,
    flags,
  })
}

const flagNames = (flags: number): readonly AddrFlag[] =>
  FLAG_LIST.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name)

function textOf(verb: string, spec: AddrSpec): string {
  return words(
    `address ${verb} ${spec.address}`,
    word('peer', spec.peer),
    `/${spec.prefixLength} dev if${spec.index}`,
    word('scope', spec.scope),
    word('label', spec.label),
    spec.flags?.join(' '),
  ).replace(' /', '/')
}
