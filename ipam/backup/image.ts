/**
 * A store as lines of text: one file for `trivium ipam backup` and `export`.
 *
 *     {"trivium":"backup","version":1,"layout":2,"madeMs":…}
 *     ["network/pods",{"name":"pods",…}]
 *     …
 *     {"records":12,"sha256":"…"}            of every byte before this line
 *
 * Whoever reads and writes files makes the sum. What a line may be is bounded
 * here; whether the records fit each other is judged when they are restored.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { keys, SCHEMA_VERSION } from '../keys.ts'
import type { BlockClaim } from '../records.ts'
import { type Key, type KeyRange, type Pairs, type Reader, scan } from '../store.ts'
import { flawOf } from './shape.ts'

export const IMAGE_VERSION = 1
export const IMAGE_LINE_BYTES_MAX = 1024 * 1024
export const IMAGE_RECORDS_MAX = 50_000_000

/** `backup`: all of a store. `export`: some networks, to become part of another store. */
export type ImageKind = 'backup' | 'export'

export interface ImageHeader {
  readonly trivium: ImageKind
  readonly version: typeof IMAGE_VERSION
  /** `SCHEMA_VERSION` of the program that wrote it. */
  readonly layout: number
  /** Unix milliseconds. */
  readonly madeMs: number
}

export interface ImageFooter {
  readonly records: number
  /** Hexadecimal. */
  readonly sha256: string
}

export type ImagePair = readonly [key: Key<unknown>, value: unknown]

/** What was read of a file; each key once. */
export interface Image {
  readonly header: ImageHeader
  readonly pairs: ReadonlyMap<Key<unknown>, unknown>
}

/**
 * Kinds of keys that a backup leaves out: they live for seconds, are the store's
 * own, or say how a node stands in its cluster now.
 */
export const NOT_KEPT: readonly string[] = [
  'schema',
  'snapshot-request',
  'snapshot',
  'membership',
  'beat',
  'knock',
  'request',
  'carried',
  'restore',
]

/** Every record, read piece by piece; those of a network or a node that nothing else names are not found. */
export function* wholeImage(reader: Reader): Generator<ImagePair> {
  const networks = new Set<string>()
  const nodes = new Set<string>()
  // Networks may have their routes from it.
  yield* reader.range(keys.bgp)
  for (const pair of reader.range(keys.networks)) {
    networks.add(pair[1].name)
    yield pair
  }
  for (const pair of reader.range(keys.nodes)) {
    nodes.add(pair[1].name)
    yield pair
  }
  yield* reader.range(keys.allows)
  for (const pair of reader.range(keys.allSequences)) {
    nodes.add(pair[0].slice(keys.allSequences.length))
    yield pair
  }
  // Before blocks: who claims one while the rest of a restore is under way knows what is kept in it.
  yield* reader.range(keys.allReservations)
  yield* reader.range(keys.allReserved)
  for (const pair of firstOnesFirst(reader.range(keys.allClaims))) {
    networks.add(pair[1].network)
    nodes.add(pair[1].node)
    yield pair
  }
  yield* reader.range(keys.members)
  yield* reader.range(keys.disputes)
  yield* reader.range(keys.allUses)
  for (const node of nodes) yield* scan(reader, keys.attachments(node))
  for (const network of networks) {
    yield* scan(reader, keys.addresses(network))
    yield* scan(reader, keys.networkHistory(network))
  }
}

/** Whoever has a block has a tunnel endpoint, also while the rest of a restore is under way. */
const firstOnesFirst = (claims: Pairs<BlockClaim>): Pairs<BlockClaim> => [
  ...claims.filter(([, { first }]) => first),
  ...claims.filter(([, { first }]) => !first),
]

/**
 * What concerns some networks, with the nodes that have blocks of them.
 *
 * @throws {TriviumError} NOT_FOUND
 */
export function* networksImage(reader: Reader, names: readonly string[]): Generator<ImagePair> {
  const wanted = new Set(names)
  const nodes = new Set<string>()
  for (const name of wanted) {
    const network = reader.get(keys.network(name))
    if (network === undefined) {
      throw new TriviumError('NOT_FOUND', `Cannot export network ${name}: there is none`)
    }
    yield [keys.network(name), network]
    for (const pair of firstOnesFirst(reader.range(keys.claims(name)))) {
      nodes.add(pair[1].node)
      yield pair
    }
  }
  for (const node of nodes) {
    const record = reader.get(keys.node(node))
    if (record !== undefined) yield [keys.node(node), record]
    const sequence = reader.get(keys.sequence(node))
    if (sequence !== undefined) yield [keys.sequence(node), sequence]
  }
  for (const pair of reader.range(keys.allows)) {
    if (wanted.has(pair[1].from) && wanted.has(pair[1].to)) yield pair
  }
  for (const name of wanted) {
    const ranges: KeyRange<unknown>[] = [keys.reservations(name), keys.networkReserved(name)]
    for (const node of nodes) {
      ranges.push(keys.uses(node, name), keys.networkAttachments(node, name))
    }
    ranges.push(keys.addresses(name), keys.networkHistory(name))
    for (const range of ranges) yield* scan(reader, range)
  }
}

