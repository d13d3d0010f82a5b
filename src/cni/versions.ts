/**
 * Versions of the CNI specification and what each allows.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'

/** Every released version. Source: CNI specification 1.1.0, "Released versions". */
export const CNI_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

export type CniVersion = (typeof CNI_VERSIONS)[number]

/** Our own version, where a caller names none. */
export const CNI_VERSION_CURRENT: CniVersion = '1.1.0'

/** Verbs that came later than 0.1.0. */
const VERB_SINCE = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' } as const

const order = (version: CniVersion): number => CNI_VERSIONS.indexOf(version)

export const isAtLeast = (version: CniVersion, floor: CniVersion): boolean =>
  order(version) >= order(floor)

/**
 * The version of a configuration; an absent one means 0.1.0.
 *
 * @throws {TriviumError} BAD_JSON when it is not a dotted version;
 * INCOMPATIBLE_VERSION when we do not speak it.
 */
export function parseCniVersion(value: unknown): CniVersion {
  if (value === undefined || value === '') return '0.1.0'
  if (typeof value !== 'string' || !/^\d+(\.\d+){0,2}$/.test(value)) {
    throw new TriviumError(
      'BAD_JSON',
      `Cannot read cniVersion ${JSON.stringify(value)}: wanted a dotted version like 1.0.0`,
    )
  }
  const version = CNI_VERSIONS.find((known) => known === value)
  if (version !== undefined) return version
  throw new TriviumError(
    'INCOMPATIBLE_VERSION',
    'incompatible CNI versions',
    `config is "${value}", plugin supports ${JSON.stringify(CNI_VERSIONS)}`,
  )
}

/** @throws {TriviumError} INCOMPATIBLE_VERSION when `version` does not have the verb. */
export function requireVerb(verb: string, version: CniVersion): void {
  const since = VERB_SINCE[verb as keyof typeof VERB_SINCE]
  if (since === undefined || isAtLeast(version, since)) return
  throw new TriviumError(
    'INCOMPATIBLE_VERSION',
    `config version does not allow ${verb}`,
    `config is "${version}", ${verb} needs ${since} or newer`,
  )
}
