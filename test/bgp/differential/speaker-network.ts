/**
 * A topology of whole speakers of ours: sessions, octets and RIBs, in memory and under
 * a clock that jumps, the same every time.
 *
 * @module
 */
import type { SpeakerConfig } from '../../../src/bgp/config.ts'
import type { StepName } from '../../../src/bgp/rib/decision.ts'
import { SpeakerNetwork, type SpeakerNode } from '../../../src/bgp/speaker/in-memory.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import type { Outcome, SeenPath } from './outcome.ts'
import { costOf, seenPaths } from './rib-network.ts'
import { happen, speakerConfig } from './speaker-config.ts'
import {
  addressOf,
  type Event,
  endAddress,
  FAMILIES,
  type Router,
  sidesOf,
  type Topology,
} from './topology.ts'

/** Behind it nothing more comes: sessions are up after a second or two. */
const QUIET_MS = 5000
const LIMIT_MS = 60_000

export class SpeakersOfTopology {
  readonly #topology: Topology
  readonly #steps: readonly StepName[] | undefined
  readonly #network = new SpeakerNetwork()
  readonly #nodes: ReadonlyMap<number, SpeakerNode>
  readonly #prefixes = new Set<Prefix>()
  readonly #cut = new Set<number>()
  /** As they are now. */
  readonly #routers: Map<number, Router>

  /** @throws {TriviumError} INTERNAL: it does not come to rest. */
  constructor(topology: Topology, steps?: readonly StepName[]) {
    this.#topology = topology
    this.#steps = steps
    this.#routers = new Map(topology.routers.map((router) => [router.id, router]))
    for (const { originate } of topology.routers) {
      for (const { prefix } of originate) this.#prefixes.add(prefix)
    }
    this.#nodes = new Map(
      topology.routers.map((router) => {
        const near = sidesOf(topology, router.id).map((side) => side.near.alias)
        const addresses = FAMILIES.flatMap((family) =>
          Array.from({ length: Math.max(1, ...near) }, (_, index) =>
            addressOf(router.id, index + 1, family),
          ),
        )
        const options = { costOf: costOf(router) }
        const name = String(router.id)
        return [router.id, this.#network.add(name, addresses, this.#config(router.id), options)]
      }),
    )
    this.#network.settle(QUIET_MS, LIMIT_MS)
  }

  /** One after the other, each a new configuration. */
  carryOut(events: readonly Event[]): void {
    const [topology, routers] = [this.#topology, this.#routers]
    const course = { topology, routers, cut: this.#cut, prefixes: this.#prefixes }
    for (const event of events) {
      for (const id of happen(course, event)) {
        this.#network.feed(String(id), { kind: 'configure', config: this.#config(id) })
      }
    }
    this.#network.settle(QUIET_MS, LIMIT_MS)
  }

  /** Sessions that are not established and should be. */
  get down(): readonly string[] {
    return this.#topology.sessions.flatMap((session) =>
      session.ends.flatMap((near, index) => {
        const far = session.ends[1 - index]!
        const { speaker } = this.#nodes.get(near.router)!
        const view = speaker.peer(endAddress(session, far))
        const isUp = view?.state === 'established'
        if (isUp !== this.#cut.has(session.id)) return []
        return [`session ${session.id} at router ${near.router}: ${view?.lastDown?.reason.text}`]
      }),
    )
  }

  outcome(): Outcome {
    return new Map(
      [...this.#nodes].map(([id, { speaker }]) => {
        const prefixes = new Map<string, readonly SeenPath[]>()
        for (const prefix of this.#prefixes) {
          const paths = speaker.rib === undefined ? [] : seenPaths(speaker.rib, prefix)
          if (paths.length > 0) prefixes.set(prefix, paths)
        }
        return [id, prefixes]
      }),
    )
  }

  #config(id: number): SpeakerConfig {
    const config = speakerConfig(this.#topology, this.#routers.get(id)!, this.#cut)
    return { ...config, ...(this.#steps && { steps: this.#steps }) }
  }
}
