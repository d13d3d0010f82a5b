/**
 * What libcni does: a configuration file as a list of plugins, and each
 * plugin's variables and standard input.
 *
 * Source: CNI specification 1.1.0, sections 1 and 3; containernetworking/cni
 * libcni/conf.go and api.go.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import type { Json } from '../lab/json.ts'
import { SPEC_VERSIONS, type SpecVersion } from './model.ts'
import type { Ended, Fault } from './process.ts'
import { isRecord } from './result.ts'

export type CniVerb = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC' | 'VERSION'

export interface NetworkList {
  readonly name: string
  /** As the file has it. */
  readonly cniVersion: string
  readonly plugins: readonly Json[]
}

/**
 * A `.conf` is a list of one.
 *
 * @throws {TriviumError} USAGE for a file that no runtime would load.
 */
export function parseNetworkList(text: string, path: string): NetworkList {
  const refuse = (found: string): never => {
    throw new TriviumError('USAGE', `Cannot load ${path}: ${found}`)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (thrown) {
    return refuse(`not JSON: ${(thrown as Error).message}`)
  }
  if (!isRecord(parsed)) return refuse('not a JSON object')
  const { name, cniVersion = '0.1.0', plugins } = parsed
  if (typeof name !== 'string' || name === '') return refuse('no "name"')
  const list = plugins === undefined ? [parsed] : plugins
  if (!Array.isArray(list) || list.length === 0) return refuse('"plugins" is no list with entries')
  for (const plugin of list) {
    const type: unknown = isRecord(plugin) ? plugin['type'] : undefined
    if (typeof type !== 'string' || type === '' || type.includes('/')) {
      return refuse(`a plugin's "type" is ${JSON.stringify(type)}, wanted a file's name`)
    }
  }
  return { name, cniVersion: String(cniVersion), plugins: list as readonly Json[] }
}

export interface Injected {
  readonly name: string
  readonly version: string
  readonly prevResult?: Json | undefined
  /** What the runtime offers; only what the plugin declares is passed. */
  readonly runtimeConfig?: Json
  readonly validAttachments?: readonly Json[]
}

/** A plugin's standard input: its entry of the list, and what libcni puts into it. */
export function pluginInput(plugin: Json, injected: Injected): Json {
  const { name, version, prevResult, runtimeConfig = {}, validAttachments } = injected
  const declared = isRecord(plugin['capabilities']) ? plugin['capabilities'] : {}
  const offered = Object.entries(runtimeConfig).filter(([key]) => declared[key] === true)
  return {
    ...plugin,
    name,
    cniVersion: version,
    ...(prevResult === undefined ? {} : { prevResult }),
    ...(offered.length === 0 ? {} : { runtimeConfig: Object.fromEntries(offered) }),
    ...(validAttachments === undefined
      ? {}
      : { 'cni.dev/valid-attachments': validAttachments, 'cni.dev/attachments': validAttachments }),
  }
}

/** Capabilities that some plugin of the list declares. */
export function capabilitiesOf({ plugins }: NetworkList): readonly string[] {
  const declared = plugins.flatMap(({ capabilities }) =>
    isRecord(capabilities)
      ? Object.keys(capabilities).filter((key) => capabilities[key] === true)
      : [],
  )
  return [...new Set(declared)]
}

/** One call and how it ended. */
export interface Call extends Ended {
  readonly verb: string
  readonly plugin: string
}

/** What a runtime makes of it. */
export type Answer =
  | { readonly kind: 'ok'; readonly object: Json | undefined; readonly isStrict: boolean }
  | { readonly kind: 'error'; readonly code: unknown; readonly msg: string; readonly object: Json }
  | { readonly kind: 'broken'; readonly why: string }

const FAULTS: Readonly<Record<Fault, string>> = {
  timeout: 'it did not end in time and was killed',
  flood: 'it wrote more than a megabyte to standard output and was killed',
  encoding: 'standard output is not UTF-8',
}

/**
 * Reads an answer. What is not strictly one JSON object is still searched for
 * one, so that a plugin that logs to standard output breaks one rule, not all.
 */
export function answerOf({ exitStatus, stdout, fault }: Call): Answer {
  if (fault !== undefined) return { kind: 'broken', why: FAULTS[fault] }
  const strict = parseObject(stdout)
  const object = strict ?? findObject(stdout)
  if (exitStatus === 0) return { kind: 'ok', object, isStrict: strict !== undefined }
  if (object === undefined) {
    const found = stdout.trim() === '' ? 'nothing' : JSON.stringify(stdout.slice(0, 80))
    return {
      kind: 'broken',
      why: `exit status ${exitStatus} and ${found} on standard output, wanted an error object`,
    }
  }
  return { kind: 'error', code: object['code'], msg: messageOf(object), object }
}

const messageOf = ({ msg, details }: Json): string =>
  [msg, details].filter((text) => typeof text === 'string' && text !== '').join('; ')

function parseObject(text: string): Json | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isRecord(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

const TRIES_MAX = 32

/** The last object that starts and ends at a line's end. */
function findObject(text: string): Json | undefined {
  const lines = text.split('\n')
  const starts = lines.flatMap((line, index) => (line.startsWith('{') ? [index] : []))
  const ends = lines.flatMap((line, index) => (line.trimEnd().endsWith('}') ? [index + 1] : []))
  for (const start of starts.slice(-TRIES_MAX)) {
    for (const end of ends.slice(-TRIES_MAX).reverse()) {
      const found = end > start ? parseObject(lines.slice(start, end).join('\n')) : undefined
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** An answer in a line. */
export function tellAnswer(call: Call): string {
  const answer = answerOf(call)
  const who = `${call.plugin} ${call.verb}`
  if (answer.kind === 'broken') return `${who}: ${answer.why}`
  if (answer.kind === 'ok') return `${who}: exit status 0`
  return `${who}: code ${String(answer.code)}: ${answer.msg}`
}

/** Versions in the answer to VERSION that the specification knows. */
export function spokenVersions(object: Json | undefined): readonly SpecVersion[] {
  const listed = object?.['supportedVersions']
  return Array.isArray(listed) ? SPEC_VERSIONS.filter((version) => listed.includes(version)) : []
}
