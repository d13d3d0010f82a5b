/**
 * What a person asks of the node that owns an address, through the cluster's store.
 *
 * Only its owner changes a block's records. A request goes through four stages,
 * each one transaction on etcd: its asker writes it (`asked`), the owner's agent
 * says that it is there (`taken`), the asker, if it still waits, says `go`, the
 * owner does it in its own store and answers (`done`), and the asker removes it.
 * So nothing is done that nobody waits for any more, and no two clocks are compared:
 * the deadline is the asker's alone.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import type { IpamFinding, Repair } from '../check/finding.ts'
import { keys } from '../keys.ts'
import type { Repaired } from '../repair.ts'
import type { Reader, Tx } from '../store.ts'
import { isMember, membershipOf } from './membership.ts'
import type { Incarnation } from './records.ts'

/** What is asked for. */
export type Deed =
  /** What is wrong there, by its records, its kernel and its pods' namespaces. */
  | { readonly kind: 'look' }
  | {
      readonly kind: 'mend'
      readonly repairs: readonly Repair[]
      /** Also what a living pod uses. */
      readonly force: boolean
    }

export type DeedAnswer =
  /** `left`: more than go through etcd at once. */
  | { readonly kind: 'found'; readonly findings: readonly IpamFinding[]; readonly left: number }
  | { readonly kind: 'mended'; readonly results: readonly Repaired[] }
  /** Nothing was changed. */
  | { readonly kind: 'refused'; readonly why: string }

export type Stage = 'asked' | 'taken' | 'go' | 'done'

export interface OwnerRequest {
  /** Random, hexadecimal. */
  readonly id: string
  /** Who shall do it. */
  readonly node: string
  /** Who asks, for people: `root@host, pid 17`. */
  readonly asker: string
  /** Unix milliseconds by the asker's clock, for people. */
  readonly askedMs: number
  readonly deed: Deed
  readonly stage: Stage
  /** The run of the owner's agent that took it. */
  readonly run?: string
  readonly answer?: DeedAnswer
}

/** What a node remembers of requests that it has answered, in its own store. */
export interface Carried {
  readonly id: string
  readonly answer: DeedAnswer
}

/** That wait for one node at once. */
export const REQUESTS_MAX = 16
/** Of one request. */
export const REPAIRS_MAX = 200
/** etcd takes 1.5 MiB at once. */
export const ANSWER_BYTES_MAX = 512 * 1024
/** More than wait at once, so that what waits is never forgotten. */
const CARRIED_MAX = 2 * REQUESTS_MAX

/**
 * Writes a request. Runs on the cluster's store.
 *
 * @throws {TriviumError} NOT_FOUND for a node that nobody is; CONFLICT when too many wait.
 */
export function ask(tx: Tx, request: Omit<OwnerRequest, 'stage'>): void {
  const { node, id } = request
  if (tx.get(keys.member(node))?.incarnation === undefined) {
    const known = [...tx.range(keys.nodes)].slice(0, 10).map(([, { name }]) => name)
    const found = `the cluster's nodes are ${known.join(', ') || 'none'}`
    throw new TriviumError('NOT_FOUND', `Cannot ask node ${node}: ${found}, wanted one of them`)
  }
  const waiting = [...tx.range(keys.nodeRequests(node))]
  if (waiting.length >= REQUESTS_MAX) {
    const [[, oldest] = []] = waiting.toSorted(([, a], [, b]) => a.askedMs - b.askedMs)
    throw new TriviumError(
      'TRY_LATER',
      `Cannot ask node ${node}: ${waiting.length} requests wait for its agent (the oldest is ${oldest?.asker ?? 'nobody'}'s), wanted fewer than ${REQUESTS_MAX}`,
      silenceHint(node),
    )
  }
  tx.put(keys.request(node, id), { ...request, stage: 'asked' })
}

/** The owner's agent is there. Runs on the cluster's store. @returns whether it was still wanted. */
export function take(
  tx: Tx,
  node: string,
  id: string,
  { run, incarnation }: { readonly run: string; readonly incarnation: Incarnation },
): boolean {
  const request = tx.get(keys.request(node, id))
  if (request === undefined || !isMember(tx, node, incarnation)) return false
  if (request.stage !== 'asked' && request.stage !== 'taken') return false
  tx.put(keys.request(node, id), { ...request, stage: 'taken', run })
  return true
}

/** Whether the node can speak for its blocks: it has all that it had, and nobody else is it. */
export function mayCarry(local: Reader): boolean {
  const { joined, refused } = membershipOf(local)
  return joined && refused === undefined
}

/** What an asker sees. */
export type Followed =
  | { readonly kind: 'waiting'; readonly stage: Stage }
  | { readonly kind: 'answered'; readonly answer: DeedAnswer }
  /** Removed before the owner could begin: nothing was changed, and nothing will be. */
  | { readonly kind: 'untouched' }
  /** Removed after it could begin, or by somebody else: it may have been done. */
  | { readonly kind: 'unknown' }

/**
 * A look of the asker: says `go` where the owner is there, and removes what is over.
 * Runs on the cluster's store.
 *
 * @param isOver The asker waits no longer.
 */
export function follow(tx: Tx, node: string, id: string, isOver: boolean): Followed {
  const key = keys.request(node, id)
  const request = tx.get(key)
  if (request === undefined) return { kind: 'unknown' }
  const { stage, answer } = request
  if (stage === 'done' && answer !== undefined) {
    tx.remove(key)
    return { kind: 'answered', answer }
  }
  if (isOver) {
    tx.remove(key)
    return { kind: stage === 'asked' || stage === 'taken' ? 'untouched' : 'unknown' }
  }
  if (stage !== 'taken') return { kind: 'waiting', stage }
  tx.put(key, { ...request, stage: 'go' })
  return { kind: 'waiting', stage: 'go' }
}

/** The owner has done it. Runs on the cluster's store; nothing happens where nobody waits. */
export function answerTo(tx: Tx, node: string, id: string, answer: DeedAnswer): void {
  const request = tx.get(keys.request(node, id))
  if (request?.stage === 'go') {
    tx.put(keys.request(node, id), { ...request, stage: 'done', answer })
  }
}

/** Nobody waits for it any more. Runs on the cluster's store. */
export const sweep = (tx: Tx, node: string, id: string): void => tx.remove(keys.request(node, id))

/**
 * Notes in the transaction that carries a request out that this is done: what is
 * noted is never done again. Runs on the node's store.
 *
 * @returns the answer that it has already; undefined: `answer` was noted.
 */
export function noteCarried(tx: Tx, id: string, answer: DeedAnswer): DeedAnswer | undefined {
  const carried = tx.get(keys.carried) ?? []
  const known = carried.find((each) => each.id === id)
  if (known !== undefined) return known.answer
  tx.put(keys.carried, [...carried, { id, answer }].slice(-CARRIED_MAX))
  return undefined
}

/**
 * What became of a request that somebody else carried out, or began to: if
 * nothing yet, then nothing ever. Runs on the node's store.
 */
export function settleCarried(tx: Tx, id: string, why: string): DeedAnswer {
  const refused: DeedAnswer = { kind: 'refused', why }
  return noteCarried(tx, id, refused) ?? refused
}

/** What to do about a node whose agent says nothing. */
export const silenceHint = (node: string): string =>
  `Start its agent, or look whether it reaches etcd; if the machine is gone: trivium node delete ${node} --force`
