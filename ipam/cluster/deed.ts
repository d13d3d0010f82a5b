/**
 * A request as it arrives at its owner: text, looked at before anything of it becomes a key.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import type { Repair } from '../check/finding.ts'
import { type Deed, REPAIRS_MAX } from './requests.ts'

/** 200 repairs of the longest names are a tenth of it. */
export const DEED_BYTES_MAX = 1024 * 1024

const KINDS: ReadonlySet<string> = new Set<Repair['kind']>([
  'remove-address',
  'write-address',
  'count-block',
  'remove-use',
  'release',
  'raise-sequence',
  'place-reservation',
  'index-reservations',
  'trim-history',
  'remove-link',
])

/**
 * @throws {TriviumError} BAD_JSON
 */
export function parseDeed(text: string): { readonly id: string; readonly deed: Deed } {
  const refuse = (found: string): never => {
    throw new TriviumError('BAD_JSON', `Cannot read the request: ${found}, wanted one of ours`)
  }
  if (text.length > DEED_BYTES_MAX) return refuse('it is too long')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse('it is not JSON')
  }
  const { id, deed } = isRecord(json) ? json : {}
  if (typeof id !== 'string' || !/^[0-9a-f]{1,64}$/.test(id)) return refuse('it has no number')
  if (!isRecord(deed)) return refuse('it asks for nothing')
  const { kind, repairs, force } = deed
  if (kind === 'look') return { id, deed: { kind } }
  if (kind !== 'mend' || typeof force !== 'boolean') return refuse('it asks for something else')
  if (!Array.isArray(repairs) || repairs.length > REPAIRS_MAX) {
    return refuse(`its repairs are no list of at most ${REPAIRS_MAX}`)
  }
  const bad = repairs.findIndex((each) => !isRepair(each))
  if (bad >= 0) return refuse(`its repair ${bad} is none`)
  return { id, deed: { kind, repairs: repairs as Repair[], force } }
}

/** Its fields are words and numbers; whether they fit is looked at when it is done. */
function isRepair(value: unknown): boolean {
  if (!isRecord(value) || !KINDS.has(String(value['kind']))) return false
  const { kind, key, sequence } = value
  if (kind === 'release' || kind === 'write-address') {
    if (!isRecord(key) || !Number.isSafeInteger(sequence)) return false
    if (!['network', 'containerId', 'ifname'].every((name) => isWord(key[name]))) return false
  }
  return Object.values(value).every(
    (field) =>
      isWord(field) ||
      Number.isSafeInteger(field) ||
      (isRecord(field) &&
        Object.values(field).every((each) => isWord(each) || Number.isSafeInteger(each))),
  )
}

/** One slash at most, of a prefix: two would reach another record's key. */
const isWord = (value: unknown): boolean =>
  typeof value === 'string' && /^[^/\s]{1,512}(?:\/\d{1,3})?$/.test(value)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
