/**
 * Chains: base chains, which hang on a hook, and regular ones, which are jumped to.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_chain_attributes and
 * enum nft_hook_attributes.
 *
 * @module
 */
import { attr, attrTable, nested, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, namesOf, numberOf, string, u32be } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { DumpRequest } from '../request.ts'
import { present, words } from '../route/body.ts'
import { commentNote, listOf, named32, noteText, readUserdata, s32be, u64be } from './codecs.ts'
import { type Family, type Hook, hooksOf, NFT_MSG } from './constants.ts'
import { changeOf, NFGEN_BYTES, type NftRequest, nfgenOf, nftDump, required } from './request.ts'

/** What a base chain does to packets that reach its end. */
const POLICIES = { drop: 0, accept: 1 } as const

const NOTE_COMMENT = 0 // NFTNL_UDATA_CHAIN_COMMENT

/** NFTA_HOOK_*. */
const hookAttrs = attrTable({
  number: attr(1, u32be), //           NFTA_HOOK_HOOKNUM
  priority: attr(2, s32be), //         NFTA_HOOK_PRIORITY
  device: attr(3, string), //          NFTA_HOOK_DEV
  devices: attr(4, listOf(string)), // NFTA_HOOK_DEVS
})

/** NFTA_CHAIN_*. */
const chainAttrs = attrTable({
  table: attr(1, string), //              NFTA_CHAIN_TABLE
  handle: attr(2, u64be), //              NFTA_CHAIN_HANDLE
  name: attr(3, string), //               NFTA_CHAIN_NAME
  hook: attr(4, nested(hookAttrs)), //    NFTA_CHAIN_HOOK
  policy: attr(5, named32(POLICIES)), //  NFTA_CHAIN_POLICY
  type: attr(7, string), //               NFTA_CHAIN_TYPE
  userdata: attr(12, binary), //          NFTA_CHAIN_USERDATA
})

/** Which chain. */
export interface ChainRef {
  readonly family: Family
  readonly table: string
  readonly name: string
}

/** What makes a chain a base chain. */
export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: Hook
  /** Lower ones run first; -0x80000000 to 0x7fffffff. */
  readonly priority: number
  /** @default 'accept' */
  readonly policy?: 'accept' | 'drop' | undefined
  /** The links of a netdev chain, or of an inet one at ingress. */
  readonly devices?: readonly string[] | undefined
}

/** A chain to add: with `hook` a base chain, without one a regular chain. */
export type ChainSpec = ChainRef & { readonly comment?: string | undefined } & (
    | BaseChain
    | { readonly [K in keyof BaseChain]?: undefined }
  )

/** A chain as the kernel reports it. */
export interface Chain extends ChainRef {
  readonly handle: number
  readonly type?: string
  readonly hook?: Hook | number
  readonly priority?: number
  /** Every base chain has one. */
  readonly policy?: 'accept' | 'drop' | number
  readonly devices?: readonly string[]
  readonly comment?: string
}

/** Adds a chain, or changes the policy of the one there. */
const add = (spec: ChainSpec): NftRequest => change('add', NLM_F.create, spec)

/** Adds a chain; EEXIST when it is there. */
const create = (spec: ChainSpec): NftRequest => change('create', NLM_F.create | NLM_F.excl, spec)

/** Removes a chain; EBUSY when rules or elements still refer to it. */
const remove = (ref: ChainRef): NftRequest => drop('delete', NFT_MSG.delChain, ref)

/** Removes a chain if it is there; for kernels before 6.3 see `table.destroy`. */
const destroy = (ref: ChainRef): NftRequest => drop('destroy', NFT_MSG.destroyChain, ref)

/** Removes every rule of the chain. */
const flush = (ref: ChainRef): NftRequest =>
  changeOf(
    NFT_MSG.delRule,
    0,
    ref.family,
    (out) =>
      writeAttrs(out, ruleAttrs, {
        table: required(ref.table, 'table'),
        chain: required(ref.name, 'chain'),
      }),
    () => `flush chain ${ref.family} ${ref.table} ${ref.name}`,
  )

