/**
 * Asking another node for its snapshot through the store, and answering.
 *
 * The agent answers by a process of its own: its main thread serves pods and
 * must not dump whole tables.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { keys } from '../../ipam/keys.ts'
import type { SnapshotAnswer, SnapshotRequest } from '../../ipam/records.ts'
import type { Store } from '../../ipam/store.ts'
import { asTriviumError } from '../errors.ts'
import { type NodeSnapshot, parseSnapshot } from '../explain/mod.ts'
import { takeSnapshot } from './snapshot.ts'
import { transact } from './transact.ts'

/** More does not go through the store. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const CHILD_MS_MAX = 10_000
const POLL_MS = 100

/** What became of a request: a snapshot, or why there is none. */
export type Asked =
  | { readonly kind: 'seen'; readonly snapshot: NodeSnapshot }
  | { readonly kind: 'unseen'; readonly reason: string }

/** Asks a node and waits up to `waitMs`. Leaves nothing in the store. */
export async function askForSnapshot(
  store: Store,
  node: string,
  containerIds: readonly string[],
  waitMs: number,
): Promise<Asked> {
  const id = randomBytes(8).toString('hex')
  const request = { id, expiresMs: Date.now() + waitMs, containerIds }
  await transact(store, (tx) => {
    tx.remove(keys.snapshot(node))
    tx.put(keys.snapshotRequest(node), request)
  })
  try {
    const answer = await answerTo(store, node, id, waitMs)
    if (answer?.text !== undefined) {
      return { kind: 'seen', snapshot: parseSnapshot(answer.text, `of node ${node}`) }
    }
    const reason = answer?.problem ?? `its agent did not answer within ${waitMs / 1000} s`
    return { kind: 'unseen', reason }
  } finally {
    await transact(store, (tx) => {
      // Another asker may have come after us.
      if (tx.get(keys.snapshotRequest(node))?.id === id) tx.remove(keys.snapshotRequest(node))
      if (tx.get(keys.snapshot(node))?.id === id) tx.remove(keys.snapshot(node))
    })
  }
}

function answerTo(
  store: Store,
  node: string,
  id: string,
  waitMs: number,
): Promise<SnapshotAnswer | undefined> {
  return new Promise((resolve) => {
    const look = (): void => {
      const answer = store.read((reader) => reader.get(keys.snapshot(node)))
      if (answer?.id === id) end(answer)
    }
    const stopWatching = store.watch(look)
    const poll = setInterval(look, POLL_MS)
    const limit = setTimeout(() => end(undefined), waitMs)
    const end = (answer: SnapshotAnswer | undefined): void => {
      stopWatching()
      clearInterval(poll)
      clearTimeout(limit)
      resolve(answer)
    }
  })
}

/** Takes the snapshot that `id` asked for and puts it into the store. */
export async function answerRequest(store: Store, node: string, id: string): Promise<void> {
  const request = store.read((reader) => reader.get(keys.snapshotRequest(node)))
  if (request?.id !== id) return // somebody else asks by now, or nobody
  const answer = answerOf(store, node, request.containerIds)
  await transact(store, (tx) => {
    if (tx.get(keys.snapshotRequest(node))?.id === id)
      tx.put(keys.snapshot(node), { id, ...answer })
  })
}

function answerOf(
  store: Store,
  node: string,
  containerIds: readonly string[],
): Omit<SnapshotAnswer, 'id'> {
  try {
    const wanted = new Set(containerIds)
    const attachments = store.read((reader) =>
      [...reader.range(keys.attachments(node))].flatMap(([, each]) =>
        wanted.has(each.containerId) ? [each] : [],
      ),
    )
    const text = JSON.stringify(takeSnapshot(node, attachments, Date.now()))
    return text.length <= ANSWER_BYTES_MAX
      ? { text }
      : { problem: `its snapshot has ${text.length} bytes, at most ${ANSWER_BYTES_MAX} fit` }
  } catch (thrown) {
    return { problem: asTriviumError(thrown).message }
  }
}

export interface AnswerOptions {
  readonly node: string
  readonly storeUrl: string
  /** The command line that runs this program. */
  readonly trivium: readonly string[]
  readonly told: (reason: string) => void
}

/**
 * Answers requests for this node, one at a time, for as long as the returned
 * function is not called. Cost: one look-up in the store at each of its changes.
 */
export function answerSnapshots(store: Store, options: AnswerOptions): () => void {
  const { node, storeUrl, told } = options
  const [program, ...args] = options.trivium
  // A store in memory is nobody else's.
  if (program === undefined || storeUrl === 'memory:') return () => {}
  let seen: string | undefined
  let running = false
  const look = (): void => {
    const request = requestIn(store, node)
    if (request === undefined || running || request.id === seen) return
    // The id becomes an argument.
    if (Date.now() > request.expiresMs || !/^[0-9a-f]{1,64}$/.test(request.id)) return
    seen = request.id
    running = true
    const answer = ['node', 'snapshot', '--node', node, '--store', storeUrl, '--answer', request.id]
    execFile(program, [...args, ...answer], { timeout: CHILD_MS_MAX }, (error) => {
      running = false
      if (error !== null) told(error.message)
      look()
    })
  }
  return store.watch(look)
}

/** undefined, too, while a store that is far away cannot be read. */
function requestIn(store: Store, node: string): SnapshotRequest | undefined {
  try {
    return store.read((reader) => reader.get(keys.snapshotRequest(node)))
  } catch {
    return undefined
  }
}
