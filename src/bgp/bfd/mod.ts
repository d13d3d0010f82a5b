/**
 * Bidirectional forwarding detection: RFC 5880 (asynchronous mode, without echo and
 * authentication), RFC 5881 (single hop), RFC 5882 (what it means to BGP).
 *
 * @module
 */
export * from './packet.ts'
export * from './session.ts'
export * from './sessions.ts'
