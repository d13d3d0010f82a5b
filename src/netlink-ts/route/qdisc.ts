/**
 * Queueing disciplines: how a link sends (`tbf` limits its rate), and the hooks
 * for classifiers (`clsact`, `ingress`).
 *
 * Source: include/uapi/linux/rtnetlink.h, struct tcmsg and TCA_*;
 * include/uapi/linux/pkt_sched.h, TC_H_*, v6.12.
 *
 * @module
 */
import { type Attr, attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { type Codec, inRange, string } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present, word, words } from './body.ts'
import { RTM } from './constants.ts'
import { readTbf, type TbfKind, tbfText, writeTbf } from './qdisc-tbf.ts'

/** Bytes of struct tcmsg: family u8, 3 of padding; ifindex s32; handle, parent, info u32. */
const TCMSG_BYTES = 20
const TCA_OPTIONS = 2
const NLA_F_NESTED = 0x8000

/** Parents with a name. Source: pkt_sched.h, TC_H_*. */
const PARENTS = { root: 0xffff_ffff, ingress: 0xffff_fff1 } as const
const INGRESS_HANDLE = 0xffff_0000

/** Hooks on both directions of a link. */
export interface ClsactKind {
  readonly type: 'clsact'
}

/** A hook on what comes in. */
export interface IngressKind {
  readonly type: 'ingress'
}

/** Every discipline this package can create, with its settings. */
export type QdiscKind = TbfKind | ClsactKind | IngressKind

/** A place as tc(8) writes it: `1:` or `1:10`, hexadecimal. */
export type QdiscHandle = string

/** A discipline to add or change. */
export interface QdiscSpec {
  /** Index of the link. */
  readonly index: number
  readonly kind: QdiscKind
  /** `root`, or the class it is under. @default 'root'; clsact and ingress have a place of their own */
  readonly parent?: 'root' | QdiscHandle | undefined
  /** @default the kernel's choice */
  readonly handle?: QdiscHandle | undefined
}

/** A discipline to remove: by its place alone. */
export interface QdiscRef {
  readonly index: number
  /** @default 'root' */
  readonly parent?: 'root' | 'ingress' | QdiscHandle | undefined
  readonly handle?: QdiscHandle | undefined
}

/** A discipline as the kernel reports it. */
export interface Qdisc {
  readonly index: number
  /** The kernel's name of the kind: `tbf`, `noqueue`, `fq_codel` ... */
  readonly kind: string
  readonly handle: QdiscHandle
  /** `ingress` is the place of ingress and clsact. */
  readonly parent: 'root' | 'ingress' | QdiscHandle
  /** Settings of the kinds this package knows. */
  readonly data?: QdiscKind
}

