/**
 * What a sweep will run: every point, checked, under every seed, and what each run is
 * known by.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { hashHex } from '../../src/hash.ts'
import { type EngineChoice, engineFor, mustScale, whyNotScaled } from '../engine.ts'
import { type EngineKind, type Scenario, scenarioFrom } from '../scenario.ts'
import { RUNS_MAX, type Setting, type SweepFile, settingsOf } from './file.ts'
import { placed, pointWords } from './place.ts'

const SEED_RANGE = 2 ** 32

/** One point: what is set, and the runs of it. */
export interface PlannedPoint {
  readonly settings: readonly Setting[]
  /** What runs it. */
  readonly engine: EngineKind
  /** One a seed, in their order. */
  readonly keys: readonly string[]
}

/** A sweep without its scenarios: what a folder of results keeps. */
export interface SweepPlan {
  /** Hash of every key: the same sweep by the same program. */
  readonly id: string
  /** Version of the program that runs it. */
  readonly program: string
  readonly name: string
  readonly about: string
  /** Every path that any point sets, in the order of the file. */
  readonly paths: readonly string[]
  readonly seeds: readonly number[]
  readonly figures: readonly string[] | undefined
  readonly points: readonly PlannedPoint[]
  /** The file as it was read. */
  readonly text: string
}

/** One run: a point under a seed. */
export interface SweepJob {
  /** Place in the whole sweep: a point after the other, seeds in their order. */
  readonly index: number
  readonly point: number
  readonly seed: number
  readonly key: string
}

/** Where a sweep comes from. */
export interface SweepSource {
  readonly file: SweepFile
  /** Name for errors. */
  readonly path: string
  readonly text: string
  /** What the base's file holds, or the base itself. */
  readonly base: unknown
  /** Texts of the files of the base's workload, by name. */
  readonly files: ReadonlyMap<string, string>
  readonly program: string
  /** In place of the file's number. */
  readonly seeds?: number | undefined
  /** In place of the file's. */
  readonly engine?: EngineChoice | undefined
}

/**
 * Checks every point before anything runs.
 *
 * @returns The plan, and a scenario a point; its seed is the first one.
 * @throws {TriviumError} BAD_CONFIG naming the point and what is wrong with it; two equal points; too many runs.
 */
export function planSweep(source: SweepSource): {
  readonly plan: SweepPlan
  readonly scenarios: readonly Scenario[]
} {
  const { file, path, text, program } = source
  const all = settingsOf(file)
  const count = source.seeds ?? file.seeds
  if (all.length * count > RUNS_MAX) {
    const runs = `${all.length} points with ${count} seeds each`
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot sweep ${path}: found ${runs}, wanted at most ${RUNS_MAX} runs`,
    )
  }
  const scenarios = all.map((settings) => scenarioOf(source, settings))
  const first = scenarios[0]!.seed
  const seeds = Array.from({ length: count }, (_, index) => (first + index) % SEED_RANGE)
  const hashes = new Map<string, readonly Setting[]>()
  const points = all.map((settings, index): PlannedPoint => {
    const hash = scenarioHash(scenarios[index]!)
    const twin = hashes.get(hash)
    if (twin !== undefined) {
      const both = `${pointWords(twin)} and ${pointWords(settings)}`
      throw new TriviumError(
        'BAD_CONFIG',
        `Cannot sweep ${path}: ${both} are the same scenario, wanted each point once`,
      )
    }
    hashes.set(hash, settings)
    const { engine = 'exact' } = scenarios[index] ?? {}
    return {
      settings,
      engine,
      keys: seeds.map((seed) => hashHex(`${program} ${hash} ${seed}`, 16)),
    }
  })
  const plan: SweepPlan = {
    id: hashHex(points.flatMap(({ keys }) => keys).join(' '), 16),
    program,
    name: file.name ?? scenarios[0]!.name,
    about: file.about,
    paths: [...new Set(all.flatMap((settings) => settings.map((each) => each.path)))],
    seeds,
    figures: file.figures,
    points,
    text,
  }
  return { plan, scenarios }
}

function scenarioOf(source: SweepSource, settings: readonly Setting[]): Scenario {
  const { base, files, path, file } = source
  const where = `point ${pointWords(settings)}`
  const refuse = (at: string, why: string): never => {
    throw new TriviumError('BAD_CONFIG', `Cannot sweep ${path}: ${where}: ${at}: ${why}`)
  }
  const value = placed(base, settings, refuse)
  const plain = scenarioFrom(
    value,
    ({ path: place, message }) =>
      refuse(place.length === 0 ? 'scenario' : place.join('.'), message),
    { files },
  )
  const { engine: choice = file.engine } = source
  const scenario = choice === 'auto' ? plain : { ...plain, engine: choice }
  const why = scenario.modes.map((mode) => whyNotScaled(scenario, mode)).find(Boolean)
  if (mustScale(scenario) && why !== undefined) return refuse('engine', why)
  return { ...scenario, engine: engineFor(scenario) }
}

/** Of all that decides about a run but its seed. */
function scenarioHash(scenario: Scenario): string {
  const { inputs, ...plain } = scenario
  const told = { ...plain, name: '', about: '', seed: 0 }
  return hashHex(JSON.stringify([told, inputs === undefined ? [] : [...inputs]]), 16)
}

/** Which part of a sweep one process runs. */
export interface Shard {
  /** From 0 on. */
  readonly index: number
  readonly count: number
}

/** Runs of a shard; of all without one. Neighbours go to different shards: costs of points differ, of seeds hardly. */
export function jobsOf({ points, seeds }: SweepPlan, shard?: Shard): readonly SweepJob[] {
  const jobs = points.flatMap(({ keys }, point) =>
    seeds.map(
      (seed, place): SweepJob => ({
        index: point * seeds.length + place,
        point,
        seed,
        key: keys[place] ?? '',
      }),
    ),
  )
  if (shard === undefined) return jobs
  return jobs.filter(({ index }) => index % shard.count === shard.index)
}
