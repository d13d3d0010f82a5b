/**
 * From what a person wrote about BGP to records that keep every rule.
 *
 * One error at a time, each naming the field, what was found and what was wanted.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { type Ip, ipFamily, type Prefix, parsePrefix, tryParseIp } from '../src/net/mod.ts'
import type {
  BgpBfd,
  BgpNode,
  BgpPeer,
  BgpRack,
  BgpScope,
  BgpSessions,
  BgpSettings,
} from './bgp-records.ts'

export const BGP_SESSIONS: readonly BgpSessions[] = ['auto', 'mesh', 'reflectors', 'none']

/** Each as a person gives it, nothing of it trusted; undefined takes it back. */
export type Given<T> = { readonly [K in keyof T]?: unknown }

const LABEL = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/
const NODE = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/
/** PATH_MAX, include/uapi/linux/limits.h. */
const PATH_BYTES_MAX = 4095
export const SUMMARIES_MAX = 16
/** AS_TRANS (RFC 6793), the last one of 16 and of 32 bits (RFC 7300). */
const RESERVED_ASNS: ReadonlySet<number> = new Set([23_456, 65_535, 0xffff_ffff])
/** What a speaker takes. */
const RANGES = {
  restartSeconds: [0, 4095], // RFC 4724 section 3: twelve bits
  multipath: [1, 64],
  intervalMs: [10, 60_000],
  multiplier: [1, 255], // RFC 5880 section 4.1
  ttlSecurityHops: [1, 255],
  prefixesMax: [1, 10_000_000],
  port: [1, 65_535],
} as const

/** @throws {TriviumError} BAD_CONFIG, for the first rule that is broken. */
export function parseBgpSettings(given: Given<BgpSettings>, createdMs: number): BgpSettings {
  const subject = 'BGP settings'
  const sessions = given.sessions ?? 'auto'
  const known = BGP_SESSIONS.find((each) => each === sessions)
  if (known === undefined) {
    throw bad(subject, 'sessions', sessions, 'auto, mesh, reflectors or none')
  }
  return {
    kind: 'settings',
    asn: asnOf(given.asn, subject),
    sessions: known,
    ...some('clusterId', given.clusterId, (raw) => identifierOf(raw, subject)),
    ...number('restartSeconds', given, subject),
    ...some('bfd', given.bfd, (raw) => bfdOf(raw, subject)),
    ...number('multipath', given, subject),
    createdMs,
  }
}

/** @throws {TriviumError} BAD_CONFIG */
export function parseBgpRack(given: Given<BgpRack>): BgpRack {
  const rack = nameOf(given.rack, LABEL, 'rack', 'BGP of a rack')
  const subject = `BGP of rack ${rack}`
  return {
    kind: 'rack',
    rack,
    ...some('asn', given.asn, (raw) => asnOf(raw, subject)),
    ...some('summaries', given.summaries, (raw) => summariesOf(raw, subject)),
  }
}

/** @throws {TriviumError} BAD_CONFIG */
export function parseBgpNode(given: Given<BgpNode>): BgpNode {
  const node = nameOf(given.node, NODE, 'node', 'BGP of a node')
  const subject = `BGP of node ${node}`
  const { reflector } = given
  if (reflector !== undefined && typeof reflector !== 'boolean') {
    throw bad(subject, 'reflector', reflector, 'true or false')
  }
  return {
    kind: 'node',
    node,
    ...some('asn', given.asn, (raw) => asnOf(raw, subject)),
    ...(reflector === true ? { reflector } : {}),
  }
}

/** @throws {TriviumError} BAD_CONFIG */
export function parseBgpPeer(given: Given<BgpPeer>): BgpPeer {
  const address = addressOf(given.address, 'a BGP peer', 'address')
  const subject = `BGP peer ${address}`
  return {
    kind: 'peer',
    scope: scopeOf(given.scope, subject),
    address,
    asn: asnOf(given.asn, subject),
    ...some('passwordFile', given.passwordFile, (raw) => pathOf(raw, subject)),
    ...some('bfd', given.bfd, (raw) => bfdOf(raw, subject)),
    ...number('ttlSecurityHops', given, subject),
    ...number('prefixesMax', given, subject),
    ...some('families', given.families, (raw) => familiesOf(raw, subject)),
    ...number('port', given, subject),
  }
}

function asnOf(raw: unknown, subject: string): number {
  const fits = Number.isInteger(raw) && Number(raw) >= 1 && Number(raw) < 2 ** 32
  if (fits && !RESERVED_ASNS.has(Number(raw))) return Number(raw)
  throw bad(subject, 'AS number', raw, '1 to 4294967294, none of 23456 and 65535')
}

