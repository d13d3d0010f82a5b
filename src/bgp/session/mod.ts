/**
 * One peer's session: `createSession` makes its machine, `facts` of it are for people.
 *
 * @module
 */
export { createSession, type Session } from './session.ts'
export type * from './types.ts'
