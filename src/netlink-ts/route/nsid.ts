/**
 * Ids that a namespace gives to others: `targetNetnsId` of links and addresses.
 *
 * An id lives as long as the namespace that it stands for, and means something
 * only in the one that gave it.
 *
 * Source: include/uapi/linux/net_namespace.h, enum NETNSA_*; net/core/net_namespace.c, v6.12.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { s32, u32 } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import {
  changeRequest,
  type DumpRequest,
  dumpRequest,
  type GetRequest,
  getRequest,
  type Request,
} from '../request.ts'
import type { Writer } from '../writer.ts'
import { bodyOf, word, words } from './body.ts'
import { AF, RTM } from './constants.ts'

/** Bytes of struct rtgenmsg with its padding: family u8. */
const GEN_BYTES = 4
/** NETNSA_NSID_NOT_ASSIGNED; asked for, the kernel chooses. */
const NOT_ASSIGNED = -1

/** NETNSA_* */
export const nsidAttrs = attrTable({
  nsid: attr(1, s32), //      NETNSA_NSID
  netnsFd: attr(3, u32), //   NETNSA_FD
})

/** Which namespace is to have an id. */
export interface NsidSpec {
  /** Open file descriptor of the namespace. */
  readonly netnsFd: number
  /** The id; EEXIST when it stands for another one. @default the kernel chooses */
  readonly nsid?: number | undefined
}

/** Gives a namespace an id; EEXIST when it has one. */
function add({ netnsFd, nsid = NOT_ASSIGNED }: NsidSpec): Request {
  return changeRequest(
    RTM.newNsid,
    NLM_F.create | NLM_F.excl,
    () => words('netns set', word('netns', netnsFd), nsid === NOT_ASSIGNED ? 'auto' : String(nsid)),
    (out) => writeGen(out, { nsid, netnsFd }),
  )
}

/** The id of a namespace; undefined when it has none. */
function get({ netnsFd }: Pick<NsidSpec, 'netnsFd'>): GetRequest<number> {
  return getRequest(RTM.getNsid, (out) => writeGen(out, { netnsFd }), {
    text: words('netns list-id', word('netns', netnsFd)),
    missing: [],
    decode: decodeNsid,
  })
}

/** Every id that was given. */
function list(): DumpRequest<number> {
  return dumpRequest(RTM.getNsid, (out) => writeGen(out, {}), {
    text: 'netns list-id',
    missing: [],
    decode: decodeNsid,
  })
}

/** Requests about ids of namespaces. */
export const nsid = { add, get, list } as const

/**
 * Reads RTM_NEWNSID; undefined for any other message, and for a namespace without id.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeNsid(message: Message): number | undefined {
  if (message.type !== RTM.newNsid) return undefined
  const view = bodyOf(message, 'struct rtgenmsg', GEN_BYTES)
  const { nsid: id = NOT_ASSIGNED } = readAttrs(nsidAttrs, view, GEN_BYTES, view.byteLength)
  return id === NOT_ASSIGNED ? undefined : id
}

function writeGen(
  out: Writer,
  attrs: { readonly nsid?: number | undefined; readonly netnsFd?: number | undefined },
): void {
  out.view.setUint8(out.reserve(GEN_BYTES), AF.unspec)
  writeAttrs(out, nsidAttrs, attrs)
}
