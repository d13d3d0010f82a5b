/**
 * Whether the store under a running agent is still the one on the disk, and
 * whether the disk takes another record. LMDB itself notices neither: it goes
 * on in a file that was deleted.
 *
 * @module
 */
import { statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Less room than a few commits of records take. */
const ROOM_BYTES_MIN = 1 << 20

/** Two system calls a question; call once when the store is open. */
export function storeHealth(url: string): () => string | undefined {
  const path = /^lmdb:(.+)$/.exec(url)?.[1]
  if (path === undefined) return () => undefined
  const file = join(path, 'data.mdb')
  const opened = inodeOf(file)
  return () => {
    const found = inodeOf(file)
    if (found === undefined) return `Cannot keep records: store ${path} is gone, wanted ${file}`
    if (opened !== undefined && found !== opened) {
      return `Cannot keep records: store ${path} is another file than the agent opened; restart the agent`
    }
    const room = roomBytes(path)
    if (room >= ROOM_BYTES_MIN) return undefined
    return `Cannot keep records: the disk of store ${path} has ${room} bytes left, wanted ${ROOM_BYTES_MIN}`
  }
}

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino
  } catch {
    return undefined
  }
}

/** For others than root, whose last blocks are kept back. */
function roomBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY // a file system that does not say
  }
}
