/**
 * Store URLs of a node: `lmdb:PATH`, `memory:`. Those of a cluster: `cluster-store.ts`.
 *
 * @module
 */
import { isAbsolute } from 'node:path'
import { type LmdbStoreOptions, openLmdbStore } from '../../ipam/lmdb-store.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import type { Store } from '../../ipam/store.ts'
import { asTriviumError, TriviumError } from '../errors.ts'

export interface StoreOptions {
  /** Refuse a store that does not exist yet instead of making an empty one. */
  readonly mustExist?: boolean
  /** How a transaction waits while another process writes. @default 'blocks' */
  readonly patience?: NonNullable<LmdbStoreOptions['patience']>
}

/**
 * @throws {TriviumError} USAGE for a URL we do not know; STORE when it cannot be opened.
 */
export function openStore(url: string, options: StoreOptions = {}): Store {
  if (url === 'memory:') return memoryStore({ defer: setImmediate })
  const path = /^lmdb:(.+)$/.exec(url)?.[1]
  if (path === undefined || !isAbsolute(path)) {
    throw new TriviumError(
      'USAGE',
      `Cannot open store ${JSON.stringify(url)}: wanted lmdb:/absolute/path or memory:`,
    )
  }
  try {
    return openLmdbStore(path, options)
  } catch (thrown) {
    throw asTriviumError(thrown, 'STORE')
  }
}
