/**
 * Nexthop objects: next hops with an identity, which many routes and forwarding
 * entries can name, and groups of them. Changing one changes every route at once.
 *
 * Source: include/uapi/linux/nexthop.h, struct nhmsg, struct nexthop_grp and
 * NHA_*; net/ipv4/nexthop.c, v6.12.
 *
 * @module
 */
import { type AttrsOf, attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, type Codec, flag, inRange, ip, u16, u32 } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { familyOf, type IpFamily } from '../ip.ts'
import { type Message, NLM_F } from '../message.ts'
import {
  changeRequest,
  type DumpRequest,
  dumpRequest,
  type GetRequest,
  getRequest,
  type Request,
} from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, afOf, ipFamilyOf, RTM } from './constants.ts'
import { type Encap, encapText, type IpEncap, readEncap, writeEncap } from './encap.ts'
import { RTNH_F } from './nexthop.ts'

/** Bytes of struct nhmsg: family, scope, protocol, reserved u8; flags u32. */
const NHMSG_BYTES = 8
/** Bytes of struct nexthop_grp: id u32, weight u8, reserved u8 and u16. */
const MEMBER_BYTES = 8
const WEIGHT_MAX = 256
const NHA_ENCAP = { encapType: 7, encap: 8 } as const

/** One next hop of a group. */
export interface NexthopMember {
  readonly id: number
  /** 1..256. @default 1 */
  readonly weight?: number | undefined
}

const members: Codec<readonly NexthopMember[]> = {
  write(out, value, name) {
    for (const { id, weight = 1 } of value) {
      u32.write(out, id, `${name}.id`)
      out.u8(inRange(weight, 1, WEIGHT_MAX, `${name}.weight`) - 1)
      out.reserve(3)
    }
  },
  read(view, offset, length, name) {
    if (length % MEMBER_BYTES !== 0) {
      throw new DecodeError(name, offset, `a multiple of ${MEMBER_BYTES} bytes`, length)
    }
    return Array.from({ length: length / MEMBER_BYTES }, (_, i) => {
      const at = offset + i * MEMBER_BYTES
      return { id: view.getUint32(at, HOST_LITTLE), weight: view.getUint8(at + 4) + 1 }
    })
  },
}

/** NHA_*. */
export const nexthopAttrs = attrTable({
  id: attr(1, u32), //            NHA_ID
  group: attr(2, members), //     NHA_GROUP
  groupType: attr(3, u16), //     NHA_GROUP_TYPE: 0 = by hash, 1 = resilient
  blackhole: attr(4, flag), //    NHA_BLACKHOLE
  oif: attr(5, u32), //           NHA_OIF
  gateway: attr(6, ip), //        NHA_GATEWAY
  encapType: attr(NHA_ENCAP.encapType, u16), // NHA_ENCAP_TYPE
  encap: attr(NHA_ENCAP.encap, { ...binary, nested: true }), // NHA_ENCAP
  fdb: attr(11, flag), //         NHA_FDB
})

/** A nexthop object to add or change: one way out, a blackhole, or a group. */
export interface NexthopSpec {
  /** Not 0. */
  readonly id: number
  /** @default that of the gateway, or 4 */
  readonly family?: IpFamily | undefined
  readonly gateway?: string | undefined
  /** Index of the link out. */
  readonly oif?: number | undefined
  readonly onlink?: boolean | undefined
  readonly blackhole?: boolean | undefined
  readonly encap?: IpEncap | undefined
  /** For forwarding entries of VXLAN links, not for routes; a gateway without a link. */
  readonly fdb?: boolean | undefined
  /** Members of a group, instead of anything else but `fdb`. */
  readonly group?: readonly NexthopMember[] | undefined
  /** Who installs it, 0..255; see `routeProtocol`. @default 0 */
  readonly protocol?: number | undefined
}

/** A nexthop object as the kernel reports it. */
export interface Nexthop {
  readonly id: number
  readonly protocol: number
  readonly onlink: boolean
  readonly blackhole: boolean
  readonly fdb: boolean
  /** Absent for a group. */
  readonly family?: IpFamily
  readonly gateway?: string
  readonly oif?: number
  readonly encap?: Encap
  readonly group?: readonly NexthopMember[]
}

