/**
 * Results of ADD in every version of the specification: read, judged by shape,
 * and converted as libcni converts what it has cached.
 *
 * Source: CNI specification 1.1.0, section 5 "Success", and its older releases;
 * containernetworking/cni pkg/types for conversions.
 *
 * @module
 */
import { isIP } from 'node:net'
import type { Json } from '../lab/json.ts'
import { isAtLeast, type SpecVersion } from './model.ts'

export interface ResultInterface {
  readonly name: string
  readonly mac?: string
  readonly mtu?: number
  readonly sandbox?: string
}

export interface ResultIp {
  /** Canonical, with prefix length. */
  readonly address: string
  readonly gateway?: string
  readonly interface?: number
}

export interface ResultRoute {
  readonly dst: string
  readonly gw?: string
}

/** What a result says, whatever its version. */
export interface ReadResult {
  readonly interfaces: readonly ResultInterface[]
  readonly ips: readonly ResultIp[]
  readonly routes: readonly ResultRoute[]
}

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const records = (value: unknown): readonly Json[] =>
  Array.isArray(value) ? value.filter(isRecord) : []

/** Reads what it can; `shapeFaults` says what is wrong. */
export function readResult(result: Json): ReadResult {
  const legacy = [result['ip4'], result['ip6']].filter(isRecord)
  return {
    interfaces: records(result['interfaces']).map(({ name, mac, mtu, sandbox }) => ({
      name: String(name),
      ...(typeof mac === 'string' && mac !== '' ? { mac } : {}),
      ...(typeof mtu === 'number' && mtu !== 0 ? { mtu } : {}),
      ...(typeof sandbox === 'string' && sandbox !== '' ? { sandbox } : {}),
    })),
    ips: [
      ...records(result['ips']).map((ip) => ipOf(ip['address'], ip['gateway'], ip['interface'])),
      ...legacy.map(({ ip, gateway }) => ipOf(ip, gateway, undefined)),
    ],
    routes: [...records(result['routes']), ...legacy.flatMap(({ routes }) => records(routes))].map(
      ({ dst, gw }) => ({
        dst: canonicalCidr(String(dst)),
        ...(typeof gw === 'string' && gw !== '' ? { gw: canonicalIp(gw) } : {}),
      }),
    ),
  }
}

function ipOf(address: unknown, gateway: unknown, index: unknown): ResultIp {
  return {
    address: canonicalCidr(String(address)),
    ...(typeof gateway === 'string' && gateway !== '' ? { gateway: canonicalIp(gateway) } : {}),
    ...(typeof index === 'number' ? { interface: index } : {}),
  }
}

/** RFC 5952, by the URL parser; what is no address stays as it is. */
export function canonicalIp(text: string): string {
  return isIP(text) === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
}

export function canonicalCidr(text: string): string {
  const [ip = '', length] = text.split('/')
  return length === undefined ? text : `${canonicalIp(ip)}/${length}`
}

const isCidr = (text: string): boolean => {
  const [ip = '', length = '', more] = text.split('/')
  const bits = isIP(ip) === 6 ? 128 : 32
  return isIP(ip) !== 0 && /^\d+$/.test(length) && Number(length) <= bits && more === undefined
}

/** Everything in a result that its version does not allow, or asks for in vain. */
export function shapeFaults(result: Json, version: SpecVersion): readonly string[] {
  const isCurrent = isAtLeast(version, '0.3.0')
  const strangers = isCurrent ? ['ip4', 'ip6'] : ['interfaces', 'ips', 'routes']
  return [
    ...strangers
      .filter((key) => result[key] !== undefined)
      .map((key) => `"${key}" is no key of ${version}`),
    ...(isCurrent ? currentFaults(result, version) : legacyFaults(result)),
    ...(result['dns'] === undefined || isRecord(result['dns']) ? [] : ['"dns" is no object']),
  ]
}

function legacyFaults(result: Json): readonly string[] {
  const families = (['ip4', 'ip6'] as const).filter((key) => result[key] !== undefined)
  if (families.length === 0) return ['neither "ip4" nor "ip6"']
  return families.flatMap((key) => {
    const value = result[key]
    if (!isRecord(value)) return [`"${key}" is no object`]
    const wanted = key === 'ip4' ? 4 : 6
    const address = String(value['ip'])
    if (isCidr(address) && isIP(address.split('/')[0] ?? '') === wanted) return []
    return [`${key}.ip is ${JSON.stringify(value['ip'])}`]
  })
}

