/**
 * Findings of the roads with chosen figures.
 */
import {
  type Findings,
  findingsOf,
  MEASURES,
  type MeasureName,
  type Turn,
} from '../../bench/dataplane/figures.ts'
import { BARE, ROADS } from '../../bench/dataplane/roads.ts'

/** What bare veth does in a quiet round. */
const BASE: Turn = {
  tcp: 20,
  udp: 5,
  transactions: 200_000,
  connections: 40_000,
  roundTrip: 6,
  cpu: 80,
}

/** How much dearer a road is than bare veth; 1.25 is a fifth less of what is better more. */
export type Dearness = number | Readonly<Partial<Record<MeasureName, number>>>

export interface Wanted {
  /** By road; bare veth is added. */
  readonly roads: Readonly<Record<string, Dearness>>
  readonly mtuBytes?: Readonly<Record<string, number>>
  readonly lacks?: Readonly<Record<string, string>>
  readonly othersBusy?: number
  readonly rounds?: number
  /** What a road's turn of a round is multiplied with: the machine's minute, and chance. */
  readonly minute?: (round: number, road: string) => number
}

export function findings(wanted: Wanted): Findings {
  const { roads, mtuBytes = {}, lacks = {}, othersBusy = 0, rounds = 8, minute = () => 1 } = wanted
  const all = { [BARE]: 1, ...roads }
  const ids = ROADS.map(({ id }) => id).filter((id) => id in all)
  const turnOf = (id: string, round: number): Turn =>
    Object.fromEntries(
      MEASURES.map(({ name, isMoreBetter }) => {
        const asked = all[id as keyof typeof all] as Dearness
        const dear = (typeof asked === 'number' ? asked : (asked[name] ?? 1)) * minute(round, id)
        return [name, isMoreBetter ? BASE[name] / dear : BASE[name] * dear]
      }),
    ) as Turn
  const indexes = Array.from({ length: rounds }, (_, round) => round)
  return findingsOf({
    turns: new Map(ids.map((id) => [id, indexes.map((round) => turnOf(id, round))])),
    mtuBytes: new Map(ids.map((id) => [id, mtuBytes[id] ?? 1500])),
    othersBusy: indexes.map(() => othersBusy),
    lacks: new Map(Object.entries(lacks)),
  })
}
