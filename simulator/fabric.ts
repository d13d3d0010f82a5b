/**
 * The switches: racks of nodes under top-of-rack switches, joined as the topology says.
 *
 * What is in their tables comes from the nodes' kernels, object by object, as a
 * routing daemon on the node would export it and as frames would teach it:
 *
 * | mode            | top-of-rack switch                               | every other            |
 * |-----------------|--------------------------------------------------|------------------------|
 * | vxlan           | own rack's nodes (MAC, host), other racks (LPM)  | every rack (LPM)       |
 * | route, blocks   | the same, and every block of the cluster (LPM)   | and every block (LPM)  |
 * | route, racks    | the same, own rack's blocks, other racks' summed | a summary a rack (LPM) |
 * | route, static   | the same, own rack's blocks, a part of each pool a rack, and blocks outside of them | parts, and blocks outside |
 * | route, hosts    | the same, and every pod of the cluster (host)    | and every pod (host)   |
 * | vlan            | every node and every pod of the domain (MAC)     | the same               |
 *
 * Where networks differ in their mode, each is carried by its own, and switches hold what
 * any of them needs.
 *
 * Announcements are idealized: `announceTicks` after the kernel changed, every
 * switch has heard of it. A table of next hops is kept where the vendor documents
 * one of its own; elsewhere they sit in the host table.
 *
 * @module
 */
import type { KernelObject } from '../src/kernel/mod.ts'
import {
  type Ip,
  type IpFamily,
  ipFamily,
  type Prefix,
  prefixFamily,
  prefixLength,
  prefixOf,
} from '../src/net/mod.ts'
import { TimedAnnouncements } from './announce-timed.ts'
import { AnnounceCounter } from './announce-traffic.ts'
import type { Change } from './announcements.ts'
import { type Announced, type Announcer, isFor, type ProtocolTimers } from './announcer.ts'
import { BgpAnnouncements } from './bgp/announce-bgp.ts'
import { SwitchFib } from './bgp/fib.ts'
import type { RoutingPlan } from './bgp/plan.ts'
import {
  announcerOf,
  entryOn,
  type FabricRoad,
  isAnnounced,
  isPodLink,
  isRouted,
  modesOf,
  sharesOn,
  underlayEntries,
} from './carriage.ts'
import { type Engine, EVENT } from './clock.ts'
import { type Announcement, type DeviceModel, prefixEntry, SwitchDevice } from './fabric-device.ts'
import { FabricPaths, type Step } from './fabric-paths.ts'
import { dataCentersOf, type Topology } from './fabric-topology.ts'
import type { KernelListener } from './kernel-tables.ts'
import type { Share } from './shares.ts'
import type { RackPlan } from './underlay.ts'

export interface FabricOptions {
  /** Of each network. */
  readonly roads: readonly FabricRoad[]
  readonly racks: readonly RackPlan[]
  readonly topology: Topology
  readonly model: DeviceModel
  /** Of a device that is not as all others. */
  readonly modelOf?: (profile: string) => DeviceModel
  readonly convergeTicks: number
  readonly announceTicks: number
  readonly timers: ProtocolTimers
  /** Whether a VLAN spans data centres. */
  readonly stretchVlan?: boolean
  /** Speakers in the place of timers, for everything that is routed. */
  readonly routing?: RoutingPlan | undefined
  readonly seed?: number
}

export class Fabric {
  readonly devices: readonly SwitchDevice[]
  readonly paths: FabricPaths
  readonly roads: readonly FabricRoad[]
  /** Pods that the switches have heard of. */
  pods = 0
  /** When switches heard of something last. */
  heardTick = 0

  /** Lengths of the prefixes that switches heard of, so that a look-up can try each. */
  readonly prefixLengths: Readonly<Record<IpFamily, Set<number>>> = { 4: new Set(), 6: new Set() }

  private readonly engine: Engine
  readonly announcer: Announcer
  /** Static summaries, if any. */
  readonly shares: readonly Share[]
  /** What it costs to announce. */
  readonly announced: AnnounceCounter
  private readonly timed: TimedAnnouncements
  /** Undefined: announcements go by timers alone. */
  readonly bgp: BgpAnnouncements | undefined
  private readonly fib: SwitchFib | undefined
  /** Whether switches know each other's racks by what their speakers say. */
  readonly isFabricRouted: boolean
  /** Racks by node. */
  private readonly racks: ReadonlyMap<number, number>
  private readonly dataCenters: readonly number[]
  private readonly stretchVlan: boolean

