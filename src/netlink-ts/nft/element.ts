/**
 * Elements of sets and maps, thousands in one request.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_set_elem_attributes
 * and enum nft_set_elem_list_attributes.
 *
 * @module
 */
import { attr, attrTable, nested, readAttrs, writeAttrs } from '../attrs.ts'
import { string, u32be } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { Writer } from '../writer.ts'
import { data, dataBytes, fromHex, listOf, toHex, type Verdict } from './codecs.ts'
import { type Family, NFT_MSG } from './constants.ts'
import { type Field, sameBytes } from './field.ts'
import { intervalEnd, joinIntervals } from './interval.ts'
import { formatKey, type KeyTypes, keyText, parseKey } from './key.ts'
import {
  changesOf,
  type GatherRequest,
  NFGEN_BYTES,
  type NftRequest,
  nfgenOf,
  nftDump,
  nftMessage,
  type Tearing,
} from './request.ts'
import type { SetShape } from './set.ts'

/** Bytes of elements per message: well below what a u16 can say. */
const LIST_BYTES_MAX = 48 * 1024
const NFTA_SET_ELEM_LIST_ELEMENTS = 3
const NFTA_LIST_ELEM = 1
const NLA_F_NESTED = 0x8000

/** NFT_SET_ELEM_*. */
export const ELEM_F = { intervalEnd: 1, catchall: 2 } as const

/** A key; in a map with what it leads to. */
export type Element =
  | readonly Field[]
  | { readonly key: readonly Field[]; readonly data: readonly Field[] | Verdict }

/** Which elements, in a set of which shape. */
export interface ElementSpec extends SetShape {
  readonly family: Family
  readonly table: string
  readonly set: string
  readonly elements: readonly Element[]
  /** The id of an anonymous set in the same transaction. */
  readonly id?: number | undefined
}

/** A set whose elements are read. */
export interface ElementFilter extends SetShape {
  readonly family: Family
  readonly table: string
  readonly set: string
}

/** An element as it is on the wire: an interval of one field is two of them. */
export interface RawElement {
  readonly key?: Uint8Array | undefined
  readonly keyEnd?: Uint8Array | undefined
  readonly flags?: number | undefined
  readonly data?:
    | { readonly value?: string | undefined; readonly verdict?: Verdict | undefined }
    | undefined
  readonly userdata?: Uint8Array | undefined
}

const elemAttrs = attrTable({
  flags: attr(3, u32be), //       NFTA_SET_ELEM_FLAGS
  key: attr(1, dataBytes), //     NFTA_SET_ELEM_KEY
  keyEnd: attr(10, dataBytes), // NFTA_SET_ELEM_KEY_END
  data: attr(2, data), //         NFTA_SET_ELEM_DATA
})

const listAttrs = attrTable({
  table: attr(1, string), //                     NFTA_SET_ELEM_LIST_TABLE
  set: attr(2, string), //                       NFTA_SET_ELEM_LIST_SET
  elements: attr(3, listOf(nested(elemAttrs))), // NFTA_SET_ELEM_LIST_ELEMENTS
  id: attr(4, u32be), //                         NFTA_SET_ELEM_LIST_SET_ID
})

/** Adds elements; one that is there already is no error, unless its data differ (EEXIST). */
const add = (spec: ElementSpec): NftRequest => change('add', NFT_MSG.newSetElem, NLM_F.create, spec)

/** Adds elements; EEXIST when one is there. */
const create = (spec: ElementSpec): NftRequest =>
  change('create', NFT_MSG.newSetElem, NLM_F.create | NLM_F.excl, spec)

/** Removes elements; ENOENT when one is not there. */
const remove = (spec: ElementSpec): NftRequest => change('delete', NFT_MSG.delSetElem, 0, spec)

/** Removes those elements that are there; for kernels before 6.3 see `table.destroy`. */
const destroy = (spec: ElementSpec): NftRequest =>
  change('destroy', NFT_MSG.destroySetElem, 0, spec)

/** Reads the elements of a set; ENOENT when there is no such set. Intervals come sorted. */
function list(filter: ElementFilter): GatherRequest<RawElement, Element> {
  const { family, table, set } = filter
  return {
    ...nftDump(NFT_MSG.getSetElem, family, (out) => writeAttrs(out, listAttrs, { table, set }), {
      text: `list set ${family} ${table} ${set}`,
      decode: (message) => decodeElements(message)[0],
    }),
    decodeAll: decodeElements,
    tearing: twins,
    gather: (parts) => elementsOf(filter, parts),
    gathersSome: !isPaired(filter),
  }
}

/**
 * Whether an element came before. A hash table that grows (in the background,
 * for some milliseconds after thousands were added) is dumped by position: what
 * moved back is sent twice, and as many others are left out.
 */
function twins(): Tearing<RawElement> {
  const seen = new Set<string>()
  return {
    shows({ key = NO_KEY, keyEnd = NO_KEY, flags = 0 }) {
      const name = `${flags} ${toHex(key)} ${toHex(keyEnd)}`
      if (seen.has(name)) return true
      seen.add(name)
      return false
    },
  }
}

const NO_KEY = new Uint8Array(0)

/** Requests about elements. */
export const element = { add, create, remove, destroy, list } as const

/**
 * Reads the elements of NFT_MSG_NEWSETELEM and NFT_MSG_DELSETELEM; none of any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeElements(message: Message): readonly RawElement[] {
  if (message.type !== NFT_MSG.newSetElem && message.type !== NFT_MSG.delSetElem) return []
  const { view } = nfgenOf(message)
  return readAttrs(listAttrs, view, NFGEN_BYTES, view.byteLength).elements ?? []
}

/**
 * The elements that wire elements stand for.
 *
 * @throws {DecodeError} A key does not fit the set's types.
 */
