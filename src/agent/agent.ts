/**
 * The node's reconciler: brings the kernel to what the store asks for, when
 * the store changes, when the kernel says something that contradicts the plan,
 * and, whatever happens, every `repairMs`.
 *
 * A round observes the kernel first and reads the store second. ADD records an
 * attachment before it touches the kernel and DEL removes links before it
 * forgets them, so links are always a subset of records; in this order a link
 * that appears between the two reads is never taken for a stale one. A link that
 * is made while its record is written, the port does not show.
 *
 * @module
 */
import { nodePlanner, podsPlan } from '../backend/planner.ts'
import type { ClusterView, NodeRecord } from '../cluster/view.ts'
import { assertNever } from '../errors.ts'
import {
  type Conflict,
  diffSteps,
  identity,
  type KernelEvent,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type KernelState,
  linkOf,
  renderOp,
  step,
} from '../kernel/mod.ts'
import type { Instant, Machine } from '../machine.ts'
import type { Observed } from '../ports.ts'
import type { Steps } from '../steps.ts'
import { movesTeller } from './moves.ts'
import {
  elementsAdded,
  isDone,
  makesTable,
  networksWithoutBlocks,
  REVERSE_PATH_FILTER,
  strictFilterProblem,
  takesOthersAlong,
} from './rules.ts'
import { suspicions } from './suspicion.ts'

export type AgentInput =
  /** The node is registered and owns blocks, or why not. */
  | { readonly kind: 'store.prepared'; readonly failure: string | undefined }
  | { readonly kind: 'store.changed' }
  /** Notifications were lost, or something changed that they do not describe: look at everything. */
  | { readonly kind: 'kernel.changed' }
  | { readonly kind: 'kernel.events'; readonly events: readonly KernelEvent[] }
  /** The underlay's addresses, MTU or state may be others. */
  | { readonly kind: 'underlay.changed' }
  | { readonly kind: 'kernel.observed'; readonly observed: Observed }
  | { readonly kind: 'store.read'; readonly view: ClusterView | undefined }
  | {
      readonly kind: 'kernel.applied'
      readonly failures: readonly (KernelFailure | undefined)[]
    }
  | { readonly kind: 'turn.given' }

export type AgentEffect =
  /** Register the node, claim the blocks it lacks and give back those it has no use for. Answer: `store.prepared`. */
  | {
      readonly kind: 'store.prepare'
      /** How far the node is in moves of networks. undefined: it has not said anything new. */
      readonly moves?: NodeRecord['moves']
    }
  | { readonly kind: 'kernel.observe'; readonly sysctls: readonly string[] }
  | { readonly kind: 'store.read' }
  | { readonly kind: 'kernel.apply'; readonly ops: readonly KernelOp[] }
  /** Others may run before planning goes on. Answer: `turn.given`. */
  | { readonly kind: 'turn.give' }
  /**
   * Said once: a round came through. Operations that the kernel refused are
   * reported and tried again; one unreachable peer does not hold the node back.
   */
  | { readonly kind: 'ready' }
  | { readonly kind: 'report'; readonly report: AgentReport }

/** What the shell logs and counts. */
export type AgentReport =
  | {
      readonly event: 'applied'
      readonly ops: readonly KernelOp[]
      readonly failures: readonly { readonly op: string; readonly reason: string }[]
    }
  | { readonly event: 'conflict'; readonly conflict: Conflict }
  | { readonly event: 'problem'; readonly problem: string }
  | { readonly event: 'failed'; readonly step: string; readonly reason: string }

/** Times in milliseconds. */
export interface AgentTimes {
  /** Between two rounds when nothing is known to have changed. */
  readonly repairMs: number
  /** From a change to its round, so that a burst of changes shares one. */
  readonly settleMs: number
  /** First wait after a failure; doubles up to `repairMs`. */
  readonly retryMs: number
}

export const DEFAULT_TIMES: AgentTimes = { repairMs: 10_000, settleMs: 20, retryMs: 100 }

/**
 * Whether the next round starts with the store. The timer's does, unless a
 * change comes first; one that was asked for does in any case.
 */
type Prepare = 'no' | 'timer' | 'asked'

