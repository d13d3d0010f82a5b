/**
 * What a caller asks for a pod beyond an attachment: addresses, pools, a MAC,
 * DNS. It comes by four ways: CNI_ARGS, `args.cni`, `runtimeConfig`, and the
 * pod's annotations, which runtimes hand on as a capability.
 *
 * Source: CNI's CONVENTIONS.md (dynamic plugin-specific fields, "args", CNI_ARGS);
 * containerd's and podman's calls, whose keys differ in case.
 *
 * @module
 */
import { HOST_END_MAC } from '../backend/routed-pod.ts'
import { TriviumError } from '../errors.ts'
import { type Ip, type Mac, type Prefix, parseIp, parseMac, parsePrefix } from '../net/mod.ts'
import type { CniArgs } from './args.ts'
import { isRecord } from './json.ts'
import { type Dns, readDns } from './result.ts'

export interface PodAsk {
  readonly ips: readonly Ip[]
  /** Pools of the network by CIDR. */
  readonly pools: readonly Prefix[]
  readonly mac?: Mac
  readonly dns?: Dns
}

export const ASKS_NOTHING: PodAsk = { ips: [], pools: [] }

/**
 * What a network configuration may declare under `capabilities` for us. Port
 * mappings and bandwidth are for those plugins of the chain that carry them out.
 */
export const CAPABILITIES = ['ips', 'mac', 'dns', 'io.kubernetes.cri.pod-annotations'] as const

const ANNOTATIONS = 'io.kubernetes.cri.pod-annotations'
/** Annotations of ours; others that begin alike are refused, because nobody would carry them out. */
const ANNOTATION_PREFIX = 'trivium.io/'
const IP_ANNOTATION = 'trivium.io/ip'
const POOL_ANNOTATION = 'trivium.io/pool'
/** No pod has more addresses than families; more are somebody's mistake. */
const LIST_MAX = 16

type Json = Readonly<Record<string, unknown>>

/**
 * Addresses from every way count, so that one that cannot be had is an error.
 * Where `args.cni` says something, the older CNI_ARGS of the same meaning is
 * passed over; a MAC comes from the most particular: runtime, `args`, CNI_ARGS.
 *
 * @throws {TriviumError} BAD_CONFIG, naming the way, what was found and what was wanted.
 */
export function parseAsk(raw: Json, args: CniArgs): PodAsk {
  const runtime = objectIn(raw, 'runtimeConfig')
  const cni = objectIn(objectIn(raw, 'args'), 'cni', 'args.cni')
  const annotations = objectIn(runtime, ANNOTATIONS)
  refuseUnknown(annotations)
  const [inRuntime, inArgs] = [pick(runtime, 'ips'), pick(cni, 'ips')]
  const ips = [
    ...ipsOf(inRuntime, 'runtimeConfig.ips'),
    ...ipsOf(inArgs, 'args.cni.ips'),
    ...(inArgs === undefined ? ipsOf(args.ip?.split(','), 'IP in CNI_ARGS') : []),
    ...ipsOf(wordsOf(annotations, IP_ANNOTATION), `annotation ${IP_ANNOTATION}`),
  ]
  const pools = (wordsOf(annotations, POOL_ANNOTATION) ?? []).map((text) =>
    parsePrefix(text, `annotation ${POOL_ANNOTATION}`),
  )
  const mac =
    macOf(pick(runtime, 'mac'), 'runtimeConfig.mac') ??
    macOf(pick(cni, 'mac'), 'args.cni.mac') ??
    macOf(args.mac, 'MAC in CNI_ARGS')
  const dns = dnsOf(pick(runtime, 'dns')) ?? readDns(raw['dns'], 'dns')
  return {
    ips: [...new Set(ips)],
    pools: [...new Set(pools)],
    ...(mac === undefined ? {} : { mac }),
    ...(dns === undefined ? {} : { dns }),
  }
}

/** The value of a key, exactly or, as some runtimes write it, in other case. */
function pick(object: Json, key: string): unknown {
  if (object[key] !== undefined) return object[key]
  const other = Object.keys(object).find((each) => each.toLowerCase() === key.toLowerCase())
  return other === undefined ? undefined : object[other]
}

/** Absent and null are an empty object. */
function objectIn(object: Json, key: string, name = key): Json {
  const value = pick(object, key) ?? {}
  if (isRecord(value)) return value
  throw bad(name, value, 'an object')
}

function ipsOf(value: unknown, name: string): readonly Ip[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > LIST_MAX) {
    throw bad(name, value, `a list of at most ${LIST_MAX} addresses`)
  }
  return value.map((each: unknown) => {
    const [, ip] = typeof each === 'string' ? (/^([^/]*)(?:\/\d{1,3})?$/.exec(each) ?? []) : []
    if (ip === undefined) throw bad(name, each, 'an address like 10.42.0.7 or 10.42.0.7/24')
    return parseIp(ip, name)
  })
}

function macOf(value: unknown, name: string): Mac | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw bad(name, value, 'a unicast MAC like 02:54:72:00:00:01')
  const mac = parseMac(value, name)
  if (mac !== HOST_END_MAC) return mac
  throw bad(name, mac, "another one: this is the node's end of every pod's link")
}

/** Kubernetes says servers and searches where a result says nameservers and search. */
function dnsOf(value: unknown): Dns | undefined {
  if (value === undefined || value === null) return undefined
  if (!isRecord(value)) throw bad('runtimeConfig.dns', value, 'an object')
  const [nameservers, search] = [pick(value, 'servers'), pick(value, 'searches')]
  return readDns({ nameservers, search, options: pick(value, 'options') }, 'runtimeConfig.dns')
}

/** An annotation's words, separated by commas. */
function wordsOf(annotations: Json, key: string): readonly string[] | undefined {
  const value = annotations[key]
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw bad(`annotation ${key}`, value, 'a text')
  return value.split(',').map((word) => word.trim())
}

function refuseUnknown(annotations: Json): void {
  const known = [IP_ANNOTATION, POOL_ANNOTATION]
  const unknown = Object.keys(annotations).find(
    (key) => key.startsWith(ANNOTATION_PREFIX) && !known.includes(key),
  )
  if (unknown === undefined) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot carry out annotation ${unknown}: it means nothing here, wanted ${known.join(' or ')}`,
    'Correct the annotation, or upgrade the plugin on this node',
  )
}

const bad = (name: string, found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot read ${name}: found ${JSON.stringify(found)?.slice(0, 128)}, wanted ${wanted}`,
  )
