/**
 * Store URLs of the command line and the agent: those of a node, and
 * `etcd://HOST:PORT[,HOST:PORT]/prefix`, `etcds://…?ca=FILE&cert=FILE&key=FILE`.
 *
 * Apart from `store-url.ts`, which the CNI entry loads: a node's calls never wait
 * for a cluster.
 *
 * @module
 */

import { MIRRORED } from '../../ipam/cluster/mirror.ts'
import type { Beat } from '../../ipam/cluster/records.ts'
import { isEtcdUrl } from '../../ipam/etcd/url.ts'
import { type EtcdStore, openEtcdStore } from '../../ipam/etcd-store.ts'
import { keys } from '../../ipam/keys.ts'
import { type SortedMap, sortedMap } from '../../ipam/sorted-map.ts'
import type { Key, KeyRange, Reader, Store, Tx } from '../../ipam/store.ts'
import { TriviumError } from '../errors.ts'
import { openStore, type StoreOptions } from './store-url.ts'
import { transact } from './transact.ts'

/**
 * Opens a store that can be read at once.
 *
 * @throws {TriviumError} USAGE for a URL we do not know; TRY_LATER when etcd does not
 * answer; NOT_FOUND or STORE as `openStore`.
 */
export async function openAnyStore(url: string, options: StoreOptions = {}): Promise<Store> {
  if (!isEtcdUrl(url)) return openStore(url, options)
  const { mustExist = false } = options
  const shared = openEtcdStore(url, { mustExist })
  const parts = openEtcdStore(url, { part: 'all' })
  try {
    await Promise.all([shared.ready(), parts.ready()])
    return wholeCluster(shared, parts)
  } catch (thrown) {
    shared.close()
    parts.close()
    throw thrown
  }
}

/** Whether the store of the URL is a cluster's. */
export const isClusterUrl = isEtcdUrl

/** What a node keeps itself, of a store that is a cluster's. */
const partsOf = new WeakMap<Store, EtcdStore>()

export const isCluster = (store: Store): boolean => partsOf.has(store)

/**
 * When the node last told etcd that it lives, in Unix milliseconds by its own clock, for people:
 * signs of life are counted, and the count follows that clock. undefined: it is not known.
 */
export function lastSignMs(store: Store, node: string): number | undefined {
  const key: Key<Beat> = `${node}/${keys.beat}`
  return partsOf.get(store)?.read((reader) => reader.get(key))?.count
}

/** Removes the mirror of a node that was deleted. */
export async function forgetMirror(store: Store, node: string): Promise<void> {
  const parts = partsOf.get(store)
  if (parts === undefined) return
  for (;;) {
    const left = await transact(parts, (tx) => {
      const all = [...tx.range(`${node}/` as KeyRange<unknown>)].slice(0, REMOVED_AT_ONCE)
      for (const [key] of all) tx.remove(key)
      return all.length
    })
    if (left < REMOVED_AT_ONCE) return
  }
}

const REMOVED_AT_ONCE = 500

/**
 * Shared records and every node's mirror as one store: what a person looks at.
 * Mirrors may be moments behind, and are the nodes' own: they are not written.
 */
function wholeCluster(shared: EtcdStore, parts: EtcdStore): Store {
  let mirrored: SortedMap | undefined
  const forget = (): void => {
    mirrored = undefined
  }
  parts.follow({ changed: forget, connected: forget, away() {} })
  const own = (): SortedMap => {
    if (mirrored !== undefined) return mirrored
    const map = sortedMap()
    for (const [key, value] of parts.read((reader) => reader.range('' as KeyRange<unknown>))) {
      map.set(key.slice(key.indexOf('/') + 1), value)
    }
    mirrored = map
    return map
  }
  const reading = (reader: Reader): Reader => ({
    get: <T>(key: Key<T>) => (isOwn(key) ? (own().get(key) as T | undefined) : reader.get(key)),
    range: <T>(range: KeyRange<T>) =>
      isOwn(range) ? (own().range(range) as [Key<T>, T][]) : reader.range(range),
  })
  const store: Store = {
    read: (body) => shared.read((reader) => body(reading(reader))),
    transact: (body, done, decided) =>
      shared.transact((tx) => body({ ...tx, ...reading(tx), ...writing(tx) }), done, decided),
    watch(changed) {
      const ends = [shared.watch(changed), parts.watch(changed)]
      return () => {
        for (const end of ends) end()
      }
    },
    close() {
      shared.close()
      parts.close()
    },
  }
  partsOf.set(store, parts)
  return store
}

const isOwn = (key: string): boolean => MIRRORED.some((range) => key.startsWith(range))

function writing(tx: Tx): Pick<Tx, 'put' | 'remove'> {
  const shared = (key: string): void => {
    if (!isOwn(key)) return
    throw new TriviumError(
      'CONFLICT',
      `Cannot change ${key} in the cluster: it is its node's own, wanted what all nodes share`,
      "Do it on that node, with the node's own store: --store lmdb:/var/lib/trivium/store",
    )
  }
  return {
    put(key, value) {
      shared(key)
      tx.put(key, value)
    },
    remove(key) {
      shared(key)
      tx.remove(key)
    },
  }
}
