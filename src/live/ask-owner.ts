/**
 * Asks the agent of another node of the cluster for what only it may do, and waits.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import {
  ask,
  type Deed,
  type DeedAnswer,
  type Followed,
  follow,
  silenceHint,
} from '../../ipam/cluster/requests.ts'
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { TriviumError } from '../errors.ts'
import { transact } from './transact.ts'

/** An agent that is there takes a request within a few of etcd's round trips. */
export const OWNER_SECONDS = 10
/** What it then takes to look at a kernel and a namespace of each pod, twice. */
const DEED_MS_MAX = 30_000
const POLL_MS = 250

/**
 * Resolves with the owner's answer. Leaves nothing in the store.
 *
 * @param store The cluster's.
 * @throws {TriviumError} TRY_LATER when the owner is silent for `waitMs`, or what it did is not
 * known; NOT_FOUND for an unknown node.
 */
export async function askOwner(
  store: Store,
  node: string,
  deed: Deed,
  waitMs: number = OWNER_SECONDS * 1000,
): Promise<DeedAnswer> {
  const id = randomBytes(8).toString('hex')
  const asker = `${userInfo().username}@${hostname()}, process ${process.pid}`
  const request = { id, node, asker, askedMs: Date.now(), deed }
  await transact(store, (tx) => ask(tx, request))
  let untilMs = performance.now() + waitMs
  let mayHaveBegun = false
  for (;;) {
    const stage = store.read((reader) => reader.get(keys.request(node, id)))?.stage
    const isOver = performance.now() > untilMs
    if (stage === 'taken') mayHaveBegun = true
    const found: Followed =
      (stage === 'asked' || stage === 'go') && !isOver
        ? { kind: 'waiting', stage }
        : await transact(store, (tx) => follow(tx, node, id, isOver))
    if (found.kind === 'answered') return found.answer
    if (found.kind === 'untouched') throw silent(node, waitMs)
    if (found.kind === 'unknown') throw mayHaveBegun ? lost(node) : silent(node, waitMs)
    if (found.stage === 'go' && stage !== 'go') untilMs = performance.now() + DEED_MS_MAX
    await changeOf(store, POLL_MS)
  }
}

/** Resolves at the next change of the store, or after `waitMs`. */
function changeOf(store: Store, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stop()
      clearTimeout(timer)
      resolve()
    }
    const stop = store.watch(end)
    const timer = setTimeout(end, waitMs)
  })
}

const silent = (node: string, waitMs: number): TriviumError =>
  new TriviumError(
    'TRY_LATER',
    `Cannot ask node ${node}: its agent did not answer within ${waitMs / 1000} s; nothing was changed there, and nothing will be`,
    silenceHint(node),
  )

const lost = (node: string): TriviumError =>
  new TriviumError(
    'TRY_LATER',
    `Cannot tell what node ${node} did: its agent began, and did not answer`,
    'It was done once or not at all: look (trivium ipam show --ip, trivium ipam check), then ask again',
  )
