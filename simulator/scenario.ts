/**
 * Scenario files: YAML in, a checked scenario or the first error out, with the
 * line it is on.
 *
 * The schema says what each field may be; `scenario-rules.ts` says what fields must
 * be to each other.
 *
 * @module
 */
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import type { AllowedPort } from '../ipam/records.ts'
import { TriviumError } from '../src/errors.ts'
import { tryParsePrefix } from '../src/net/mod.ts'
import { PROTOCOL_TIMERS } from './announcer.ts'
import { GC_THRESH3 } from './neighbors.ts'
import { PROGRAMMING_RATES, SWITCH_PROFILES } from './profiles.ts'
import { fabricSchema } from './scenario-fabric.ts'
import { faultsSchema, probeSchema, swarmSchema } from './scenario-faults.ts'
import { keysAt } from './scenario-json-schema.ts'
import { routingSchema } from './scenario-routing.ts'
import { type Complaint, checkScenario } from './scenario-rules.ts'
import { storeSchema } from './scenario-store.ts'
import { HOUR_MS, oneOf, show, whole } from './scenario-values.ts'
import { workloadSchema } from './scenario-workload.ts'
import { nearest } from './suggest.ts'
import { OVERFLOW_POLICIES } from './tables.ts'
import { filesOf, type StepInputs, withInputs } from './timeline/inputs.ts'
import { checkPlan } from './timeline/workload-check.ts'

/** What one run may hold. */
export const NODES_MAX = 20_000
export const PODS_MAX = 2_000_000
/** What the exact engine holds of these. */
export const EXACT_NODES_MAX = 2000
export const EXACT_PODS_MAX = 200_000
const MODES = ['vxlan', 'route', 'vlan'] as const
const ROUTE_KINDS = ['block', 'host', 'rack', 'static'] as const
const PLACEMENTS = ['lowest', 'rack'] as const
const FLAVOURS = ['classic', 'lightweight'] as const
const ATTACHMENTS = ['bridge', 'macvlan'] as const

