/**
 * The newest mark of a member's store, in a file that lives as long as a boot: a
 * store with an older one is a copy of before, and may not know which blocks the
 * node has given up since.
 *
 * @module
 */

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Incarnation, Membership } from '../../ipam/cluster/records.ts'

/** Beside the agent's socket: on a tmpfs, as calls without an agent look at it, too. */
export const markPath = (socketPath: string): string => join(dirname(socketPath), 'cluster.mark')

export interface MarkFile {
  /** Whether the store of that membership has been further. */
  isOlder(membership: Membership): boolean
  /** After the store has it, before anybody else may rely on it. @throws when the file cannot be written. */
  note(incarnation: Incarnation, mark: number): void
}

export function markFile(path: string): MarkFile {
  let noted = ''
  return {
    isOlder: ({ incarnation, mark = 0 }) => newestMark(path, incarnation) > mark,
    note({ store }, mark) {
      const text = `${store} ${mark}\n`
      if (text === noted) return
      const aside = `${path}.${process.pid}`
      writeFileSync(aside, text, { mode: 0o600 })
      renameSync(aside, path)
      noted = text
    },
  }
}

/** 0 where there is none of this store: it is another's, or of another boot. */
export function newestMark(path: string, { store }: Incarnation): number {
  let text: string
  try {
    text = readFileSync(path, 'utf8').slice(0, 200)
  } catch {
    return 0
  }
  const [of, mark = '0'] = text.trim().split(' ')
  return of === store && /^[0-9]{1,15}$/.test(mark) ? Number(mark) : 0
}
