/**
 * The descriptor beneath a socket of Node's, for what Node has no call for.
 *
 * @module
 */
import type { Socket } from 'node:net'

/** undefined once it is closed. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } }
  return handle?.fd === undefined || handle.fd < 0 ? undefined : handle.fd
}
