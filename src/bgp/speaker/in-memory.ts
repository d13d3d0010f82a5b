/**
 * Speakers joined by connections in memory, under a clock that jumps: for tests, and
 * for whoever runs many speakers in one process.
 *
 * A connection is reliable and keeps its order, as TCP does; a cut link swallows what
 * is sent until it is mended or a hold timer ends it. Everything happens in the order
 * of its time, then of its scheduling, so a run is the same every time.
 *
 * @example
 * const net = new SpeakerNetwork()
 * const a = net.add('a', ['192.0.2.1'], config)
 * net.add('b', ['192.0.2.2'], other)
 * net.settle()
 * a.speaker.peers()
 *
 * @module
 */
import { assertNever, invariant } from '../../errors.ts'
import type { Instant } from '../../machine.ts'
import { type Ip, ipFamily } from '../../net/mod.ts'
import type { SpeakerConfig } from '../config.ts'
import type { ConnectionId, SessionInput } from '../session/types.ts'
import {
  createSpeaker,
  type Speaker,
  type SpeakerEffect,
  type SpeakerInput,
  type SpeakerOptions,
} from '../speaker.ts'

export interface NetworkOptions {
  /** From one end of a connection to the other. @default 1 */
  readonly latencyMs?: number
  /** Told of every effect, before it is carried out. */
  readonly onEffect?: (node: SpeakerNode, effect: SpeakerEffect, now: Instant) => void
  /** Told of every input, before it is taken. */
  readonly onInput?: (node: SpeakerNode, input: SpeakerInput, now: Instant) => void
}

export interface SpeakerNode {
  readonly name: string
  readonly addresses: readonly Ip[]
  /** The one that runs; another after `restart`. */
  readonly speaker: Speaker
}

interface Node extends SpeakerNode {
  speaker: Speaker
  isRunning: boolean
  /** Numbers of accepted connections. */
  accepted: number
  readonly ends: Map<string, End>
  /** When its next wake is scheduled. */
  armed: Instant | undefined
}

/** One end of a connection. */
interface End {
  readonly node: Node
  /** The other side's address: the peer's name. */
  readonly peer: Ip
  readonly local: Ip
  readonly id: ConnectionId
  other: End | undefined
  isOpen: boolean
}

interface Event {
  readonly at: Instant
  readonly sequence: number
  readonly run: () => void
  /** Happens anyway, and keeps nobody busy. */
  readonly isTimer: boolean
}

export class SpeakerNetwork {
  readonly #options: NetworkOptions
  readonly #nodes = new Map<string, Node>()
  readonly #byAddress = new Map<Ip, Node>()
  readonly #cuts = new Set<string>()
  readonly #events = new EventList()
  /** Something was said that is no keepalive. */
  #isNews = false
  /** Events that are no timers. */
  #busy = 0
  #sequence = 0
  now = 0 as Instant

  constructor(options: NetworkOptions = {}) {
    this.#options = options
  }

