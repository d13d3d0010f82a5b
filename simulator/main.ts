/**
 * The simulator's shell: reads a scenario file, runs it, writes the reports.
 *
 * With files.ts the only one here that knows a world outside.
 *
 * @module
 */
import { dirname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { TriviumError } from '../src/errors.ts'
import { answer, type CapacityAnswer } from './capacity/answer.ts'
import { type QuestionFlags, questionOf } from './capacity/question.ts'
import { type CapacityEngine, hasDifferences, modeRunOf, planRuns } from './capacity/run.ts'
import { type ComparePlan, modesNamed, planCompare, runCompare } from './compare.ts'
import { type EngineChoice, runWith, withEngine } from './engine.ts'
import {
  describedScenarios,
  exists,
  locate,
  makeFolder,
  readInput,
  readScenario,
  writeWhole,
} from './files.ts'
import { memoryNeeded } from './memory.ts'
import { type RunTasks, runHere, runOtherSeeds } from './other-seeds.ts'
import { atItsPeak, type ReplayFlags, recordedFrom, replayScenario } from './replay/plan.ts'
import { capacityCsv, capacityData } from './report/capacity-data.ts'
import { capacityText } from './report/capacity-text.ts'
import { compareText } from './report/compare-text.ts'
import { csvTables, measuresCsv } from './report/csv.ts'
import { compareData, dataReport } from './report/data.ts'
import { headerOf } from './report/header.ts'
import type { Origin } from './report/page.ts'
import { seedsData, seedsText } from './report/seeds-report.ts'
import { textReport } from './report/text.ts'
import type { Progress, RunResult } from './run.ts'
import type { Scenario } from './scenario.ts'
import type { Task } from './seeds.ts'
import { runSwarmSeed, SWARM_HEAD, type SwarmSeed, swarmLine, swarmSummary } from './swarm.ts'

export { reportIncidents } from './incidents.ts'
export { mergeFolders, sweepFile } from './sweep.ts'
export { describedScenarios, readScenario }

export type OutputFormat = 'text' | 'wide' | 'json' | 'yaml' | 'csv'
export const OUTPUT_FORMATS: readonly OutputFormat[] = ['text', 'wide', 'json', 'yaml', 'csv']

/** What every command that runs a scenario is told. */
export interface ReportOptions {
  /** A path, or the name of a built-in scenario. */
  readonly file: string
  /** Takes the place of the scenario's. */
  readonly seed?: number
  readonly output: OutputFormat
  /** @default auto */
  readonly engine?: EngineChoice
  /** Where to write the HTML report. */
  readonly html?: string
  /** Folder for tables as CSV. */
  readonly csv?: string
  /** Folder of the built-in scenarios. */
  readonly scenariosDir: string
  /** Runs so many seeds, and reports what varies. @default 1 */
  readonly seeds?: number
  /** Runs the other seeds. @default here, one after the other */
  readonly runTasks?: RunTasks<RunResult>
  readonly progress?: Progress
  readonly write: (text: string) => void
}

export interface CompareOptions extends ReportOptions {
  /** As `modesNamed` reads them. */
  readonly modes?: readonly string[]
  /** Runs each of these sizes. */
  readonly nodes?: readonly number[]
  /** Asked before the run; false: do not. */
  readonly mayUse?: (bytes: number) => Promise<boolean>
}

/**
 * Runs one scenario file.
 *
 * @returns 0 when every checker passed, 1 when one failed. An overflow is a finding, not a failure.
 * @throws {TriviumError} NOT_FOUND or BAD_CONFIG for the file, its contents or a path.
 */
export async function runScenarioFile(options: ReportOptions): Promise<0 | 1> {
  const path = await locate(options.file, options.scenariosDir)
  const { text, scenario: plain } = await readScenario(path, options.seed)
  const scenario = withEngine(plain, options.engine)
  const { seeds = 1, output, write } = options
  await introduce(options, path, scenario)
  const result = runWith('auto', scenario, options.progress)
  if (isForPeople(output)) write(textReport(result, output === 'wide'))
  const [others = []] = await seeded(options, [scenario], memoryNeeded(scenario))
  const results = [result, ...others]
  if (output === 'csv') write(measuresCsv(results))
  else if (!isForPeople(output)) write(dataText(runData(results), output))
  else if (seeds > 1) write(`\n${seedsText(results, output === 'wide')}`)
  const command = `trivium sim run ${options.file} --seed ${scenario.seed} --seeds ${seeds}`
  await writeReports(options, results, async () => {
    const { htmlReport } = await import('./report/html.ts')
    return htmlReport(result, { text, command }, others)
  })
  return results.every(({ passed }) => passed) ? 0 : 1
}

/** Of each scenario the results of the other seeds that were asked for. */
function seeded(
  { seeds = 1, runTasks, progress }: Omit<ReportOptions, 'scenariosDir'>,
  scenarios: readonly Scenario[],
  bytes: number,
): Promise<readonly (readonly RunResult[])[]> {
  return runOtherSeeds(scenarios, seeds, bytes, runTasks, progress)
}

/**
 * Runs one scenario file in several modes, side by side.
 *
 * @returns As `runScenarioFile`.
 * @throws {TriviumError} As that; USAGE for the name of a mode.
 */
export async function compareScenarioFile(options: CompareOptions): Promise<0 | 1> {
  const path = await locate(options.file, options.scenariosDir)
  const { text, scenario: plain } = await readScenario(path, options.seed)
  const scenario = withEngine(plain, options.engine)
  const { nodes } = options
  const modes = options.modes && modesNamed(options.modes)
  const plan = planCompare(scenario, modes, nodes)
  const bytes = Math.max(...plan.scenarios.map(memoryNeeded))
  if ((await options.mayUse?.(bytes)) === false) return 0
  const flags = [
    ...(options.modes === undefined ? [] : [`--modes ${options.modes.join(',')}`]),
    ...(nodes === undefined ? [] : [`--nodes ${nodes.join(',')}`]),
  ]
  const seeds = `--seed ${scenario.seed} --seeds ${options.seeds ?? 1}`
  const command = ['trivium sim compare', options.file, seeds, ...flags].join(' ')
  return compared({ ...options, file: path }, plan, bytes, { text, command })
}

/** Runs what was planned, and reports it. */
async function compared(
  options: Omit<CompareOptions, 'scenariosDir'>,
  plan: ComparePlan,
  bytes: number,
  origin: Origin,
): Promise<0 | 1> {
  const { output } = options
  await introduce(options, options.file, plan.scenarios.at(-1)!)
  const own = runCompare(plan, options.progress)
  const others = await seeded(options, plan.scenarios, bytes)
  const runs = own.runs.map((run, index) => ({ ...run, others: others[index] ?? [] }))
  const whole = { ...own, runs }
  const results = runs.flatMap((run) => [run.result, ...run.others])
  if (output === 'csv') options.write(measuresCsv(results))
  else if (isForPeople(output)) options.write(compareText(whole, output === 'wide'))
  else options.write(dataText(compareData(whole), output))
  await writeReports(options, results, async () => {
    const { compareHtml } = await import('./report/compare-html.ts')
    return compareHtml(whole, origin)
  })
  return results.every(({ passed }) => passed) ? 0 : 1
}

export interface ReplayOptions extends Omit<CompareOptions, 'nodes' | 'scenariosDir' | 'seed'> {
  readonly flags: ReplayFlags
  /** What was asked, for the HTML report. */
  readonly command: string
}

/**
 * Runs the trace of a real cluster in several modes, side by side.
 *
 * @returns As `runScenarioFile`.
 * @throws {TriviumError} As that; USAGE for the name of a mode.
 */
export async function replayFile(options: ReplayOptions): Promise<0 | 1> {
  const { file, flags, command } = options
  if (options.engine === 'scaled') {
    const why = 'it knows no pods that come and go, wanted exact or auto'
    throw new TriviumError('USAGE', `Cannot replay ${file} by the scaled engine: ${why}`)
  }
  const modes = options.modes && modesNamed(options.modes)
  const recorded = recordedFrom(await readInput(file), file, flags)
  const scenario = replayScenario(recorded, file, flags)
  const plan = planCompare(scenario, modes, undefined)
  const bytes = Math.max(...plan.scenarios.map((each) => memoryNeeded(atItsPeak(each, recorded))))
  if ((await options.mayUse?.(bytes)) === false) return 0
  if (isForPeople(options.output)) options.write(`${scenario.about}\n`)
  return compared(options, plan, bytes, { text: scenario.about, command })
}

export interface SwarmOptions {
  readonly file: string
  /** The first seed; the scenario's, when not given. */
  readonly from?: number
  readonly seeds: number
  /** Runs one seed. @default runSwarmSeed */
  readonly run?: typeof runSwarmSeed
  readonly scenariosDir: string
  readonly progress?: Progress
  readonly write: (text: string) => void
}

/**
 * Runs one scenario under many seeds, a line a seed, and stops at one that fails.
 *
 * @returns 0 when every checker of every seed passed, 1 when one failed.
 * @throws {TriviumError} As `runScenarioFile`; BAD_CONFIG for a scenario without `swarm`.
 */
export async function swarmScenarioFile(options: SwarmOptions): Promise<0 | 1> {
  const { file, seeds, write, run = runSwarmSeed } = options
  const path = await locate(file, options.scenariosDir)
  const { scenario } = await readScenario(path)
  if (scenario.swarm === undefined) {
    const wanted = 'wanted one, like swarm: { forMs: 60000, faults: 10, workload: 50 }'
    throw new TriviumError('BAD_CONFIG', `Cannot read scenario ${path}: it has no swarm, ${wanted}`)
  }
  const from = options.from ?? scenario.seed
  const all: SwarmSeed[] = []
  write(`${SWARM_HEAD}\n`)
  for (let at = 0; at < seeds; at++) {
    const seed = (from + at) % 2 ** 32
    options.progress?.(at / seeds, `seed ${seed}`)
    const found = run(scenario, seed)
    write(`${swarmLine(found)}\n`)
    all.push(found)
    if (found.failed.length === 0) continue
    write(
      `\n${found.failed.join('\n')}\n\nagain: trivium sim run ${file} --seed ${seed} --seeds 1\n`,
    )
    return 1
  }
  const summary = swarmSummary(all)
  if (summary !== '') write(`\n${summary}\n`)
  return 0
}

const isForPeople = (output: OutputFormat): output is 'text' | 'wide' =>
  output === 'text' || output === 'wide'

/**
 * Before the run: a seed and a version are a whole bug report, also when it never
 * ends; and a place that is not there is said now, not after an hour.
 */
async function introduce(
  { output, html, csv, write }: Omit<ReportOptions, 'scenariosDir'>,
  path: string,
  scenario: Scenario,
): Promise<void> {
  if (csv !== undefined) await makeFolder(csv)
  if (html !== undefined && !(await exists(dirname(resolve(html))))) {
    const message = `Cannot write report ${html}: there is no folder ${dirname(html)}`
    throw new TriviumError('BAD_CONFIG', message)
  }
  if (isForPeople(output)) write(`${headerOf(path, scenario)}\n\n`)
}

/** The HTML page and the CSV tables, where they were asked for. */
async function writeReports(
  { output, html, csv, write }: Omit<ReportOptions, 'scenariosDir'>,
  results: readonly RunResult[],
  page: () => string | Promise<string>,
): Promise<void> {
  const say = (what: string): void => {
    if (isForPeople(output)) write(`report ${what}\n`)
  }
  if (csv !== undefined) {
    for (const { name, text } of csvTables(results)) {
      await writeWhole(join(csv, `${name}.csv`), text)
      say(join(csv, `${name}.csv`))
    }
  }
  if (html === undefined) return
  await writeWhole(html, await page())
  say(html)
}

/**
 * Bytes of heap that a scenario will need.
 *
 * @throws {TriviumError} As running it does.
 */
export async function memoryOfScenario(
  file: string,
  scenariosDir: string,
  engine?: EngineChoice,
): Promise<number> {
  const path = await locate(file, scenariosDir)
  return memoryNeeded(withEngine((await readScenario(path)).scenario, engine))
}

/** A question about capacity. */
export interface CapacityOptions {
  /** A path, or the name of a built-in scenario; undefined: the defaults. */
  readonly file?: string | undefined
  readonly flags: QuestionFlags
  readonly output: OutputFormat
  /** What was asked, for the HTML report. */
  readonly command: string
  /** Where to write the HTML report. */
  readonly html?: string
  /** What it is run by, beside the count. @default count */
  readonly engine?: CapacityEngine
  /** Runs the limit, too. */
  readonly verify?: boolean
  /** @default here, one after the other */
  readonly runTasks?: RunTasks<RunResult>
  readonly progress?: Progress
  /** Folder of the built-in scenarios. */
  readonly scenariosDir: string
  readonly write: (text: string) => void
}

/**
 * Answers one question.
 *
 * @returns 1 when a run gave something else than the count.
 * @throws {TriviumError} NOT_FOUND or BAD_CONFIG for the file, USAGE for a flag.
 */
export async function answerCapacity(options: CapacityOptions): Promise<0 | 1> {
  const { file, flags, output, html, scenariosDir, write } = options
  const path = file === undefined ? undefined : await locate(file, scenariosDir)
  const read = path === undefined ? undefined : await readScenario(path)
  const given = await withRuns(answer(questionOf(flags, read?.scenario)), options)
  const text = capacityReport(given, output)
  if (html === undefined) write(text)
  else {
    const { capacityHtml } = await import('./report/capacity-html.ts')
    await writeWhole(html, capacityHtml(given, options.command))
    write(isForPeople(output) ? `${text}\nreport ${html}\n` : text)
  }
  return hasDifferences(given.runs) ? 1 : 0
}

/** The answer with what engines gave, where one is chosen. */
async function withRuns(
  given: CapacityAnswer,
  { engine = 'count', verify = false, runTasks = runHere, progress }: CapacityOptions,
): Promise<CapacityAnswer> {
  if (engine === 'count') return given
  const plans = planRuns(given.question, given.modes, engine, verify)
  const tasks = plans.flatMap(({ tasks: own }, mode) =>
    own.map(({ scenario }, at): Task => {
      const words = `${given.modes[mode]?.label} on ${scenario.nodes} nodes`
      return { key: `${mode} ${at}`, scenario, words }
    }),
  )
  const found = new Map<string, RunResult>()
  const bytes = Math.max(0, ...tasks.map(({ scenario }) => memoryNeeded(scenario)))
  await runTasks(tasks, bytes, (result, { key, words }) => {
    found.set(key, result)
    progress?.(found.size / tasks.length, words)
  })
  const runs = plans.map((plan, mode) =>
    modeRunOf(
      plan,
      plan.tasks.flatMap((_, at) => found.get(`${mode} ${at}`) ?? []),
    ),
  )
  return { ...given, runs }
}

function capacityReport(given: CapacityAnswer, output: OutputFormat): string {
  switch (output) {
    case 'text':
    case 'wide':
      return capacityText(given, output === 'wide')
    case 'csv':
      return capacityCsv(given)
    default:
      return dataText(capacityData(given), output)
  }
}

/** @param results The scenario's own seed first. */
const runData = (results: readonly RunResult[]): object => ({
  ...dataReport(results[0]!),
  seeds: results.length > 1 ? seedsData(results) : null,
})

const dataText = (data: unknown, output: 'json' | 'yaml'): string =>
  output === 'json'
    ? `${JSON.stringify(data, null, 2)}\n`
    : stringify(data, { aliasDuplicateObjects: false })
