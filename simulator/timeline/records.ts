/**
 * At every moment links are a subset of records: ADD writes first and DEL forgets last.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import { isPodLinkName } from '../../src/kernel/mod.ts'
import type { Cluster } from '../world.ts'

/** Nodes that are looked at each time. */
const NODES_MAX = 32

export class RecordsWatch {
  /** What a node's kernel and its part of the store were when it was looked at, by index. */
  private readonly seen = new Map<number, string>()

  /** Links of pods on some nodes that no attachment names; nodes without change are left out. */
  unrecorded({ nodes, store }: Cluster, indexes: ReadonlySet<number>): readonly string[] {
    const some = [...indexes].slice(0, NODES_MAX).flatMap((index) => nodes[index] ?? [])
    return some.flatMap(({ index, record, kernel, version }) => {
      const stamp = `${kernel.operations} ${kernel.version} ${version}`
      if (this.seen.get(index) === stamp) return []
      this.seen.set(index, stamp)
      const links = [...kernel.objects()].flatMap((object) =>
        object.kind === 'link' && isPodLinkName(object.name) ? [object.name] : [],
      )
      if (links.length === 0) return []
      const recorded = store.read((reader) => {
        const all = [...reader.range(keys.attachments(record.name))]
        return new Set(all.map(([, { hostLink }]) => hostLink))
      })
      return links
        .filter((link) => !recorded.has(link))
        .map((link) => `${record.name} has ${link}, of which the store knows nothing`)
    })
  }
}
