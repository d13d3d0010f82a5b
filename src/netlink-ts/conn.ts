/**
 * The interface that a live socket and a scripted kernel share.
 *
 * @module
 */
import type { NetlinkError } from './errors.ts'
import type { DumpRequest, GetRequest, Request } from './request.ts'

/** A synchronous conversation with a kernel, real or scripted. */
export interface Conn {
  /**
   * Sends every request, in order, and returns one result per request: undefined
   * for success. A refused request does not stop the ones after it.
   */
  execute(requests: readonly Request[]): readonly (NetlinkError | undefined)[]

  /**
   * Sends one request.
   *
   * @throws {NetlinkError} The kernel refused it.
   */
  run(request: Request): void

  /**
   * Reads a whole table, again when it changed while being read.
   *
   * @throws {NetlinkError} The kernel refused.
   * @throws {SessionError} It changed during every attempt.
   */
  dump<T>(request: DumpRequest<T>): readonly T[]

  /**
   * Reads one object; undefined when there is none.
   *
   * @throws {NetlinkError} The kernel refused for another reason.
   */
  get<T>(request: GetRequest<T>): T | undefined
}
