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
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Instant, Machine } from '../../machine.ts'
import type { Family } from '../nlri.ts'
import { type Reset, reset } from '../wire/fault.ts'
import { encodeKeepalive, type Frame, MESSAGE_OCTETS_MAX } from '../wire/framing.ts'
import { AFI, CEASE, ERROR, FSM_ERROR, MESSAGE, OPEN_ERROR, SAFI_UNICAST } from '../wire/iana.ts'
import { decodeMessage } from '../wire/message.ts'
import { decodeNotification, encodeNotification } from '../wire/notification.ts'
import { decodeOpen, encodeOpen, type Open } from '../wire/open.ts'
import { encodeRouteRefresh } from '../wire/route-refresh.ts'
import { oursStays } from './collision.ts'
import { Connection, NEVER } from './connection.ts'
import { abandoned, type Ending, gone, notified, resetBy, stopReset } from './ending.ts'
import { type Agreement, HOLD_SECONDS_DEFAULT, negotiate, ownCapabilities } from './negotiate.ts'
import { canBeReplaced, hasNotificationBit, lost, retained } from './restart.ts'
import { actionOf, type ConnectionEvent, type Phase } from './table.ts'
import { FORGET_MS, OPEN_HOLD_MS, REFILL_MS, Timing } from './timing.ts'
import type {
  Agreed,
  ConnectionId,
  DownReason,
  SessionCounters,
  SessionEffect,
  SessionFacts,
  SessionInput,
  SessionState,
  SessionTerms,
} from './types.ts'

type Input<Kind extends SessionInput['kind']> = Extract<SessionInput, { kind: Kind }>

const EVENTS: Readonly<Record<number, ConnectionEvent>> = {
  [MESSAGE.OPEN]: 'open',
  [MESSAGE.UPDATE]: 'update',
  [MESSAGE.NOTIFICATION]: 'notification',
  [MESSAGE.KEEPALIVE]: 'keepalive',
  [MESSAGE.ROUTE_REFRESH]: 'route-refresh',
}

/** RFC 6608 section 4. */
const UNEXPECTED: Readonly<Partial<Record<Phase, number>>> = {
  'open-sent': FSM_ERROR.OPEN_SENT,
  'open-confirm': FSM_ERROR.OPEN_CONFIRM,
  established: FSM_ERROR.ESTABLISHED,
}

/** Different things that are said of a peer that does not come up, before it is quiet. */
const NOTES_MAX = 16

export class Session implements Machine<SessionInput, SessionEffect> {
  #terms: SessionTerms
  readonly #timing: Timing
  #isStarted = false
  #state: SessionState = 'idle'
  #connections: Connection[] = []
  #nextId = 1
  #effects: SessionEffect[] = []

