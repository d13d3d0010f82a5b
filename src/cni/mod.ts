/**
 * The CNI protocol without I/O: requests, versions, plans, results, errors.
 *
 * Source: CNI specification 1.1.0; its library's behavior where every runtime
 * depends on it.
 *
 * @example
 * const request = parseRequest({ plugin: 'trivium', env: process.env, config: stdin })
 *
 * @module
 */
export { ASKS_NOTHING, CAPABILITIES, type PodAsk } from './ask.ts'
export type { Plugin } from './config.ts'
export { checkGateways, ipamResult } from './delegate.ts'
export * from './errors.ts'
export * from './garbage.ts'
export * from './plan.ts'
export * from './request.ts'
export * from './result.ts'
export * from './result-json.ts'
export * from './versions.ts'
