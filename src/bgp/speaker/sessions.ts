/**
 * The sessions of a speaker: they are begun, ended, woken, and what comes of them is
 * carried out, for the RIB and for the transport.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { AttributeBytes, Attributes } from '../attributes.ts'
import type { PeerConfig } from '../config.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import { type PrefixesExceeded, withLimits } from '../rib/mod.ts'
import { createSession } from '../session/mod.ts'
import type {
  Agreed,
  DownReason,
  SessionEffect,
  SessionInput,
  SessionTerms,
} from '../session/types.ts'
import { decodeAttributes } from '../wire/attributes.ts'
import type { UpdateFault } from '../wire/remedies.ts'
import { Alarms } from './alarms.ts'
import { martian } from './next-hops.ts'
import { Peering } from './peering.ts'
import type { Scene } from './scene.ts'

type Effect<Kind extends SessionEffect['kind']> = Extract<SessionEffect, { kind: Kind }>

export class Sessions {
  readonly peerings = new Map<Ip, Peering>()
  readonly #alarms = new Alarms<Peering>()
  readonly #scene: Scene
  /** For sessions, when what is being carried out is through. */
  #inbox: { readonly peering: Peering; readonly input: SessionInput }[] = []

  constructor(scene: Scene) {
    this.#scene = scene
  }

  get nextWake(): Instant | undefined {
    return this.#alarms.next
  }

  wake(now: Instant): void {
    for (let peering = this.#alarms.dueAt(now); peering; peering = this.#alarms.dueAt(now)) {
      const effects = peering.session.wake(now)
      // Before anything else: a session that left its time in the past would hold us here.
      this.#alarms.set(peering, undefined)
      this.#carryOut(peering, effects)
    }
  }

  add(config: PeerConfig): void {
    const session = createSession(this.#termsOf(config))
    const peering = new Peering(config, session, this.#scene.now)
    this.peerings.set(config.address, peering)
    this.start(peering)
  }

  /** Nothing is left of the peer but what its routes cost to take back. */
  remove(peering: Peering, subcode: number): void {
    this.stop(peering, subcode)
    this.#alarms.set(peering, undefined)
    this.peerings.delete(peering.address)
  }

  /** Ends the session and begins another on other terms; what can be kept meanwhile is (RFC 8538). */
  restart(peering: Peering, config: PeerConfig, subcode: number, text?: string): void {
    if (config.isShutdown === true || config.asn !== peering.config.asn) {
      this.stop(peering, subcode, text)
      this.resume(peering, config)
      return
    }
    peering.config = config
    peering.session.amend(this.#termsOf(config))
    this.feed(peering, { kind: 'restart', subcode, ...(text !== undefined && { text }) })
  }

  /** After `stop`. */
  resume(peering: Peering, config: PeerConfig): void {
    peering.config = config
    peering.session.amend(this.#termsOf(config))
    this.start(peering)
  }

  stop(peering: Peering, subcode: number, text?: string): void {
    this.feed(peering, { kind: 'stop', subcode, ...(text !== undefined && { text }) })
  }

  start(peering: Peering): void {
    if (peering.config.isShutdown !== true) this.feed(peering, { kind: 'start' })
  }

  /** This speaker has not just started any more: RFC 4724's R bit. */
  settled(): void {
    for (const peering of this.peerings.values()) {
      peering.session.amend(this.#termsOf(peering.config))
    }
  }

  take(address: Ip, input: SessionInput): void {
    const peering = this.peerings.get(address)
    if (peering !== undefined) {
      peering.note(input)
      this.feed(peering, input)
    } else if (input.kind === 'connected') {
      // Nobody waits for it any more.
      this.#scene.emit({ kind: 'close', peer: address, connection: input.connection })
    }
  }

  feed(peering: Peering, input: SessionInput): void {
    this.#inbox.push({ peering, input })
    if (this.#inbox.length > 1) return
    for (let next = this.#inbox[0]; next !== undefined; next = this.#inbox[0]) {
      this.#carryOut(next.peering, next.peering.session.handle(next.input, this.#scene.now))
      this.#inbox.shift()
    }
  }

  #termsOf(peer: PeerConfig): SessionTerms {
    const { asn, routerId } = this.#scene.config
    return { self: { asn, routerId }, peer, isRestarting: this.#scene.deferral !== undefined }
  }

  #carryOut(peering: Peering, effects: readonly SessionEffect[]): void {
    for (const effect of effects) this.#perform(peering, effect)
    this.#alarms.set(peering, peering.session.nextWake())
  }

  #perform(peering: Peering, effect: SessionEffect): void {
    const { address: peer } = peering
    switch (effect.kind) {
      case 'connect':
      case 'close':
      case 'send':
        this.#scene.emit({ ...effect, peer })
        break
      case 'up':
        this.#up(peering, effect.agreed)
        break
      case 'down':
        this.#down(peering, effect.reason, effect.retain)
        break
      case 'stale-end':
        this.#sweep(peering, effect.family)
        break
      case 'update':
        this.#learn(peering, effect)
        break
      case 'refresh':
        this.#refresh(peering, effect)
        break
      case 'state': {
        const { from, to } = effect
        peering.state = to
        peering.stateSince = this.#scene.now
        this.#scene.emit({ kind: 'report', report: { event: 'state', peer, from, to } })
        break
      }
      case 'note':
        this.#scene.problem(peering, effect.text)
        break
      default:
        assertNever(effect)
    }
  }

  #up(peering: Peering, agreed: Agreed): void {
    const { now, rib, config, encodings, deferral } = this.#scene
    peering.up(agreed, encodings.of(agreed.context), now)
    rib.peerUp(peering.asRibPeer(config, agreed))
    deferral?.up(peering.address, agreed)
    const { families } = agreed.context
    const report = { event: 'up', peer: peering.address, families } as const
    this.#scene.emit({ kind: 'report', report })
  }

  #down(peering: Peering, reason: DownReason, retain: readonly Family[]): void {
    const isKnown = peering.agreed !== undefined
    peering.down(reason, this.#scene.now)
    if (isKnown) this.#scene.rib.peerDown(peering.address, retain)
    const report = { event: 'down', peer: peering.address, reason } as const
    this.#scene.emit({ kind: 'report', report })
  }

  /** The peer may teach more or less than before, and perhaps taught more already. */
  limit(peering: Peering): void {
    const { config, address: peer } = peering
    const { rib } = this.#scene
    const id = rib.peers.find(peer)
    if (id === undefined) return
    rib.peers.add(withLimits(rib.peers.of(id), config.prefixesMax ?? {}))
    for (const family of FAMILIES) {
      const limit = config.prefixesMax?.[family]
      const count = rib.families[family].pathsOf[id] ?? 0
      if (limit === undefined || count <= limit.count) continue
      const { action } = limit
      this.#exceeded(peering, { peer, family, count, limit: limit.count, action, ignored: 0 })
    }
  }

  #sweep({ address }: Peering, family: Family): void {
    const { rib } = this.#scene
    if (rib.peers.find(address) !== undefined) rib.sweep(address, family)
  }

  #learn(peering: Peering, { update, context, faults }: Effect<'update'>): void {
    if (peering.agreed === undefined) return
    this.#faults(peering, faults)
    const { local } = peering.agreed
    const { rib, deferral } = this.#scene
    const decode = (bytes: AttributeBytes): Attributes | undefined => {
      const result = decodeAttributes(bytes, context)
      if (result.kind === 'withdraw') {
        this.#faults(peering, result.faults)
        return undefined
      }
      this.#faults(peering, result.discarded)
      const why = martian(result.attributes, local)
      if (why === undefined) return result.attributes
      const problem = `next hop ${result.attributes.nextHop} ${why}: routes are withdrawn (RFC 4271 section 6.3)`
      this.#scene.problem(peering, problem, `next hop ${why}`)
      return undefined
    }
    const exceeded = rib.learn(peering.address, update, decode)
    if (exceeded !== undefined) this.#exceeded(peering, exceeded)
    if (update.endOfRib !== undefined) deferral?.endOfRib(peering.address, update.endOfRib)
  }

  /** One report for each kind of fault of an attribute. */
  #faults(peering: Peering, faults: readonly UpdateFault[]): void {
    for (const { subject, fault, remedy, reason } of faults) {
      this.#scene.problem(peering, `${remedy}: ${reason}`, `${subject} ${fault}`)
    }
  }

  #exceeded(peering: Peering, { family, count, limit, action, ignored }: PrefixesExceeded): void {
    const rest = action === 'ignore' ? `, ${ignored} left out` : ''
    const problem = `${count} ${family} prefixes where ${limit} are allowed${rest} (RFC 4486)`
    this.#scene.problem(peering, problem, `${family} limit`)
    if (action === 'down') this.feed(peering, { kind: 'prefixes-exceeded', family, limit })
  }

  #refresh({ address, agreed }: Peering, { family, what }: Effect<'refresh'>): void {
    if (agreed === undefined || !agreed.context.families.includes(family)) return
    const { rib } = this.#scene
    if (what === 'ask') rib.refresh(address, family)
    else if (what === 'begin') rib.markStale(address, family)
    else rib.sweep(address, family)
  }
}
