/**
 * The same course of events in the simulator: a network at rest, what happens, when each
 * router chose for the last time, and everything as it was again.
 */

import type { DaemonProfile } from '../../simulator/bgp/daemons.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { type Mend, SimulatedNetwork } from '../../test/bgp/differential/simulated-network.ts'
import {
  type Event,
  ownerOf,
  routerOf,
  type Topology,
} from '../../test/bgp/differential/topology.ts'
import { type Choice, prefixesOf } from './choices.ts'
import { isUndoneFirst, type TimedEvent } from './events.ts'

export interface Simulated {
  readonly event: TimedEvent
  /** From the event. */
  readonly choices: readonly Choice[]
  /** The last of them; 0: there was none. */
  readonly lastMs: number
  /** All choices when it is over. */
  readonly after: ReadonlyMap<string, string>
  /** LEARNED AFTER of a run, from the event. */
  readonly learnedMs: number
}

export interface Setting {
  readonly topology: Topology
  readonly daemon: DaemonProfile
  readonly latenciesMs: ReadonlyMap<number, number>
}

/** Timers of TCP are over. */
const REST_MS = 1000

export class SimulatedCourse {
  readonly #setting: Setting
  readonly #network: SimulatedNetwork
  readonly #prefixes: readonly Prefix[]

  constructor(setting: Setting, events: readonly TimedEvent[]) {
    const own = events.flatMap((event) =>
      'routes' in event ? event.routes.map(({ prefix }) => prefix) : [],
    )
    this.#setting = setting
    this.#prefixes = [...new Set([...prefixesOf(setting.topology), ...own])]
    this.#network = new SimulatedNetwork(setting)
    this.#network.wait(REST_MS)
  }

  /** It happens, and is undone. */
  play(event: TimedEvent): Simulated {
    const network = this.#network
    if (isUndoneFirst(event)) this.#carryOut(event, false, () => {})
    network.wait(REST_MS)
    const startMs = network.nowMs
    const choices: Choice[] = []
    const known = new Map<string, string>()
    const look = (): void => this.#look(event, known, choices, startMs)
    look()
    choices.length = 0
    this.#carryOut(event, true, look)
    for (const [key, via] of known) if (via === '') known.delete(key)
    const learnedMs = network.learnedMs - startMs
    network.wait(REST_MS)
    if (!isUndoneFirst(event)) this.#carryOut(event, false, () => {})
    network.wait(REST_MS)
    return { event, choices, lastMs: choices.at(-1)?.ms ?? 0, after: known, learnedMs }
  }

  #look(event: TimedEvent, known: Map<string, string>, choices: Choice[], startMs: number): void {
    const network = this.#network
    for (const { id } of this.#setting.topology.routers) {
      // Nobody asks a dead one.
      if (event.kind === 'death' && event.router === id) continue
      for (const prefix of this.#prefixes) {
        const key = `${id} ${prefix}`
        const via = viaOf(network, id, prefix)
        if ((known.get(key) ?? '') === via) continue
        known.set(key, via)
        choices.push({ router: id, prefix, ms: network.nowMs - startMs, via })
      }
    }
  }

  #carryOut(event: TimedEvent, happens: boolean, look: () => void): void {
    const network = this.#network
    if (event.kind === 'death') {
      if (happens) network.kill(event.router, look)
      else network.begin(event.router)
    } else network.carryOut(this.#eventsOf(event, happens), look)
  }

  #eventsOf(
    event: Exclude<TimedEvent, { kind: 'death' }>,
    happens: boolean,
  ): readonly (Event | Mend)[] {
    if (event.kind === 'cut') {
      return [{ kind: happens ? 'cut' : 'mend', session: event.session }]
    }
    const { router } = event
    const own = routerOf(this.#setting.topology, router).originate
    const routes =
      event.kind === 'failover' ? own.filter(({ prefix }) => prefix === event.prefix) : event.routes
    const isAnnounced = event.kind === 'announced' || event.kind === 'ten announced'
    return routes.map((route) =>
      isAnnounced === happens
        ? { kind: 'announce', router, route }
        : { kind: 'withdraw', router, prefix: route.prefix },
    )
  }
}

function viaOf(network: SimulatedNetwork, router: number, prefix: Prefix): string {
  const best = network.best(router, prefix)
  if (best === undefined) return ''
  return best.peer === 'own' ? 'own' : String(ownerOf(best.attributes.nextHop as Ip))
}
