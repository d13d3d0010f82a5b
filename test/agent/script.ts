/**
 * A machine on a script: a clock that only moves when told, and the world's
 * answers in between.
 */
import {
  type AgentEffect,
  type AgentInput,
  type AgentReport,
  type AgentTimes,
  agentMachine,
} from '../../src/agent/agent.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import type { KernelFailure, KernelObject, KernelState } from '../../src/kernel/mod.ts'
import { identity, kernelState, subjectOf } from '../../src/kernel/mod.ts'
import type { Instant } from '../../src/machine.ts'

export const TIMES: AgentTimes = { repairMs: 1000, settleMs: 5, retryMs: 100 }

/** Effects that the world must answer, of which there is at most one at a time. */
const STEPS: ReadonlySet<string> = new Set([
  'store.prepare',
  'kernel.observe',
  'store.read',
  'kernel.apply',
  'turn.give',
])
export const isStep = ({ kind }: AgentEffect): boolean => STEPS.has(kind)

/** A world that answers at once, until told otherwise. */
export class World {
  readonly machine: ReturnType<typeof agentMachine>
  now = 0
  view: ClusterView | undefined
  kernel: KernelState = new Map()
  prepareFailure: string | undefined
  observeFailure: string | undefined
  /** Refuses operations on these identities. */
  readonly refused = new Map<string, KernelFailure>()
  /** Every effect since `take`, as a word. */
  #log: string[] = []
  readonly reports: AgentReport[] = []
  applied: Extract<AgentEffect, { kind: 'kernel.apply' }>['ops'] = []

  take(): readonly string[] {
    const log = this.#log
    this.#log = []
    return log
  }

  /** @param slice How much is planned between two turns; by default all of it. */
  constructor(slice?: number) {
    this.machine = agentMachine(TIMES, slice)
  }

  /** Moves the clock to `ms` and runs every round that falls due on the way. */
  until(ms: number): void {
    for (let next = this.machine.nextWake(); next !== undefined && next <= ms; ) {
      this.now = Math.max(this.now, next)
      this.settle(this.machine.wake(this.now as Instant))
      next = this.machine.nextWake()
    }
    this.now = ms
  }

  /** Feeds one input and plays the world until nothing is under way. */
  feed(input: AgentInput): void {
    this.settle(this.machine.handle(input, this.now as Instant))
  }

  settle(effects: readonly AgentEffect[]): void {
    const queue = [...effects]
    for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
      this.note(effect)
      const input = this.answer(effect)
      if (input !== undefined) queue.push(...this.machine.handle(input, this.now as Instant))
    }
  }

  note(effect: AgentEffect): void {
    if (effect.kind === 'report') {
      this.reports.push(effect.report)
      this.#log.push(`report ${effect.report.event}`)
    } else this.#log.push(effect.kind)
  }

  answer(effect: AgentEffect): AgentInput | undefined {
    switch (effect.kind) {
      case 'store.prepare':
        return { kind: 'store.prepared', failure: this.prepareFailure }
      case 'kernel.observe':
        return { kind: 'kernel.observed', observed: this.observed() }
      case 'store.read':
        return { kind: 'store.read', view: this.view }
      case 'kernel.apply':
        return { kind: 'kernel.applied', failures: this.apply(effect.ops) }
      case 'turn.give':
        return { kind: 'turn.given' }
      default:
        return undefined
    }
  }

  observed(): Extract<AgentInput, { kind: 'kernel.observed' }>['observed'] {
    if (this.observeFailure !== undefined) return { kind: 'failed', reason: this.observeFailure }
    return { kind: 'state', state: this.kernel }
  }

  apply(ops: World['applied']): readonly (KernelFailure | undefined)[] {
    this.applied = ops
    const state = new Map(this.kernel)
    const failures = ops.map((op) => {
      const key = identity(subjectOf(op))
      const failure = this.refused.get(key)
      if (failure !== undefined) return failure
      if (op.kind === 'remove') state.delete(key)
      else state.set(key, subjectOf(op))
      return undefined
    })
    this.kernel = state
    return failures
  }

  /** The kernel holds exactly these. */
  holds(objects: Iterable<KernelObject>): void {
    this.kernel = kernelState(objects)
  }
}
