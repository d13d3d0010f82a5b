/**
 * Store: an ordered map from keys to JSON values, with serializable transactions.
 *
 * The one interface under the allocator. Implementations: memory (simulator
 * and tests), LMDB (embedded), etcd (cluster). Every promise below is checked by
 * one contract suite on each of them.
 *
 * A transaction is a function that reads and writes through `Tx` and returns
 * an answer. It may run more than once (a compare-and-swap store repeats it on
 * conflict), so it must be deterministic and must not keep anything outside.
 *
 * @module
 */

/** A key and, as a phantom, the type of its value. Keys order by UTF-8 bytes. */
export type Key<T> = string & { readonly value?: T }

/** A prefix of keys and, as a phantom, the type of their values. Ends with `/`. */
export type KeyRange<T> = string & { readonly values?: T }

/** Keys and their values, in key order. */
export type Pairs<T> = readonly (readonly [key: Key<T>, value: T])[]

/** Reads of one consistent state. Values are plain JSON and must not be changed by the reader. */
export interface Reader {
  get<T>(key: Key<T>): T | undefined
  /**
   * Every pair under the prefix, in key order. What is handed out never changes
   * afterwards: the same object is the same pairs.
   */
  range<T>(range: KeyRange<T>): Pairs<T>
  /**
   * As `range`, to choose by and not to decide by: in a store that many share, a
   * commit does not depend on what was seen here. What is chosen, `get` again.
   * Absent: `range` costs nobody anything.
   */
  glance?<T>(range: KeyRange<T>): Pairs<T>
  /**
   * As `range`, in pieces and without keeping any: for reports over a whole store. Write
   * nothing of the range meanwhile. Absent: `range` holds no more than the store does.
   */
  scan?<T>(range: KeyRange<T>): Iterable<readonly [key: Key<T>, value: T]>
  /**
   * Hands out the JSON text of every value under the prefix, in key order, which is half the
   * work of parsing it: for reports that want a word of each. Absent: values are not kept as text.
   */
  texts?(range: KeyRange<unknown>, visit: (text: string) => void): void
  /** How often this body ran in vain, because others were quicker. Absent: never. */
  readonly conflicts?: number
  /**
   * How often the store was found to tell another history than before, as after an
   * old snapshot was restored. A transaction that asks commits in this history or
   * not at all. Absent: it has one.
   */
  history?(): number
}

/** Every pair of a range that may be a whole store's. */
export const scan = <T>(
  reader: Reader,
  range: KeyRange<T>,
): Iterable<readonly [key: Key<T>, value: T]> => reader.scan?.(range) ?? reader.range(range)

/** The JSON text of every value of a range that may be a whole store's. */
export function texts(
  reader: Reader,
  range: KeyRange<unknown>,
  visit: (text: string) => void,
): void {
  if (reader.texts !== undefined) reader.texts(range, visit)
  else for (const [, value] of scan(reader, range)) visit(JSON.stringify(value))
}

/** A running transaction: sees its own writes. */
export interface Tx extends Reader {
  put<T>(key: Key<T>, value: T): void
  remove(key: Key<unknown>): void
}

/** How a transaction ended. After `committed` the writes are on disk (embedded) or in a quorum (cluster). */
export type Outcome<T> =
  | { readonly kind: 'committed'; readonly answer: T }
  | { readonly kind: 'failed'; readonly error: Error }

export interface Store {
  /** Runs `body` on a consistent snapshot of what is committed. Synchronous. */
  read<T>(body: (reader: Reader) => T): T
  /**
   * Runs `body` as one serializable transaction: all of its writes or none,
   * also after a crash. `done` is called once, never before `transact` returns.
   * If `body` throws, nothing is written and the outcome is `failed` with that error.
   *
   * `decided` hears the answer while it is being written, at most once and before
   * `done`. Nobody else can see it then, and a crash or a full disk still undoes
   * it: only what goes away by itself, or is taken back on failure, may start on
   * the strength of it. A store that is far away does not call it.
   */
  transact<T>(
    body: (tx: Tx) => T,
    done: (outcome: Outcome<T>) => void,
    decided?: (answer: T) => void,
  ): void
  /**
   * Calls `changed` after commits, also those of other processes; several
   * commits may share one call. Returns a function that stops it.
   */
  watch(changed: () => void): () => void
  /** Releases files and timers. Transactions under way finish first. */
  close(): void
}