type Phase = 'idle' | 'looking' | 'preparing' | 'observing' | 'reading' | 'planning' | 'applying'

/** Sysctls that planners may ask for or that spoil their plans; a dump cannot list them all. */
const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  REVERSE_PATH_FILTER,
] as const

export type AgentMachine = Machine<AgentInput, AgentEffect>

const ALL_AT_ONCE = Number.POSITIVE_INFINITY

const later = (now: Instant, ms: number): Instant => (now + ms) as Instant

/**
 * Makes the reconciler of one node. Its first `wake` starts it.
 *
 * @param slice Objects that are planned or compared between two turns.
 */
export function agentMachine(times = DEFAULT_TIMES, slice = ALL_AT_ONCE): AgentMachine {
  let phase: Phase = 'idle'
  let due: Instant | undefined = 0 as Instant
  let prepare: Prepare = 'asked'
  /** Since the step under way began, and whether the kernel itself is in question. */
  let changed = false
  let [kernelChanged, storeChanged] = [false, false] // what failed on an older view may be possible now
  let isReady = false
  let failuresInRow = 0
  let actual: KernelState = new Map()
  let applying: readonly KernelOp[] = []
  let reading: ClusterView | undefined
  const turns = planningTurns()
  /** What the kernel is known to follow. */
  let followed: ClusterView | undefined
  /** The plan of the last round with steps since, and the pods' part that the last look saw. */
  const planner = nodePlanner()
  let { pods } = planner
  /** Whether the plan could be carried out as it is: nobody in the way, nothing left out. */
  let isClean = false
  /** Whether the operations under way come from a whole comparison, not from a step. */
  let isWhole = true
  /** Whether it has just made the nftables table: a pod that came meanwhile lacks its elements. */
  let isTableNew = false
  let given: readonly string[] = [] // elements given to pods, whose DEL may have closed them
  const wanted = (key: string): KernelObject | undefined =>
    pods().get(key) ?? (planner.pods().has(key) ? undefined : planner.plan.desired.get(key))
  const suspected = suspicions()
  /** Whether the next round asks the store alone first. */
  let lookFirst = false
  let repairAt = 0 as Instant
  let forgiveAt = 0 as Instant
  let askedFor = new Set<string>()
  const moves = movesTeller()
  const news = teller()

  function finish(now: Instant, result: 'done' | 'refused' | 'failed'): readonly AgentEffect[] {
    const failed = result !== 'done'
    failuresInRow = failed ? failuresInRow + 1 : 0
    followed = failed ? undefined : reading
    if (isWhole) repairAt = later(now, times.repairMs)
    if (!failed && isWhole && reading !== undefined && moves.isNews(reading)) {
      prepare = 'asked'
      changed = true // others wait for it
    }
    const retryMs = Math.min(times.retryMs * 2 ** (failuresInRow - 1), times.repairMs)
    rest(now, failed ? later(now, retryMs) : repairAt, failed)
    if (result === 'failed' || isReady) return []
    isReady = true
    return [{ kind: 'ready' }]
  }

  /** Sleeps until `until`, or for a moment when something changed meanwhile. */
  function rest(now: Instant, until: Instant, failed: boolean): void {
    phase = 'idle'
    if (suspected.stand(wanted)) changed = true
    due = (changed && !failed) || storeChanged ? later(now, times.settleMs) : until
    lookFirst = changed && !kernelChanged
    if (!changed && prepare === 'no') prepare = 'timer'
    changed = false
    kernelChanged = false
    storeChanged = false
  }

  function startRound(now: Instant): readonly AgentEffect[] {
    due = undefined
    // Under steady change the timer's round still has its turn.
    if (now >= repairAt && prepare === 'no') prepare = 'timer'
    if (now >= forgiveAt) {
      suspected.forgive()
      given = []
      forgiveAt = later(now, times.repairMs)
    }
    if (prepare !== 'no') {
      prepare = 'no'
      phase = 'preparing'
      return [{ kind: 'store.prepare', ...moves.said }]
    }
    if (!lookFirst || followed === undefined) return observe()
    phase = 'looking'
    return [{ kind: 'store.read' }]
  }

  function observe(): readonly AgentEffect[] {
    phase = 'observing'
    // What is not right by now will be in the state; said again, it would start rounds for ever.
    // What comes from here on may be about a table that was read before.
    suspected.clear()
    return [{ kind: 'kernel.observe', sysctls: [...SYSCTLS, ...linkSysctls(planner.plan.desired)] }]
  }

  /**
   * This node's own pods come and go without us: ADD and DEL do their part
   * themselves. What peers changed is a step from what the kernel is known to hold.
   */
  function* look(view: ClusterView | undefined): Steps<readonly AgentEffect[]> {
    if (view === undefined || followed === undefined || !isClean) return observe()
    const change = yield* planner.stepIn(view, slice)
    if (change === undefined) return observe()
    const ops = step(change.before, change.after)
    const podsBefore = pods
    pods = podsPlan(view)
    const cameMeanwhile = isTableNew && hasMore(pods(), podsBefore())
    isTableNew = false
    const wentMeanwhile = given.some((key) => !pods().has(key))
    if (cameMeanwhile || wentMeanwhile) return observe()
    if (suspected.stand(wanted, true)) return observe()
    reading = view
    if (ops.length === 0) {
      followed = view
      rest(turns.now(), repairAt, false)
      return []
    }
    isWhole = false
    applying = ops
    phase = 'applying'
    return [{ kind: 'kernel.apply', ops }]
  }

  function fail(step: string, reason: string, now: Instant): readonly AgentEffect[] {
    const report: AgentEffect = { kind: 'report', report: { event: 'failed', step, reason } }
    return [report, ...finish(now, 'failed')]
  }

  /** Something changed: one round soon, or another one after this. */
  function touch(now: Instant, inKernel: boolean): readonly AgentEffect[] {
    if (phase !== 'idle') {
      changed = true
      kernelChanged ||= inKernel
      storeChanged ||= !inKernel
      return []
    }
    if (inKernel) lookFirst = false
    if (due === undefined || due > later(now, times.settleMs)) {
      due = later(now, times.settleMs)
      lookFirst = !inKernel
      if (prepare === 'timer') prepare = 'no'
    }
    return []
  }

  function* plan(view: ClusterView): Steps<readonly AgentEffect[]> {
    const nodePlan = yield* planner.planWholeIn(view, slice)
    const { ops, conflicts } = yield* diffSteps(nodePlan.desired, actual, slice)
    reading = view
    // Once: an exhausted pool must not make rounds without end. The timer asks again.
    const without = networksWithoutBlocks(view)
    if (without.some((name) => !askedFor.has(name))) prepare = 'asked'
    askedFor = new Set(without)
    pods = planner.pods
    given = given.filter((key) => pods().has(key))
    isClean = nodePlan.complete && conflicts.length === 0
    isWhole = true
    applying = nodePlan.complete ? ops : ops.filter(({ kind }) => kind !== 'remove')
    const filter = strictFilterProblem(view, actual)
    const problems = filter === undefined ? nodePlan.problems : [...nodePlan.problems, filter]
    const reports = news(problems, conflicts)
    if (applying.length > 0) {
      phase = 'applying'
      return [...reports, { kind: 'kernel.apply', ops: applying }]
    }
    isTableNew = false
    if (prepare === 'asked') changed = true
    return [...reports, ...finish(turns.now(), 'done')]
  }

  function read(view: ClusterView | undefined, now: Instant): readonly AgentEffect[] {
    if (phase !== 'looking' && view === undefined) {
      prepare = 'asked'
      return fail('store.read', 'this node is not registered', now)
    }
    suspected.readAnew()
    const steps = phase === 'looking' || view === undefined ? look(view) : plan(view)
    phase = 'planning'
    return turns.start(steps, now)
  }

  function heard(events: readonly KernelEvent[], now: Instant): readonly AgentEffect[] {
    // While a plan is being made nobody knows yet what is wanted.
    if (phase !== 'idle' && phase !== 'applying') suspected.note(events)
    else if (suspected.hear(events, wanted) && phase === 'idle') return touch(now, false)
    return []
  }

  function applied(
    failures: readonly (KernelFailure | undefined)[],
    now: Instant,
  ): readonly AgentEffect[] {
    const failed = applying.flatMap((op, index) => {
      const failure = failures[index]
      return failure === undefined || isDone(op, failure)
        ? []
        : [{ op: renderOp(op), reason: failure.message }]
    })
    const report: AgentReport = { event: 'applied', ops: applying, failures: failed }
    if (isWhole) {
      isTableNew = makesTable(applying)
      given = [...given, ...elementsAdded(applying)].filter((key) => pods().has(key))
    }
    // Links that were not there yet when we looked may be by now, without elements.
    const isLookDue = takesOthersAlong(applying) || (isTableNew && pods().size > 0)
    if (prepare === 'asked') changed = true
    if (isLookDue) changed = kernelChanged = true
    return [{ kind: 'report', report }, ...finish(now, failed.length > 0 ? 'refused' : 'done')]
  }

  return {
    handle(input, now) {
      switch (input.kind) {
        case 'store.changed':
          return touch(now, false)
        case 'kernel.changed':
          return touch(now, true)
        case 'kernel.events':
          return heard(input.events, now)
        case 'underlay.changed':
          prepare = 'asked'
          return touch(now, true)
        case 'store.prepared':
          if (input.failure !== undefined) {
            prepare = 'asked'
            return fail('store.prepare', input.failure, now)
          }
          return observe()
        case 'kernel.observed':
          if (input.observed.kind === 'failed') {
            return fail('kernel.observe', input.observed.reason, now)
          }
          actual = input.observed.state
          phase = 'reading'
          return [{ kind: 'store.read' }]
        case 'store.read':
          return read(input.view, now)
        case 'turn.given':
          return turns.goOn(now)
        case 'kernel.applied':
          return applied(input.failures, now)
        default:
          return assertNever(input)
      }
    },
    wake: (now) => (phase === 'idle' && due !== undefined && due <= now ? startRound(now) : []),
    nextWake: () => (phase === 'idle' ? due : undefined),
  }
}

