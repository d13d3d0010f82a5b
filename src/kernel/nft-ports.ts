/**
 * Pods as ports of a bridge send as themselves only: the rules of segment-rules.ts, over
 * sets of all such pods, at the node's end of each pair, where no pod can change them. A
 * table of family bridge, for family inet hears neither of ARP nor of what is bridged.
 *
 * A port whose pod has no elements may send nothing.
 *
 * @module
 */
import { type Ip, ipFamily, type Mac } from '../net/mod.ts'
import { NFT_PORTS_TABLE, NFT_TABLE } from './ownership.ts'
import {
  accept,
  drop,
  type Expression,
  type Field,
  hexOf,
  linkLocalOf,
  load,
  rule,
  segmentRules,
  type Words,
} from './segment-rules.ts'
import { type NftChain, type NftElement, type NftObject, type NftSet, shared } from './state.ts'

const SET = { macs: 'ports', 4: 'ports4', 6: 'ports6' } as const

/** A port's link, and its MAC or an address. */
const set = (name: string, field: string): NftSet =>
  shared({ kind: 'nft-set', name, key: `ifname . ${field}`, interval: false })

export const PORT_SETS: readonly NftSet[] = [
  set(SET.macs, 'ether_addr'),
  set(SET[4], 'ipv4_addr'),
  set(SET[6], 'ipv6_addr'),
]

/** The register behind a link's name, which takes sixteen bytes: registers are of four. */
const BEHIND_NAME = 4

function lookup(field: Field, name: string, inverted = false): Words {
  return {
    text: `iifname . ${field.text} ${inverted ? '!= ' : ''}@${name}`,
    expressions: [
      { type: 'meta', key: 'iifname' },
      ...load(field, BEHIND_NAME),
      { type: 'lookup', set: name, ...(inverted ? { inverted: true } : {}) },
    ],
  }
}

const portName = (name: string, op: 'eq' | 'neq' = 'eq'): Words => ({
  text: `iifname ${op === 'eq' ? '' : '!= '}"${name}"`,
  expressions: [
    { type: 'meta', key: 'iifname' },
    // Without the star: the name begins like that.
    { type: 'cmp', op, value: hexOf(new TextEncoder().encode(name.slice(0, -1))) },
  ],
})

const RULES: readonly Words[] = [
  // Other bridges' ports, and this one's uplink.
  rule(portName('trv*', 'neq'), accept),
  rule(portName('trvl.*'), accept),
  ...segmentRules({
    foreignMac: (field) => lookup(field, SET.macs, true),
    own4: (field) => [lookup(field, SET[4])],
    own6: (field) => [lookup(field, SET[6])],
    foreign6: (field) => lookup(field, SET[6], true),
  }),
  drop,
]

/** Expressions by text. */
export const PORT_RULES: ReadonlyMap<string, readonly Expression[]> = new Map(
  RULES.map(({ text, expressions }) => [text, expressions]),
)

export const PORT_CHAIN: NftChain = shared({
  kind: 'nft-chain',
  name: 'ports',
  type: 'filter',
  hook: 'prerouting',
  // Before bridges translate. Source: include/uapi/linux/netfilter_bridge.h, enum nf_br_hook_priorities.
  priority: -300,
  rules: [...PORT_RULES.keys()].join('\n'),
})

/** Everything but the elements. */
export const PORT_GUARD: readonly NftObject[] = [
  shared({ kind: 'nft-table', name: NFT_PORTS_TABLE }),
  ...PORT_SETS,
  PORT_CHAIN,
]

/** What a pod's port may send as. */
export function portElements(
  hostLink: string,
  mac: Mac,
  ips: readonly Ip[],
): readonly NftElement[] {
  const element = (name: string, value: string): NftElement => ({
    ...{ kind: 'nft-element', set: name, key: `${hostLink} . ${value}` },
  })
  return [
    element(SET.macs, mac),
    ...[...ips, linkLocalOf(mac)].map((ip) => element(SET[ipFamily(ip)], ip)),
  ]
}

const NAMES = new Set([NFT_PORTS_TABLE, PORT_CHAIN.name, ...PORT_SETS.map(({ name }) => name)])

/** A table of ours. */
export interface NftPlace {
  readonly family: 'inet' | 'bridge'
  readonly table: string
}

export const NFT_PLACES: readonly NftPlace[] = [
  { family: 'inet', table: NFT_TABLE },
  { family: 'bridge', table: NFT_PORTS_TABLE },
]

/** Which of our tables an object is of, or is: no name is in both. */
export function nftPlace(object: NftObject): NftPlace {
  const isOfPorts = NAMES.has(object.kind === 'nft-element' ? object.set : object.name)
  return NFT_PLACES[isOfPorts ? 1 : 0] as NftPlace
}

export const isOurTable = (family: string | undefined, table: string | undefined): boolean =>
  NFT_PLACES.some((place) => place.family === family && place.table === table)

/** Whether a set's elements come and go with pods, and name their link first. */
export const isPodSet = (name: string): boolean => /^(?:pods[46]|ports[46]?)$/.test(name)
