/**
 * What the files of workload steps hold. The shell reads them; here they are parsed.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { networksOf } from '../network.ts'
import type { Scenario } from '../scenario.ts'
import { type ClusterPods, POD_LIST_BYTES_MAX, parsePodList } from './kubernetes.ts'
import { parseTrace, type TraceRow } from './trace.ts'

/** Of any of the files; traces have a lower limit of their own. */
export const INPUT_BYTES_MAX = POD_LIST_BYTES_MAX

/** What was read from a step's file. */
export type StepInput =
  | { readonly kind: 'trace'; readonly rows: readonly TraceRow[] }
  | ({ readonly kind: 'kubernetes' } & ClusterPods)

/** By the steps' places in the list. */
export type StepInputs = ReadonlyMap<number, StepInput>

/** Names of the files that a scenario's workload needs, as written, each once. */
export function filesOf({ workload }: Pick<Scenario, 'workload'>): readonly string[] {
  return [...new Set(workload.flatMap((step) => ('file' in step ? [step.file] : [])))]
}

/**
 * The scenario with what its files hold.
 *
 * @param files Text, by name.
 * @throws {TriviumError} BAD_CONFIG for a file that is not what its step says; NOT_FOUND for one that was not read.
 */
export function withInputs(scenario: Scenario, files: ReadonlyMap<string, string>): Scenario {
  const inputs = new Map<number, StepInput>()
  for (const [index, step] of scenario.workload.entries()) {
    if (step.kind !== 'trace' && step.kind !== 'kubernetes') continue
    const { file } = step
    const text = files.get(file)
    if (text === undefined) {
      throw new TriviumError('NOT_FOUND', `Cannot read ${file}: it was not opened, wanted its text`)
    }
    const { nodes } = scenario
    if (step.kind === 'trace') {
      const rows = parseTrace(text, { file, nodes, networks: networksOf(scenario) })
      inputs.set(index, { kind: 'trace', rows })
    } else inputs.set(index, { kind: 'kubernetes', ...parsePodList(text, { file, nodes }) })
  }
  return inputs.size === 0 ? scenario : { ...scenario, inputs }
}

/** What a file holds, and what of it is left out, e.g. `11 pods on 3 nodes, without 2 in their host's network`. */
export function inputWords(input: StepInput): string {
  if (input.kind === 'trace') return `${input.rows.length} rows`
  const { pods, nodes, skipped } = input
  const { hostNetwork, ended, unscheduled } = skipped
  const left = [
    [hostNetwork, "in their host's network"],
    [ended, 'that have ended'],
    [unscheduled, 'that are on no node'],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]))
  const without = left.length === 0 ? '' : `, without ${left.join(', ')}`
  return `${pods.length} pods on ${nodes.length} nodes${without}`
}