export function elementsOf(shape: SetShape, raws: readonly RawElement[]): readonly Element[] {
  const { key: types, data: dataTypes } = shape
  const paired = isPaired(shape) ? joinIntervals(raws) : raws
  return paired.map((raw) => {
    const key =
      raw.key === undefined
        ? ['*'] // catch-all
        : formatKey(types, { from: raw.key, to: raw.keyEnd ?? raw.key })
    return dataTypes === undefined ? key : { key, data: dataOf(dataTypes, raw) }
  })
}

/** An interval of one field is stored as its start and the first key after it. */
const isPaired = ({ key, flags }: SetShape): boolean =>
  key.length === 1 && flags?.includes('interval') === true

function dataOf(types: KeyTypes | 'verdict', { data }: RawElement): readonly Field[] | Verdict {
  if (data?.verdict !== undefined) return data.verdict
  const bytes = fromHex(data?.value ?? '', 'data')
  return types === 'verdict' ? [data?.value ?? ''] : formatKey(types, { from: bytes, to: bytes })
}

function change(verb: string, type: number, flags: number, spec: ElementSpec): NftRequest {
  const groups = spec.elements.map((element) => rawOf(spec, element))
  if (isPaired(spec)) groups.sort(byStart) // the kernel finds overlaps reliably in this order
  const messages: Uint8Array[] = []
  let next = 0
  const write = (out: Writer): void => {
    writeAttrs(out, listAttrs, { table: spec.table, set: spec.set, id: spec.id })
    const start = out.beginAttr(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED)
    const limit = out.length + LIST_BYTES_MAX
    for (; next < groups.length && out.length < limit; next++) {
      for (const raw of groups[next]!) writeRaw(out, raw)
    }
    out.endAttr(start)
  }
  while (next < groups.length) messages.push(nftMessage(type, flags, spec.family, write))
  return changesOf(messages, () => textOf(verb, spec))
}

const byStart = (a: readonly RawElement[], b: readonly RawElement[]): number => {
  const [x, y] = [a[0]?.key, b[0]?.key]
  if (x === undefined || y === undefined) return 0
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!
  return 0
}

/** nftables' note that an interval has no end because it reaches the last key: NFTNL_UDATA_SET_ELEM_FLAGS. */
const OPEN_NOTE = Uint8Array.of(1, 4, ...new Uint8Array(Uint32Array.of(1).buffer))

function rawOf(spec: ElementSpec, element: Element): readonly RawElement[] {
  const plain = isPlain(element)
  const { from, to } = parseKey(spec.key, plain ? element : element.key)
  const data = plain ? undefined : rawData(spec.data, element.data)
  if (spec.flags?.includes('interval') !== true) {
    if (sameBytes(from, to)) return [{ key: from, data }]
    throw new RangeError(
      `Cannot encode element ${keyText(plain ? element : element.key)}: ` +
        `set ${spec.set} has no flag interval`,
    )
  }
  if (spec.key.length > 1) return [{ key: from, keyEnd: to, data }]
  const end = intervalEnd(to)
  if (end === undefined) return [{ key: from, data, userdata: OPEN_NOTE }]
  return [
    { key: from, data },
    { key: end, flags: ELEM_F.intervalEnd },
  ]
}

const isPlain = (element: Element): element is readonly Field[] => Array.isArray(element)

function rawData(types: SetShape['data'], value: readonly Field[] | Verdict): RawElement['data'] {
  if (types === undefined) throw new RangeError('Cannot encode data: the set is not a map')
  if ('verdict' in value) return { verdict: value }
  if (types === 'verdict') throw new RangeError('Cannot encode data: wanted a verdict')
  return { value: toHex(parseKey(types, value).from) }
}

// By hand and not by table: these are many.
function writeRaw(out: Writer, { key, keyEnd, flags, data: value, userdata }: RawElement): void {
  const start = out.beginAttr(NFTA_LIST_ELEM | NLA_F_NESTED)
  if (flags !== undefined) {
    const at = out.beginAttr(3)
    out.view.setUint32(out.reserve(4), flags, false)
    out.endAttr(at)
  }
  if (key !== undefined) writeBytes(out, 1, key)
  if (keyEnd !== undefined) writeBytes(out, 10, keyEnd)
  if (value !== undefined) {
    const at = out.beginAttr(2 | NLA_F_NESTED)
    data.write(out, value, 'data')
    out.endAttr(at)
  }
  if (userdata !== undefined) {
    const at = out.beginAttr(6) // NFTA_SET_ELEM_USERDATA
    out.append(userdata)
    out.endAttr(at)
  }
  out.endAttr(start)
}

function writeBytes(out: Writer, type: number, bytes: Uint8Array): void {
  const start = out.beginAttr(type | NLA_F_NESTED)
  dataBytes.write(out, bytes, 'key')
  out.endAttr(start)
}

const TEXT_ELEMENTS_MAX = 4

function textOf(verb: string, { family, table, set, elements }: ElementSpec): string {
  const some = elements
    .slice(0, TEXT_ELEMENTS_MAX)
    .map((element) => keyText(isPlain(element) ? element : element.key))
  const more = elements.length - some.length
  if (more > 0) some.push(`and ${more} more`)
  return `${verb} element ${family} ${table} ${set} { ${some.join(', ')} }`
}
