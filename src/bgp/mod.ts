/**
 * A BGP speaker as pure code: bytes and moments in, bytes and route changes out.
 *
 * How a route travels. `wire/` cuts a peer's byte stream into messages and says
 * what each means; an UPDATE stays bytes with the places of its prefixes, and a
 * fault in it is one of RFC 7606's remedies, never an exception. `session/` is
 * the state machine of one peer. `rib/` interns attributes, chooses a best path
 * for each prefix and says what changed, for the kernel and for other peers.
 * `policy/` decides, as data, what comes in and goes out. `speaker.ts` joins them.
 *
 * RFCs, a line each: done, partly (what lacks), or not yet.
 *
 *     1997  communities                              not yet
 *     2545  IPv6 next hops                           not yet
 *     2918  route refresh                            not yet
 *     4271  BGP-4                                    not yet
 *     4360  extended communities                     not yet
 *     4456  route reflection                         not yet
 *     4486  Cease subcodes                           not yet
 *     4724  graceful restart                         not yet
 *     4760  several address families                 not yet
 *     5065  confederations                           not yet
 *     5492  capabilities                             not yet
 *     6286  identifiers of 32 bits                   not yet
 *     6608  subcodes of FSM errors                   not yet
 *     6793  four-octet AS numbers                    not yet
 *     7313  enhanced route refresh                   not yet
 *     7606  errors in UPDATE                         not yet
 *     7607  AS 0                                     not yet
 *     7911  ADD-PATH                                 not yet
 *     8092  large communities                        not yet
 *     8654  messages of 65535 octets                 not yet
 *     8950  IPv4 over IPv6 next hops                 not yet
 *     9003  shutdown communication                   not yet
 *     9072  long OPEN                                not yet
 *     9234  roles, only to customer                  not yet
 *     9494  long-lived graceful restart              not yet
 *     9774  no AS_SET                                not yet
 *
 * @module
 */
export type * from './attributes.ts'
export type * from './nlri.ts'
