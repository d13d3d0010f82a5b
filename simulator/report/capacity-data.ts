/**
 * The answer as plain data for programs, and as comma-separated values.
 *
 * @module
 */
import type { Advice } from '../capacity/advice.ts'
import type { CapacityAnswer } from '../capacity/answer.ts'
import type { Bound, ModeCapacity } from '../capacity/limit.ts'
import type { Shape } from '../capacity/shape.ts'
import { RUN_CSV_HEADS, runCsv, runData } from './capacity-runs.ts'
import { changeWords } from './capacity-words.ts'

/** Plain data: numbers are exact, undefined is left out. */
export function capacityData(answer: CapacityAnswer): unknown {
  const { question, modes, advised, advice, remarks, runs } = answer
  return {
    asked: shapeData(question.shape),
    growth: question.growth,
    modes: modes.map((mode, index) => ({
      ...modeData(mode),
      ...(runs?.[index] === undefined ? {} : runData(runs[index])),
    })),
    ...(advised === undefined ? {} : { adviceFor: advised.label }),
    advice: advice.map(adviceData),
    remarks,
  }
}

const shapeData = ({ fabric, ...shape }: Shape): object => {
  const { kind, groups, aggregations, cores, dataCenters, wanRouters, stretchVlan } = fabric
  const told = { kind, groups, aggregations, cores, dataCenters, wanRouters, stretchVlan }
  const { nodes, racks, podsPerNode, spines, pools, switch: model, talk, kernel } = shape
  return { nodes, racks, podsPerNode, spines, pools, switch: model, talk, kernel, fabric: told }
}

function modeData(mode: ModeCapacity): object {
  const { label, holds, asked, upTo, breaks, next, worst, unknown, demand, refusal } = mode
  return {
    mode: label,
    holds,
    ...(refusal === undefined ? {} : { refusal }),
    asked,
    upTo,
    isLast: breaks === undefined,
    ...withBound('breaksFirst', breaks),
    ...withBound('worst', worst),
    ...(next === undefined
      ? {}
      : { next: { upTo: next.upTo, ...withBound('breaks', next.breaks) } }),
    tables: demand.tables,
    fibBytes: demand.fibBytes,
    blocks: demand.blocks.map(({ network, family, wanted, needed, available }) => ({
      network,
      family,
      wanted,
      needed,
      available,
    })),
    unknown: unknown.map(({ role, table, entries }) => ({ role, table, entries })),
  }
}

const withBound = (name: string, bound: Bound | undefined): object =>
  bound === undefined ? {} : { [name]: bound }

function adviceData(advice: Advice): object {
  const { kind, from, to, holds, before, after, capacity } = advice
  const { upTo, breaks } = capacity
  return {
    change: changeWords(advice),
    kind,
    from,
    to,
    holds,
    before,
    ...(after === undefined ? {} : { after }),
    upTo,
    ...withBound('breaksFirst', breaks),
  }
}

const HEADS = [
  'mode',
  'nodes',
  'racks',
  'pods',
  'holds',
  'up_to_nodes',
  'up_to_pods',
  'breaks_role',
  'breaks_table',
  'breaks_entries',
  'breaks_capacity',
  'worst_role',
  'worst_table',
  'worst_entries',
  'worst_capacity',
  'pressure',
  ...RUN_CSV_HEADS,
] as const

/** A line a mode; empty: nothing breaks, or nothing is known. */
export function capacityCsv({ modes, runs }: CapacityAnswer): string {
  const rows = modes.map(({ label, asked, holds, upTo, breaks, worst }, index) => [
    label,
    asked.nodes,
    asked.racks,
    asked.pods,
    holds,
    upTo.nodes,
    upTo.pods,
    ...cells(breaks),
    ...cells(worst),
    worst?.pressure ?? '',
    ...runCsv(runs?.[index]),
  ])
  return [HEADS, ...rows].map((row) => `${row.join(',')}\n`).join('')
}

const cells = (bound: Bound | undefined): readonly (string | number)[] =>
  bound === undefined ? ['', '', '', ''] : [bound.role, bound.table, bound.entries, bound.capacity]