/** RFC 6286: any 32 bits but zero, written as an address. */
function identifierOf(raw: unknown, subject: string): Ip {
  const ip = typeof raw === 'string' ? tryParseIp(raw) : undefined
  if (ip !== undefined && ipFamily(ip) === 4 && ip !== '0.0.0.0') return ip
  throw bad(subject, 'cluster id', raw, 'four numbers with dots, not all zero')
}

/** Unspecified, loopback, multicast and link-local ones cannot be a session's end here. */
const NO_PEER = /^(0\.|127\.|22[4-9]\.|2[3-5]\d\.|::$|::1$|ff|fe[89ab])/

function addressOf(raw: unknown, subject: string, field: string): Ip {
  const ip = typeof raw === 'string' ? tryParseIp(raw) : undefined
  if (ip !== undefined && !NO_PEER.test(ip)) return ip
  throw bad(subject, field, raw, "a router's address")
}

function bfdOf(raw: unknown, subject: string): BgpBfd {
  if (typeof raw !== 'object' || raw === null) {
    throw bad(subject, 'bfd', raw, 'an interval and a multiplier')
  }
  const { intervalMs, multiplier } = raw as Given<BgpBfd>
  return {
    intervalMs: integerIn(intervalMs, RANGES.intervalMs, subject, 'bfd interval'),
    multiplier: integerIn(multiplier, RANGES.multiplier, subject, 'bfd multiplier'),
  }
}

function scopeOf(raw: unknown, subject: string): BgpScope {
  const { kind, name } = Object(raw) as Record<string, unknown>
  if (kind === 'all') return { kind }
  if (kind === 'rack') return { kind, name: nameOf(name, LABEL, 'rack', subject) }
  if (kind === 'node') return { kind, name: nameOf(name, NODE, 'node', subject) }
  throw bad(subject, 'scope', raw, 'all nodes, a rack or a node')
}

function pathOf(raw: unknown, subject: string): string {
  const isPath =
    typeof raw === 'string' &&
    raw.startsWith('/') &&
    raw.length <= PATH_BYTES_MAX &&
    !raw.includes('\0')
  if (isPath) return raw
  throw bad(subject, 'password file', raw, 'an absolute path on its nodes')
}

function familiesOf(raw: unknown, subject: string): readonly ('ipv4' | 'ipv6')[] {
  const all = ['ipv4', 'ipv6'] as const
  const isList = Array.isArray(raw) && raw.length > 0 && raw.every((each) => all.includes(each))
  if (isList) return all.filter((each) => raw.includes(each))
  throw bad(subject, 'families', raw, 'ipv4, ipv6 or both')
}

function summariesOf(raw: unknown, subject: string): readonly Prefix[] {
  if (!Array.isArray(raw) || raw.length === 0 || raw.length > SUMMARIES_MAX) {
    throw bad(subject, 'summaries', raw, `1 to ${SUMMARIES_MAX} prefixes`)
  }
  return [...new Set(raw.map((each) => parsePrefix(String(each), `summary of ${subject}`)))].sort()
}

function nameOf(raw: unknown, pattern: RegExp, field: string, subject: string): string {
  if (typeof raw === 'string' && pattern.test(raw)) return raw
  throw bad(subject, field, raw, 'letters, digits, "_", "." and "-", a letter or digit first')
}

const some = <K extends string, T>(
  key: K,
  raw: unknown,
  parse: (raw: unknown) => T,
): { readonly [P in K]?: T } =>
  raw === undefined ? {} : ({ [key]: parse(raw) } as { [P in K]: T })

const number = <K extends keyof typeof RANGES>(
  key: K,
  given: { readonly [P in K]?: unknown },
  subject: string,
): { readonly [P in K]?: number } =>
  some(key, given[key], (raw) => integerIn(raw, RANGES[key], subject, key))

function integerIn(
  raw: unknown,
  [low, high]: readonly [number, number],
  subject: string,
  field: string,
): number {
  if (Number.isInteger(raw) && Number(raw) >= low && Number(raw) <= high) return Number(raw)
  throw bad(subject, field, raw, `${low} to ${high}`)
}

const bad = (subject: string, field: string, found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot use ${subject}: ${field} is ${text(found)}, wanted ${wanted}`,
  )

const text = (value: unknown): string =>
  value === undefined ? 'missing' : String(JSON.stringify(value)).slice(0, 100)
