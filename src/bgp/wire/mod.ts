/**
 * BGP in octets: a stream to messages, messages to meaning, and back.
 *
 * `Framer` cuts the stream, `decodeMessage` says what a frame means, and
 * `decodeAttributes` reads a set of path attributes once it is met. Nothing of it
 * throws on bytes from outside: what is wrong with them is a `reset`, a `withdraw`, or
 * something in a list of what was discarded, as RFC 7606 has it (`remedies.ts`).
 *
 * The other way: `prepareAttributes` once for a set, then `packAnnouncements` and
 * `packWithdrawals` cut prefixes into as few messages as their size allows.
 *
 * @module
 */
export { asPathLength, asPathText, isConfederation, isSet } from './as-path.ts'
export { type AttributesResult, decodeAttributes, encodeAttributes } from './attributes.ts'
export type {
  AddPathDirection,
  Capabilities,
  GracefulRestart,
  LongLived,
  Role,
} from './capabilities.ts'
export { communityText, extendedCommunityText, largeCommunityText } from './communities.ts'
export { type Context, PLAIN_CONTEXT } from './context.ts'
export { type Reset, reset } from './fault.ts'
export {
  EXTENDED_MESSAGE_OCTETS_MAX,
  encodeKeepalive,
  type Frame,
  Framer,
  HEADER_OCTETS,
  MESSAGE_OCTETS_MAX,
} from './framing.ts'
export * from './iana.ts'
export { decodeMessage, type Keepalive, type Message } from './message.ts'
export {
  decodeNotification,
  encodeNotification,
  hardResetOf,
  type Notification,
  shutdownData,
} from './notification.ts'
export { decodeOpen, encodeOpen, type Open, type OpenFields } from './open.ts'
export {
  type EncodedAttributes,
  encodeEndOfRib,
  packAnnouncements,
  packWithdrawals,
  prepareAttributes,
} from './pack.ts'
export { countPrefixes, nlriOf, type PathPrefix, prefixesOf } from './prefixes.ts'
export {
  type FaultKind,
  REMEDIES,
  type Remedy,
  type Subject,
  type UpdateFault,
} from './remedies.ts'
export { decodeRouteRefresh, encodeRouteRefresh, type RouteRefresh } from './route-refresh.ts'
export { attributeLines, messageLines, nlriText } from './text.ts'
export { decodeUpdate, type UpdateResult } from './update.ts'
