/**
 * Why A cannot reach B, and what is wrong with a node: pure functions over what
 * the store asks for and what kernels hold.
 *
 * @module
 */
export * from './doctor.ts'
export * from './endpoint.ts'
export * from './explain.ts'
export type { Hop, HopStatus } from './hop.ts'
export * from './parse-snapshot.ts'
export * from './render.ts'
export * from './snapshot.ts'
