/**
 * How far packets went and what the way was like: pairs of pods of one node, one
 * rack, one data centre, and of two.
 *
 * @module
 */
import { TICKS_PER_MS } from '../clock.ts'
import type { Delivery } from '../delivery.ts'
import type { Fabric } from '../fabric.ts'
import { narrower } from '../link-quality.ts'
import type { SimPod } from '../node.ts'

/** What lies between two pods. */
export const DISTANCES = ['node', 'rack', 'data centre', 'WAN'] as const
export type Distance = (typeof DISTANCES)[number]

/** All pairs of one distance; the worst of each figure, maybe of different pairs. */
export interface WayFigure {
  readonly over: Distance
  /** Ordered pairs that may meet. */
  readonly pairs: number
  readonly delivered: number
  readonly latencyMaxMs: number
  /** Chance that a packet is lost by a link, in parts per million. */
  readonly lossMaxPpm: number
  /** Megabits a second; undefined: no link on the way says so. */
  readonly narrowestMbps: number | undefined
  /** Why the first pair that did not meet did not. */
  readonly reason: string | undefined
}

type Counted = { -readonly [K in keyof WayFigure]: WayFigure[K] }

export class Ways {
  private readonly fabric: Fabric
  private readonly counted = new Map<Distance, Counted>()

  constructor(fabric: Fabric) {
    this.fabric = fabric
  }

  /** @param answers Of each family. */
  add(from: SimPod, to: SimPod, answers: readonly Delivery[]): void {
    const figure = this.figure(this.distance(from, to))
    figure.pairs++
    const lost = answers.find((answer) => answer.kind === 'lost')
    if (lost?.kind === 'lost') {
      figure.reason ??= lost.reason
      return
    }
    figure.delivered++
    for (const answer of answers) {
      if (answer.kind !== 'delivered') continue
      const { latencyTicks, lossPpm, mbps } = answer
      figure.latencyMaxMs = Math.max(figure.latencyMaxMs, latencyTicks / TICKS_PER_MS)
      figure.lossMaxPpm = Math.max(figure.lossMaxPpm, lossPpm)
      figure.narrowestMbps = narrower(figure.narrowestMbps, mbps)
    }
  }

  /** From near to far; without distances that no pair has. */
  figures(): readonly WayFigure[] {
    return DISTANCES.flatMap((over) => this.counted.get(over) ?? [])
  }

  private figure(over: Distance): Counted {
    const known = this.counted.get(over)
    if (known !== undefined) return known
    const figure: Counted = {
      over,
      pairs: 0,
      delivered: 0,
      latencyMaxMs: 0,
      lossMaxPpm: 0,
      narrowestMbps: undefined,
      reason: undefined,
    }
    this.counted.set(over, figure)
    return figure
  }

  private distance({ node: from }: SimPod, { node: to }: SimPod): Distance {
    if (from === to) return 'node'
    if (from.rack === to.rack) return 'rack'
    const { fabric } = this
    return fabric.dataCenterOf(from.rack) === fabric.dataCenterOf(to.rack) ? 'data centre' : 'WAN'
  }
}
