/**
 * A pod's macvlan: all of it is in the pod's namespace, and what leads to it on the
 * node's own (backend/vlan/macvlan.ts).
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { openNetns } from 'netlink-ts/live'
import { keys } from '../../../ipam/keys.ts'
import type { AttachmentKey, AttachmentRecord } from '../../../ipam/records.ts'
import { podMac } from '../../backend/routed-pod.ts'
import { macvlanWays } from '../../backend/vlan/macvlan.ts'
import type { CniRequest } from '../../cni/mod.ts'
import { TriviumError } from '../../errors.ts'
import {
  bornLinkName,
  isNft,
  type KernelOp,
  type Link,
  type NftElement,
  podAlias,
} from '../../kernel/mod.ts'
import type { LiveKernel } from '../kernel.ts'
import type { PodNetns } from '../netns.ts'
import type { PodMacvlan } from '../pod-macvlans.ts'
import { forgetSegment } from '../segment-guard.ts'
import type { CniHost } from './host.ts'

/** Whether the attachment has, or may have, such a link. */
export function isOnMacvlan(
  key: AttachmentKey,
  record: AttachmentRecord | undefined,
  { store }: CniHost,
): boolean {
  if (record !== undefined) return record.macvlan === true
  const network = store.read((reader) => reader.get(keys.network(key.network)))
  return network?.mode === 'vlan' && network.options.attachment === 'macvlan'
}

/**
 * Removes the link, then what leads to it. In the namespaces that the runtime and the
 * record name, and, where a record says that there is one, in every other that ADD
 * has ever been in: a path may be gone, or be another's by now.
 */
export async function removeMacvlan(
  key: AttachmentKey,
  record: AttachmentRecord | undefined,
  { kernel, store }: CniHost,
  netnsPath = '',
): Promise<void> {
  const isOurs = ownOf(key, record)
  let count = 0
  for (const path of new Set([netnsPath, record?.netns ?? ''])) {
    count += await removeAt(path, isOurs, kernel)
  }
  if (count === 0 && record !== undefined) {
    await removeFound((await kernel.macvlans.all()).filter(isOurs), kernel)
  }
  if (record === undefined) return
  const network = store.read((reader) => reader.get(keys.network(key.network)))
  if (network !== undefined) await closeWays(record, network.options.vlanId, kernel)
}

/** An alias may be missing: a process killed between two messages leaves such a link. */
function ownOf(
  key: AttachmentKey,
  record: AttachmentRecord | undefined,
): (link: PodMacvlan) => boolean {
  const { network, containerId, ifname } = key
  const mac = podMac(record ?? key)
  const stem = (alias: string): string => alias.slice(0, alias.lastIndexOf(' '))
  const alias = stem(podAlias(network, containerId, ifname, record?.sequence ?? 0))
  return (link) =>
    link.alias === undefined || link.alias === ''
      ? [ifname, bornLinkName(ifname)].includes(link.name) && link.mac === mac
      : stem(link.alias) === alias
}

/** @returns how many there were. */
async function removeAt(
  path: string,
  isOurs: (link: PodMacvlan) => boolean,
  kernel: LiveKernel,
): Promise<number> {
  const fd = opened(path)
  if (fd === undefined) return 0
  try {
    const found = kernel.macvlans.inNetns(fd).filter(isOurs)
    await removeFound(found, kernel)
    for (const { name } of found) forgetSegment(fd, name)
    return found.length
  } finally {
    closeSync(fd)
  }
}

async function removeFound(links: readonly PodMacvlan[], { macvlans }: LiveKernel): Promise<void> {
  for (const link of links) {
    const failure = await macvlans.remove(link)
    if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
  }
}

function opened(path: string): number | undefined {
  try {
    return path === '' ? undefined : openNetns(path)
  } catch {
    return undefined
  }
}

async function closeWays(
  record: AttachmentRecord,
  vlanId: number,
  kernel: LiveKernel,
): Promise<void> {
  const ways = macvlanWays(record, vlanId)
  await kernel.removeElements(ways.filter((each): each is NftElement => isNft(each)))
  const routes = ways.filter((each) => !isNft(each))
  const ops = routes.map((object): KernelOp => ({ kind: 'remove', object }))
  const failures = await kernel.applySoon(ops)
  const failure = failures.find((each) => each !== undefined && !GONE.has(each.code))
  if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
}

const GONE: ReadonlySet<string> = new Set(['ESRCH', 'ENODEV', 'ENOENT'])

/** The parent, which no look from inside the pod's namespace tells by name. @throws {TriviumError} CHECK_FAILED */
export function checkParent(
  link: Link | undefined,
  { ifname }: CniRequest,
  netns: PodNetns,
  node: LiveKernel,
): void {
  if (link?.link.type !== 'macvlan' || link.link.parent === undefined) return
  const { parent } = link.link
  const { link: found, linkNetnsId } = netns.kernel.link(ifname) ?? {}
  const wanted = node.link(parent)?.index
  // Numbers of links are a namespace's own: another node's uplink may have the same.
  const isHere = linkNetnsId !== undefined && linkNetnsId === idOfNode(netns)
  if (isHere && found !== undefined && found === wanted) return
  const where = isHere ? `the node's link number ${found}` : "a link that is not the node's"
  throw new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for interface ${ifname} in the pod: it is on ${where}, wanted ${parent}, number ${wanted ?? 'none'}`,
    'Nobody repairs a pod from outside: let the runtime make it anew',
  )
}

/** The pod's id of the node's namespace. */
function idOfNode({ kernel }: PodNetns): number | undefined {
  const fd = openNetns('/proc/self/ns/net')
  try {
    return kernel.macvlans.idOf(fd)
  } finally {
    closeSync(fd)
  }
}
