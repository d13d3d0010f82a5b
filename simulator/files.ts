/**
 * Files that the simulator reads and writes, and what is said when it cannot.
 *
 * @module
 */
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { TriviumError } from '../src/errors.ts'
import { labelOf } from './network.ts'
import { parseScenario, type Scenario } from './scenario.ts'
import { filesOf, INPUT_BYTES_MAX } from './timeline/inputs.ts'

/** Names of the built-in scenarios. */
async function builtInScenarios(scenariosDir: string): Promise<readonly string[]> {
  const files = await readdir(scenariosDir).catch((): string[] => [])
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort()
}

/** A built-in scenario as a list of them shows it. */
export interface DescribedScenario {
  readonly name: string
  readonly nodes: number
  /** Before anything else happens. */
  readonly pods: number
  readonly modes: readonly string[]
  readonly about: string
  readonly file: string
}

/** The built-in scenarios, and what each shows. */
export async function describedScenarios(
  scenariosDir: string,
): Promise<readonly DescribedScenario[]> {
  const names = await builtInScenarios(scenariosDir)
  return Promise.all(
    names.map(async (name) => {
      const file = join(scenariosDir, `${name}.yaml`)
      const { scenario } = await readScenario(file)
      const { nodes, podsPerNode, about } = scenario
      const modes = scenario.modes.map(labelOf)
      return { name, nodes, pods: nodes * podsPerNode, modes, about, file }
    }),
  )
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
  const files = await readInputs(dirname(path), names)
  return { text, scenario: parseScenario(text, path, { seed, files }) }
}

/** What files of a workload hold, by the names that it has for them. */
export async function readInputs(
  folder: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const name of names) files.set(name, await readInput(resolve(folder, name)))
  return files
}

/** A trace or a list of pods. What is too large is not even opened. */
export async function readInput(path: string): Promise<string> {
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
export async function locate(file: string, scenariosDir: string): Promise<string> {
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

/** @throws {TriviumError} BAD_CONFIG */
export async function readText(path: string): Promise<string> {
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

export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (thrown) {
    const message = `Cannot make folder ${path}: ${reasonOf(thrown)}`
    throw new TriviumError('BAD_CONFIG', message, '', thrown)
  }
}

/** Aside, then renamed: a reader never sees half a report. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.tmp`
  try {
    await writeFile(aside, text)
    await rename(aside, path)
  } catch (thrown) {
    await rm(aside, { force: true }).catch(() => {})
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot write report ${path}: ${reasonOf(thrown)}`,
      '',
      thrown,
    )
  }
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)
