/**
 * What a run of a sweep leaves: its figures, as a line of JSON.
 *
 * @module
 */
import { z } from 'zod'
import { asTriviumError } from '../../src/errors.ts'
import { engineFor, runWith } from '../engine.ts'
import { everyMeasure } from '../report/measures.ts'
import { ENGINE_KINDS, type Scenario } from '../scenario.ts'

/** Failed checks that are kept of a run. */
const FAILED_MAX = 12
const LINE_MAX = 2 ** 20

const resultSchema = z.strictObject({
  key: z.string().max(64),
  /** Failed checks in words; empty when all passed. */
  failed: z.array(z.string()).max(FAILED_MAX),
  /** Of an exact engine; empty otherwise. */
  trace: z.string().max(64),
  engine: z.enum(ENGINE_KINDS).default('exact'),
  modes: z.array(z.strictObject({ label: z.string(), figures: z.record(z.string(), z.number()) })),
})

/** One run. */
export type SweepResult = z.output<typeof resultSchema>

/** Runs it. Never throws: what does is a failure like others. */
export function runPoint(key: string, scenario: Scenario): SweepResult {
  const engine = engineFor(scenario)
  try {
    const { modes, traceHash } = runWith(engine, scenario)
    const failed = modes.flatMap(({ label, checks }) =>
      checks.filter(({ passed }) => !passed).map(({ name }) => `${label}: ${name}`),
    )
    const measures = everyMeasure()
    return {
      key,
      failed: failed.slice(0, FAILED_MAX),
      trace: traceHash ?? '',
      engine,
      modes: modes.map((mode) => ({
        label: mode.label,
        figures: Object.fromEntries(
          measures.flatMap(({ name, value }): [string, number][] => {
            const figure = value(mode)
            return figure === undefined || !Number.isFinite(figure) ? [] : [[name, figure]]
          }),
        ),
      })),
    }
  } catch (thrown) {
    return { key, failed: [asTriviumError(thrown).message], trace: '', engine, modes: [] }
  }
}

/** As it is kept, with its end. */
export const lineOf = (result: SweepResult): string => `${JSON.stringify(result)}\n`

/** @returns undefined for a line that is torn or not ours. */
export function readLine(line: string): SweepResult | undefined {
  if (line.length > LINE_MAX) return undefined
  try {
    const parsed = resultSchema.safeParse(JSON.parse(line))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** What some lines hold: results, and how many lines were none. */
export function readLines(lines: readonly string[]): {
  readonly results: readonly SweepResult[]
  readonly torn: number
} {
  const read = lines.filter((line) => line !== '').map(readLine)
  const results = read.filter((result) => result !== undefined)
  return { results, torn: read.length - results.length }
}
