/**
 * A recorded trace as a scenario: what it says of the cluster, and what somebody says in its place.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { type Scenario, scenarioFrom } from '../scenario.ts'
import { ACTIONS_MAX } from '../scenario-workload.ts'
import type { StepInput } from '../timeline/inputs.ts'
import { checkPlan } from '../timeline/workload-check.ts'
import { recordedCsv } from './csv.ts'
import { recordedPods } from './pods.ts'
import {
  badTrace,
  faster,
  lengthMs,
  peakOf,
  type Recorded,
  type RecordedPool,
  usualSpeed,
} from './recorded.ts'
import { recordedStore } from './store.ts'

/** As given; numbers are whole and in the range of their flag. */
export interface ReplayFlags {
  readonly seed?: number | undefined
  readonly nodes?: number | undefined
  readonly racks?: number | undefined
  /** `CIDR`, `CIDR:BLOCK` or `NETWORK=…`. */
  readonly pool?: readonly string[] | undefined
  /** Profile. */
  readonly switch?: string | undefined
  readonly speed?: number | undefined
  readonly rate?: number | undefined
  readonly network?: string | undefined
  readonly lastMs?: number | undefined
}

const DEFAULTS = { profile: 'trident3-default', pool: '10.0.0.0/8', nodesPerRack: 40, spines: 4 }

/** Whatever wrote it: the first characters say. */
export function recordedFrom(text: string, file: string, flags: ReplayFlags): Recorded {
  const start = text
    .slice(0, 200)
    .replace(/^\ufeff/, '')
    .trimStart()
  const isStore = /^\{\s*"trivium"/.test(start)
  if (!isStore && (flags.network ?? flags.lastMs) !== undefined) {
    const name = flags.network === undefined ? 'last' : 'network'
    const why = 'it is no file of: trivium ipam backup'
    throw new TriviumError('USAGE', `Cannot replay ${file} with --${name}: ${why}`)
  }
  if (isStore) {
    return recordedStore(text, file, { network: flags.network, lastMs: flags.lastMs })
  }
  return start.startsWith('{') ? recordedPods(text, file) : recordedCsv(text, file)
}

/**
 * The scenario that a trace and flags make.
 *
 * @throws {TriviumError} BAD_CONFIG: what is impossible, with the number that would do.
 */
export function replayScenario(recorded: Recorded, file: string, flags: ReplayFlags): Scenario {
  const { first, about } = recorded
  const speed = flags.speed ?? usualSpeed(recorded.rows)
  const rows = faster(recorded.rows, speed)
  if (rows.length > ACTIONS_MAX) {
    throw badTrace(file, `found ${rows.length} pods that come or go, wanted at most ${ACTIONS_MAX}`)
  }
  const nodes = nodesOf(recorded, file, flags)
  const steps: readonly (readonly [step: object, input: StepInput])[] = [
    ...(first.length === 0 ? [] : [fillStep(recorded, file)]),
    ...(rows.length === 0
      ? []
      : [
          [
            { kind: 'trace', file },
            { kind: 'trace', rows },
          ] as const,
        ]),
  ]
  const refuse = ({ path, message }: { path: readonly string[]; message: string }): never => {
    throw new TriviumError('BAD_CONFIG', `Cannot replay ${file}: ${path.join('.')}: ${message}`)
  }
  const played = lengthMs(rows) === 0 ? '' : `, ${words(lengthMs(rows))} at speed ${speed}`
  const plain = scenarioFrom(
    {
      name: file.slice(file.lastIndexOf('/') + 1).slice(0, 60),
      about: `${about}${played}.`,
      seed: flags.seed ?? 1,
      nodes,
      podsPerNode: 0,
      racks: flags.racks ?? recorded.racks ?? Math.ceil(nodes / DEFAULTS.nodesPerRack),
      spines: DEFAULTS.spines,
      pools: poolsOf(recorded, flags),
      modes: ['vxlan'],
      switch: { profile: flags.switch ?? DEFAULTS.profile },
      times: timesOf(flags.rate ?? recorded.podsPerSecond),
      workload: steps.map(([step]) => step),
    },
    refuse,
  )
  const scenario = { ...plain, inputs: new Map(steps.map(([, input], at) => [at, input])) }
  const complaint = checkPlan(scenario)
  return complaint === undefined ? scenario : refuse(complaint)
}

const timesOf = (podsPerSecond: number | undefined): object =>
  podsPerSecond === undefined ? {} : { podsPerSecond }

const words = (ms: number): string =>
  ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`

function fillStep({ first, nodes }: Recorded, file: string): readonly [object, StepInput] {
  const skipped = { hostNetwork: 0, ended: 0, unscheduled: 0 }
  return [
    { kind: 'kubernetes', file, fill: true },
    { kind: 'kubernetes', pods: first, nodes, addresses: [], created: [], skipped },
  ]
}

function nodesOf({ nodes }: Recorded, file: string, flags: ReplayFlags): number {
  const found = nodes.length
  const asked = flags.nodes ?? found
  if (asked === 0)
    throw badTrace(file, 'no row names a node, wanted how many there are: --nodes 12')
  if (asked >= found) return asked
  throw badTrace(file, `it has ${found} nodes, wanted --nodes ${found} or more (found ${asked})`)
}

function poolsOf(recorded: Recorded, { pool }: ReplayFlags): readonly RecordedPool[] {
  if (pool === undefined)
    return recorded.pools.length > 0 ? recorded.pools : [{ cidr: DEFAULTS.pool }]
  return pool.map((text): RecordedPool => {
    const [, network, cidr, length] = /^(?:([^=]+)=)?(.+?\/\d+)(?::(\d+))?$/.exec(text) ?? []
    return {
      cidr: cidr ?? text,
      ...(length === undefined ? {} : { blockLength: Number(length) }),
      ...(network === undefined ? {} : { network }),
    }
  })
}

/** The scenario as one with as many pods from the start: what memory is counted for. */
export function atItsPeak(scenario: Scenario, recorded: Recorded): Scenario {
  const { pods } = peakOf(recorded)
  return { ...scenario, podsPerNode: Math.max(1, Math.ceil(pods / scenario.nodes)), workload: [] }
}
