/**
 * A topology on the simulator's own road: its speakers with a daemon's times, its
 * transport and its engine; sessions are as long as their latencies.
 *
 * @module
 */

import type { DaemonProfile } from '../../../simulator/bgp/daemons.ts'
import type { SessionPlan } from '../../../simulator/bgp/plan.ts'
import { SimSpeaker } from '../../../simulator/bgp/speaker.ts'
import { type Side, Transport } from '../../../simulator/bgp/transport.ts'
import { Engine, EVENT, TICKS_PER_MS } from '../../../simulator/clock.ts'
import type { SpeakerConfig } from '../../../src/bgp/config.ts'
import { type ExplainedPath, why } from '../../../src/bgp/rib/explain.ts'
import type { SessionInput } from '../../../src/bgp/session/types.ts'
import { invariant } from '../../../src/errors.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import { prng } from '../../../src/prng.ts'
import type { Outcome, SeenPath } from './outcome.ts'
import { costOf, seenPaths } from './rib-network.ts'
import { endsOf, happen, speakerConfig } from './speaker-config.ts'
import { type Event, endAddress, type Router, type Session, type Topology } from './topology.ts'

const LIMIT_MS = 300_000

export interface SimulatedOptions {
  readonly topology: Topology
  readonly daemon: DaemonProfile
  /** One way, by session. */
  readonly latenciesMs: ReadonlyMap<number, number>
}

/** A session that was cut comes back. */
export interface Mend {
  readonly kind: 'mend'
  readonly session: number
}

export class SimulatedNetwork {
  readonly engine = new Engine()
  readonly #options: SimulatedOptions
  readonly #speakers: readonly SimSpeaker[]
  readonly #transport: Transport
  readonly #prefixes = new Set<Prefix>()
  readonly #cut = new Set<number>()
  readonly #dead = new Set<number>()
  /** As they are now. */
  readonly #routers: Map<number, Router>
  /** By session and side. */
  readonly #isUp: boolean[]
  #held = 0
  #learnedTick = 0

