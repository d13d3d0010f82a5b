/**
 * The installed command line on a store of the test's own.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Tx } from '../../ipam/mod.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from './folder.ts'

const CLI = fileURLToPath(new URL('../../dist/cli.cjs', import.meta.url))

/** @param t The test that the store ends with. */
export function cliOnStore(t: Parameters<typeof ownFolder>[0]) {
  const path = `${ownFolder(t)}/store`
  return {
    trivium(...args: readonly string[]) {
      const command = [CLI, ...args, '--store', `lmdb:${path}`]
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' })
      return { status, stdout, stderr }
    },
    async inStore<T>(body: (tx: Tx) => T): Promise<T> {
      const store = openLmdbStore(path)
      try {
        return await answerOf(store, body)
      } finally {
        store.close()
      }
    },
  }
}
