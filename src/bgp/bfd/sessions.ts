/**
 * All BFD sessions of a system: whom a packet is for, and who is told.
 *
 * Single hop (RFC 5881): a neighbour is its address, and whoever drives this has
 * checked that packets came with TTL 255.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Instant, Machine } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { Prng } from '../../prng.ts'
import { type BfdPacket, type BfdState, type Discard, decodeBfd, encodeBfd } from './packet.ts'
import { type BfdEffect, type BfdSession, bfdSession } from './session.ts'

/** A neighbour to watch. */
export interface BfdPeer {
  readonly address: Ip
  /** This end; absent: what the kernel takes. */
  readonly localAddress?: Ip
  /** 10 to 60 000. @default 300 */
  readonly intervalMs?: number
  /** 1 to 255. @default 3 */
  readonly multiplier?: number
}

export const BFD_INTERVAL_MS = 300
export const BFD_MULTIPLIER = 3

export type BfdSessionsInput =
  /** All of them; what is not named any more is taken down and forgotten. */
  | { readonly kind: 'configure'; readonly peers: readonly BfdPeer[] }
  /** A UDP payload from this address. */
  | { readonly kind: 'received'; readonly from: Ip; readonly bytes: Uint8Array }
  /** Every session says that it is taken down by its administrator. */
  | { readonly kind: 'stop' }

export type BfdSessionsEffect =
  | { readonly kind: 'send'; readonly peer: Ip; readonly bytes: Uint8Array }
  | {
      readonly kind: 'state'
      readonly peer: Ip
      readonly from: BfdState
      readonly to: BfdState
      readonly diagnostic: number
      readonly isByAdministrator: boolean
    }
  | { readonly kind: 'discard'; readonly from: Ip; readonly why: Discard }

interface Known {
  readonly peer: Ip
  readonly session: BfdSession
  readonly discriminator: number
}

export class BfdSessions implements Machine<BfdSessionsInput, BfdSessionsEffect> {
  readonly #random: Prng
  readonly #byPeer = new Map<Ip, Known>()
  readonly #byDiscriminator = new Map<number, Known>()

  constructor(random: Prng) {
    this.#random = random
  }

  stateOf(peer: Ip): BfdState | undefined {
    return this.#byPeer.get(peer)?.session.state
  }

  handle(input: BfdSessionsInput, now: Instant): readonly BfdSessionsEffect[] {
    switch (input.kind) {
      case 'configure':
        return this.#configure(input.peers, now)
      case 'received':
        return this.#received(input.from, input.bytes, now)
      case 'stop':
        return [...this.#byPeer.values()].flatMap((known) => this.#takeDown(known, now))
      default:
        assertNever(input)
    }
  }

  wake(now: Instant): readonly BfdSessionsEffect[] {
    const effects: BfdSessionsEffect[] = []
    for (const known of this.#byPeer.values()) {
      const when = known.session.nextWake()
      if (when !== undefined && when <= now) effects.push(...told(known, known.session.wake(now)))
    }
    return effects
  }

  nextWake(): Instant | undefined {
    let first: Instant | undefined
    for (const { session } of this.#byPeer.values()) {
      const when = session.nextWake()
      if (when !== undefined && (first === undefined || when < first)) first = when
    }
    return first
  }

  #configure(peers: readonly BfdPeer[], now: Instant): readonly BfdSessionsEffect[] {
    const named = new Set(peers.map(({ address }) => address))
    const effects: BfdSessionsEffect[] = []
    for (const known of [...this.#byPeer.values()]) {
      if (named.has(known.peer)) continue
      effects.push(...this.#takeDown(known, now))
      this.#byPeer.delete(known.peer)
      this.#byDiscriminator.delete(known.discriminator)
    }
    for (const each of peers) {
      const { address: peer, intervalMs = BFD_INTERVAL_MS, multiplier = BFD_MULTIPLIER } = each
      const known = this.#byPeer.get(peer)
      if (known === undefined) this.#add(peer, intervalMs, multiplier)
      else {
        const input = { kind: 'configure', intervalMs, multiplier } as const
        effects.push(...told(known, known.session.handle(input, now)))
      }
    }
    return [...effects, ...this.wake(now)]
  }

  #add(peer: Ip, intervalMs: number, multiplier: number): void {
    let discriminator = 0
    while (discriminator === 0 || this.#byDiscriminator.has(discriminator)) {
      discriminator = this.#random.uint32()
    }
    const terms = { localDiscriminator: discriminator, intervalMs, multiplier }
    const session = bfdSession(terms, this.#random.fork(`${peer} ${discriminator}`))
    const known = { peer, session, discriminator }
    this.#byPeer.set(peer, known)
    this.#byDiscriminator.set(discriminator, known)
  }

  #takeDown(known: Known, now: Instant): readonly BfdSessionsEffect[] {
    return told(known, known.session.handle({ kind: 'admin', isDown: true }, now))
  }

  #received(from: Ip, bytes: Uint8Array, now: Instant): readonly BfdSessionsEffect[] {
    const decoded = decodeBfd(bytes)
    if (decoded.kind === 'discard') return [{ kind: 'discard', from, why: decoded.why }]
    const { packet } = decoded
    const known = this.#meant(from, packet)
    if (typeof known === 'string') return [{ kind: 'discard', from, why: known }]
    if (known.session.state === 'admin-down') {
      return [{ kind: 'discard', from, why: 'session administratively down' }]
    }
    return told(known, known.session.handle({ kind: 'packet', packet }, now))
  }

  /** RFC 5880 section 6.8.6; a stranger who guessed a discriminator is none of the neighbours. */
  #meant(from: Ip, { yourDiscriminator }: BfdPacket): Known | Discard {
    if (yourDiscriminator === 0) return this.#byPeer.get(from) ?? 'no session with the sender'
    const known = this.#byDiscriminator.get(yourDiscriminator)
    if (known === undefined) return 'your discriminator unknown'
    return known.peer === from ? known : 'no session with the sender'
  }
}

function told({ peer }: Known, effects: readonly BfdEffect[]): readonly BfdSessionsEffect[] {
  return effects.map((effect) =>
    effect.kind === 'send'
      ? { kind: 'send', peer, bytes: encodeBfd(effect.packet) }
      : { ...effect, peer },
  )
}
