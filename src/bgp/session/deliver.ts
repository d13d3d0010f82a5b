/**
 * What an established session hands on: UPDATE and ROUTE-REFRESH.
 *
 * @module
 */

import type { Reset } from '../wire/fault.ts'
import type { Frame } from '../wire/framing.ts'
import { decodeMessage } from '../wire/message.ts'
import type { RouteRefresh } from '../wire/route-refresh.ts'
import type { Agreed, SessionEffect } from './types.ts'

/** Appends to `effects`; a `reset` ends the session. */
export function deliver(frame: Frame, agreed: Agreed, effects: SessionEffect[]): Reset | undefined {
  const { context } = agreed
  const message = decodeMessage(frame, context)
  switch (message.kind) {
    case 'update':
      for (const update of message.updates) {
        effects.push({ kind: 'update', update, context, faults: message.discarded })
      }
      return undefined
    case 'withdraw': {
      const { withdrawn, faults } = message
      const update = { withdrawn, announced: [], attributes: undefined, endOfRib: undefined }
      effects.push({ kind: 'update', update, context, faults })
      return undefined
    }
    case 'route-refresh': {
      const effect = refreshOf(message, agreed)
      if (effect !== undefined) effects.push(effect)
      return undefined
    }
    case 'reset':
      return message
    default:
      return undefined
  }
}

/** RFC 2918 section 4, RFC 7313 section 4: what was not negotiated is ignored. */
function refreshOf(
  { family, purpose }: RouteRefresh,
  { context, refresh }: Agreed,
): SessionEffect | undefined {
  if (family === undefined || !context.families.includes(family)) return undefined
  if (purpose === 'request') return { kind: 'refresh', family, what: 'ask' }
  if (purpose === 'unknown' || refresh !== 'enhanced') return undefined
  return { kind: 'refresh', family, what: purpose }
}