/** NFTA_RULE_TABLE and NFTA_RULE_CHAIN: a rule without a handle is all of them. */
const ruleAttrs = attrTable({ table: attr(1, string), chain: attr(2, string) })

/** Which chains to read. */
export interface ChainFilter {
  readonly family?: Family | undefined
  readonly table?: string | undefined
}

/** Reads chains. */
const list = ({ family, table }: ChainFilter = {}): DumpRequest<Chain> =>
  nftDump(NFT_MSG.getChain, family, () => {}, {
    text: words('list chains', family, table),
    decode: (message) => {
      const chain = decodeChain(message)
      if (chain === undefined || (family !== undefined && chain.family !== family)) return undefined
      return table === undefined || chain.table === table ? chain : undefined
    },
  })

/** Requests about chains. */
export const chain = { add, create, remove, destroy, flush, list } as const

/**
 * Reads NFT_MSG_NEWCHAIN and NFT_MSG_DELCHAIN; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeChain(message: Message): Chain | undefined {
  if (message.type !== NFT_MSG.newChain && message.type !== NFT_MSG.delChain) return undefined
  const { family, view } = nfgenOf(message)
  const attrs = readAttrs(chainAttrs, view, NFGEN_BYTES, view.byteLength)
  const { table, name, handle = 0, hook, policy, type, userdata } = attrs
  if (family === undefined || table === undefined || name === undefined) return undefined
  const device = hook?.device === undefined ? undefined : [hook.device]
  return present({
    family,
    table,
    name,
    handle,
    type,
    hook: hook?.number === undefined ? undefined : hookName(family, hook.number),
    priority: hook?.priority,
    policy,
    devices: hook?.devices ?? device,
    comment: userdata && noteText(readUserdata(userdata).get(NOTE_COMMENT)),
  }) as Chain
}

const hookName = (family: Family, number: number): Hook | number =>
  (namesOf(hooksOf(family)).get(number) as Hook | undefined) ?? number

function change(verb: string, flags: number, spec: ChainSpec): NftRequest {
  const { family, table, name, comment } = spec
  return changeOf(
    NFT_MSG.newChain,
    flags,
    family,
    (out) =>
      writeAttrs(out, chainAttrs, {
        table,
        name,
        ...(spec.hook === undefined ? {} : baseAttrs(family, spec)),
        userdata: comment === undefined ? undefined : commentNote(NOTE_COMMENT, comment),
      }),
    () => textOf(verb, spec),
  )
}

function baseAttrs(family: Family, { type, hook, priority, policy, devices }: BaseChain) {
  const [first] = devices ?? []
  const one = devices?.length === 1
  return {
    type,
    policy,
    hook: {
      number: numberOf(hooksOf(family), hook, 'hook'),
      priority,
      device: one ? first : undefined,
      devices: one ? undefined : devices,
    },
  }
}

const drop = (verb: string, type: number, { family, table, name }: ChainRef): NftRequest =>
  changeOf(
    type,
    0,
    family,
    (out) =>
      writeAttrs(out, chainAttrs, {
        table: required(table, 'table'),
        name: required(name, 'chain'),
      }),
    () => `${verb} chain ${family} ${table} ${name}`,
  )

function textOf(verb: string, spec: ChainSpec): string {
  const name = `${verb} chain ${spec.family} ${spec.table} ${spec.name}`
  if (spec.hook === undefined) return name
  const { type, hook, priority, policy, devices } = spec
  const device =
    devices === undefined
      ? ''
      : devices.length === 1
        ? ` device ${devices[0]}`
        : ` devices = { ${devices.join(', ')} }`
  const base = `type ${type} hook ${hook}${device} priority ${priority};`
  return `${name} { ${base}${policy === undefined ? '' : ` policy ${policy};`} }`
}
