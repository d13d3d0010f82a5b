/**
 * A topology of our RIBs alone: what one says is learnt by another, in an order that a
 * seed chooses. Whether a network has one outcome is found by trying several.
 *
 * @module
 */
import type { AttributeBytes, Attributes } from '../../../src/bgp/attributes.ts'
import type { Update } from '../../../src/bgp/nlri.ts'
import { why } from '../../../src/bgp/rib/explain.ts'
import type { Peer } from '../../../src/bgp/rib/peers.ts'
import { Rib, type RibOptions, type RibOutput } from '../../../src/bgp/rib/rib.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import { prng } from '../../../src/prng.ts'
import { byName } from './bird-routes.ts'
import { attributeText, type Outcome, type SeenPath } from './outcome.ts'
import {
  addressOf,
  type End,
  type Event,
  endAddress,
  ownerOf,
  type Router,
  routerOf,
  type Session,
  type Topology,
} from './topology.ts'

/** Deliveries and turns (some thousand at most are needed) until a network counts as one that never settles. */
const STEPS_MAX = 12_000

/** One direction of a session. */
interface Wire {
  readonly to: number
  /** The sender's name at the receiver. */
  readonly sender: Ip
  readonly queue: Update[]
}

/** Attributes are objects here, and their octets a number. */
class Numbered {
  readonly #known: Attributes[] = []
  readonly #bytes = new Map<Attributes, AttributeBytes>()

  bytesOf(attributes: Attributes): AttributeBytes {
    let found = this.#bytes.get(attributes)
    if (found === undefined) {
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, this.#known.push(attributes) - 1)
      found = { bytes, start: 0, end: 4 }
      this.#bytes.set(attributes, found)
    }
    return found
  }

  readonly decode = ({ bytes, start }: AttributeBytes): Attributes =>
    this.#known[new DataView(bytes.buffer, bytes.byteOffset).getUint32(start)]!
}

export const costOf =
  ({ id, costs }: Router): RibOptions['costOf'] =>
  (nextHop) => {
    const owner = ownerOf(nextHop)
    return owner === id ? 0 : costs[owner]
  }

export class RibNetwork {
  readonly topology: Topology
  readonly #ribs: ReadonlyMap<number, Rib>
  /** By receiver and the sender's address there. */
  readonly #wires = new Map<string, Wire>()
  readonly #prefixes = new Set<Prefix>()
  readonly #numbered = new Numbered()
  readonly #chance

