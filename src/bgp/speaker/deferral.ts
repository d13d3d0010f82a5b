/**
 * A speaker that restarted with its forwarding state kept decides nothing until its
 * peers have told it everything: RFC 4724 section 4.1.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { PeerConfig } from '../config.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import type { Agreed } from '../session/types.ts'

export class Deferral {
  /** The selection deferral timer. */
  readonly until: Instant
  readonly #waiting: Readonly<Record<Family, Set<Ip>>>
  readonly #open = new Set<Family>(FAMILIES)

  constructor(peers: readonly PeerConfig[], until: Instant) {
    const waitingFor = (family: Family): Set<Ip> =>
      new Set(
        peers
          .filter(({ isShutdown, families = FAMILIES }) => !isShutdown && families.includes(family))
          .map(({ address }) => address),
      )
    this.#waiting = { ipv4: waitingFor('ipv4'), ipv6: waitingFor('ipv6') }
    this.until = until
  }

  /** A peer that restarts itself, or knows no End-of-RIB, is not waited for. */
  up(peer: Ip, { context, capabilities }: Agreed): void {
    const { gracefulRestart } = capabilities
    const isMute = gracefulRestart === undefined || gracefulRestart.isRestarting
    for (const family of FAMILIES) {
      if (isMute || !context.families.includes(family)) this.#waiting[family].delete(peer)
    }
  }

  endOfRib(peer: Ip, family: Family): void {
    this.#waiting[family].delete(peer)
  }

  gone(peer: Ip): void {
    for (const family of FAMILIES) this.#waiting[family].delete(peer)
  }

  /** Families that wait for nobody any more, each once. */
  take(now: Instant): readonly Family[] {
    const isOver = now >= this.until
    const done = [...this.#open].filter((family) => isOver || this.#waiting[family].size === 0)
    for (const family of done) this.#open.delete(family)
    return done
  }

  get isOver(): boolean {
    return this.#open.size === 0
  }
}
