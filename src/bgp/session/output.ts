/**
 * What comes out of a session, in order: octets counted, and of what is said of a peer
 * each thing once, so that one that comes again and again fills no log.
 *
 * @module
 */
import type { ConnectionId, SessionCounters, SessionEffect } from './types.ts'

/** Different things that are said before it is quiet: some hold what the peer wrote. */
const NOTES_MAX = 16

export class Output {
  /** Of the input that is being handled. */
  effects: SessionEffect[] = []
  /** Of attempts that failed, until one succeeds; of the peer's OPEN, ever. */
  readonly #failures = new Set<string>()
  readonly #remarks = new Set<string>()
  readonly #counters: SessionCounters

  constructor(counters: SessionCounters) {
    this.#counters = counters
  }

  send(connection: ConnectionId, bytes: Uint8Array): void {
    this.#counters.messagesOut++
    this.effects.push({ kind: 'send', connection, bytes })
  }

  failure(text: string): void {
    this.#once(this.#failures, text)
  }

  remarks(texts: readonly string[]): void {
    for (const text of texts) this.#once(this.#remarks, text)
  }

  forgetFailures(): void {
    this.#failures.clear()
  }

  #once(said: Set<string>, text: string): void {
    if (said.has(text) || said.size >= NOTES_MAX) return
    said.add(text)
    this.effects.push({ kind: 'note', text })
  }
}
