/**
 * One frame to one message, whatever its type.
 *
 * @module
 */
import type { Context } from './context.ts'
import type { Reset } from './fault.ts'
import type { Frame } from './framing.ts'
import { MESSAGE } from './iana.ts'
import { decodeNotification, type Notification } from './notification.ts'
import { decodeOpen, type Open } from './open.ts'
import { decodeRouteRefresh, type RouteRefresh } from './route-refresh.ts'
import { decodeUpdate, type UpdateResult } from './update.ts'

export interface Keepalive {
  readonly kind: 'keepalive'
}

const KEEPALIVE: Keepalive = { kind: 'keepalive' }

/** What a frame can mean. `update` and `withdraw` are UPDATEs, `reset` is whatever ends the session. */
export type Message = Open | UpdateResult | Notification | Keepalive | RouteRefresh | Reset

/** Never throws, whatever the octets are. `context` matters to UPDATEs only. */
export function decodeMessage(frame: Frame, context: Context): Message {
  const { type, bytes, start, end } = frame
  if (type === MESSAGE.UPDATE) return decodeUpdate(bytes, start, end, context)
  if (type === MESSAGE.OPEN) return decodeOpen(bytes, start, end)
  if (type === MESSAGE.NOTIFICATION) return decodeNotification(bytes, start, end)
  if (type === MESSAGE.ROUTE_REFRESH) return decodeRouteRefresh(bytes, start, end)
  return KEEPALIVE
}
