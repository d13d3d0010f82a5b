/**
 * One cluster in one mode: engine, store, nodes and switches, and what is still
 * under way in it.
 *
 * @module
 */
import { allowNetwork, createNetwork, parseNetworkSpec } from '../ipam/networks.ts'
import type { AllowedPort } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import type { AgentReport, AgentTimes } from '../src/agent/agent.ts'
import { invariant } from '../src/errors.ts'
import { identity } from '../src/kernel/mod.ts'
import { type Ip, type IpFamily, prefixFamily } from '../src/net/mod.ts'
import { planRouting, type RoutingPlan } from './bgp/plan.ts'
import { type FabricMode, type FabricRoad, isAnnounced, isRouted, sharesOn } from './carriage.ts'
import { Engine, EVENT, TICKS_PER_MS } from './clock.ts'
import { Fabric } from './fabric.ts'
import type { DeviceModel } from './fabric-device.ts'
import { topologyOf } from './fabric-plan.ts'
import type { Topology } from './fabric-topology.ts'
import type { World } from './forward.ts'
import { Kubelets } from './kubelets.ts'
import { NeighborTable } from './neighbors.ts'
import { networkOf, networkSpecs, networksOf, roadOf, roadsOf } from './network.ts'
import { type NodeEvents, SimNode, type SimPod } from './node.ts'
import { PROGRAMMING_RATES, profileNamed } from './profiles.ts'
import type { RunMode, Scenario, ScenarioMode } from './scenario.ts'
import { type Commit, concernedBy, simStore } from './store.ts'
import { isStoreLoss, StoreLinks } from './store-links.ts'
import { storeWire } from './store-wire.ts'
import { initialObjects, nodeRecord, planRacks, type RackPlan, type Reach } from './underlay.ts'

/** Findings that are kept to be shown; the rest is counted. */
const NOTES_MAX = 5
const RETRY_MS = 100

/** First messages of a sort, and how many there were. */
export interface Notes {
  readonly first: string[]
  count: number
}

export class Cluster {
  readonly engine = new Engine()
  /** The store itself; nodes see it through `storeLinks`. */
  readonly store: Store
  readonly storeLinks: StoreLinks
  readonly fabric: Fabric
  readonly nodes: readonly SimNode[]
  readonly mode: RunMode
  /** Names of the networks. */
  readonly networks: readonly string[]
  readonly kubelets: Kubelets
  podsAdded = 0
  podsRemoved = 0
  readonly refusals: Notes = { first: [], count: 0 }
  /** What kernels refused, planners could not plan and agents could not do. */
  readonly faults: Notes = { first: [], count: 0 }
  /** Called after each ADD that succeeded. */
  onPodAdded: () => void = () => {}
  /** Called when an agent has finished a round and shows everything it was told of. */
  onSettled: () => void = () => {}

  /** Neighbours that kernels learned, by node; undefined: nobody talks. */
  readonly neighbors: readonly NeighborTable[] | undefined

  /** Nodes without power, agent or way to the store: nobody waits for them, and they cannot know better. */
  readonly broken = new Set<SimNode>()
  /** Grows with every change of a node's kernel. */
  kernelChanges = 0

  private readonly allow: Scenario['allow']
  private readonly unsettled = new Set<SimNode>()

