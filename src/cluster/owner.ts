/**
 * The owner's side of requests (`ipam/cluster/requests.ts`): which of them its
 * agent takes, carries out, answers and sweeps away, and when.
 *
 * One piece of work at a time, beside that of the member: what a person asks for
 * keeps no ADD waiting. This run of the agent carries out only what it took itself
 * and has not begun before, whatever an old snapshot of etcd may say; and what the
 * run before began is looked up in the node's store, never begun again.
 *
 * @module
 */
import type { DeedAnswer, OwnerRequest } from '../../ipam/cluster/requests.ts'
import { assertNever } from '../errors.ts'
import type { Instant, Machine } from '../machine.ts'

export interface OwnerTimes {
  /** Nobody waits for so long: what has not moved since is swept away. */
  readonly staleMs: number
  /** First wait after a failure, and the longest; doubles. */
  readonly retryMs: number
  readonly retryMsMax: number
}

export const OWNER_TIMES: OwnerTimes = { staleMs: 120_000, retryMs: 100, retryMsMax: 5000 }

export type OwnerInput =
  /** This node's requests as etcd has them. */
  | { readonly kind: 'requests'; readonly requests: readonly OwnerRequest[] }
  | { readonly kind: 'away' }
  /** `answer`: of `carry` and `settle`; `gone`: nobody waits for it any more. */
  | { readonly kind: 'done'; readonly answer?: DeedAnswer; readonly gone?: boolean }
  | { readonly kind: 'failed'; readonly reason: string }

export type OwnerEffect =
  | { readonly kind: 'take'; readonly id: string }
  /** Do it in the node's store, and note that there. */
  | { readonly kind: 'carry'; readonly request: OwnerRequest }
  /** Another run began it, or nobody: look, and let nobody begin it now. */
  | { readonly kind: 'settle'; readonly id: string }
  | { readonly kind: 'answer'; readonly id: string; readonly answer: DeedAnswer }
  | { readonly kind: 'sweep'; readonly id: string }

export type OwnerMachine = Machine<OwnerInput, OwnerEffect>

const AT_ONCE = 0 as Instant
const later = (now: Instant, ms: number): Instant => (now + ms) as Instant
/** Numbers of those that were begun; each is a few bytes. */
const BEGUN_MAX = 10_000

/** @param run Of this run of the agent and no other. */
export function ownerMachine(run: string, times: OwnerTimes = OWNER_TIMES): OwnerMachine {
  let requests: readonly OwnerRequest[] = []
  let isOnline = false
  let running: OwnerEffect | undefined
  let retryAt = AT_ONCE
  let failuresInRow = 0
  /** Taken by this run. */
  const taken = new Set<string>()
  /** Never to be begun by this run (again). */
  const begun = new Set<string>()
  const answers = new Map<string, DeedAnswer>()
  /** Since when each is as it is. */
  const since = new Map<string, { readonly stage: string; readonly at: Instant }>()

  function look(all: readonly OwnerRequest[], now: Instant): void {
    requests = all
    const ids = new Set(all.map(({ id }) => id))
    for (const id of since.keys()) if (!ids.has(id)) forget(id)
    for (const { id, stage, run: by = '' } of all) {
      const is = `${stage} ${by}`
      if (since.get(id)?.stage !== is) since.set(id, { stage: is, at: now })
    }
  }

  function forget(id: string): void {
    since.delete(id)
    taken.delete(id)
    answers.delete(id)
  }

  const staleAt = (id: string): Instant => later(since.get(id)?.at ?? AT_ONCE, times.staleMs)

  /** What is to be done about one now; undefined: others are to move. */
  function nextOf(request: OwnerRequest, now: Instant): OwnerEffect | undefined {
    const { id, stage, run: by } = request
    const isStale = now >= staleAt(id)
    switch (stage) {
      case 'asked':
        return isStale ? { kind: 'sweep', id } : { kind: 'take', id }
      case 'taken':
        if (isStale) return { kind: 'sweep', id }
        return by === run ? undefined : { kind: 'take', id }
      case 'go': {
        const answer = answers.get(id)
        if (answer !== undefined) return { kind: 'answer', id, answer }
        const isOurs = by === run && taken.has(id) && !begun.has(id)
        return isOurs ? { kind: 'carry', request } : { kind: 'settle', id }
      }
      case 'done':
        return isStale ? { kind: 'sweep', id } : undefined
      default:
        return assertNever(stage)
    }
  }

  function begin(now: Instant): readonly OwnerEffect[] {
    if (running !== undefined || !isOnline || now < retryAt) return []
    for (const request of requests) {
      const next = nextOf(request, now)
      if (next === undefined) continue
      running = next
      if (next.kind === 'carry') {
        begun.add(request.id)
        const [oldest] = begun
        if (begun.size > BEGUN_MAX && oldest !== undefined) begun.delete(oldest)
      }
      return [next]
    }
    return []
  }

  function ended(answer: DeedAnswer | undefined, isGone: boolean, now: Instant): void {
    const work = running
    running = undefined
    failuresInRow = 0
    if (work === undefined) return
    const id = work.kind === 'carry' ? work.request.id : work.id
    if (answer !== undefined) answers.set(id, answer)
    if (work.kind === 'take' && !isGone) {
      taken.add(id)
      moved(id, ({ stage, run: by }) => stage === 'asked' || by !== run, 'taken', now)
    }
    if (work.kind === 'answer') moved(id, ({ stage }) => stage === 'go', 'done', now)
    if (work.kind === 'sweep' || isGone) requests = requests.filter((each) => each.id !== id)
  }

  /** What etcd has said yes to, and may not have shown yet. */
  function moved(
    id: string,
    isBefore: (request: OwnerRequest) => boolean,
    stage: OwnerRequest['stage'],
    now: Instant,
  ): void {
    const move = (each: OwnerRequest): OwnerRequest =>
      each.id === id && isBefore(each) ? { ...each, stage, run } : each
    look(requests.map(move), now)
  }

  function failed(now: Instant): void {
    running = undefined
    failuresInRow++
    retryAt = later(now, Math.min(times.retryMs * 2 ** (failuresInRow - 1), times.retryMsMax))
  }

  function take(input: OwnerInput, now: Instant): void {
    switch (input.kind) {
      case 'requests':
        isOnline = true
        look(input.requests, now)
        return
      case 'away':
        isOnline = false
        return
      case 'done':
        ended(input.answer, input.gone === true, now)
        return
      case 'failed':
        failed(now)
        return
      default:
        assertNever(input)
    }
  }

  return {
    handle(input, now) {
      take(input, now)
      return begin(now)
    },
    wake: begin,
    nextWake() {
      if (running !== undefined || !isOnline || requests.length === 0) return undefined
      let first = Number.POSITIVE_INFINITY
      for (const request of requests) {
        const isDue = nextOf(request, AT_ONCE) !== undefined
        first = Math.min(first, isDue ? retryAt : staleAt(request.id))
      }
      return Math.max(first, retryAt) as Instant
    },
  }
}
