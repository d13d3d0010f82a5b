/**
 * Tells watchers about commits, also those of other processes.
 *
 * @module
 */
import { type FSWatcher, watch as watchFile } from 'node:fs'
import { join } from 'node:path'
import type { Key } from '../store.ts'
import type { Database } from './environment.ts'
import { DATA_FILE } from './inspect.ts'

/** Grows by one with every commit that writes: what a snapshot itself says about its age. */
export const REVISION: Key<number> = 'revision'

/**
 * A writer touches the file just before its commit becomes visible, so looks
 * are repeated, each time after twice as long, until a few found nothing.
 */
const WATCH_SETTLE_MS = 2
const WATCH_LOOKS = 8

export interface Changes {
  watch(changed: () => void): () => void
  close(): void
}

export const revisionOf = (db: Database): number => (db.get(REVISION) as number | undefined) ?? 0

/** Watches the store in the directory `path`. Keeps no process alive. */
export function watchChanges(db: Database, path: string, pollMs: number): Changes {
  const watchers = new Set<() => void>()
  let files: FSWatcher | undefined
  let poll: NodeJS.Timeout | undefined
  let settle: NodeJS.Timeout | undefined
  let looks = 0
  let seen = 0

  function look(): void {
    settle = undefined
    db.resetReadTxn()
    const now = revisionOf(db)
    const changed = now !== seen
    seen = now
    looks = changed ? 0 : looks + 1
    if (looks < WATCH_LOOKS) settle = setTimeout(look, WATCH_SETTLE_MS << looks).unref()
    if (!changed) return
    for (const watcher of [...watchers]) if (watchers.has(watcher)) watcher()
  }

  function start(): void {
    db.resetReadTxn()
    seen = revisionOf(db)
    poll = setInterval(() => {
      if (settle === undefined) look()
    }, pollMs).unref()
    try {
      files = watchFile(join(path, DATA_FILE), { persistent: false })
      files.on('change', () => {
        looks = 0
        settle ??= setTimeout(look, WATCH_SETTLE_MS).unref()
      })
      files.on('error', () => files?.close()) // the poll goes on alone
    } catch {
      // No inotify instances left on this node: the poll is enough, only slower.
    }
  }

  function stop(): void {
    files?.close()
    clearInterval(poll)
    clearTimeout(settle)
    settle = undefined
  }

  return {
    watch(changed) {
      const own = () => changed() // the same function may watch twice
      if (watchers.size === 0) start()
      watchers.add(own)
      return () => {
        if (watchers.delete(own) && watchers.size === 0) stop()
      }
    },
    close() {
      if (watchers.size > 0) stop()
      watchers.clear()
    },
  }
}
