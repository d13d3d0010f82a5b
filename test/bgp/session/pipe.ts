/**
 * Two sessions joined by connections that are simulated: delays, octets in pieces,
 * connections that break. Time passes only here.
 */
import assert from 'node:assert/strict'
import { createSession, type Session } from '../../../src/bgp/session/mod.ts'
import type {
  ConnectionId,
  SessionEffect,
  SessionInput,
  SessionTerms,
} from '../../../src/bgp/session/types.ts'
import type { Instant } from '../../../src/machine.ts'
import type { Ip } from '../../../src/net/mod.ts'
import type { Prng } from '../../../src/prng.ts'

export type Side = 'a' | 'b'
export const otherOf = (side: Side): Side => (side === 'a' ? 'b' : 'a')

/** One end of a connection that both know by numbers of their own. */
interface End {
  readonly side: Side
  readonly id: ConnectionId
}

interface Wire {
  readonly ends: readonly [End, End]
}

interface Due {
  readonly at: number
  readonly order: number
  run(): void
}

export interface Recorded {
  readonly now: Instant
  readonly input: SessionInput | 'wake'
  readonly effects: readonly SessionEffect[]
}

/** How long octets take, how they are cut, and whether a connection comes about. */
export interface Weather {
  readonly random: Prng
  readonly delayMsMax: number
  readonly piecesMax: number
}

export class Pipe {
  now = 0 as Instant
  readonly sessions: Readonly<Record<Side, Session>>
  readonly records: Readonly<Record<Side, Recorded[]>> = { a: [], b: [] }
  /** Whether connections come about at all. */
  isCut = false
  readonly #weather: Weather
  readonly terms: Readonly<Record<Side, SessionTerms>>
  #wires: Wire[] = []
  #due: Due[] = []
  #order = 0
  #even = 2
  /** When the last octets of an end arrive: streams keep their order. */
  readonly #arrival = new Map<string, number>()

  constructor(a: SessionTerms, b: SessionTerms, weather: Weather) {
    this.terms = { a, b }
    this.sessions = { a: createSession(a), b: createSession(b) }
    this.#weather = weather
  }

  feed(side: Side, input: SessionInput): readonly SessionEffect[] {
    const effects = this.sessions[side].handle(input, this.now)
    this.#carryOut(side, input, effects)
    return effects
  }

  /** Runs until `until`; everything that is due happens in order. */
  run(until: number): void {
    for (;;) {
      const next = this.#next()
      if (next === undefined || next > until) break
      this.now = Math.max(this.now, next) as Instant
      this.#step()
    }
    this.now = Math.max(this.now, until) as Instant
  }

  /** Breaks what is open; these sides hear of it, each by itself. */
  breakAll(...heard: readonly Side[]): void {
    for (const { ends } of this.#wires) {
      for (const to of ends) {
        if (!heard.includes(to.side)) continue
        this.#deliver(to, { kind: 'closed', connection: to.id, reason: 'broken' })
      }
    }
    this.#wires = []
  }

  /** Whether both are established over the same connection, and there is no other. */
  get isJoined(): boolean {
    const [wire, ...others] = this.#wires
    const agreed = wire?.ends.map(({ side, id }) => {
      return this.sessions[side].facts.agreed?.connection === id
    })
    return others.length === 0 && agreed?.every((each) => each) === true
  }

  #next(): number | undefined {
    const times = (['a', 'b'] as const).map((side) => this.sessions[side].nextWake())
    const all = [...times, this.#due[0]?.at].filter((time) => time !== undefined)
    return all.length === 0 ? undefined : Math.min(...all)
  }

  #step(): void {
    const due = this.#due[0]
    if (due !== undefined && due.at <= this.now) {
      this.#due.shift()
      due.run()
      return
    }
    for (const side of ['a', 'b'] as const) {
      const session = this.sessions[side]
      const wake = session.nextWake()
      if (wake === undefined || wake > this.now) continue
      this.#carryOut(side, 'wake', session.wake(this.now))
      const next = session.nextWake()
      assert(next === undefined || next > this.now, 'a timer that was run is due again')
      return
    }
  }

  #carryOut(side: Side, input: SessionInput | 'wake', effects: readonly SessionEffect[]): void {
    this.records[side].push({ now: this.now, input, effects })
    for (const effect of effects) {
      if (effect.kind === 'connect') this.#connect({ side, id: effect.connection })
      else if (effect.kind === 'send') this.#send({ side, id: effect.connection }, effect.bytes)
      else if (effect.kind === 'close') this.#close({ side, id: effect.connection })
    }
  }

  #later(run: () => void, notBefore = 0): number {
    const { random, delayMsMax } = this.#weather
    const at = Math.max(notBefore, this.now + 1 + random.below(delayMsMax + 1))
    this.#due.push({ at, order: this.#order++, run })
    this.#due.sort((left, right) => left.at - right.at || left.order - right.order)
    return at
  }

  #connect(from: End): void {
    const to: End = { side: otherOf(from.side), id: this.#even }
    this.#even += 2
    const wire: Wire = { ends: [from, to] }
    if (this.isCut) {
      this.#later(() => {
        this.feed(from.side, { kind: 'connect-failed', connection: from.id, reason: 'refused' })
      })
      return
    }
    this.#wires.push(wire)
    for (const end of [to, from]) {
      const local = this.terms[otherOf(end.side)].peer.address
      this.#deliver(end, { kind: 'connected', connection: end.id, local })
    }
  }

  #send(from: End, bytes: Uint8Array): void {
    const wire = this.#wireOf(from)
    const to = wire?.ends.find((end) => end.side !== from.side)
    if (to === undefined) return
    const { random, piecesMax } = this.#weather
    const cuts = Array.from({ length: random.below(piecesMax) }, () => random.below(bytes.length))
    let at = 0
    for (const cut of [...cuts.sort((left, right) => left - right), bytes.length]) {
      const piece = bytes.slice(at, cut)
      at = cut
      if (piece.length > 0) this.#deliver(to, { kind: 'received', connection: to.id, bytes: piece })
    }
  }

  #deliver(to: End, input: SessionInput): void {
    const key = `${to.side}${to.id}`
    const at = this.#later(() => this.feed(to.side, input), this.#arrival.get(key))
    this.#arrival.set(key, at)
  }

  #close(from: End): void {
    const wire = this.#wireOf(from)
    if (wire === undefined) return
    this.#wires = this.#wires.filter((each) => each !== wire)
    const to = wire.ends.find((end) => end.side !== from.side)
    if (to !== undefined) this.#deliver(to, { kind: 'closed', connection: to.id })
  }

  #wireOf(end: End): Wire | undefined {
    return this.#wires.find(({ ends }) =>
      ends.some((each) => each.side === end.side && each.id === end.id),
    )
  }
}

/** Terms of both ends: AS 64512 to 64513, identifiers 10.0.0.1 and 10.0.0.2. */
export function bothTerms(
  a: Partial<SessionTerms['peer']> = {},
  b: Partial<SessionTerms['peer']> = {},
): readonly [SessionTerms, SessionTerms] {
  const [one, two] = ['10.0.0.1', '10.0.0.2'] as Ip[]
  return [
    { self: { asn: 64512, routerId: one! }, peer: { address: two!, asn: 64513, ...a } },
    { self: { asn: 64513, routerId: two! }, peer: { address: one!, asn: 64512, ...b } },
  ]
}
