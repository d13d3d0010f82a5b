/**
 * One peer of a speaker: its session, what that agreed on, and what is counted.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { PeerConfig, SpeakerConfig } from '../config.ts'
import type { Family } from '../nlri.ts'
import type { Peer, PeerFamily } from '../rib/mod.ts'
import type { Session } from '../session/mod.ts'
import type {
  Agreed,
  ConnectionId,
  DownReason,
  SessionInput,
  SessionState,
} from '../session/types.ts'
import type { Alarmed } from './alarms.ts'
import { selfHop } from './next-hops.ts'
import type { Encoding } from './outbound.ts'

/** Different words about one peer that are reported between two sessions. */
const PROBLEMS_MAX = 64

export class Peering implements Alarmed {
  due: Instant | undefined
  place = -1
  config: PeerConfig
  readonly session: Session
  state: SessionState = 'idle'
  stateSince: Instant
  /** While the session is established. */
  agreed: Agreed | undefined
  encoding: Encoding | undefined
  upSince: Instant | undefined
  lastDown: { readonly reason: DownReason; readonly at: Instant } | undefined
  problems = 0
  /** What was sent since the transport was full; undefined: it is not. */
  blockedOctets: number | undefined
  /** Addresses of the other family at this end of a connection. */
  readonly #others = new Map<ConnectionId, Ip | undefined>()
  readonly #problems = new Set<string>()

  constructor(config: PeerConfig, session: Session, now: Instant) {
    this.config = config
    this.session = session
    this.stateSince = now
  }

  get address(): Ip {
    return this.config.address
  }

  /** Remembers what only next hops need, and forgets it with the connection. */
  note(input: SessionInput): void {
    if (input.kind === 'connected') this.#others.set(input.connection, input.other)
    else if (input.kind === 'closed') this.#others.delete(input.connection)
  }

  up(agreed: Agreed, encoding: Encoding, now: Instant): void {
    this.agreed = agreed
    this.encoding = encoding
    this.upSince = now
    this.blockedOctets = undefined
    this.#problems.clear()
  }

  down(reason: DownReason, now: Instant): void {
    this.agreed = undefined
    this.encoding = undefined
    this.upSince = undefined
    this.blockedOctets = undefined
    this.lastDown = { reason, at: now }
  }

  /** Whether it is said for the first time since the session came up. */
  isNews(problem: string): boolean {
    this.problems++
    if (this.#problems.has(problem) || this.#problems.size >= PROBLEMS_MAX) return false
    this.#problems.add(problem)
    return true
  }

  /** The peer as the RIB knows it. */
  asRibPeer({ asn }: Pick<SpeakerConfig, 'asn'>, agreed: Agreed): Peer {
    const { config } = this
    const { context, connection } = agreed
    const other = this.#others.get(connection)
    const familyOf = (family: Family): PeerFamily => {
      const prefixesMax = config.prefixesMax?.[family]
      return {
        self: selfHop(config, agreed, other, family),
        addPathSend: context.addPathSend.includes(family),
        ...(prefixesMax && { prefixesMax }),
      }
    }
    const isInternal = config.asn === asn
    return {
      address: config.address,
      kind: !isInternal ? 'ebgp' : config.isClient ? 'client' : 'ibgp',
      asn: config.asn,
      routerId: agreed.routerId,
      families: Object.fromEntries(context.families.map((family) => [family, familyOf(family)])),
      ...(config.importPolicy && { importPolicy: config.importPolicy }),
      ...(config.exportPolicy && { exportPolicy: config.exportPolicy }),
      ...(config.role && { role: config.role }),
      ...(config.gracefulShutdown && { gracefulShutdown: true }),
      ...(config.transparent && { transparent: true }),
    }
  }
}
