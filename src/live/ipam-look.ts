/**
 * What one node's kernel says about its pods, for `trivium ipam check`.
 *
 * @module
 */
import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  checkIpam,
  confirmed,
  type IpamFinding,
  type KernelLook,
  type PodLink,
} from '../../ipam/check.ts'
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { TriviumError } from '../errors.ts'
import { isPodLinkName, type KernelObject, ownsLink, podAliasOwner } from '../kernel/mod.ts'
import { bootId } from './boot.ts'
import { openKernel } from './kernel.ts'

/** Longer than an ADD or DEL takes to have both its link and its record. */
const SECOND_LOOK_MS = 1000

/** What two looks agree on; one is enough when it finds nothing. */
export async function lookTwice(
  store: Store,
  node: string | undefined,
): Promise<readonly IpamFinding[]> {
  const once = (): readonly IpamFinding[] => {
    const kernel = node === undefined ? undefined : lookAtKernel(store, node)
    return store.read((reader) => checkIpam(reader, kernel))
  }
  const first = once()
  if (first.length === 0) return first
  await pause(SECOND_LOOK_MS)
  return confirmed(first, once())
}

/** NSFS_MAGIC, include/uapi/linux/magic.h. */
const NSFS_MAGIC = 0x6e736673

/**
 * Ask before the store is read for the check. Attachments that come later are judged without namespace.
 *
 * @throws {TriviumError} UNKNOWN_NODE in another network namespace than the node's:
 * there every pod would seem to have lost its link.
 */
export function lookAtKernel(store: Store, node: string): KernelLook {
  mustBeOn(store, node)
  const paths = store.read((reader) =>
    [...reader.range(keys.attachments(node))].map(([, { netns }]) => netns),
  )
  const namespaces = new Map(paths.map((path) => [path, isNamespace(path)]))
  return { node, bootId: bootId(), links: podLinks(), namespace: (path) => namespaces.get(path) }
}

/** @throws {TriviumError} UNKNOWN_NODE in another network namespace than the node's. */
export function mustBeOn(store: Store, node: string): void {
  const record = store.read((reader) => reader.get(keys.node(node)))
  if (record === undefined) return
  const ips = new Set<string>(
    objectsHere().flatMap((object) => (object.kind === 'addr' ? [object.ip] : [])),
  )
  if (record.underlayIps.some((ip) => ips.has(ip))) return
  const found = `none of ${record.underlayIps.join(', ')} is an address here`
  throw new TriviumError(
    'UNKNOWN_NODE',
    `Cannot look at node ${node}: ${found}, wanted its own network namespace`,
    'Run this on the node itself, or as another node: --node NAME',
  )
}

function objectsHere(): readonly KernelObject[] {
  const kernel = openKernel()
  try {
    return [...kernel.state().values()]
  } finally {
    kernel.close()
  }
}

/** Links of ours to pods, in the namespace of this process. */
export function podLinks(): readonly PodLink[] {
  return objectsHere().flatMap((object): readonly PodLink[] => {
    if (object.kind !== 'link' || !isPodLinkName(object.name) || !ownsLink(object)) return []
    const owner = podAliasOwner(object.alias)
    return [{ name: object.name, ...(owner === undefined ? {} : { owner }) }]
  })
}

/**
 * undefined: it cannot be told. In a container the folder of namespaces may not be
 * there, and processes have other numbers: what is missing then says nothing.
 */
export function isNamespace(path: string): boolean | undefined {
  try {
    return statfsSync(path).type === NSFS_MAGIC
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    const isTold = !path.startsWith('/proc/') && existsSync(dirname(path))
    return code === 'ENOENT' && isTold ? false : undefined
  }
}