  constructor(engine: Engine, options: FabricOptions) {
    this.engine = engine
    this.roads = options.roads
    this.timed = new TimedAnnouncements(engine, {
      announceTicks: options.announceTicks,
      timers: options.timers,
      isHeld: isAnnounced(options.roads),
      tell: (owner, batch) => this.tellAll(owner, batch),
    })
    this.shares = options.roads.flatMap((road) => sharesOn(road, options.racks.length))
    this.announcer = announcerOf(options.roads, options.racks.length)
    this.racks = new Map(
      options.racks.flatMap(({ nodes }) => nodes.map(({ index, rack }) => [index, rack] as const)),
    )
    const { racks, topology, model, modelOf } = options
    this.dataCenters = dataCentersOf(topology)
    this.stretchVlan = options.stretchVlan ?? false
    this.devices = topology.devices.map((place, index) => {
      const own = place.profile === undefined ? undefined : modelOf?.(place.profile)
      return new SwitchDevice(engine, index, place, own ?? model)
    })
    this.announced = new AnnounceCounter(this.devices.length)
    this.paths = new FabricPaths(engine, topology, options.convergeTicks, () => this.regroup())
    engine.on(EVENT.program, (index) => this.devices[index]?.drain())
    const { routing, seed = 0 } = options
    this.fib = routing && new SwitchFib(routing)
    this.isFabricRouted = routing?.isFabric === true
    this.bgp =
      routing &&
      new BgpAnnouncements(engine, {
        plan: routing,
        paths: this.paths,
        seed,
        onRoute: (...route) => this.chosen(...route),
        onReset: (device) => this.reset(device),
      })
    for (const device of this.devices) {
      const entries = [
        ...racks.flatMap((rack) => this.underlayOf(device, rack)),
        ...this.configuredOn(device),
        ...this.linkEntries(device),
      ]
      for (const entry of entries) this.tell(device, entry, true, engine.tick)
    }
    this.bgp?.start()
  }

  /** Static summaries that a switch has without being told: all, or those of its own rack. */
  private configuredOn({ rack }: SwitchDevice): readonly Announcement[] {
    if (!this.isFabricRouted) return this.announcer.configured ?? []
    return this.shares.flatMap((share) => (share.rack === rack ? [prefixEntry(share.prefix)] : []))
  }

  /** What a switch's speaker chose. */
  private chosen(index: number, prefix: Prefix, nextHops: readonly Ip[], sinceTick: number): void {
    const device = this.devices[index]
    if (device === undefined) return
    const { tick } = this.engine
    this.heardTick = tick
    for (const { name, size, add } of this.fib?.set(index, prefix, nextHops) ?? []) {
      device.hear({ table: 'ecmp', entry: name, cost: size }, add, tick, this.pods)
    }
    // Packets may go another way, whatever the table holds.
    device.version++
    this.tell(device, prefixEntry(prefix), nextHops.length > 0, sinceTick)
  }

  /** A switch that starts anew holds what it is configured to. */
  private reset(index: number): void {
    const { tick } = this.engine
    for (const prefix of this.fib?.prefixes(index) ?? []) this.chosen(index, prefix, [], tick)
  }

  /** The next device on the way of a packet to a rack. */
  step(device: SwitchDevice, dst: Ip, rack: number, flow: number): Step {
    const { fib, paths } = this
    if (fib === undefined || !this.isFabricRouted) return paths.step(device.index, rack, flow)
    const held = [...this.prefixLengths[ipFamily(dst)]]
      .sort((a, b) => b - a)
      .find((length) => ['taken', 'software'].includes(device.ask(dst, length) ?? ''))
    const prefix = held === undefined ? undefined : prefixOf(dst, held)
    const hops = prefix === undefined ? [] : fib.hops(device.index, prefix)
    return paths.follow(device.index, hops, flow, `for ${prefix ?? dst}`)
  }

  /** What a switch holds for its own links: next hops, and groups of equal paths. */
  linkEntries({ index }: SwitchDevice): readonly Announcement[] {
    if (!isRouted(this.roads)) return []
    const { topology } = this.paths
    const neighbors = topology.links.flatMap(({ ends }, link) =>
      ends.includes(index) ? [`link ${link}`] : [],
    )
    return [
      ...neighbors.map((entry): Announcement => ({ table: 'arp', entry, cost: 1 })),
      ...(this.isFabricRouted ? [] : this.groupsOf(index)),
    ]
  }

  private groupsOf(index: number): readonly Announcement[] {
    const { routing } = this.paths
    return [...routing.groups(index)].map(([entry, cost]) => ({ table: 'ecmp', entry, cost }))
  }

  /** Paths are new, so groups of equal ones are. What an entry points to is written with them. */
  private regroup(): void {
    if (!isRouted(this.roads) || this.isFabricRouted) return
    for (const device of this.devices) {
      const wanted = this.groupsOf(device.index)
      const names = new Set(wanted.map(({ entry }) => entry))
      const { tick } = this.engine
      for (const entry of wanted) device.hear(entry, true, tick, this.pods)
      for (const entry of device.tables.ecmp.entries()) {
        if (!names.has(entry))
          device.hear({ table: 'ecmp', entry, cost: 0 }, false, tick, this.pods)
      }
    }
  }

