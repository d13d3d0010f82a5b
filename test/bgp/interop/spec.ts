/**
 * A router said once, for every implementation: what its configuration asks for, and
 * what is read back from it.
 *
 * @module
 */
import type { Family } from '../../../src/bgp/nlri.ts'

export const FAMILIES = ['ipv4', 'ipv6'] as const

/** Where a router stands: a namespace with one link, and a folder for its files. */
export interface Place {
  readonly netns: string
  readonly folder: string
  readonly ipv4: string
  readonly ipv6: string
}

export interface RouterSpec {
  readonly asn: number
  readonly routerId: string
  readonly peers: readonly PeerSpec[]
  readonly routes: readonly RouteSpec[]
}

export interface PeerSpec {
  readonly address: string
  readonly asn: number
  readonly families: readonly Family[]
  readonly passive?: boolean
  readonly password?: string
  /** @default 90 */
  readonly holdSeconds?: number
  /** This router reflects to and from it. */
  readonly isClient?: boolean
  readonly addPath?: 'send' | 'receive' | 'both'
  /** Seconds that routes are kept for after a session's end. */
  readonly restartSeconds?: number
  /** A family; beyond it the session ends. */
  readonly prefixesMax?: number
  /** What this router takes of it is not told. @default true */
  readonly sendsCommunities?: boolean
}

/** What a router announces of itself. */
export interface RouteSpec {
  readonly prefix: string
  /** asn:value */
  readonly communities?: readonly string[]
  /** rt:asn:value */
  readonly extended?: readonly string[]
  /** asn:value:value */
  readonly large?: readonly string[]
  readonly med?: number
  /** RFC 7911, where the implementation lets it be said. */
  readonly pathId?: number
}

/** A path as a router's own table says it, learned from a peer. */
export interface RouteSeen {
  readonly prefix: string
  /** The peer's address. */
  readonly from: string
  readonly nextHop: string
  readonly asPath: readonly number[]
  readonly med?: number
  readonly localPref?: number
  readonly communities: readonly string[]
  readonly extended: readonly string[]
  readonly large: readonly string[]
  readonly originatorId?: string
  readonly clusterList?: readonly string[]
}

export interface SessionSeen {
  readonly isUp: boolean
  /** Of UPDATE messages or of routes in them, as the implementation counts: only growth means something. */
  readonly updates: number
  /** In the implementation's own words. */
  readonly told: string
}

/** A running router, seen and steered from outside. */
export interface Router {
  readonly name: string
  readonly place: Place
  readonly pid: number
  session(peer: string): Promise<SessionSeen>
  routes(): Promise<readonly RouteSeen[]>
  /** Asks the peer to say everything again: RFC 2918. */
  refresh(peer: string): Promise<void>
  /** Ends the session; it comes again by itself. */
  reset(peer: string): Promise<void>
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Without a word to its peers; the router does not come again by itself. */
  kill(): Promise<void>
  log(): string
}

export type Feature =
  | 'table'
  /** Writes what it learns into the kernel, as protocol 85. */
  | 'kernel'
  | 'reflector'
  | 'restart-helper'
  | 'restart-self'
  | 'prefix-limit'
  | 'refresh-ask'
  | 'refresh-enhanced'
  | 'add-path-send'
  | 'add-path-receive'

export interface Implementation {
  readonly name: string
  /** A file that is there where it is installed. */
  readonly program: string
  /** What it does not have, with the reason in words. */
  readonly lacks: Readonly<Partial<Record<Feature, string>>>
  /** In what is told of a session: that enhanced route refresh was agreed on, or took place. */
  readonly enhancedRefresh?: RegExp
  /** Starts it; it answers questions when this returns. `isRestart`: after a `kill`, with what was kept. */
  start(place: Place, spec: RouterSpec, isRestart?: boolean): Promise<Router>
}

export const familyOf = (address: string): Family => (address.includes(':') ? 'ipv6' : 'ipv4')

/** Without what is undefined. */
export const some = <T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never
