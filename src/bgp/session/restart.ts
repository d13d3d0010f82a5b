/**
 * Graceful restart of a peer, seen from the one that stays: RFC 4724 section 4.2, RFC 8538.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import type { Ending } from './ending.ts'
import type { Agreed } from './types.ts'

/** Whether both said that a NOTIFICATION, too, starts a graceful restart. */
export const hasNotificationBit = ({ ours, capabilities }: Agreed): boolean =>
  ours.gracefulRestart?.hasNotification === true &&
  capabilities.gracefulRestart?.hasNotification === true

/** Families whose paths stay in use while the peer is away. */
export function retained(agreed: Agreed, { hasNotification, isHard }: Ending): readonly Family[] {
  const theirs = agreed.capabilities.gracefulRestart
  if (agreed.ours.gracefulRestart === undefined || theirs === undefined || isHard) return []
  if (hasNotification && !hasNotificationBit(agreed)) return []
  if (theirs.restartSeconds === 0) return []
  return families(agreed)
}

/** Of those, which the peer has not kept, now that it is back. */
export function lost(stale: readonly Family[], agreed: Agreed): readonly Family[] {
  const { families: kept = [] } = agreed.capabilities.gracefulRestart ?? {}
  return stale.filter(
    (family) =>
      !agreed.context.families.includes(family) ||
      !kept.some((each) => each.family === family && each.isForwarding),
  )
}

/** Of which restarts are agreed on. */
function families({ capabilities, context }: Agreed): readonly Family[] {
  const { families: theirs = [] } = capabilities.gracefulRestart ?? {}
  return theirs.map(({ family }) => family).filter((family) => context.families.includes(family))
}

/** RFC 4724 section 5: a new connection of the peer means that the old one is gone. */
export const canBeReplaced = (agreed: Agreed): boolean =>
  agreed.ours.gracefulRestart !== undefined && families(agreed).length > 0
