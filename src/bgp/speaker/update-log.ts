/**
 * A speaker whose peers' UPDATEs and states are written down as MRT, for those who
 * look at routing afterwards. Who replays the speaker itself: `recorder.ts`.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import { type Ends, type MessageForm, messageRecord, stateRecord } from '../mrt/updates.ts'
import type { Agreed, ConnectionId, SessionInput } from '../session/types.ts'
import type { Speaker, SpeakerEffect, SpeakerInput } from '../speaker.ts'
import { type Frame, Framer, HEADER_OCTETS } from '../wire/framing.ts'
import { MESSAGE } from '../wire/iana.ts'
import { decodeMessage } from '../wire/message.ts'

interface Connection {
  readonly local: Ip
  readonly framer: Framer
}

/**
 * The same speaker. `write` gets whole records: of each UPDATE when it has come, before what
 * became of the session by it.
 *
 * @param seconds Since 1970, when a record is made.
 */
export function withUpdateLog(
  speaker: Speaker,
  write: (record: Uint8Array) => void,
  seconds: () => number,
): Speaker {
  const log = new UpdateLog(speaker, write, seconds)
  const logged: Pick<Speaker, 'handle' | 'wake'> = {
    handle: (input, now) => log.handle(input, now),
    wake: (now) => log.noting(speaker.wake(now)),
  }
  // Questions go to the speaker itself.
  return Object.assign(Object.create(speaker) as Speaker, logged)
}

class UpdateLog {
  readonly #speaker: Speaker
  readonly #write: (record: Uint8Array) => void
  readonly #seconds: () => number
  readonly #connections = new Map<string, Connection>()
  /** By peer: this end of its newest connection. */
  readonly #locals = new Map<Ip, Ip>()
  readonly #asns = new Map<Ip, number>()
  #localAs = 0

  constructor(speaker: Speaker, write: (record: Uint8Array) => void, seconds: () => number) {
    this.#speaker = speaker
    this.#write = write
    this.#seconds = seconds
  }

  handle(input: SpeakerInput, now: Instant): readonly SpeakerEffect[] {
    if (input.kind === 'configure') {
      this.#localAs = input.config.asn
      for (const { address, asn } of input.config.peers) this.#asns.set(address, asn)
    }
    if (input.kind !== 'session') return this.noting(this.#speaker.handle(input, now))
    const { peer } = input
    if (input.input.kind !== 'received') {
      this.#follow(peer, input.input)
      return this.noting(this.#speaker.handle(input, now))
    }
    const before = this.#speaker.peer(peer)?.agreed
    const effects = this.#speaker.handle(input, now)
    // What ends a session came while it lasted, and what follows on an OPEN after it began.
    const agreed = this.#speaker.peer(peer)?.agreed ?? before
    this.#hear(peer, input.input.connection, input.input.bytes, agreed)
    return this.noting(effects)
  }

  /** Effects as they are; states among them are written down. */
  noting(effects: readonly SpeakerEffect[]): readonly SpeakerEffect[] {
    for (const effect of effects) {
      if (effect.kind === 'close') this.#connections.delete(keyOf(effect.peer, effect.connection))
      if (effect.kind !== 'report' || effect.report.event !== 'state') continue
      const { peer, from, to } = effect.report
      this.#write(stateRecord(this.#endsOf(peer), from, to, this.#seconds()))
      if (to === 'idle') this.#locals.delete(peer)
    }
    return effects
  }

  #follow(peer: Ip, input: SessionInput): void {
    if (input.kind === 'connected') {
      const framer = new Framer()
      // Whether they are agreed on is the session's business.
      framer.allowExtendedMessages()
      this.#connections.set(keyOf(peer, input.connection), { local: input.local, framer })
      this.#locals.set(peer, input.local)
    } else if (input.kind === 'closed') this.#connections.delete(keyOf(peer, input.connection))
  }

  #hear(peer: Ip, id: ConnectionId, bytes: Uint8Array, agreed: Agreed | undefined): void {
    const connection = this.#connections.get(keyOf(peer, id))
    if (connection === undefined) return
    const { framer, local } = connection
    framer.push(bytes)
    for (let frame = framer.next(); frame?.kind === 'frame'; frame = framer.next()) {
      if (frame.type !== MESSAGE.UPDATE || agreed?.connection !== id) continue
      const message = frame.bytes.subarray(frame.start - HEADER_OCTETS, frame.end)
      const ends = { ...this.#endsOf(peer), local }
      this.#write(messageRecord(ends, message, formOf(frame, agreed), this.#seconds()))
    }
  }

  #endsOf(peer: Ip): Ends {
    return {
      peer,
      peerAs: this.#asns.get(peer) ?? 0,
      local: this.#locals.get(peer),
      localAs: this.#localAs,
    }
  }
}

/** ADD-PATH is agreed on family by family, and MRT says it message by message. */
function formOf(frame: Frame, { context }: Agreed): MessageForm {
  const { fourOctetAs, addPathReceive } = context
  if (addPathReceive.length === 0) return { fourOctetAs, hasPathIds: false }
  const message = decodeMessage(frame, context)
  const slices =
    message.kind === 'update'
      ? message.updates.flatMap(({ withdrawn, announced }) => [...withdrawn, ...announced])
      : message.kind === 'withdraw'
        ? message.withdrawn
        : []
  return { fourOctetAs, hasPathIds: slices.some((each) => each.hasPathIds) }
}

const keyOf = (peer: Ip, connection: ConnectionId): string => `${peer} ${connection}`
