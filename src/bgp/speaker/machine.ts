/**
 * The speaker's machine: configurations and their differences, own routes, turns.
 *
 * @module
 */
import { assertNever, invariant } from '../../errors.ts'
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { Originated, PeerConfig, SpeakerConfig } from '../config.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import { type CostOf, Rib } from '../rib/mod.ts'
import type { SpeakerEffect, SpeakerInput, SpeakerMachine } from '../speaker.ts'
import { CEASE } from '../wire/iana.ts'
import { Audience } from './audience.ts'
import { Deferral } from './deferral.ts'
import {
  byAddress,
  type Changed,
  fingerprint,
  isAnotherSpeaker,
  isPolicedAlike,
  mustRestart,
  OwnPrefixes,
  PolicyNames,
  policiesOf,
  withDefaults,
} from './difference.ts'
import { Encodings } from './outbound.ts'
import type { Peering } from './peering.ts'
import type { Scene } from './scene.ts'
import { Sessions } from './sessions.ts'

export interface SpeakerOptions {
  /** What the IGP says of next hops. @default every one is as near as the others */
  readonly costOf?: CostOf
  /** Routes of an earlier life are still in use, and peers keep theirs: RFC 4724 section 4.1. @default false */
  readonly isRestarting?: boolean
  /** How long decisions wait for the peers after that. @default 120 */
  readonly deferralSeconds?: number
  /**
   * What may wait for a peer whose transport takes no more. Octets are shared between
   * peers; beyond, its session ends with Cease/Out of Resources. One that takes nothing
   * at all is ended by its session (RFC 9687). @default 64 MiB, two full tables
   */
  readonly blockedOctetsMax?: number
  /** Prefixes that are decided in one turn. @default about 3 ms of them */
  readonly turnPrefixes?: number
}

const DEFERRAL_SECONDS = 120
const BLOCKED_OCTETS_MAX = 1 << 26

export class SpeakerCore implements SpeakerMachine, Scene {
  readonly encodings = new Encodings()
  now = 0 as Instant
  deferral: Deferral | undefined
  readonly #options: SpeakerOptions
  readonly #sessions = new Sessions(this)
  readonly #audience = new Audience(this)
  readonly #policies = new PolicyNames()
  readonly #own = new OwnPrefixes()
  /** The one in use is the last; those before still take their routes back. */
  #ribs: Rib[] = []
  #config: SpeakerConfig | undefined
  /** Families whose first decisions are not all told yet. */
  #incomplete: readonly Family[] = FAMILIES
  #effects: SpeakerEffect[] = []
  /** Peers that wait for more than may be kept for them. */
  readonly #overfull = new Set<Peering>()
  readonly #blockedOctetsMax: number
  #isTurnAsked = false
  #isStopped = false

  constructor(options: SpeakerOptions) {
    this.#options = options
    this.#blockedOctetsMax = options.blockedOctetsMax ?? BLOCKED_OCTETS_MAX
  }

