/**
 * What a run's speakers did: sessions, messages, and when they came to rest.
 *
 * @module
 */
import type { AnnounceTraffic } from '../announce-traffic.ts'
import { TICKS_PER_MS } from '../clock.ts'

/** By their numbers. Source: RFC 4271 section 4.1, RFC 2918. */
export const MESSAGE_KINDS = ['open', 'update', 'notification', 'keepalive', 'refresh'] as const
export type MessageKind = (typeof MESSAGE_KINDS)[number]

/** From the start until now; times are virtual. */
export interface BgpFigure {
  readonly speakers: number
  /** That there should be when everything is up. */
  readonly sessions: number
  readonly established: number
  /** Sessions that ended. */
  readonly ended: number
  readonly messages: Readonly<Record<MessageKind, number>>
  /** Of all messages, without what TCP and IP put in front. */
  readonly bytes: number
  /** Until the last session came up. */
  readonly upMs: number
  /** Until a speaker learned something new, for the last time. */
  readonly learnedMs: number
  /** The longest that a speaker which started held its choices back for peers' sake; undefined: none did. */
  readonly deferredMs?: number
  /** Best paths of all speakers, their own among them. */
  readonly routes: number
  /** Octets of all speakers' tables. */
  readonly tableBytes: number
}

const HEADER_OCTETS = 19

export class BgpCounter {
  readonly messages: Record<MessageKind, number> = {
    open: 0,
    update: 0,
    notification: 0,
    keepalive: 0,
    refresh: 0,
  }
  bytes = 0
  /** Choices of switches. */
  prefixesTold = 0
  ended = 0
  upTick = 0
  learnedTick = 0
  deferredTicks: number | undefined

  /** Messages one behind the other. */
  sent(bytes: Uint8Array): void {
    this.bytes += bytes.length
    for (let at = 0; at + HEADER_OCTETS <= bytes.length; ) {
      const kind = MESSAGE_KINDS[(bytes[at + 18] ?? 0) - 1]
      if (kind !== undefined) this.messages[kind]++
      const length = ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0)
      at += Math.max(length, HEADER_OCTETS)
    }
  }

  deferred(ticks: number): void {
    this.deferredTicks = Math.max(ticks, this.deferredTicks ?? 0)
  }

  get traffic(): AnnounceTraffic {
    const { messages, prefixesTold, bytes } = this
    return { updates: messages.update, prefixesTold, bytes }
  }

  figure(
    now: Pick<BgpFigure, 'speakers' | 'sessions' | 'established' | 'routes' | 'tableBytes'>,
  ): BgpFigure {
    const { messages, bytes, ended, upTick, learnedTick, deferredTicks } = this
    return {
      ...now,
      ended,
      messages: { ...messages },
      bytes,
      upMs: upTick / TICKS_PER_MS,
      learnedMs: learnedTick / TICKS_PER_MS,
      ...(deferredTicks === undefined ? {} : { deferredMs: deferredTicks / TICKS_PER_MS }),
    }
  }
}
