/**
 * An owner's effects to transactions on the cluster's store and its own; what a
 * request asks for is done by `carry`, which a live node and a test have each their own of.
 *
 * @module
 */
import { membershipOf } from '../../ipam/cluster/membership.ts'
import {
  answerTo,
  type DeedAnswer,
  mayCarry,
  type OwnerRequest,
  settleCarried,
  sweep,
  take,
} from '../../ipam/cluster/requests.ts'
import type { Store, Tx } from '../../ipam/store.ts'
import { assertNever } from '../errors.ts'
import type { Perform } from '../ports.ts'
import type { OwnerEffect, OwnerInput } from './owner.ts'

export interface OwnerPorts {
  readonly name: string
  /** Of this run of the agent and no other. */
  readonly session: string
  readonly local: Store
  /** What all nodes share. */
  readonly shared: Store
  /** Runs later, never before returning. */
  readonly defer: (run: () => void) => void
  /**
   * Carries the request out in the node's store, and notes the answer in the same
   * transaction (`noteCarried`), once. No answer: what became of it is not known here.
   */
  readonly carry: (request: OwnerRequest, done: (answer: DeedAnswer | undefined) => void) => void
  readonly report: (report: OwnerReport) => void
}

export type OwnerReport =
  | { readonly event: 'asked'; readonly asker: string; readonly deed: string }
  | { readonly event: 'asked-failed'; readonly step: string; readonly reason: string }

const STARTED_ANEW = 'its agent was started anew before it was done, and it will not be: ask again'
const BROKE_OFF = 'it broke off before it was done, and it will not be: ask again'

export function ownerPerform(ports: OwnerPorts): Perform<OwnerInput, OwnerEffect> {
  const { name, local, shared } = ports
  return (effect, feed) => {
    const done = (more: Omit<OwnerInput & { kind: 'done' }, 'kind'> = {}): void =>
      feed({ kind: 'done', ...more })
    const failed = (reason: string): void => {
      ports.report({ event: 'asked-failed', step: effect.kind, reason })
      feed({ kind: 'failed', reason })
    }
    const transact = <T>(store: Store, body: (tx: Tx) => T, then: (answer: T) => void): void =>
      store.transact(body, (outcome) => {
        if (outcome.kind === 'committed') then(outcome.answer)
        else failed(outcome.error.message)
      })
    const settle = (id: string, why: string): void =>
      transact(
        local,
        (tx) => settleCarried(tx, id, why),
        (answer) => done({ answer }),
      )

    function takeNow(id: string): void {
      if (!local.read(mayCarry)) {
        failed(`node ${name} is no member that may do it`)
        return
      }
      const { incarnation } = local.read(membershipOf)
      const by = { run: ports.session, incarnation }
      transact(
        shared,
        (tx) => take(tx, name, id, by),
        (isTaken) => done({ gone: !isTaken }),
      )
    }

    function carryNow(request: OwnerRequest): void {
      ports.report({ event: 'asked', asker: request.asker, deed: request.deed.kind })
      ports.carry(request, (answer) => {
        if (answer === undefined) settle(request.id, BROKE_OFF)
        else done({ answer })
      })
    }

    const perform = () => {
      switch (effect.kind) {
        case 'take':
          return takeNow(effect.id)
        case 'carry':
          return carryNow(effect.request)
        case 'settle':
          return settle(effect.id, STARTED_ANEW)
        case 'answer':
          return transact(
            shared,
            (tx) => answerTo(tx, name, effect.id, effect.answer),
            () => done(),
          )
        case 'sweep':
          return transact(
            shared,
            (tx) => sweep(tx, name, effect.id),
            () => done(),
          )
        default:
          return assertNever(effect)
      }
    }
    // The machine hears of it in a turn of its own.
    ports.defer(() => {
      try {
        perform()
      } catch (thrown) {
        failed(String((thrown as Error).message))
      }
    })
  }
}
