/**
 * Addresses, routes, neighbours and rules as a dump told them, to be asked for
 * again: on another link, or after they went. Every attribute goes along, also
 * one that this package has no name for.
 *
 * Source: net/ipv4/fib_frontend.c, net/ipv6/route.c, addrconf.c,
 * net/core/neighbour.c, fib_rules.c: what they read of a request, v6.18.
 *
 * @module
 */
import { type Message, NLM_F, viewOf } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { aligned, HOST_LITTLE, Writer } from '../writer.ts'
import { type Addr, decodeAddr } from './addr.ts'
import { RTM } from './constants.ts'
import { decodeNeigh, type Neigh } from './neigh.ts'
import { decodeRoute, type Route } from './route.ts'
import { decodeRule, type Rule } from './rule.ts'

interface Objects {
  readonly addr: Addr
  readonly route: Route
  readonly neigh: Neigh
  readonly rule: Rule
}

export type ToldKind = keyof Objects

/** An object as it was told. */
export interface Told<K extends ToldKind = ToldKind> {
  readonly kind: K
  /** What this package understands of it. */
  readonly object: Objects[K]
  /** The message without its header: what a link's index and name are in it is this kernel's. */
  readonly body: Uint8Array
}

/** A link by both of its names. */
export interface LinkIdentity {
  readonly index: number
  readonly name: string
}

interface Shape<K extends ToldKind> {
  /** Bytes in front of the attributes. */
  readonly header: number
  readonly types: { readonly get: number; readonly put: number; readonly drop: number }
  readonly decode: (message: Message) => Objects[K] | undefined
}

const SHAPES: { readonly [K in ToldKind]: Shape<K> } = {
  addr: shape(8, RTM.getAddr, RTM.newAddr, RTM.delAddr, decodeAddr),
  route: shape(12, RTM.getRoute, RTM.newRoute, RTM.delRoute, decodeRoute),
  neigh: shape(12, RTM.getNeigh, RTM.newNeigh, RTM.delNeigh, decodeNeigh),
  rule: shape(12, RTM.getRule, RTM.newRule, RTM.delRule, decodeRule),
}

function shape<K extends ToldKind>(
  header: number,
  get: number,
  put: number,
  drop: number,
  decode: Shape<K>['decode'],
): Shape<K> {
  return { header, types: { get, put, drop }, decode }
}

/** Reads a whole table of both families: routes of every table, neighbours in every state. */
function list<K extends ToldKind>(kind: K): DumpRequest<Told<K>> {
  const { header, types } = SHAPES[kind] as Shape<K>
  const write = (out: Writer): void => void out.reserve(header)
  const decode = (message: Message): Told<K> | undefined =>
    message.type === types.put ? read(kind, message.body) : undefined
  return dumpRequest(types.get, write, { text: `${kind} show`, missing: [], decode })
}

/**
 * Understands the bytes of one; undefined for what stands for nothing that
 * could be asked for, such as a cached route.
 *
 * @throws {DecodeError} The bytes break the format.
 */
function read<K extends ToldKind>(kind: K, body: Uint8Array): Told<K> | undefined {
  const { types, decode } = SHAPES[kind] as Shape<K>
  const message: Message = { type: types.put, flags: 0, seq: 0, pid: 0, body }
  const object = decode(message)
  if (object === undefined) return undefined
  const isCloned = kind === 'route' && (viewOf(body).getUint32(8, HOST_LITTLE) & RTM_F_CLONED) !== 0
  return isCloned ? undefined : { kind, object, body: body.slice() }
}

const RTM_F_CLONED = 0x200

/** One attribute, its flags (NLA_F_NESTED) taken off. */
export interface RawAttribute {
  readonly type: number
  readonly bytes: Uint8Array
}

/** All attributes, in order. */
function attributes({ kind, body }: Told): readonly RawAttribute[] {
  return rawOf(body, SHAPES[kind].header).map(({ type, bytes }) => ({
    type: type & TYPE_MASK,
    bytes,
  }))
}

const TYPE_MASK = 0x3fff // NLA_TYPE_MASK

function rawOf(body: Uint8Array, start: number): readonly RawAttribute[] {
  const view = viewOf(body)
  const found: RawAttribute[] = []
  for (let at = start; at + 4 <= body.length; ) {
    const length = Math.max(4, view.getUint16(at, HOST_LITTLE))
    found.push({
      type: view.getUint16(at + 2, HOST_LITTLE),
      bytes: body.subarray(at + 4, at + length),
    })
    at += aligned(length)
  }
  return found
}

