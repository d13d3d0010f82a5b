/**
 * The `fabric` key of a scenario: how switches are joined.
 *
 * @module
 */
import { z } from 'zod'
import { SWITCH_ROLES } from './fabric-device.ts'
import { decimal, HOUR_MS, lossPercent, oneOf, show, whole } from './scenario-values.ts'

const FABRIC_KINDS = ['leaf-spine', 'three-tier', 'listed'] as const

const deviceName = z
  .string({ error: ({ input }) => `found ${show(input)}, wanted a device's name` })
  .regex(/^[\w.-]{1,40}$/, {
    error: ({ input }) => `found ${show(input)}, wanted letters, digits, "-", "_" and "."`,
  })
const pair = z.tuple([deviceName, deviceName], {
  error: ({ input }) => `found ${show(input)}, wanted the names of two devices`,
})

/** To a megabit a second. */
const gbps = decimal(0.001, 100_000, 3)

const deviceSchema = z.strictObject({
  name: deviceName,
  role: oneOf(SWITCH_ROLES),
  /** Of a device that is not as `switch` says. */
  profile: z.string().optional(),
})

const linkSchema = z.strictObject({
  between: pair,
  latencyUs: whole(0, HOUR_MS * 1000).optional(),
  gbps: gbps.optional(),
  lossPercent: lossPercent.optional(),
})

export const fabricSchema = z.strictObject({
  kind: oneOf(FABRIC_KINDS).default('leaf-spine'),
  groups: whole(1, 1000).default(2),
  aggregations: whole(1, 64).default(2),
  cores: whole(1, 64).default(2),
  dataCenters: whole(1, 16).default(1),
  wanRouters: whole(1, 16).default(2),
  linkUs: whole(0, 1_000_000).default(1),
  wanMs: whole(0, 10_000).default(10),
  linkGbps: gbps.optional(),
  lossPercent: lossPercent.default(0),
  wanGbps: gbps.optional(),
  wanLossPercent: lossPercent.default(0),
  /** Whether one VLAN may span data centres. */
  stretchVlan: z.boolean().default(false),
  devices: z.array(deviceSchema).max(4000).default([]),
  links: z.array(linkSchema).max(100_000).default([]),
})
