/**
 * The shell of sweeps: reads the file and its base, has the runs done that are not there
 * yet, keeps and reports them. Who runs them, and on how many threads, is the caller's.
 *
 * @module
 */
import { dirname, resolve } from 'node:path'
import { parseDocument, stringify } from 'yaml'
import { TriviumError } from '../src/errors.ts'
import { counted } from '../src/words.ts'
import type { EngineChoice } from './engine.ts'
import { exists, locate, readInputs, readScenario, readText, writeWhole } from './files.ts'
import { memoryNeeded } from './memory.ts'
import type { RunTasks } from './other-seeds.ts'
import { count } from './report/words.ts'
import type { Progress } from './run.ts'
import { type Scenario, scenarioFrom } from './scenario.ts'
import type { Task } from './seeds.ts'
import { parseSweep } from './sweep/file.ts'
import { demandSame, jobWords, type Merged, mergeResults } from './sweep/merge.ts'
import { jobsOf, planSweep, type Shard, type SweepJob, type SweepPlan } from './sweep/plan.ts'
import { runPoint, type SweepResult } from './sweep/result.ts'
import { demandFigures, type SweepSummary, summaryOf } from './sweep/summary.ts'
import { sweepData, sweepHead, sweepText } from './sweep/text.ts'
import { keepPlan, openResults, readFolder, readResults, writeResults } from './sweep-folder.ts'
import { filesOf } from './timeline/inputs.ts'

export type { SweepResult }
export { runPoint }

/** Runs that are named of those that are missing or double. */
const NAMED_MAX = 12

export interface SweepReport {
  readonly output: 'text' | 'wide' | 'json' | 'yaml'
  readonly html?: string
  /** Names of measures. */
  readonly figures?: readonly string[]
  readonly write: (text: string) => void
  /** What is said beside the answer. */
  readonly warn: (text: string) => void
}

export interface SweepOptions extends SweepReport {
  readonly file: string
  readonly seeds?: number
  /** In place of the file's. */
  readonly engine?: EngineChoice
  /** Folder of results. Undefined: nothing is kept. */
  readonly out?: string
  readonly shard?: Shard
  /** Version of the program. */
  readonly program: string
  readonly scenariosDir: string
  readonly progress?: Progress
  readonly runTasks: RunTasks<SweepResult>
}

/** How a sweep ended: 0 all passed, 1 a check failed, or somebody stopped it. */
export type SweepEnd = 0 | 1 | 'stopped'

/**
 * Runs what is not there yet of a sweep.
 *
 * @throws {TriviumError} BAD_CONFIG or NOT_FOUND for the file, its base, a point or a folder; USAGE for a figure.
 */
export async function sweepFile(options: SweepOptions): Promise<SweepEnd> {
  const { out, shard, warn, progress } = options
  demandFigures(options.figures)
  await demandPlace(options.html)
  const { plan, scenarios } = await readSweep(options)
  if (isForPeople(options)) options.write(`${sweepHead(plan)}\n`)
  const own = jobsOf(plan, shard)
  const kept = out === undefined ? { parts: [], torn: 0 } : await readResults(out)
  if (kept.torn > 0) warn(`${counted(kept.torn, 'torn line')} in ${out}: not read, run again`)
  const results = new Map(mergeResults(plan, kept.parts).results)
  const left = own.filter(({ key }) => !results.has(key))
  const there = own.length - left.length
  if (there > 0) warn(`${count(there)} of ${count(own.length)} runs are in ${out} already`)
  if (out !== undefined) await keepPlan(out, plan)

  const writer = out === undefined || left.length === 0 ? undefined : openResults(out, shard)
  let done = there
  try {
    const bytes = Math.max(...scenarios.map(memoryNeeded))
    const tasks = left.map((job) => taskOf(plan, scenarios, job))
    await options.runTasks(tasks, bytes, (result) => {
      writer?.add(result)
      results.set(result.key, result)
      done++
      progress?.(done / own.length, `${count(done)} of ${count(own.length)} runs`)
    })
  } finally {
    writer?.close()
  }
  const runs = `${count(done)} of ${count(own.length)} runs`
  if (done < own.length) {
    const what = out === undefined ? 'nothing is kept without --out' : 'the same command goes on'
    warn(`stopped: ${runs} are there; ${what}`)
    return 'stopped'
  }
  if (shard === undefined) return report(options, plan, results)
  return shardReport(options, shard, plan, own, results)
}

const taskOf = (plan: SweepPlan, scenarios: readonly Scenario[], job: SweepJob): Task => ({
  key: job.key,
  scenario: { ...scenarios[job.point]!, seed: job.seed },
  words: jobWords(plan, job),
})

/** What one shard did; its figures are a part of the whole, and are not shown. */
function shardReport(
  { output, write, out }: SweepOptions,
  shard: Shard,
  plan: SweepPlan,
  own: readonly SweepJob[],
  results: ReadonlyMap<string, SweepResult>,
): 0 | 1 {
  const failed = own.filter(({ key }) => (results.get(key)?.failed.length ?? 0) > 0)
  const { index, count: shards } = shard
  if (output === 'json' || output === 'yaml') {
    const runs = { wanted: own.length, there: own.length, failed: failed.length }
    write(dataText({ sweep: plan.id, shard: `${index}/${shards}`, out, runs }, output))
  } else {
    write(`shard ${index}/${shards}: ${count(own.length)} runs in ${out}\n`)
    for (const job of failed.slice(0, NAMED_MAX)) {
      write(`FAILED ${jobWords(plan, job)}: ${results.get(job.key)?.failed.join('; ')}\n`)
    }
  }
  return failed.length === 0 ? 0 : 1
}

