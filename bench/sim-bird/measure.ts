/**
 * One network and what happens to it, in the simulator and with BIRD, several times.
 */

import type { DaemonProfile } from '../../simulator/bgp/daemons.ts'
import { settle } from '../../test/bgp/differential/campaign.ts'
import { generate } from '../../test/bgp/differential/generate.ts'
import { latenciesOf } from '../../test/bgp/differential/latencies.ts'
import type { Topology } from '../../test/bgp/differential/topology.ts'
import { firstDifference, standing } from './choices.ts'
import { candidates, isUndoneFirst, type Kind, type TimedEvent } from './events.ts'
import { type Setting, type Simulated, SimulatedCourse } from './simulated.ts'
import { TimedLab } from './timed-lab.ts'

/** One event of one network, each time that it happened. */
export interface Measured {
  readonly seed: number
  readonly routers: number
  readonly kind: Kind
  readonly oursMs: readonly number[]
  readonly theirsMs: readonly number[]
  /** Undefined: both came to the same choices. */
  readonly difference: string | undefined
}

export interface NetworkMeasured {
  readonly measured: readonly Measured[]
  /** How late packets were, in µs: number, median, 99th percentile, latest. */
  readonly lateness: readonly number[]
}

export interface MeasureOptions {
  readonly daemon: DaemonProfile
  readonly scratch: string
  readonly delay: string
  readonly repeats: number
  readonly hasLatency: boolean
}

/** Candidates that are tried until one changes what others use. */
const TRIES = 6
const ROUTERS_MIN = 3
/** A command's own time is before this from when it was written. */
const COMMAND_MS_MAX = 5000

/** Undefined: the network has no one outcome, or none after an event. */
export async function measureNetwork(
  seed: number,
  options: MeasureOptions,
): Promise<NetworkMeasured | undefined> {
  const topology = generate(seed)
  if (settle(topology).kind !== 'one') return undefined
  const latenciesMs = options.hasLatency
    ? latenciesOf(topology)
    : new Map(topology.sessions.map(({ id }) => [id, 0]))
  const setting: Setting = { topology, daemon: options.daemon, latenciesMs }
  const events = endingEvents(setting)
  if (events === undefined) return undefined
  const course = new SimulatedCourse(setting, events)
  const { scratch, delay } = options
  const lab = new TimedLab(topology, { scratch, delay, latenciesMs, events })
  try {
    if (!(await lab.becomesUp())) throw new Error(`network ${seed} stays down: ${lab.said}`)
    await lab.rest()
    const found = new Map(events.map((event) => [event, newEntry(topology, event)]))
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      for (const event of events) {
        const entry = found.get(event)!
        const ours = course.play(event)
        const theirs = await playReal(lab, event, ours)
        entry.oursMs.push(ours.lastMs)
        entry.theirsMs.push(theirs.lastMs)
        entry.difference ??= theirs.difference
      }
    }
    return { measured: [...found.values()], lateness: await lab.lateness() }
  } finally {
    await lab.stop()
  }
}

type Entry = { -readonly [Key in keyof Measured]: Measured[Key] } & {
  oursMs: number[]
  theirsMs: number[]
}

const newEntry = ({ seed, routers }: Topology, { kind }: TimedEvent): Entry => ({
  ...{ seed, routers: routers.length, kind },
  ...{ oursMs: [], theirsMs: [], difference: undefined },
})

/** Of each kind the first that changes what some routers use; undefined: one has no end. */
function endingEvents(setting: Setting): readonly TimedEvent[] | undefined {
  try {
    return eventsFor(setting)
  } catch (error) {
    // The topology settles; after another event it may not.
    if (!String(error).includes('did not come to rest')) throw error
    return undefined
  }
}

export function eventsFor(setting: Setting): readonly TimedEvent[] {
  return [...candidates(setting.topology).values()].flatMap((list) => {
    const chosen = list.slice(0, TRIES).find((event) => {
      const { choices } = new SimulatedCourse(setting, [event]).play(event)
      return new Set(choices.map(({ router }) => router)).size >= ROUTERS_MIN
    })
    return chosen ?? []
  })
}

async function playReal(
  lab: TimedLab,
  event: TimedEvent,
  ours: Simulated,
): Promise<{ readonly lastMs: number; readonly difference: string | undefined }> {
  if (isUndoneFirst(event)) await redo(lab, event)
  const writtenMs = await lab.carryOutTimed(event, 'happens')
  await lab.rest()
  const logs = lab.topology.routers.flatMap(({ id }) => {
    // A dead one says nothing any more.
    return event.kind === 'death' && event.router === id ? [] : [lab.log(id)]
  })
  const commands = logs
    .flatMap(({ commands }) => commands.map(({ ms }) => ms))
    .filter((ms) => ms >= writtenMs - 1 && ms < writtenMs + COMMAND_MS_MAX)
  const startMs =
    event.kind === 'death' || commands.length === 0 ? writtenMs : Math.min(...commands)
  const choices = logs.flatMap((log) => log.choices).sort((left, right) => left.ms - right.ms)
  const lastMs = choices.at(-1)?.ms ?? startMs
  const difference = firstDifference(ours.after, standing(choices))
  if (!isUndoneFirst(event)) await redo(lab, event)
  return { lastMs: Math.max(0, lastMs - startMs), difference }
}

async function redo(lab: TimedLab, event: TimedEvent): Promise<void> {
  await lab.carryOutTimed(event, 'is undone')
  if (event.kind === 'cut' || event.kind === 'death') await lab.becomesUp()
  await lab.rest()
}
