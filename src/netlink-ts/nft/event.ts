/**
 * What changed in a ruleset: a notification of the group NFNLGRP_NFTABLES.
 *
 * @module
 */
import { attr, attrTable, readAttrs } from '../attrs.ts'
import { string } from '../codecs.ts'
import type { Message } from '../message.ts'
import { present } from '../route/body.ts'
import { type Family, NFT_MSG } from './constants.ts'
import { decodeGeneration } from './generation.ts'
import { NFGEN_BYTES, nfgenOf } from './request.ts'

/** What changed. A transaction ends with one of `generation`. */
export interface NftEvent {
  readonly kind: 'nft'
  /** `new` also means "changed". */
  readonly change: 'new' | 'del'
  readonly object:
    | 'table'
    | 'chain'
    | 'rule'
    | 'set'
    | 'element'
    | 'object'
    | 'flowtable'
    | 'generation'
  readonly family?: Family
  /** The table that it is, or is in; a generation has none. */
  readonly table?: string
  /** Of the chain or set; of a rule, its chain; of an element, its set. */
  readonly name?: string
  readonly generation?: number
  /** Port id of the socket that asked for it; of an `NftSocket`, its `portId`. */
  readonly portId: number
}

/** Message types: what they are about, and the number of the attribute with its name. */
const TYPES: ReadonlyMap<number, readonly ['new' | 'del', NftEvent['object'], number]> = new Map([
  [NFT_MSG.newTable, ['new', 'table', 0]],
  [NFT_MSG.delTable, ['del', 'table', 0]],
  [NFT_MSG.newChain, ['new', 'chain', 3]],
  [NFT_MSG.delChain, ['del', 'chain', 3]],
  [NFT_MSG.newRule, ['new', 'rule', 2]],
  [NFT_MSG.delRule, ['del', 'rule', 2]],
  [NFT_MSG.newSet, ['new', 'set', 2]],
  [NFT_MSG.delSet, ['del', 'set', 2]],
  [NFT_MSG.newSetElem, ['new', 'element', 2]],
  [NFT_MSG.delSetElem, ['del', 'element', 2]],
  [NFT_MSG.newObj, ['new', 'object', 2]],
  [NFT_MSG.delObj, ['del', 'object', 2]],
  [NFT_MSG.newFlowtable, ['new', 'flowtable', 2]],
  [NFT_MSG.delFlowtable, ['del', 'flowtable', 2]],
] as const)

/** Every object has its table's name in attribute 1; names of their own are in 2 or 3. */
const tables = [2, 3].map((type) => attrTable({ table: attr(1, string), name: attr(type, string) }))
const tableOnly = attrTable({ table: attr(1, string) })

/**
 * Reads a notification; undefined when it is about something else.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeNftEvent(message: Message): NftEvent | undefined {
  const { pid: portId } = message
  const generation = decodeGeneration(message)
  if (generation !== undefined) {
    return { kind: 'nft', change: 'new', object: 'generation', generation, portId }
  }
  const row = TYPES.get(message.type)
  if (row === undefined) return undefined
  const [change, object, nameType] = row
  const { family, view } = nfgenOf(message)
  const rows = nameType === 0 ? tableOnly : tables[nameType - 2]!
  const found: { table?: string | undefined; name?: string | undefined } = readAttrs(
    rows,
    view,
    NFGEN_BYTES,
    view.byteLength,
  )
  return present({ kind: 'nft', change, object, family, ...found, portId }) as NftEvent
}
