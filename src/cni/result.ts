/**
 * The result of ADD, built once and written in the caller's version.
 *
 * Conversions follow containernetworking/cni pkg/types: up to 0.2.0 only the
 * first address of each family survives; up to 0.4.0 an address carries its
 * version; interface extras came with 1.1.0.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import { type Ip, ipFamily, type Mac, type Prefix } from '../net/mod.ts'
import { type CniVersion, isAtLeast } from './versions.ts'

export interface ResultInterface {
  readonly name: string
  readonly mac: Mac
  readonly mtuBytes: number
  /** CNI_NETNS for the pod's side; absent on the host's. */
  readonly sandbox?: string
}

export interface ResultIp {
  readonly ip: Ip
  readonly prefixLength: number
  readonly gateway?: Ip
  /** Index into `interfaces`; absent in a delegated IPAM result. */
  readonly interface?: number
}

export interface ResultRoute {
  readonly dst: Prefix
  readonly via?: Ip
}

/** How names are looked up, in the words of a result. */
export interface Dns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

export interface CniResult {
  readonly interfaces: readonly ResultInterface[]
  readonly ips: readonly ResultIp[]
  readonly routes: readonly ResultRoute[]
  readonly dns?: Dns
}

type Json = Readonly<Record<string, unknown>>

/** The object to print. */
export function renderResult(result: CniResult, cniVersion: CniVersion): Json {
  return isAtLeast(cniVersion, '0.3.0')
    ? renderCurrent(result, cniVersion)
    : renderLegacy(result, cniVersion)
}

function renderCurrent(
  { interfaces, ips, routes, dns = {} }: CniResult,
  cniVersion: CniVersion,
): Json {
  const isTyped = !isAtLeast(cniVersion, '1.0.0')
  return {
    cniVersion,
    ...(interfaces.length === 0
      ? {}
      : { interfaces: interfaces.map((each) => renderInterface(each, cniVersion)) }),
    ips: ips.map((ip) => ({
      ...(isTyped ? { version: String(ipFamily(ip.ip)) } : {}),
      ...(ip.interface === undefined ? {} : { interface: ip.interface }),
      address: `${ip.ip}/${ip.prefixLength}`,
      ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
    })),
    routes: routes.map(renderRoute),
    dns,
  }
}

function renderInterface(
  { name, mac, mtuBytes, sandbox }: ResultInterface,
  version: CniVersion,
): Json {
  return {
    name,
    mac,
    ...(isAtLeast(version, '1.1.0') ? { mtu: mtuBytes } : {}),
    ...(sandbox === undefined ? {} : { sandbox }),
  }
}

const renderRoute = ({ dst, via }: ResultRoute): Json => ({
  dst,
  ...(via === undefined ? {} : { gw: via }),
})

function renderLegacy({ ips, routes, dns = {} }: CniResult, cniVersion: CniVersion): Json {
  const family = (wanted: 4 | 6): Json => {
    const first = ips.find(({ ip }) => ipFamily(ip) === wanted)
    if (first === undefined) return {}
    const config = {
      ip: `${first.ip}/${first.prefixLength}`,
      ...(first.gateway === undefined ? {} : { gateway: first.gateway }),
      routes: routes.filter(({ dst }) => ipFamily(dst) === wanted).map(renderRoute),
    }
    return { [`ip${wanted}`]: config }
  }
  const families = { ...family(4), ...family(6) }
  if (Object.keys(families).length === 0) {
    throw new TriviumError('INTERNAL', 'cannot convert: no valid IP addresses')
  }
  return { cniVersion, ...families, dns }
}

/** More servers, domains or options than any resolver reads. */
const DNS_ENTRIES_MAX = 64
const DNS_TEXT_MAX = 1024

/**
 * DNS settings from outside, in a result's words. Absent, null and empty parts are left out.
 *
 * @returns undefined when nothing is said.
 * @throws {TriviumError} BAD_CONFIG
 */
export function readDns(value: unknown, subject: string): Dns | undefined {
  if (value === undefined || value === null) return undefined
  const bad = (part: string, found: unknown, wanted: string): TriviumError =>
    new TriviumError(
      'BAD_CONFIG',
      `Cannot read ${subject}${part}: found ${JSON.stringify(found)?.slice(0, 128)}, wanted ${wanted}`,
    )
  if (typeof value !== 'object' || Array.isArray(value)) throw bad('', value, 'an object')
  const object = value as Json
  const isText = (each: unknown): boolean => typeof each === 'string' && each.length <= DNS_TEXT_MAX
  const dns: { -readonly [K in keyof Dns]: Dns[K] } = {}
  for (const key of ['nameservers', 'search', 'options'] as const) {
    const list = object[key]
    if (list === undefined || list === null || (Array.isArray(list) && list.length === 0)) continue
    if (!Array.isArray(list) || list.length > DNS_ENTRIES_MAX || !list.every(isText)) {
      throw bad(`.${key}`, list, `a list of at most ${DNS_ENTRIES_MAX} texts`)
    }
    dns[key] = list as readonly string[]
  }
  const { domain } = object
  if (domain !== undefined && domain !== null && domain !== '') {
    if (!isText(domain)) throw bad('.domain', domain, 'a text')
    dns.domain = domain as string
  }
  return Object.keys(dns).length === 0 ? undefined : dns
}

/** The addresses in a result of any version, as text with prefix length. */
export function resultAddresses(result: Json): readonly string[] {
  const text = (value: unknown, key: string): readonly string[] => {
    const found = typeof value === 'object' && value !== null ? (value as Json)[key] : undefined
    return typeof found === 'string' ? [found] : []
  }
  const { ips, ip4, ip6 } = result
  const current = Array.isArray(ips) ? ips.flatMap((ip: unknown) => text(ip, 'address')) : []
  return [...current, ...text(ip4, 'ip'), ...text(ip6, 'ip')]
}
