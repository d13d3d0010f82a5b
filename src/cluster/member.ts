/**
 * A node as a member of a cluster: keeps its own store and the cluster's in step.
 *
 * The node's own store is the one that verbs know. What all nodes share comes
 * down into it; what the node owns goes up, after it is on the node's disk; a
 * block is the node's in the cluster before it is in the node's store. One piece
 * of work is under way at a time, and each is written so that it may break off
 * anywhere and be begun again.
 *
 * When the cluster's store has fallen back (an old snapshot of it was restored),
 * every member puts back what is its own, and nobody claims anything before all
 * who are connected had the time for it: `reassertMs`.
 *
 * @module
 */

import type { Changed } from '../../ipam/cluster/down.ts'
import type { Standing } from '../../ipam/cluster/membership.ts'
import type { Demand, Membership } from '../../ipam/cluster/records.ts'
import { assertNever } from '../errors.ts'
import type { Instant, Machine } from '../machine.ts'

/** Milliseconds. */
export interface MemberTimes {
  /** Between two signs of life. */
  readonly beatMs: number
  /** What every connected member needs at most to put back its claims. */
  readonly reassertMs: number
  /** Most often so the mirror is written. */
  readonly mirrorMs: number
  /** First wait after a failure, and the longest; doubles. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** Idle blocks are looked for. */
  readonly idleMs: number
  /** What an agent that is connected needs at most to answer a knock. */
  readonly knockMs: number
}

export const MEMBER_TIMES: MemberTimes = {
  beatMs: 10_000,
  reassertMs: 10_000,
  mirrorMs: 100,
  retryMs: 100,
  retryMsMax: 5000,
  idleMs: 60_000,
  knockMs: 5000,
}

export type MemberInput =
  /** The shared records were listed or watched to this revision. `all` after a list. */
  | { readonly kind: 'shared.changed'; readonly changed: Changed; readonly revision: number }
  | {
      readonly kind: 'connected'
      readonly revision: number
      /** Signs of life that the mirror has. */
      readonly beats: number
      /** It is known to tell another history than before. */
      readonly fellBack: boolean
      /** The node's store has lost what its mirror has. */
      readonly isBehind: boolean
    }
  | { readonly kind: 'away' }
  | { readonly kind: 'local.changed' }
  /** Another machine asks whether we are alive. */
  | { readonly kind: 'knocked' }
  /** What the node says of itself may be another. */
  | { readonly kind: 'node.changed' }
  /** Somebody waits for a block. */
  | { readonly kind: 'wanted'; readonly demand: Demand }
  | { readonly kind: 'done'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly reason: string }

export type Work =
  /** Whether another machine is this node with this store: a copied disk. */
  | { readonly kind: 'knock' }
  | { readonly kind: 'join'; readonly mayReplace: boolean }
  /** The node's own records, from mirror and kernel. */
  | { readonly kind: 'rebuild' }
  | { readonly kind: 'down'; readonly changed: Changed; readonly keep: boolean }
  | { readonly kind: 'beat' }
  /** `others`: also what others had, who may not be there to say so. */
  | { readonly kind: 'assert'; readonly networks: boolean; readonly others: boolean }
  | { readonly kind: 'claim'; readonly demands: readonly Demand[] }
  | { readonly kind: 'yield'; readonly idle: boolean }
  | { readonly kind: 'mirror' }
  /** It was deleted, and nothing is left of it: begin anew. */
  | { readonly kind: 'reset' }

/** What became of the work of that kind. */
export type Answer =
  /** `asked`: to be asked again, once somebody who is alive will have answered. */
  | { readonly of: 'knock'; readonly standing: 'alone' | 'asked' | 'doubled' }
  /** `beats`: those that the mirror has. */
  | { readonly of: 'join'; readonly standing: Standing; readonly beats: number }
  | { readonly of: 'down'; readonly standing: Standing }
  | { readonly of: 'rebuild'; readonly pods: number }
  /** undefined: another agent with this very identity runs. */
  | { readonly of: 'beat'; readonly beats: number | undefined }
  /** `more`: of others. */
  | { readonly of: 'assert'; readonly isMember: boolean; readonly more: boolean }
  /** Blocks that were claimed; `none`: nothing lacks; undefined: not a member. */
  | { readonly of: 'claim'; readonly blocks: number | 'none' | undefined }
  | { readonly of: 'yield'; readonly blocks: number }
  /** Whether more is to be written, and whether the mirror is still the node's. */
  | { readonly of: 'mirror'; readonly more: boolean; readonly isOurs: boolean }
  /** Whether it could: no pod is left. */
  | { readonly of: 'reset'; readonly isReset: boolean }

