/**
 * Desired and actual kernel state, the difference between them, and who owns what.
 *
 * @example
 * const { ops } = diff(kernelState(desired), actual)
 * ops.map(renderOp) // ['ip route add 10.42.0.64/26 via 192.0.2.2 dev eth0 proto 84']
 *
 * @module
 */
export * from './diff.ts'
export * from './living.ts'
export * from './nft-ports.ts'
export * from './op.ts'
export * from './ownership.ts'
export * from './render.ts'
export * from './state.ts'
