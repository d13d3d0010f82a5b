/**
 * From what a person wrote about a network to a record that keeps every rule.
 *
 * One error at a time, each naming the field, what was found and what was wanted.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import {
  ADDRESS_BITS,
  containsIp,
  type Ip,
  networkAddress,
  offsetIn,
  type Prefix,
  parseIp,
  parsePrefix,
  prefixesOverlap,
  prefixFamily,
  prefixLength,
  prefixSize,
} from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import { COOLING_MAX } from './cooling.ts'
import type {
  Attachment,
  Flavour,
  Mode,
  NetworkOptions,
  NetworkRecord,
  PeerRoutes,
  Pool,
} from './records.ts'

/** A network as a person describes it; nothing in it is trusted. */
export interface NetworkSpec {
  readonly name: string
  readonly mode: string
  readonly pools: readonly PoolSpec[]
  readonly options?: OptionChanges
}

/** Options as a person gives them; undefined takes one back to its default. */
export type OptionChanges = {
  readonly [K in keyof NetworkOptions]?: NetworkOptions[K] | undefined
}

/** A pool as a person describes it. */
export interface PoolSpec {
  readonly cidr: string
  /** @default 26 (IPv4), 122 (IPv6), or the pool's own length when the pool is smaller */
  readonly blockLength?: number
  readonly gateway?: string
  readonly rack?: string
  readonly nodes?: readonly string[]
  readonly namespaces?: readonly string[]
  readonly floating?: boolean
  readonly draining?: boolean
}

/** UDP port of a flavour's tunnels, unless told otherwise. */
export const defaultPort = (flavour: Flavour | undefined): number =>
  flavour === 'lightweight' ? DEFAULT_GPE_PORT : DEFAULT_VXLAN_PORT

/** A network that keeps the rules; without a VNI it gets the lowest unused one. */
export type NetworkDraft = Omit<NetworkRecord, 'options'> & {
  readonly options: Omit<NetworkOptions, 'vni'> & { readonly vni?: number }
}

export const MODES: readonly Mode[] = ['vxlan', 'route', 'vlan', 'ipam']

/** CNI specification 1.1.0, "Network configuration format": name. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const NAME_LENGTH_MAX = 64
/** As agents say it: `--rack`. */
const RACK = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/
/** What a list of names may hold. */
interface Names {
  readonly pattern: RegExp
  readonly max: number
  readonly form: string
}
/** RFC 1123 label, as Kubernetes names namespaces. */
const NAMESPACES: Names = {
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  max: 100,
  form: 'at most 63 lower-case letters, digits and "-" a name',
}
/** As agents say it: `--node`. */
const NODES: Names = {
  pattern: /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/,
  max: 1000,
  form: 'at most 253 letters, digits, "_", "." and "-" a name',
}
const DEFAULT_BLOCK_LENGTH = { 4: 26, 6: 122 } as const
/** An allocation may have to look at every address of a block. */
const BLOCK_HOST_BITS_MAX = 16
/** Network address, broadcast address, and at least two to give. */
const POOL_ADDRESSES_MIN = 4
/** Linux's own default, vxlan.c, from before IANA assigned 4789. */
const DEFAULT_VXLAN_PORT = 8472
/** Source: IANA, vxlan-gpe. A GPE link cannot share a classic one's port. */
const DEFAULT_GPE_PORT = 4790
export const FLAVOURS: readonly Flavour[] = ['classic', 'lightweight']
export const PEER_ROUTES: readonly PeerRoutes[] = ['direct', 'bgp']
export const ATTACHMENTS: readonly Attachment[] = ['bridge', 'macvlan']
/** Stands in the records of networks that are not in vlan mode, where nothing reads it. */
const UNUSED_VLAN_ID = 1
/** RFC 791 section 3.1 and RFC 8200 section 5. */
const MTU_BYTES_MIN = { 4: 68, 6: 1280 } as const
const MTU_BYTES_MAX = 65_535

