/**
 * Sets and maps: what rules look things up in.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_set_attributes.
 *
 * @module
 */
import { attr, attrTable, nested, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, string, u32be } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { DumpRequest } from '../request.ts'
import { present, words } from '../route/body.ts'
import { HOST_LITTLE } from '../writer.ts'
import { commentNote, flags32, listOf, noteText, readUserdata, u64be } from './codecs.ts'
import { type Family, NFT_MSG } from './constants.ts'
import { fieldType, typeNumber, typesOf } from './field.ts'
import { type KeyTypes, keyBytes } from './key.ts'
import { changeOf, NFGEN_BYTES, type NftRequest, nfgenOf, nftDump, required } from './request.ts'

/** NFT_SET_*; those that follow from the rest (map, concat) are not for callers. */
const SET_FLAGS = {
  anonymous: 0x1,
  constant: 0x2,
  interval: 0x4,
  map: 0x8,
  timeout: 0x10,
  dynamic: 0x20,
  object: 0x40,
  concat: 0x80,
  expression: 0x100,
} as const

/** A flag of a set, by nft's name; `dynamic` sets are filled by rules. */
export type SetFlag = 'anonymous' | 'constant' | 'interval' | 'timeout' | 'dynamic'

const NFT_DATA_VERDICT = 0xffff_ff00
const VERDICT_BYTES = 16 // struct nft_verdict
const NOTE = { keyByteorder: 0, dataByteorder: 1, comment: 7 } as const // NFTNL_UDATA_SET_*

const descAttrs = attrTable({
  size: attr(1, u32be), // NFTA_SET_DESC_SIZE
  fields: attr(2, listOf(nested(attrTable({ bytes: attr(1, u32be) })))), // NFTA_SET_DESC_CONCAT
})

/** NFTA_SET_*. */
const setAttrs = attrTable({
  table: attr(1, string), //             NFTA_SET_TABLE
  name: attr(2, string), //              NFTA_SET_NAME
  flags: attr(3, flags32(SET_FLAGS)), // NFTA_SET_FLAGS
  keyType: attr(4, u32be), //            NFTA_SET_KEY_TYPE
  keyBytes: attr(5, u32be), //           NFTA_SET_KEY_LEN
  dataType: attr(6, u32be), //           NFTA_SET_DATA_TYPE
  dataBytes: attr(7, u32be), //          NFTA_SET_DATA_LEN
  desc: attr(9, nested(descAttrs)), //   NFTA_SET_DESC
  id: attr(10, u32be), //                NFTA_SET_ID
  userdata: attr(13, binary), //         NFTA_SET_USERDATA
  handle: attr(16, u64be), //            NFTA_SET_HANDLE
})

/** Which set. */
export interface SetRef {
  readonly family: Family
  readonly table: string
  readonly name: string
}

/** What a set holds. */
export interface SetShape {
  /** Types of the key's fields, e.g. `['ifname', 'ipv4_addr']`. */
  readonly key: KeyTypes
  /** `interval` allows ranges and prefixes. */
  readonly flags?: readonly SetFlag[] | undefined
  /** Makes it a map: what each key leads to. */
  readonly data?: KeyTypes | 'verdict' | undefined
}

/** A set to add. */
export interface SetSpec extends SetRef, SetShape {
  /** Most elements it may hold. */
  readonly size?: number | undefined
  /** Names an anonymous set inside its transaction. @default 0 */
  readonly id?: number | undefined
  readonly comment?: string | undefined
}

/** A set as the kernel reports it. */
export interface NftSet extends SetRef {
  readonly handle: number
  readonly key: KeyTypes
  readonly flags?: readonly SetFlag[]
  readonly data?: KeyTypes | 'verdict'
  readonly size?: number
  readonly comment?: string
}

/** Adds a set; EEXIST when there is one of another shape. */
const add = (spec: SetSpec): NftRequest => change('add', NLM_F.create, spec)

/** Adds a set; EEXIST when it is there. */
const create = (spec: SetSpec): NftRequest => change('create', NLM_F.create | NLM_F.excl, spec)

/** Removes a set; EBUSY when a rule still looks things up in it. */
const remove = (ref: SetRef): NftRequest => drop('delete', NFT_MSG.delSet, ref)

/** Removes a set if it is there; for kernels before 6.3 see `table.destroy`. */
const destroy = (ref: SetRef): NftRequest => drop('destroy', NFT_MSG.destroySet, ref)

/** Removes every element of the set. */
const flush = ({ family, table, name }: SetRef): NftRequest =>
  changeOf(
    NFT_MSG.delSetElem,
    0,
    family,
    (out) =>
      writeAttrs(out, setAttrs, {
        table: required(table, 'table'),
        name: required(name, 'set'),
      }), // the same numbers in NFTA_SET_ELEM_LIST_*
    () => `flush set ${family} ${table} ${name}`,
  )

/** Which sets to read. */
export interface SetFilter {
  readonly family?: Family | undefined
  readonly table?: string | undefined
}