export const headerLine = (trivium: ImageKind, madeMs: number): string =>
  line({ trivium, version: IMAGE_VERSION, layout: SCHEMA_VERSION, madeMs } satisfies ImageHeader)

export const pairLine = (pair: ImagePair): string => line(pair)

export const footerLine = (footer: ImageFooter): string => line(footer)

const line = (value: unknown): string => `${JSON.stringify(value)}\n`

/** Takes the lines of a file in order, without their ends. */
export interface ImageParser {
  /**
   * @returns the line's record; undefined for the first and the last line.
   * @throws {TriviumError} BAD_JSON, with the number of the line.
   */
  add(text: string): ImagePair | undefined
  header(): ImageHeader | undefined
  /** The footer, once it has come. */
  footer(): ImageFooter | undefined
  /** What it was, the records left out where they were more. @throws {TriviumError} BAD_JSON when the file stopped before its footer. */
  image(): Image
}

/** @param keepsMax Records are kept, up to so many characters; then none is. */
export function imageParser(keepsMax = Number.POSITIVE_INFINITY): ImageParser {
  const pairs = new Map<Key<unknown>, unknown>()
  let records = 0
  let length = 0
  let header: ImageHeader | undefined
  let footer: ImageFooter | undefined
  let lines = 0

  function refuse(found: string, wanted = 'a file of: trivium ipam backup'): never {
    const place = lines === 0 ? '' : `line ${lines} `
    throw new TriviumError('BAD_JSON', `Cannot read the backup: ${place}${found}, wanted ${wanted}`)
  }

  function add(text: string): ImagePair | undefined {
    lines++
    length += text.length
    if (footer !== undefined) refuse('comes after the end')
    if (lines - 1 > IMAGE_RECORDS_MAX + 1) refuse('is one too many')
    const value = parsed(text)
    if (value === undefined) refuse('is not JSON')
    if (header === undefined) header = headerOf(value)
    else if (Array.isArray(value)) return record(value)
    else footer = footerOf(value)
    return undefined
  }

  function headerOf(value: unknown): ImageHeader {
    const { trivium, version, layout, madeMs } = Object(value)
    if (trivium !== 'backup' && trivium !== 'export') return refuse('is no header')
    if (version !== IMAGE_VERSION) {
      return refuse(`says version ${told(version)}`, `version ${IMAGE_VERSION}`)
    }
    if (!Number.isInteger(layout) || layout < 1 || layout > SCHEMA_VERSION) {
      return refuse(`says layout ${told(layout)}`, `1 to ${SCHEMA_VERSION}: a newer trivium`)
    }
    if (typeof madeMs !== 'number') return refuse('says no time')
    return { trivium, version, layout, madeMs }
  }

  function record(value: readonly unknown[]): ImagePair {
    const [key, body, ...rest] = value
    if (typeof key !== 'string' || body === undefined || rest.length > 0) refuse('is no pair')
    const flaw = flawOf(key, body)
    if (flaw !== undefined) refuse(`(${told(key)}) ${flaw}`)
    if (pairs.has(key)) refuse(`(${told(key)}) is there twice`)
    records++
    if (length <= keepsMax) pairs.set(key, body)
    else pairs.clear()
    return [key, body]
  }

  function footerOf(value: unknown): ImageFooter {
    const { records: counts, sha256 } = Object(value)
    if (counts !== records) return refuse(`counts ${told(counts)}, ${records} came`)
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return refuse('is no sum')
    return { records, sha256 }
  }

  return {
    add,
    header: () => header,
    footer: () => footer,
    image() {
      if (header === undefined || footer === undefined) {
        return refuse(lines === 0 ? 'it is empty' : 'is its last: it was cut off')
      }
      return { header, pairs }
    },
  }
}

function parsed(text: string): unknown {
  if (text.length > IMAGE_LINE_BYTES_MAX) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const told = (value: unknown): string => String(JSON.stringify(value)).slice(0, 100)
