/**
 * The keys `faults`, `probe` and `swarm` of a scenario: what breaks while pods come
 * and go, and how closely pairs of pods are watched.
 *
 * @module
 */
import { z } from 'zod'
import { HOUR_MS, oneOf, show, whole } from './scenario-values.ts'

export const FAULT_KINDS = [
  'node',
  'link',
  'device',
  'tor',
  'spine',
  'agent',
  'store',
  'partition',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** Faults of one scenario, listed or made up. */
const FAULTS_MAX = 1000
const MINUTE_MS = 60_000

const deviceName = z.string({
  error: ({ input }) => `found ${show(input)}, wanted a device's name`,
})

export const faultSchema = z.strictObject({
  kind: oneOf(FAULT_KINDS),
  /** After the first pods are known everywhere. */
  atMs: whole(0, HOUR_MS),
  /** Mended after so long; never when it is not given. */
  forMs: whole(1, HOUR_MS).optional(),
  /** Of `node` and `agent`: a name like node-0003, or its number. */
  node: z
    .union([z.string(), whole(0, HOUR_MS)], {
      error: ({ input }) => `found ${show(input)}, wanted a node's name or number`,
    })
    .optional(),
  /** Of `link`. */
  between: z
    .tuple([deviceName, deviceName], {
      error: ({ input }) => `found ${show(input)}, wanted the names of two devices`,
    })
    .optional(),
  /** Of `device`. */
  name: deviceName.optional(),
  /** Of `tor`. */
  rack: whole(0, HOUR_MS).optional(),
  /** Of `spine`: its number, over all data centres. */
  spine: whole(0, HOUR_MS).optional(),
  /** Of `partition`. */
  racks: z.array(whole(0, HOUR_MS)).min(1, 'wanted at least one rack').max(1000).optional(),
})

export const faultsSchema = z
  .array(faultSchema, { error: () => 'wanted a list of { kind, atMs, forMs, … }' })
  .max(FAULTS_MAX, `wanted at most ${FAULTS_MAX} faults`)
  .default([])

export const probeSchema = z
  .strictObject({
    /** Pairs of pods that are watched. */
    pairs: whole(1, 2000).default(200),
    /** Between two looks. */
    everyMs: whole(1, MINUTE_MS).default(100),
  })
  .prefault({})

export const swarmSchema = z
  .strictObject({
    /** Faults begin in this span. */
    forMs: whole(1, HOUR_MS),
    faults: whole(1, FAULTS_MAX),
    /** What may break; all kinds when it is not given. Each seed takes some of them. */
    kinds: z
      .array(oneOf(FAULT_KINDS), { error: () => `wanted a list of ${FAULT_KINDS.join(', ')}` })
      .min(1, 'wanted at least one kind')
      .optional(),
    /** Pods that come or go meanwhile. */
    workload: whole(0, 10_000).default(0),
  })
  .optional()
