/**
 * The product's version; the build puts the package's in.
 *
 * @module
 */
declare const __VERSION__: string | undefined

export const VERSION = typeof __VERSION__ === 'string' ? __VERSION__ : '0.0.0-source'
