/**
 * The shell of incidents: reads the files that are asked for, puts their questions, and
 * writes the answers beside the reports.
 *
 * @module
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { stringify } from 'yaml'
import { TriviumError } from '../src/errors.ts'
import { exists, readText } from './files.ts'
import { askIncident } from './incidents/ask.ts'
import { type Incident, parseIncident } from './incidents/file.ts'
import type { Judged } from './incidents/judge.ts'
import { incidentsCsv, incidentsData, incidentsText } from './incidents/text.ts'
import type { Progress } from './run.ts'
import { nearest } from './suggest.ts'

/** Answers that take longer are left out by `quick`. */
const QUICK_SECONDS = 3

export interface IncidentsOptions {
  /** Names of built-in ones, or paths; none: all. */
  readonly names: readonly string[]
  /** Only those that take seconds. */
  readonly quick?: boolean
  readonly output: 'text' | 'wide' | 'json' | 'yaml' | 'csv'
  /** Folder of the built-in ones. */
  readonly incidentsDir: string
  readonly progress?: Progress
  readonly write: (text: string) => void
}

/**
 * Asks and judges incidents, in the order of their names.
 *
 * @throws {TriviumError} NOT_FOUND or BAD_CONFIG for a name or a file.
 */
export async function reportIncidents(options: IncidentsOptions): Promise<void> {
  const { names, quick = false, output, progress, write } = options
  const all = await readIncidents(options.incidentsDir, names)
  const asked = all.filter(({ takesSeconds }) => !quick || takesSeconds <= QUICK_SECONDS)
  const judged: Judged[] = []
  for (const [index, incident] of asked.entries()) {
    progress?.(index / asked.length, incident.name)
    judged.push(askIncident(incident))
  }
  switch (output) {
    case 'text':
    case 'wide':
      return write(incidentsText(judged, output === 'wide' || names.length > 0))
    case 'csv':
      return write(incidentsCsv(judged))
    case 'json':
      return write(`${JSON.stringify(incidentsData(judged), null, 2)}\n`)
    case 'yaml':
      return write(stringify(incidentsData(judged), { aliasDuplicateObjects: false }))
  }
}

/** @throws {TriviumError} NOT_FOUND or BAD_CONFIG. */
export async function readIncidents(
  incidentsDir: string,
  names: readonly string[] = [],
): Promise<readonly Incident[]> {
  const known = await builtIn(incidentsDir)
  const paths =
    names.length === 0
      ? known.map((name) => join(incidentsDir, `${name}.yaml`))
      : await Promise.all(names.map((name) => locate(name, incidentsDir, known)))
  return Promise.all(paths.map(async (path) => parseIncident(await readText(path), path)))
}

async function builtIn(incidentsDir: string): Promise<readonly string[]> {
  const files = await readdir(incidentsDir).catch((): string[] => [])
  const yaml = files.filter((file) => file.endsWith('.yaml'))
  return yaml.map((file) => basename(file, '.yaml')).sort()
}

async function locate(name: string, folder: string, known: readonly string[]): Promise<string> {
  if (known.includes(name)) return join(folder, `${name}.yaml`)
  if (await exists(name)) return name
  const like = nearest(name, known)
  const hint = like === undefined ? '' : ` (did you mean ${like}?)`
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot read incident ${name}: there is no such file${hint}, wanted a path or one of ${known.join(', ')}`,
  )
}
