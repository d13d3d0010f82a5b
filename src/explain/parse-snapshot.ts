/**
 * Reads a snapshot that came from outside. Every field is checked, what is not
 * known is left out, and nothing grows beyond its bounds.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import type { KernelObject, LinkKind } from '../kernel/mod.ts'
import { tryParseIp, tryParsePrefix } from '../net/mod.ts'
import {
  type ForeignChain,
  type NodeSnapshot,
  type PodSnapshot,
  SNAPSHOT_VERSION,
} from './snapshot.ts'

/** A node with 5000 peers in two families takes about 8 MiB. */
export const SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024
const OBJECTS_MAX = 500_000
const PODS_MAX = 10_000
const POD_OBJECTS_MAX = 10_000
const LIST_MAX = 10_000
const TEXT_MAX = 4096
const RULES_TEXT_MAX = 65_536

/** Reads one value or throws `Refused`; `where` names it. */
type Read<T> = (value: unknown, where: string) => T

/** The one way out of a reader; becomes a TriviumError at the door. */
class Refused extends Error {}

function refuse(where: string, wanted: string): never {
  throw new Refused(`${where} is not ${wanted}`)
}

const textUpTo =
  (max: number): Read<string> =>
  (value, where) =>
    typeof value === 'string' && value.length <= max ? value : refuse(where, 'a short text')
const text = textUpTo(TEXT_MAX)
const flag: Read<boolean> = (value, where) =>
  typeof value === 'boolean' ? value : refuse(where, 'true or false')
const integer: Read<number> = (value, where) =>
  Number.isSafeInteger(value) ? (value as number) : refuse(where, 'a whole number')
const count: Read<number> = (value, where) => {
  const number = integer(value, where)
  return number >= 0 ? number : refuse(where, 'a count')
}
const ip: Read<string> = (value, where) => tryParseIp(text(value, where)) ?? refuse(where, 'an IP')
const prefix: Read<string> = (value, where) =>
  tryParsePrefix(text(value, where)) ?? refuse(where, 'a prefix')
/** Any MAC: a dump also shows zeros and groups. */
const mac: Read<string> = (value, where) => {
  const found = text(value, where)
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(found) ? found : refuse(where, 'a MAC')
}
const oneOf =
  (...words: readonly string[]): Read<string> =>
  (value, where) =>
    typeof value === 'string' && words.includes(value) ? value : refuse(where, words.join(' or '))

/** A field that may be missing. */
interface Optional {
  readonly read: Read<unknown>
}
const maybe = (read: Read<unknown>): Optional => ({ read })
type Shape = Readonly<Record<string, Read<unknown> | Optional>>

function record(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(where, 'an object')
  }
  return value as Readonly<Record<string, unknown>>
}

function fields(shape: Shape, value: unknown, where: string): Readonly<Record<string, unknown>> {
  const found = record(value, where)
  const out: Record<string, unknown> = {}
  for (const [name, read] of Object.entries(shape)) {
    // Own fields only: `__proto__` and its kin are nobody's data.
    const field = Object.hasOwn(found, name) ? found[name] : undefined
    if (typeof read === 'function') out[name] = read(field, `${where}.${name}`)
    else if (field !== undefined) out[name] = read.read(field, `${where}.${name}`)
  }
  return out
}

function list<T>(read: Read<T>, max: number): Read<readonly T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) return refuse(where, 'a list')
    if (value.length > max) return refuse(where, `a list of at most ${max}`)
    return value.map((each, index) => read(each, `${where}[${index}]`))
  }
}

const LINK_KINDS: Readonly<Record<LinkKind['type'], Shape>> = {
  veth: { peer: maybe((value, where) => fields({ name: text, mac: maybe(mac) }, value, where)) },
  vxlan: { vni: count, port: count, underlay: text, local: ip },
  'vxlan-gpe': { port: count },
  bridge: {},
  vlan: { parent: text, id: count },
  macvlan: {
    mode: oneOf('bridge', 'private', 'vepa', 'passthru', 'source'),
    parent: maybe(text),
  },
  other: { name: text },
}