  /** Everything begins, and comes to rest. */
  constructor(options: SimulatedOptions) {
    const { topology } = options
    this.#options = options
    this.#routers = new Map(topology.routers.map((router) => [router.id, router]))
    this.#isUp = topology.sessions.flatMap(() => [false, false])
    for (const { originate } of topology.routers) {
      for (const { prefix } of originate) this.#prefixes.add(prefix)
    }
    this.#transport = this.#newTransport()
    this.#speakers = topology.routers.map((router, index) => this.#newSpeaker(router, index))
    for (const speaker of this.#speakers) speaker.start([], false)
    this.settle()
  }

  get nowMs(): number {
    return this.engine.tick / TICKS_PER_MS
  }

  /** What a router uses for a prefix. */
  best(router: number, prefix: Prefix): ExplainedPath | undefined {
    const rib = this.#speakers[this.#indexOf(router)]?.core?.rib
    const [first] = rib === undefined ? [] : why(rib, prefix)
    return first?.standing.kind === 'best' ? first : undefined
  }

  /** The last choice of any speaker. */
  get learnedMs(): number {
    return this.#learnedTick / TICKS_PER_MS
  }

  /**
   * Until nothing is under way and every session is as it should be.
   *
   * @param look Called after every moment at which something happened.
   * @throws {TriviumError} INTERNAL: it does not come to rest.
   */
  settle(look: () => void = () => {}): void {
    const { engine } = this
    const until = engine.tick + LIMIT_MS * TICKS_PER_MS
    const isDone = engine.run(() => {
      look()
      return this.#isQuiet()
    }, until)
    invariant(isDone, `network ${this.#options.topology.seed} did not come to rest`)
  }

  /** So much time passes, in which acknowledgements and timers have their way. */
  wait(ms: number): void {
    let isOver = false
    this.engine.later(ms * TICKS_PER_MS, EVENT.bgp, 0, 0, () => {
      isOver = true
    })
    this.engine.run(() => isOver, Number.MAX_SAFE_INTEGER)
  }

  /** All at this moment, one after the other, each a new configuration; then rest. */
  carryOut(events: readonly (Event | Mend)[], look?: () => void): void {
    for (const event of events) {
      for (const id of this.#happen(event)) {
        this.#speakers[this.#indexOf(id)]?.feed({ kind: 'configure', config: this.#config(id) })
      }
    }
    this.settle(look)
  }

  /** A router that was killed begins anew; then rest. */
  begin(router: number): void {
    this.#dead.delete(router)
    this.#speakers[this.#indexOf(router)]?.start([], false)
    this.settle()
  }

  /** The process of a router ends at once, and its kernel closes what it had; then rest. */
  kill(router: number, look?: () => void): void {
    this.#dead.add(router)
    this.#speakers[this.#indexOf(router)]?.end()
    for (const [index, { ends }] of this.#options.topology.sessions.entries()) {
      for (const side of [0, 1] as const) {
        if (ends[side].router !== router) continue
        this.#isUp[2 * index + side] = false
        this.#transport.endProcess(index, side)
      }
    }
    this.settle(look)
  }

  outcome(): Outcome {
    return new Map(
      this.#options.topology.routers.map(({ id }, index) => {
        const prefixes = new Map<string, readonly SeenPath[]>()
        const rib = this.#speakers[index]?.core?.rib
        for (const prefix of this.#prefixes) {
          const paths = rib === undefined ? [] : seenPaths(rib, prefix)
          if (paths.length > 0) prefixes.set(prefix, paths)
        }
        return [id, prefixes]
      }),
    )
  }

  #isQuiet(): boolean {
    if (this.#transport.pending + this.#held > 0) return false
    return this.#options.topology.sessions.every((session, index) => {
      const wanted = this.#isWanted(session)
      return this.#isUp[2 * index] === wanted && this.#isUp[2 * index + 1] === wanted
    })
  }

  #isWanted({ id, ends }: Session): boolean {
    return !this.#cut.has(id) && !ends.some(({ router }) => this.#dead.has(router))
  }

  /** The routers whose configuration is another now. */
  #happen(event: Event | Mend): readonly number[] {
    const { topology } = this.#options
    if (event.kind === 'mend') {
      this.#cut.delete(event.session)
      return endsOf(topology, event.session)
    }
    const [routers, cut, prefixes] = [this.#routers, this.#cut, this.#prefixes]
    return happen({ topology, routers, cut, prefixes }, event)
  }

  #indexOf(router: number): number {
    return this.#options.topology.routers.findIndex(({ id }) => id === router)
  }

  #config(router: number): SpeakerConfig {
    const { topology, daemon } = this.#options
    const { holdSeconds, connectRetrySeconds, idleSeconds } = daemon
    const config = speakerConfig(topology, this.#routers.get(router)!, this.#cut)
    return {
      ...config,
      peers: config.peers.map((peer) => ({
        ...peer,
        ...{ holdSeconds, connectRetrySeconds, idleSeconds },
      })),
    }
  }

  #newSpeaker(router: Router, index: number): SimSpeaker {
    const { topology, daemon } = this.#options
    const config = this.#config(router.id)
    const seats = new Map(
      topology.sessions.flatMap((session, number) =>
        ([0, 1] as const).flatMap((side) => {
          if (session.ends[side].router !== router.id) return []
          const address = endAddress(session, session.ends[side === 0 ? 1 : 0])
          const peer = config.peers.find((each) => each.address === address)!
          return [[address, { session: number, side, peer }] as const]
        }),
      ),
    )
    const plan = { name: `r${router.id}`, node: undefined, device: index, daemon, config }
    return new SimSpeaker(index, { ...plan, costOf: costOf(router) }, seats, {
      engine: this.engine,
      transport: this.#transport,
      routes: () => {
        this.#learnedTick = this.engine.tick
      },
      report: ({ event, peer }) => {
        const seat = seats.get(peer)
        if (seat === undefined || (event !== 'up' && event !== 'down')) return
        this.#isUp[2 * seat.session + seat.side] = event === 'up'
      },
      onHeld: (count) => {
        this.#held += count
      },
      sent: () => {},
    })
  }

  #newTransport(): Transport {
    const { topology, latenciesMs, daemon } = this.#options
    const { sessions } = topology
    const plans = sessions.map((session): SessionPlan => {
      const { ends } = session
      const addresses = [endAddress(session, ends[0]), endAddress(session, ends[1])] as const
      const indexes = [this.#indexOf(ends[0].router), this.#indexOf(ends[1].router)] as const
      return { ends: indexes, addresses, ips: [[], []], way: { kind: 'path' } }
    })
    const speakerAt = (session: number, side: Side): SimSpeaker | undefined =>
      this.#speakers[plans[session]?.ends[side] ?? -1]
    const tell = (session: number, side: Side, input: SessionInput): void => {
      const peer = plans[session]!.addresses[side === 0 ? 1 : 0]
      speakerAt(session, side)?.feed({ kind: 'session', peer, input })
    }
    const ways = sessions.map(({ id }) => ({
      isUp: true,
      latencyTicks: Math.round((latenciesMs.get(id) ?? 0) * TICKS_PER_MS),
      lossPpm: 0,
      mbps: undefined,
    }))
    return new Transport(this.engine, {
      sessions: plans,
      wayOf: (session) => ways[session]!,
      chance: prng(`simulated ${topology.seed}`),
      isNagle: () => daemon.hasNagle,
      ends: {
        connected: (session, side, connection) =>
          tell(session, side, {
            kind: 'connected',
            connection,
            local: plans[session]!.addresses[side],
          }),
        failed: (session, side, connection, reason) =>
          tell(session, side, { kind: 'connect-failed', connection, reason }),
        received: (session, side, connection, bytes) =>
          tell(session, side, { kind: 'received', connection, bytes }),
        closed: (session, side, connection, reason) =>
          tell(session, side, { kind: 'closed', connection, reason }),
        hostOf: (session, side) => (speakerAt(session, side)?.isRunning ? 'runs' : 'idle'),
        lifeOf: (session, side) => speakerAt(session, side)?.life ?? -1,
      },
    })
  }
}
