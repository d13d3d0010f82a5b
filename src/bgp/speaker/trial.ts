/**
 * What would become of a route at a peer's policies, without a session and without
 * changing anything: the same code that decides about real ones.
 *
 * @module
 */
import { type Ip, ipFamily, type Prefix, prefixFamily } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { PeerConfig } from '../config.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import { CompiledPolicy, type Hop } from '../policy/compiled.ts'
import type { Policy } from '../policy/policy.ts'
import { ExportContext } from '../rib/export.ts'
import { ImportContext } from '../rib/import.ts'
import type { Imported, LocKind, Peer, PeerFamily, Self } from '../rib/mod.ts'
import { PrefixTable } from '../rib/prefix-table.ts'
import { NO_HOP } from './outbound.ts'

/** All that a trial needs to know of a speaker. */
export interface TrialGround {
  readonly self: Self
  readonly peer: Peer
  /** What the peer taught of the prefix, as it came. */
  readonly received: readonly Attributes[]
  /** The path of the prefix in use, and what kind of neighbour it is from. */
  readonly used?: {
    readonly attributes: Attributes
    readonly from: LocKind
    readonly peer: Ip | 'own'
  }
}

export interface Trial {
  readonly self: Self
  readonly peer: Peer
  readonly prefix: Prefix
  readonly attributes: Attributes
  /** `in`: from the peer; otherwise to it, and from whom this speaker has the route. */
  readonly direction: 'in' | { readonly from: LocKind }
}

export interface Tried {
  readonly outcome: Imported
  /** Names of the rules that matched, in their order; the last one ended it, if any did. */
  readonly matched: readonly string[]
}

/** @throws {TriviumError} BAD_CONFIG: the policy cannot be used. */
export function tryRoute({ self, peer, prefix, attributes, direction }: Trial): Tried {
  const family: Family = prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6'
  const matched: string[] = []
  const onMatch = (rule: string): void => void matched.push(rule)
  if (direction === 'in') {
    const prefixClass = classOf(peer.importPolicy, family, prefix)
    const context = new ImportContext(peer, self, family)
    return { outcome: context.decide(attributes, prefixClass, onMatch), matched }
  }
  const { kind, role, exportPolicy: policy, gracefulShutdown = false } = peer
  const transparent = kind === 'ebgp' && peer.transparent === true
  const known = peer.families[family]
  if (known === undefined) {
    return { outcome: { kind: 'reject', reason: `the session has no ${family}` }, matched }
  }
  const { self: hop } = known
  const terms = {
    family,
    kind,
    role,
    policy,
    gracefulShutdown,
    transparent,
    self: hop,
    addPath: false,
  }
  const prefixClass = classOf(policy, family, prefix)
  const context = new ExportContext(terms, self)
  return { outcome: context.decide(attributes, direction.from, prefixClass, onMatch), matched }
}

function classOf(policy: Policy | undefined, family: Family, prefix: Prefix): number {
  if (policy === undefined) return 0
  const table = new PrefixTable(family)
  table.readPrefix(prefix)
  return new CompiledPolicy(policy, family).classOf(table, table.add())
}

/** A peer as its configuration has it; what only a session can know is of `known`, if there is one. */
export function configuredPeer(config: PeerConfig, asn: number, known?: Peer): Peer {
  const { address, importPolicy, exportPolicy, role, families = FAMILIES } = config
  const familyOf = (family: Family): PeerFamily => ({
    self: known?.families[family]?.self ?? hopOf(config, family),
  })
  return {
    address,
    asn: config.asn,
    kind: config.asn !== asn ? 'ebgp' : config.isClient === true ? 'client' : 'ibgp',
    routerId: known?.routerId ?? NO_HOP.ipv4,
    families: Object.fromEntries(families.map((family) => [family, familyOf(family)])),
    ...(importPolicy && { importPolicy }),
    ...(exportPolicy && { exportPolicy }),
    ...(role && { role }),
    ...(config.gracefulShutdown && { gracefulShutdown: true }),
    ...(config.transparent && { transparent: true }),
  }
}

function hopOf({ nextHops, localAddress }: PeerConfig, family: Family): Hop {
  const isOf = (ip: Ip | undefined): ip is Ip =>
    ip !== undefined && (ipFamily(ip) === 4) === (family === 'ipv4')
  return { nextHop: [nextHops?.[family], localAddress].find(isOf) ?? NO_HOP[family] }
}
