/**
 * The link of an ADD, made while its record is on the way to the disk: a commit
 * waits for the disk and a new pair for the kernel, a millisecond each.
 *
 * The store has decided by then that there may be a pod, and which; only a full
 * disk still says no, and takes the link back. An agent that dies in between
 * leaves it to its successor's first round, to GC, and to any DEL of the same
 * attachment, which goes by the link's name.
 *
 * @module
 */
import type { CniHost } from './host.ts'
import { makeLink, type Plumbing } from './plumb.ts'

export interface EarlyLink {
  /** There is a record now. Resolves when the link is made, rejects when it cannot be. */
  recorded(): Promise<void>
  /** There will be no record: removes what was made. */
  undo(): Promise<void>
}

/** undefined where nobody would keep others from removing a link without a record. */
export function earlyLink(
  plumbing: Plumbing,
  hostLink: string,
  { kernel, unrecorded }: CniHost,
): EarlyLink | undefined {
  if (unrecorded === undefined) return undefined
  let isThere = false
  const forget = unrecorded.add(hostLink)
  const made = makeLink(plumbing, () => {
    isThere = true
  })
  made.catch(() => {}) // told by `recorded`
  return {
    recorded() {
      forget()
      return made
    },
    async undo() {
      try {
        await made.catch(() => {})
        if (isThere) await kernel.removeOwnLink(hostLink)
      } finally {
        forget()
      }
    },
  }
}