export type MemberEffect =
  | { readonly kind: 'work'; readonly work: Work }
  /** Whoever waits for a block may look again; `why`: there will be none soon. */
  | { readonly kind: 'room'; readonly why: string | undefined }
  | { readonly kind: 'report'; readonly report: MemberReport }

export type MemberReport =
  | { readonly event: 'joined' | 'away' | 'connected' | 'fell-back' | 'reset' }
  | { readonly event: 'refused'; readonly why: 'taken' | 'deleted' | 'doubled' }
  | { readonly event: 'rebuilt'; readonly pods: number }
  | { readonly event: 'claimed' | 'given-back'; readonly blocks: number }
  | { readonly event: 'waiting'; readonly why: string }
  | { readonly event: 'failed'; readonly step: Work['kind']; readonly reason: string }

export type MemberMachine = Machine<MemberInput, MemberEffect>

const NEVER = Number.POSITIVE_INFINITY as Instant
const AT_ONCE = 0 as Instant
/** An agent that missed so many signs of life is taken for dead, where its machine is ours. */
const BEATS_MISSED = 3
const later = (now: Instant, ms: number): Instant => (now + ms) as Instant

/** What is to be looked at. */
interface Due {
  knock: boolean
  others: boolean
  down: Changed | undefined
  join: boolean
  rebuild: boolean
  assert: boolean
  claim: boolean
  yield: boolean
  mirror: boolean
  reset: boolean
}

const AT_START: Due = {
  knock: true,
  others: false,
  down: undefined,
  join: true,
  rebuild: false,
  assert: false,
  claim: true,
  yield: true,
  mirror: true,
  reset: false,
}

