/**
 * Neighbours: which link-layer address an IP address has on a link.
 *
 * Entries in state `permanent` do not count towards gc_thresh, the limit that
 * all namespaces of a kernel share.
 *
 * Source: include/uapi/linux/neighbour.h, v6.12.
 *
 * @module
 */
import { readAttrs, writeAttrs } from '../attrs.ts'
import { numberOf } from '../codecs.ts'
import { familyOf, type IpFamily } from '../ip.ts'
import { type Message, NLM_F } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, afOf, ipFamilyOf, RTM } from './constants.ts'
import {
  NDMSG_BYTES,
  NTF,
  NUD,
  NUD_NAMES,
  neighAttrs,
  readNdMsg,
  writeNdMsg,
} from './neigh-attrs.ts'

/** How sure the kernel is of a neighbour; a number for a combination. */
export type NeighState = keyof typeof NUD | number

/** A neighbour to add or remove. */
export interface NeighSpec {
  /** Index of the link. */
  readonly index: number
  readonly address: string
  /** Not for `remove`, nor for a proxy entry. */
  readonly mac?: string | undefined
  /** @default 'permanent' */
  readonly state?: NeighState | undefined
  /** Who installs it, 0..255, kept for the reader. */
  readonly protocol?: number | undefined
  /** Learned by something outside the kernel; not collected as garbage. */
  readonly externLearn?: boolean | undefined
  /** Answer for this address on the link (proxy ARP, proxy NDP). */
  readonly proxy?: boolean | undefined
  readonly router?: boolean | undefined
}

/** A neighbour as the kernel reports it. */
export interface Neigh {
  readonly family: IpFamily
  readonly index: number
  readonly address: string
  readonly state: NeighState
  readonly externLearn: boolean
  readonly proxy: boolean
  readonly router: boolean
  readonly mac?: string
  readonly protocol?: number
}

/** Adds a neighbour; EEXIST when one is there. */
const add = (spec: NeighSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds a neighbour or replaces the one there. */
const replace = (spec: NeighSpec): Request => change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes a neighbour; ENOENT when there is none. */
const remove = (spec: NeighSpec): Request => change('delete', spec, 0)

/** Which neighbours to read. */
export interface NeighFilter {
  readonly family?: IpFamily | undefined
  /** Index of a link. */
  readonly index?: number | undefined
  /** true reads proxy entries instead of neighbours. */
  readonly proxy?: boolean | undefined
}

/** Reads neighbours. */
function list(filter: NeighFilter = {}): DumpRequest<Neigh> {
  const { family, index, proxy } = filter
  return dumpRequest(
    RTM.getNeigh,
    (out) => {
      const af = family === undefined ? AF.unspec : afOf(family)
      writeNdMsg(out, { family: af, index: 0, state: 0, flags: proxy ? NTF.proxy : 0 })
      writeAttrs(out, neighAttrs, { ifIndex: index })
    },
    {
      text: words('neigh show', index && `dev if${index}`),
      missing: ['ENODEV'],
      decode: decodeNeigh,
    },
  )
}

/** Requests about neighbours. */
export const neigh = { add, replace, remove, list } as const

/**
 * Reads RTM_NEWNEIGH and RTM_DELNEIGH of IPv4 and IPv6; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeNeigh(message: Message): Neigh | undefined {
  if (message.type !== RTM.newNeigh && message.type !== RTM.delNeigh) return undefined
  const view = bodyOf(message, 'struct ndmsg', NDMSG_BYTES)
  const { family: af, index, state, flags } = readNdMsg(view)
  const family = ipFamilyOf(af)
  const attrs = readAttrs(neighAttrs, view, NDMSG_BYTES, view.byteLength)
  if (family === undefined || attrs.dst === undefined) return undefined
  return present({
    family,
    index,
    address: attrs.dst,
    state: NUD_NAMES.get(state) ?? state,
    externLearn: (flags & NTF.externLearn) !== 0,
    proxy: (flags & NTF.proxy) !== 0,
    router: (flags & NTF.router) !== 0,
    mac: attrs.mac,
    protocol: attrs.protocol,
  }) as Neigh
}

function change(verb: 'add' | 'replace' | 'delete', spec: NeighSpec, flags: number): Request {
  const removing = verb === 'delete'
  return changeRequest(
    removing ? RTM.delNeigh : RTM.newNeigh,
    flags,
    () => textOf(verb, spec),
    (out) => {
      const { index, address, mac, protocol } = spec
      const state = numberOf(NUD, spec.state ?? (removing ? 0 : 'permanent'), 'state')
      const family = afOf(familyOf(address))
      writeNdMsg(out, { family, index, state: spec.proxy ? 0 : state, flags: flagsOf(spec) })
      writeAttrs(out, neighAttrs, { dst: address, mac: removing ? undefined : mac, protocol })
    },
  )
}

function flagsOf(spec: NeighSpec): number {
  return (
    (spec.externLearn ? NTF.externLearn : 0) |
    (spec.proxy ? NTF.proxy : 0) |
    (spec.router ? NTF.router : 0)
  )
}

function textOf(verb: string, spec: NeighSpec): string {
  return words(
    `neigh ${verb}`,
    spec.proxy && 'proxy',
    spec.address,
    word('lladdr', spec.mac),
    `dev if${spec.index}`,
    word('nud', spec.state),
    word('protocol', spec.protocol),
    spec.externLearn && 'extern_learn',
  )
}
