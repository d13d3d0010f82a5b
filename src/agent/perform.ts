/**
 * Agent effects to port calls: one switch, shared by the live node and the
 * simulated one.
 *
 * @module
 */

import { keys } from '../../ipam/keys.ts'
import { keepBlocks, registerNode } from '../../ipam/mod.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Store, Tx } from '../../ipam/store.ts'
import { writesNothing } from '../../ipam/trial.ts'
import { readView } from '../cluster/read-view.ts'
import { assertNever } from '../errors.ts'
import type { KernelPort, Perform } from '../ports.ts'
import type { AgentEffect, AgentInput, AgentReport } from './agent.ts'

/** What one agent acts on. */
export interface AgentPorts {
  readonly name: string
  /** Tells of the node as it is now: addresses and MTU may change while the agent runs. */
  readonly node: (done: (node: NodeRecord) => void) => void
  readonly store: Store
  readonly kernel: KernelPort
  /** Unix milliseconds, for records. */
  readonly wallMs: () => number
  /** Runs later, never before returning. */
  readonly defer: (run: () => void) => void
  readonly report: (report: AgentReport) => void
  readonly ready: () => void
  /** Registers the node where the store alone cannot: in its cluster. Answers why it is not yet. */
  readonly register?: (node: NodeRecord, done: (failure: string | undefined) => void) => void
}

export function agentPerform(ports: AgentPorts): Perform<AgentInput, AgentEffect> {
  const { store, kernel } = ports
  return (effect, feed) => {
    switch (effect.kind) {
      case 'store.prepare':
        return ports.node((found) => {
          const { moves } = effect
          const node = moves === undefined ? found : { ...found, moves }
          const done = (failure: string | undefined): void =>
            feed({ kind: 'store.prepared', failure })
          if (ports.register !== undefined) return ports.register(node, done)
          return transactIfNeeded(ports, (tx) => prepare(tx, node, ports.wallMs()), done)
        })
      case 'kernel.observe':
        return kernel.observe(effect.sysctls, (observed) =>
          feed({ kind: 'kernel.observed', observed }),
        )
      case 'store.read':
        return ports.defer(() => {
          const view = store.read((reader) => readView(reader, ports.name))
          feed({ kind: 'store.read', view })
        })
      case 'kernel.apply':
        return kernel.apply(effect.ops, (failures) => feed({ kind: 'kernel.applied', failures }))
      case 'turn.give':
        return ports.defer(() => feed({ kind: 'turn.given' }))
      case 'ready':
        return ports.ready()
      case 'report':
        return ports.report(effect.report)
      default:
        return assertNever(effect)
    }
  }
}

/** A disk that stands still keeps nobody from repairing the kernel, who has nothing to write. */
function transactIfNeeded(
  { store, defer }: AgentPorts,
  body: (tx: Tx) => void,
  done: (failure: string | undefined) => void,
): void {
  defer(() => {
    if (writesNothing(store, body)) return done(undefined)
    store.transact(body, (outcome) =>
      done(outcome.kind === 'failed' ? outcome.error.message : undefined),
    )
  })
}

function prepare(tx: Tx, node: NodeRecord, nowMs: number): void {
  registerNode(tx, node)
  for (const [, network] of tx.range(keys.networks)) keepBlocks(tx, network, node.name, nowMs)
}