/** Options that are true or false. */
const SWITCHES = [
  'crossSubnet',
  'masquerade',
  'checksumOffload',
  'anyKernel',
  'cooldownStrict',
  'conflictProbe',
] as const

const OPTION_RANGES = {
  vni: [1, 2 ** 24 - 1], // RFC 7348 section 5
  vxlanPort: [1, 65_535],
  vlanId: [1, 4094], // IEEE 802.1Q: 0 and 4095 are reserved
  cooldownSeconds: [0, 86_400],
  idleSeconds: [0, 31_536_000],
} as const

/** @throws {TriviumError} BAD_CONFIG, for the first rule that is broken. */
export function parseNetworkSpec(spec: NetworkSpec, nowMs: number): NetworkDraft {
  const name = checkName(spec.name)
  const subject = `network ${name}`
  const mode = checkMode(spec.mode, subject)
  const specs: unknown = spec.pools
  if (!Array.isArray(specs) || specs.length === 0)
    throw bad(subject, 'list of pools', specs, 'at least one')
  const pools = spec.pools.map((pool) => parsePool(pool, subject))
  for (const [index, { cidr }] of pools.entries()) {
    const other = pools.slice(0, index).find((pool) => prefixesOverlap(pool.cidr, cidr))
    if (other === undefined) continue
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use ${subject}: pools ${other.cidr} and ${cidr} overlap, wanted separate ones`,
    )
  }
  refuseFloatingAlone(pools, subject)
  return { name, mode, pools, options: parseOptions(spec, mode, pools, subject), createdMs: nowMs }
}

/** Tunnel endpoints, and the addresses of pods that ask for none, are of ordinary pools. */
function refuseFloatingAlone(pools: readonly Pool[], subject: string): void {
  const alone = pools.find(
    ({ cidr, floating }) =>
      floating === true &&
      !pools.some((other) => !other.floating && prefixFamily(other.cidr) === prefixFamily(cidr)),
  )
  if (alone === undefined) return
  const found = `pool ${alone.cidr} is floating, and no other is of its family`
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot use ${subject}: ${found}, wanted an ordinary one, too: nodes end their tunnels there`,
  )
}

function checkName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name) && name.length <= NAME_LENGTH_MAX) return name
  const wanted = `at most ${NAME_LENGTH_MAX} letters, digits, "_", "." and "-", a letter or digit first`
  throw new TriviumError('BAD_CONFIG', `Cannot use network name ${text(name)}: wanted ${wanted}`)
}

function checkMode(mode: unknown, subject: string): Mode {
  const known = MODES.find((each) => each === mode)
  if (known === undefined) throw bad(subject, 'mode', mode, orList(MODES))
  return known
}

