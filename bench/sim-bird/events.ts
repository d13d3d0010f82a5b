/**
 * What happens to a network at rest, from its seed: a prefix comes or goes, a session is
 * cut, a router dies.
 */

import type { Originated } from '../../src/bgp/config.ts'
import type { Prefix } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'
import { type Dice, dice } from '../../test/bgp/differential/dice.ts'
import type { Topology } from '../../test/bgp/differential/topology.ts'

export const KINDS = [
  'announced',
  'withdrawn',
  'ten announced',
  'ten withdrawn',
  'failover',
  'cut',
  'death',
] as const
export type Kind = (typeof KINDS)[number]

/** What happens at one moment. */
export type TimedEvent =
  /** Own routes of a router that nobody else announces. */
  | {
      readonly kind: 'announced' | 'withdrawn' | 'ten announced' | 'ten withdrawn'
      readonly router: number
      readonly routes: readonly Originated[]
    }
  /** An own route of which there is another one elsewhere. */
  | { readonly kind: 'failover'; readonly router: number; readonly prefix: Prefix }
  /** Both ends of a session end it, at once. */
  | { readonly kind: 'cut'; readonly session: number }
  /** A router's process is killed. */
  | { readonly kind: 'death'; readonly router: number }

/** Whether what it ends has to begin first; of others, what they end begins again after them. */
export const isUndoneFirst = ({ kind }: TimedEvent): boolean =>
  kind === 'withdrawn' || kind === 'ten withdrawn'

/** Nobody announces these, and policies have a word about them. */
const ONE = ['172.18.0.0/16'] as string[] as Prefix[]
const TEN = Array.from({ length: 10 }, (_, index) => `172.19.${index}.0/24` as Prefix)

/** Choices for each kind, the best ones to be found by trying. */
export function candidates(topology: Topology): ReadonlyMap<Kind, readonly TimedEvent[]> {
  const roll = dice(prng(`differential ${topology.seed}`).fork('timed'))
  const { routers, sessions } = topology
  const ids = routers.map(({ id }) => id)
  const [one, ten] = [roll.shuffled(ids), roll.shuffled(ids)]
  const several = routers.flatMap(({ id, originate }) =>
    originate
      .filter(({ prefix }) => isElsewhere(topology, id, prefix))
      .map(({ prefix }): TimedEvent => ({ kind: 'failover', router: id, prefix })),
  )
  const own = (kind: Kind, order: readonly number[], prefixes: readonly Prefix[]): TimedEvent[] =>
    order.map((router) => ({
      kind: kind as 'announced',
      router,
      routes: prefixes.map((prefix) => ({ prefix, attributes: { localPref: 300 } })),
    }))
  return new Map<Kind, readonly TimedEvent[]>([
    ['announced', own('announced', one, ONE)],
    ['withdrawn', own('withdrawn', one, ONE)],
    ['ten announced', own('ten announced', ten, TEN)],
    ['ten withdrawn', own('ten withdrawn', ten, TEN)],
    ['failover', roll.shuffled(several)],
    ['cut', cuts(roll, sessions)],
    ['death', roll.shuffled(ids).map((router): TimedEvent => ({ kind: 'death', router }))],
  ])
}

const cuts = (roll: Dice, sessions: Topology['sessions']): TimedEvent[] =>
  roll.shuffled(sessions).map(({ id }) => ({ kind: 'cut', session: id }))

const isElsewhere = ({ routers }: Topology, router: number, prefix: Prefix): boolean =>
  routers.some(
    ({ id, originate }) => id !== router && originate.some((each) => each.prefix === prefix),
  )
