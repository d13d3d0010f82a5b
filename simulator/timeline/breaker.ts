/**
 * Breaks things and mends them.
 *
 * | fault     | what is down                                                              |
 * |-----------|---------------------------------------------------------------------------|
 * | node      | its power: kernel, pods and agent; its records stay                       |
 * | agent     | the process; pods come and go by the plugin alone, announcements stay      |
 * | store     | every node's way to the store                                             |
 * | partition | the links between the two sides, and the racks' ways to the store         |
 * | device    | the switch; of a top-of-rack switch also its nodes' ways to the store     |
 * | link      | the link                                                                  |
 *
 * A rack whose switch has no living neighbour has no way to the store either.
 *
 * @module
 */
import type { FabricChange } from '../fabric-paths.ts'
import { linkName } from '../fabric-topology.ts'
import type { Cluster } from '../world.ts'
import type { FaultTarget } from './action.ts'
import { Causes } from './causes.ts'
import { linksBetween, racksAlone } from './sides.ts'

export class Breaker {
  private readonly cluster: Cluster
  private readonly causes = new Causes()
  private alone = new Set<number>()

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** A fault begins, or is mended. */
  change(target: FaultTarget, up: boolean): void {
    switch (target.kind) {
      case 'node':
        this.power(target.node, up)
        break
      case 'agent':
        this.agent(target.node, up)
        break
      case 'store':
        this.ways(this.cluster.nodes.keys(), up)
        break
      case 'partition':
        this.partition(target.racks, up)
        break
      case 'link':
      case 'device':
        this.paths([target], up)
        break
    }
  }

  /** E.g. `spine-0 down`, `node-0003 up`, `store away`. */
  wordsOf(target: FaultTarget, up: boolean): string {
    const { nodes, fabric } = this.cluster
    const { topology } = fabric.paths
    const state = up ? 'up' : 'down'
    switch (target.kind) {
      case 'store':
        return `store ${up ? 'back' : 'away'}`
      case 'partition': {
        const racks = `rack${target.racks.length === 1 ? '' : 's'} ${target.racks.join(', ')}`
        return `${racks} ${up ? 'joined again' : 'cut off'}`
      }
      case 'node':
        return `${nodes[target.node]?.record.name} ${state}`
      case 'agent':
        return `agent of ${nodes[target.node]?.record.name} ${state}`
      case 'device':
        return `${topology.devices[target.device]?.name} ${state}`
      case 'link': {
        const link = topology.links[target.link]
        return `link ${link === undefined ? target.link : linkName(topology, link)} ${state}`
      }
    }
  }

  /** Nodes that a fault is about; none for links and switches between racks. */
  victimsOf(target: FaultTarget): readonly number[] {
    switch (target.kind) {
      case 'node':
      case 'agent':
        return [target.node]
      case 'partition':
        return this.nodesOf(new Set(target.racks))
      case 'device': {
        const { devices } = this.cluster.fabric.paths.topology
        const rack = devices[target.device]?.rack ?? -1
        return rack === -1 ? [] : this.nodesOf(new Set([rack]))
      }
      default:
        return []
    }
  }

  private partition(racks: readonly number[], up: boolean): void {
    const links = linksBetween(this.cluster.fabric.paths.topology, racks)
    this.paths(
      links.map((link) => ({ kind: 'link', link })),
      up,
    )
    this.ways(this.nodesOf(new Set(racks)), up)
  }

  private power(node: number, up: boolean): void {
    if (!this.causes.change(`power ${node}`, !up)) return
    // With power the agent comes back, unless something else stopped it.
    if (up) {
      this.cluster.powerOn(node)
      if (!this.causes.isDown(`agent ${node}`)) this.cluster.startAgent(node)
    } else this.cluster.powerOff(node)
  }

  private agent(node: number, up: boolean): void {
    if (!this.causes.change(`agent ${node}`, !up)) return
    if (this.causes.isDown(`power ${node}`)) return
    if (up) this.cluster.startAgent(node)
    else this.cluster.stopAgent(node)
  }

  private ways(nodes: Iterable<number>, up: boolean): void {
    for (const node of nodes) {
      if (this.causes.change(`store ${node}`, !up)) this.cluster.setStoreWay(node, up)
    }
  }

  private paths(targets: readonly FabricChange['target'][], up: boolean): void {
    const { paths } = this.cluster.fabric
    const changed = targets.filter((target) => {
      const thing = target.kind === 'link' ? `link ${target.link}` : `device ${target.device}`
      return this.causes.change(thing, !up)
    })
    if (changed.length === 0) return
    paths.change(changed.map((target) => ({ up, target })))
    const alone = new Set(racksAlone(paths.topology, paths.state))
    this.ways(this.nodesOf(new Set([...alone].filter((rack) => !this.alone.has(rack)))), false)
    this.ways(this.nodesOf(new Set([...this.alone].filter((rack) => !alone.has(rack)))), true)
    this.alone = alone
  }

  private nodesOf(racks: ReadonlySet<number>): readonly number[] {
    const { nodes } = this.cluster
    return nodes.filter(({ rack }) => racks.has(rack)).map(({ index }) => index)
  }
}
