/**
 * A top-of-rack switch that sums up what its nodes announce: towards other switches it
 * originates the fewest prefixes that hold the same addresses, and hides what is in them.
 *
 * @module
 */
import type { SpeakerConfig } from '../../src/bgp/config.ts'
import { invariant } from '../../src/errors.ts'
import { containsPrefix, type Ip, type Prefix } from '../../src/net/mod.ts'
import { Summary } from '../announcer.ts'
import { type RoutingPlan, uplinkPolicy, type Way } from './plan.ts'

interface SummaryOptions {
  readonly config: SpeakerConfig
  /** Where what is summed up lies. */
  readonly pools: readonly Prefix[]
  /** Static summaries of the switch, which hide what is in them, too. */
  readonly shares: readonly Prefix[]
  /** Nodes of the rack. */
  readonly nodes: ReadonlySet<Ip>
  /** Peers that are switches. */
  readonly switches: ReadonlySet<Ip>
}

export class RackSummary {
  private readonly options: SummaryOptions
  private readonly summary = new Summary()
  private readonly blocks = new Set<Prefix>()
  private readonly tops = new Set<Prefix>()

  constructor(options: SummaryOptions) {
    this.options = options
  }

  /** The switch chose other next hops. Says whether its configuration is another for it. */
  chosen(prefix: Prefix, nextHops: readonly Ip[]): boolean {
    const { pools, nodes } = this.options
    if (!pools.some((pool) => containsPrefix(pool, prefix))) return false
    const isOwn = nextHops.some((ip) => nodes.has(ip))
    if (isOwn === this.blocks.has(prefix)) return false
    if (isOwn) this.blocks.add(prefix)
    else this.blocks.delete(prefix)
    const before = this.originated().join()
    for (const change of isOwn ? this.summary.add(prefix) : this.summary.remove(prefix)) {
      if (change.add) this.tops.add(change.prefix)
      else this.tops.delete(change.prefix)
    }
    return this.originated().join() !== before
  }

  get config(): SpeakerConfig {
    const { config, switches, shares } = this.options
    const own = this.originated()
    const exportPolicy = uplinkPolicy([...shares, ...own])
    return {
      ...config,
      originate: [...config.originate, ...own.map((prefix) => ({ prefix }))],
      peers: config.peers.map((peer) =>
        switches.has(peer.address) ? { ...peer, exportPolicy } : peer,
      ),
    }
  }

  /** A block that stands alone is announced as it is. */
  private originated(): readonly Prefix[] {
    return [...this.tops].filter((prefix) => !this.blocks.has(prefix))
  }
}

/** What a switch sums up: nothing where it has no nodes. */
export function summaryOf(
  { speakers, sessions, summed, shares }: RoutingPlan,
  index: number,
): RackSummary {
  const plan = speakers[index]
  invariant(plan !== undefined, `speaker ${index} exists`)
  const peers = (kind: Way['kind']): readonly (readonly Ip[])[] =>
    sessions.flatMap(({ ends, ips, way }) => {
      if (way.kind !== kind || !ends.includes(index)) return []
      return [ips[ends[0] === index ? 1 : 0]]
    })
  return new RackSummary({
    config: plan.config,
    pools: summed,
    shares: shares.flatMap(({ rack, prefix }) => (rack === plan.device ? [prefix] : [])),
    nodes: new Set(peers('port').flat()),
    switches: new Set(peers('link').flatMap(([ip]) => ip ?? [])),
  })
}