/** @param known What the node's store says of its membership. */
export function memberMachine(known: Membership, times: MemberTimes = MEMBER_TIMES): MemberMachine {
  let { revision, beats } = known
  let isJoined = known.joined
  let isOnline = false
  let isMember = false
  let refused: Membership['refused']
  let running: Work | undefined
  const due: Due = { ...AT_START, rebuild: !isJoined }
  /** Whoever was not there cannot tell for certain whether etcd fell back meanwhile. */
  let claimsFrom: Instant | undefined
  let keepUntil = AT_ONCE
  /** When what was kept although it is missing is looked at again. */
  let comeback = NEVER
  let beatAt = AT_ONCE
  let knockAt = AT_ONCE
  let othersAt = AT_ONCE
  let mirrorAt = AT_ONCE
  let idleAt = AT_ONCE
  let retryAt = AT_ONCE
  let failuresInRow = 0
  let mustPutBack = !isJoined
  let demands: Demand[] = []
  /** Signs of life of a store that was here before ours, and since when they stand still. */
  let silence: { readonly beats: number; readonly since: Instant } | undefined
  let seenBeats = 0

  function fellBack(now: Instant): readonly MemberEffect[] {
    const until = later(now, times.reassertMs)
    claimsFrom = until
    // Whoever is there has spoken for itself by then.
    othersAt = later(now, times.reassertMs / 2)
    due.others = isJoined
    keep(until)
    Object.assign(due, { down: 'all', join: true, assert: true, claim: true, mirror: true })
    mustPutBack = true
    beatAt = now
    return [{ kind: 'report', report: { event: 'fell-back' } }]
  }

  /** Nothing goes before `until`: who lost it may be about to put it back. */
  function keep(until: Instant): void {
    keepUntil = until
    comeback = until
  }

  function connected(
    input: MemberInput & { kind: 'connected' },
    now: Instant,
  ): readonly MemberEffect[] {
    const wasOnline = isOnline
    isOnline = true
    retryAt = now
    failuresInRow = 0
    seenBeats = input.beats
    // It may have fallen back to what this node knew itself, without what others claimed meanwhile.
    if (!wasOnline) claimsFrom = later(now, times.reassertMs)
    if (!isJoined) keep(later(now, times.reassertMs))
    if (input.isBehind) due.rebuild = true
    Object.assign(due, { claim: true, mirror: true, join: true, assert: true, yield: true })
    due.down ??= new Set()
    const isBack = input.fellBack || input.revision < revision || input.beats < beats
    revision = input.revision
    const reports: MemberEffect[] = wasOnline
      ? []
      : [{ kind: 'report', report: { event: 'connected' } }]
    return isBack ? [...reports, ...fellBack(now)] : reports
  }

  function refuse(why: 'taken' | 'deleted' | 'doubled'): readonly MemberEffect[] {
    const isNews = refused !== why
    refused = why
    isMember = false
    if (why === 'deleted') due.reset = true
    return isNews ? [{ kind: 'report', report: { event: 'refused', why } }] : []
  }

  function stands(standing: Standing, now: Instant): readonly MemberEffect[] {
    if (standing === 'taken' || standing === 'deleted') return refuse(standing)
    if (refused !== 'doubled') refused = undefined
    due.join = standing !== 'member'
    const isIn = standing === 'member' && !due.knock
    const isNews = isIn && !isMember
    isMember = isIn
    if (standing !== 'lost') silence = undefined
    else if (silence?.beats !== seenBeats) silence = { beats: seenBeats, since: now }
    return isNews ? [{ kind: 'report', report: { event: 'joined' } }] : []
  }

  /** Whether nobody was heard of for so long that a living agent would have been. */
  const isSilent = (now: Instant): boolean =>
    silence !== undefined && now >= later(silence.since, BEATS_MISSED * times.beatMs)

  /** What there is to do, the most urgent first, and from when. */
  function* agenda(now: Instant): Generator<readonly [from: Instant, work: Work]> {
    if (due.down !== undefined && (!due.rebuild || refused !== undefined)) {
      yield [AT_ONCE, { kind: 'down', changed: due.down, keep: due.others || now < keepUntil }]
    }
    if (refused === 'deleted' && due.reset) yield [AT_ONCE, { kind: 'reset' }]
    if (refused !== undefined) return
    if (due.knock) {
      yield [knockAt, { kind: 'knock' }]
      return
    }
    if (due.join) {
      yield [AT_ONCE, { kind: 'join', mayReplace: isSilent(now) }]
      return
    }
    if (due.rebuild) {
      yield [AT_ONCE, { kind: 'rebuild' }]
      return
    }
    yield [beatAt, { kind: 'beat' }]
    if (due.assert) yield [AT_ONCE, { kind: 'assert', networks: mustPutBack, others: false }]
    if (due.mirror) yield [mirrorAt, { kind: 'mirror' }]
    if (due.others) {
      yield [othersAt, { kind: 'assert', networks: true, others: true }]
      return
    }
    if (due.claim && claimsFrom !== undefined) yield [claimsFrom, { kind: 'claim', demands }]
    yield [comeback, { kind: 'down', changed: 'all', keep: false }]
    yield [due.yield ? AT_ONCE : idleAt, { kind: 'yield', idle: now >= idleAt }]
  }

  const isAtRest = (): boolean => running !== undefined || !isOnline || refused === 'doubled'

  function begin(now: Instant): readonly MemberEffect[] {
    if (isAtRest() || now < retryAt) return []
    for (const [from, work] of agenda(now)) {
      if (from > now) continue
      running = work
      settle(work, now)
      return [{ kind: 'work', work }]
    }
    return []
  }

  /** What the work will look at is not due any more, unless it changes while it runs. */
  function settle(work: Work, now: Instant): void {
    switch (work.kind) {
      case 'down':
        due.down = undefined
        if (!work.keep && work.changed === 'all') comeback = NEVER
        return
      case 'beat':
        beatAt = later(now, times.beatMs)
        return
      case 'claim':
        demands = []
        due.claim = false
        return
      case 'yield':
        due.yield = false
        if (work.idle) idleAt = later(now, times.idleMs)
        return
      case 'mirror':
        mirrorAt = later(now, times.mirrorMs)
        due.mirror = false
        return
      case 'assert':
        due[work.others ? 'others' : 'assert'] = false
        return
      default:
        due[work.kind] = false
    }
  }

  function failed(reason: string, now: Instant): readonly MemberEffect[] {
    const work = running
    running = undefined
    if (work === undefined) return []
    // All of it again: what was cut short is known to nobody.
    if (work.kind === 'down' || work.kind === 'yield') due.down = 'all'
    if (work.kind === 'beat') beatAt = now
    if (work.kind === 'assert') due[work.others ? 'others' : 'assert'] = true
    else if (work.kind !== 'down' && work.kind !== 'beat') due[work.kind] = true
    if (work.kind === 'claim') demands = [...work.demands, ...demands]
    failuresInRow++
    retryAt = later(now, Math.min(times.retryMs * 2 ** (failuresInRow - 1), times.retryMsMax))
    const report: MemberReport = { event: 'failed', step: work.kind, reason }
    const told: MemberEffect = { kind: 'report', report }
    return work.kind === 'claim' ? [told, { kind: 'room', why: reason }] : [told]
  }

  function done(answer: Answer, now: Instant): readonly MemberEffect[] {
    running = undefined
    failuresInRow = 0
    switch (answer.of) {
      case 'knock':
        return knocked(answer.standing, now)
      case 'join': {
        seenBeats = answer.beats
        const told = stands(answer.standing, now)
        if (answer.standing === 'lost') retryAt = later(now, times.beatMs / 2)
        return told
      }
      case 'down': {
        Object.assign(due, { assert: true, yield: true, claim: true })
        return [...stands(answer.standing, now), { kind: 'room', why: undefined }]
      }
      case 'rebuild': {
        isJoined = true
        Object.assign(due, { assert: true, claim: true, mirror: true })
        const { pods } = answer
        const rebuilt: MemberReport[] = pods > 0 ? [{ event: 'rebuilt', pods }] : []
        return [...rebuilt, { event: 'joined' } as const].map((report) => ({
          kind: 'report',
          report,
        }))
      }
      case 'beat':
        if (answer.beats === undefined) return refuse('doubled')
        beats = answer.beats
        seenBeats = beats
        return []
      case 'assert':
        if (answer.more) due.others = true
        if (answer.isMember) mustPutBack = now < keepUntil
        else due.join = due.assert = true
        return []
      case 'claim':
        return claimed(answer.blocks)
      case 'yield':
        return answer.blocks === 0
          ? []
          : [{ kind: 'report', report: { event: 'given-back', blocks: answer.blocks } }]
      case 'mirror':
        if (!answer.isOurs) return refuse('doubled')
        if (answer.more) due.mirror = true
        return []
      case 'reset':
        if (!answer.isReset) return []
        refused = undefined
        isJoined = false
        mustPutBack = false
        claimsFrom = later(now, times.reassertMs)
        Object.assign(due, { join: true, rebuild: true, down: undefined })
        return [{ kind: 'report', report: { event: 'reset' } }]
      default:
        return assertNever(answer)
    }
  }

  function knocked(
    standing: (Answer & { of: 'knock' })['standing'],
    now: Instant,
  ): readonly MemberEffect[] {
    due.knock = standing !== 'alone'
    due.join ||= standing === 'alone'
    if (standing === 'doubled') return refuse(standing)
    if (standing === 'asked') knockAt = later(now, times.knockMs)
    return []
  }

  function claimed(blocks: number | 'none' | undefined): readonly MemberEffect[] {
    if (blocks === undefined) {
      due.join = due.claim = true
      return []
    }
    if (blocks === 'none') return [{ kind: 'room', why: undefined }]
    if (blocks === 0) return [{ kind: 'room', why: 'etcd has none that is free' }]
    return [{ kind: 'report', report: { event: 'claimed', blocks } }]
  }

  function changed(more: Changed): void {
    if (more === 'all' || due.down === 'all') due.down = 'all'
    else due.down = new Set([...(due.down ?? []), ...more])
  }

  function take(input: MemberInput, now: Instant): readonly MemberEffect[] {
    switch (input.kind) {
      case 'shared.changed':
        changed(input.changed)
        // The name may be free by now.
        if (refused === 'taken' && !isJoined && namesMembers(input.changed)) refused = undefined
        revision = Math.max(revision, input.revision)
        return []
      case 'connected':
        return connected(input, now)
      case 'away': {
        const was = isOnline
        isOnline = false
        if (!was) return []
        return [
          { kind: 'report', report: { event: 'away' } },
          { kind: 'room', why: 'etcd does not answer' },
        ]
      }
      case 'local.changed':
        Object.assign(due, { claim: true, mirror: true, yield: true })
        due.reset = refused === 'deleted'
        return []
      case 'knocked':
        if (isMember) beatAt = now
        return []
      case 'node.changed':
        due.join = true
        return []
      case 'wanted':
        if (!isOnline) return [{ kind: 'room', why: 'etcd does not answer' }]
        demands.push(input.demand)
        due.claim = true
        return []
      case 'done':
        return done(input.answer, now)
      case 'failed':
        return failed(input.reason, now)
      default:
        return assertNever(input)
    }
  }

  return {
    handle(input, now) {
      const effects = take(input, now)
      return [...effects, ...begin(now)]
    },
    wake: begin,
    nextWake() {
      if (isAtRest()) return undefined
      let first = NEVER
      for (const [from] of agenda(AT_ONCE)) if (from < first) first = from
      return first === NEVER ? undefined : ((first > retryAt ? first : retryAt) as Instant)
    },
  }
}

function namesMembers(changed: Changed): boolean {
  if (changed === 'all') return true
  for (const key of changed) if (key.startsWith('member/')) return true
  return false
}
