/**
 * Whether a pair of a file is a record of the store: each kind has its key and its shape.
 *
 * A record may carry more than is asked for here: what a later program added
 * without a new layout is carried along as it is.
 *
 * @module
 */
import { isTriviumError } from '../../src/errors.ts'
import { type Ip, type Prefix, tryParseIp, tryParseMac, tryParsePrefix } from '../../src/net/mod.ts'
import type { BgpRecord } from '../bgp-records.ts'
import { parseBgpNode, parseBgpPeer, parseBgpRack, parseBgpSettings } from '../bgp-spec.ts'
import { keys } from '../keys.ts'
import { type NetworkSpec, parseNetworkSpec } from '../network-spec.ts'
import type { AttachmentKey } from '../records.ts'

type Check = (value: unknown) => boolean
type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A slash would reach another record's key. */
const isName: Check = (value) => typeof value === 'string' && /^[^/\s]{1,512}$/.test(value)
const isText: Check = (value) => typeof value === 'string' && value.length <= 4096
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const isMs: Check = (value) => typeof value === 'number' && Number.isFinite(value)
const isFlag: Check = (value) => typeof value === 'boolean'
const isIp: Check = (value) => typeof value === 'string' && tryParseIp(value) === value
const isMac: Check = (value) => typeof value === 'string' && tryParseMac(value) === value
const isPrefix: Check = (value) => typeof value === 'string' && tryParsePrefix(value) === value
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check)
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)
const shape =
  (parts: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isObject(value) && Object.entries(parts).every(([name, check]) => check(value[name]))

const isPodName = shape({ namespace: isName, name: isName })
const isPod = shape({ namespace: isName, name: isName, uid: isText })
const attachmentKey = { network: isName, containerId: isName, ifname: isName }

const isRoad = shape({
  mode: (value) => value === 'vxlan' || value === 'route',
  vni: isCount,
  vxlanPort: isCount,
  flavour: maybe((value) => value === 'lightweight'),
  crossSubnet: maybe(isFlag),
  alternate: maybe(isFlag),
})
const isMove = shape({ serial: isCount, old: isRoad, new: isRoad })
const isRoadName: Check = (value) => value === 'old' || value === 'new'
const isStanding = shape({
  serial: isCount,
  takes: listOf(isRoadName),
  uses: listOf(isRoadName),
})
const isMoves: Check = (value) => isObject(value) && Object.values(value).every(isStanding)

/** By first part of the key. */
const SHAPES: Readonly<Record<string, Check>> = {
  network: isNetwork,
  node: shape({
    name: isName,
    underlayLink: isName,
    uplinkPort: maybe(isName),
    underlayIps: listOf(isIp),
    underlayMtuBytes: isCount,
    underlayPrefixes: maybe(listOf(isPrefix)),
    kernelRelease: maybe(isText),
    rack: maybe(isName),
    strictFilter: maybe((value) => value === true),
    moves: maybe(isMoves),
    vtepMac: isMac,
    registeredMs: isMs,
  }),
  allow: shape({ from: isName, to: isName, ports: listOf(isPort), createdMs: isMs }),
  bgp: isBgp,
  claim: shape({
    network: isName,
    cidr: isPrefix,
    pool: isPrefix,
    node: isName,
    first: isFlag,
    claimedMs: isMs,
  }),
  use: shape({
    cidr: isPrefix,
    pool: isPrefix,
    first: isFlag,
    cursor: isCount,
    used: isCount,
    cooling: maybe(listOf(shape({ offset: isCount, sinceMs: isMs }))),
    released: maybe(isCount),
  }),
  address: shape({ ...attachmentKey, ip: isIp, block: isPrefix, sequence: isCount }),
  reservation: shape({ network: isName, ip: isIp, pod: isPodName, mac: isMac, madeMs: isMs }),
  'reserved-for': listOf(isIp),
  history: shape({
    ...attachmentKey,
    ip: isIp,
    node: isName,
    pod: maybe(isPod),
    fromMs: isMs,
    toMs: isMs,
  }),
  attachment: shape({
    ...attachmentKey,
    node: isName,
    ips: listOf(isIp),
    hostLink: maybe(isName),
    macvlan: maybe(isFlag),
    netns: isText,
    pod: maybe(isPod),
    mac: maybe(isMac),
    sequence: isCount,
    bootId: isText,
    addedMs: isMs,
  }),
  sequence: isCount,
  member: shape({
    incarnation: maybe(shape({ machine: isText, store: isText })),
    gone: maybe(listOf(isText)),
  }),
  dispute: shape({ network: isName, cidr: isPrefix, node: isName, first: isFlag }),
}

function isPort(value: unknown): boolean {
  if (!isObject(value) || !isCount(value['port']) || Number(value['port']) > 65_535) return false
  return ['tcp', 'udp', 'sctp'].includes(String(value['protocol']))
}

const sorted = (value: unknown): unknown => Object.entries(Object(value)).sort()

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** By the rules of a network that a person describes. */
function isNetwork(value: unknown): boolean {
  if (!isObject(value) || !isObject(value['options']) || !isMs(value['createdMs'])) return false
  if (!maybe(listOf(isPrefix))(value['exclusions']) || !maybe(isMove)(value['move'])) return false
  if (value['alternate'] !== undefined && value['alternate'] !== true) return false
  const { vni, vxlanPort, vlanId, ...rest } = value['options']
  if (![vni, vxlanPort, vlanId].every(isCount)) return false
  const options = { ...rest, vni, vxlanPort, ...(value['mode'] === 'vlan' ? { vlanId } : {}) }
  try {
    const { pools } = parseNetworkSpec({ ...value, options } as object as NetworkSpec, 0)
    // Nothing was filled in.
    return JSON.stringify(pools.map(sorted)) === JSON.stringify(asList(value['pools']).map(sorted))
  } catch (thrown) {
    if (isTriviumError(thrown)) return false
    throw thrown
  }
}

/** By the rules of what a person describes. */
function isBgp(value: unknown): boolean {
  if (!isObject(value)) return false
  const parsers: Readonly<Record<string, (given: Json) => object>> = {
    settings: (given) => parseBgpSettings(given, Number(given['createdMs'])),
    rack: parseBgpRack as (given: Json) => object,
    node: parseBgpNode as (given: Json) => object,
    peer: parseBgpPeer as (given: Json) => object,
  }
  const kind = String(value['kind'])
  const parse = Object.hasOwn(parsers, kind) ? parsers[kind] : undefined
  if (parse === undefined || !maybe(isMs)(value['createdMs'])) return false
  try {
    const same = ([key, each]: [string, unknown]): boolean =>
      JSON.stringify(each) === JSON.stringify(value[key])
    return Object.entries(parse(value)).every(same)
  } catch (thrown) {
    if (isTriviumError(thrown)) return false
    throw thrown
  }
}

/** The key that the record would be written under; undefined: the key itself says what it is. */
function keyOf(key: string, value: Json): string | undefined {
  const [kind, one = '', two = ''] = key.split('/')
  const { network, cidr, ip } = value as { network: string; cidr: Prefix; ip: Ip }
  switch (kind) {
    case 'network':
    case 'node':
      return `${kind}/${value['name']}`
    case 'allow':
      return keys.allow(String(value['from']), String(value['to']))
    case 'bgp':
      return keyOfBgp(value as object as BgpRecord)
    case 'claim':
      return keys.claim(network, cidr)
    case 'dispute':
      return keys.dispute(network, cidr, String(value['node']))
    case 'use':
      return keys.use(one, two, cidr)
    case 'address':
      return keys.address(network, ip)
    case 'attachment':
      return keys.attachment(String(value['node']), value as object as AttachmentKey)
    case 'reservation':
    case 'history':
      // With the block that only the network tells: `check` finds those that are elsewhere.
      return one === network ? undefined : ''
    default:
      return undefined
  }
}

function keyOfBgp(record: BgpRecord): string {
  if (record.kind === 'settings') return keys.bgpSettings
  if (record.kind === 'rack') return keys.bgpRack(record.rack)
  if (record.kind === 'node') return keys.bgpNode(record.node)
  return keys.bgpPeer(record.scope, record.address)
}

const IN_BLOCK = /^[^/\s]+\/[^/\s]+\/(4\/[0-9a-f]{8}|6\/[0-9a-f]{32})\/[0-9a-f]+$/
/** Kinds whose keys say more than their values. */
const KEYS: Readonly<Record<string, RegExp>> = {
  reservation: IN_BLOCK,
  history: IN_BLOCK,
  'reserved-for': /^[^/\s]+\/[^/\s]+\/[^/\s]+\/[^/\s]+$/,
  sequence: /^[^/\s]+\/[^/\s]+$/,
  member: /^[^/\s]+\/[^/\s]+$/,
  use: /^[^/\s]+\/[^/\s]+\/[^/\s]+\//,
}

const KEY_LENGTH_MAX = 1900

/** What is wrong with a pair, as the end of a sentence; undefined: it is a record. */
export function flawOf(key: string, value: unknown): string | undefined {
  const kind = key.slice(0, Math.max(0, key.indexOf('/')))
  const check = Object.hasOwn(SHAPES, kind) ? SHAPES[kind] : undefined
  if (check === undefined || key.length > KEY_LENGTH_MAX) return 'is no kind of record'
  if (KEYS[kind]?.test(key) === false || !check(value)) return `is no ${kind}`
  const right = isObject(value) ? keyOf(key, value) : undefined
  return right === undefined || right === key ? undefined : `is no ${kind} of this key`
}
