/**
 * What speakers did, for reports: a row at the cold start's end, and one of the whole run.
 *
 * @module
 */
import type { ModeResult } from '../run.ts'
import type { Column } from './align.ts'
import { count, duration } from './words.ts'

export const BGP_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'BGP' },
  { title: 'SPEAKERS', right: true },
  { title: 'SESSIONS', right: true },
  { title: 'UP AFTER', right: true },
  { title: 'LEARNED AFTER', right: true },
  { title: 'ENDED', right: true },
  { title: 'UPDATES', right: true },
  { title: 'KEEPALIVES', right: true },
  { title: 'KBYTES', right: true },
  { title: 'BEST PATHS', right: true },
]

/** None where timers take the place of a protocol. */
export function bgpRows(modes: readonly ModeResult[]): readonly (readonly string[])[] {
  return modes.flatMap(({ label, bgp }) => {
    if (bgp === undefined) return []
    const { coldStart, whole } = bgp
    return (
      [
        [label, 'cold start', coldStart],
        ['', 'whole run', whole],
      ] as const
    ).map(([mode, when, figure]) => [
      mode,
      when,
      count(figure.speakers),
      `${count(figure.established)} of ${count(figure.sessions)}`,
      duration(figure.upMs),
      duration(figure.learnedMs),
      count(figure.ended),
      count(figure.messages.update),
      count(figure.messages.keepalive),
      count(Math.round(figure.bytes / 1000)),
      count(figure.routes),
    ])
  })
}
