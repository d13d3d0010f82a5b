/**
 * What one node's kernel says about its pods, for `trivium ipam check`.
 *
 * @module
 */
import { statfsSync } from 'node:fs'
import type { KernelLook, PodLink } from '../../ipam/check.ts'
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { isPodLinkName, ownsLink, podAliasOwner } from '../kernel/mod.ts'
import { bootId } from './boot.ts'
import { openKernel } from './kernel.ts'

/** NSFS_MAGIC, include/uapi/linux/magic.h. */
const NSFS_MAGIC = 0x6e736673

/** Ask before the store is read for the check. Attachments that come later are judged without namespace. */
export function lookAtKernel(store: Store, node: string): KernelLook {
  const paths = store.read((reader) =>
    [...reader.range(keys.attachments(node))].map(([, { netns }]) => netns),
  )
  const namespaces = new Map(paths.map((path) => [path, isNamespace(path)]))
  return { node, bootId: bootId(), links: podLinks(), namespace: (path) => namespaces.get(path) }
}

/** Links of ours to pods, in the namespace of this process. */
export function podLinks(): readonly PodLink[] {
  const kernel = openKernel()
  try {
    return [...kernel.state().values()].flatMap((object): readonly PodLink[] => {
      if (object.kind !== 'link' || !isPodLinkName(object.name) || !ownsLink(object)) return []
      const owner = podAliasOwner(object.alias)
      return [{ name: object.name, ...(owner === undefined ? {} : { owner }) }]
    })
  } finally {
    kernel.close()
  }
}

/** undefined: it cannot be told, say for want of a right. */
function isNamespace(path: string): boolean | undefined {
  try {
    return statfsSync(path).type === NSFS_MAGIC
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? false : undefined
  }
}
