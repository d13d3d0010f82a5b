/**
 * A BGP speaker as pure code: bytes and moments in, bytes and route changes out.
 *
 * How a route travels. `wire/` cuts a peer's byte stream into messages and says
 * what each means; an UPDATE stays bytes with the places of its prefixes, and a
 * fault in it is one of RFC 7606's remedies, never an exception. `session/` is
 * the state machine of one peer. `rib/` interns attributes, chooses a best path
 * for each prefix and says what changed, for the kernel and for other peers.
 * `policy/` decides, as data, what comes in and goes out. `fib/` compares the routes
 * that were chosen with what a kernel holds; `bfd/` watches the ways to peers. `speaker.ts` joins them.
 *
 * RFCs, a line each: done, partly (what lacks), or not yet.
 *
 *     1997  communities                       done
 *     2385  TCP MD5                           done, by src/live
 *     2545  IPv6 next hops                    done
 *     2918  route refresh                     done
 *     4271  BGP-4                             done but for MRAI and aggregation
 *     4360  extended communities              done
 *     4456  route reflection                  done
 *     4486  Cease subcodes                    done
 *     4724  graceful restart                  done
 *     4760  several address families          done: unicast of IPv4 and IPv6
 *     5065  confederations                    octets only
 *     5082  GTSM                              done, by src/live
 *     5492  capabilities                      done
 *     5880  BFD                               partly: no demand mode of its own, echo, authentication
 *     5881  BFD over one hop                  done
 *     5882  BFD and BGP                       done
 *     6286  identifiers of 32 bits            done
 *     6396  MRT                               TABLE_DUMP_V2 and BGP4MP written; ADD-PATH (8050) in BGP4MP only
 *     6608  subcodes of FSM errors            done
 *     6793  four-octet AS numbers             done
 *     7313  enhanced route refresh            done
 *     7606  errors in UPDATE                  done
 *     7607  AS 0                              done
 *     7911  ADD-PATH                          done
 *     7947  route server                      done but for a table of each client: ADD-PATH shows what the best path hides (2.3)
 *     8092  large communities                 done
 *     8212  no eBGP without policy            done
 *     8326  graceful shutdown                 done: a peer's, and our own (`gracefulShutdown`)
 *     8538  graceful restart by NOTIFICATION  done
 *     8654  messages of 65535 octets          done
 *     8950  IPv4 over IPv6 next hops          done
 *     9003  shutdown communication            done
 *     9072  long OPEN                         done
 *     9234  roles, only to customer           done
 *     9384  BFD as the reason of an end       done
 *     9494  long-lived graceful restart       octets only
 *     9687  a peer that takes nothing         done
 *     9774  no AS_SET                         done, by option
 *
 * @module
 */
export type * from './attributes.ts'
export type * from './config.ts'
export type * from './nlri.ts'
export type * from './policy/policy.ts'
export { community, WELL_KNOWN } from './policy/policy.ts'
export * from './rib/mod.ts'
export * from './session/mod.ts'
export * from './speaker.ts'
export * from './wire/mod.ts'