/** Adds an object; EEXIST when the id is taken. */
const add = (spec: NexthopSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds an object or changes the one there, and every route that names it. */
const replace = (spec: NexthopSpec): Request =>
  change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes an object, and every route and group membership that names it; ENOENT when there is none. */
const remove = ({ id }: Pick<NexthopSpec, 'id'>): Request =>
  changeRequest(
    RTM.delNexthop,
    0,
    () => `nexthop delete id ${id}`,
    (out) => writeById(out, id),
  )

/** Reads one object. */
const get = ({ id }: Pick<NexthopSpec, 'id'>): GetRequest<Nexthop> =>
  getRequest(RTM.getNexthop, (out) => writeById(out, id), {
    text: `nexthop get id ${id}`,
    missing: ['ENOENT'],
    decode: decodeNexthop,
  })

/** Which objects to read. */
export interface NexthopFilter {
  /** Index of a link out. */
  readonly oif?: number | undefined
}

/** Reads objects in the order of their ids. */
function list({ oif }: NexthopFilter = {}): DumpRequest<Nexthop> {
  return dumpRequest(
    RTM.getNexthop,
    (out) => {
      out.reserve(NHMSG_BYTES)
      writeAttrs(out, nexthopAttrs, { oif })
    },
    {
      text: words('nexthop show', oif !== undefined && `dev if${oif}`),
      missing: ['ENODEV'],
      decode: decodeNexthop,
    },
  )
}

/** Requests about nexthop objects. */
export const nexthop = { add, replace, remove, get, list } as const

/**
 * Reads RTM_NEWNEXTHOP and RTM_DELNEXTHOP; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeNexthop(message: Message): Nexthop | undefined {
  if (message.type !== RTM.newNexthop && message.type !== RTM.delNexthop) return undefined
  const view = bodyOf(message, 'struct nhmsg', NHMSG_BYTES)
  const attrs = readAttrs(nexthopAttrs, view, NHMSG_BYTES, view.byteLength)
  if (attrs.id === undefined) return undefined
  const { id, gateway, oif, group } = attrs
  return present({
    id,
    protocol: view.getUint8(2),
    onlink: (view.getUint32(4, HOST_LITTLE) & RTNH_F.onlink) !== 0,
    blackhole: attrs.blackhole === true,
    fdb: attrs.fdb === true,
    family: group === undefined ? ipFamilyOf(view.getUint8(0)) : undefined,
    gateway,
    oif,
    encap: readEncap(attrs),
    group,
  }) as Nexthop
}

/** The attributes of a message, for tests of the table. */
export type NexthopAttrs = AttrsOf<typeof nexthopAttrs>

function change(verb: 'add' | 'replace', spec: NexthopSpec, flags: number): Request {
  return changeRequest(
    RTM.newNexthop,
    flags,
    () => textOf(verb, spec),
    (out) => {
      const { id, gateway, oif, blackhole, fdb, group } = spec
      inRange(id, 1, 0xffff_ffff, 'id')
      const family = spec.family ?? (gateway === undefined ? 4 : familyOf(gateway))
      const at = out.reserve(NHMSG_BYTES)
      out.view.setUint8(at, group === undefined ? afOf(family) : AF.unspec)
      out.view.setUint8(at + 2, inRange(spec.protocol ?? 0, 0, 255, 'protocol'))
      out.view.setUint32(at + 4, spec.onlink ? RTNH_F.onlink : 0, HOST_LITTLE)
      writeAttrs(out, nexthopAttrs, { id, group, blackhole, oif, gateway, fdb })
      if (spec.encap !== undefined) writeEncap(out, spec.encap, NHA_ENCAP)
    },
  )
}

function writeById(out: Writer, id: number): void {
  out.reserve(NHMSG_BYTES)
  writeAttrs(out, nexthopAttrs, { id })
}

function textOf(verb: string, spec: NexthopSpec): string {
  const group = spec.group?.map(({ id, weight }) => (weight === undefined ? id : `${id},${weight}`))
  return words(
    `nexthop ${verb} id ${spec.id}`,
    encapText(spec.encap),
    word('via', spec.gateway),
    spec.oif !== undefined && `dev if${spec.oif}`,
    spec.onlink && 'onlink',
    spec.blackhole && 'blackhole',
    word('group', group?.join('/')),
    spec.fdb && 'fdb',
    word('protocol', spec.protocol),
  )
}
