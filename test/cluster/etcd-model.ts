/** An etcd of one process, which falls back and goes away, and what one node sees of it. */
import { type SortedMap, sortedMap } from '../../ipam/sorted-map.ts'
import type { Key, KeyRange, Outcome, Reader, Store, Tx } from '../../ipam/store.ts'
import type { Node, World } from './member-world.ts'

export interface History {
  readonly data: Map<string, string>
  readonly log: readonly (readonly string[])[]
}

class Unfit extends Error {}

/** What most members of etcd agree on. */
export class Etcd {
  data = new Map<string, string>()
  /** Keys that each revision wrote; the revision is its length. */
  log: (readonly string[])[] = []
  epoch = 0
  up = true

  /** @param isFit Looked at before anything is written. */
  run<T>(prefix: string, body: (tx: Tx) => T, isFit: () => boolean = () => true): T {
    const writes = new Map<string, string | undefined>()
    const text = (key: string): string | undefined =>
      writes.has(key) ? writes.get(key) : this.data.get(prefix + key)
    const value = (found: string | undefined): unknown => found && JSON.parse(found)
    const tx: Tx = {
      get: <V>(key: Key<V>) => value(text(key)) as V | undefined,
      range: <V>(range: KeyRange<V>) => {
        const found = [...this.data.keys()].flatMap((key) =>
          key.startsWith(prefix + range) ? [key.slice(prefix.length)] : [],
        )
        const more = [...writes.keys()].filter((key) => key.startsWith(range))
        const all = [...new Set([...found, ...more])].filter((key) => text(key) !== undefined)
        return all.sort().map((key) => [key as Key<V>, value(text(key)) as V] as const)
      },
      put: (key, each) => void writes.set(key, JSON.stringify(each)),
      remove: (key) => void writes.set(key, undefined),
    }
    const answer = body(tx)
    if (!isFit()) throw new Unfit('etcd fell back')
    for (const [key, each] of writes) {
      if (each === undefined) this.data.delete(prefix + key)
      else this.data.set(prefix + key, each)
    }
    if (writes.size > 0) this.log.push([...writes.keys()].map((key) => prefix + key))
    return answer
  }

  snapshot = (): History => ({ data: new Map(this.data), log: [...this.log] })

  restore({ data, log }: History): void {
    this.data = new Map(data)
    this.log = [...log]
    this.epoch++
  }
}

/** One node's sight of one prefix: behind until `sync`. */
export class Sight implements Store {
  map: SortedMap = sortedMap()
  seen = 0
  epoch = -1
  falls = 0
  /** The newest change below the prefix that it knows. */
  #newest: { readonly index: number; readonly keys: readonly string[] } | undefined
  readonly #world: World
  readonly #node: Node
  readonly prefix: string
  constructor(world: World, node: Node, prefix: string) {
    this.#world = world
    this.#node = node
    this.prefix = prefix
  }
  read<T>(body: (reader: Reader) => T): T {
    const { map } = this
    return body({
      get: <V>(key: Key<V>) => map.get(key) as V | undefined,
      range: <V>(range: KeyRange<V>) => map.range(range) as [Key<V>, V][],
      history: () => this.falls,
    })
  }

