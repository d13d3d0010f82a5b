/**
 * The simulator's shell: reads a scenario file, runs it, writes the reports.
 *
 * The only file here that touches files and streams.
 *
 * @module
 */
import { access, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { TriviumError } from '../src/errors.ts'
import { memoryNeeded } from './memory.ts'
import { labelOf } from './network.ts'
import { dataReport } from './report/data.ts'
import { textReport } from './report/text.ts'
import { type Progress, type RunResult, runScenario } from './run.ts'
import { parseScenario, type Scenario } from './scenario.ts'
import { filesOf, INPUT_BYTES_MAX } from './timeline/inputs.ts'

export type OutputFormat = 'text' | 'wide' | 'json' | 'yaml'
export const OUTPUT_FORMATS: readonly OutputFormat[] = ['text', 'wide', 'json', 'yaml']

export interface RunOptions {
  /** A path, or the name of a built-in scenario. */
  readonly file: string
  /** Takes the place of the scenario's. */
  readonly seed?: number
  readonly output: OutputFormat
  /** Where to write the HTML report. */
  readonly html?: string
  /** Folder of the built-in scenarios. */
  readonly scenariosDir: string
  readonly progress?: Progress
  readonly write: (text: string) => void
}

/**
 * Runs one scenario file.
 *
 * @returns 0 when every checker passed, 1 when one failed. An overflow is a finding, not a failure.
 * @throws {TriviumError} NOT_FOUND or BAD_CONFIG for the file, its contents or a path.
 */
export async function runScenarioFile(options: RunOptions): Promise<0 | 1> {
  const path = await locate(options.file, options.scenariosDir)
  const { text, scenario } = await readScenario(path, options.seed)
  const forPeople = options.output === 'text' || options.output === 'wide'
  // Before the run: a seed and a version are a whole bug report, also when it never ends.
  if (forPeople) options.write(`${headerOf(path, scenario)}\n\n`)
  const result = runScenario(scenario, options.progress)
  options.write(reportOf(result, options.output))
  if (options.html !== undefined) {
    const { htmlReport } = await import('./report/html.ts')
    const command = `trivium sim run ${options.file} --seed ${scenario.seed}`
    await writeWhole(options.html, htmlReport(result, { text, command }))
    if (forPeople) options.write(`report ${options.html}\n`)
  }
  return result.passed ? 0 : 1
}

/**
 * Bytes of heap that a scenario will need.
 *
 * @throws {TriviumError} As running it does.
 */
export async function memoryOfScenario(file: string, scenariosDir: string): Promise<number> {
  const path = await locate(file, scenariosDir)
  return memoryNeeded(parseScenario(await readText(path), path))
}

/** Names of the built-in scenarios. */
export async function builtInScenarios(scenariosDir: string): Promise<readonly string[]> {
  const files = await readdir(scenariosDir).catch((): string[] => [])
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort()
}

/** The seed and every option, in one line a person can send. */
function headerOf(path: string, scenario: Scenario): string {
  const { nodes, podsPerNode, racks, spines, seed, pools, times } = scenario
  const modes = scenario.modes.map((mode) => labelOf(mode).replaceAll(' ', '/'))
  const places = pools.map(({ cidr, blockLength, network }) => {
    const place = blockLength === undefined ? cidr : `${cidr}:${blockLength}`
    return network === undefined ? place : `${network}=${place}`
  })
  const sizes = Object.entries(scenario.switch).map(([name, value]) => `${name}=${value}`)
  const delays = Object.entries(times).map(([name, value]) => `${name}=${value}`)
  return [
    `scenario ${path}`,
    `seed ${seed}  nodes ${nodes}  podsPerNode ${podsPerNode}  racks ${racks}  spines ${spines}`,
    `modes ${modes.join(' ')}  pools ${places.join(' ')}  switch ${sizes.join(' ')}`,
    `times ${delays.join(' ')}`,
    `fabric ${fabricWords(scenario)}  talk ${scenario.talk}  gcThresh3 ${scenario.kernel.gcThresh3}`,
  ].join('\n')
}

/** Numbers and words as they are; of lists how long they are. */
function fabricWords({ fabric }: Scenario): string {
  return Object.entries(fabric)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.length : value}`)
    .join(' ')
}

function reportOf(result: RunResult, output: OutputFormat): string {
  switch (output) {
    case 'text':
    case 'wide':
      return textReport(result, output === 'wide')
    case 'json':
      return `${JSON.stringify(dataReport(result), null, 2)}\n`
    case 'yaml':
      return stringify(dataReport(result), { aliasDuplicateObjects: false })
  }
}

/**
 * Reads a scenario and the files of its workload, which are beside it.
 *
 * @param seed Takes the place of the scenario's.
 * @throws {TriviumError} BAD_CONFIG for a file that cannot be read, or what it holds.
 */
export async function readScenario(
  path: string,
  seed?: number,
): Promise<{ readonly text: string; readonly scenario: Scenario }> {
  const text = await readText(path)
  const plain = parseScenario(text, path, { seed })
  const names = filesOf(plain)
  if (names.length === 0) return { text, scenario: plain }
  const files = new Map<string, string>()
  for (const name of names) files.set(name, await readInput(resolve(dirname(path), name)))
  return { text, scenario: parseScenario(text, path, { seed, files }) }
}

/** A trace or a list of pods. What is too large is not even opened. */
async function readInput(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size <= INPUT_BYTES_MAX) return await readFile(path, 'utf8')
  } catch (thrown) {
    throw new TriviumError('BAD_CONFIG', `Cannot read ${path}: ${reasonOf(thrown)}`, '', thrown)
  }
  const mib = INPUT_BYTES_MAX / 2 ** 20
  throw new TriviumError('BAD_CONFIG', `Cannot read ${path}: wanted at most ${mib} MiB`)
}

/** A file of that path; otherwise the built-in scenario of that name. */
async function locate(file: string, scenariosDir: string): Promise<string> {
  if (await exists(file)) return file
  const builtIn = join(scenariosDir, `${file}.yaml`)
  if (/^[\w-]+$/.test(file) && (await exists(builtIn))) return builtIn
  const names = await builtInScenarios(scenariosDir)
  const known = names.length === 0 ? '' : `, or a built-in one: ${names.join(', ')}`
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot read scenario ${file}: there is no such file, wanted a path${known}`,
  )
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot read scenario ${path}: ${reasonOf(thrown)}`,
      '',
      thrown,
    )
  }
}

/** Aside, then renamed: a reader never sees half a report. */
async function writeWhole(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.tmp`
  try {
    await writeFile(aside, text)
    await rename(aside, path)
  } catch (thrown) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot write report ${path}: ${reasonOf(thrown)}`,
      '',
      thrown,
    )
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)
