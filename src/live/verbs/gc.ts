/**
 * GC: what no attachment on the runtime's list stands for goes.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import type { CniRequest } from '../../cni/mod.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { del } from './del.ts'
import type { CniCallInput, CniHost } from './host.ts'

/** Only this node's attachments of this network; a missing list is refused, an empty one is not. */
export async function collect(
  request: CniRequest,
  { steps }: CniCallInput,
  host: CniHost,
): Promise<undefined> {
  const { name, validAttachments } = request.config
  if (validAttachments === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      'Cannot collect garbage: "cni.dev/valid-attachments" is missing, wanted a list, empty if none is valid',
    )
  }
  const valid = new Set(
    validAttachments.map(({ containerId, ifname }) => `${containerId}/${ifname}`),
  )
  const records = host.store.read((reader) => [
    ...reader.range(keys.networkAttachments(host.nodeName, name)),
  ])
  steps.mark('store')
  const failures: string[] = []
  for (const [, record] of records) {
    if (valid.has(`${record.containerId}/${record.ifname}`)) continue
    try {
      await host.locks.hold(record, () => del(record, record.hostLink !== undefined, host, steps))
    } catch (thrown) {
      failures.push(asTriviumError(thrown).message)
    }
  }
  if (failures.length === 0) return undefined
  throw new TriviumError(
    'KERNEL',
    `Cannot collect ${failures.length} attachments`,
    failures.join('; '),
  )
}
