/**
 * Store URLs of the command line and the agent: those of a node, and
 * `etcd://HOST:PORT[,HOST:PORT]/prefix`, `etcds://…?ca=FILE&cert=FILE&key=FILE`.
 *
 * Apart from `store-url.ts`, which the CNI entry loads: a node's calls never wait
 * for a cluster.
 *
 * @module
 */

import { isEtcdUrl } from '../../ipam/etcd/url.ts'
import { openEtcdStore } from '../../ipam/etcd-store.ts'
import type { Store } from '../../ipam/store.ts'
import { openStore, type StoreOptions } from './store-url.ts'

/**
 * Opens a store that can be read at once.
 *
 * @throws {TriviumError} USAGE for a URL we do not know; TRY_LATER when etcd does not
 * answer; NOT_FOUND or STORE as `openStore`.
 */
export async function openAnyStore(url: string, options: StoreOptions = {}): Promise<Store> {
  if (!isEtcdUrl(url)) return openStore(url, options)
  const { mustExist = false } = options
  const store = openEtcdStore(url, { mustExist })
  try {
    await store.ready()
    return store
  } catch (thrown) {
    store.close()
    throw thrown
  }
}
