/**
 * Results of other plugins: read in any version, put together with ours, and
 * written in the version that the caller speaks.
 *
 * The conversions are those of the reference library (containernetworking/cni,
 * pkg/types), extras included: an interface's `mtu`, `socketPath` and `pciID`
 * go below 1.0.0, a route's `mtu`, `advmss`, `priority`, `table` and `scope` stay.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import { ADDRESS_BITS, tryParseIp } from '../net/mod.ts'
import { isRecord } from './json.ts'
import { type CniResult, type Dns, readDns, renderResult } from './result.ts'
import { CNI_VERSIONS, type CniVersion, isAtLeast } from './versions.ts'

type Json = Readonly<Record<string, unknown>>

/** A result in the words of 1.1.0, with extras as they came. */
export interface ForeignResult {
  readonly interfaces: readonly Json[]
  readonly ips: readonly ForeignIp[]
  readonly routes: readonly Json[]
  readonly dns?: Dns
}

/** An address as it came. */
type ForeignIp = Json & { readonly address: string; readonly interface?: number }

/** More than any pod has. */
const LIST_MAX = 4096

const INTERFACE_TEXTS = ['name', 'mac', 'sandbox', 'socketPath', 'pciID'] as const
const ROUTE_NUMBERS = ['mtu', 'advmss', 'priority', 'table', 'scope'] as const

/**
 * Reads a result of any version; one that names none is of the configuration's.
 *
 * @throws {TriviumError} INCOMPATIBLE_VERSION; BAD_JSON naming the part that is wrong.
 */
export function readResult(raw: Json, configVersion: CniVersion): ForeignResult {
  const said = raw['cniVersion'] ?? ''
  const version = said === '' ? configVersion : CNI_VERSIONS.find((known) => known === said)
  if (version === undefined) {
    throw new TriviumError(
      'INCOMPATIBLE_VERSION',
      `unsupported CNI result version ${JSON.stringify(said).slice(0, 64)}`,
      `prevResult is of another version than ${CNI_VERSIONS.join(', ')}`,
    )
  }
  const read = isAtLeast(version, '0.3.0') ? readCurrent(raw) : readLegacy(raw)
  const dns = readDns(raw['dns'], 'prevResult.dns')
  return { ...read, ...(dns === undefined ? {} : { dns }) }
}

function readCurrent(raw: Json): ForeignResult {
  const interfaces = listIn(raw, 'interfaces').map((each, index) => {
    const where = `interfaces[${index}]`
    return { ...texts(each, INTERFACE_TEXTS, where), ...numbers(each, ['mtu'], where) }
  })
  const ips = listIn(raw, 'ips').map((each, index): ForeignIp => {
    const where = `ips[${index}]`
    const { interface: place } = each
    const fits = Number.isInteger(place) && Number(place) >= 0 && Number(place) < interfaces.length
    if (place !== undefined && place !== null && !fits) {
      const wanted = `an index below ${interfaces.length}, the number of interfaces`
      throw bad(`${where}.interface`, place, wanted)
    }
    return { ...(fits ? { interface: Number(place) } : {}), ...addressIn(each, 'address', where) }
  })
  return { interfaces, ips, routes: listIn(raw, 'routes').map((each, i) => route(each, i)) }
}

/** Up to 0.2.0: one address a family, each with its routes, and no interfaces. */
function readLegacy(raw: Json): ForeignResult {
  const families = (['ip4', 'ip6'] as const).flatMap((key) => {
    const value = raw[key]
    if (value === undefined || value === null) return []
    if (!isRecord(value)) throw bad(key, value, 'an object')
    const routes = listIn(value, 'routes').map((each, i) => route(each, i))
    return [{ ip: addressIn(value, 'ip', key), routes }]
  })
  return {
    interfaces: [],
    ips: families.map(({ ip }) => ip),
    routes: families.flatMap(({ routes }) => routes),
  }
}

function addressIn(object: Json, key: string, where: string): ForeignIp {
  const address = object[key]
  if (!isWithLength(address)) throw bad(`${where}.${key}`, address, 'an address with prefix length')
  return { address, ...texts(object, ['gateway'], where) }
}

function isWithLength(value: unknown): value is string {
  const [ip = '', length = ''] = typeof value === 'string' ? value.split('/') : []
  if (tryParseIp(ip) === undefined || !/^\d{1,3}$/.test(length)) return false
  return Number(length) <= ADDRESS_BITS[ip.includes(':') ? 6 : 4]
}

