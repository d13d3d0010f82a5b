/**
 * The store on etcd v3: one prefix, shared by every node of a cluster.
 *
 * Reads are synchronous, so they read a replica that a watch keeps: it may be a
 * moment behind. Transactions never are: what they read is compared as they
 * commit. While etcd is away reads go on and transactions are refused.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { TriviumError } from '../src/errors.ts'
import { connectEtcd, type EtcdClient } from './etcd/client.ts'
import { openCommits } from './etcd/commits.ts'
import { clientKey } from './etcd/layout.ts'
import type { Replica } from './etcd/replica.ts'
import { openSession } from './etcd/session.ts'
import { type EtcdAddress, parseEtcdUrl, partOf, partsOf } from './etcd/url.ts'
import { isOlderLayout, keys, SCHEMA_VERSION } from './keys.ts'
import type { Store } from './store.ts'

const PATIENCE_MS = 5000

export interface EtcdStoreOptions {
  /** How long etcd may be away before transactions are refused. @default 5000 */
  readonly patienceMs?: number
  /** Refuse a prefix that holds no store yet instead of making one. */
  readonly mustExist?: boolean
  /** What one node keeps beside the records that all share; or all that they keep, as `NODE/KEY`. */
  readonly part?: { readonly node: string } | 'all'
}

/** Whoever has to know more than that something changed. */
export interface Follower {
  /** These keys, or any. Called before `connected` for what a list has shown. */
  changed(keys: ReadonlySet<string> | 'all'): void
  /** Reads are in step. `fellBack`: what was written before may be gone. */
  connected(fellBack: boolean): void
  away(): void
}

export interface EtcdStore extends Store {
  /**
   * Resolves when there is something to read; until then `read` throws.
   *
   * @throws {TriviumError} TRY_LATER when etcd does not answer within the patience;
   * STORE when it holds what cannot be used; NOT_FOUND when there is no store.
   */
  ready(): Promise<void>
  /** Tells of every change and of etcd's absences, beginning with how it is now. */
  follow(follower: Follower): void
  /** What is read is etcd's state after this revision; 0: nothing is known yet. */
  revision(): number
  /** Why etcd does not answer, as far as that is known. */
  away(): string
}

/**
 * Opens the store at an `etcd:` or `etcds:` URL, and makes it when it is missing.
 *
 * @throws {TriviumError} USAGE for a malformed URL.
 */
export function openEtcdStore(url: string, options: EtcdStoreOptions = {}): EtcdStore {
  const { patienceMs = PATIENCE_MS, mustExist = false } = options
  const { part } = options
  const whole = parseEtcdUrl(url)
  const address = part === undefined ? whole : partAddress(whole, part)
  const name = url.replace(/\?.*$/, '')
  const id = randomUUID()
  const watchers = new Set<() => void>()
  let closed = false
  const followers = new Set<Follower>()
  let notifying = false

  function notify(): void {
    if (notifying) return
    notifying = true
    setImmediate(() => {
      notifying = false
      for (const changed of [...watchers]) if (watchers.has(changed)) changed()
    })
  }

  const session = openSession({
    connect: () => connectEtcd(address),
    check: (replica) => checkSchema(replica, name),
    prepare: async (client, replica) =>
      part === 'all' ? false : await prepare(client, replica, name, mustExist),
    changed(keys) {
      for (const follower of followers) follower.changed(keys)
      notify()
    },
    connected: (fellBack) => {
      for (const follower of followers) follower.connected(fellBack)
    },
    away: () => {
      for (const follower of followers) follower.away()
    },
  })
  const { replica } = session
  const commits = openCommits(session, { name, id, patienceMs })
  const known = (): boolean => replica.revision() > 0
  const away = (): TriviumError =>
    new TriviumError(
      'TRY_LATER',
      `Cannot read store ${name}: ${session.away().why}`,
      'Look whether most members of etcd answer',
    )

  return {
    async ready() {
      const told = (): boolean => session.client() !== undefined || session.broken() !== undefined
      await session.until(told, performance.now() + patienceMs)
      const broken = session.broken()
      if (broken !== undefined) throw broken
      if (session.client() === undefined) throw away()
    },
    read(body) {
      if (closed) throw closedError(name)
      const broken = session.broken()
      if (broken !== undefined) throw broken
      if (!known()) throw away()
      return body(replica.reader)
    },
    transact(body, done, decided) {
      if (!closed) return commits.transact(body, done, decided)
      setImmediate(() => done({ kind: 'failed', error: closedError(name) }))
    },
    watch(changed) {
      const own = () => changed() // the same function may watch twice
      watchers.add(own)
      return () => void watchers.delete(own)
    },
    follow(follower) {
      followers.add(follower)
      if (!known()) return
      follower.changed('all')
      if (session.client() !== undefined) follower.connected(false)
    },
    revision: () => replica.revision(),
    away: () => session.broken()?.message ?? session.away().why,
    close() {
      if (closed) return
      closed = true
      watchers.clear()
      followers.clear()
      void commits.finish().then(() => leave(session.client(), id).finally(session.close))
    },
  }
}

const partAddress = (
  whole: EtcdAddress,
  part: NonNullable<EtcdStoreOptions['part']>,
): EtcdAddress => (part === 'all' ? partsOf(whole) : partOf(whole, part.node))

/** Nobody needs the mark of a client that ended. */
async function leave(client: EtcdClient | undefined, id: string): Promise<void> {
  await client?.txn({ checks: [], ops: [{ kind: 'delete', key: clientKey(id) }] }).catch(() => {})
}

/** Makes an empty store, or one of an older layout one of ours; answers whether it wrote. */
async function prepare(
  client: EtcdClient,
  replica: Replica,
  name: string,
  mustExist: boolean,
): Promise<boolean> {
  const found = replica.reader.get(keys.schema)
  if (found === undefined && mustExist) {
    const hint = 'Create it: trivium network create'
    throw new TriviumError('NOT_FOUND', `Cannot use store ${name}: nothing is there`, hint)
  }
  if (found !== undefined && !isOlderLayout(found)) return false
  // Who loses against another that makes it finds that one's.
  await client.txn({
    checks: [{ kind: 'key', key: keys.schema, revision: replica.revisionOf(keys.schema) }],
    ops: [{ kind: 'put', key: keys.schema, text: JSON.stringify(SCHEMA_VERSION) }],
  })
  return true
}

function checkSchema(replica: Replica, name: string): void {
  const found = replica.reader.get(keys.schema) ?? SCHEMA_VERSION
  if (found === SCHEMA_VERSION || isOlderLayout(found)) return
  throw new TriviumError(
    'STORE',
    `Cannot use store ${name}: layout ${JSON.stringify(found)}, wanted 1 to ${SCHEMA_VERSION}`,
    'A newer version wrote it: install that version, or a later one',
  )
}

const closedError = (name: string): TriviumError =>
  new TriviumError('STORE', `Cannot use store ${name}: it is closed, wanted an open one`)
