/**
 * What a store says of the whole cluster, as text: networks, nodes, blocks,
 * openings, reservations. It lies beside the agent's socket, where it lives as long
 * as the kernel's own state, for the day on which the store is lost under running pods.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { hashHex } from '../src/hash.ts'
import { keys } from './keys.ts'
import type { Key, KeyRange, Reader } from './store.ts'

/** Records of attachments and addresses are not among them: each ADD would change it. */
const RANGES: readonly KeyRange<unknown>[] = [
  keys.networks,
  keys.nodes,
  keys.allows,
  keys.bgp,
  keys.allClaims,
  keys.allReservations,
  keys.allReserved,
]

const COPY_VERSION = 1
/** A million claims. */
export const COPY_BYTES_MAX = 512 * 1024 * 1024

export interface StoreCopy {
  /** URL of the store. */
  readonly store: string
  readonly pairs: readonly (readonly [Key<unknown>, unknown])[]
}

/** The parts of a copy; the same objects as before where nothing has changed. */
export const copyParts = (reader: Reader): readonly Iterable<readonly [Key<unknown>, unknown]>[] =>
  RANGES.map((range) => reader.range(range))

export function copyText(store: string, parts: ReturnType<typeof copyParts>): string {
  const body = JSON.stringify({ store, pairs: parts.flatMap((part) => [...part]) })
  return `${JSON.stringify({ version: COPY_VERSION, hash: hashHex(body, 16), body })}\n`
}

/** @throws {TriviumError} BAD_JSON when it is not what `copyText` wrote. */
export function parseCopy(text: string): StoreCopy {
  const refuse = (found: string): never => {
    throw new TriviumError(
      'BAD_JSON',
      `Cannot read the copy of the store: ${found}, wanted what an agent writes`,
    )
  }
  if (text.length > COPY_BYTES_MAX) return refuse('it is too long')
  let outer: Readonly<Record<string, unknown>>
  try {
    outer = Object(JSON.parse(text))
  } catch {
    return refuse('it is not JSON')
  }
  const { version, hash, body } = outer
  if (version !== COPY_VERSION) return refuse(`its version is ${JSON.stringify(version)}`)
  if (typeof body !== 'string' || hashHex(body, 16) !== hash) return refuse('its sum is wrong')
  // The sum says that it was written by us.
  const { store, pairs } = JSON.parse(body) as StoreCopy
  const isOurs = pairs.every(([key]) => RANGES.some((range) => key.startsWith(range)))
  return isOurs ? { store, pairs } : refuse('it has records of another sort')
}