  constructor(scenario: Scenario, mode: RunMode) {
    this.mode = mode
    this.networks = networksOf(scenario)
    this.allow = scenario.allow
    const reach = reachOfAll(roadsOf(mode))
    const { engine } = this
    const { times } = scenario
    const racks = planRacks(scenario.nodes, scenario.racks, familiesOf(scenario))
    const roads = fabricRoads(scenario, mode)
    const topology = topologyOf(scenario)
    this.fabric = new Fabric(engine, {
      roads,
      racks,
      topology,
      routing: routingOf(scenario, mode, roads, racks, topology),
      seed: scenario.seed,
      model: modelOf(scenario),
      modelOf: (profile) => {
        const { overflow, routesPerSecond } = scenario.switch
        return modelOf({ switch: { profile, overflow, routesPerSecond } })
      },
      convergeTicks: times.convergeMs * TICKS_PER_MS,
      announceTicks: times.announceMs * TICKS_PER_MS,
      timers: times.protocol,
      stretchVlan: scenario.fabric.stretchVlan,
    })
    const watchTicks = Math.max(1, times.storeMs * TICKS_PER_MS)
    const byName = new Map<string, SimNode>()
    this.store = simStore(engine, { commitTicks: watchTicks, watchTicks }, (commit) =>
      this.tell(commit, byName),
    )
    this.storeLinks = new StoreLinks(engine, {
      store: this.store,
      names: racks.flatMap(({ nodes }) => nodes.map((place) => nodeRecord(place, reach).name)),
      timeoutTicks: scenario.store.timeoutMs * TICKS_PER_MS,
      wire: storeWire(engine, scenario, this.fabric),
      tell: (index, depart) => {
        const node = this.node(index)
        node.touch(watchTicks, depart)
        this.unsettled.add(node)
      },
    })
    this.nodes = racks.flatMap((rack) =>
      rack.nodes.map((place) => {
        const announce = this.fabric.listener(place.index)
        const node = new SimNode(engine, this.storeLinks.view(place.index), this.events(), {
          index: place.index,
          rack: place.rack,
          record: nodeRecord(place, reach, saysRack(mode)),
          initial: initialObjects(place, reach),
          networks: this.networks,
          times: agentTimesOf(scenario),
          listener: (before, after, key) => {
            engine.foldText(key)
            this.kernelChanges++
            announce(before, after, key)
          },
        })
        byName.set(node.record.name, node)
        this.unsettled.add(node)
        return node
      }),
    )
    this.kubelets = this.newKubelets(times.retryMs)
    const { gcThresh3 } = scenario.kernel
    this.neighbors =
      scenario.talk === 'none' ? undefined : this.nodes.map(() => new NeighborTable(gcThresh3))
    this.createNetworks(scenario)
  }

  private newKubelets(retryMs: number): Kubelets {
    const { engine } = this
    const retryTicks = retryMs * TICKS_PER_MS
    const kubelets = new Kubelets({ engine, place: (index) => this.node(index), retryTicks })
    engine.on(EVENT.podAdd, (index, pod) => kubelets.add(pod, index))
    engine.on(EVENT.podRemove, (_index, pod) => kubelets.remove(pod))
    engine.on(EVENT.start, (index) => {
      this.node(index).start()
      this.fabric.agent(index, true)
    })
    return kubelets
  }

  /** ADDs and DELs under way. */
  get podsUnderWay(): number {
    return this.kubelets.underWay
  }

  set podsUnderWay(count: number) {
    this.kubelets.underWay = count
  }

  /** Whether every kernel shows the store and every switch has heard. */
  get isQuiet(): boolean {
    return this.podsUnderWay === 0 && this.isConverged
  }

  /** The same, whatever pods wait for. */
  get isConverged(): boolean {
    for (const node of this.unsettled) if (!this.broken.has(node)) return false
    return this.fabric.pending === 0 && this.fabric.paths.pending === 0 && this.fabric.queued === 0
  }

  node(index: number): SimNode {
    const node = this.nodes[index]
    invariant(node !== undefined, `node ${index} exists`)
    return node
  }

  /** What a packet can meet now. */
  world(): World {
    const podsByIp = new Map<Ip, SimPod>()
    const nodesByIp = new Map<Ip, SimNode>()
    for (const node of this.nodes) {
      for (const ip of node.record.underlayIps) nodesByIp.set(ip, node)
      for (const pod of node.pods.values()) {
        for (const ip of pod.attachment.ips) podsByIp.set(ip, pod)
      }
    }
    const { nodes, fabric, neighbors } = this
    return { nodes, fabric, podsByIp, nodesByIp, ...(neighbors && { neighbors }) }
  }

  /** Whether pods of one network may reach another's by any port. VLANs meet outside, or nowhere. */
  mayReach(from: string, to: string): boolean {
    return this.opening(from, to)?.length === 0
  }

