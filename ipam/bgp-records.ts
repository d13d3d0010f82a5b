/**
 * What the store says of BGP: how the nodes' speakers meet each other and the fabric.
 *
 *     bgp/settings                          one for the cluster; without it nobody speaks
 *     bgp/rack/LABEL                        what is different for a rack
 *     bgp/node/NAME                         what is different for a node
 *     bgp/peer/SCOPE/NAME/FAMILY/HEX        a router of the fabric, for all nodes, a rack's or one
 *
 * @module
 */
import type { Ip, Prefix } from '../src/net/mod.ts'

/**
 * How nodes of one AS meet: each with each, over a few that reflect, or only through
 * the fabric. `auto`: each with each while there are few.
 */
export type BgpSessions = 'auto' | 'mesh' | 'reflectors' | 'none'

/** RFC 5880 section 6.8.1: a way is gone when `multiplier` intervals had no packet. */
export interface BgpBfd {
  readonly intervalMs: number
  readonly multiplier: number
}

/** Of the whole cluster. */
export interface BgpSettings {
  readonly kind: 'settings'
  /** AS number of all nodes but for those of racks and nodes with their own. */
  readonly asn: number
  readonly sessions: BgpSessions
  /** One for all reflectors (RFC 4456 section 7). Absent: each has its own, and keeps what the others reflect. */
  readonly clusterId?: Ip
  /** How long peers keep the routes of a speaker that restarts (RFC 4724); 0: not at all. @default 120 */
  readonly restartSeconds?: number
  /** Between nodes. Absent: none. */
  readonly bfd?: BgpBfd
  /** How many equally good ways are used together. @default 8 */
  readonly multipath?: number
  readonly createdMs: number
}

/** Of the nodes whose agents say `--rack LABEL`. */
export interface BgpRack {
  readonly kind: 'rack'
  readonly rack: string
  /** RFC 7938 section 5.2.1: an AS a rack. */
  readonly asn?: number
  /** Told to the fabric in place of the blocks inside of them. */
  readonly summaries?: readonly Prefix[]
}

export interface BgpNode {
  readonly kind: 'node'
  readonly node: string
  readonly asn?: number
  /** It reflects, where nodes meet so. */
  readonly reflector?: true
}

export type BgpScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'rack'; readonly name: string }
  | { readonly kind: 'node'; readonly name: string }

/** A router of the fabric. */
export interface BgpPeer {
  readonly kind: 'peer'
  readonly scope: BgpScope
  readonly address: Ip
  readonly asn: number
  /** A file on each node with the password of RFC 2385: secrets are not in the store. */
  readonly passwordFile?: string
  readonly bfd?: BgpBfd
  /** RFC 5082: the peer is so many hops away. */
  readonly ttlSecurityHops?: number
  /** Prefixes of a family that it may teach; more are left out. @default 100 000 */
  readonly prefixesMax?: number
  /** @default the one of its address */
  readonly families?: readonly ('ipv4' | 'ipv6')[]
  /** TCP port. @default 179 */
  readonly port?: number
}

export type BgpRecord = BgpSettings | BgpRack | BgpNode | BgpPeer

/** All of it. */
export interface BgpView {
  readonly settings: BgpSettings
  readonly racks: ReadonlyMap<string, BgpRack>
  readonly nodes: ReadonlyMap<string, BgpNode>
  readonly peers: readonly BgpPeer[]
}

/** undefined: nobody speaks BGP. */
export function bgpViewOf(records: Iterable<BgpRecord>): BgpView | undefined {
  let settings: BgpSettings | undefined
  const [racks, nodes] = [new Map<string, BgpRack>(), new Map<string, BgpNode>()]
  const peers: BgpPeer[] = []
  for (const record of records) {
    if (record.kind === 'settings') settings = record
    else if (record.kind === 'rack') racks.set(record.rack, record)
    else if (record.kind === 'node') nodes.set(record.node, record)
    else peers.push(record)
  }
  return settings && { settings, racks, nodes, peers }
}
