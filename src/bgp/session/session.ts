/**
 * The machine of one peer: RFC 4271 section 8.
 *
 * What a connection does is a row of `table.ts`; here is what the table's words mean,
 * and what belongs to the peer rather than to one of its connections: when to begin
 * one, which to accept, which of two stays, and what is kept of a peer that is away.
 *
 * In Idle after a failure a peer's connection is refused, as the RFC has it, if either
 * side ended the last one by a NOTIFICATION: what failed would fail again, and its wait
 * grows for a reason. Where only the transport ended (the peer restarted, the link was
 * away) nobody has to be kept off, and the peer's connection ends the wait.
 *
 * A connection that comes up while another is in OpenConfirm holds its OPEN back until
 * that one is established or gone (DelayOpen). Without that, the other side could find
 * the later one to be the winner just when this side has called the first one established.
 *
 * Beside an established session whose peer may restart gracefully (RFC 4724 section 5) a
 * new connection waits in the same way for the peer's OPEN, rather than taking the place
 * of the old one at once: it may have been begun before the old one was established. Only
 * an OPEN shows that the peer has forgotten the old one, if that is not just up itself.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Instant, Machine } from '../../machine.ts'
import type { Family } from '../nlri.ts'
import { type Reset, reset } from '../wire/fault.ts'
import { encodeKeepalive, type Frame } from '../wire/framing.ts'
import { CEASE, ERROR, MESSAGE, OPEN_ERROR } from '../wire/iana.ts'
import { decodeNotification, encodeNotification } from '../wire/notification.ts'
import { decodeOpen, encodeOpen, type Open } from '../wire/open.ts'
import { encodeRouteRefresh } from '../wire/route-refresh.ts'
import { oursStays } from './collision.ts'
import { Connection, NEVER, stateOf } from './connection.ts'
import { deliver } from './deliver.ts'
import {
  abandoned,
  bfdReset,
  type Ending,
  gone,
  notified,
  prefixesReset,
  resetBy,
  stopReset,
} from './ending.ts'
import { History } from './history.ts'
import { HOLD_SECONDS_DEFAULT, negotiate, ownCapabilities } from './negotiate.ts'
import { Output } from './output.ts'
import { canBeReplaced, hasNotificationBit, Kept } from './restart.ts'
import { actionOf, eventOf, unexpected } from './table.ts'
import { Timing } from './timing.ts'
import type {
  Agreed,
  ConnectionId,
  SessionEffect,
  SessionFacts,
  SessionInput,
  SessionState,
  SessionTerms,
} from './types.ts'

type Input<Kind extends SessionInput['kind']> = Extract<SessionInput, { kind: Kind }>
/** What follows when the last connection has ended. */
type Next = 'none' | 'active' | 'idle'

export class Session implements Machine<SessionInput, SessionEffect> {
  #terms: SessionTerms
  readonly #timing: Timing
  #isStarted = false
  #state: SessionState = 'idle'
  /** One of ours and one of the peer's at most. */
  #connections: Connection[] = []
  #nextId = 1

  /** The peer knows no optional parameters: the next OPEN goes without (RFC 5492 section 3). */
  #isBare = false
  readonly #kept = new Kept()
  readonly #history = new History()
  readonly #out = new Output(this.#history.counters)

  constructor(terms: SessionTerms) {
    this.#terms = terms
    this.#timing = new Timing(terms)
  }

  get facts(): SessionFacts {
    const { agreed, keepaliveMs = 0 } = this.#established() ?? {}
    const { establishedAt, establishments, lastError, counters } = this.#history
    const { families: stale } = this.#kept
    const state = this.#state
    return { state, establishedAt, establishments, agreed, keepaliveMs, counters, lastError, stale }
  }

  /** Other terms, for the next OPEN; whether the session must end for them its owner knows. */
  amend(terms: SessionTerms): void {
    this.#terms = terms
    this.#timing.amend(terms)
  }

  /** UPDATEs that were sent past this machine, as the RIB's are. */
  countUpdates(count: number): void {
    this.#history.counters.messagesOut += count
    this.#history.counters.updatesOut += count
  }