  /** Whether etcd still has what was seen. */
  #isSame(): boolean {
    const { log } = this.#world.etcd
    return this.#newest === undefined || log[this.#newest.index] === this.#newest.keys
  }

  /** Keys of the prefix that others wrote since. */
  #unseen(): ReadonlySet<string> {
    const { log } = this.#world.etcd
    return new Set(
      log
        .slice(this.seen)
        .flat()
        .flatMap((key) => (key.startsWith(this.prefix) ? [key.slice(this.prefix.length)] : [])),
    )
  }

  /**
   * As the store on etcd: a glance shows what the node sees, keys that were read are
   * compared; on a conflict it catches up and runs again.
   */
  #commit<T>(body: (tx: Tx) => T): T {
    let asked = false
    let glanced = false
    let read = new Set<string>()
    const asking = (tx: Tx): T => {
      const written = new Map<string, unknown>()
      read = new Set()
      return body({
        ...tx,
        get: (key) => {
          read.add(key)
          return tx.get(key)
        },
        put(key, value) {
          written.set(key, value)
          tx.put(key, value)
        },
        remove(key) {
          written.set(key, undefined)
          tx.remove(key)
        },
        glance: (range) => {
          glanced = true
          const pairs = new Map<string, unknown>(this.map.range(range))
          for (const [key, value] of written) if (key.startsWith(range)) pairs.set(key, value)
          const there = [...pairs].filter(([, value]) => value !== undefined)
          return there.sort(([left], [right]) => (left < right ? -1 : 1)) as never
        },
        history: () => {
          asked = true
          return this.falls
        },
      })
    }
    const isFit = (): boolean => {
      if (asked && !this.#isSame()) return false
      const unseen = glanced ? this.#unseen() : undefined
      return unseen === undefined || ![...read].some((key) => unseen.has(key))
    }
    try {
      return this.#world.etcd.run(this.prefix, asking, isFit)
    } catch (thrown) {
      if (!(thrown instanceof Unfit)) throw thrown
      this.#node.sync()
      return this.#world.etcd.run(this.prefix, asking)
    }
  }

  transact<T>(body: (tx: Tx) => T, done: (outcome: Outcome<T>) => void): void {
    const world = this.#world
    world.later(this.#node, () => {
      const fail = (why: string): void => done({ kind: 'failed', error: new Error(why) })
      if (!world.reaches(this.#node)) return fail('etcd does not answer')
      this.#node.heardAt = world.now
      let outcome: Outcome<T>
      try {
        outcome = { kind: 'committed', answer: this.#commit(body) }
      } catch (thrown) {
        outcome = { kind: 'failed', error: thrown as Error }
      }
      // As the store on etcd: the replica has its own commit before the answer.
      if (world.loseNext > 0) {
        world.loseNext--
        return fail('the answer was lost')
      }
      this.#node.sync()
      world.later(this.#node, () => done(outcome))
    })
  }
  watch = (): (() => void) => () => {}
  close(): void {}

  /** Catches up. @returns the keys that changed, `all` after another history. */
  catchUp(): { readonly changed: ReadonlySet<string> | 'all'; readonly fellBack: boolean } {
    const { etcd } = this.#world
    const set = (key: string): void => {
      const text = etcd.data.get(this.prefix + key)
      this.map.set(key, text === undefined ? undefined : JSON.parse(text))
    }
    const note = (index: number): void => {
      const written = etcd.log[index] ?? []
      if (written.some((key) => key.startsWith(this.prefix)))
        this.#newest = { index, keys: written }
    }
    const isFirst = this.epoch === -1
    const fellBack = !isFirst && !this.#isSame()
    this.epoch = etcd.epoch
    if (isFirst || fellBack) {
      if (fellBack) this.falls++
      this.map = sortedMap()
      for (const key of etcd.data.keys()) {
        if (key.startsWith(this.prefix)) set(key.slice(this.prefix.length))
      }
      this.#newest = undefined
      for (const index of etcd.log.keys()) note(index)
      this.seen = etcd.log.length
      return { changed: 'all', fellBack }
    }
    this.seen = Math.min(this.seen, (this.#newest?.index ?? -1) + 1)
    const changed = new Set<string>()
    for (const [index, keys] of etcd.log.entries()) {
      if (index < this.seen) continue
      note(index)
      for (const key of keys) {
        if (!key.startsWith(this.prefix)) continue
        set(key.slice(this.prefix.length))
        changed.add(key.slice(this.prefix.length))
      }
    }
    this.seen = etcd.log.length
    return { changed, fellBack: false }
  }
}