  /** The wait in Idle, the next attempt to connect, the end of what is kept. */
  #idleUntil = NEVER
  #retryAt = NEVER
  #staleUntil = NEVER
  /** Whether a peer's connection has to wait as well. */
  #isRefusing = false
  /** The peer knows no optional parameters: the next OPEN goes without (RFC 5492 section 3). */
  #isBare = false
  #stale: readonly Family[] = []
  #establishedAt: Instant | undefined
  #establishments = 0
  #lastError: DownReason | undefined
  readonly #counters: SessionCounters = {
    messagesIn: 0,
    messagesOut: 0,
    updatesIn: 0,
    updatesOut: 0,
  }
  /** What was said of attempts that failed, until one succeeds; and of a peer's OPEN, ever. */
  readonly #failures = new Set<string>()
  readonly #remarks = new Set<string>()

  constructor(terms: SessionTerms) {
    this.#terms = terms
    this.#timing = new Timing(terms)
  }

  get facts(): SessionFacts {
    const current = this.#established()
    return {
      state: this.#state,
      establishedAt: this.#establishedAt,
      establishments: this.#establishments,
      agreed: current?.agreed,
      keepaliveMs: current?.keepaliveMs ?? 0,
      counters: this.#counters,
      lastError: this.#lastError,
      stale: this.#stale,
    }
  }

  /** Other terms, for the next OPEN; whether the session must end for them its owner knows. */
  amend(terms: SessionTerms): void {
    this.#terms = terms
    this.#timing.amend(terms)
  }

  /** UPDATEs that were sent past this machine, as the RIB's are. */
  countUpdates(count: number): void {
    this.#counters.messagesOut += count
    this.#counters.updatesOut += count
  }

  handle(input: SessionInput, now: Instant): readonly SessionEffect[] {
    const effects: SessionEffect[] = []
    this.#effects = effects
    switch (input.kind) {
      case 'received':
        this.#received(input, now)
        break
      case 'start':
        this.#start(now)
        break
      case 'stop':
        this.#stop(resetBy(stopReset(input.subcode, input.text), false), input, now)
        break
      case 'abandon':
        this.#stop(abandoned('this speaker restarts'), undefined, now)
        break
      case 'connected':
        this.#connected(input, now)
        break
      case 'connect-failed':
        this.#transportDown(input.connection, `cannot connect: ${input.reason}`, now)
        break
      case 'closed':
        this.#transportDown(input.connection, input.reason ?? 'the peer closed', now)
        break
      case 'flow':
        this.#flow(input, now)
        break
      case 'bfd-down':
      case 'ask-refresh':
      case 'prefixes-exceeded':
        this.#whileEstablished(input, now)
        break
      default:
        assertNever(input)
    }
    this.#report()
    return effects
  }

  wake(now: Instant): readonly SessionEffect[] {
    const effects: SessionEffect[] = []
    this.#effects = effects
    for (const connection of [...this.#connections]) this.#wakeConnection(connection, now)
    if (now >= this.#idleUntil) {
      this.#idleUntil = NEVER
      this.#isRefusing = false
      this.#begin(now)
    }
    if (now >= this.#retryAt) this.#retry(now)
    if (now >= this.#staleUntil) this.#endStale(this.#stale)
    this.#report()
    return effects
  }

  nextWake(): Instant | undefined {
    let next = Math.min(this.#idleUntil, this.#retryAt, this.#staleUntil)
    for (const connection of this.#connections) next = Math.min(next, connection.nextWake())
    return next === NEVER ? undefined : (next as Instant)
  }

  // --- The peer's own part of the machine.

  #start(now: Instant): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#timing.forgetFailures()
    this.#failures.clear()
    this.#begin(now)
  }

  /** ManualStart or AutomaticStart: Connect, or Active where it is the peer's to begin. */
  #begin(now: Instant): void {
    if (!this.#isStarted || this.#connections.length > 0) return
    if (this.#terms.peer.passive === true) return
    this.#retryAt = now + this.#timing.connectRetryMs()
    const connection = new Connection(this.#nextId, 'connecting')
    this.#nextId += 2
    this.#connections.push(connection)
    this.#effects.push({ kind: 'connect', connection: connection.id })
  }

  /** ConnectRetryTimer_Expires: the attempt that hangs is given up for another. */
  #retry(now: Instant): void {
    this.#retryAt = NEVER
    const hanging = this.#connections.find(({ phase }) => phase === 'connecting')
    if (hanging !== undefined) {
      this.#drop(hanging)
      this.#effects.push({ kind: 'close', connection: hanging.id, isAbort: true })
      this.#noteFailure('cannot connect: no answer')
    }
    this.#begin(now)
  }

  #stop(ending: Ending, input: Input<'stop'> | undefined, now: Instant): void {
    this.#isStarted = false
    this.#idleUntil = NEVER
    this.#retryAt = NEVER
    this.#isRefusing = false
    for (const connection of [...this.#connections]) {
      const own =
        input === undefined
          ? ending
          : resetBy(stopReset(input.subcode, input.text), this.#knowsHardReset(connection))
      this.#end(connection, own, 'idle', now)
    }
    this.#endStale(this.#stale)
  }

  #connected(input: Input<'connected'>, now: Instant): void {
    const known = this.#find(input.connection)
    if (known === undefined && input.connection % 2 === 0) this.#accept(input, now)
    else if (known !== undefined && actionOf(known.phase, 'transport-up') === 'greet') {
      this.#open(known, input, now)
    }
  }

  /** Incoming connections. */
  #accept(input: Input<'connected'>, now: Instant): void {
    const id = input.connection
    const established = this.#established()
    if (!this.#isStarted) this.#refuse(id, CEASE.CONNECTION_REJECTED, 'it is stopped here')
    else if (this.#isRefusing) {
      this.#refuse(id, CEASE.CONNECTION_REJECTED, 'it has to wait after a failure')
    } else if (established?.agreed !== undefined && !canBeReplaced(established.agreed)) {
      this.#refuse(id, CEASE.COLLISION_RESOLUTION, 'there is an established one')
    } else {
      // RFC 4724 section 5: the old one is gone, and nobody is told.
      if (established !== undefined) {
        this.#end(established, abandoned('the peer has connected anew'), 'none', now)
      }
      // A peer that begins again has given up what it began before.
      const before = this.#connections.find((each) => !each.isOutgoing)
      if (before !== undefined) this.#lose(before, now)
      this.#idleUntil = NEVER
      const connection = new Connection(id, 'connecting')
      this.#connections.push(connection)
      this.#open(connection, input, now)
    }
  }

  #refuse(connection: ConnectionId, subcode: number, why: string): void {
    this.#send(connection, encodeNotification(ERROR.CEASE, subcode))
    this.#effects.push({ kind: 'close', connection })
    this.#noteFailure(`refused a connection: ${why}`)
  }

  // --- One connection.

  /** A transport is there. */
  #open(connection: Connection, { local, linkLocal }: Input<'connected'>, now: Instant): void {
    connection.local = local
    connection.linkLocal = linkLocal
    const isConfirmed = this.#connections.some(({ phase }) => phase === 'open-confirm')
    if (isConfirmed) connection.phase = 'waiting'
    else this.#greet(connection, now)
  }

  #greet(connection: Connection, now: Instant): void {
    const { self, peer } = this.#terms
    const isForwarding = this.#terms.isRestarting === true || this.#establishments > 0
    connection.ours = this.#isBare ? {} : ownCapabilities(this.#terms, { isForwarding })
    const { holdSeconds = HOLD_SECONDS_DEFAULT } = peer
    const fields = { asn: self.asn, holdSeconds, id: self.routerId }
    this.#send(connection.id, encodeOpen({ ...fields, capabilities: connection.ours }))
    connection.phase = 'open-sent'
    connection.holdMs = OPEN_HOLD_MS
    connection.heardAt = now
    connection.holdAt = now + OPEN_HOLD_MS
    const isConnecting = this.#connections.some(({ phase }) => phase === 'connecting')
    if (!isConnecting) this.#retryAt = NEVER
    this.#report()
  }

  #received({ connection: id, bytes }: Input<'received'>, now: Instant): void {
    const connection = this.#find(id)
    if (connection === undefined) return
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
    this.#counters.messagesIn++
    const event = EVENTS[frame.type] ?? 'malformed'
    switch (actionOf(connection.phase, event)) {
      case 'deliver':
        connection.heardAt = now
        this.#deliver(connection, frame, now)
        break
      case 'hear':
        connection.heardAt = now
        break
      case 'confirm':
        this.#confirm(connection, frame, now)
        break
      case 'establish':
        connection.heardAt = now
        this.#establish(connection, now)
        break
      case 'refuse': {
        const subcode = UNEXPECTED[connection.phase] ?? FSM_ERROR.UNSPECIFIED
        const what = `${event} in ${connection.phase}`
        const data = Uint8Array.of(frame.type)
        this.#reset(connection, reset(ERROR.FSM, subcode, what, data), now)
        break
      }
      case 'end':
        this.#notified(connection, frame, now)
        break
    }
  }

  #deliver(connection: Connection, frame: Frame, now: Instant): void {
    const { agreed } = connection
    if (agreed === undefined) return
    const { context } = agreed
    const message = decodeMessage(frame, context)
    if (frame.type === MESSAGE.UPDATE) this.#counters.updatesIn++
    if (message.kind === 'update') {
      const { updates, discarded: faults } = message
      for (const update of updates) {
        this.#effects.push({ kind: 'update', update, context, faults })
        if (update.endOfRib !== undefined) this.#filled(update.endOfRib)
      }
    } else if (message.kind === 'withdraw') {
      const { withdrawn, faults } = message
      const update = { withdrawn, announced: [], attributes: undefined, endOfRib: undefined }
      this.#effects.push({ kind: 'update', update, context, faults })
    } else if (message.kind === 'route-refresh') {
      const { family, purpose } = message
      if (family === undefined || !context.families.includes(family)) return
      if (purpose === 'request') this.#effects.push({ kind: 'refresh', family, what: 'ask' })
      else if (purpose !== 'unknown' && agreed.refresh === 'enhanced') {
        this.#effects.push({ kind: 'refresh', family, what: purpose })
      }
    } else if (message.kind === 'reset') this.#reset(connection, message, now)
  }

  /** The peer's OPEN. */
  #confirm(connection: Connection, frame: Frame, now: Instant): void {
    if (connection.phase === 'waiting') this.#greet(connection, now)
    const open = decodeOpen(frame.bytes, frame.start, frame.end)
    if (open.kind === 'reset') {
      this.#reset(connection, open, now)
      return
    }
    const result = negotiate(this.#terms, connection.ours, open)
    for (const note of result.kind === 'agreement' ? result.notes : []) this.#remark(note)
    if (result.kind === 'reset') this.#reset(connection, result, now)
    else if (this.#survives(connection, open, now)) this.#agree(connection, open, result, now)
  }

  /** RFC 4271 section 6.8. That the other one may still be in OpenSent is allowed there. */
  #survives(connection: Connection, { id, asn }: Open, now: Instant): boolean {
    const other = this.#connections.find(
      (each) =>
        each !== connection && (each.phase === 'open-sent' || each.phase === 'open-confirm'),
    )
    if (other === undefined) return true
    const isOurs = oursStays(this.#terms.self, { routerId: id, asn })
    this.#lose(isOurs === connection.isOutgoing ? other : connection, now)
    return isOurs === connection.isOutgoing
  }

  #agree(connection: Connection, open: Open, result: Agreement, now: Instant): void {
    const { routerId, holdSeconds, context, refresh } = result
    const { local, linkLocal, ours } = connection
    if (local === undefined) return
    connection.agreed = {
      connection: connection.id,
      local,
      ...(linkLocal !== undefined && { linkLocal }),
      ...{ routerId, holdSeconds, context, refresh, capabilities: open.capabilities, ours },
    }
    if (context.messageOctetsMax > MESSAGE_OCTETS_MAX) connection.framer.allowExtendedMessages()
    connection.holdMs = holdSeconds * 1000
    connection.heardAt = now
    connection.holdAt = holdSeconds === 0 ? NEVER : now + connection.holdMs
    connection.keepaliveMs = connection.holdMs / 3
    connection.phase = 'open-confirm'
    this.#keepalive(connection, now)
    this.#report()
  }

  #establish(connection: Connection, now: Instant): void {
    const { agreed } = connection
    if (agreed === undefined) return
    connection.phase = 'established'
    for (const other of [...this.#connections]) if (other !== connection) this.#lose(other, now)
    this.#retryAt = NEVER
    this.#isBare = false
    this.#establishedAt = now
    this.#establishments++
    this.#failures.clear()
    this.#report()
    this.#effects.push({ kind: 'up', agreed })
    this.#endStale(lost(this.#stale, agreed))
    if (this.#stale.length > 0) this.#staleUntil = now + REFILL_MS
  }

  #notified(connection: Connection, frame: Frame, now: Instant): void {
    const received = decodeNotification(frame.bytes, frame.start, frame.end)
    const { code, subcode } = received
    if (code === ERROR.OPEN && connection.phase !== 'established') {
      const isUnknown = subcode === OPEN_ERROR.UNSUPPORTED_PARAMETER
      const hasPlain = connection.ours.families?.includes('ipv4') === true
      // RFC 5492 section 3; the attempt after that is an ordinary one again.
      this.#isBare = isUnknown && hasPlain && !this.#isBare
      if (subcode === OPEN_ERROR.UNSUPPORTED_CAPABILITY) this.#timing.waitLong()
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

  #whileEstablished(
    input: Input<'bfd-down' | 'ask-refresh' | 'prefixes-exceeded'>,
    now: Instant,
  ): void {
    const connection = this.#established()
    if (connection?.agreed === undefined) return
    const { refresh, context } = connection.agreed
    if (input.kind === 'bfd-down') {
      this.#reset(connection, reset(ERROR.CEASE, CEASE.BFD_DOWN, 'BFD lost the peer'), now)
    } else if (input.kind === 'prefixes-exceeded') {
      const { family, limit } = input
      // RFC 4486 section 4: AFI, SAFI, and the limit.
      const octets = [limit >>> 24, limit >>> 16, limit >>> 8, limit]
      const data = Uint8Array.of(0, AFI[family], SAFI_UNICAST, ...octets)
      const what = `more than ${limit} prefixes of ${family}`
      this.#timing.waitLong()
      this.#reset(connection, reset(ERROR.CEASE, CEASE.MAX_PREFIXES, what, data), now)
    } else if (refresh !== 'none' && context.families.includes(input.family)) {
      this.#send(connection.id, encodeRouteRefresh(input.family))
    }
  }

  #wakeConnection(connection: Connection, now: Instant): void {
    if (now >= connection.sendHoldAt && this.#does(connection, 'send-hold-expired', 'fail')) {
      const what = 'the peer takes nothing (RFC 9687)'
      const ending = resetBy(reset(ERROR.SEND_HOLD_TIMER, 0, what), false)
      this.#end(connection, { ...ending, isAbort: true }, 'idle', now)
    }
    if (connection.isSilent(now) && this.#does(connection, 'hold-expired', 'fail')) {
      const what = `nothing heard for ${connection.holdMs / 1000} s`
      this.#reset(connection, reset(ERROR.HOLD_TIMER, 0, what), now)
    }
    if (
      now >= connection.keepaliveAt &&
      this.#does(connection, 'keepalive-due', 'send-keepalive')
    ) {
      this.#keepalive(connection, now)
    }
  }

  #does({ phase }: Connection, event: ConnectionEvent, action: string): boolean {
    return actionOf(phase, event) === action
  }

  #keepalive(connection: Connection, now: Instant): void {
    const { keepaliveMs } = connection
    this.#send(connection.id, encodeKeepalive())
    connection.keepaliveAt = keepaliveMs === 0 ? NEVER : now + this.#timing.keepaliveMs(keepaliveMs)
  }

  // --- Ends.

  #reset(connection: Connection, found: Reset, now: Instant): void {
    this.#end(connection, resetBy(found, this.#knowsHardReset(connection)), 'idle', now)
  }

  #knowsHardReset({ phase, agreed }: Connection): boolean {
    return phase === 'established' && agreed !== undefined && hasNotificationBit(agreed)
  }

  /** Loses a collision, or is not needed any more. */
  #lose(connection: Connection, now: Instant): void {
    const found = reset(ERROR.CEASE, CEASE.COLLISION_RESOLUTION, 'another connection stays')
    this.#end(connection, resetBy(found, false), 'none', now)
  }

  /** `then`: what follows when it was the last connection. */
  #end(
    connection: Connection,
    ending: Ending,
    then: 'none' | 'active' | 'idle',
    now: Instant,
  ): void {
    const { id, phase, agreed } = connection
    const isAttempt = phase === 'connecting'
    if (ending.notification !== undefined && !isAttempt) this.#send(id, ending.notification)
    if (ending.isGone !== true) {
      const isAbort = isAttempt || ending.isAbort === true
      this.#effects.push({ kind: 'close', connection: id, ...(isAbort && { isAbort }) })
    }
    this.#drop(connection)
    if (phase === 'established' && agreed !== undefined) this.#down(agreed, ending, now)
    else if (then !== 'none' && this.#isStarted) this.#noteFailure(ending.reason.text)
    if (then !== 'none') this.#lastError = ending.reason
    if (this.#connections.length > 0) this.#release(now)
    else if (this.#isStarted) this.#follow(ending, then, now)
    this.#report()
  }

  #follow(ending: Ending, then: 'none' | 'active' | 'idle', now: Instant): void {
    if (then === 'active') {
      const isPassive = this.#terms.peer.passive === true
      this.#retryAt = isPassive ? NEVER : now + this.#timing.connectRetryMs()
    } else if (then === 'idle') {
      this.#retryAt = NEVER
      this.#idleUntil = now + this.#timing.idleMs(ending.isBlamed)
      this.#isRefusing = ending.hasNotification && ending.isBlamed
    }
  }

  #down(agreed: Agreed, ending: Ending, now: Instant): void {
    if (this.#establishedAt !== undefined && now - this.#establishedAt >= FORGET_MS) {
      this.#timing.forgetFailures()
    }
    this.#establishedAt = undefined
    const retain = this.#isStarted ? retained(agreed, ending) : []
    this.#stale = retain
    const { restartSeconds = 0 } = agreed.capabilities.gracefulRestart ?? {}
    this.#staleUntil = retain.length === 0 ? NEVER : now + restartSeconds * 1000
    this.#effects.push({ kind: 'down', reason: ending.reason, retain })
  }

  /** The one that was in OpenConfirm is gone: those that waited for it go on. */
  #release(now: Instant): void {
    if (this.#connections.some(({ phase }) => phase === 'open-confirm' || phase === 'established'))
      return
    for (const connection of [...this.#connections]) {
      if (connection.phase === 'waiting') this.#greet(connection, now)
    }
  }

  /** End-of-RIB: the RIB has removed what was stale by itself. */
  #filled(family: Family): void {
    if (!this.#stale.includes(family)) return
    this.#stale = this.#stale.filter((each) => each !== family)
    if (this.#stale.length === 0) this.#staleUntil = NEVER
  }

  #endStale(families: readonly Family[]): void {
    for (const family of families) {
      this.#effects.push({ kind: 'stale-end', family })
      this.#filled(family)
    }
  }

  // --- Small things.

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

  #send(connection: ConnectionId, bytes: Uint8Array): void {
    this.#counters.messagesOut++
    this.#effects.push({ kind: 'send', connection, bytes })
  }

  #noteFailure(text: string): void {
    this.#noteOnce(this.#failures, text)
  }

  #remark(text: string): void {
    this.#noteOnce(this.#remarks, text)
  }

  /** Once for each reason: a peer that comes again and again does not fill a log. */
  #noteOnce(said: Set<string>, text: string): void {
    if (said.has(text) || said.size >= NOTES_MAX) return
    said.add(text)
    this.#effects.push({ kind: 'note', text })
  }

  /** Says where the machine is now, when that is elsewhere. */
  #report(): void {
    const to = this.#furthest()
    const from = this.#state
    if (from === to) return
    this.#state = to
    this.#effects.push({ kind: 'state', from, to })
  }

  #furthest(): SessionState {
    const [first, second] = this.#connections
    if (first === undefined) {
      return this.#isStarted && this.#idleUntil === NEVER ? 'active' : 'idle'
    }
    const [one, two] = [first, second ?? first].map((each) => STATE[each.phase])
    return ORDER[one!] > ORDER[two!] ? one! : two!
  }
}

const STATE: Readonly<Record<Phase, SessionState>> = {
  connecting: 'connect',
  waiting: 'connect',
  'open-sent': 'open-sent',
  'open-confirm': 'open-confirm',
  established: 'established',
  closed: 'idle',
}

const ORDER: Readonly<Record<SessionState, number>> = {
  idle: 0,
  active: 1,
  connect: 2,
  'open-sent': 3,
  'open-confirm': 4,
  established: 5,
}

/** The machine of one peer, stopped; `start` starts it. */
export const createSession = (terms: SessionTerms): Session => new Session(terms)