/** The same bytes with other attributes and, where `change` says so, another header. */
function rebuilt(
  body: Uint8Array,
  header: number,
  change: (header: DataView) => void,
  attribute: (each: RawAttribute, type: number) => readonly RawAttribute[],
): Uint8Array {
  const out = new Writer()
  out.append(body.subarray(0, header))
  change(new DataView(out.bytes.buffer, 0, header))
  for (const each of rawOf(body, header)) {
    for (const { type, bytes } of attribute(each, each.type & TYPE_MASK)) {
      const start = out.beginAttr(type)
      out.append(bytes)
      out.endAttr(start)
    }
  }
  return out.copy()
}

/** The same object on another link. Labels that begin with the link's name follow it where they fit. */
function moved<K extends ToldKind>(
  { kind, body }: Told<K>,
  from: LinkIdentity,
  to: LinkIdentity,
): Told<K> {
  const { header } = SHAPES[kind]
  const swapped = rebuilt(
    body,
    header,
    (view) => {
      const hasIndex = kind === 'addr' || kind === 'neigh'
      if (hasIndex && view.getUint32(4, HOST_LITTLE) === from.index) {
        view.setUint32(4, to.index, HOST_LITTLE)
      }
    },
    (each, type) => [{ type: each.type, bytes: swap(kind, type, each.bytes, from, to) }],
  )
  return { kind, object: read(kind, swapped)?.object as Objects[K], body: swapped }
}

/** Attributes that name a link. Source: rtnetlink.h, if_addr.h, fib_rules.h. */
const IFA_LABEL = 3
const [RTA_IIF, RTA_OIF, RTA_MULTIPATH] = [3, 4, 9]
const [FRA_IIFNAME, FRA_OIFNAME] = [3, 17]

function swap(
  kind: ToldKind,
  type: number,
  bytes: Uint8Array,
  from: LinkIdentity,
  to: LinkIdentity,
): Uint8Array {
  if (kind === 'addr' && type === IFA_LABEL) return encodeName(movedLabel(nameIn(bytes), from, to))
  if (kind === 'rule' && (type === FRA_IIFNAME || type === FRA_OIFNAME)) {
    return nameIn(bytes) === from.name ? encodeName(to.name) : bytes
  }
  if (kind !== 'route') return bytes
  if (type === RTA_OIF || type === RTA_IIF) return swapIndex(bytes, 0, from, to)
  if (type !== RTA_MULTIPATH) return bytes
  let hops = bytes
  eachHop(bytes, (at) => {
    hops = swapIndex(hops, at + 4, from, to)
  })
  return hops
}

/** struct rtnexthop: length u16, flags u8, hops u8, ifindex s32. */
function eachHop(bytes: Uint8Array, visit: (at: number) => void): void {
  const view = viewOf(bytes)
  for (let at = 0; at + 8 <= bytes.length; ) {
    visit(at)
    at += aligned(Math.max(8, view.getUint16(at, HOST_LITTLE)))
  }
}

function swapIndex(
  bytes: Uint8Array,
  at: number,
  from: LinkIdentity,
  to: LinkIdentity,
): Uint8Array {
  const copy = bytes.slice()
  const view = viewOf(copy)
  if (view.getUint32(at, HOST_LITTLE) === from.index) view.setUint32(at, to.index, HOST_LITTLE)
  return copy
}

const LABEL_BYTES_MAX = 15 // IFNAMSIZ - 1

