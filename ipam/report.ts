/**
 * The report file of `trivium ipam check`, and the way back.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { tryParseIp } from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import type { IpamFinding, Repair } from './check/finding.ts'
import { keys } from './keys.ts'
import type { Reader } from './store.ts'

export const REPORT_VERSION = 1
/** A million findings. */
export const REPORT_BYTES_MAX = 512 * 1024 * 1024

export interface IpamReport {
  readonly version: typeof REPORT_VERSION
  /** Unix milliseconds. */
  readonly madeMs: number
  /** Whose kernel was looked at. undefined: nobody's. */
  readonly node?: string
  /** Of which store it is, and how far that was. Absent in reports of before. */
  readonly of?: StoreMoment
  readonly findings: readonly IpamFinding[]
}

/** What tells a store, and an older copy of it, from others. */
export interface StoreMoment {
  /** When each network was created, in Unix milliseconds, by name. */
  readonly networks: Readonly<Record<string, number>>
  /** The newest sequence number of each node, by name. */
  readonly sequences: Readonly<Record<string, number>>
}

export const storeMoment = (reader: Reader): StoreMoment => ({
  networks: Object.fromEntries(
    reader.range(keys.networks).map(([, { name, createdMs }]) => [name, createdMs]),
  ),
  sequences: Object.fromEntries(
    reader
      .range(keys.allSequences)
      .map(([key, last]) => [key.slice(keys.allSequences.length), last]),
  ),
})

export const writeReport = (report: IpamReport): string =>
  `${JSON.stringify(report, undefined, 2)}\n`

/** What frees addresses; the only repairs that are taken from a file. */
export type ReleaseRepair = Extract<Repair, { readonly kind: 'release' | 'remove-address' }>

/** What is taken from a file. */
export interface ReleaseReport extends Omit<IpamReport, 'version' | 'findings'> {
  /** Each with the number it is for: a later look decides whether it still fits. */
  readonly releases: readonly ReleaseRepair[]
}

/**
 * Whether the report speaks of this store.
 *
 * @param node This one, where it is known.
 * @returns what a person should know before its addresses are released, as sentences.
 * @throws {TriviumError} CONFLICT when it is another store's, or the store is older than it.
 */
export function judgeReport(
  reader: Reader,
  { madeMs, node: looked, of, releases }: ReleaseReport,
  { node, nowMs }: { readonly node: string | undefined; readonly nowMs: number },
): readonly string[] {
  const words: string[] = []
  const minutes = Math.round((nowMs - madeMs) / 60_000)
  if (minutes >= OLD_MINUTES) words.push(`the report is ${counted(minutes, 'minute')} old`)
  if (looked !== undefined && node !== undefined && looked !== node) {
    words.push(`it was made on node ${looked}, this is node ${node}`)
  }
  if (of === undefined) return [...words, 'it does not tell which store it is of']
  const here = storeMoment(reader)
  const refuse = (found: string): never => {
    const hint = 'Make one of this store: trivium ipam check --report FILE'
    throw new TriviumError('CONFLICT', `Cannot use the report: ${found}`, hint)
  }
  const names = releases.map((each) => (each.kind === 'release' ? each.key.network : each.network))
  for (const name of new Set(names)) {
    const [there, now] = [of.networks[name], here.networks[name]]
    if (there !== undefined && now !== undefined && there !== now) {
      refuse(`its network ${name} and this store's were created at different times`)
    }
  }
  for (const [name, there] of Object.entries(of.sequences)) {
    const now = here.sequences[name]
    // A cluster's store has none: they are each node's own.
    if (now === undefined) continue
    if (now < there) {
      const found = `it knows number ${there} of node ${name}, this store ${now} at most`
      refuse(`${found}: it is of another store, or this is an older copy`)
    }
    if (now > there) {
      words.push(`node ${name} has made ${counted(now - there, 'attachment')} since`)
    }
  }
  return words
}

/** Older than somebody needs who reads one. */
const OLD_MINUTES = 10

/** @throws {TriviumError} BAD_JSON */
export function readReport(text: string): ReleaseReport {
  const refuse = (found: string): never => {
    const wanted = 'wanted a file of: trivium ipam check --report FILE'
    throw new TriviumError('BAD_JSON', `Cannot read the report: ${found}, ${wanted}`)
  }
  if (text.length > REPORT_BYTES_MAX) return refuse('it is too long')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse('it is not JSON')
  }
  if (!isRecord(json)) return refuse('it is no object')
  if (json['version'] !== REPORT_VERSION) return refuse(`its version is ${json['version']}`)
  const findings = json['findings']
  if (!Array.isArray(findings)) return refuse('it has no findings')
  const { madeMs, node, of } = json
  if (typeof madeMs !== 'number' || !Number.isFinite(madeMs)) return refuse('it has no time')
  if (node !== undefined && !isName(node)) return refuse('its node is no name')
  if (of !== undefined && !isMoment(of)) return refuse('what it says of its store is not that')
  const releases = findings.flatMap((finding: unknown, index) => {
    if (!isRecord(finding)) return refuse(`finding ${index} is no object`)
    const repair = finding['repair']
    if (!isRecord(repair)) return []
    if (repair['kind'] !== 'release' && repair['kind'] !== 'remove-address') return []
    return [releaseOf(repair) ?? refuse(`the repair of finding ${index} is not one`)]
  })
  const whose = { ...(node === undefined ? {} : { node }), ...(of === undefined ? {} : { of }) }
  return { madeMs, ...whose, releases }
}

const isMoment = (value: unknown): value is StoreMoment =>
  isRecord(value) && [value['networks'], value['sequences']].every(areNumbers)

const areNumbers = (value: unknown): boolean =>
  isRecord(value) &&
  Object.entries(value).every(([name, number]) => isName(name) && Number.isSafeInteger(number))

function releaseOf(repair: Readonly<Record<string, unknown>>): ReleaseRepair | undefined {
  const { kind, sequence, node, network, ip, key } = repair
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence)) return undefined
  if (kind === 'remove-address') {
    const address = typeof ip === 'string' ? tryParseIp(ip) : undefined
    if (address === undefined || !isName(network)) return undefined
    return { kind, network, ip: address, sequence }
  }
  if (!isRecord(key) || !isName(node)) return undefined
  const { containerId, ifname } = key
  if (!isName(key['network']) || !isName(containerId) || !isName(ifname)) return undefined
  return {
    kind: 'release',
    node,
    key: { network: key['network'], containerId, ifname },
    sequence,
  }
}

/** A slash would reach another record's key. */
const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[^/\s]{1,512}$/.test(value)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
