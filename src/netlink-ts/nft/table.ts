/**
 * Tables: what everything else lives in.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_table_attributes.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, string } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { DumpRequest, GetRequest } from '../request.ts'
import { present } from '../route/body.ts'
import { commentNote, flags32, noteText, readUserdata, u64be } from './codecs.ts'
import { type Family, NFT_MSG } from './constants.ts'
import {
  changeOf,
  NFGEN_BYTES,
  type NftRequest,
  nfgenOf,
  nftDump,
  nftMessage,
  required,
} from './request.ts'

/** NFT_TABLE_F_*: `dormant` switches every chain of the table off. */
const TABLE_FLAGS = { dormant: 1, owner: 2, persist: 4 } as const

/** A flag of a table, by nft's name. */
export type TableFlag = keyof typeof TABLE_FLAGS

const NOTE_COMMENT = 0 // NFTNL_UDATA_TABLE_COMMENT

const tableAttrs = attrTable({
  name: attr(1, string), //              NFTA_TABLE_NAME
  flags: attr(2, flags32(TABLE_FLAGS)), // NFTA_TABLE_FLAGS
  handle: attr(4, u64be), //             NFTA_TABLE_HANDLE
  userdata: attr(6, binary), //          NFTA_TABLE_USERDATA
})

/** Which table. */
export interface TableRef {
  readonly family: Family
  readonly name: string
}

/** A table to add. */
export interface TableSpec extends TableRef {
  readonly flags?: readonly TableFlag[] | undefined
  readonly comment?: string | undefined
}

/** A table as the kernel reports it. */
export interface Table extends TableRef {
  readonly handle: number
  /** Absent when there is none. */
  readonly flags?: readonly TableFlag[]
  readonly comment?: string
}

/** Adds a table, or changes its flags when it is there. */
const add = (spec: TableSpec): NftRequest => change('add', NFT_MSG.newTable, NLM_F.create, spec)

/** Adds a table; EEXIST when it is there. */
const create = (spec: TableSpec): NftRequest =>
  change('create', NFT_MSG.newTable, NLM_F.create | NLM_F.excl, spec)

/** Removes a table with all its contents; ENOENT when it is not there. */
const remove = (ref: TableRef): NftRequest => change('delete', NFT_MSG.delTable, 0, ref)

/**
 * Removes a table if it is there. Kernels before 6.3 refuse the whole transaction
 * (EINVAL): there, `add` and then `remove` do the same.
 */
const destroy = (ref: TableRef): NftRequest => change('destroy', NFT_MSG.destroyTable, 0, ref)

/** Removes every rule of the table. */
const flush = (ref: TableRef): NftRequest =>
  changeOf(
    NFT_MSG.delRule,
    0,
    ref.family,
    (out) => writeAttrs(out, tableAttrs, { name: required(ref.name, 'table') }),
    () => `flush table ${ref.family} ${ref.name}`,
  )

/** Reads the tables of a family, or of all. */
const list = (filter: { readonly family?: Family } = {}): DumpRequest<Table> =>
  nftDump(NFT_MSG.getTable, filter.family, () => {}, {
    text: filter.family === undefined ? 'list tables' : `list tables ${filter.family}`,
    decode: (message) => {
      const table = decodeTable(message)
      return filter.family === undefined || table?.family === filter.family ? table : undefined
    },
  })

/** Reads one table. */
const get = ({ family, name }: TableRef): GetRequest<Table> => ({
  kind: 'get',
  message: nftMessage(NFT_MSG.getTable, NLM_F.ack, family, (out) =>
    writeAttrs(out, tableAttrs, { name: required(name, 'table') }),
  ),
  text: `list table ${family} ${name}`,
  missing: new Set(['ENOENT']),
  decode: decodeTable,
})

/** Requests about tables. */
export const table = { add, create, remove, destroy, flush, list, get } as const

/** Removes every table of a family, or of all families. */
export const flushRuleset = (filter: { readonly family?: Family } = {}): NftRequest =>
  changeOf(
    NFT_MSG.delTable,
    0,
    filter.family,
    () => {},
    () => (filter.family === undefined ? 'flush ruleset' : `flush ruleset ${filter.family}`),
  )

/**
 * Reads NFT_MSG_NEWTABLE and NFT_MSG_DELTABLE; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeTable(message: Message): Table | undefined {
  if (message.type !== NFT_MSG.newTable && message.type !== NFT_MSG.delTable) return undefined
  const { family, view } = nfgenOf(message)
  const attrs = readAttrs(tableAttrs, view, NFGEN_BYTES, view.byteLength)
  const { name, handle = 0, flags, userdata } = attrs
  if (family === undefined || name === undefined) return undefined
  const comment = userdata && noteText(readUserdata(userdata).get(NOTE_COMMENT))
  return present({
    family,
    name,
    handle,
    flags: flags?.length ? flags : undefined,
    comment,
  }) as Table
}

function change(verb: string, type: number, flags: number, spec: TableSpec): NftRequest {
  const { family, name, comment } = spec
  return changeOf(
    type,
    flags,
    family,
    (out) =>
      writeAttrs(out, tableAttrs, {
        name: required(name, 'table'),
        flags: type === NFT_MSG.newTable ? (spec.flags ?? []) : undefined,
        userdata: comment === undefined ? undefined : commentNote(NOTE_COMMENT, comment),
      }),
    () => `${verb} table ${family} ${name}`,
  )
}