/** Adds a discipline; EEXIST when the place is taken (the kernel's default does not count). */
const add = (spec: QdiscSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds a discipline, or takes the place of the one there. */
const replace = (spec: QdiscSpec): Request => change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes a discipline; ENOENT or EINVAL when there is none. The kernel's default returns. */
function remove(ref: QdiscRef): Request {
  const { index, parent = 'root', handle } = ref
  return changeRequest(
    RTM.delQdisc,
    0,
    () => words(`qdisc del dev if${index}`, placeText(parent), word('handle', handle)),
    (out) =>
      writeTcMsg(out, index, numberOfPlace(parent), handle === undefined ? 0 : parseHandle(handle)),
  )
}

/** Which disciplines to read. */
export interface QdiscFilter {
  /** Index of a link. */
  readonly index?: number | undefined
}

/** Reads disciplines. */
function list({ index }: QdiscFilter = {}): DumpRequest<Qdisc> {
  return dumpRequest(RTM.getQdisc, (out) => writeTcMsg(out, index ?? 0, 0, 0), {
    text: words('qdisc show', index !== undefined && `dev if${index}`),
    missing: ['ENODEV'],
    // The kernel has no filter for it.
    decode(message) {
      const found = decodeQdisc(message)
      return index === undefined || found?.index === index ? found : undefined
    },
  })
}

/** Requests about queueing disciplines. */
export const qdisc = { add, replace, remove, list } as const

interface Span {
  readonly start: number
  readonly end: number
}

/** Where a payload lies: what is in it depends on the kind. */
const span: Codec<Span> = {
  write: () => {},
  read: (_view, offset, length) => ({ start: offset, end: offset + length }),
}

const kindRow: Attr<string> = attr(1, string) // TCA_KIND
const qdiscAttrs = attrTable({ kind: kindRow, options: attr(TCA_OPTIONS, span) })

/**
 * Reads RTM_NEWQDISC and RTM_DELQDISC; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeQdisc(message: Message): Qdisc | undefined {
  if (message.type !== RTM.newQdisc && message.type !== RTM.delQdisc) return undefined
  const view = bodyOf(message, 'struct tcmsg', TCMSG_BYTES)
  const { kind, options } = readAttrs(qdiscAttrs, view, TCMSG_BYTES, view.byteLength)
  if (kind === undefined) return undefined
  return present({
    index: view.getInt32(4, HOST_LITTLE),
    kind,
    handle: formatHandle(view.getUint32(8, HOST_LITTLE)),
    parent: formatPlace(view.getUint32(12, HOST_LITTLE)),
    data: readKind(view, kind, options),
  }) as Qdisc
}

function readKind(view: DataView, kind: string, options: Span | undefined): QdiscKind | undefined {
  if (kind === 'clsact' || kind === 'ingress') return { type: kind }
  if (kind !== 'tbf' || options === undefined) return undefined
  return readTbf(view, options.start, options.end)
}

function change(verb: 'add' | 'replace', spec: QdiscSpec, flags: number): Request {
  const { index, kind, parent = 'root', handle } = spec
  const isHook = kind.type !== 'tbf'
  return changeRequest(
    RTM.newQdisc,
    flags,
    () =>
      words(
        `qdisc ${verb} dev if${index}`,
        isHook ? undefined : placeText(parent),
        word('handle', handle),
        kind.type === 'tbf' ? tbfText(kind) : kind.type,
      ),
    (out) => {
      const own = handle === undefined ? 0 : parseHandle(handle)
      if (isHook) writeTcMsg(out, index, PARENTS.ingress, INGRESS_HANDLE)
      else writeTcMsg(out, index, numberOfPlace(parent), own)
      writeAttrs(out, qdiscAttrs, { kind: kind.type })
      if (kind.type !== 'tbf') return
      const start = out.beginAttr(TCA_OPTIONS | NLA_F_NESTED)
      writeTbf(out, kind)
      out.endAttr(start)
    },
  )
}

function writeTcMsg(out: Writer, index: number, parent: number, handle: number): void {
  const at = out.reserve(TCMSG_BYTES)
  out.view.setInt32(at + 4, inRange(index, 0, 0x7fff_ffff, 'index'), HOST_LITTLE)
  out.view.setUint32(at + 8, handle, HOST_LITTLE)
  out.view.setUint32(at + 12, parent, HOST_LITTLE)
}

const placeText = (place: string): string => (place in PARENTS ? place : `parent ${place}`)

const numberOfPlace = (place: string): number =>
  place === 'root' || place === 'ingress' ? PARENTS[place] : parseHandle(place)

/** Two halves of 16 bits; an absent minor number is 0. */
function parseHandle(text: string): number {
  const [, major, minor] = /^([0-9a-f]{1,4}):([0-9a-f]{0,4})$/i.exec(text) ?? []
  if (major === undefined) {
    throw new RangeError(`Cannot encode handle: found "${text}", wanted one like 1: or 1:10`)
  }
  return ((Number.parseInt(major, 16) << 16) | Number.parseInt(minor || '0', 16)) >>> 0
}

function formatHandle(handle: number): QdiscHandle {
  const minor = handle & 0xffff
  return `${(handle >>> 16).toString(16)}:${minor === 0 ? '' : minor.toString(16)}`
}

function formatPlace(parent: number): string {
  if (parent === PARENTS.root) return 'root'
  return parent === PARENTS.ingress ? 'ingress' : formatHandle(parent)
}
