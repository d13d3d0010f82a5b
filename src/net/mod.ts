/**
 * Network values: addresses, prefixes and MACs, parsed once and compared with `===`.
 *
 * @example
 * const pool = parsePrefix('10.42.0.0/16')
 * containsIp(pool, parseIp('10.42.1.9')) // true
 * subPrefixAt(pool, 26, 1n) // '10.42.0.64/26'
 *
 * @module
 */
export * from './arp.ts'
export * from './ip.ts'
export * from './mac.ts'
export * from './ndp.ts'
export * from './prefix.ts'
