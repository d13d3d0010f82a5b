/**
 * What a runtime asks, read from its environment and standard input.
 *
 * The order of the checks and their words are those of the reference library
 * (containernetworking/cni, pkg/skel), with which every runtime was tested:
 * environment, input, JSON, name, verb, version.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import { type CniArgs, parseCniArgs } from './args.ts'
import { ASKS_NOTHING, type PodAsk, parseAsk } from './ask.ts'
import { type NetConf, type Plugin, parseNetConf } from './config.ts'
import { isRecord } from './json.ts'
import { readResult } from './result-json.ts'
import { CNI_VERSION_CURRENT, type CniVersion, parseCniVersion, requireVerb } from './versions.ts'

/** What arrives: variables and the text on standard input. */
export interface CniInput {
  readonly plugin: Plugin
  readonly env: Readonly<Record<string, string | undefined>>
  readonly config: string
}

const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
export type Verb = (typeof VERBS)[number]

/** A request whose form is right. Empty strings stand for variables the verb does not need. */
export interface CniRequest {
  readonly plugin: Plugin
  readonly verb: Exclude<Verb, 'VERSION'>
  readonly cniVersion: CniVersion
  readonly containerId: string
  readonly netns: string
  readonly ifname: string
  readonly args: CniArgs
  /** What ADD shall give; other verbs ask for nothing. */
  readonly ask: PodAsk
  /** CNI_NETNS_OVERRIDE: our own namespace is allowed. */
  readonly netnsOverride: boolean
  readonly config: NetConf
}

/** VERSION is answered from its input alone. */
export interface VersionRequest {
  readonly verb: 'VERSION'
  readonly cniVersion: string
}

interface Variable {
  readonly name: string
  readonly requiredBy: readonly string[]
  readonly check?: (value: string) => void
}

/** In the order in which they are looked at and named. */
const VARIABLES: readonly Variable[] = [
  { name: 'CNI_COMMAND', requiredBy: VERBS },
  { name: 'CNI_CONTAINERID', requiredBy: ['ADD', 'CHECK', 'DEL'], check: checkContainerId },
  { name: 'CNI_NETNS', requiredBy: ['ADD', 'CHECK'] },
  { name: 'CNI_IFNAME', requiredBy: ['ADD', 'CHECK', 'DEL'], check: checkIfname },
  { name: 'CNI_PATH', requiredBy: ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS'] },
]

/** @throws {TriviumError} with the code of the specification's table. */
export function parseRequest({ plugin, env, config }: CniInput): CniRequest | VersionRequest {
  const verb = env['CNI_COMMAND'] ?? ''
  checkVariables(verb, env)
  if (verb === 'VERSION') return { verb, cniVersion: askedVersion(config) }
  const { raw, name } = readConfig(config)
  const known = VERBS.find((each) => each === verb)
  if (known === undefined || known === 'VERSION') {
    throw new TriviumError(
      'BAD_ENVIRONMENT',
      `unknown CNI_COMMAND: ${verb}`,
      `Wanted one of ${VERBS.join(', ')}`,
    )
  }
  const cniVersion = parseCniVersion(raw['cniVersion'])
  requireVerb(known, cniVersion)
  // DEL has to succeed whatever became of the configuration since ADD.
  const tolerant = known === 'DEL'
  const args = parseCniArgs(env['CNI_ARGS'] ?? '', tolerant)
  const netConf = parseNetConf(raw, name, plugin, tolerant)
  // Before anything is made: what cannot be read can be neither handed on nor compared.
  const usesResult = known === 'ADD' || known === 'CHECK'
  if (usesResult && netConf.prevResult !== undefined) readResult(netConf.prevResult, cniVersion)
  return {
    plugin,
    verb: known,
    cniVersion,
    containerId: env['CNI_CONTAINERID'] ?? '',
    netns: env['CNI_NETNS'] ?? '',
    ifname: env['CNI_IFNAME'] ?? '',
    args,
    ask: known === 'ADD' ? parseAsk(raw, args) : ASKS_NOTHING,
    netnsOverride: ['1', 'true'].includes(env['CNI_NETNS_OVERRIDE'] ?? ''),
    config: netConf,
  }
}

/** The version for an error object, before anything was checked. */
export function askedVersion(config: string): string {
  try {
    const parsed: unknown = JSON.parse(config)
    const version = isRecord(parsed) ? parsed['cniVersion'] : undefined
    return typeof version === 'string' && /^[0-9.]{1,16}$/.test(version)
      ? version
      : CNI_VERSION_CURRENT
  } catch {
    return CNI_VERSION_CURRENT
  }
}

/** A malformed variable ends the search at once; missing ones are named together. */
function checkVariables(verb: string, env: CniInput['env']): void {
  const missing: string[] = []
  for (const { name, requiredBy, check } of VARIABLES) {
    const value = env[name] ?? ''
    const required = requiredBy.includes(verb) || name === 'CNI_COMMAND'
    if (value === '' && required) missing.push(name)
    else if (value !== '' && required) check?.(value)
  }
  if (missing.length === 0) return
  throw new TriviumError(
    'BAD_ENVIRONMENT',
    `required env variables [${missing.join(',')}] missing`,
    'A runtime sets them; by hand, cnitool does',
  )
}

/** Source: CNI specification, section 2 "Parameters"; cni/pkg/utils ValidateContainerID. */
function checkContainerId(id: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)) return
  throw new TriviumError('BAD_ENVIRONMENT', 'invalid characters in containerID', id.slice(0, 128))
}

/** Source: Linux net/core/dev.c dev_valid_name; cni/pkg/utils ValidateInterfaceName. */
function checkIfname(name: string): void {
  const wrong =
    byteLength(name) > 15
      ? 'interface name is too long'
      : name === '.' || name === '..'
        ? 'interface name is . or ..'
        : /[/:\s]/.test(name)
          ? 'interface name contains / or : or whitespace characters'
          : undefined
  if (wrong === undefined) return
  throw new TriviumError(
    'BAD_ENVIRONMENT',
    wrong,
    `CNI_IFNAME is ${JSON.stringify(name.slice(0, 64))}`,
  )
}

/** IFNAMSIZ counts bytes, not characters. */
const byteLength = (text: string): number => new TextEncoder().encode(text).length

function readConfig(text: string): { raw: Readonly<Record<string, unknown>>; name: string } {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('BAD_JSON', `error unmarshall network config: ${reason}`)
  }
  if (!isRecord(raw)) {
    throw new TriviumError('BAD_JSON', 'error unmarshall network config: wanted a JSON object')
  }
  const name = raw['name'] ?? ''
  if (name === '')
    throw new TriviumError(
      'BAD_CONFIG',
      'missing network name',
      'Wanted "name" in the network configuration',
    )
  if (typeof name !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new TriviumError(
      'BAD_CONFIG',
      'invalid characters found in network name',
      JSON.stringify(name).slice(0, 128),
    )
  }
  return { raw, name }
}