  /** A speaker at these addresses, one of each family at most; made of options, or made already. */
  add(
    name: string,
    addresses: readonly string[],
    config: SpeakerConfig,
    options?: SpeakerOptions | Speaker,
  ): SpeakerNode {
    invariant(!this.#nodes.has(name), `a second node ${name}`)
    const node: Node = {
      name,
      addresses: addresses as readonly Ip[],
      speaker: options !== undefined && 'handle' in options ? options : createSpeaker(options),
      isRunning: true,
      accepted: 0,
      ends: new Map(),
      armed: undefined,
    }
    this.#nodes.set(name, node)
    for (const address of node.addresses) this.#byAddress.set(address, node)
    this.feed(name, { kind: 'configure', config })
    return node
  }

  node(name: string): SpeakerNode {
    return this.#of(name)
  }

  feed(name: string, input: SpeakerInput): void {
    const node = this.#of(name)
    if (!node.isRunning) return
    this.#options.onInput?.(node, input, this.now)
    this.#perform(node, node.speaker.handle(input, this.now))
  }

  /** Ends a speaker: its connections close without a word, as those of a killed process do. */
  kill(name: string): void {
    const node = this.#of(name)
    node.isRunning = false
    for (const end of [...node.ends.values()]) this.#close(end)
  }

  /** A new process in place of the old one. */
  restart(name: string, config: SpeakerConfig, options?: SpeakerOptions): Speaker {
    this.kill(name)
    const node = this.#of(name)
    node.isRunning = true
    node.speaker = createSpeaker(options)
    this.feed(name, { kind: 'configure', config })
    return node.speaker
  }

  /** Nothing passes between two nodes any more, and nobody is told. */
  cut(left: string, right: string): void {
    this.#cuts.add(pairOf(left, right))
  }

  mend(left: string, right: string): void {
    this.#cuts.delete(pairOf(left, right))
  }

  /** The transport of a session takes no more, or everything again (RFC 9687). */
  block(name: string, peer: Ip, isBlocked: boolean): void {
    const node = this.#of(name)
    for (const end of node.ends.values()) {
      if (end.peer !== peer) continue
      this.#toSession(end, { kind: 'flow', connection: end.id, isBlocked })
    }
  }

  /** Runs what happens within so many ms. */
  runFor(ms: number): void {
    const until = (this.now + ms) as Instant
    while ((this.#events.next?.at ?? Number.POSITIVE_INFINITY) <= until) this.#step()
    this.now = until
  }

  /**
   * Runs until nothing is under way for `quietMs` but timers; those that are due before run.
   *
   * @throws {TriviumError} INTERNAL: it did not come to rest within `limitMs`.
   */
  settle(quietMs = 5000, limitMs = 3_600_000): void {
    const limit = this.now + limitMs
    let quietAt = this.now + quietMs
    for (;;) {
      const next = this.#events.next
      if (this.#busy === 0 && (next === undefined || next.at > quietAt)) return
      invariant(this.now <= limit, `speakers did not come to rest in ${limitMs} ms`)
      const isTimer = next?.isTimer ?? true
      this.#step()
      // Keepalives go on for ever and are no news.
      if (!isTimer && this.#isNews) quietAt = this.now + quietMs
      this.#isNews = false
    }
  }

  #step(): void {
    const event = this.#events.take()
    if (event === undefined) return
    if (!event.isTimer) this.#busy--
    this.now = event.at
    event.run()
  }

  #schedule(at: Instant, run: () => void, isTimer = false): void {
    if (!isTimer) this.#busy++
    this.#events.add({ at, sequence: this.#sequence++, run, isTimer })
  }

  #perform(node: Node, effects: readonly SpeakerEffect[]): void {
    for (const effect of effects) {
      this.#options.onEffect?.(node, effect, this.now)
      switch (effect.kind) {
        case 'connect':
          this.#connect(node, effect.peer, effect.connection)
          break
        case 'send':
          // A KEEPALIVE has 19 octets.
          if (effect.bytes.length > 19) this.#isNews = true
          this.#send(node.ends.get(keyOf(effect.peer, effect.connection)), effect.bytes)
          break
        case 'close':
          this.#close(node.ends.get(keyOf(effect.peer, effect.connection)))
          break
        case 'turn.give': {
          const { speaker } = node
          this.#schedule(this.now, () => {
            if (node.speaker === speaker) this.feed(node.name, { kind: 'turn.given' })
          })
          this.#isNews = true
          break
        }
        case 'report':
        case 'routes':
        case 'routes.complete':
          break
        default:
          assertNever(effect)
      }
    }
    this.#arm(node)
  }

