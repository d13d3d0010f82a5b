/**
 * Graceful restart of a peer, seen from the one that stays: RFC 4724 section 4.2, RFC 8538.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import { NEVER } from './connection.ts'
import type { Ending } from './ending.ts'
import { REFILL_MS } from './timing.ts'
import type { Agreed, SessionEffect } from './types.ts'

/** What is kept of a peer that is away, or back and not done yet; the paths are the RIB's. */
export class Kept {
  families: readonly Family[] = []
  /** When the rest goes. */
  until = NEVER

  /** The session is over: those families stay. */
  away(agreed: Agreed, ending: Ending, now: number): readonly Family[] {
    this.families = retained(agreed, ending)
    const { restartSeconds = 0 } = agreed.capabilities.gracefulRestart ?? {}
    this.until = this.families.length === 0 ? NEVER : now + restartSeconds * 1000
    return this.families
  }

  /** The session is back: what the peer has not kept goes. */
  back(agreed: Agreed, now: number): readonly Family[] {
    const gone = lost(this.families, agreed)
    this.#keep((family) => !gone.includes(family))
    if (this.families.length > 0) this.until = now + REFILL_MS
    return gone
  }

  /** End-of-RIB: the RIB has removed what the peer did not say again. */
  hear(effect: SessionEffect | undefined): void {
    if (this.families.length === 0 || effect?.kind !== 'update') return
    this.#keep((family) => family !== effect.update.endOfRib)
  }

  /** The time is over, or nobody waits any more: all that goes. */
  end(): readonly Family[] {
    const gone = this.families
    this.#keep(() => false)
    return gone
  }

  #keep(isKept: (family: Family) => boolean): void {
    this.families = this.families.filter(isKept)
    if (this.families.length === 0) this.until = NEVER
  }
}

/** Whether both said that a NOTIFICATION, too, starts a graceful restart: RFC 8538. */
export const hasNotificationBit = ({ ours, capabilities }: Agreed): boolean =>
  ours.gracefulRestart?.hasNotification === true &&
  capabilities.gracefulRestart?.hasNotification === true

/** RFC 4724 section 5: a new connection of the peer means that the old one is gone. */
export const canBeReplaced = (agreed: Agreed): boolean =>
  agreed.ours.gracefulRestart !== undefined && restartable(agreed).length > 0

/** Families whose paths stay in use while the peer is away. */
function retained(agreed: Agreed, { hasNotification, isHard }: Ending): readonly Family[] {
  const theirs = agreed.capabilities.gracefulRestart
  if (agreed.ours.gracefulRestart === undefined || theirs === undefined || isHard) return []
  if (hasNotification && !hasNotificationBit(agreed)) return []
  return theirs.restartSeconds === 0 ? [] : restartable(agreed)
}

/** Of those, which the peer has not kept, now that it is back. */
function lost(stale: readonly Family[], { capabilities, context }: Agreed): readonly Family[] {
  const { families: kept = [] } = capabilities.gracefulRestart ?? {}
  return stale.filter(
    (family) =>
      !context.families.includes(family) ||
      !kept.some((each) => each.family === family && each.isForwarding),
  )
}

/** Of which restarts are agreed on. */
function restartable({ capabilities, context }: Agreed): readonly Family[] {
  const { families: theirs = [] } = capabilities.gracefulRestart ?? {}
  return theirs.map(({ family }) => family).filter((family) => context.families.includes(family))
}
