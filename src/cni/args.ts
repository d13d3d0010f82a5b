/**
 * CNI_ARGS: `KEY=VALUE;KEY=VALUE`, as runtimes send them.
 *
 * @module
 */
import type { PodIdentity } from '../../ipam/records.ts'
import { TriviumError } from '../errors.ts'

export interface CniArgs {
  readonly pod?: PodIdentity
  /** `IP=` and `MAC=` as they came; `args.cni` may take their place. */
  readonly ip?: string
  readonly mac?: string
}

const KNOWN = new Set([
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID',
  'IP',
  'MAC',
])

/**
 * @param tolerant Takes what it can read and passes over the rest.
 * @throws {TriviumError} BAD_ENVIRONMENT for a pair without exactly one `=`, or
 * an unknown key without `IgnoreUnknown=1`.
 */
export function parseCniArgs(text: string, tolerant = false): CniArgs {
  const values = new Map<string, string>()
  for (const pair of text === '' ? [] : text.split(';')) {
    const [key, value, rest] = pair.split('=')
    if (key !== undefined && value !== undefined && rest === undefined) values.set(key, value)
    else if (!tolerant) {
      throw new TriviumError(
        'BAD_ENVIRONMENT',
        `CNI_ARGS: invalid pair ${JSON.stringify(pair)}`,
        'Wanted KEY=VALUE, separated by semicolons',
      )
    }
  }
  if (!tolerant) checkKeys(values)
  const namespace = values.get('K8S_POD_NAMESPACE')
  const name = values.get('K8S_POD_NAME')
  const [ip, mac] = [values.get('IP'), values.get('MAC')]
  const asked = { ...(ip === undefined ? {} : { ip }), ...(mac === undefined ? {} : { mac }) }
  if (namespace === undefined || name === undefined) return asked
  return { ...asked, pod: { namespace, name, uid: values.get('K8S_POD_UID') ?? '' } }
}

function checkKeys(values: ReadonlyMap<string, string>): void {
  if (['1', 'true'].includes((values.get('IgnoreUnknown') ?? '').toLowerCase())) return
  const unknown = [...values.keys()].filter((key) => !KNOWN.has(key))
  if (unknown.length === 0) return
  throw new TriviumError(
    'BAD_ENVIRONMENT',
    `CNI_ARGS: unknown args ${JSON.stringify(unknown)}`,
    'Leave them out, or let them pass with IgnoreUnknown=1',
  )
}
