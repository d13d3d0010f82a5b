/**
 * Who speaks BGP with whom, by arithmetic: nodes come first, by their numbers, then
 * switches. Inside of one AS only: clients with those that reflect (RFC 4456), or all.
 *
 * @module
 */
import { TriviumError } from '../../../src/errors.ts'
import { addressAt, type Ip, parsePrefix } from '../../../src/net/mod.ts'
import { coalescedFor, type DaemonProfile, daemonNamed, restartBetween } from '../../bgp/daemons.ts'
import type { RoutingWords } from '../../scenario-routing.ts'
import { Places } from '../places.ts'

export interface BgpShape {
  readonly nodes: number
  readonly racks: number
  readonly spines: number
  /** One way over one link. */
  readonly linkTicks: number
  readonly words: RoutingWords
  /** Whether single pods are announced. */
  readonly hasHosts: boolean
}

/** Of a session towards one peer. */
export interface PeerTimes {
  readonly holdSeconds: number
  readonly connectRetrySeconds: number
  readonly idleSeconds: number
  /** Seconds that peers are asked to keep routes; false: they are not asked. */
  readonly restartSeconds: number | false
}

/** AS of all speakers where everybody is inside of one: a private one. */
const ASN = 4_230_000_000
const SWITCHES = parsePrefix('100.127.0.0/16')
const REFLECTORS = 2

export class BgpPlan {
  readonly shape: BgpShape
  readonly places: Places
  readonly speakers: number
  /** Nodes that reflect; none in a mesh. */
  readonly reflectors: readonly number[]
  /** Two speakers each; the first one connects. */
  readonly ends: Int32Array
  readonly isMesh: boolean

  /** @throws {TriviumError} BAD_CONFIG: names the first word that is not known here. */
  constructor(shape: BgpShape) {
    const { nodes, racks, spines, words } = shape
    refuseUnknown(words)
    this.shape = shape
    this.places = new Places(nodes, racks)
    this.speakers = nodes + racks + spines
    this.isMesh = words.sessions === 'mesh'
    const count = words.reflectors ?? REFLECTORS
    this.reflectors = this.isMesh
      ? []
      : Array.from({ length: count }, (_, index) => Math.floor((index * nodes) / count))
    this.ends = this.isMesh ? this.mesh() : this.reflect()
  }

  get sessions(): number {
    return this.ends.length / 2
  }

  isNode(speaker: number): boolean {
    return speaker < this.shape.nodes
  }

  /** Its place among those that reflect, or -1. */
  slotOf(speaker: number): number {
    return this.reflectors.indexOf(speaker)
  }

  /** A switch itself; of a node its top-of-rack switch. */
  deviceOf(speaker: number): number {
    return this.isNode(speaker) ? this.places.rackOf(speaker) : speaker - this.shape.nodes
  }

  daemonOf(speaker: number): DaemonProfile {
    const { words } = this.shape
    return daemonNamed(this.isNode(speaker) ? words.daemon : words.switchDaemon)
  }

  /** Milliseconds that a new session of the speaker waits for what it is told first. */
  coalesceMsOf(speaker: number, peers: number): number {
    return coalescedFor(this.daemonOf(speaker), peers)
  }

  timesOf(speaker: number, other: number): PeerTimes {
    const { words } = this.shape
    const daemon = this.daemonOf(speaker)
    const { gracefulRestart } = words
    return {
      holdSeconds: words.holdSeconds ?? daemon.holdSeconds,
      connectRetrySeconds: words.connectRetrySeconds ?? daemon.connectRetrySeconds,
      idleSeconds: words.idleSeconds ?? daemon.idleSeconds,
      restartSeconds:
        gracefulRestart === undefined
          ? restartBetween(daemon, this.daemonOf(other))
          : gracefulRestart !== false && gracefulRestart.restartSeconds,
    }
  }

  addressOf(speaker: number): Ip {
    const { nodes } = this.shape
    if (speaker < nodes) return this.places.ip(speaker)
    return addressAt(SWITCHES, BigInt(speaker - nodes + 1))
  }

  /** What a session's chance at one end comes from. */
  seedOf(speaker: number, other: number): string {
    return `session/${ASN}/${this.addressOf(speaker)}/${ASN}/${this.addressOf(other)}`
  }

  /** Addresses of nodes ascend with their numbers, and those of switches behind them. */
  isBefore(speaker: number, other: number): boolean {
    return speaker < other
  }

  private reflect(): Int32Array {
    const { reflectors, speakers } = this
    const ends: number[] = []
    for (const [place, reflector] of reflectors.entries()) {
      for (const other of reflectors.slice(place + 1)) ends.push(reflector, other)
      for (let client = 0; client < speakers; client++) {
        if (!reflectors.includes(client)) ends.push(client, reflector)
      }
    }
    return Int32Array.from(ends)
  }

  private mesh(): Int32Array {
    const { speakers } = this
    const { nodes } = this.shape
    // Switches announce nothing, so they have nothing to tell each other.
    let count = 0
    for (let one = 0; one < nodes; one++) count += speakers - one - 1
    const ends = new Int32Array(2 * count)
    let at = 0
    for (let one = 0; one < nodes; one++) {
      for (let other = one + 1; other < speakers; other++) {
        ends[at++] = one
        ends[at++] = other
      }
    }
    return ends
  }
}

/** @throws {TriviumError} BAD_CONFIG: names the first word that is not known here. */
export function refuseUnknown(words: RoutingWords): void {
  if (words.sessions === 'fabric') throw refusal('sessions', 'fabric', 'reflectors or mesh')
  for (const word of ['daemon', 'switchDaemon'] as const) {
    // Small messages of others wait for each other (RFC 896).
    if (daemonNamed(words[word]).hasNagle)
      throw refusal(word, words[word], 'one that sets TCP_NODELAY')
  }
}

const refusal = (word: string, found: string, wanted: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot run routing.${word} in the scaled engine: found ${found}, wanted ${wanted}`,
    'The exact engine runs it, use: --engine exact',
  )