  get config(): SpeakerConfig {
    invariant(this.#config !== undefined, 'a speaker that was never configured')
    return this.#config
  }

  get rib(): Rib {
    const rib = this.#ribs.at(-1)
    invariant(rib !== undefined, 'a speaker that was never configured')
    return rib
  }

  get isConfigured(): boolean {
    return this.#config !== undefined
  }

  get peerings(): ReadonlyMap<Ip, Peering> {
    return this.#sessions.peerings
  }

  handle(input: SpeakerInput, now: Instant): readonly SpeakerEffect[] {
    this.now = now
    this.#effects = []
    if (!this.#isStopped) this.#take(input)
    return this.#finish()
  }

  wake(now: Instant): readonly SpeakerEffect[] {
    this.now = now
    this.#effects = []
    if (!this.#isStopped) {
      this.#sessions.wake(now)
      this.#endDeferral()
    }
    return this.#finish()
  }

  nextWake(): Instant | undefined {
    if (this.#isStopped) return undefined
    const next = this.#sessions.nextWake
    const until = this.deferral?.until
    if (next === undefined || until === undefined) return next ?? until
    return next < until ? next : until
  }

  emit(effect: SpeakerEffect): void {
    this.#effects.push(effect)
  }

  send(peering: Peering, bytes: Uint8Array, updates: number): void {
    const { agreed, address: peer } = peering
    if (agreed === undefined) return
    peering.session.countUpdates(updates)
    if (peering.blockedOctets !== undefined) {
      peering.blockedOctets += bytes.length
      if (peering.blockedOctets > this.#blockedOctetsMax) this.#overfull.add(peering)
    }
    this.#effects.push({ kind: 'send', peer, connection: agreed.connection, bytes })
  }

  problem(peering: Peering, problem: string, key = problem): void {
    if (!peering.isNews(key)) return
    this.emit({ kind: 'report', report: { event: 'problem', peer: peering.address, problem } })
  }

  #finish(): readonly SpeakerEffect[] {
    if (!this.#isTurnAsked && !this.#isStopped && this.#hasWork()) {
      this.#isTurnAsked = true
      this.emit({ kind: 'turn.give' })
    }
    return this.#effects
  }

  #hasWork(): boolean {
    if (!this.isConfigured) return false
    const isTelling = this.#incomplete.length > 0 && this.deferral === undefined
    return this.#ribs.length > 1 || !this.rib.isIdle || isTelling
  }

  #take(input: SpeakerInput): void {
    if (input.kind === 'configure') {
      this.#configure(input.config)
      return
    }
    invariant(this.isConfigured, `${input.kind} before a configuration`)
    switch (input.kind) {
      case 'session':
        this.#session(input.peer, input)
        break
      case 'originate':
        this.#announce(this.#own.change(input.add, input.remove))
        break
      case 'next-hop.changed':
        this.rib.nextHopChanged(input.nextHop)
        break
      case 'bfd':
        if (!input.isUp) this.#sessions.take(input.peer, { kind: 'bfd-down' })
        break
      case 'reset':
        this.#reset(input)
        break
      case 'stop':
        this.#stop(input.isGraceful)
        break
      case 'turn.given':
        this.#isTurnAsked = false
        this.#turn()
        break
      default:
        assertNever(input)
    }
  }

  #session(peer: Ip, { input }: Extract<SpeakerInput, { kind: 'session' }>): void {
    const peering = this.peerings.get(peer)
    if (input.kind === 'flow' && input.connection === peering?.agreed?.connection) {
      const { isBlocked, waitingOctets } = input
      const before = peering.blockedOctets ?? 0
      peering.blockedOctets = isBlocked ? (waitingOctets ?? before) : undefined
    }
    this.#sessions.take(peer, input)
    this.#endDeferral()
  }