export interface MergeOptions extends SweepReport {
  readonly folders: readonly string[]
  /** Where to write the whole. */
  readonly out?: string
  /** Reports also when runs are missing. */
  readonly partial?: boolean
}

/**
 * Reports what several folders hold of one sweep.
 *
 * @throws {TriviumError} NOT_FOUND or BAD_JSON for a folder; CONFLICT: folders of different sweeps, a run
 * with two results, or, without `partial`, missing runs.
 */
export async function mergeFolders(options: MergeOptions): Promise<0 | 1> {
  const { folders, out, warn, partial = false } = options
  demandFigures(options.figures)
  await demandPlace(options.html)
  const names = [...new Set(folders.map((folder) => resolve(folder)))]
  if (names.length < folders.length) warn('a folder is named twice: read once')
  const read = []
  for (const folder of new Set(folders)) read.push({ folder, ...(await readFolder(folder)) })
  demandSame(read)
  const { plan } = read[0]!
  const torn = read.reduce((sum, each) => sum + each.torn, 0)
  if (torn > 0) warn(`${counted(torn, 'torn line')}: not read`)
  const merged = mergeResults(
    plan,
    read.flatMap(({ parts }) => parts),
  )
  sayDoubles(plan, merged, warn)
  demandWhole(plan, merged, partial, warn)
  if (out !== undefined) await writeResults(out, plan, merged.results.values())
  if (isForPeople(options)) options.write(`${sweepHead(plan)}\n`)
  return report(options, plan, merged.results)
}

function sayDoubles(plan: SweepPlan, { doubles }: Merged, warn: (text: string) => void): void {
  if (doubles.length === 0) return
  const named = doubles
    .slice(0, NAMED_MAX)
    .map(({ job, from }) => `  ${jobWords(plan, job)}: ${from.join(', ')}`)
  warn([`double, and alike: ${counted(doubles.length, 'run')}`, ...named].join('\n'))
}

function demandWhole(
  plan: SweepPlan,
  { missing, results }: Merged,
  partial: boolean,
  warn: (text: string) => void,
): void {
  if (missing.length === 0) return
  const wanted = results.size + missing.length
  const named = missing.slice(0, NAMED_MAX).map((job) => jobWords(plan, job))
  const more = missing.length > named.length ? ', …' : ''
  const found = `${count(missing.length)} of ${count(wanted)} runs are missing: ${named.join(', ')}${more}`
  if (!partial) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot merge sweep ${plan.id}: ${found}`,
      'run the shard that has them again, or use --partial to see what there is',
    )
  }
  warn(found)
}

async function report(
  options: SweepReport,
  plan: SweepPlan,
  results: ReadonlyMap<string, SweepResult>,
): Promise<0 | 1> {
  const { output, html, figures, write } = options
  const summary = summaryOf(plan, results, figures, output === 'wide')
  if (output === 'json' || output === 'yaml') write(dataText(sweepData(summary), output))
  else write(`\n${sweepText(summary)}`)
  if (html !== undefined) {
    await writeWhole(html, await htmlOf(summary))
    if (isForPeople(options)) write(`report ${html}\n`)
  }
  return summary.failed.length === 0 ? 0 : 1
}

async function htmlOf(summary: SweepSummary): Promise<string> {
  const { sweepHtml } = await import('./sweep/html.ts')
  return sweepHtml(summary)
}

/** The file, its base and the files of the base's workload. */
async function readSweep(options: SweepOptions): Promise<ReturnType<typeof planSweep>> {
  const { file: path, scenariosDir, program, seeds, engine } = options
  const text = await readText(path)
  const file = parseSweep(text, path)
  const at = await baseOf(file.base, path, scenariosDir)
  return planSweep({ file, path, text, program, seeds, engine, ...at })
}

/** The base as its file holds it, checked, and what it reads from beside it. */
async function baseOf(
  base: string | Readonly<Record<string, unknown>>,
  path: string,
  scenariosDir: string,
): Promise<{ readonly base: unknown; readonly files: ReadonlyMap<string, string> }> {
  const folder = dirname(path)
  if (typeof base !== 'string') {
    const plain = scenarioFrom(base, ({ path: place, message }) => {
      const where = ['base', ...place].join('.')
      throw new TriviumError('BAD_CONFIG', `Cannot read sweep ${path}: ${where}: ${message}`)
    })
    return { base, files: await readInputs(folder, filesOf(plain)) }
  }
  const beside = resolve(folder, base)
  const from = (await exists(beside)) ? beside : await locate(base, scenariosDir)
  const { text, scenario } = await readScenario(from)
  const document = parseDocument(text).toJS({ maxAliasCount: 100 })
  return { base: document, files: await readInputs(dirname(from), filesOf(scenario)) }
}

/** A place that is not there is said now, not after an hour. */
async function demandPlace(html: string | undefined): Promise<void> {
  if (html === undefined || (await exists(dirname(resolve(html))))) return
  const message = `Cannot write report ${html}: there is no folder ${dirname(html)}`
  throw new TriviumError('BAD_CONFIG', message)
}

const isForPeople = ({ output }: SweepReport): boolean => output === 'text' || output === 'wide'

const dataText = (data: unknown, output: 'json' | 'yaml'): string =>
  output === 'json'
    ? `${JSON.stringify(data, null, 2)}\n`
    : stringify(data, { aliasDuplicateObjects: false })