  #arm(node: Node): void {
    const at = node.speaker.nextWake()
    if (at === undefined || !node.isRunning) return
    if (node.armed !== undefined && node.armed <= at) return
    node.armed = at
    const due = at < this.now ? this.now : at
    this.#schedule(
      due,
      () => {
        // One that was moved since has another event.
        if (node.armed !== at) return
        node.armed = undefined
        if (node.isRunning) this.#perform(node, node.speaker.wake(this.now))
      },
      true,
    )
  }

  #connect(node: Node, peer: Ip, id: ConnectionId): void {
    const { speaker } = node
    const local = localOf(node, peer)
    this.#schedule((this.now + this.#latencyMs) as Instant, () => {
      if (node.speaker !== speaker || !node.isRunning) return
      const there = this.#byAddress.get(peer)
      const isThere = there?.isRunning === true && !this.#isCut(node, there)
      const reason =
        local === undefined || !isThere
          ? 'no route to host'
          : there.speaker.has(local)
            ? undefined
            : 'connection refused'
      if (reason !== undefined) {
        this.#session(node, peer, { kind: 'connect-failed', connection: id, reason })
      } else if (local !== undefined && there !== undefined)
        this.#join(node, there, local, peer, id)
    })
  }

  #join(node: Node, there: Node, local: Ip, peer: Ip, id: ConnectionId): void {
    there.accepted += 2
    const near: End = { node, peer, local, id, other: undefined, isOpen: true }
    const far: End = {
      ...{ node: there, peer: local, local: peer, id: there.accepted },
      ...{ other: near, isOpen: true },
    }
    near.other = far
    node.ends.set(keyOf(peer, id), near)
    there.ends.set(keyOf(local, far.id), far)
    this.#connected(far)
    this.#connected(near)
  }

  #connected(end: End): void {
    const other = end.node.addresses.find((ip) => ipFamily(ip) !== ipFamily(end.local))
    this.#toSession(end, {
      kind: 'connected',
      connection: end.id,
      local: end.local,
      ...(other !== undefined && { other }),
    })
  }

  #send(end: End | undefined, bytes: Uint8Array): void {
    if (end === undefined || !end.isOpen) return
    this.#schedule((this.now + this.#latencyMs) as Instant, () => {
      const { other } = end
      if (other === undefined || !other.isOpen || this.#isCut(end.node, other.node)) return
      // A copy: nobody may write to what others hear, too.
      this.#toSession(other, { kind: 'received', connection: other.id, bytes: bytes.slice() })
    })
  }

  /** The other side hears of it behind everything that was sent. */
  #close(end: End | undefined): void {
    if (end === undefined) return
    this.#drop(end)
    this.#schedule((this.now + this.#latencyMs) as Instant, () => {
      const { other } = end
      if (other === undefined || !other.isOpen || this.#isCut(end.node, other.node)) return
      this.#drop(other)
      this.#toSession(other, { kind: 'closed', connection: other.id })
    })
  }

  #drop(end: End): void {
    end.isOpen = false
    end.node.ends.delete(keyOf(end.peer, end.id))
  }

  #toSession(end: End, input: SessionInput): void {
    this.#session(end.node, end.peer, input)
  }

  #session(node: Node, peer: Ip, input: SessionInput): void {
    this.feed(node.name, { kind: 'session', peer, input })
  }

  #isCut(left: Node, right: Node): boolean {
    return this.#cuts.has(pairOf(left.name, right.name))
  }

  get #latencyMs(): number {
    return this.#options.latencyMs ?? 1
  }

  #of(name: string): Node {
    const node = this.#nodes.get(name)
    invariant(node !== undefined, `a node ${name}`)
    return node
  }
}

/** By time, then by sequence: a binary heap. */
class EventList {
  readonly #heap: Event[] = []

  get next(): Event | undefined {
    return this.#heap[0]
  }

  add(event: Event): void {
    const heap = this.#heap
    let place = heap.push(event) - 1
    while (place > 0) {
      const parent = (place - 1) >>> 1
      if (isBefore(heap[parent]!, event)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = event
  }

  take(): Event | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || last === first) return first
    let place = 0
    for (;;) {
      const left = 2 * place + 1
      const right = heap[left + 1]
      const child = right !== undefined && isBefore(right, heap[left]!) ? left + 1 : left
      if (child >= heap.length || isBefore(last, heap[child]!)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
    return first
  }
}

const isBefore = (left: Event, right: Event): boolean =>
  left.at < right.at || (left.at === right.at && left.sequence < right.sequence)

const keyOf = (peer: Ip, id: ConnectionId): string => `${peer} ${id}`

const pairOf = (left: string, right: string): string => [left, right].sort().join('|')

/** What the configuration says, else the node's address of the peer's family. */
function localOf({ addresses, speaker }: Node, peer: Ip): Ip | undefined {
  return speaker.peer(peer)?.localAddress ?? addresses.find((ip) => ipFamily(ip) === ipFamily(peer))
}
