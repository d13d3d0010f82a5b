/**
 * Links and devices that go down and come back, and what the fabric's devices
 * believe of them.
 *
 * An idealised interior protocol: `convergeTicks` after a change every device
 * knows it and forwards by new shortest paths, all at the same instant; until
 * then packets into what is down are lost. Nobody repairs locally, nothing flaps,
 * and the protocol's own packets cost nothing.
 *
 * @module
 */
import { type Engine, EVENT } from './clock.ts'
import { type FabricState, type NextHop, Routing } from './fabric-routing.ts'
import { linkName, type Topology, type TopologyLink } from './fabric-topology.ts'

/** What goes down or comes back. */
export interface FabricChange {
  readonly up: boolean
  readonly target:
    | { readonly kind: 'link'; readonly link: number }
    | { readonly kind: 'device'; readonly device: number }
}

/** Where a packet goes from a device. */
export type Step =
  | { readonly kind: 'to'; readonly device: number; readonly link: TopologyLink }
  | { readonly kind: 'stuck'; readonly reason: string }

interface Mutable {
  readonly links: boolean[]
  readonly devices: boolean[]
}

const allUp = ({ links, devices }: Topology): Mutable => ({
  links: links.map(() => true),
  devices: devices.map(() => true),
})

export class FabricPaths {
  readonly topology: Topology
  routing: Routing
  /** Batches of changes that devices do not know yet. */
  pending = 0
  /** Told of each change when it happens, and again when every device knows it. */
  onChange: (change: FabricChange, phase: 'happened' | 'known') => void = () => {}

  private readonly engine: Engine
  private readonly convergeTicks: number
  private readonly actual: Mutable
  private readonly known: Mutable
  private readonly batches: (readonly FabricChange[])[] = []
  private readonly onRouting: () => void
  private readonly watchers: (typeof this.onChange)[] = []

  /** @param onRouting Called when paths are new. */
  constructor(engine: Engine, topology: Topology, convergeTicks: number, onRouting: () => void) {
    this.engine = engine
    this.topology = topology
    this.convergeTicks = convergeTicks
    this.onRouting = onRouting
    this.actual = allUp(topology)
    this.known = allUp(topology)
    this.routing = new Routing(topology, this.known)
    engine.on(EVENT.link, (batch) => this.learn(this.batches[batch] ?? []))
  }

  /** The same as `onChange`, for as many as like to. */
  watch(watcher: typeof this.onChange): void {
    this.watchers.push(watcher)
  }

  /** Grows with every change, and when it is known. */
  changed = 0

  /** Changes what is up now; all devices know of it together, `convergeTicks` later. */
  change(changes: readonly FabricChange[]): void {
    this.pending++
    for (const change of changes) {
      this.changed++
      apply(this.actual, change)
      this.tell(change, 'happened')
    }
    this.batches.push(changes)
    this.engine.post(this.convergeTicks, EVENT.link, this.batches.length - 1, 1)
  }

  /** What is up, whether or not anybody knows. */
  get state(): FabricState {
    return this.actual
  }

  isUp(device: number): boolean {
    return this.actual.devices[device] === true
  }

  /** The next device on the way to a rack. @param flow Chooses among equal paths. */
  step(device: number, rack: number, flow: number): Step {
    return this.follow(device, this.routing.nextHops(device, rack), flow, `to rack ${rack}`)
  }

  /** One of some next hops. @param whither For the reason why there is none. */
  follow(device: number, hops: readonly NextHop[], flow: number, whither: string): Step {
    const { topology, actual } = this
    const next = hops[flow % Math.max(1, hops.length)]
    const name = topology.devices[device]?.name ?? ''
    if (next === undefined) return { kind: 'stuck', reason: `${name} has no path ${whither}` }
    const link = topology.links[next.link]
    if (link === undefined || !actual.links[next.link]) {
      const words = link === undefined ? '' : linkName(topology, link)
      return { kind: 'stuck', reason: `${name} sends into link ${words}, which is down` }
    }
    return { kind: 'to', device: next.device, link }
  }

  private learn(changes: readonly FabricChange[]): void {
    this.pending--
    this.changed++
    for (const change of changes) apply(this.known, change)
    this.routing = new Routing(this.topology, this.known)
    this.onRouting()
    for (const change of changes) this.tell(change, 'known')
  }

  private tell(change: FabricChange, phase: 'happened' | 'known'): void {
    for (const watcher of this.watchers) watcher(change, phase)
    this.onChange(change, phase)
  }
}

function apply(state: Mutable, { target, up }: FabricChange): void {
  if (target.kind === 'link') state.links[target.link] = up
  else state.devices[target.device] = up
}
