/**
 * Names and numbers as reports write them.
 *
 * @module
 */
import { counted } from '../../src/words.ts'
import type { Role, TableFigure } from '../measure.ts'
import type { ModeResult } from '../run.ts'
import type { Scenario } from '../scenario.ts'
import { firstPods } from '../timeline/workload.ts'

export const ROLE_NAMES: Readonly<Record<Role, string>> = {
  tor: 'ToR switch',
  aggregation: 'aggregation',
  spine: 'spine switch',
  core: 'core switch',
  wan: 'WAN router',
  node: 'node kernel',
}

/** For headings and axes. */
export const SHORT_ROLES: Readonly<Record<Role, string>> = {
  tor: 'ToR',
  aggregation: 'aggregation',
  spine: 'spine',
  core: 'core',
  wan: 'WAN',
  node: 'node',
}

export const TABLE_NAMES: Readonly<Record<TableFigure['table'], string>> = {
  lpm: 'LPM',
  lpm6: 'LPM IPv6',
  host: 'host',
  host6: 'host IPv6',
  mac: 'MAC',
  arp: 'ARP and ND',
  ecmp: 'ECMP',
  vtep: 'VTEP',
  links: 'links',
  routes: 'routes',
  neighbors: 'neighbors',
  fdb: 'FDB',
  learned: 'learned neighbors',
}

/** The pods that are there first, and those that a trace has after them. */
export function podsWords(scenario: Scenario): string {
  const pods = firstPods(scenario)
  const first = counted(pods, 'pod', count)
  const rows = [...(scenario.inputs?.values() ?? [])].flatMap((input) =>
    input.kind === 'trace' ? input.rows : [],
  )
  if (rows.length === 0) return first
  const came = rows.filter(({ action }) => action === 'add').length
  const gone = `and ${count(rows.length - came)} that go`
  if (pods === 0) return `${counted(came, 'pod', count)} that come ${gone}`
  return `${first}, ${count(came)} that come ${gone}`
}

/** From here on a table has little room left. */
const TIGHT = 0.8

/** `12 345`: thin enough to read, plain enough for any terminal. */
export function count(value: number): string {
  return String(value).replace(/\B(?<!\.\d*)(?=(\d{3})+(?!\d))/g, ' ')
}

/** `0.02 %`, `0.6 %`, `118 %`. */
export function percent(share: number): string {
  const value = share * 100
  if (value === 0) return '0 %'
  if (value < 0.001) return '<0.001 %'
  if (value < 0.1) return `${Number(value.toPrecision(1))} %`
  return `${value < 10 ? value.toFixed(1) : String(Math.round(value))} %`
}

/** `98 ms`, `1.10 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** What a table holds, in words. */
export function capacityOf({ role, capacity }: TableFigure): string {
  if (capacity !== undefined) return count(capacity)
  return role === 'node' ? '-' : 'unknown'
}

export type Verdict = 'fits' | 'tight' | 'OVERFLOW' | 'no fixed size' | 'unknown'

export function verdictOf({ role, pressure, firstOverflow }: TableFigure): Verdict {
  if (firstOverflow !== undefined) return 'OVERFLOW'
  if (pressure === undefined) return role === 'node' ? 'no fixed size' : 'unknown'
  return pressure >= TIGHT ? 'tight' : 'fits'
}

/** The fullest switch table; undefined when switches hold nothing. */
export function fullest({ tables }: ModeResult): TableFigure | undefined {
  let found: TableFigure | undefined
  for (const figure of tables) {
    if (figure.role === 'node') continue
    if (figure.pressure !== undefined && figure.pressure > (found?.pressure ?? -1)) found = figure
  }
  return found
}

/** One sentence a mode: holds, or what overflows first. */
export function sentenceOf(mode: ModeResult): string {
  const { firstOverflow } = mode
  const lost = mode.reachability
  const pairs = Math.max(1, lost?.pairs ?? 0)
  const down = (lost?.lostToFailure ?? 0) / pairs
  const failed = down === 0 ? '' : `; ${percent(down)} of pod pairs are cut off by what is down`
  if (firstOverflow === undefined) {
    const figure = fullest(mode)
    if (figure?.pressure === undefined) {
      const known = mode.tables.every(({ role }) => role === 'node')
      return `${known ? 'holds' : 'unknown: no public size of any switch table it needs'}${failed}`
    }
    const where = `${ROLE_NAMES[figure.role]} ${TABLE_NAMES[figure.table]}`
    return `holds; its fullest table is ${where} at ${percent(figure.pressure)}${failed}`
  }
  const { role, table, pods, capacity, device } = firstOverflow
  const what = `${ROLE_NAMES[role]} ${TABLE_NAMES[table]} table (${device}, ${count(capacity)} entries)`
  const cut = (lost?.lostToOverflow ?? 0) / pairs
  const slow = (lost?.software ?? 0) / pairs
  const flooded = table === 'mac' ? '; frames are flooded' : ''
  const slowly = slow === 0 ? flooded : `; ${percent(slow)} of pod pairs go through processors`
  const effect = cut === 0 ? slowly : `; ${percent(cut)} of pod pairs are cut off at the end`
  return `overflows first: ${what} at pod ${count(pods)}${effect}${failed}`
}
