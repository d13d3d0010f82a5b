/**
 * The `workload` key of a scenario: how pods come and go once the first ones are
 * known everywhere.
 *
 * @module
 */
import { z } from 'zod'
import { HOUR_MS, oneOf, show, whole } from './scenario-values.ts'

/** Pods that a workload asks for and takes away, both counted. */
export const ACTIONS_MAX = 500_000
const STEPS_MAX = 100
const PER_SECOND_MAX = 10_000

/** Above 0; NaN and infinity are refused by zod. */
function above0(high: number, what: string) {
  const outside = {
    error: ({ input }: { readonly input?: unknown }) =>
      `found ${show(input)}, wanted ${what} above 0, to ${high}`,
  }
  return z.number(outside).positive(outside).max(high, outside)
}

/** As a Deployment has it: so many pods, or a share of them. */
const podsOrShare = {
  error: ({ input }: { readonly input?: unknown }) =>
    `found ${show(input)}, wanted a number of pods or a share like 25%`,
}
const pods = z
  .union([whole(0, ACTIONS_MAX), z.string().regex(/^(100|\d{1,2})%$/, podsOrShare)], podsOrShare)
  .default('25%')

/** After the first pods are known everywhere. */
const atMs = whole(0, HOUR_MS).default(0)
const network = z
  .string({ error: ({ input }) => `found ${show(input)}, wanted a network's name` })
  .optional()
const readyMs = whole(0, HOUR_MS).default(1000)
const node = z.union([z.string(), whole(0, HOUR_MS)], {
  error: ({ input }) => `found ${show(input)}, wanted a node's name or number`,
})
const file = z
  .string({ error: ({ input }) => `found ${show(input)}, wanted a file's name` })
  .min(1, 'found "", wanted a file\'s name')
  .max(1000)

/** Pods come at random moments and go after random lifetimes, both exponential. */
const poisson = z.strictObject({
  kind: z.literal('poisson'),
  atMs,
  forMs: whole(1, HOUR_MS),
  perSecond: above0(PER_SECOND_MAX, 'pods a second'),
  /** Mean; pods stay when it is not given. */
  lifetimeMs: whole(1, HOUR_MS).optional(),
  network,
})

/** A job: pods come at once or spread evenly, each for the same time. */
const batch = z.strictObject({
  kind: z.literal('batch'),
  atMs,
  pods: whole(1, ACTIONS_MAX),
  lifetimeMs: whole(1, HOUR_MS).optional(),
  spreadMs: whole(0, HOUR_MS).default(0),
  network,
})

/**
 * Existing pods are replaced as a Deployment does it: at most `surge` more than
 * before, at most `unavailable` fewer that are ready. Defaults are the API's.
 */
const rolling = z.strictObject({
  kind: z.literal('rolling'),
  atMs,
  pods: whole(1, ACTIONS_MAX),
  surge: pods,
  unavailable: pods,
  readyMs,
})

/**
 * Replicas come in order, and are restarted one after the other from the highest
 * ordinal down. Each comes back under its own addresses, on its own node: an address
 * can be had only on the node that owns its block, as with a local volume. One that
 * a drain moves is refused elsewhere, which is counted.
 */
const statefulset = z.strictObject({
  kind: z.literal('statefulset'),
  atMs,
  replicas: whole(1, 10_000),
  restarts: whole(0, 1000).default(1),
  /** From one restart of all to the next; one right after the other when not given. */
  restartEveryMs: whole(1, HOUR_MS).optional(),
  readyMs,
  network,
})

/** Pods of a node are evicted and made anew elsewhere; one node after the other. */
const drain = z.strictObject({
  kind: z.literal('drain'),
  atMs,
  node: node.optional(),
  nodes: z
    .array(node, { error: () => 'wanted a list of one node or more' })
    .min(1)
    .max(2000)
    .optional(),
  /** Between two evictions. */
  eachMs: whole(0, HOUR_MS).default(0),
  /** Takes pods again so long after it was cordoned. */
  forMs: whole(1, HOUR_MS).optional(),
})

/** A share of all pods is removed and made anew, at `times.podsPerSecond`. */
const restart = z.strictObject({
  kind: z.literal('restart'),
  atMs,
  share: above0(1, 'a share of the pods'),
})

/** CSV: `at_ms,action,pod,node[,network]`, times from `atMs` on. */
const trace = z.strictObject({ kind: z.literal('trace'), atMs, file })

/** What `kubectl get pods -A -o json` prints; pods come in the order of their creation. */
const kubernetes = z.strictObject({
  kind: z.literal('kubernetes'),
  atMs,
  file,
  /** At `times.podsPerSecond`, or all at once. */
  arrival: oneOf(['rate', 'at-once']).default('rate'),
  /** They are the first pods; `podsPerNode` is 0 then. */
  fill: z.boolean().default(false),
})

const KINDS = [poisson, batch, rolling, statefulset, drain, restart, trace, kubernetes] as const
export const WORKLOAD_KINDS = KINDS.map(({ shape }) => shape.kind.value)

export const workloadSchema = z
  .array(
    z.discriminatedUnion('kind', KINDS, {
      error: ({ input }) => {
        const kind = typeof input === 'object' && input !== null && Reflect.get(input, 'kind')
        return `found kind ${show(kind)}, wanted ${WORKLOAD_KINDS.join(', ')}`
      },
    }),
    { error: () => 'wanted a list of { kind, atMs, … }' },
  )
  .max(STEPS_MAX, `wanted at most ${STEPS_MAX} steps`)
  .default([])

export type WorkloadStep = z.output<typeof workloadSchema>[number]
export type StepOf<Kind extends WorkloadStep['kind']> = Extract<WorkloadStep, { kind: Kind }>