  /** Ports for which one network's pods may reach another's; none: all; undefined: they may not. */
  opening(from: string, to: string): readonly AllowedPort[] | undefined {
    if (from === to) return []
    if ([from, to].some((name) => roadOf(this.mode, name).mode === 'vlan')) return undefined
    return this.allow.find((opening) => opening.from === from && opening.to === to)?.ports
  }

  /** Power is gone: pods, agent and kernel with it. The store and the switches learn it later, or never. */
  powerOff(index: number): void {
    const node = this.node(index)
    this.fabric.silence(index)
    node.powerOff()
    this.kubelets.lost(index)
    this.check(node)
  }

  /** Power is back; the agent is started by itself. */
  powerOn(index: number): void {
    this.fabric.speak(index)
    this.node(index).powerOn()
    this.kubelets.returned(index)
  }

  startAgent(index: number): void {
    const node = this.node(index)
    node.start()
    this.fabric.agent(index, true)
    this.check(node)
  }

  /** The process ends; the kernel, and the plugin, go on. */
  stopAgent(index: number): void {
    const node = this.node(index)
    node.stop()
    this.fabric.agent(index, false)
    this.check(node)
  }

  setStoreWay(index: number, reachable: boolean): void {
    this.storeLinks.setReachable(index, reachable)
    this.check(this.node(index))
  }

  private check(node: SimNode): void {
    if (node.isRunning && this.storeLinks.isReachable(node.index)) this.broken.delete(node)
    else this.broken.add(node)
    if (!node.isSettled) this.unsettled.add(node)
  }

  /** Pods that have their links. */
  get podCount(): number {
    return this.nodes.reduce((sum, { pods }) => sum + pods.size, 0)
  }

  pods(): readonly SimPod[] {
    return this.nodes.flatMap((node) => [...node.pods.values()])
  }

  private createNetworks(scenario: Scenario): void {
    const drafts = networkSpecs(scenario, this.mode).map((spec) => parseNetworkSpec(spec, 0))
    this.store.transact(
      (tx) => {
        for (const draft of drafts) createNetwork(tx, draft)
        for (const { from, to, ports } of scenario.allow) allowNetwork(tx, from, to, ports, 0)
      },
      (outcome) => invariant(outcome.kind === 'committed', 'the networks can be created'),
    )
  }

  private tell({ written, bytes }: Commit, byName: ReadonlyMap<string, SimNode>): void {
    this.storeLinks.committed(bytes)
    const concerned = new Map<SimNode, number>()
    const add = (node: SimNode, size: number): unknown =>
      concerned.set(node, (concerned.get(node) ?? 0) + size)
    for (const [key, size] of written) {
      const whom = concernedBy(key)
      if (whom?.kind === 'all') for (const node of this.nodes) add(node, size)
      else if (whom !== undefined) {
        const node = byName.get(whom.name)
        if (node !== undefined) add(node, size)
      }
    }
    for (const [{ index }, size] of concerned) this.storeLinks.note(index, size)
  }

  private events(): NodeEvents {
    return {
      podAdded: (id, pod, refusal) => {
        const final = this.kubelets.added(id, pod, refusal)
        if (final !== undefined) note(this.refusals, final)
        if (pod === undefined) return
        this.podsAdded++
        this.onPodAdded()
      },
      podRemoved: (id, refusal) => {
        if (refusal === undefined) this.podsRemoved++
        this.kubelets.removed(id, refusal)
      },
      podRecorded: (id, { ips }) => this.kubelets.recorded(id, ips),
      settled: (node) => {
        if (!node.isSettled) return
        this.unsettled.delete(node)
        this.onSettled()
      },
      report: (node, report) => this.onReport(node, report),
      refused: (node, message) => note(this.faults, `${node.record.name}: ${message}`),
    }
  }

  private onReport(node: SimNode, report: AgentReport): void {
    const say = (message: string): void => note(this.faults, `${node.record.name}: ${message}`)
    if (report.event === 'applied') {
      for (const { op, reason } of report.failures) say(`${op}: ${reason}`)
    } else if (report.event === 'conflict') {
      say(`a foreign object is in the way of ${identity(report.conflict.desired)}`)
    } else if (report.event === 'problem') say(report.problem)
    else if (!isStoreLoss(report.reason)) say(`${report.step}: ${report.reason}`)
  }
}