  constructor(topology: Topology, seed: number, steps?: RibOptions['steps']) {
    this.topology = topology
    this.#chance = prng(`order ${seed}`)
    const { alwaysCompareMed, medMissing } = topology
    this.#ribs = new Map(
      topology.routers.map((router) => {
        const { id, asn, routerId, clusterId } = router
        const self = { asn, routerId, ...(clusterId && { clusterId }) }
        const options = { ...self, alwaysCompareMed, medMissing, ...(steps && { steps }) }
        return [id, new Rib({ ...options, costOf: costOf(router) })]
      }),
    )
  }

  /** Everything begins, in some order. Whether it came to rest. */
  begin(): boolean {
    const beginnings = [
      ...this.topology.sessions.map((session) => () => this.#up(session)),
      ...this.topology.routers.flatMap(({ id, originate }) =>
        originate.map((route) => () => this.#happen({ kind: 'announce', router: id, route })),
      ),
    ]
    return this.#run(beginnings)
  }

  /** Events in their order, with everything else in between. */
  carryOut(events: readonly Event[]): boolean {
    return this.#run(
      events.map((event) => () => this.#happen(event)),
      true,
    )
  }

  outcome(): Outcome {
    return new Map(
      [...this.#ribs].map(([id, rib]) => {
        const prefixes = new Map<string, readonly SeenPath[]>()
        for (const prefix of this.#prefixes) {
          const paths = seenPaths(rib, prefix)
          if (paths.length > 0) prefixes.set(prefix, paths)
        }
        return [id, prefixes]
      }),
    )
  }

  #happen(event: Event): void {
    if (event.kind === 'announce') {
      const { prefix, attributes } = event.route
      this.#prefixes.add(prefix)
      this.#ribs.get(event.router)!.originate(prefix, attributes)
    } else if (event.kind === 'withdraw') this.#ribs.get(event.router)!.withdraw(event.prefix)
    else {
      const session = this.topology.sessions.find(({ id }) => id === event.session)!
      const [left, right] = session.ends
      for (const [near, far] of [
        [left, right],
        [right, left],
      ] as const) {
        const address = endAddress(session, far)
        this.#wires.delete(`${near.router} ${address}`)
        this.#ribs.get(near.router)!.peerDown(address)
      }
    }
  }

  #up(session: Session): void {
    const [left, right] = session.ends
    for (const [near, far] of [
      [left, right],
      [right, left],
    ] as const) {
      const sender = endAddress(session, near)
      this.#wires.set(`${far.router} ${sender}`, { to: far.router, sender, queue: [] })
    }
    this.#ribs.get(left.router)!.peerUp(this.#peer(session, left, right))
    this.#ribs.get(right.router)!.peerUp(this.#peer(session, right, left))
  }

  #peer(session: Session, near: End, far: End): Peer {
    const { asn, routerId } = routerOf(this.topology, far.router)
    const { kind, role, importPolicy, exportPolicy } = near
    const families = Object.fromEntries(
      session.families.map((family) => [
        family,
        { self: { nextHop: addressOf(near.router, near.alias, family) } },
      ]),
    )
    return {
      ...{ address: endAddress(session, far), kind, asn, routerId, families },
      ...(role && { role }),
      ...(importPolicy && { importPolicy }),
      ...(exportPolicy && { exportPolicy }),
    }
  }

  /** Chooses what is next until nothing is left; `ordered` beginnings keep their order. */
  #run(beginnings: (() => void)[], ordered = false): boolean {
    for (let step = 0; step < STEPS_MAX; step++) {
      const ribs = [...this.#ribs].filter(([, rib]) => !rib.isIdle)
      const wires = [...this.#wires.values()].filter(({ queue }) => queue.length > 0)
      const starts = ordered ? Math.min(1, beginnings.length) : beginnings.length
      const all = ribs.length + wires.length + starts
      if (all === 0) return true
      const pick = this.#chance.below(all)
      if (pick < ribs.length) {
        const [id, rib] = ribs[pick]!
        for (const output of rib.work()) this.#send(id, output)
      } else if (pick < ribs.length + wires.length) {
        const { to, sender, queue } = wires[pick - ribs.length]!
        this.#ribs.get(to)!.learn(sender, queue.shift()!, this.#numbered.decode)
      } else beginnings.splice(pick - ribs.length - wires.length, 1)[0]!()
    }
    return false
  }

  #send(from: number, output: RibOutput): void {
    if (output.kind !== 'update') return
    const { attributes, prefixes, to } = output
    const update: Update = {
      withdrawn: attributes === undefined ? [prefixes] : [],
      announced: attributes === undefined ? [] : [prefixes],
      attributes: attributes && this.#numbered.bytesOf(attributes),
      endOfRib: undefined,
    }
    for (const address of to) {
      // The session is the one of this pair of routers with that alias.
      const alias = address.split(/[.:]/).at(-1)
      const family = address.includes(':') ? 'ipv6' : 'ipv4'
      const sender = addressOf(
        from,
        Number.parseInt(alias ?? '', family === 'ipv6' ? 16 : 10),
        family,
      )
      this.#wires.get(`${ownerOf(address)} ${sender}`)?.queue.push(update)
    }
  }
}

/** What a RIB of ours holds of a prefix; what it did not take in is left out. */
export function seenPaths(rib: Rib, prefix: Prefix): readonly SeenPath[] {
  const paths = why(rib, prefix).flatMap(({ peer, attributes, standing }): SeenPath[] => {
    if (standing.kind === 'rejected') return []
    const text = peer === 'own' ? '' : attributeText(attributes)
    const isUnreachable = standing.kind === 'lost' && standing.step === 'next-hop'
    const suffix = isUnreachable ? ' unreachable' : ''
    return [{ from: peer, isBest: standing.kind === 'best', text: `${text}${suffix}` }]
  })
  return byName(paths)
}