function parsePool(spec: PoolSpec, subject: string): Pool {
  const raw: unknown = spec?.cidr
  if (typeof raw !== 'string') throw bad(subject, 'pool CIDR', raw, 'text like 10.42.0.0/16')
  const cidr = parsePrefix(raw, `pool CIDR of ${subject}`)
  const family = prefixFamily(cidr)
  const poolLength = prefixLength(cidr)
  if (prefixSize(cidr) < POOL_ADDRESSES_MIN) {
    const found = `pool ${cidr} has ${counted(prefixSize(cidr), 'address')}`
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use ${subject}: ${found}, wanted at least ${POOL_ADDRESSES_MIN}`,
    )
  }
  const lowest = Math.max(poolLength, ADDRESS_BITS[family] - BLOCK_HOST_BITS_MAX)
  const floating = parseFloating(spec.floating, cidr, subject)
  const fallback = Math.max(poolLength, DEFAULT_BLOCK_LENGTH[family])
  const blockLength = integerIn(
    spec.blockLength ?? (floating ? ADDRESS_BITS[family] : fallback),
    [floating ? ADDRESS_BITS[family] : lowest, ADDRESS_BITS[family]],
    subject,
    `block length of ${floating ? 'floating ' : ''}pool ${cidr}`,
  )
  const gateway = parseGateway(spec.gateway, cidr, subject)
  const rack = parseRack(spec.rack, cidr, subject)
  const nodes = parseNames(spec.nodes, NODES, `nodes of pool ${cidr}`, subject)
  const namespaces = parseNames(spec.namespaces, NAMESPACES, `namespaces of pool ${cidr}`, subject)
  return {
    cidr,
    blockLength,
    ...(rack === undefined ? {} : { rack }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(floating ? { floating } : {}),
    ...(spec.draining === true ? { draining: true } : {}),
  }
}

function parseFloating(raw: unknown, cidr: Prefix, subject: string): boolean {
  if (raw === undefined || typeof raw === 'boolean') return raw === true
  throw bad(subject, `floating of pool ${cidr}`, raw, 'true or false')
}

function parseRack(raw: unknown, cidr: Prefix, subject: string): string | undefined {
  if (raw === undefined || (typeof raw === 'string' && RACK.test(raw))) return raw
  const wanted = 'at most 63 letters, digits, "_", "." and "-", a letter or digit first'
  throw bad(subject, `rack of pool ${cidr}`, raw, wanted)
}

function parseNames(
  raw: unknown,
  { pattern, max, form }: Names,
  field: string,
  subject: string,
): readonly string[] | undefined {
  if (raw === undefined) return undefined
  if (!Array.isArray(raw) || raw.length === 0 || raw.length > max) {
    throw bad(subject, field, raw, `1 to ${max} names`)
  }
  for (const name of raw) {
    if (typeof name === 'string' && pattern.test(name)) continue
    throw bad(subject, field, name, form)
  }
  // One meaning, one record: creating the same network again changes nothing.
  return [...new Set<string>(raw)].sort()
}

function parseGateway(raw: unknown, cidr: Prefix, subject: string): Ip | undefined {
  if (raw === undefined) return undefined
  const field = `gateway of pool ${cidr}`
  if (typeof raw !== 'string') throw bad(subject, field, raw, 'an address of the pool')
  const gateway = parseIp(raw, `${field} of ${subject}`)
  const last = prefixSize(cidr) - 1n
  const edge =
    gateway === networkAddress(cidr) ||
    (prefixFamily(cidr) === 4 && containsIp(cidr, gateway) && offsetIn(cidr, gateway) === last)
  if (!containsIp(cidr, gateway) || edge) {
    throw bad(subject, field, raw, 'an address inside the pool, not its first or broadcast address')
  }
  return gateway
}

function parseOptions(
  spec: NetworkSpec,
  mode: Mode,
  pools: readonly Pool[],
  subject: string,
): NetworkDraft['options'] {
  const raw: unknown = spec.options ?? {}
  if (typeof raw !== 'object' || raw === null) throw bad(subject, 'options', raw, 'an object')
  const given: Record<string, unknown> = { ...raw }
  const known = [
    ...Object.keys(OPTION_RANGES),
    'mtuBytes',
    'flavour',
    'attachment',
    'peerRoutes',
    ...SWITCHES,
  ]
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw bad(subject, 'unknown option', unknown, orList(known))

  const flavour = parseWord(given['flavour'], FLAVOURS, subject, 'flavour')
  const peerRoutes = parseWord(given['peerRoutes'], PEER_ROUTES, subject, 'peerRoutes')
  const attachment = parseWord(given['attachment'], ATTACHMENTS, subject, 'attachment')
  if (mode === 'vlan' && attachment === undefined) refuseUntaggedBridge(given['vlanId'], subject)
  const option = (key: keyof typeof OPTION_RANGES): number | undefined => {
    const [low, high] = OPTION_RANGES[key]
    // No VLAN: untagged.
    const lowest = key === 'vlanId' && attachment !== undefined ? 0 : low
    return given[key] === undefined
      ? undefined
      : integerIn(given[key], [lowest, high], subject, key)
  }
  const vni = option('vni')
  const vlanId = option('vlanId')
  if (mode === 'vlan' && vlanId === undefined) {
    const [low, high] = OPTION_RANGES.vlanId
    throw bad(subject, 'vlanId', undefined, `${low} to ${high} in vlan mode`)
  }
  const [cooldownSeconds, idleSeconds] = [option('cooldownSeconds'), option('idleSeconds')]
  refuseLargeStrict(given, pools, subject)
  const sixes = pools.some(({ cidr }) => prefixFamily(cidr) === 6)
  const mtuRange = [MTU_BYTES_MIN[sixes ? 6 : 4], MTU_BYTES_MAX] as const
  const mtuBytes =
    given['mtuBytes'] === undefined
      ? undefined
      : integerIn(given['mtuBytes'], mtuRange, subject, 'mtuBytes')
  return {
    ...(vni === undefined ? {} : { vni }),
    vxlanPort: option('vxlanPort') ?? defaultPort(flavour),
    vlanId: vlanId ?? UNUSED_VLAN_ID,
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
    ...(flavour === undefined ? {} : { flavour }),
    ...(attachment === undefined ? {} : { attachment }),
    ...(peerRoutes === undefined ? {} : { peerRoutes }),
    ...(cooldownSeconds === undefined ? {} : { cooldownSeconds }),
    ...(idleSeconds === undefined ? {} : { idleSeconds }),
    ...switchesOf(given, subject),
  }
}

/** A block remembers so many cooling addresses; strict means that it forgets none. */
function refuseLargeStrict(
  given: Readonly<Record<string, unknown>>,
  pools: readonly Pool[],
  subject: string,
): void {
  if (given['cooldownStrict'] !== true) return
  const large = pools.find(
    ({ cidr, blockLength }) => 2 ** (ADDRESS_BITS[prefixFamily(cidr)] - blockLength) > COOLING_MAX,
  )
  if (large === undefined) return
  const field = `block length of pool ${large.cidr} under a strict cool-down`
  throw bad(subject, field, large.blockLength, `blocks of at most ${COOLING_MAX} addresses`)
}

/** A bridge on the untagged uplink takes the node's own addresses with it: who wants that says so. */
function refuseUntaggedBridge(vlanId: unknown, subject: string): void {
  if (vlanId !== 0) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot use ${subject}: vlanId is 0 (untagged) with attachment bridge, wanted 1 to 4094`,
    "Use --attachment macvlan: pods then hang on the uplink itself, which keeps the node's addresses; or --attachment bridge, and trivium uplink take on each node",
  )
}