function route(raw: Json, index: number): Json {
  const where = `routes[${index}]`
  const { dst } = raw
  if (!isWithLength(dst)) throw bad(`${where}.dst`, dst, 'a prefix')
  return { dst, ...texts(raw, ['gw'], where), ...numbers(raw, ROUTE_NUMBERS, where) }
}

function listIn(object: Json, key: string): readonly Json[] {
  const value = object[key] ?? []
  if (!Array.isArray(value) || value.length > LIST_MAX || !value.every(isRecord)) {
    throw bad(key, value, 'a list of objects')
  }
  return value
}

function texts(object: Json, keys: readonly string[], where: string): Json {
  return partsOf(object, keys, where, 'a text', (value) => typeof value === 'string')
}

function numbers(object: Json, keys: readonly string[], where: string): Json {
  return partsOf(object, keys, where, 'a whole number', Number.isInteger)
}

/** Only what is said: null and an empty text are nothing. */
function partsOf(
  object: Json,
  keys: readonly string[],
  where: string,
  wanted: string,
  fits: (value: unknown) => boolean,
): Json {
  const found: Record<string, unknown> = {}
  for (const key of keys) {
    const value = object[key]
    if (value === undefined || value === null || value === '') continue
    if (!fits(value)) throw bad(`${where}.${key}`, value, wanted)
    found[key] = value
  }
  return found
}

const bad = (where: string, found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_JSON',
    `could not parse prevResult: ${where} is ${JSON.stringify(found)?.slice(0, 128)}, wanted ${wanted}`,
  )

/** Writes a result in a version. @throws {TriviumError} INTERNAL when the version cannot say it. */
export function writeResult(result: ForeignResult, cniVersion: CniVersion): Json {
  const { interfaces, ips, routes, dns = {} } = result
  if (!isAtLeast(cniVersion, '0.3.0')) return writeLegacy(result, cniVersion)
  const isTyped = !isAtLeast(cniVersion, '1.0.0')
  const plain = ({ name, mac, sandbox }: Json): Json => ({
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(sandbox === undefined ? {} : { sandbox }),
  })
  return {
    cniVersion,
    ...(interfaces.length === 0
      ? {}
      : { interfaces: isTyped ? interfaces.map(plain) : interfaces }),
    ips: isTyped ? ips.map((ip) => ({ version: versionOf(ip.address), ...ip })) : ips,
    routes,
    dns,
  }
}

const versionOf = (address: string): '4' | '6' => (address.includes(':') ? '6' : '4')

function writeLegacy({ ips, routes, dns = {} }: ForeignResult, cniVersion: CniVersion): Json {
  const families = (['4', '6'] as const).flatMap((version) => {
    const first = ips.find(({ address }) => versionOf(address) === version)
    if (first === undefined) return []
    const { address, gateway } = first
    const own = routes.filter(({ dst }) => versionOf(String(dst)) === version)
    const config = { ip: address, ...(gateway === undefined ? {} : { gateway }), routes: own }
    return [[`ip${version}`, config] as const]
  })
  if (families.length === 0) {
    throw new TriviumError('INTERNAL', 'cannot convert: no valid IP addresses')
  }
  return { cniVersion, ...Object.fromEntries(families), dns }
}

/**
 * What ADD prints: our result or, after another plugin, its result with ours
 * behind it. Our DNS settings take the place of theirs only where there are any.
 */
export function answerOf(
  result: CniResult,
  prevResult: Json | undefined,
  cniVersion: CniVersion,
): Json {
  if (prevResult === undefined) return renderResult(result, cniVersion)
  const before = readResult(prevResult, cniVersion)
  const words = isAtLeast(cniVersion, '1.0.0') ? cniVersion : '1.1.0'
  const own = readResult(renderResult(result, words), words)
  const dns = own.dns ?? before.dns
  const ips = own.ips.map((ip) =>
    ip.interface === undefined ? ip : { ...ip, interface: ip.interface + before.interfaces.length },
  )
  const whole: ForeignResult = {
    interfaces: [...before.interfaces, ...own.interfaces],
    ips: [...before.ips, ...ips],
    routes: [...before.routes, ...own.routes],
    ...(dns === undefined ? {} : { dns }),
  }
  return writeResult(whole, cniVersion)
}
