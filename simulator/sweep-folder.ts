/**
 * Folders of a sweep's results: sweep.json, and a file of lines a shard.
 *
 * A line is written by one call, so what a process that was killed leaves is whole lines,
 * and at most one torn one, which is not read. A run is known by its key, so any number of
 * shards may share a folder.
 *
 * @module
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TriviumError } from '../src/errors.ts'
import { exists, makeFolder, writeWhole } from './files.ts'
import type { ResultsFrom } from './sweep/merge.ts'
import type { Shard, SweepPlan } from './sweep/plan.ts'
import { planText, readPlan } from './sweep/plan-file.ts'
import { lineOf, readLines, type SweepResult } from './sweep/result.ts'

const PLAN_FILE = 'sweep.json'
const RESULTS_FILE = /^runs(-\d+-of-\d+)?\.jsonl$/
const PLAN_BYTES_MAX = 256 * 2 ** 20
/** Longest text of Node is little more. */
const RESULTS_BYTES_MAX = 448 * 2 ** 20
const NEWLINE = 0x0a

/** What a folder holds. */
export interface SweepFolder {
  readonly plan: SweepPlan
  readonly parts: readonly ResultsFrom[]
  /** Lines that were torn. */
  readonly torn: number
}

export const resultsName = (shard: Shard | undefined): string =>
  shard === undefined ? 'runs.jsonl' : `runs-${shard.index}-of-${shard.count}.jsonl`

/** Makes the folder where there is none, and says what is to be run there. */
export async function keepPlan(folder: string, plan: SweepPlan): Promise<void> {
  await makeFolder(folder)
  await writeWhole(join(folder, PLAN_FILE), planText(plan))
}

/** @throws {TriviumError} NOT_FOUND: no sweep was run there. BAD_JSON */
export async function readFolder(folder: string): Promise<SweepFolder> {
  const path = join(folder, PLAN_FILE)
  if (!(await exists(path))) {
    const wanted = 'wanted a folder of trivium sim sweep --out'
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot read ${folder}: no ${PLAN_FILE} is there, ${wanted}`,
    )
  }
  const plan = readPlan(await readBounded(path, PLAN_BYTES_MAX), path)
  return { plan, ...(await readResults(folder)) }
}

/** All results there, whoever wrote them. */
export async function readResults(
  folder: string,
): Promise<{ readonly parts: readonly ResultsFrom[]; readonly torn: number }> {
  const names = await readdir(folder).catch((): string[] => [])
  const parts: ResultsFrom[] = []
  let torn = 0
  for (const name of names.filter((each) => RESULTS_FILE.test(each)).sort()) {
    const from = join(folder, name)
    const read = readLines((await readBounded(from, RESULTS_BYTES_MAX)).split('\n'))
    parts.push({ from, results: read.results })
    torn += read.torn
  }
  return { parts, torn }
}

async function readBounded(path: string, most: number): Promise<string> {
  const { size } = await stat(path)
  if (size <= most) return readFile(path, 'utf8')
  const found = `found ${size} bytes, wanted at most ${most}`
  throw new TriviumError('BAD_CONFIG', `Cannot read ${path}: ${found}`)
}

/** Takes results as they come. */
export interface ResultsWriter {
  add(result: SweepResult): void
  close(): void
}

/** Appends to a shard's file. A line that was torn before stays a line of its own. */
export function openResults(folder: string, shard: Shard | undefined): ResultsWriter {
  const path = join(folder, resultsName(shard))
  let file: number
  try {
    file = openSync(path, 'a+')
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('BAD_CONFIG', `Cannot write ${path}: ${why}`, '', thrown)
  }
  if (isTorn(file)) writeSync(file, '\n')
  return {
    add(result) {
      const line = Buffer.from(lineOf(result))
      const written = writeSync(file, line)
      if (written === line.length) return
      const found = `wrote ${written} of ${line.length} bytes`
      throw new TriviumError('STORE', `Cannot write ${path}: ${found}, wanted room on the disk`)
    },
    close() {
      fsyncSync(file)
      closeSync(file)
    },
  }
}

function isTorn(file: number): boolean {
  const { size } = fstatSync(file)
  if (size === 0) return false
  const last = Buffer.alloc(1)
  readSync(file, last, 0, 1, size - 1)
  return last[0] !== NEWLINE
}

/** Every result of a whole sweep, in its order. */
export async function writeResults(
  folder: string,
  plan: SweepPlan,
  results: Iterable<SweepResult>,
): Promise<void> {
  await keepPlan(folder, plan)
  const text = [...results].map(lineOf).join('')
  await writeWhole(join(folder, resultsName(undefined)), text)
}