/** Reads sets and maps, without their elements. */
const list = ({ family, table }: SetFilter = {}): DumpRequest<NftSet> =>
  nftDump(
    NFT_MSG.getSet,
    family,
    (out) => writeAttrs(out, setAttrs, { table: family === undefined ? undefined : table }),
    {
      text: words('list sets', family, table),
      decode: (message) => {
        const set = decodeSet(message)
        if (set === undefined || (family !== undefined && set.family !== family)) return undefined
        return table === undefined || set.table === table ? set : undefined
      },
    },
  )

/** Requests about sets and maps. */
export const set = { add, create, remove, destroy, flush, list } as const

/**
 * Reads NFT_MSG_NEWSET and NFT_MSG_DELSET; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeSet(message: Message): NftSet | undefined {
  if (message.type !== NFT_MSG.newSet && message.type !== NFT_MSG.delSet) return undefined
  const { family, view } = nfgenOf(message)
  const attrs = readAttrs(setAttrs, view, NFGEN_BYTES, view.byteLength)
  const { table, name, handle = 0, keyType = 0, dataType, desc, userdata } = attrs
  if (family === undefined || table === undefined || name === undefined) return undefined
  const flags = attrs.flags?.filter(isForCallers)
  const data = dataType === NFT_DATA_VERDICT ? 'verdict' : dataType && typesOf(dataType)
  return present({
    family,
    table,
    name,
    handle,
    key: typesOf(keyType),
    flags: flags?.length ? flags : undefined,
    data: data === 0 ? undefined : data,
    size: desc?.size,
    comment: userdata && noteText(readUserdata(userdata).get(NOTE.comment)),
  }) as NftSet
}

const isForCallers = (flag: keyof typeof SET_FLAGS): flag is SetFlag =>
  flag !== 'map' && flag !== 'concat' && flag !== 'object' && flag !== 'expression'

function change(verb: string, flags: number, spec: SetSpec): NftRequest {
  return changeOf(
    NFT_MSG.newSet,
    flags,
    spec.family,
    (out) => writeAttrs(out, setAttrs, attrsOf(spec)),
    () => textOf(verb, spec),
  )
}

function attrsOf({ table, name, key, flags = [], data, size, id = 0, comment }: SetSpec) {
  // The kernel needs each field's length to search intervals field by field.
  const concat = key.length > 1 && flags.includes('interval')
  const fields = concat ? key.map((type) => ({ bytes: fieldType(type).bytes })) : undefined
  const map = data === undefined ? [] : (['map'] as const)
  const verdict = data === 'verdict'
  return {
    table,
    name,
    flags: [...flags, ...map, ...(concat ? (['concat'] as const) : [])],
    keyType: typeNumber(key),
    keyBytes: keyBytes(key),
    dataType: verdict ? NFT_DATA_VERDICT : data && typeNumber(data),
    dataBytes: verdict ? VERDICT_BYTES : data && keyBytes(data),
    desc: fields || size !== undefined ? { size, fields } : undefined,
    id,
    userdata: notes(key, data, comment),
  }
}

/** What nft wants to know when it lists the set: in which order the bytes of numbers are. */
function notes(key: KeyTypes, data: SetSpec['data'], comment: string | undefined): Uint8Array {
  const parts = [...byteorderNote(NOTE.keyByteorder, key)]
  if (data !== undefined && data !== 'verdict') {
    parts.push(...byteorderNote(NOTE.dataByteorder, data))
  }
  if (comment !== undefined) parts.push(...commentNote(NOTE.comment, comment))
  return Uint8Array.from(parts)
}

/** BYTEORDER_HOST_ENDIAN is 1, BYTEORDER_BIG_ENDIAN 2; a concatenation has none. */
function byteorderNote(note: number, types: KeyTypes): Uint8Array {
  const [only] = types
  const host = only === 'mark' || only === 'iface_index' || only === 'ifname'
  const bytes = new Uint8Array(6)
  bytes.set([note, 4])
  new DataView(bytes.buffer).setUint32(2, types.length > 1 ? 0 : host ? 1 : 2, HOST_LITTLE)
  return bytes
}

const drop = (verb: string, type: number, { family, table, name }: SetRef): NftRequest =>
  changeOf(
    type,
    0,
    family,
    (out) =>
      writeAttrs(out, setAttrs, {
        table: required(table, 'table'),
        name: required(name, 'set'),
      }),
    () => `${verb} set ${family} ${table} ${name}`,
  )

function textOf(verb: string, { family, table, name, key, flags, data }: SetSpec): string {
  const types = key.join(' . ')
  const to = data === undefined ? '' : ` : ${data === 'verdict' ? data : data.join(' . ')}`
  const word = data === undefined ? 'set' : 'map'
  const flagged = flags?.length ? ` flags ${flags.join(', ')};` : ''
  return `${verb} ${word} ${family} ${table} ${name} { type ${types}${to};${flagged} }`
}
