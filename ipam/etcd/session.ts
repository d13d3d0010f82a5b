/**
 * Keeps a replica in step with etcd: a list, then a watch from its revision;
 * again after every break.
 *
 * After a break the watch goes on where it stopped only if etcd still tells the
 * history that the replica has seen: its newest change, as of the replica's
 * revision. An etcd that was compacted beyond it, or was restored from an older
 * snapshot, is listed anew, and the difference is what changed.
 *
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { asTriviumError, type TriviumError } from '../../src/errors.ts'
import type { EtcdClient } from './client.ts'
import { emptyReplica, type Replica } from './replica.ts'

const PAUSE_MS = 50
/** It answered, and what it holds is of no use; looked at again nevertheless. */
const FOR_GOOD = new Set(['STORE', 'BAD_JSON', 'NOT_FOUND'])
const PAUSE_MS_MAX = 2000

export interface Session {
  readonly replica: Replica
  /** Undefined while etcd is away. */
  client(): EtcdClient | undefined
  /** Why it is away, and since when (`performance.now`). */
  away(): { readonly sinceMs: number; readonly why: string }
  /** What is wrong for good, like a newer layout. */
  broken(): TriviumError | undefined
  /** Resolves when `ready` holds, looked at after every event; or at `deadlineMs`. */
  until(ready: () => boolean, deadlineMs: number): Promise<void>
  /** The replica stands still although etcd has moved: watch anew. */
  restart(): void
  close(): void
}

export interface SessionHooks {
  /** Connects; called again until it succeeds. */
  connect(): Promise<EtcdClient>
  /** Called with a replica in step, before the watch; answers whether it wrote. Throws when the store cannot be used. */
  prepare(client: EtcdClient, replica: Replica): Promise<boolean>
  /** Throws when the store cannot be used as it is now. */
  check(replica: Replica): void
  /** Records changed: these, or any. */
  changed(keys: ReadonlySet<string> | 'all'): void
  /**
   * The replica is in step from here on. `fellBack`: etcd tells another history than
   * before, and what was written may be gone.
   */
  connected(fellBack: boolean): void
  /** It was, and is not any more. */
  away(): void
}

export function openSession(hooks: SessionHooks): Session {
  const replica = emptyReplica()
  const waiting = new Set<() => void>()
  let client: EtcdClient | undefined
  let live = false
  let closed = false
  let mustList = true
  let fellBack = false
  let broken: TriviumError | undefined
  let away = { sinceMs: performance.now(), why: 'it has not answered yet' }
  let endWatch: (() => void) | undefined
  const stopped = new AbortController()

  const tell = (): void => {
    for (const look of [...waiting]) look()
  }

  async function catchUp(etcd: EtcdClient): Promise<void> {
    const history = await historyOf(etcd, replica)
    if (!mustList && history === 'same') return
    const { revision, pairs } = await etcd.list()
    const isAnother = history === 'another' || revision < replica.revision()
    if (isAnother) fellBack = true
    if (replica.replace(pairs, revision, isAnother)) hooks.changed('all')
    mustList = false
  }

  async function watching(etcd: EtcdClient): Promise<string> {
    let ended: (why: string) => void = () => {}
    const end = new Promise<string>((resolve) => {
      ended = resolve
    })
    const stop = await etcd.watch(replica.revision(), {
      created() {
        live = true
        hooks.connected(fellBack)
        fellBack = false
        tell()
      },
      changes(changes) {
        try {
          if (replica.apply(changes)) hooks.changed(new Set(changes.map(({ key }) => key)))
          hooks.check(replica)
        } catch (thrown) {
          broken = asTriviumError(thrown)
          mustList = true
          stop()
        }
        tell()
      },
      ended(why, compacted) {
        if (compacted) mustList = true
        ended(why)
      },
    })
    endWatch = stop
    if (closed) stop()
    return await end
  }

  async function once(): Promise<string> {
    client ??= await hooks.connect()
    await catchUp(client)
    hooks.check(replica)
    if (await hooks.prepare(client, replica)) {
      // Nobody is to hear of it as of somebody's change.
      mustList = true
      await catchUp(client)
    }
    broken = undefined
    return await watching(client)
  }

  async function follow(): Promise<void> {
    let pauseMs = PAUSE_MS
    while (!closed) {
      let why: string
      try {
        why = await once()
      } catch (thrown) {
        const error = asTriviumError(thrown)
        if (FOR_GOOD.has(error.code)) broken = error
        why = error.message
      }
      pauseMs = live ? PAUSE_MS : Math.min(pauseMs * 2, PAUSE_MS_MAX)
      away = { sinceMs: live ? performance.now() : away.sinceMs, why }
      if (live) hooks.away()
      live = false
      tell()
      // Many clients of one member that went must not come back at one instant.
      const jitteredMs = pauseMs * (0.5 + Math.random())
      await sleep(jitteredMs, undefined, { signal: stopped.signal }).catch(() => {})
    }
    client?.close()
  }

  void follow()
  return {
    replica,
    client: () => (live ? client : undefined),
    away: () => away,
    broken: () => broken,
    until(ready, deadlineMs) {
      if (ready()) return Promise.resolve()
      return new Promise((resolve) => {
        const finish = (): void => {
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        const look = (): void => {
          if (ready()) finish()
        }
        const timer = setTimeout(finish, Math.max(0, deadlineMs - performance.now()))
        waiting.add(look)
      })
    },
    restart: () => endWatch?.(),
    close() {
      closed = true
      stopped.abort()
      endWatch?.()
    },
  }
}

/** Whether etcd still knows the newest change that the replica has seen, as it was. */
async function historyOf(
  etcd: EtcdClient,
  replica: Replica,
): Promise<'same' | 'another' | 'unknown'> {
  const witness = replica.witness()
  if (witness === undefined) return 'unknown'
  // It rejects when the revision was compacted, or has not come yet: the list tells which.
  const found = await etcd.readAt(witness.key, replica.revision()).catch(() => 'unknown' as const)
  if (found === 'unknown') return found
  const isSame =
    witness.text === undefined
      ? found === undefined
      : found?.text === witness.text && found.revision === witness.revision
  return isSame ? 'same' : 'another'
}
