/**
 * The ways of nodes to the cluster's store: each node sees the store through a
 * view of its own, which can be cut.
 *
 * While a node's way is cut its transactions are not carried out and fail after a
 * timeout; it reads what it knew when the way was cut; and what it would be told
 * is held back, and becomes one note when the way is there again. An answer or
 * note that was already under way still arrives. A way that is long takes its time;
 * what a node reads when a note arrives is what the store holds by then.
 *
 * @module
 */
import type { Key, KeyRange, Reader, Store } from '../ipam/store.ts'
import { invariant, TriviumError } from '../src/errors.ts'
import { type Engine, EVENT, TICKS_PER_MS } from './clock.ts'
import type { StoreWire } from './store-wire.ts'

const LOST = 'Cannot reach the store from '

/** Whether an error says that the store was away: nothing that an agent could do better. */
export const isStoreLoss = (message: string): boolean => message.includes(LOST)

export interface StoreLinksOptions {
  readonly store: Store
  /** Names of the nodes, by index. */
  readonly names: readonly string[]
  /** Without an answer in this time a transaction fails, of a node that is cut off. */
  readonly timeoutTicks: number
  readonly wire: StoreWire
  /**
   * The store holds something new for a node, and sends a note soon: one for
   * everything until then. `depart` is asked at that moment for the ticks of its way.
   */
  readonly tell: (node: number, depart: () => number) => void
}

/** What went between nodes and the store. Bytes are keys and values as JSON. */
export interface StoreTraffic {
  readonly commits: number
  readonly bytesWritten: number
  /** Notes to nodes; several commits may share one. */
  readonly notes: number
  /** Every change for every node that reads it. */
  readonly bytesNoted: number
}

interface Way {
  reachable: boolean
  /** What the node knew when it was cut off. */
  known: Reader | undefined
  /** Whether something happened that it was not told. */
  missed: boolean
  /** Of the note that is sent next. */
  noteBytes: number
}

export class StoreLinks {
  private readonly engine: Engine
  private readonly options: StoreLinksOptions
  private readonly ways: readonly Way[]
  /** What the store holds now, as every node that is cut at this moment knows it. */
  private copy: Reader | undefined
  private readonly counted = { commits: 0, bytesWritten: 0, notes: 0, bytesNoted: 0 }
  /** Of the commit that is being answered. */
  private commitBytes = 0

  constructor(engine: Engine, options: StoreLinksOptions) {
    this.engine = engine
    this.options = options
    this.ways = options.names.map(() => ({
      reachable: true,
      known: undefined,
      missed: false,
      noteBytes: 0,
    }))
  }

  /** So far. */
  get traffic(): StoreTraffic {
    return { ...this.counted }
  }

  isReachable(node: number): boolean {
    return this.way(node).reachable
  }

  /** Cuts a node's way to the store, or mends it. No change is a no-op. */
  setReachable(node: number, reachable: boolean): void {
    const way = this.way(node)
    if (way.reachable === reachable) return
    way.reachable = reachable
    if (!reachable) {
      this.copy ??= this.options.store.read(copyOf)
      way.known = this.copy
      return
    }
    way.known = undefined
    if (!way.missed) return
    way.missed = false
    this.tell(node, way)
  }

  /** The store changed. Call before `note`. */
  committed(bytes: number): void {
    this.copy = undefined
    this.counted.commits++
    this.counted.bytesWritten += bytes
    this.commitBytes = bytes
  }

  /** Something that a node reads has changed: it is told, now or when its way is there again. */
  note(node: number, bytes: number): void {
    const way = this.way(node)
    way.noteBytes += bytes
    if (way.reachable) this.tell(node, way)
    else way.missed = true
  }

  private tell(node: number, way: Way): void {
    this.options.tell(node, () => {
      const bytes = way.noteBytes
      way.noteBytes = 0
      this.counted.notes++
      this.counted.bytesNoted += bytes
      return this.options.wire.noteTicks(node, bytes)
    })
  }

  /** The store as a node sees it. */
  view(node: number): Store {
    const { engine } = this
    const { store, wire, timeoutTicks } = this.options
    const way = this.way(node)
    const afterTicks = (ticks: number, run: () => void): void => {
      if (ticks === 0) run()
      else engine.later(ticks, EVENT.store, node, 3, run)
    }
    return {
      read: (body) => (way.known === undefined ? store.read(body) : body(way.known)),
      transact: (body, done) => {
        const startTick = engine.tick
        let lost: TriviumError | undefined
        const failLater = (): void => {
          const leftTicks = Math.max(1, startTick + timeoutTicks - engine.tick)
          const error = lost ?? this.lost(node)
          engine.later(leftTicks, EVENT.store, node, 2, () => done({ kind: 'failed', error }))
        }
        if (!way.reachable) return failLater()
        const commit = (): void =>
          store.transact(
            (tx) => {
              this.commitBytes = 0
              // The way was cut while the request was on it.
              if (way.reachable) return body(tx)
              lost = this.lost(node)
              throw lost
            },
            (outcome) => {
              if (lost !== undefined) return failLater()
              afterTicks(wire.answerTicks(node, this.commitBytes), () => done(outcome))
            },
          )
        afterTicks(wire.requestTicks(node), commit)
      },
      watch: (changed) => store.watch(changed),
      close: () => {},
    }
  }

  private way(node: number): Way {
    const way = this.ways[node]
    invariant(way !== undefined, `node ${node} exists`)
    return way
  }

  private lost(node: number): TriviumError {
    return new TriviumError(
      'STORE',
      `${LOST}${this.options.names[node] ?? ''}: ` +
        `no answer in ${this.options.timeoutTicks / TICKS_PER_MS} ms, wanted one`,
    )
  }
}

/** What agents read. */
const READ: readonly KeyRange<unknown>[] = [
  'allow/',
  'attachment/',
  'bgp/',
  'claim/',
  'network/',
  'node/',
]

/** Everything that agents read, kept apart from what comes later. */
function copyOf(reader: Reader): Reader {
  const values = new Map<string, unknown>()
  const ranges = new Map<string, (readonly [string, unknown])[]>()
  for (const [key, value] of READ.flatMap((range) => [...reader.range(range)])) {
    values.set(key, value)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
      const range = key.slice(0, end + 1)
      const pairs = ranges.get(range)
      if (pairs === undefined) ranges.set(range, [[key, value]])
      else pairs.push([key, value])
    }
  }
  return {
    get: <T>(key: Key<T>) => values.get(key) as T | undefined,
    range: <T>(range: KeyRange<T>) => (ranges.get(range) ?? []) as (readonly [Key<T>, T])[],
  }
}