  #configure(given: SpeakerConfig): void {
    const before = this.#config
    this.#config = { ...given, peers: this.#policies.unify(withDefaults(given)) }
    const wanted = byAddress(this.config.peers)
    if (before === undefined) this.#begin()
    for (const peering of [...this.peerings.values()]) {
      if (wanted.has(peering.address)) continue
      this.#sessions.remove(peering, CEASE.PEER_DECONFIGURED)
      this.deferral?.gone(peering.address)
    }
    const isAnother = before !== undefined && isAnotherSpeaker(before, this.config)
    if (isAnother) this.#replaceRib()
    this.#announce(this.#own.configure(this.config.originate))
    const soft: [peering: Peering, before: PeerConfig][] = []
    for (const peer of wanted.values()) {
      const known = this.peerings.get(peer.address)
      if (known === undefined) this.#sessions.add(peer)
      else if (isAnother) this.#sessions.resume(known, peer)
      else if (mustRestart(known.config, peer)) {
        this.#sessions.restart(known, peer, CEASE.OTHER_CONFIGURATION_CHANGE)
      } else {
        soft.push([known, known.config])
        known.config = peer
      }
    }
    this.#soften(soft)
    this.#endDeferral()
  }

  #begin(): void {
    this.#ribs = [this.#newRib()]
    if (this.#options.isRestarting !== true) return
    const ms = 1000 * (this.#options.deferralSeconds ?? DEFERRAL_SECONDS)
    this.deferral = new Deferral(this.config.peers, (this.now + ms) as Instant)
    for (const family of FAMILIES) this.rib.defer(family, true)
  }

  /** Every session ends; what the old RIB told the kernel is taken back in its own time. */
  #replaceRib(): void {
    const old = this.rib
    for (const peering of this.peerings.values()) {
      this.#sessions.stop(peering, CEASE.OTHER_CONFIGURATION_CHANGE)
    }
    for (const { prefix } of this.#own.all()) old.withdraw(prefix)
    for (const family of FAMILIES) old.defer(family, false)
    this.#ribs.push(this.#newRib())
    if (this.deferral !== undefined) for (const family of FAMILIES) this.rib.defer(family, true)
    for (const route of this.#own.all()) this.#originate(route)
  }

  #newRib(): Rib {
    const { peers: _peers, originate: _originate, ...rest } = this.config
    return new Rib({ ...rest, costOf: this.#options.costOf ?? (() => 0) })
  }

  /** Changes that sessions take over as they are. */
  #soften(changes: readonly (readonly [peering: Peering, before: PeerConfig])[]): void {
    const repoliced = new Map<string, Peering[]>()
    for (const [peering, before] of changes) {
      const { config, agreed } = peering
      if (config.isShutdown !== before.isShutdown) {
        if (config.isShutdown) this.#sessions.stop(peering, CEASE.ADMINISTRATIVE_SHUTDOWN)
        else this.#sessions.start(peering)
        continue
      }
      if (agreed === undefined) continue
      if (!isPolicedAlike(config, before)) {
        const key = fingerprint(policiesOf(config))
        repoliced.set(key, [...(repoliced.get(key) ?? []), peering])
      }
      if (fingerprint(config.prefixesMax) !== fingerprint(before.prefixesMax)) {
        this.#sessions.limit(peering)
      }
    }
    for (const peerings of repoliced.values()) this.#setPolicies(peerings)
  }

  #setPolicies(peerings: readonly Peering[]): void {
    this.rib.setPolicies(
      peerings.map(({ address }) => address),
      policiesOf(peerings[0]!.config),
    )
  }

  #announce({ add, remove }: Changed): void {
    for (const prefix of remove) this.rib.withdraw(prefix)
    for (const route of add) this.#originate(route)
  }

  #originate({ prefix, attributes }: Originated): void {
    this.rib.originate(prefix, attributes)
  }

  #reset({ peer, how, text }: Extract<SpeakerInput, { kind: 'reset' }>): void {
    const peering = this.peerings.get(peer)
    if (peering === undefined) return
    if (how === 'hard') {
      this.#sessions.restart(peering, peering.config, CEASE.ADMINISTRATIVE_RESET, text)
      return
    }
    if (peering.agreed === undefined) return
    for (const family of peering.agreed.context.families) {
      if (how === 'refresh') this.#sessions.feed(peering, { kind: 'ask-refresh', family })
      else if (how === 'out') this.rib.refresh(peer, family)
    }
    // A policy decides the same again and again; another object makes the RIB ask it.
    if (how === 'in' && peering.config.importPolicy !== undefined) {
      const { importPolicy } = peering.config
      this.rib.setPolicies([peer], {
        ...policiesOf(peering.config),
        importPolicy: { ...importPolicy },
      })
    }
  }

  /** RFC 4724 section 4.1: peers keep what they know of one that goes without a word. */
  #stop(isGraceful: boolean): void {
    for (const peering of this.peerings.values()) {
      if (isGraceful) this.#sessions.feed(peering, { kind: 'abandon' })
      else this.#sessions.stop(peering, CEASE.ADMINISTRATIVE_SHUTDOWN)
    }
    this.#isStopped = true
  }

  #turn(): void {
    const [rib] = this.#ribs
    if (rib === undefined) return
    for (const output of rib.work(this.#options.turnPrefixes)) this.#audience.say(output)
    this.#audience.flush()
    this.encodings.endTurn()
    this.#endOverfull()
    if (this.#ribs.length > 1 && rib.isIdle) this.#ribs.shift()
    if (this.deferral !== undefined || !this.rib.isIdle || this.#ribs.length > 1) return
    for (const family of this.#incomplete) this.emit({ kind: 'routes.complete', family })
    this.#incomplete = []
  }

  #endOverfull(): void {
    for (const peering of this.#overfull) {
      const text = `${peering.blockedOctets} octets wait, at most ${this.#blockedOctetsMax} may`
      this.#sessions.feed(peering, { kind: 'restart', subcode: CEASE.OUT_OF_RESOURCES, text })
    }
    this.#overfull.clear()
  }

  #endDeferral(): void {
    const { deferral } = this
    if (deferral === undefined) return
    for (const family of deferral.take(this.now)) this.rib.defer(family, false)
    if (!deferral.isOver) return
    this.deferral = undefined
    this.#sessions.settled()
  }
}
