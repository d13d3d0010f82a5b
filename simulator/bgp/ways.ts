/**
 * What lies between the two ends of each session now.
 *
 * @module
 */
import type { FabricPaths } from '../fabric-paths.ts'
import { lossTogether, narrower } from '../link-quality.ts'
import type { RoutingPlan, SessionPlan } from './plan.ts'
import type { WayState } from './transport.ts'

/** As the time to live of a packet. */
const HOPS_MAX = 64
const DOWN: WayState = { isUp: false, latencyTicks: 0, lossPpm: 0, mbps: undefined }

export class SessionWays {
  private readonly plan: RoutingPlan
  private readonly paths: FabricPaths
  /** From a node to its switch: as the fabric's first link is. */
  private readonly port: WayState
  private readonly known: (WayState | undefined)[] = []
  private version = -1

  constructor(plan: RoutingPlan, paths: FabricPaths) {
    this.plan = plan
    this.paths = paths
    const latencyTicks = paths.topology.links[0]?.latencyTicks ?? 1
    this.port = { isUp: true, latencyTicks, lossPpm: 0, mbps: undefined }
  }

  /** Power of the two machines is not in it. */
  of(session: number): WayState {
    const { changed } = this.paths
    if (this.version !== changed) {
      this.version = changed
      this.known.length = 0
    }
    const known = this.known[session]
    if (known !== undefined) return known
    const plan = this.plan.sessions[session]
    const found = plan === undefined ? DOWN : this.find(plan)
    while (this.known.length <= session) this.known.push(undefined)
    this.known[session] = found
    return found
  }

  private find({ ends, way }: SessionPlan): WayState {
    const { paths, plan } = this
    const [one = -1, other = -1] = ends.map((end) => plan.speakers[end]?.device)
    if (!paths.isUp(one) || !paths.isUp(other)) return DOWN
    switch (way.kind) {
      case 'port':
        return this.port
      case 'link': {
        const link = paths.topology.links[way.link]
        return link === undefined || !paths.state.links[way.link] ? DOWN : { isUp: true, ...link }
      }
      case 'path':
        return this.walk(ends, one, other)
    }
  }

  /** There and, where the interior protocol knows no other, back. */
  private walk(ends: readonly number[], from: number, to: number): WayState {
    const { topology } = this.paths
    // Paths are known by rack: the one that is no top-of-rack switch is where they begin.
    const isTo = topology.devices[to]?.rack !== -1
    const [start, goal] = isTo ? [from, to] : [to, from]
    const rack = topology.devices[goal]?.rack ?? -1
    let { latencyTicks, lossPpm, mbps } = this.port
    if (ends.every((end) => end < this.plan.nodes)) latencyTicks += this.port.latencyTicks
    let device = start
    for (let hop = 0; hop < HOPS_MAX; hop++) {
      if (device === goal) return { isUp: true, latencyTicks, lossPpm, mbps }
      const step = this.paths.step(device, rack, 0)
      if (step.kind === 'stuck' || !this.paths.isUp(step.device)) return DOWN
      latencyTicks += step.link.latencyTicks
      lossPpm = lossTogether(lossPpm, step.link.lossPpm)
      mbps = narrower(mbps, step.link.mbps)
      device = step.device
    }
    return DOWN
  }
}