/** One of several shapes, told apart by the field `tag`. */
function tagged(tag: string, shapes: Readonly<Record<string, Shape>>): Read<unknown> {
  return (value, where) => {
    const word = text(record(value, where)[tag], `${where}.${tag}`)
    const shape = Object.hasOwn(shapes, word) ? shapes[word] : undefined
    if (shape === undefined) return refuse(`${where}.${tag}`, 'a kind we know')
    return { [tag]: word, ...fields(shape, value, where) }
  }
}

const OBJECTS: Readonly<Record<KernelObject['kind'], Shape>> = {
  link: {
    name: text,
    link: tagged('type', LINK_KINDS),
    up: flag,
    mac: maybe(mac),
    mtuBytes: maybe(count),
    peerMtuBytes: maybe(count),
    master: maybe(text),
    alias: maybe(text),
  },
  addr: { link: text, ip, prefixLength: count },
  route: {
    dst: prefix,
    type: oneOf('unicast', 'blackhole'),
    link: maybe(text),
    via: maybe(ip),
    onlink: maybe(flag),
    metric: count,
    protocol: count,
    encapVni: maybe(count),
    encapDst: maybe(ip),
  },
  neigh: { link: text, ip, mac },
  fdb: { link: text, mac, dst: ip },
  vni: { link: text, vni: count },
  'offload-off': { link: text, feature: oneOf('tx-checksum-ip-generic') },
  'nft-table': { name: text },
  'nft-set': { name: text, key: text, interval: flag },
  'nft-element': { set: text, key: text },
  'nft-chain': {
    name: text,
    type: oneOf('filter', 'nat'),
    hook: oneOf('prerouting', 'input', 'forward', 'output', 'postrouting'),
    priority: integer,
    rules: textUpTo(RULES_TEXT_MAX),
  },
  sysctl: { name: text, value: text },
}

const objectOf = tagged('kind', OBJECTS) as Read<KernelObject>

const podOf: Read<PodSnapshot> = (value, where) =>
  fields(
    {
      network: text,
      containerId: text,
      ifname: text,
      netns: text,
      objects: list(objectOf, POD_OBJECTS_MAX),
      problem: maybe(text),
    },
    value,
    where,
  ) as unknown as PodSnapshot

const chainOf: Read<ForeignChain> = (value, where) =>
  fields(
    {
      family: text,
      table: text,
      chain: text,
      hook: text,
      priority: integer,
      policy: oneOf('accept', 'drop'),
      rules: count,
    },
    value,
    where,
  ) as unknown as ForeignChain

const SNAPSHOT: Shape = {
  node: text,
  takenMs: count,
  kernelRelease: text,
  objects: list(objectOf, OBJECTS_MAX),
  pods: list(podOf, PODS_MAX),
  chains: list(chainOf, LIST_MAX),
  dynamicNeighbours: (value, where) => fields({ 4: count, 6: count }, value, where),
  tunnelPorts: list((value, where) => fields({ link: text, port: count }, value, where), LIST_MAX),
  conntrack: maybe((value, where) => fields({ count, max: count }, value, where)),
  unread: list(text, LIST_MAX),
}

/**
 * Reads the JSON text of a snapshot.
 *
 * @param source Where it came from, for the message.
 * @throws {TriviumError} BAD_JSON when it is none; BAD_CONFIG when it is of another version.
 */
export function parseSnapshot(json: string, source: string): NodeSnapshot {
  const hint = 'Take one on the node: trivium node snapshot > node.json'
  const fail = (why: string): TriviumError =>
    new TriviumError('BAD_JSON', `Cannot read snapshot ${source}: ${why}`, hint)
  if (json.length > SNAPSHOT_BYTES_MAX) throw fail(`more than ${SNAPSHOT_BYTES_MAX} characters`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (thrown) {
    throw fail(`not JSON: ${(thrown as Error).message}`)
  }
  try {
    const { version } = record(value, 'the snapshot')
    if (version !== SNAPSHOT_VERSION) {
      throw new TriviumError(
        'BAD_CONFIG',
        `Cannot read snapshot ${source}: version ${JSON.stringify(version)?.slice(0, 40)}, wanted ${SNAPSHOT_VERSION}`,
        'Use the same version of trivium on both nodes',
      )
    }
    const read = fields(SNAPSHOT, value, 'snapshot')
    return { version: SNAPSHOT_VERSION, ...read } as unknown as NodeSnapshot
  } catch (thrown) {
    if (thrown instanceof Refused) throw fail(thrown.message)
    throw thrown
  }
}