  /** Batches of changes that are on their way. */
  get pending(): number {
    return this.timed.pending + (this.bgp?.pending ?? 0)
  }

  /** Entries that switches heard of and have not written. */
  get queued(): number {
    return this.devices.reduce((sum, device) => sum + device.queued, 0)
  }

  /** The top-of-rack switch of a rack. */
  tor(rack: number): SwitchDevice | undefined {
    return this.devices[rack]
  }

  /** Rack of a node. */
  rackOf(node: number): number {
    return this.racks.get(node) ?? -1
  }

  /** Data centre of a rack. */
  dataCenterOf(rack: number): number {
    return this.dataCenters[rack] ?? 0
  }

  /** Whether a rack's VLANs come to a device: one that is not stretched ends at its data centre. */
  spans(device: number, rack: number): boolean {
    return this.stretchVlan || this.dataCenters[device] === this.dataCenters[rack]
  }

  /** Whether a device hears of an entry of a rack: MACs go as far as their VLAN. */
  hears(device: number, { rack, entry }: Announced): boolean {
    return entry.table !== 'mac' || this.spans(device, rack)
  }

  /** What a rack's nodes put into a switch before there is any pod. */
  underlayOf(device: SwitchDevice, rack: RackPlan): readonly Announcement[] {
    // Speakers tell of other racks.
    if (this.isFabricRouted && device.rack !== rack.index) return []
    return modesOf(this.roads).flatMap((mode) =>
      mode === 'vlan' && !this.spans(device.index, rack.index)
        ? []
        : underlayEntries(mode, device, rack),
    )
  }

  /** Hears of every change in the kernel of node `owner`. */
  listener(owner: number): KernelListener {
    return (before, after) => {
      const gone = before === undefined ? undefined : this.changeOf(before, false)
      const come = after === undefined ? undefined : this.changeOf(after, true)
      // A link whose settings changed announces what it did before.
      if (gone?.entry?.entry === come?.entry?.entry && gone !== undefined && come !== undefined)
        return
      if (gone !== undefined) this.send(owner, gone)
      if (come !== undefined) this.send(owner, come)
    }
  }

  private changeOf(object: KernelObject, add: boolean): Change | undefined {
    const entry = entryOn(this.roads, object)
    const isPod = object.kind === 'link' && isPodLink(object)
    if (entry === undefined && !isPod) return undefined
    return { add, entry, pods: isPod ? (add ? 1 : -1) : 0, atTick: this.engine.tick }
  }

  /** A node has lost its power. What its kernel held goes when its peers give it up. */
  silence(owner: number): void {
    this.bgp?.silence(owner)
    this.timed.silence(owner)
  }

  /** Its power is back. */
  speak(owner: number): void {
    this.bgp?.speak(owner)
    this.timed.speak(owner)
  }

  /** Its agent, and its speaker with it, starts or ends while the kernel goes on. */
  agent(owner: number, runs: boolean): void {
    this.bgp?.agent(owner, runs)
  }

  /** Frames teach by themselves, and pods are counted as they are; the rest is told. */
  private send(owner: number, change: Change): void {
    const { bgp, timed } = this
    if (bgp === undefined || change.entry === undefined || change.entry.table === 'mac') {
      timed.send(owner, change)
      return
    }
    bgp.send(owner, change)
    if (change.pods !== 0) timed.send(owner, { ...change, entry: undefined })
  }

  /** Every switch hears what a node's kernel changed. */
  private tellAll(owner: number, batch: readonly Change[]): void {
    this.heardTick = this.engine.tick
    const rack = this.rackOf(owner)
    for (const { add, entry, pods, atTick } of batch) {
      this.pods += pods
      if (entry === undefined) continue
      for (const told of this.announcer.tell({ rack, entry }, add)) {
        for (const device of this.devices) {
          if (isFor(device, told) && this.hears(device.index, { rack, entry })) {
            this.tell(device, told.entry, told.add, atTick)
            this.announced.told(device.index, told.entry, told.add)
          }
        }
      }
    }
    this.announced.flush()
  }

  private tell(device: SwitchDevice, entry: Announcement, add: boolean, sinceTick: number): void {
    if (entry.table === 'lpm' || entry.table === 'lpm6' || entry.table === 'host') {
      const prefix = entry.entry as Prefix
      this.prefixLengths[prefixFamily(prefix)].add(prefixLength(prefix))
    }
    device.hear(entry, add, sinceTick, this.pods)
  }
}
