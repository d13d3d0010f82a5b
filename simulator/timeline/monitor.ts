/**
 * Watches pairs of pods: one packet a pair and look, over what kernels and switches
 * hold then. A look reads and changes nothing that happens: it is no event, and is
 * not in the trace.
 *
 * Cost of a look: a packet a pair and family; nothing when no table has changed since
 * the one before. After every `LOOKS` looks with packets the time between two doubles.
 *
 * @module
 */
import type { Ip } from '../../src/net/mod.ts'
import { TICKS_PER_MS } from '../clock.ts'
import type { Delivery } from '../delivery.ts'
import { forward, type World } from '../forward.ts'
import type { SimNode, SimPod } from '../node.ts'
import type { Cluster } from '../world.ts'
import { HoleBook } from './black-holes.ts'
import type { PairSample, WatchedPair } from './pairs.ts'
import { PointSeries } from './points.ts'
import { RecordsWatch } from './records.ts'
import { islands } from './sides.ts'
import { WayCache } from './way-cache.ts'

/** Points that a report can show. */
const POINTS_MAX = 2000
const LOOKS = 2000
const FINDINGS_MAX = 20

export interface MonitorOptions {
  readonly cluster: Cluster
  readonly sample: PairSample
  /** Between two looks. */
  readonly everyTicks: number
  /** Nodes whose links are held against their records. */
  readonly victims: ReadonlySet<number>
}

type Lost = Extract<Delivery, { readonly kind: 'lost' }>

export class Monitor {
  readonly series = new PointSeries(POINTS_MAX)
  readonly holes = new HoleBook()
  /** Pairs without a way while nothing was under way and nothing broken explains it. */
  readonly blackHoles: string[] = []
  /** Links of pods that the store knows nothing of. */
  readonly unrecorded = new Set<string>()
  /** Pairs that the last look found without a way. */
  lost = 0
  /** When to look next, unless something is asked for before. */
  dueTick: number
  looks = 0

  private readonly options: MonitorOptions
  private readonly ways = new WayCache<Lost | undefined>()
  private readonly records = new RecordsWatch()
  private readonly startTick: number
  private readonly nodesByIp: ReadonlyMap<Ip, SimNode>
  private everyTicks: number
  private stamp = ''
  private pairs = 0
  private lostToOverflow = 0
  /** Pairs that the last packets found without a way, and not for want of room. */
  private suspects: { readonly pair: WatchedPair; readonly why: string }[] = []

  constructor(options: MonitorOptions) {
    const { engine, nodes } = options.cluster
    this.options = options
    this.everyTicks = options.everyTicks
    this.startTick = engine.tick
    this.dueTick = engine.tick
    this.nodesByIp = new Map(
      nodes.flatMap((node) => node.record.underlayIps.map((ip) => [ip, node] as const)),
    )
  }

  /** Something happened that is worth a look of its own; many such things share one. */
  hurry(): void {
    const { tick } = this.options.cluster.engine
    this.dueTick = Math.min(this.dueTick, tick + Math.ceil(this.everyTicks / 4))
  }

  /** Looks at every pair. All events up to `tick` have happened. */
  look(tick: number): void {
    const { cluster } = this.options
    this.dueTick = tick + this.everyTicks
    const stamp = this.stampOf()
    if (stamp !== this.stamp) {
      this.stamp = stamp
      this.renew(tick)
      this.send(tick)
    }
    if (cluster.isQuiet && this.suspects.length > 0) this.judge(tick)
    this.series.add({
      atMs: (tick - this.startTick) / TICKS_PER_MS,
      pods: cluster.podCount,
      pairs: this.pairs,
      lost: this.lost,
      lostToOverflow: this.lostToOverflow,
      queued: cluster.fabric.queued,
      stranded: cluster.kubelets.stranded,
    })
  }

  private renew(tick: number): void {
    const { sample } = this.options
    const before = [...sample.pairs]
    sample.renew((place) => this.holes.end(place, tick))
    for (const [place, pair] of sample.pairs.entries()) {
      const old = before[place]
      if (pair === old) continue
      if (old !== undefined) this.ways.forget(old)
      if (pair !== undefined) this.holes.begin(place)
    }
  }

  private send(tick: number): void {
    const { cluster, sample, victims } = this.options
    if (++this.looks % LOOKS === 0) this.everyTicks *= 2
    const world = this.world()
    const fabric = this.fabricVersion()
    this.suspects = []
    this.pairs = this.lost = this.lostToOverflow = 0
    for (const [place, pair] of sample.pairs.entries()) {
      if (pair === undefined) continue
      const send = (): Lost | undefined => lostOf(world, pair)
      // Packets teach kernels their neighbours, so each may be the last that fits.
      const isTaught = cluster.neighbors !== undefined
      const lost = isTaught ? send() : this.ways.answer(pair, fabric, send)
      if (lost?.divided === true) continue
      this.pairs++
      const why = lost && `pod ${pair.from.id} to pod ${pair.to.id}: ${lost.reason}`
      this.holes.note(place, tick, why)
      if (lost === undefined || why === undefined) continue
      this.lost++
      if (lost.overflow) this.lostToOverflow++
      else this.suspects.push({ pair, why })
    }
    for (const finding of this.records.unrecorded(cluster, victims)) {
      if (this.unrecorded.size < FINDINGS_MAX) this.unrecorded.add(finding)
    }
  }

  /** Nothing is left to do: whoever has no way now must have a reason. */
  private judge(tick: number): void {
    const { topology, state } = this.options.cluster.fabric.paths
    const island = islands(topology, state)
    for (const { pair, why } of this.suspects) {
      if (!this.isExplained(pair, island)) this.blame(tick, why)
    }
  }

  /** Whether a node of the pair cannot know better, or there is no way between their racks. */
  private isExplained({ from, to }: WatchedPair, island: readonly number[]): boolean {
    const { broken } = this.options.cluster
    if (broken.has(from.node) || broken.has(to.node)) return true
    const [here, there] = [island[from.node.rack], island[to.node.rack]]
    return from.node !== to.node && (here !== there || here === -1)
  }

  private blame(tick: number, why: string): void {
    if (this.blackHoles.length >= FINDINGS_MAX) return
    const atMs = Math.round((tick - this.startTick) / TICKS_PER_MS)
    this.blackHoles.push(`${why}, at ${atMs} ms, when nothing was left to do`)
  }

  /** What of the cluster the watched packets can meet. */
  private world(): World {
    const { nodes, fabric, neighbors } = this.options.cluster
    const podsByIp = new Map<Ip, SimPod>()
    for (const pair of this.options.sample.pairs) {
      for (const pod of pair === undefined ? [] : [pair.from, pair.to]) {
        for (const ip of pod.attachment.ips) podsByIp.set(ip, pod)
      }
    }
    const { nodesByIp } = this
    return { nodes, fabric, podsByIp, nodesByIp, ...(neighbors && { neighbors }) }
  }

  /** The same as long as no table has changed. */
  private stampOf(): string {
    return `${this.options.cluster.kernelChanges} ${this.fabricVersion()}`
  }

  private fabricVersion(): number {
    const { devices, paths } = this.options.cluster.fabric
    return devices.reduce((sum, { version }) => sum + version, paths.changed)
  }
}

/** Lost in any family. */
function lostOf(world: World, { from, to }: WatchedPair): Lost | undefined {
  for (const ip of to.attachment.ips) {
    const answer = forward(world, from, ip)
    if (answer.kind === 'lost') return answer
  }
  return undefined
}
