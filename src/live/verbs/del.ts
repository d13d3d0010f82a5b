/**
 * DEL: the links first, the record last.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import { release } from '../../../ipam/mod.ts'
import type { AttachmentKey } from '../../../ipam/records.ts'
import { podElements } from '../../backend/firewall.ts'
import { podMac } from '../../backend/routed-pod.ts'
import { TriviumError } from '../../errors.ts'
import { podLinkName, portElements } from '../../kernel/mod.ts'
import { transact } from '../transact.ts'
import type { CniHost } from './host.ts'
import { isOnMacvlan, removeMacvlan } from './macvlan.ts'
import type { Steps } from './steps.ts'

/**
 * Works with nothing but the store: no namespace, no earlier result, no agent.
 *
 * @param steps Absent where it is a part of something else: an ADD undone.
 * @param netnsPath Where the runtime says that the pod is: one place more to look for its macvlan.
 */
export async function del(
  key: AttachmentKey,
  isLinkOurs: boolean,
  host: CniHost,
  steps?: Steps,
  netnsPath?: string,
): Promise<undefined> {
  refuseUnknowing(host)
  const name = podLinkName(key.network, key.containerId, key.ifname)
  const letGo = host.hold(name)
  try {
    return await removeAll(key, isLinkOurs ? name : undefined, host, { steps, netnsPath })
  } finally {
    letGo()
  }
}

/** What a lost store is about to hear of again must not come back after its DEL. */
function refuseUnknowing({ store, nodeName }: CniHost): void {
  const membership = store.read((reader) => reader.get(keys.membership))
  if (membership === undefined || membership.joined) return
  throw new TriviumError(
    'TRY_LATER',
    `Cannot release addresses on node ${nodeName}: it has not heard yet from etcd what it owns`,
    'Look whether most members of etcd answer this node; its agent goes on by itself',
  )
}

async function removeAll(
  key: AttachmentKey,
  hostLink: string | undefined,
  host: CniHost,
  {
    steps,
    netnsPath,
  }: { readonly steps?: Steps | undefined; readonly netnsPath?: string | undefined },
): Promise<undefined> {
  if (hostLink !== undefined) {
    // Somebody else's link of that name is why ADD failed; it is not ours to remove.
    const failure = await host.kernel.removeOwnLink(hostLink)
    if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
    const record = host.store.read((reader) => reader.get(keys.attachment(host.nodeName, key)))
    if (isOnMacvlan(key, record, host)) await removeMacvlan(key, record, host, netnsPath)
    steps?.mark('unlink')
    await closeGuards(key, hostLink, host)
    steps?.mark('guards')
  }
  const released = await transact(host.store, (tx) => release(tx, host.nodeName, key, Date.now()))
  if (released !== undefined && steps !== undefined) steps.attachment = released
  steps?.mark('store')
  return undefined
}

/** The address may be another pod's in a moment; what stays behind, the agent removes. */
async function closeGuards(
  key: AttachmentKey,
  hostLink: string,
  { store, kernel, nodeName }: CniHost,
): Promise<void> {
  const elements = store.read((reader) => {
    const record = reader.get(keys.attachment(nodeName, key))
    // A macvlan's went with its ways.
    if (record === undefined || record.macvlan === true) return []
    const isPort = reader.get(keys.network(key.network))?.mode === 'vlan'
    return isPort
      ? portElements(hostLink, podMac(record), record.ips)
      : podElements(hostLink, record.ips)
  })
  await kernel.removeElements(elements)
}