function parseWord<T extends string>(
  raw: unknown,
  words: readonly T[],
  subject: string,
  field: string,
): T | undefined {
  if (raw === undefined) return undefined
  const known = words.find((each) => each === raw)
  if (known === undefined) throw bad(subject, field, raw, orList(words))
  return known
}

function switchesOf(
  given: Readonly<Record<string, unknown>>,
  subject: string,
): Partial<Record<(typeof SWITCHES)[number], boolean>> {
  const found: Partial<Record<(typeof SWITCHES)[number], boolean>> = {}
  for (const key of SWITCHES) {
    const value = given[key]
    if (value === undefined) continue
    if (typeof value !== 'boolean') throw bad(subject, key, value, 'true or false')
    found[key] = value
  }
  return found
}

function integerIn(
  value: unknown,
  [low, high]: readonly [number, number],
  subject: string,
  field: string,
): number {
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high
  if (!fits) throw bad(subject, field, value, `${low} to ${high}`)
  return value
}

const bad = (subject: string, field: string, found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot use ${subject}: ${field} is ${text(found)}, wanted ${wanted}`,
  )

const text = (value: unknown): string =>
  value === undefined ? 'missing' : JSON.stringify(value).slice(0, 100)

const orList = (words: readonly string[]): string =>
  `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
