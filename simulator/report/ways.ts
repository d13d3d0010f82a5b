/**
 * Whether a mode works across data centres, and what the ways between pods are
 * like, in words.
 *
 * @module
 */
import type { WayFigure } from '../checkers/ways.ts'
import type { ModeResult } from '../run.ts'
import { count, duration } from './words.ts'

/** `0.1 %`, `0.0003 %`: as exact as one packet of a million. */
export const lossOf = (ppm: number): string => `${ppm / 10_000} %`

/** `1 Gbit/s`, `100 Mbit/s`. */
export const bandwidthOf = (mbps: number): string =>
  mbps < 1000 ? `${mbps} Mbit/s` : `${mbps / 1000} Gbit/s`

/** `40 ms, 0.1 % loss, 1 Gbit/s`; what nobody said is left out. */
export function qualityOf({ latencyMaxMs, lossMaxPpm, narrowestMbps }: WayFigure): string {
  const latency = latencyMaxMs < 1 ? `${latencyMaxMs} ms` : duration(latencyMaxMs)
  const loss = lossMaxPpm === 0 ? [] : [`${lossOf(lossMaxPpm)} loss`]
  const width = narrowestMbps === undefined ? [] : [bandwidthOf(narrowestMbps)]
  return [latency, ...loss, ...width].join(', ')
}

/** One sentence: does the mode work across data centres? Undefined where there is one. */
export function acrossOf({ reachability }: ModeResult): string | undefined {
  const way = reachability?.ways.find(({ over }) => over === 'WAN')
  if (way === undefined) return undefined
  const { pairs, delivered, reason = '' } = way
  if (delivered === 0) return `does not work across data centres: ${reason}`
  const quality = `at worst ${qualityOf(way)}`
  if (delivered === pairs) return `works across data centres: ${quality}`
  const some = `${count(delivered)} of ${count(pairs)} pairs`
  return `works across data centres for ${some} (${quality}); another: ${reason}`
}

/** Whether ways differ by more than a microsecond a link. */
const isTold = ({ latencyMaxMs, lossMaxPpm, narrowestMbps, over }: WayFigure): boolean =>
  over === 'WAN' || lossMaxPpm > 0 || narrowestMbps !== undefined || latencyMaxMs >= 1

/**
 * A row a mode and distance: mode, distance, pairs reached, quality. None where no
 * link is anything special, nor inside a rack, which no link of the fabric crosses.
 */
export function wayRows(modes: readonly ModeResult[]): readonly (readonly string[])[] {
  if (!modes.some(({ reachability }) => reachability?.ways.some(isTold))) return []
  return modes.flatMap(({ label, reachability }) =>
    (reachability?.ways ?? [])
      .filter(({ over }) => over === 'data centre' || over === 'WAN')
      .map((way, index) => [
        index === 0 ? label : '',
        way.over === 'WAN' ? 'across the WAN' : `in one ${way.over}`,
        `${count(way.delivered)} of ${count(way.pairs)}`,
        way.delivered === 0 ? '-' : qualityOf(way),
      ]),
  )
}