/** As the command line takes it. */
const portSchema = z
  .string({ error: ({ input }) => `found ${show(input)}, wanted a port like tcp/443` })
  .transform((text, context): AllowedPort => {
    const [, protocol, digits] = /^(tcp|udp|sctp)\/(\d{1,5})$/.exec(text) ?? []
    const port = Number(digits)
    if (protocol !== undefined && port >= 1 && port <= 65_535) {
      return { protocol: protocol as AllowedPort['protocol'], port }
    }
    const message = `found ${show(text)}, wanted tcp/PORT, udp/PORT or sctp/PORT, 1 to 65535`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

/** A network's name; the allocator has the last word on it. */
const name = z.string({ error: ({ input }) => `found ${show(input)}, wanted a network's name` })

const allowSchema = z.strictObject({
  from: name,
  to: name,
  ports: z.array(portSchema).max(100).default([]),
})

const poolSchema = z.strictObject({
  cidr: z
    .string({ error: ({ input }) => `found ${show(input)}, wanted a CIDR like 10.42.0.0/16` })
    .transform((text, context) => {
      const prefix = tryParsePrefix(text)
      if (prefix !== undefined) return prefix
      context.addIssue({
        code: 'custom',
        message: `found ${show(text)}, wanted a CIDR like 10.42.0.0/16 without host bits`,
      })
      return z.NEVER
    }),
  blockLength: whole(8, 128).optional(),
  /** Pools of one name are one network. */
  network: name.optional(),
})

const PLAIN = {
  announce: 'block',
  flavour: 'classic',
  crossSubnet: false,
  masquerade: true,
} as const

const modeObject = z.strictObject({
  mode: z.enum(MODES),
  announce: z.enum(ROUTE_KINDS).default(PLAIN.announce),
  /** Where nodes claim blocks: the lowest free one, or beside their rack's. */
  placement: oneOf(PLACEMENTS).optional(),
  flavour: z.enum(FLAVOURS).default(PLAIN.flavour),
  crossSubnet: z.boolean().default(PLAIN.crossSubnet),
  masquerade: z.boolean().default(PLAIN.masquerade),
  /** How pods of mode vlan hang on the uplink. */
  attachment: oneOf(ATTACHMENTS).optional(),
  /** 802.1Q id of the first network, 0: untagged; each further network has the next. */
  vlanId: whole(0, 4000).optional(),
})

const ROAD_WORDS =
  'vxlan, route, vlan or { mode, announce, placement, flavour, crossSubnet, masquerade, attachment, vlanId }'

const roadSchema = z.union(
  [
    z.enum(MODES).transform((mode): z.output<typeof modeObject> => ({ mode, ...PLAIN })),
    modeObject,
  ],
  { error: ({ input }) => `found ${show(input)}, wanted ${ROAD_WORDS}` },
)

/** Each network by its own road. */
const mixedObject = z.strictObject({
  mode: z.literal('mixed'),
  networks: z.record(z.string(), roadSchema),
})

const modeSchema = z.union([roadSchema, mixedObject], {
  error: ({ input }) =>
    `found ${show(input)}, wanted ${ROAD_WORDS}, or { mode: mixed, networks: { NAME: one of these } }`,
})

const entries = whole(1, 10_000_000)
const RATE_NAMES = PROGRAMMING_RATES.map(({ name }) => name)

/** How a switch behaves, whatever it holds. */
const behaviour = {
  overflow: oneOf(OVERFLOW_POLICIES).optional(),
  /** Writes into the hardware; all at once when it is not given. */
  routesPerSecond: z
    .union([whole(1, 10_000_000), z.enum(RATE_NAMES)], {
      error: ({ input }) =>
        `found ${show(input)}, wanted a whole number from 1 to 10000000, or ${RATE_NAMES.join(', ')}`,
    })
    .optional(),
}
const profileSwitch = z.strictObject({
  profile: z.enum(SWITCH_PROFILES.map(({ name }) => name)),
  ...behaviour,
})
const ownSwitch = z.strictObject({
  lpm: entries,
  lpm6: entries.default(10_000_000),
  host: entries,
  host6: entries.optional(),
  mac: entries,
  arp: entries.optional(),
  ecmp: entries.optional(),
  ...behaviour,
})
export const scenarioSchema = z.strictObject({
  name: z.string().max(60).default('scenario'),
  about: z.string().max(2000).default(''),
  seed: whole(0, 2 ** 32 - 1).default(1),
  nodes: whole(1, NODES_MAX, '; no engine holds more'),
  podsPerNode: whole(0, 1000),
  racks: whole(1, 1000).default(1),
  spines: whole(1, 64).default(2),
  pools: z
    .array(poolSchema, { error: () => 'wanted a list of { cidr, blockLength }' })
    .min(1, 'wanted at least one pool'),
  modes: z
    .array(modeSchema, { error: () => 'wanted a list, like [vxlan, route, vlan]' })
    .min(1, 'wanted at least one mode'),
  allow: z
    .array(allowSchema, { error: () => 'wanted a list of { from, to, ports }' })
    .max(1000)
    .default([]),
  switch: z.union([profileSwitch, ownSwitch], { error: ({ input }) => switchError(input) }),
  fabric: fabricSchema.prefault({}),
  routing: routingSchema,
  store: storeSchema,
  /** How many other nodes each node sends to: what its kernel must learn. */
  talk: z
    .union([z.enum(['none', 'all']), whole(1, NODES_MAX)], {
      error: ({ input }) => `found ${show(input)}, wanted none, all or a number of nodes`,
    })
    .default('none'),
  workload: workloadSchema,
  faults: faultsSchema,
  probe: probeSchema,
  swarm: swarmSchema,
  kernel: z.strictObject({ gcThresh3: whole(1, 10_000_000).default(GC_THRESH3) }).prefault({}),
  times: z
    .strictObject({
      startJitterMs: whole(0, HOUR_MS).default(1000),
      settleMs: whole(1, HOUR_MS).default(100),
      repairMs: whole(100, HOUR_MS).default(10_000),
      podsPerSecond: whole(1, 1_000_000).default(100),
      storeMs: whole(0, 10_000).default(1),
      announceMs: whole(0, HOUR_MS).default(50),
      protocol: oneOf(PROTOCOL_TIMERS).default('ideal'),
      convergeMs: whole(0, HOUR_MS).default(100),
      /** Kubelet tries again; its backOffPeriod is 10 s (pkg/kubelet/kubelet.go). */
      retryMs: whole(100, 60_000).default(10_000),
      /** Pods of a node that nobody reaches are made anew elsewhere: DefaultTolerationSeconds, 300 s. */
      evictMs: whole(0, HOUR_MS).default(300_000),
    })
    .prefault({}),
})

/** A checked scenario. Times are in milliseconds. */
export type Scenario = z.output<typeof scenarioSchema> & {
  /** What the files of workload steps hold, by the steps' places in the list. */
  readonly inputs?: StepInputs
  /** Which engine runs it; undefined: the one that suits it (engine.ts). */
  readonly engine?: EngineKind
}
/** See engine.ts. */
export const ENGINE_KINDS = ['exact', 'scaled'] as const
export type EngineKind = (typeof ENGINE_KINDS)[number]
export type RunMode = Scenario['modes'][number]
/** One road for all networks. */
export type ScenarioMode = Exclude<RunMode, { readonly mode: 'mixed' }>

export interface ParseOptions {
  /** Takes the place of the scenario's. */
  readonly seed?: number | undefined
  /** Text by name of the files that `filesOf` names. Without them nothing is checked that depends on them. */
  readonly files?: ReadonlyMap<string, string> | undefined
}

/**
 * Reads and checks a scenario.
 *
 * @param file Name for errors.
 * @throws {TriviumError} BAD_CONFIG: `file:line: path: found X, wanted Y`, for the first error.
 */
export function parseScenario(
  text: string,
  file: string,
  { seed, files }: ParseOptions = {},
): Scenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (broken !== undefined) {
    throw bad(file, lines.linePos(broken.pos[0]).line, '', broken.message.split('\n')[0] ?? '')
  }
  const refuse = ({ path, message, key }: Complaint): never => {
    throw bad(file, lineOf(document, lines, path, key), path.join('.'), message)
  }
  return scenarioFrom(document.toJS({ maxAliasCount: 100 }), refuse, { seed, files })
}

/**
 * Checks what a scenario file, or a part of another file, holds.
 *
 * @param refuse Told the first error; throws.
 */
export function scenarioFrom(
  value: unknown,
  refuse: (complaint: Complaint) => never,
  { seed, files }: ParseOptions = {},
): Scenario {
  const parsed = scenarioSchema.safeParse(value)
  if (!parsed.success) return refuse(first(parsed.error.issues) ?? NO_SCENARIO)
  const plain = seed === undefined ? parsed.data : { ...parsed.data, seed }
  const complaint = checkScenario(plain)
  if (complaint !== undefined) return refuse(complaint)
  if (files === undefined && filesOf(plain).length > 0) return plain
  const scenario = withInputs(plain, files ?? new Map())
  const unplanned = checkPlan(scenario)
  return unplanned === undefined ? scenario : refuse(unplanned)
}

const NO_SCENARIO: Complaint = { path: [], message: 'not a scenario' }

function bad(file: string, line: number, path: string, message: string): TriviumError {
  const where = path === '' ? '' : `${path}: `
  return new TriviumError('BAD_CONFIG', `Cannot read scenario ${file}:${line}: ${where}${message}`)
}

/** The issue that a person should mend first: a slip in a key explains the key that is missing. */
function first(issues: readonly z.core.$ZodIssue[]): Complaint | undefined {
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
  if (issue === undefined) return undefined
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys
    return { path, key, message: unknownKey(key, path) }
  }
  const missing = issue.input === undefined && /received undefined/.test(issue.message)
  return { path, message: missing ? 'is missing' : issue.message }
}

