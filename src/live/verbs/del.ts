/**
 * DEL: the links first, the record last.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import { release } from '../../../ipam/mod.ts'
import type { AttachmentKey } from '../../../ipam/records.ts'
import { podElements } from '../../backend/firewall.ts'
import { TriviumError } from '../../errors.ts'
import { ownsLink, podLinkName } from '../../kernel/mod.ts'
import { transact } from '../transact.ts'
import type { CniHost } from './host.ts'
import type { Steps } from './steps.ts'

/**
 * Works with nothing but the store: no namespace, no earlier result, no agent.
 *
 * @param steps Absent where it is a part of something else: an ADD undone.
 */
export async function del(
  key: AttachmentKey,
  isLinkOurs: boolean,
  host: CniHost,
  steps?: Steps,
): Promise<undefined> {
  if (isLinkOurs) {
    const name = podLinkName(key.network, key.containerId, key.ifname)
    const found = host.kernel.link(name)
    // Somebody else's link of that name is why ADD failed; it is not ours to remove.
    const isOurs = found !== undefined && ownsLink(found)
    const failure = isOurs ? await host.kernel.removeLink(name) : undefined
    if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
    steps?.mark('unlink')
    closeGuards(key, name, host)
    steps?.mark('guards')
  }
  const released = await transact(host.store, (tx) => release(tx, host.nodeName, key))
  if (released !== undefined && steps !== undefined) steps.attachment = released
  steps?.mark('store')
  return undefined
}

/** The address may be another pod's in a moment; what stays behind, the agent removes. */
function closeGuards(
  key: AttachmentKey,
  hostLink: string,
  { store, kernel, nodeName }: CniHost,
): void {
  const record = store.read((reader) => reader.get(keys.attachment(nodeName, key)))
  if (record === undefined) return
  kernel.applyNow(podElements(hostLink, record.ips).map((object) => ({ kind: 'remove', object })))
}
