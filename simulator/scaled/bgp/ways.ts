/**
 * What lies between two speakers: links and switches that are up, and those that the
 * interior protocol believes to be. Switches of racks come first, then spines, each
 * joined to every rack's; links are counted by rack, then by spine.
 *
 * @module
 */
import type { BgpPlan } from './plan.ts'

/** As the time to live of a packet. */
const HOPS_MAX = 64
const UNREACHED = -1
/** There is no way. */
export const NO_WAY = -1
const UNKNOWN = -2

export interface WayChange {
  readonly kind: 'device' | 'link'
  readonly index: number
  readonly up: boolean
}

interface State {
  readonly devices: Uint8Array
  readonly links: Uint8Array
}

export class Ways {
  private readonly plan: BgpPlan
  private readonly racks: number
  private readonly spines: number
  private readonly actual: State
  private readonly known: State
  /** Links to go to a rack's switch, by rack; as the interior protocol knows it. */
  private distances: (Int32Array | undefined)[] = []
  /** Ticks by pair of devices, `NO_WAY`, or `UNKNOWN`. */
  private readonly found: Int32Array
  private readonly devices: Int32Array
  private readonly nodes: number

  constructor(plan: BgpPlan) {
    const { racks, spines } = plan.shape
    this.plan = plan
    this.racks = racks
    this.spines = spines
    this.nodes = plan.shape.nodes
    const devices = racks + spines
    this.found = new Int32Array(2 * devices * devices).fill(UNKNOWN)
    this.devices = Int32Array.from({ length: plan.speakers }, (_, index) => plan.deviceOf(index))
    const state = (): State => ({
      devices: new Uint8Array(racks + spines).fill(1),
      links: new Uint8Array(racks * spines).fill(1),
    })
    this.actual = state()
    this.known = state()
  }

  /** Something is up or down, or (`known`) everybody knows of it. */
  change(change: WayChange, phase: 'happened' | 'known'): void {
    const state = phase === 'happened' ? this.actual : this.known
    const list = change.kind === 'device' ? state.devices : state.links
    list[change.index] = change.up ? 1 : 0
    this.found.fill(UNKNOWN)
    if (phase === 'known') this.distances = []
  }

  /** Ticks one way between two speakers, or `NO_WAY`. */
  between(one: number, other: number): number {
    const { devices, nodes, found } = this
    const from = devices[one]!
    const to = devices[other]!
    const hosts = (one < nodes ? 1 : 0) + (other < nodes ? 1 : 0)
    const key = (from * (this.racks + this.spines) + to) * 2 + (hosts === 2 ? 1 : 0)
    const known = found[key]!
    if (known !== UNKNOWN) return known
    const ticks = this.walk(from, to, hosts)
    found[key] = ticks
    return ticks
  }

  private walk(one: number, other: number, hosts: number): number {
    const { actual, racks } = this
    if (!actual.devices[one] || !actual.devices[other]) return NO_WAY
    // Paths are known by rack: the one that is no top-of-rack switch is where they begin.
    const [start, goal] = other < racks ? [one, other] : [other, one]
    const { linkTicks } = this.plan.shape
    let ticks = hosts === 2 ? 2 * linkTicks : linkTicks
    let device = start
    for (let hop = 0; hop < HOPS_MAX; hop++) {
      if (device === goal) return ticks
      const next = this.step(device, goal)
      if (next === NO_WAY || !actual.devices[next]) return NO_WAY
      ticks += linkTicks
      device = next
    }
    return NO_WAY
  }

  /** The first of the next hops, if its link is up. */
  private step(device: number, goal: number): number {
    const distances = this.distancesTo(goal)
    const own = distances[device]!
    if (own === UNREACHED) return NO_WAY
    for (const next of this.neighbors(device)) {
      if (distances[next] !== own - 1 || !this.isKnown(device, next)) continue
      return this.actual.links[this.linkOf(device, next)] ? next : NO_WAY
    }
    return NO_WAY
  }

  private neighbors(device: number): readonly number[] {
    const { racks, spines } = this
    return device < racks
      ? Array.from({ length: spines }, (_, spine) => racks + spine)
      : Array.from({ length: racks }, (_, rack) => rack)
  }

  private linkOf(one: number, other: number): number {
    const [rack, spine] = one < this.racks ? [one, other] : [other, one]
    return rack * this.spines + spine - this.racks
  }

  private isKnown(one: number, other: number): boolean {
    const { devices, links } = this.known
    return Boolean(devices[one] && devices[other] && links[this.linkOf(one, other)])
  }

  private distancesTo(rack: number): Int32Array {
    const known = this.distances[rack]
    if (known !== undefined) return known
    const distances = new Int32Array(this.racks + this.spines).fill(UNREACHED)
    distances[rack] = 0
    const queue = [rack]
    for (let at = 0; at < queue.length; at++) {
      const here = queue[at]!
      for (const next of this.neighbors(here)) {
        if (distances[next] !== UNREACHED || !this.isKnown(here, next)) continue
        distances[next] = distances[here]! + 1
        queue.push(next)
      }
    }
    this.distances[rack] = distances
    return distances
  }
}
