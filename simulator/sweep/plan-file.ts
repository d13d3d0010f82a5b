/**
 * A plan as a folder of results keeps it, so that reports need no scenario again.
 *
 * @module
 */
import { z } from 'zod'
import { TriviumError } from '../../src/errors.ts'
import { ENGINE_KINDS } from '../scenario.ts'
import { show } from '../scenario-values.ts'
import { POINTS_MAX, SEEDS_MAX } from './file.ts'
import type { SweepPlan } from './plan.ts'

const FORMAT = 1

const planSchema = z.strictObject({
  format: z.literal(FORMAT),
  id: z.string(),
  program: z.string(),
  name: z.string(),
  about: z.string(),
  paths: z.array(z.string()),
  seeds: z.array(z.number()).min(1).max(SEEDS_MAX),
  figures: z.array(z.string()).optional(),
  points: z
    .array(
      z.strictObject({
        settings: z.array(z.strictObject({ path: z.string(), value: z.unknown() })),
        engine: z.enum(ENGINE_KINDS).default('exact'),
        keys: z.array(z.string()),
      }),
    )
    .min(1)
    .max(POINTS_MAX),
  text: z.string(),
})

/** As text. The same plan is the same text. */
export const planText = (plan: SweepPlan): string =>
  `${JSON.stringify({ format: FORMAT, ...plan })}\n`

/** @throws {TriviumError} BAD_JSON for what is no plan of this program. */
export function readPlan(text: string, path: string): SweepPlan {
  const refuse = (found: string): never => {
    const wanted = `wanted what trivium sim sweep --out writes, format ${FORMAT}`
    throw new TriviumError('BAD_JSON', `Cannot read ${path}: found ${found}, ${wanted}`)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse('no JSON')
  }
  const parsed = planSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse(`${show(issue?.path.join('.'))}: ${issue?.message ?? ''}`)
  }
  const { format: _, figures, points, ...plan } = parsed.data
  if (points.some(({ keys }) => keys.length !== plan.seeds.length)) {
    return refuse('a point without a key for each seed')
  }
  return { ...plan, figures, points }
}
