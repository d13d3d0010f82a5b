/**
 * Files of incidents: what somebody reported in public, the question that is put to the
 * simulator, and the rule by which its answer is judged.
 *
 * @module
 */
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { TriviumError } from '../../src/errors.ts'
import { decimal, oneOf, show, whole } from '../scenario-values.ts'

const TEXT_MAX = 2 ** 20
const NODES_MAX = 1_000_000
const ENTRIES_MAX = 10_000_000

const words = z.string().min(1).max(400)
const name = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'wanted small letters, digits and dashes')
const entries = whole(1, ENTRIES_MAX)

/**
 * How an answer is held to a report: the same, on one side of it, or within a factor. What is
 * `shown` was not reported, and does not count.
 */
const RULE = /^(same|at least|at most|shown|within x (\d+(?:\.\d+)?))$/

const rule = z.string().regex(RULE, 'wanted same, at least, at most, within x 2, or shown')

/** One figure of the answer beside the report's. */
const expectation = z
  .strictObject({
    /** Read behind the value: `1 018 nodes with the usual gc_thresh3`. */
    what: words,
    reported: z.union([z.number(), z.string().min(1).max(100)]).optional(),
    unit: oneOf(['count', 'ms', 's', 'share', 'bytes', 'entries', 'pods']).default('count'),
    rule: rule.default('same'),
    /** Which point, case or step of the question. */
    at: z.string().optional(),
    mode: z.string().optional(),
    figure: z.string().optional(),
    /** In place of a figure: why there is none. */
    missing: words.optional(),
  })
  .refine(({ figure, missing }) => (figure === undefined) !== (missing === undefined), {
    message: 'wanted either figure or missing',
  })
  .refine(({ reported, rule: held }) => (reported === undefined) === (held === 'shown'), {
    message: 'wanted reported, or the rule shown without it',
  })

const capacity = z.strictObject({
  nodes: whole(1, NODES_MAX).optional(),
  racks: whole(1, NODES_MAX).optional(),
  nodesPerRack: whole(1, 10_000).optional(),
  pods: whole(1, 10_000).optional(),
  profile: z.string().optional(),
  host: entries.optional(),
  lpm: entries.optional(),
  mac: entries.optional(),
  pool: z.array(z.string()).optional(),
  blockLength: whole(16, 32).optional(),
  talk: z.union([z.literal('none'), z.literal('all'), entries]).optional(),
  gcThresh3: entries.optional(),
  mode: z.array(z.string()).min(1),
})

const rehome = z.strictObject({
  /** Of nodes that leave, and whose successors are in other racks; a step each. */
  percents: z
    .array(decimal(0, 100, 3))
    .min(1)
    .max(20),
  placement: oneOf(['lowest', 'rack']),
})

const allotCase = z.strictObject({
  blockLength: whole(16, 32),
  /** `chance`: no allocator; every pod has an address of the pool by chance. */
  placement: oneOf(['lowest', 'rack', 'chance']),
  /** In place of the question's. */
  pool: z.string().optional(),
  spare: z.boolean().default(false),
  rehome: rehome.optional(),
})

const allot = z.strictObject({
  nodes: whole(1, 20_000),
  racks: whole(1, 5000),
  podsPerNode: whole(1, 1000),
  pool: z.string(),
  seed: whole(0, 2 ** 32 - 1).default(1),
  cases: z.record(name, allotCase),
})

const leave = z.strictObject({
  pool: z.string(),
  blockLength: whole(16, 32),
  /** Nodes at a time: when one comes the oldest goes. */
  living: whole(1, 10_000),
  /** No more than so many nodes come. */
  nodes: whole(1, NODES_MAX),
  spare: z.boolean().default(false),
})

const run = z.strictObject({
  scenario: z.record(z.string(), z.unknown()),
  /** The scenario with other values in some places, as points of a sweep. */
  points: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
})

const question = z.union([
  z.strictObject({ capacity }),
  z.strictObject({ allot }),
  z.strictObject({ leave }),
  z.strictObject({ run }),
])

const incidentSchema = z
  .strictObject({
    name,
    about: words,
    /** Issues and pull requests as `owner/repo#number`, or addresses of pages. */
    links: z.array(z.string().min(1)).min(1),
    /** What was said, in one line; where nothing is asked it is all there is. */
    reported: words,
    /** What the simulator does about it, and why no more. */
    because: z.string().min(1).max(1000).optional(),
    /** Seconds that the answer takes, about: those of more than a few are left out by `--quick`. */
    takesSeconds: whole(0, 3600).default(1),
    question: question.optional(),
    expect: z.array(expectation).default([]),
  })
  .refine((found) => (found.question === undefined) === (found.expect.length === 0), {
    message: 'wanted both question and expect, or because alone',
  })
  .refine((found) => found.question !== undefined || found.because !== undefined, {
    message: 'wanted because: why nothing is asked',
  })

/** As written, defaults filled in. */
export type Incident = z.output<typeof incidentSchema>
export type Expectation = z.output<typeof expectation>
export type Question = z.output<typeof question>
export type AllotQuestion = z.output<typeof allot>
export type AllotCase = z.output<typeof allotCase>
export type LeaveQuestion = z.output<typeof leave>
export type RunQuestion = z.output<typeof run>
export type CapacityQuestion = z.output<typeof capacity>

/**
 * Reads one incident.
 *
 * @param file Name for errors.
 * @throws {TriviumError} BAD_CONFIG: `file: path: found X, wanted Y`, for the first error.
 */
export function parseIncident(text: string, file: string): Incident {
  const refuse = (why: string): never => {
    throw new TriviumError('BAD_CONFIG', `Cannot read incident ${file}: ${why}`)
  }
  if (text.length > TEXT_MAX) return refuse(`${text.length} characters, wanted at most ${TEXT_MAX}`)
  const document = parseDocument(text, { prettyErrors: true })
  const [broken] = document.errors
  if (broken !== undefined) return refuse(broken.message.split('\n')[0] ?? '')
  const parsed = incidentSchema.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  const key = issue?.code === 'unrecognized_keys' ? `unknown key ${show(issue.keys[0])}` : undefined
  return refuse(`${where}${key ?? issue?.message ?? ''}`)
}

/** The factor of `within x 2`; undefined for other rules. */
export function factorOf(text: string): number | undefined {
  const factor = RULE.exec(text)?.[2]
  return factor === undefined ? undefined : Number(factor)
}
