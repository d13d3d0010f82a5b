/**
 * How what nodes' kernels hold comes to the switches: the seam between nodes and
 * fabric. Here is the one by timers alone; speakers are another (`spoken.ts`).
 *
 * What is announced is a number: a claim (its block), or a pod, as `podEntry` says.
 *
 * @module
 */
import type { Scenario } from '../scenario.ts'
import type { ScaledBgpFigure } from './bgp/announcements.ts'
import { ints, numbers } from './growing.ts'

const NONE = -1

/** A pod as an entry; blocks are their claims, from 0 on. */
export const podEntry = (pod: number): number => -1 - pod
/** The pod of an entry, or -1 for a block. */
export const podOf = (entry: number): number => (entry < 0 ? -1 - entry : NONE)

export interface Announcements {
  /** What is under way, or will be without anything else happening; 0: every switch knows everything. */
  readonly pending: number
  readonly bytes: number
  /** The kernel of a node came to hold a block or pod of its own, now. */
  came(node: number, entry: number): void
  /** An event that was posted is due. */
  serve(node: number): void
  /** Speakers; undefined: there are none. */
  readonly spoken?: Spoken
}

/** Announcements that go by speakers. */
export interface Spoken {
  /** The cluster begins, and its switches. */
  start(): void
  /** A node's agent starts. */
  agent(node: number): void
  /** An event of a speaker is due. @returns whether it is still what it was posted for. */
  serve(kind: number, a: number, b: number): boolean
  figure(): ScaledBgpFigure & { readonly prefixesTold: number; readonly bytes: number }
}

export interface AnnouncementPorts {
  now(): number
  /** Schedules an event that comes back as `serve`. */
  post(delayTicks: number, node: number): void
  /** Every switch hears an entry that a kernel has had since then. */
  tell(entry: number, sinceTick: number): void
  /** The batch of a node is over. */
  told(): void
}

const TICKS_PER_MS = 1000
/** FRR gathers updates for a second and 50 ms a peer, a node's only one is its switch; BIRD scans the kernel every 2 s. */
const FRR_TICKS = 1050 * TICKS_PER_MS
const SCAN_TICKS = 2000 * TICKS_PER_MS

export class TimedAnnouncements implements Announcements {
  pending = 0

  private readonly ports: AnnouncementPorts
  private readonly times: Pick<Scenario['times'], 'announceMs' | 'protocol'>
  /** By node: the first and the last change that waits. */
  private readonly first: Int32Array
  private readonly last: Int32Array
  private readonly entries = ints()
  private readonly since = numbers()
  private readonly next = ints()

  constructor({ nodes, times }: Scenario, ports: AnnouncementPorts) {
    this.ports = ports
    this.times = times
    this.first = new Int32Array(nodes).fill(NONE)
    this.last = new Int32Array(nodes).fill(NONE)
  }

  get bytes(): number {
    const { first, last, entries, since, next } = this
    return first.byteLength + last.byteLength + entries.bytes + since.bytes + next.bytes
  }

  came(node: number, entry: number): void {
    const at = this.entries.length
    this.entries.push(entry)
    this.since.push(this.ports.now())
    this.next.push(NONE)
    const last = this.last[node]!
    this.last[node] = at
    if (last !== NONE) {
      this.next.values[last] = at
      return
    }
    this.first[node] = at
    this.pending++
    this.ports.post(this.delay, node)
  }

  serve(node: number): void {
    this.pending--
    let at = this.first[node]!
    this.first[node] = NONE
    this.last[node] = NONE
    for (; at !== NONE; at = this.next.values[at]!) {
      this.ports.tell(this.entries.values[at]!, this.since.values[at]!)
    }
    this.ports.told()
  }

  private get delay(): number {
    const { announceMs, protocol } = this.times
    const ticks = announceMs * TICKS_PER_MS
    if (protocol === 'ideal') return ticks
    if (protocol !== 'calico') return FRR_TICKS + ticks
    return SCAN_TICKS - (this.ports.now() % SCAN_TICKS) + ticks
  }
}