function unknownKey(key: string, path: readonly string[]): string {
  const known = keysAt(scenarioSchema, path)
  const like = nearest(key, known)
  const hint = like === undefined ? `wanted one of ${known.join(', ')}` : `did you mean ${like}?`
  return `unknown key ${show(key)}, ${hint}`
}

function switchError(input: unknown): string {
  const name = typeof input === 'object' && input !== null && 'profile' in input && input.profile
  const names = SWITCH_PROFILES.map((profile) => profile.name)
  if (typeof name === 'string' && !names.includes(name)) {
    const like = nearest(name, names)
    const hint = like === undefined ? '' : ` (did you mean ${like}?)`
    return `no profile ${show(name)}${hint}, there are ${names.join(', ')}`
  }
  for (const key of ['overflow', 'routesPerSecond'] as const) {
    const value = typeof input === 'object' && input !== null ? Reflect.get(input, key) : undefined
    const answer = behaviour[key].safeParse(value)
    const [issue] = answer.error?.issues ?? []
    if (issue !== undefined) return `${key}: ${issue.message}`
  }
  return 'wanted { profile: NAME } or { lpm, host, mac, lpm6? }, each from 1 to 10000000'
}

/** Line of the value at `path`, or of the nearest thing around it. */
function lineOf(
  document: Document,
  lines: LineCounter,
  path: readonly string[],
  key: string | undefined,
): number {
  for (let length = path.length; length >= 0; length--) {
    const at = path.slice(0, length).map((step) => (/^\d+$/.test(step) ? Number(step) : step))
    const node = length === 0 ? document.contents : document.getIn(at, true)
    if (!isNode(node) || node.range === undefined || node.range === null) continue
    if (key !== undefined && isMap(node)) {
      for (const item of node.items) {
        const name = isPair(item) && isScalar(item.key) ? item.key : undefined
        if (name?.value === key && name.range) return lines.linePos(name.range[0]).line
      }
    }
    return lines.linePos(node.range[0]).line
  }
  return 1
}
