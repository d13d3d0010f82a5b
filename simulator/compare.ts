/**
 * The same pods and events in each mode, side by side, and over numbers of nodes.
 *
 * Pure: the same scenario, modes and sizes give the same result.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { CAPACITY_MODES, modeNames, modeOfName } from './capacity/modes.ts'
import { mustScale, runWith, whyNotScaled } from './engine.ts'
import { labelOf } from './network.ts'
import type { Progress, RunResult } from './run.ts'
import { NODES_MAX, type RunMode, type Scenario, type ScenarioMode } from './scenario.ts'
import { type Complaint, checkScenario } from './scenario-rules.ts'
import type { SeededRun } from './seeds.ts'
import { nearest } from './suggest.ts'

/** Short words for what `modeNames` lists. */
const ALIASES: Readonly<Record<string, string>> = {
  classic: 'vxlan',
  lightweight: 'vxlan-lightweight',
  direct: 'vxlan-direct',
  crosssubnet: 'vxlan-direct',
  route: 'route-blocks',
  blocks: 'route-blocks',
  racks: 'route-racks',
  contiguous: 'route-racks-contiguous',
  hosts: 'route-32',
}

/** A mode that the scenario cannot have, and why. */
export interface Skipped {
  readonly label: string
  readonly reason: string
}

/** One number of nodes. */
export interface ComparedRun extends SeededRun {
  readonly nodes: number
}

export interface CompareResult {
  /** By rising numbers of nodes; at least one. */
  readonly runs: readonly ComparedRun[]
  readonly skipped: readonly Skipped[]
}

/** The largest run: what a comparison is mostly about. */
export function largestOf({ runs }: CompareResult): RunResult {
  return runs.at(-1)!.result
}

/** The largest size under every seed, the scenario's own first. */
export function largestSeeds({ runs }: CompareResult): readonly RunResult[] {
  const { result, others } = runs.at(-1)!
  return [result, ...others]
}

/**
 * Names as `sim capacity` writes them, as reports do, or short.
 *
 * @throws {TriviumError} USAGE for a name that is unknown or given twice.
 */
export function modesNamed(names: readonly string[]): readonly ScenarioMode[] {
  const modes = names.map((name) => {
    const word = name.trim().toLowerCase().replaceAll(/[ /]+/g, '-')
    const mode = modeOfName(ALIASES[word] ?? word)
    if (mode !== undefined) return mode
    const known = [...modeNames(), ...Object.keys(ALIASES)]
    const like = nearest(word, known)
    const hint =
      like === undefined ? `wanted one of ${modeNames().join(', ')}` : `did you mean ${like}?`
    throw new TriviumError('USAGE', `Cannot compare mode ${name}: there is no such mode, ${hint}`)
  })
  const twice = modes.find((mode, index) => modes.indexOf(mode) !== index)
  if (twice === undefined) return modes
  const message = `Cannot compare mode ${labelOf(twice)} with itself: it is named twice`
  throw new TriviumError('USAGE', message)
}

/** What a comparison will run. */
export interface ComparePlan {
  /** By rising numbers of nodes; at least one. */
  readonly scenarios: readonly Scenario[]
  readonly skipped: readonly Skipped[]
}

/**
 * Every size with every mode that it can have; a scenario of one mode is compared in the usual ones.
 *
 * @param modes Undefined: the scenario's, or the usual ones.
 * @param nodesList Undefined: the scenario's number alone. Racks stay as full as they are.
 * @throws {TriviumError} BAD_CONFIG when a size is impossible, or no mode is left.
 */
export function planCompare(
  scenario: Scenario,
  modes: readonly RunMode[] | undefined,
  nodesList: readonly number[] | undefined,
): ComparePlan {
  const sizes = [...new Set(nodesList ?? [scenario.nodes])].sort((a, b) => a - b)
  const most = sizes.at(-1) ?? 0
  if (most > NODES_MAX) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot compare modes on ${most} nodes: wanted at most ${NODES_MAX}`,
      'trivium sim capacity calculates larger ones',
    )
  }
  const sized = sizes.map((nodes) => sizedTo(scenario, nodes))
  const wanted = modes ?? (scenario.modes.length > 1 ? scenario.modes : usualModes(scenario))
  const { able, skipped } = sorted(sized.at(-1) ?? scenario, wanted)
  const scenarios = sized.map((each) => ({ ...each, modes: [...able] }))
  for (const each of scenarios) {
    const complaint = checkScenario(each)
    if (complaint !== undefined) throw impossible(each, complaint.path, complaint.message)
  }
  return { scenarios, skipped }
}

/** Runs what was planned under its own seed, sizes one after the other. */
export function runCompare(
  { scenarios, skipped }: ComparePlan,
  progress: Progress = () => {},
): CompareResult {
  const total = scenarios.reduce((sum, { nodes }) => sum + nodes, 0)
  let done = 0
  const runs = scenarios.map((scenario): ComparedRun => {
    const { nodes } = scenario
    const result = runWith('auto', scenario, (share, what) =>
      progress((done + share * nodes) / total, `${nodes} nodes, ${what}`),
    )
    done += nodes
    return { nodes, result, others: [] }
  })
  return { runs, skipped }
}

/** The usual ones, masquerading or not as the scenario's own does. */
function usualModes({ modes: [own] }: Scenario): readonly ScenarioMode[] {
  if (own === undefined || own.mode === 'mixed') return CAPACITY_MODES
  return CAPACITY_MODES.map((mode) => ({ ...mode, masquerade: own.masquerade }))
}

/** The same racks, as full; a listed fabric has the racks that it lists. */
function sizedTo(scenario: Scenario, nodes: number): Scenario {
  if (nodes === scenario.nodes || scenario.fabric.kind === 'listed') return { ...scenario, nodes }
  const perRack = Math.ceil(scenario.nodes / scenario.racks)
  const { kind, dataCenters, groups } = scenario.fabric
  const least = dataCenters * (kind === 'three-tier' ? groups : 1)
  return { ...scenario, nodes, racks: Math.max(least, Math.ceil(nodes / perRack)) }
}

/** Modes that the scenario can have, each judged alone, and the others. */
function sorted(
  scenario: Scenario,
  wanted: readonly RunMode[],
): { readonly able: readonly RunMode[]; readonly skipped: readonly Skipped[] } {
  const able: RunMode[] = []
  const skipped: (Skipped & { readonly path: readonly string[] })[] = []
  for (const mode of wanted) {
    const complaint = checkScenario({ ...scenario, modes: [mode] }) ?? unknown(scenario, mode)
    if (complaint === undefined) able.push(mode)
    else skipped.push({ label: labelOf(mode), reason: complaint.message, path: complaint.path })
  }
  const [first] = skipped
  if (able.length === 0 && first !== undefined) throw impossible(scenario, first.path, first.reason)
  return { able, skipped: skipped.map(({ label, reason }) => ({ label, reason })) }
}

/** What an engine does not know that has to run it. */
function unknown(scenario: Scenario, mode: RunMode): Complaint | undefined {
  const message = mustScale(scenario) ? whyNotScaled(scenario, mode) : undefined
  return message === undefined ? undefined : { path: ['modes'], message }
}

function impossible({ nodes }: Scenario, path: readonly string[], message: string): TriviumError {
  return new TriviumError(
    'BAD_CONFIG',
    `Cannot compare modes on ${nodes} nodes: ${path.join('.')}: ${message}`,
  )
}
