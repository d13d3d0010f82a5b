/**
 * The report file of `trivium ipam check`, and the way back.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { tryParseIp } from '../src/net/mod.ts'
import type { IpamFinding, Repair } from './check/finding.ts'

export const REPORT_VERSION = 1
/** A million findings. */
export const REPORT_BYTES_MAX = 512 * 1024 * 1024

export interface IpamReport {
  readonly version: typeof REPORT_VERSION
  /** Unix milliseconds. */
  readonly madeMs: number
  /** Whose kernel was looked at. undefined: nobody's. */
  readonly node?: string
  readonly findings: readonly IpamFinding[]
}

export const writeReport = (report: IpamReport): string =>
  `${JSON.stringify(report, undefined, 2)}\n`

/** What frees addresses; the only repairs that are taken from a file. */
export type ReleaseRepair = Extract<Repair, { readonly kind: 'release' | 'remove-address' }>

/**
 * The releases of a report, each with the number it is for: a later look decides
 * whether it still fits.
 *
 * @throws {TriviumError} BAD_JSON
 */
export function readReleases(text: string): readonly ReleaseRepair[] {
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
  return findings.flatMap((finding: unknown, index) => {
    if (!isRecord(finding)) return refuse(`finding ${index} is no object`)
    const repair = finding['repair']
    if (!isRecord(repair)) return []
    if (repair['kind'] !== 'release' && repair['kind'] !== 'remove-address') return []
    return [releaseOf(repair) ?? refuse(`the repair of finding ${index} is not one`)]
  })
}

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
