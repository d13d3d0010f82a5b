/**
 * Work that must look at every prefix of a family, in stretches: each walk has a
 * place, and goes on from there when it is its turn. Walks run one after another.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { FamilyRib } from './family-rib.ts'
import type { Group } from './group.ts'
import { NO_PATH } from './paths.ts'

/** What is done at each prefix. */
export type Walk =
  /** Removes what a peer taught before `epoch`. */
  | { readonly kind: 'sweep'; readonly peer: number; readonly epoch: number }
  /** Applies a peer's new import policy; `stale` is the context that nobody is in afterwards. */
  | { readonly kind: 'reimport'; readonly peer: number; readonly stale: number }
  /** Says to a group what it has not been told; the peer waits for the end of it. */
  | { readonly kind: 'fill'; readonly group: Group; readonly peer?: number }
  /** Says to one member what its group was told, because it is new or asks. */
  | {
      readonly kind: 'repeat'
      readonly group: Group
      readonly peer: number
      readonly isRefresh: boolean
    }
  /** Decides anew where a next hop is used whose cost changed. */
  | { readonly kind: 'next-hop'; readonly nextHop: number }

/** Goes on at `from` for `count` prefixes at most and returns where it stopped. */
export function walk(rib: FamilyRib, what: Walk, from: number, count: number): number {
  const end = Math.min(rib.table.end, from + count)
  for (let prefix = from; prefix < end; prefix++) {
    if (rib.table.has(prefix)) visit(rib, what, prefix)
  }
  return end
}

function visit(rib: FamilyRib, what: Walk, prefix: number): void {
  switch (what.kind) {
    case 'sweep':
      sweep(rib, what.peer, what.epoch, prefix)
      break
    case 'reimport':
      eachPath(rib, prefix, (path) => {
        if (rib.paths.peer[path] === what.peer) rib.reimport(prefix, path)
      })
      break
    case 'fill':
      // One that waits is said to every group when it is decided.
      if (rib.isWaiting(prefix)) break
      rib.decision.decide(rib.head[prefix]!)
      what.group.update(prefix, rib.decision)
      break
    case 'repeat':
      what.group.repeat(prefix, what.peer)
      break
    case 'next-hop':
      eachPath(rib, prefix, (path) => {
        const loc = rib.paths.loc[path]!
        if (loc !== 0 && rib.loc.nextHop[loc] === what.nextHop) rib.touch(prefix)
      })
      break
    default:
      assertNever(what)
  }
}

function eachPath(rib: FamilyRib, prefix: number, act: (path: number) => void): void {
  for (let path = rib.head[prefix]!; path !== NO_PATH; path = rib.paths.next[path]!) act(path)
}

function sweep(rib: FamilyRib, peer: number, epoch: number, prefix: number): void {
  const { paths } = rib
  const now = rib.epochOf[peer]!
  const ageMax = (now - epoch) & 255
  let before = NO_PATH
  let path = rib.head[prefix]!
  while (path !== NO_PATH) {
    const after = paths.next[path]!
    if (paths.peer[path] === peer && ((now - paths.epoch[path]!) & 255) > ageMax) {
      rib.removePath(prefix, path, before)
    } else before = path
    path = after
  }
}