function note(notes: Notes, message: string): void {
  notes.count++
  if (notes.first.length < NOTES_MAX) notes.first.push(message)
}

const agentTimesOf = ({ times: { repairMs, settleMs } }: Scenario): AgentTimes => ({
  repairMs,
  settleMs,
  retryMs: Math.min(RETRY_MS, repairMs),
})

/** Nodes always have IPv4, and IPv6 where pods do. */
export function familiesOf({ pools }: Pick<Scenario, 'pools'>): readonly IpFamily[] {
  return pools.some(({ cidr }) => prefixFamily(cidr) === 6) ? [4, 6] : [4]
}

/** Whether agents are told where their node stands. */
const saysRack = (mode: RunMode): boolean =>
  roadsOf(mode).some(({ announce, placement }) => announce === 'static' || placement === 'rack')

/** Tunnels leave the rack by its router; elsewhere every node is a neighbour. */
export const reachOf = ({ mode }: Pick<ScenarioMode, 'mode'>): Reach =>
  mode === 'vxlan' ? 'rack' : 'underlay'

/** A node that announces pods takes every other for a neighbour, whatever else it does. */
const reachOfAll = (roads: readonly ScenarioMode[]): Reach =>
  roads.every((road) => reachOf(road) === 'rack') ? 'rack' : 'underlay'

/** What the fabric carries of each network. */
const fabricRoads = ({ pools }: Pick<Scenario, 'pools'>, mode: RunMode): readonly FabricRoad[] =>
  networksOf({ pools }).map((name) => ({
    mode: fabricMode(roadOf(mode, name)),
    pools: pools.filter((pool) => networkOf(pool) === name).map(({ cidr }) => cidr),
  }))

/** Who speaks BGP with whom; nobody where timers do, or where switches do not route. */
function routingOf(
  scenario: Scenario,
  mode: RunMode,
  roads: readonly FabricRoad[],
  racks: readonly RackPlan[],
  topology: Topology,
): RoutingPlan | undefined {
  const { routing: words } = scenario
  if (words.protocol !== 'bgp' || !isRouted(roads)) return undefined
  const announced = roads.filter((road) => isAnnounced([road]))
  // Inside of one AS only nodes have something to tell.
  if (announced.length === 0 && words.sessions !== 'fabric') return undefined
  return planRouting({
    words,
    racks,
    topology,
    pools: announced.flatMap(({ pools }) => pools),
    summed: announced.flatMap(({ mode, pools }) => (mode === 'route-racks' ? pools : [])),
    shares: roads.flatMap((road) => sharesOn(road, racks.length)),
    networks: networkSpecs(scenario, mode)
      .filter((spec) => spec.mode === 'route')
      .map((spec) => parseNetworkSpec(spec, 0))
      // What a tunnel would be called is nothing to a speaker.
      .map((draft) => ({ ...draft, options: { vni: 0, ...draft.options } })),
    hasHosts: announced.some((road) => road.mode === 'route-hosts'),
  })
}

/** What the fabric carries in a mode. */
export function fabricMode({
  mode,
  announce,
}: Pick<ScenarioMode, 'mode' | 'announce'>): FabricMode {
  if (mode !== 'route') return mode
  return ROUTE_MODE[announce]
}

const ROUTE_MODE = {
  host: 'route-hosts',
  block: 'route-blocks',
  rack: 'route-racks',
  static: 'route-static',
} as const

/** What every switch of the scenario is. */
export function modelOf({ switch: choice }: Pick<Scenario, 'switch'>): DeviceModel {
  const { overflow, routesPerSecond: rate } = choice
  const known = PROGRAMMING_RATES.find(({ name }) => name === rate)?.routesPerSecond
  const routesPerSecond = typeof rate === 'number' ? rate : known
  if (!('profile' in choice)) return { capacities: choice, overflow, routesPerSecond }
  const profile = profileNamed(choice.profile)
  invariant(profile !== undefined, `profile ${choice.profile} exists`)
  return { capacities: profile.capacities, overflow, routesPerSecond }
}
