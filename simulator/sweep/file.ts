/**
 * Files of sweeps: a scenario, what changes in it, and how many seeds.
 *
 * @module
 */
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { TriviumError } from '../../src/errors.ts'
import { ENGINES } from '../engine.ts'
import { oneOf, show, whole } from '../scenario-values.ts'

export const SEEDS_MAX = 1000
export const POINTS_MAX = 10_000
export const RUNS_MAX = 100_000
const SEEDS = 10
const AXES_MAX = 8
const VALUES_MAX = 1000
const TEXT_MAX = 4 * 2 ** 20

/** Keys and places in lists between dots, e.g. `times.storeMs` or `pools.0.blockLength`. */
const PATH = /^[a-zA-Z][\w-]*(\.[\w-]+)*$/

const isPath = (path: string): boolean =>
  PATH.test(path) && path.split('.').every((step) => step !== '__proto__')

const settings = z
  .record(z.string(), z.unknown(), {
    error: ({ input }) => `found ${show(input)}, wanted a map of paths, like { nodes: 100 }`,
  })
  .superRefine((found, context) => {
    for (const path of Object.keys(found)) {
      if (path === 'seed') {
        const message = 'found the path seed, wanted the seeds as seeds: 10'
        context.addIssue({ code: 'custom', path: [path], message })
      } else if (!isPath(path)) {
        const message = `found the path ${show(path)}, wanted keys between dots, like times.storeMs`
        context.addIssue({ code: 'custom', path: [path], message })
      }
    }
  })

const values = z
  .array(z.unknown(), {
    error: ({ input }) => `found ${show(input)}, wanted a list of values, like [100, 300]`,
  })
  .min(1, 'found an empty list, wanted at least one value')
  .max(VALUES_MAX, `wanted at most ${VALUES_MAX} values`)

const sweepSchema = z.strictObject({
  name: z.string().max(60).optional(),
  about: z.string().max(2000).default(''),
  /** A path beside the file, the name of a built-in scenario, or the scenario itself. */
  base: z.union([z.string().min(1), z.record(z.string(), z.unknown())], {
    error: ({ input }) =>
      `found ${show(input)}, wanted a scenario: its file, a built-in one's name, or its keys`,
  }),
  grid: settings
    .pipe(z.record(z.string(), values))
    .refine((grid) => Object.keys(grid).length <= AXES_MAX, `wanted at most ${AXES_MAX} paths`)
    .default({}),
  points: z
    .array(settings, { error: () => 'wanted a list of maps, like [{ nodes: 100, racks: 4 }]' })
    .max(POINTS_MAX, `wanted at most ${POINTS_MAX} points`)
    .default([]),
  seeds: whole(1, SEEDS_MAX).default(SEEDS),
  /** `auto`: for each point the one that suits it. */
  engine: oneOf(ENGINES).default('auto'),
  figures: z.array(z.string(), { error: () => 'wanted a list of names of measures' }).optional(),
})

/** As written, defaults filled in. */
export type SweepFile = z.output<typeof sweepSchema>

/** One value at one place of a scenario. */
export interface Setting {
  readonly path: string
  readonly value: unknown
}

/**
 * Reads a sweep. What its points are is not looked at yet.
 *
 * @param file Name for errors.
 * @throws {TriviumError} BAD_CONFIG: `file: path: found X, wanted Y`, for the first error.
 */
export function parseSweep(text: string, file: string): SweepFile {
  const refuse = (why: string): never => {
    throw new TriviumError('BAD_CONFIG', `Cannot read sweep ${file}: ${why}`)
  }
  if (text.length > TEXT_MAX) return refuse(`${text.length} characters, wanted at most ${TEXT_MAX}`)
  const document = parseDocument(text, { prettyErrors: true })
  const [broken] = document.errors
  if (broken !== undefined) return refuse(broken.message.split('\n')[0] ?? '')
  const parsed = sweepSchema.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(sweepSchema.shape).join(', ')
    return refuse(`${where}unknown key ${show(issue.keys[0])}, wanted one of ${known}`)
  }
  const isMissing = issue?.path[0] === 'base' && /found nothing/.test(issue.message)
  return refuse(`${where}${isMissing ? `is missing, ${issue.message}` : (issue?.message ?? '')}`)
}

/**
 * Every combination of the grid, the last path fastest, then the points of the list.
 *
 * @throws {TriviumError} BAD_CONFIG: too many, or none.
 */
export function settingsOf({ grid, points }: SweepFile): readonly (readonly Setting[])[] {
  const axes = Object.entries(grid)
  const size = axes.reduce((product, [, list]) => product * list.length, axes.length === 0 ? 0 : 1)
  const count = size + points.length
  if (count > POINTS_MAX || count === 0) {
    const found = count === 0 ? 'neither a grid nor points' : `${count} points`
    const wanted = `wanted from 1 to ${POINTS_MAX} points, like grid: { nodes: [20, 40] }`
    throw new TriviumError('BAD_CONFIG', `Cannot sweep: found ${found}, ${wanted}`)
  }
  let combined: readonly (readonly Setting[])[] = axes.length === 0 ? [] : [[]]
  for (const [path, list] of axes) {
    combined = combined.flatMap((head) => list.map((value) => [...head, { path, value }]))
  }
  const listed = points.map((point) =>
    Object.entries(point).map(([path, value]): Setting => ({ path, value })),
  )
  return [...combined, ...listed]
}