/** `eth0:1` of eth0 is `br0:1` of br0; one that would be too long, or is about no link, stays. */
export function movedLabel(label: string, from: { name: string }, to: { name: string }): string {
  const isIts = label === from.name || label.startsWith(`${from.name}:`)
  const other = to.name + label.slice(from.name.length)
  return isIts && encoder.encode(other).length <= LABEL_BYTES_MAX ? other : label
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const encodeName = (name: string): Uint8Array => encoder.encode(`${name}\0`)
const nameIn = (bytes: Uint8Array): string => decoder.decode(bytes).replace(/\0.*$/s, '')

/** How an object is asked for. */
export interface PutOptions {
  /** Addresses only: no duplicate detection now, whatever the object says. */
  readonly nodad?: boolean
  /** Change the one that is there: for addresses, their flags and lifetimes. */
  readonly replace?: boolean
}

/**
 * Asks for the object. EEXIST says that it is there. A route goes behind those of
 * its destination and metric; one with several next hops takes their place in IPv6.
 */
function put(told: Told, options: PutOptions = {}): Request {
  return change(told, SHAPES[told.kind].types.put, putFlags(told, options), 'put', options)
}

/** Asks for its end. */
function drop(told: Told): Request {
  return change(told, SHAPES[told.kind].types.drop, 0, 'drop', {})
}

function putFlags({ kind, object }: Told, { replace }: PutOptions): number {
  const once = NLM_F.create | NLM_F.excl
  if (kind === 'rule') return once
  if (kind === 'neigh' || replace === true) return NLM_F.create | NLM_F.replace
  if (kind === 'addr') return once
  const { family, multipath } = object as Route
  const whole = family === 6 && multipath !== undefined
  return NLM_F.create | (whole ? NLM_F.replace : NLM_F.append)
}

function change(
  told: Told,
  type: number,
  flags: number,
  verb: string,
  options: PutOptions,
): Request {
  const body = asked(told, options)
  return changeRequest(
    type,
    flags,
    () => `${verb} ${told.kind} ${JSON.stringify(told.object)}`,
    (out) => out.append(body),
  )
}

/** What the kernel says and does not want to hear. */
function asked({ kind, body }: Told, options: PutOptions): Uint8Array {
  const { header } = SHAPES[kind]
  return rebuilt(
    body,
    header,
    (view) => cleanHeader(kind, view),
    (each, type) => cleanAttribute(kind, each, type, options),
  )
}

const RTNH_F_ONLINK = 4
const FIB_RULE_INVERT = 2
const NDA_CACHEINFO = 3
const NDA_PROBES = 4
const IFA_FLAGS = 8
/** nodad, home, mngtmpaddr, noprefixroute, mcautojoin: the others are the kernel's to set. */
const IFA_F_ASKED = 0x712
const IFA_F_NODAD = 2
const [RTA_CACHEINFO, RTA_EXPIRES] = [12, 23]
const USER_HZ = 100

function cleanHeader(kind: ToldKind, view: DataView): void {
  if (kind === 'addr') view.setUint8(2, 0)
  if (kind === 'rule') {
    view.setUint32(8, view.getUint32(8, HOST_LITTLE) & FIB_RULE_INVERT, HOST_LITTLE)
  }
  if (kind === 'route') {
    view.setUint32(8, view.getUint32(8, HOST_LITTLE) & RTNH_F_ONLINK, HOST_LITTLE)
  }
}

function cleanAttribute(
  kind: ToldKind,
  each: RawAttribute,
  type: number,
  { nodad }: PutOptions,
): readonly RawAttribute[] {
  if (kind === 'neigh' && (type === NDA_CACHEINFO || type === NDA_PROBES)) return []
  if (kind === 'addr' && type === IFA_FLAGS) {
    const bits = viewOf(each.bytes).getUint32(0, HOST_LITTLE) & IFA_F_ASKED
    return [{ type: each.type, bytes: number(nodad === true ? bits | IFA_F_NODAD : bits) }]
  }
  if (kind !== 'route') return [each]
  if (type === RTA_MULTIPATH) {
    const hops = each.bytes.slice()
    eachHop(hops, (at) => {
      hops[at + 2] = (hops[at + 2] as number) & RTNH_F_ONLINK
    })
    return [{ type: each.type, bytes: hops }]
  }
  if (type !== RTA_CACHEINFO) return [each]
  // The rest of a life: told in ticks among other things, asked for in seconds.
  const ticks = each.bytes.length < 12 ? 0 : viewOf(each.bytes).getInt32(8, HOST_LITTLE)
  return ticks <= 0 ? [] : [{ type: RTA_EXPIRES, bytes: number(Math.ceil(ticks / USER_HZ)) }]
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, HOST_LITTLE)
  return bytes
}

/** The same neighbour, of which nothing is known for sure: the kernel asks when it needs it. */
function staled({ kind, body }: Told<'neigh'>): Told<'neigh'> {
  const copy = body.slice()
  viewOf(copy).setUint16(8, NUD_STALE, HOST_LITTLE)
  return { kind, object: read(kind, copy)?.object as Neigh, body: copy }
}

const NUD_STALE = 4

/** Objects as a dump told them. */
export const told = { list, read, attributes, moved, staled, put, drop } as const