function currentFaults(result: Json, version: SpecVersion): readonly string[] {
  const lists = ['interfaces', 'ips', 'routes'].filter(
    (key) => result[key] !== undefined && result[key] !== null && !Array.isArray(result[key]),
  )
  const count = records(result['interfaces']).length
  return [
    ...lists.map((key) => `"${key}" is no list`),
    ...records(result['interfaces']).flatMap((each, index) =>
      interfaceFaults(each, `interfaces[${index}]`, version),
    ),
    ...records(result['ips']).flatMap((each, index) =>
      ipFaults(each, `ips[${index}]`, version, count),
    ),
    ...records(result['routes']).flatMap(({ dst, gw }, index) => [
      ...(isCidr(String(dst)) ? [] : [`routes[${index}].dst is ${JSON.stringify(dst)}`]),
      ...(gw === undefined || gw === '' || isIP(String(gw)) !== 0
        ? []
        : [`routes[${index}].gw is ${JSON.stringify(gw)}`]),
    ]),
  ]
}

function interfaceFaults({ name, mtu, ...rest }: Json, at: string, version: SpecVersion): string[] {
  const tooNew = ['mtu', 'socketPath', 'pciID'].filter(
    (key) => (key === 'mtu' ? mtu : rest[key]) !== undefined,
  )
  return [
    ...(typeof name === 'string' && name !== '' ? [] : [`${at} has no name`]),
    // 1.0.0 results of libcni keep what 1.1.0 added.
    ...(isAtLeast(version, '1.0.0') ? [] : tooNew.map((key) => `${at} has "${key}" of 1.1.0`)),
  ]
}

function ipFaults(ip: Json, at: string, version: SpecVersion, count: number): string[] {
  const { address, gateway, version: family, interface: index } = ip
  const text = String(address)
  const wanted = String(isIP(text.split('/')[0] ?? ''))
  const faults: string[] = []
  if (!isCidr(text)) faults.push(`${at}.address is ${JSON.stringify(address)}`)
  if (gateway !== undefined && gateway !== '' && isIP(String(gateway)) === 0) {
    faults.push(`${at}.gateway is ${JSON.stringify(gateway)}`)
  }
  if (isAtLeast(version, '1.0.0')) {
    if (family !== undefined) faults.push(`${at} has "version", which 1.0.0 removed`)
  } else if (family !== wanted) {
    faults.push(`${at}.version is ${JSON.stringify(family)}, wanted "${wanted}"`)
  }
  if (index !== undefined && !(Number.isInteger(index) && Number(index) < count)) {
    faults.push(`${at}.interface is ${JSON.stringify(index)} of ${count} interfaces`)
  }
  return faults
}

/** The cached result in the version that the configuration has now, as libcni hands it on. */
export function convertResult(result: Json, to: SpecVersion): Json {
  const { interfaces, ips, routes } = readResult(result)
  const dns = result['dns'] ?? {}
  if (!isAtLeast(to, '0.3.0')) {
    const family = (wanted: 4 | 6): Json => {
      const is = (text: string): boolean => isIP(text.split('/')[0] ?? '') === wanted
      const first = ips.find(({ address }) => is(address))
      if (first === undefined) return {}
      const { address: ip, gateway } = first
      const own = routes.filter(({ dst }) => is(dst))
      return {
        [`ip${wanted}`]: { ip, ...(gateway === undefined ? {} : { gateway }), routes: own },
      }
    }
    return { cniVersion: to, ...family(4), ...family(6), dns }
  }
  return {
    cniVersion: to,
    interfaces: interfaces.map(({ mtu, ...rest }) =>
      isAtLeast(to, '1.0.0') && mtu !== undefined ? { ...rest, mtu } : rest,
    ),
    ips: ips.map((ip) =>
      isAtLeast(to, '1.0.0')
        ? ip
        : { version: String(isIP(ip.address.split('/')[0] ?? '')), ...ip },
    ),
    routes,
    dns,
  }
}
