/**
 * The network configuration on standard input.
 *
 * It names the network, the store and the socket, and nothing else: mode, pools
 * and options live in the store. A key that belongs there is refused, because
 * silently ignoring it would leave two truths.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import { type Delegation, parseDelegation } from './delegate.ts'
import { isRecord } from './json.ts'

/** Which of the two executables was called. */
export type Plugin = 'trivium' | 'trivium-ipam'

/** One attachment in `cni.dev/valid-attachments`. */
export interface ValidAttachment {
  readonly containerId: string
  readonly ifname: string
}

export interface NetConf {
  readonly name: string
  /** Store URL; undefined when the agent's own is meant. */
  readonly store?: string
  /** Path of the agent's socket. */
  readonly socket?: string
  /** As it came; its shape depends on the version. */
  readonly prevResult?: Readonly<Record<string, unknown>>
  /** What the plugin above says; empty for `trivium` and on DEL. */
  readonly delegation: Delegation
  /** undefined when the key is missing, which must not mean "none is valid". */
  readonly validAttachments?: readonly ValidAttachment[]
}

/** Keys that `trivium network` owns. */
const ELSEWHERE = [
  'mode',
  'pool',
  'pools',
  'subnet',
  'vni',
  'vlan',
  'vlanId',
  'mtu',
  'backend',
  // Of host-local.
  'ranges',
  'rangeStart',
  'rangeEnd',
  'gateway',
] as const

/**
 * @param tolerant Takes what it can use and passes over the rest.
 * @throws {TriviumError} UNSUPPORTED_FIELD, BAD_CONFIG or BAD_JSON, naming the key.
 */
export function parseNetConf(
  raw: Readonly<Record<string, unknown>>,
  name: string,
  plugin: Plugin,
  tolerant = false,
): NetConf {
  const own = plugin === 'trivium' ? raw : (raw['ipam'] ?? {})
  const { prevResult } = raw
  if (!tolerant) {
    checkOwn(own, name)
    if (prevResult !== undefined && !isRecord(prevResult)) {
      throw new TriviumError(
        'BAD_JSON',
        `could not parse prevResult: it is ${told(prevResult)}, wanted an object`,
      )
    }
  }
  const readable = isRecord(own) ? own : {}
  return {
    name,
    ...optionalText(readable, 'store', tolerant),
    ...optionalText(readable, 'socket', tolerant),
    ...(isRecord(prevResult) ? { prevResult } : {}),
    delegation: plugin === 'trivium' || tolerant ? {} : parseDelegation(raw),
    ...(tolerant ? {} : validAttachments(raw['cni.dev/valid-attachments'])),
  }
}

/** A value from outside, in a sentence. */
const told = (value: unknown): string => JSON.stringify(value).slice(0, 256)

function checkOwn(own: unknown, name: string): void {
  if (!isRecord(own)) {
    throw new TriviumError('BAD_CONFIG', `Cannot read "ipam": it is ${told(own)}, wanted an object`)
  }
  for (const key of ELSEWHERE) {
    if (own[key] === undefined) continue
    throw new TriviumError(
      'UNSUPPORTED_FIELD',
      `unsupported field "${key}": ${told(own[key])}`,
      `Mode, pools and options live in the store; use: trivium network set ${name}`,
    )
  }
}

function optionalText<K extends string>(
  object: Readonly<Record<string, unknown>>,
  key: K,
  tolerant: boolean,
): { readonly [key in K]?: string } {
  const value = object[key]
  if (typeof value === 'string' && value !== '') return { [key]: value } as { [key in K]: string }
  if (value === undefined || tolerant) return {}
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot read "${key}": ${told(value)}, wanted a non-empty text`,
  )
}

function validAttachments(value: unknown): Pick<NetConf, 'validAttachments'> {
  if (value === undefined) return {}
  const refuse = (found: unknown): never => {
    const wanted = 'wanted a list of {"containerID", "ifname"}'
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot read "cni.dev/valid-attachments": found ${told(found)}, ${wanted}`,
    )
  }
  if (!Array.isArray(value)) return refuse(value)
  const list = value.map((entry: unknown): ValidAttachment => {
    if (!isRecord(entry)) return refuse(entry)
    const { containerID: containerId, ifname } = entry
    if (typeof containerId !== 'string' || typeof ifname !== 'string') return refuse(entry)
    return { containerId, ifname }
  })
  return { validAttachments: list }
}