  handle(input: SessionInput, now: Instant): readonly SessionEffect[] {
    const effects: SessionEffect[] = []
    this.#out.effects = effects
    this.#take(input, now)
    this.#report()
    return effects
  }

  #take(input: SessionInput, now: Instant): void {
    const { kind } = input
    if (kind === 'received') this.#received(input, now)
    else if (kind === 'start') this.#start(now)
    else if (kind === 'stop' || kind === 'abandon') this.#stop(input, now)
    else if (kind === 'restart') this.#restart(input, now)
    else if (kind === 'connected') this.#connected(input, now)
    else if (kind === 'connect-failed') {
      this.#transportDown(input.connection, `cannot connect: ${input.reason}`, now)
    } else if (kind === 'closed') {
      this.#transportDown(input.connection, input.reason ?? 'the peer closed', now)
    } else if (kind === 'flow') this.#flow(input, now)
    else if (kind === 'bfd-down') this.#resetEstablished(bfdReset, now)
    else if (kind === 'prefixes-exceeded') this.#resetEstablished(prefixesReset(input), now)
    else if (kind === 'ask-refresh') this.#askRefresh(input.family)
    else assertNever(input)
  }

  wake(now: Instant): readonly SessionEffect[] {
    const effects: SessionEffect[] = []
    this.#out.effects = effects
    for (const connection of [...this.#connections]) this.#wakeConnection(connection, now)
    if (now >= this.#timing.idleUntil) this.#begin(now)
    if (now >= this.#timing.retryAt) this.#retry(now)
    if (now >= this.#kept.until) this.#endStale(this.#kept.end())
    this.#report()
    return effects
  }

  nextWake(): Instant | undefined {
    let next = Math.min(this.#timing.idleUntil, this.#timing.retryAt, this.#kept.until)
    for (const connection of this.#connections) next = Math.min(next, connection.nextWake())
    return next === NEVER ? undefined : (next as Instant)
  }

  // The peer's own part of the machine.

  #start(now: Instant): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#timing.forgetFailures()
    this.#out.forgetFailures()
    this.#begin(now)
  }

  /** ManualStart or AutomaticStart: Connect, or Active where it is the peer's to begin. */
  #begin(now: Instant): void {
    this.#timing.clear()
    if (this.#connections.length > 0 || this.#terms.peer.passive === true) return
    this.#timing.retryLater(now)
    const connection = new Connection(this.#nextId)
    this.#nextId += 2
    this.#connections.push(connection)
    this.#out.effects.push({ kind: 'connect', connection: connection.id })
  }

  /** ConnectRetryTimer_Expires: the attempt that hangs is given up for another. */
  #retry(now: Instant): void {
    const hanging = this.#connections.find(({ phase }) => phase === 'connecting')
    if (hanging !== undefined) {
      this.#drop(hanging)
      this.#out.effects.push({ kind: 'close', connection: hanging.id, isAbort: true })
      this.#out.failure('cannot connect: no answer')
    }
    this.#begin(now)
  }

  #stop(input: Input<'stop' | 'abandon'>, now: Instant): void {
    this.#isStarted = false
    this.#timing.clear()
    for (const connection of [...this.#connections]) {
      if (input.kind === 'stop') {
        this.#reset(connection, stopReset(input.subcode, input.text), now)
      } else this.#end(connection, abandoned('this speaker restarts'), 'idle', now)
    }
    this.#endStale(this.#kept.end())
  }

  #restart({ subcode, text }: Input<'restart'>, now: Instant): void {
    if (!this.#isStarted) return
    this.#timing.forgetFailures()
    const hasTransport = this.#connections.some(({ local }) => local !== undefined)
    for (const connection of [...this.#connections]) {
      this.#reset(connection, stopReset(subcode, text), now)
    }
    // Nothing failed: the peer may come back at once.
    this.#timing.isRefusing = false
    if (!hasTransport) this.#begin(now)
  }

  #connected(input: Input<'connected'>, now: Instant): void {
    const known = this.#find(input.connection)
    if (known === undefined && input.connection % 2 === 0) this.#accept(input, now)
    else if (known !== undefined && actionOf(known.phase, 'transport-up') === 'greet') {
      this.#open(known, input, now)
    }
  }

  /** The peer's connection. */
  #accept(input: Input<'connected'>, now: Instant): void {
    const id = input.connection
    const established = this.#established()
    if (!this.#isStarted) this.#refuse(id, CEASE.CONNECTION_REJECTED, 'it is stopped here')
    else if (this.#timing.isRefusing) {
      this.#refuse(id, CEASE.CONNECTION_REJECTED, 'it has to wait after a failure')
    } else if (established?.agreed !== undefined && !canBeReplaced(established.agreed)) {
      this.#refuse(id, CEASE.COLLISION_RESOLUTION, 'there is an established one')
    } else {
      const before = this.#connections.find((each) => !each.isOutgoing && each !== established)
      const connection = new Connection(id)
      this.#connections.push(connection)
      this.#timing.idleUntil = NEVER
      this.#open(connection, input, now)
      // A peer that begins again has given up what it began before.
      if (before !== undefined) this.#lose(before, now)
    }
  }

  #refuse(connection: ConnectionId, subcode: number, why: string): void {
    this.#out.send(connection, encodeNotification(ERROR.CEASE, subcode))
    this.#out.effects.push({ kind: 'close', connection })
    this.#out.failure(`refused a connection: ${why}`)
  }

  // One connection.

  /** A transport is there. */
  #open(connection: Connection, { local, linkLocal }: Input<'connected'>, now: Instant): void {
    connection.local = local
    connection.linkLocal = linkLocal
    const isAhead = this.#connections.some(
      ({ phase }) => phase === 'open-confirm' || phase === 'established',
    )
    if (isAhead) connection.held(now)
    else this.#greet(connection, now)
  }

  #greet(connection: Connection, now: Instant): void {
    const { self, peer, isRestarting = false } = this.#terms
    const isForwarding = isRestarting || this.#history.establishments > 0
    const capabilities = this.#isBare ? {} : ownCapabilities(this.#terms, { isForwarding })
    const { holdSeconds = HOLD_SECONDS_DEFAULT } = peer
    const fields = { asn: self.asn, holdSeconds, id: self.routerId }
    this.#out.send(connection.id, encodeOpen({ ...fields, capabilities }))
    connection.greeted(capabilities, now)
    const isConnecting = this.#connections.some(({ phase }) => phase === 'connecting')
    if (!isConnecting) this.#timing.clear()
    this.#report()
  }

  #received({ connection: id, bytes }: Input<'received'>, now: Instant): void {
    const connection = this.#find(id)
    if (connection?.local === undefined) return
    const { framer } = connection
    framer.push(bytes)
    while (connection.phase !== 'closed') {
      const frame = framer.next()
      if (frame === undefined) return
      if (frame.kind === 'reset') this.#reset(connection, frame, now)
      else this.#message(connection, frame, now)
    }
  }

  #message(connection: Connection, frame: Frame, now: Instant): void {
    this.#history.counters.messagesIn++
    const { phase } = connection
    const action = actionOf(phase, eventOf(frame.type))
    if (action === 'hear' || action === 'deliver' || action === 'establish') {
      connection.heardAt = now
    }
    if (action === 'deliver') this.#deliver(connection, frame, now)
    else if (action === 'establish') this.#establish(connection, now)
    else if (action === 'confirm') this.#confirm(connection, frame, now)
    else if (action === 'end') this.#notified(connection, frame, now)
    else if (action === 'refuse') this.#reset(connection, unexpected(phase, frame.type), now)
  }

  #deliver(connection: Connection, frame: Frame, now: Instant): void {
    const { agreed } = connection
    if (agreed === undefined) return
    if (frame.type === MESSAGE.UPDATE) this.#history.counters.updatesIn++
    const found = deliver(frame, agreed, this.#out.effects)
    if (found !== undefined) this.#reset(connection, found, now)
    else this.#kept.hear(this.#out.effects.at(-1))
  }

  /** The peer's OPEN. */
  #confirm(connection: Connection, frame: Frame, now: Instant): void {
    const open = decodeOpen(frame.bytes, frame.start, frame.end)
    if (open.kind === 'reset') this.#reset(connection, open, now)
    else if (this.#replaces(open, now)) {
      if (connection.phase === 'waiting') this.#greet(connection, now)
      this.#judge(connection, open, now)
    } else this.#lose(connection, now)
  }

  /** An OPEN beside an established session: has the peer restarted? Then the old one is gone. */
  #replaces({ capabilities }: Open, now: Instant): boolean {
    const established = this.#established()
    if (established === undefined) return true
    const isRestart = capabilities.gracefulRestart?.isRestarting === true
    if (!isRestart && this.#history.isYoung(now)) return false
    const renewed = { ...abandoned('the peer has connected anew'), isAbort: true } as const
    this.#end(established, renewed, 'none', now)
    return true
  }

  #judge(connection: Connection, open: Open, now: Instant): void {
    const result = negotiate(this.#terms, connection.ours, open)
    if (result.kind === 'reset') {
      this.#reset(connection, result, now)
      return
    }
    this.#out.remarks(result.notes)
    const other = this.#rivalOf(connection)
    const isOurs = oursStays(this.#terms.self, { routerId: open.id, asn: open.asn })
    const { local } = connection
    if (other !== undefined && isOurs !== connection.isOutgoing) this.#lose(connection, now)
    else if (local !== undefined) {
      connection.confirmed(open, result, local, now)
      this.#keepalive(connection, now)
      this.#report()
      if (other !== undefined) this.#lose(other, now)
    }
  }

  /** RFC 4271 section 6.8, which allows to look at connections in OpenSent, too. */
  #rivalOf(connection: Connection): Connection | undefined {
    return this.#connections.find(
      (each) =>
        each !== connection && (each.phase === 'open-sent' || each.phase === 'open-confirm'),
    )
  }

  #establish(connection: Connection, now: Instant): void {
    const { agreed } = connection
    if (agreed === undefined) return
    connection.phase = 'established'
    for (const other of [...this.#connections]) if (other !== connection) this.#lose(other, now)
    this.#timing.clear()
    this.#isBare = false
    this.#history.up(now)
    this.#out.forgetFailures()
    this.#report()
    this.#out.effects.push({ kind: 'up', agreed })
    this.#endStale(this.#kept.back(agreed, now))
  }

  #notified(connection: Connection, frame: Frame, now: Instant): void {
    const received = decodeNotification(frame.bytes, frame.start, frame.end)
    const { code, subcode } = received
    const isUnknown = code === ERROR.OPEN && subcode === OPEN_ERROR.UNSUPPORTED_PARAMETER
    if (isUnknown && connection.phase !== 'established') {
      // Without them only IPv4 is left; if that fails as well, the next OPEN has them again.
      this.#isBare = connection.ours.families?.includes('ipv4') === true
    }
    this.#end(connection, notified(received), 'idle', now)
  }

  #transportDown(id: ConnectionId, text: string, now: Instant): void {
    const connection = this.#find(id)
    if (connection === undefined) return
    const isRetry = actionOf(connection.phase, 'transport-down') === 'retry'
    this.#end(connection, gone(text), isRetry ? 'active' : 'idle', now)
  }

  /** RFC 9687. */
  #flow({ connection: id, isBlocked }: Input<'flow'>, now: Instant): void {
    const connection = this.#find(id)
    if (connection === undefined) return
    connection.sendHoldAt = isBlocked ? now + this.#timing.sendHoldMs(connection.holdMs) : NEVER
  }

  #resetEstablished(found: Reset, now: Instant): void {
    const connection = this.#established()
    if (connection !== undefined) this.#reset(connection, found, now)
  }

  #askRefresh(family: Family): void {
    const agreed = this.#established()?.agreed
    if (agreed === undefined || agreed.refresh === 'none') return
    if (!agreed.context.families.includes(family)) return
    this.#out.send(agreed.connection, encodeRouteRefresh(family))
  }

  #wakeConnection(connection: Connection, now: Instant): void {
    if (now >= connection.sendHoldAt) this.#sendHoldExpired(connection, now)
    if (connection.isSilent(now) && actionOf(connection.phase, 'hold-expired') === 'fail') {
      const what = `nothing heard for ${connection.holdMs / 1000} s`
      this.#reset(connection, reset(ERROR.HOLD_TIMER, 0, what), now)
    }
    const isDue = now >= connection.keepaliveAt
    if (isDue && actionOf(connection.phase, 'keepalive-due') === 'send-keepalive') {
      this.#keepalive(connection, now)
    }
  }

  #sendHoldExpired(connection: Connection, now: Instant): void {
    connection.sendHoldAt = NEVER
    if (actionOf(connection.phase, 'send-hold-expired') !== 'fail') return
    const found = reset(ERROR.SEND_HOLD_TIMER, 0, 'the peer takes nothing (RFC 9687)')
    this.#end(connection, { ...resetBy(found, false), isAbort: true }, 'idle', now)
  }

  #keepalive(connection: Connection, now: Instant): void {
    const { id, keepaliveMs } = connection
    this.#out.send(id, encodeKeepalive())
    connection.keepaliveAt = keepaliveMs === 0 ? NEVER : now + this.#timing.keepaliveMs(keepaliveMs)
  }

  #reset(connection: Connection, found: Reset, now: Instant): void {
    const { phase, agreed } = connection
    const isHardKnown =
      phase === 'established' && agreed !== undefined && hasNotificationBit(agreed)
    this.#end(connection, resetBy(found, isHardKnown), 'idle', now)
  }

  /** Loses a collision, or is not needed any more. */
  #lose(connection: Connection, now: Instant): void {
    const found = reset(ERROR.CEASE, CEASE.COLLISION_RESOLUTION, 'another connection stays')
    this.#end(connection, resetBy(found, false), 'none', now)
  }

  #end(connection: Connection, ending: Ending, next: Next, now: Instant): void {
    const { id, phase, agreed } = connection
    const isAttempt = phase === 'connecting'
    if (ending.notification !== undefined && !isAttempt) this.#out.send(id, ending.notification)
    if (ending.isGone !== true) {
      const isAbort = isAttempt || ending.isAbort === true
      this.#out.effects.push({ kind: 'close', connection: id, ...(isAbort && { isAbort }) })
    }
    this.#drop(connection)
    if (phase === 'established' && agreed !== undefined) this.#down(agreed, ending, now)
    else if (next !== 'none' && this.#isStarted) this.#out.failure(ending.reason.text)
    if (next !== 'none') this.#history.lastError = ending.reason
    if (this.#connections.length > 0) this.#release(now)
    else if (this.#isStarted && next === 'active') this.#timing.retryLater(now)
    else if (this.#isStarted && next === 'idle') this.#timing.stayIdle(ending, now)
    this.#report()
  }

  #down(agreed: Agreed, ending: Ending, now: Instant): void {
    if (this.#history.down(now)) this.#timing.forgetFailures()
    // What is kept goes at once when nobody waits for the peer any more.
    const retain = this.#isStarted ? this.#kept.away(agreed, ending, now) : []
    this.#out.effects.push({ kind: 'down', reason: ending.reason, retain })
  }

  /** The one that was in OpenConfirm is gone: one that waited for it goes on. */
  #release(now: Instant): void {
    for (const connection of [...this.#connections]) {
      if (connection.phase === 'waiting' && connection.local !== undefined) {
        this.#greet(connection, now)
      }
    }
  }

  #endStale(families: readonly Family[]): void {
    for (const family of families) this.#out.effects.push({ kind: 'stale-end', family })
  }

  #find(id: ConnectionId): Connection | undefined {
    return this.#connections.find((each) => each.id === id)
  }

  #established(): Connection | undefined {
    return this.#connections.find(({ phase }) => phase === 'established')
  }

  #drop(connection: Connection): void {
    connection.close()
    this.#connections = this.#connections.filter((each) => each !== connection)
  }

  /** Says where the machine is now, when that is elsewhere. */
  #report(): void {
    const isActive = this.#isStarted && this.#timing.idleUntil === NEVER
    const to = stateOf(this.#connections, isActive ? 'active' : 'idle')
    const from = this.#state
    if (from === to) return
    this.#state = to
    this.#out.effects.push({ kind: 'state', from, to })
  }
}

/** The machine of one peer, stopped; `start` starts it. */
export const createSession = (terms: SessionTerms): Session => new Session(terms)