/** Settings of our own links that the last plan asked for. */
function linkSysctls(desired: KernelState): readonly string[] {
  const names: string[] = []
  for (const object of desired.values()) {
    if (object.kind === 'sysctl' && linkOf(object) !== undefined) names.push(object.name)
  }
  return names
}

function hasMore(
  after: ReadonlyMap<string, unknown>,
  before: ReadonlyMap<string, unknown>,
): boolean {
  for (const key of after.keys()) if (!before.has(key)) return true
  return false
}

type Teller = (
  problems: readonly string[],
  conflicts: readonly Conflict[],
) => readonly AgentEffect[]

/** Reports what was not reported before; what went away is told again when it is back. */
function teller(): Teller {
  let told = new Set<string>()
  return (problems, conflicts) => {
    const reports: AgentReport[] = [
      ...problems.map((problem): AgentReport => ({ event: 'problem', problem })),
      ...conflicts.map((conflict): AgentReport => ({ event: 'conflict', conflict })),
    ]
    const current = new Set<string>()
    const fresh: AgentEffect[] = []
    for (const report of reports) {
      const key =
        report.event === 'conflict' ? identity(report.conflict.desired) : JSON.stringify(report)
      current.add(key)
      if (!told.has(key)) fresh.push({ kind: 'report', report })
    }
    told = current
    return fresh
  }
}

interface PlanningTurns {
  start(steps: Steps<readonly AgentEffect[]>, now: Instant): readonly AgentEffect[]
  goOn(now: Instant): readonly AgentEffect[]
  /** When the piece under way began. */
  now(): Instant
}

/** Plans a round in pieces, and asks for a turn after each; what was planned follows the last. */
function planningTurns(): PlanningTurns {
  let planning: Steps<readonly AgentEffect[]> | undefined
  let at = 0 as Instant

  function goOn(now: Instant): readonly AgentEffect[] {
    at = now
    const piece = planning?.next()
    if (piece === undefined) return []
    if (piece.done !== true) return [{ kind: 'turn.give' }]
    planning = undefined
    return piece.value
  }

  return {
    start(steps, now) {
      planning = steps
      return goOn(now)
    },
    goOn,
    now: () => at,
  }
}
