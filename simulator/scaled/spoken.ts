/**
 * Announcements by speakers: what is announced goes by BGP, pods are counted by timers
 * as ever.
 *
 * @module
 */
import { invariant } from '../../src/errors.ts'
import type { Plan } from './accept.ts'
import { type Announcements, podOf, type Spoken, type TimedAnnouncements } from './announcements.ts'
import { ScaledBgp } from './bgp/announcements.ts'
import type { BgpShape } from './bgp/plan.ts'
import type { BgpClock } from './bgp/types.ts'
import { ints } from './growing.ts'
import type { ScaledSwitches } from './switches.ts'

const HOST_BITS = 32

export interface SpokenPorts {
  readonly clock: BgpClock
  /** Switches heard of something, now. */
  heard(): void
  readonly switches: Pick<ScaledSwitches, 'learn' | 'hasLearned'>
}

export class SpokenAnnouncements implements Announcements {
  readonly bgp: ScaledBgp
  readonly spoken: Spoken
  private readonly plan: Plan
  private readonly timed: TimedAnnouncements
  /** Entries by the numbers of their prefixes. */
  private readonly entries = ints()

  constructor(plan: Plan, shape: BgpShape, timed: TimedAnnouncements, ports: SpokenPorts) {
    this.plan = plan
    this.timed = timed
    const { clock, switches } = ports
    const told = (devices: Int32Array, prefix: number, isThere: boolean): void => {
      ports.heard()
      if (isThere) switches.learn(devices, prefix, clock.tick)
      // Where nothing breaks nobody loses a way that it had.
      else invariant(!switches.hasLearned(devices, prefix), 'switches keep the ways they have')
    }
    this.bgp = new ScaledBgp({
      ...{ shape, clock },
      onRoute: (device, prefix, isThere) => told(Int32Array.of(device), prefix, isThere),
      onRoutes: told,
      onReset: () => {},
    })
    this.spoken = {
      start: () => this.bgp.start(),
      agent: (node) => this.bgp.agent(node, true),
      serve: (kind, a, b) => {
        if (!this.bgp.isCurrent(kind, a, b)) return false
        this.bgp.serve(kind, a, b)
        return true
      },
      figure: () => {
        const { prefixesTold, bytes } = this.bgp
        return { ...this.bgp.figure(), prefixesTold, bytes }
      },
    }
  }

  get pending(): number {
    return this.timed.pending + this.bgp.pending
  }

  get bytes(): number {
    return this.timed.bytes + this.bgp.bytes + this.entries.bytes
  }

  came(node: number, entry: number): void {
    const { bgp, plan } = this
    const isPod = podOf(entry) >= 0
    if (isPod) this.timed.came(node, entry)
    if (isPod && plan.announces !== 'hosts') return
    this.entries.push(entry)
    bgp.send(node, bgp.prefixes.add(node, isPod ? HOST_BITS : plan.blockLength), true)
  }

  serve(node: number): void {
    this.timed.serve(node)
  }

  entryOf(prefix: number): number {
    return this.entries.values[prefix]!
  }

  sinceOf(prefix: number): number {
    return this.bgp.prefixes.sinceTicks[prefix]!
  }
}
