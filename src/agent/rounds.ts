/**
 * Watches a reconciler from outside: which rounds it makes, how long each
 * takes, and why the kernel was changed. The machine knows nothing of it.
 *
 * @module
 */
import type { ClusterView } from '../cluster/view.ts'
import type { KernelOp } from '../kernel/mod.ts'
import type { Perform } from '../ports.ts'
import type { AgentEffect, AgentInput } from './agent.ts'

/** `whole`: the kernel was read. `step`: what peers changed. `look`: there was nothing to do. */
export type RoundKind = 'whole' | 'step' | 'look'

/**
 * Why operations were needed. `start`: no round came through before, as after
 * a boot or a restart. `change`: the store asks for something else than before.
 * `repair`: it does not, so somebody changed the kernel behind our back.
 */
export type Cause = 'start' | 'change' | 'repair'

export interface RoundListener {
  round(kind: RoundKind, ms: number): void
  applied(ops: readonly KernelOp[], cause: Cause, failures: number): void
}

/**
 * Takes the place of the `perform` that it watches.
 *
 * @param now Milliseconds of a clock that never goes back.
 */
export function watchRounds(
  perform: Perform<AgentInput, AgentEffect>,
  now: () => number,
  listener: RoundListener,
): Perform<AgentInput, AgentEffect> {
  let effects = 0
  let startedMs: number | undefined
  let kind: RoundKind = 'look'
  let cause: Cause = 'start'
  /** What was planned from before this round, and what in it. */
  let followed: ClusterView | undefined
  let reading: ClusterView | undefined

  function note(effect: AgentEffect): void {
    if (effect.kind === 'report' && effect.report.event === 'applied') {
      const { ops, failures } = effect.report
      listener.applied(ops, cause, failures.length)
    }
    if (effect.kind === 'report' || effect.kind === 'ready') return
    effects += 1
    startedMs ??= now()
    if (effect.kind === 'store.prepare' || effect.kind === 'kernel.observe') kind = 'whole'
    else if (effect.kind === 'kernel.apply' && kind === 'look') kind = 'step'
  }

  function take(input: AgentInput): void {
    if (input.kind !== 'store.read' || input.view === undefined) return
    reading = input.view
    if (followed !== undefined) cause = asksTheSame(followed, reading) ? 'repair' : 'change'
  }

  function end(): void {
    if (startedMs === undefined) return
    listener.round(kind, now() - startedMs)
    followed = reading ?? followed
    reading = startedMs = undefined
    kind = 'look'
  }

  return (effect, feed) => {
    note(effect)
    perform(effect, (input) => {
      const before = effects
      take(input)
      feed(input)
      // Nothing was asked for in answer: the machine rests.
      if (effects === before) end()
    })
  }
}

/** Of this node's pods ADD and DEL take care, so they make no difference here. */
function asksTheSame(left: ClusterView, right: ClusterView): boolean {
  return (
    isSame(left.self, right.self) &&
    left.nodes.size === right.nodes.size &&
    [...right.nodes].every(([name, node]) => isSame(left.nodes.get(name), node)) &&
    isSame(left.allows, right.allows) &&
    left.networks.length === right.networks.length &&
    right.networks.every(({ network, claims }, at) => {
      const before = left.networks[at]
      return (
        isSame(before?.network, network) &&
        (before?.claims === claims ||
          (before?.claims.length === claims.length &&
            claims.every(
              ({ cidr, node }, index) =>
                before.claims[index]?.cidr === cidr && before.claims[index]?.node === node,
            )))
      )
    })
  )
}

/** Records are small and plain; what a store hands out twice is the same object. */
const isSame = (left: unknown, right: unknown): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right)
