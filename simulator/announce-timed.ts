/**
 * Announcements by timers alone: no protocol is spoken, a batch of a node's changes is
 * heard by every switch after a time, and those of a silent node are taken back after
 * another.
 *
 * @module
 */
import type { Announcements, Change } from './announcements.ts'
import { heardAfter, heldFor, type ProtocolTimers } from './announcer.ts'
import { type Engine, EVENT } from './clock.ts'
import type { EventHandle } from './event-queue.ts'

export interface TimedOptions {
  readonly announceTicks: number
  readonly timers: ProtocolTimers
  /** Whether a protocol believes a silent node for a time; frames do not. */
  readonly isHeld: boolean
  /** Every switch hears a batch of a node. */
  readonly tell: (owner: number, batch: readonly Change[]) => void
}

export class TimedAnnouncements implements Announcements {
  pending = 0

  private readonly engine: Engine
  private readonly options: TimedOptions
  private readonly batches = new Map<number, Change[]>()
  /** Nodes without power that are not given up yet, and what they can say no more. */
  private readonly silent = new Map<
    number,
    { readonly held: Change[]; readonly timer: EventHandle }
  >()

  constructor(engine: Engine, options: TimedOptions) {
    this.engine = engine
    this.options = options
    engine.on(EVENT.announce, (owner) => this.hear(owner))
  }

  /**
   * What its kernel held is withdrawn when its peers give it up, or at once when it
   * comes back: a new session replaces the old one.
   */
  silence(owner: number): void {
    if (this.silent.has(owner)) return
    const held: Change[] = []
    const { engine, options } = this
    const { announceTicks, timers, isHeld, tell } = options
    const giveUp = (): void => {
      this.pending--
      this.silent.delete(owner)
      // What it said before is heard before that it is gone.
      tell(owner, this.batches.get(owner)?.splice(0) ?? [])
      tell(owner, held)
    }
    const holdTicks = isHeld ? heldFor(timers, announceTicks) : announceTicks
    this.pending++
    const timer = engine.later(holdTicks, EVENT.announce, owner, 1, giveUp)
    this.silent.set(owner, { held, timer })
  }

  speak(owner: number): void {
    const silence = this.silent.get(owner)
    if (silence === undefined) return
    this.pending--
    this.silent.delete(owner)
    this.engine.cancel(silence.timer)
    for (const change of silence.held) this.send(owner, change)
  }

  send(owner: number, change: Change): void {
    const silence = this.silent.get(owner)
    if (silence !== undefined) {
      silence.held.push(change)
      return
    }
    const waiting = this.batches.get(owner)
    if (waiting !== undefined) {
      waiting.push(change)
      return
    }
    const batch = [change]
    this.batches.set(owner, batch)
    this.pending++
    const { timers, announceTicks } = this.options
    this.engine.post(heardAfter(timers, this.engine.tick, announceTicks), EVENT.announce, owner, 0)
  }

  /** Announcements of a process that ended stay, as with graceful restart. */
  agent(): void {}

  private hear(owner: number): void {
    const batch = this.batches.get(owner) ?? []
    this.batches.delete(owner)
    this.pending--
    this.options.tell(owner, batch)
  }
}
