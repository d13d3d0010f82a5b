/**
 * One stay inside the gate: commits that follow each other.
 *
 * While a pool thread writes and syncs one commit, bodies of the next run on top
 * of it. Nobody else can write in between, as the gate is kept; so what they read
 * is what will be on disk, and if it does not come to be, they fail with it. A
 * stay is short, as other processes wait.
 *
 * @module
 */
import type { Reader } from '../store.ts'
import { type Batch, type Batches, volumeOf } from './batch.ts'
import { REVISION, revisionOf } from './changes.ts'
import { commitHere, commitInPool, mustBegin } from './commit.ts'
import { type Entry, inTurns, thrownBy } from './entry.ts'
import type { Environment } from './environment.ts'
import { type Overlay, overlay } from './overlay.ts'
import type { Ranges } from './ranges.ts'

/** Bodies, and values that become text, are worked on in stretches, with turns of the event loop between. */
const STRETCH_MS_MAX = 2
/** Bodies that share a commit, all in all. Fewer while the disk is free were measured: more commits, and slower. */
const BODIES_MS_MAX = 16
/** How long commits follow each other. The last may begin then. */
const STAY_MS_MAX = 50
/** Values between two looks at the clock. */
const VALUES_A_LOOK = 32

/** What shares a commit. */
interface Part {
  readonly all: Overlay
  /** That it makes, if it writes anything. */
  readonly revision: number
  readonly entries: Entry[]
  bodiesMs: number
  /** Reads below it, from now on. */
  settle(base: Reader): void
}

export interface StayOptions {
  readonly environment: Environment
  readonly ranges: Ranges
  readonly batches: Batches
  /** Those that wait; what has run is taken from the front. */
  readonly queue: Entry[]
  /** Called once, with the last entries that were committed. `wasCut`: others should have their turn. */
  left(entries: readonly Entry[], wasCut: boolean): void
  /** Instead: nothing of these was written. */
  failed(entries: readonly Entry[], thrown: unknown): void
}

export interface Stay {
  /** The queue has grown. */
  arrived(): void
}

/** Call it inside the gate, when something waits. */
export function stay(options: StayOptions): Stay {
  const { environment, ranges, batches, queue, left, failed } = options
  const { db, gate, room } = environment
  const endMs = performance.now() + STAY_MS_MAX
  /** Is being written; a pool thread may have it. */
  let writing: Part | undefined
  let inPool = false
  /** Its bodies are run. */
  let next: Part | undefined
  let isGathering = false
  let isOver = false

  const isLate = (): boolean => performance.now() > endMs

  /** Ends the stay. */
  function over(): void {
    isOver = true
    next = undefined
  }

  function fail(entries: readonly Entry[], thrown: unknown): void {
    over()
    failed(entries, thrown)
  }

  function begin(): void {
    let before = 0
    const trouble = thrownBy(() => {
      mustBegin(db)
      before = revisionOf(db)
    })
    if (trouble !== undefined) {
      fail(queue.splice(0), trouble)
      return
    }
    next = newPart(ranges.at(before), before + 1)
    gather()
  }

  function gatherLater(): void {
    if (isGathering) return
    isGathering = true
    setImmediate(gather)
  }

  /** One stretch of bodies. */
  function gather(): void {
    isGathering = false
    if (isOver) return
    const part = next ?? onTop()
    next = part
    runSome(queue, part)
    if (hasRoom(part)) gatherLater()
    else if (writing === undefined) write(part)
  }

  const hasRoom = ({ bodiesMs }: Part): boolean => queue.length > 0 && bodiesMs < BODIES_MS_MAX

  /** A part that reads what is being written. */
  function onTop(): Part {
    if (writing === undefined) throw new Error('Broken invariant: a part without one below')
    return newPart(writing.all, writing.revision + 1)
  }

  function write(part: Part): void {
    next = undefined
    writing = part
    if (part.all.values.size === 0) {
      written(part, undefined)
      return
    }
    part.all.put(REVISION, part.revision)
    if (gate.patience === 'pool') inStretches(part)
    else
      written(
        part,
        thrownBy(() => writeHere(part)),
      )
  }

  function writeHere({ all }: Part): void {
    const writes = all.writes()
    room.make(volumeOf(writes))
    commitHere(db, writes)
  }

  /** Values become text, and then a thread has them. */
  function inStretches(part: Part): void {
    const batch = batches.begin()
    const values = part.all.values.entries()
    const some = (): void => {
      const stretchEndMs = performance.now() + STRETCH_MS_MAX
      do {
        for (let count = 0; count < VALUES_A_LOOK; count++) {
          const one = values.next()
          if (one.done === true) {
            inThread(part, batch.end())
            return
          }
          batch.add(one.value[0], one.value[1])
        }
      } while (performance.now() < stretchEndMs)
      setImmediate(some)
    }
    some()
  }

  function inThread(part: Part, batch: Batch): void {
    const noRoom = thrownBy(() => room.make(batch))
    if (noRoom !== undefined) {
      written(part, noRoom)
      return
    }
    commitInPool(db, batches, batch, (thrown) => written(part, thrown))
    inPool = true
    // Whoever goes on with it works after the thread has been told to begin.
    const listening = part.entries.filter(({ listens }) => listens)
    if (listening.length > 0) setImmediate(inTurns<Entry>, listening, (entry) => entry.decide())
    if (queue.length > 0) arrived()
  }

  function arrived(): void {
    if (!inPool || isOver) return
    if (next === undefined ? !isLate() : hasRoom(next)) gatherLater()
  }

  function written(part: Part, thrown: unknown): void {
    writing = undefined
    inPool = false
    if (thrown !== undefined) {
      fail([...part.entries, ...(next?.entries ?? [])], thrown)
      return
    }
    // What follows must not read what was before.
    db.resetReadTxn()
    const wrote = part.all.values.size > 0
    if (wrote) ranges.committed(part.revision, part.all.values)
    const now = wrote ? part.revision : part.revision - 1
    const wasCut = queue.length > 0 && isLate()
    if (queue.length > 0 && !wasCut && gate.patience === 'pool') {
      next ??= newPart(part.all, now + 1)
    }
    if (next === undefined) {
      over()
      left(part.entries, wasCut)
      return
    }
    try {
      inTurns(part.entries, (entry) => entry.answer(undefined))
    } finally {
      follow(next, now)
    }
  }

  /** The part below has been written. */
  function follow(part: Part, before: number): void {
    const trouble = thrownBy(() => {
      mustBegin(db)
      if (revisionOf(db) !== before) throw new Error('another program wrote without the gate')
    })
    if (trouble !== undefined) {
      fail(part.entries, trouble)
      return
    }
    part.settle(ranges.at(before))
    if (isGathering) return
    if (hasRoom(part)) gatherLater()
    else write(part)
  }

  begin()
  return { arrived }
}

function newPart(below: Reader, revision: number): Part {
  let base = below
  const all = overlay({
    get: (key) => base.get(key),
    range: (range) => base.range(range),
  })
  return {
    all,
    revision,
    entries: [],
    bodiesMs: 0,
    settle(settled) {
      base = settled
    },
  }
}

/** Runs as many entries as a stretch allows, at least one if there is one. */
function runSome(queue: Entry[], part: Part): void {
  const startMs = performance.now()
  const endMs = startMs + STRETCH_MS_MAX
  let nowMs = startMs
  let ran = 0
  for (const entry of queue) {
    entry.run(part.all)
    part.entries.push(entry)
    ran++
    nowMs = performance.now()
    if (nowMs > endMs) break
  }
  queue.splice(0, ran)
  part.bodiesMs += nowMs - startMs
}
