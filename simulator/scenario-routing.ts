/**
 * The `routing` key of a scenario: who speaks BGP with whom, and as which daemon.
 *
 * @module
 */
import { z } from 'zod'
import { DAEMON_NAMES } from './bgp/daemons.ts'
import { roadsOf } from './network.ts'
import type { Scenario } from './scenario.ts'
import type { Complaint } from './scenario-rules.ts'
import { oneOf, show, whole } from './scenario-values.ts'

export const ROUTING_PROTOCOLS = ['timers', 'bgp'] as const
export const SESSION_KINDS = ['fabric', 'reflectors', 'mesh'] as const
export type SessionKind = (typeof SESSION_KINDS)[number]

const bfdObject = z.strictObject({
  intervalMs: whole(10, 60_000).default(300),
  multiplier: whole(1, 255).default(3),
})

const restartObject = z.strictObject({ restartSeconds: whole(1, 4095).default(120) })

const orFalse = <T extends z.ZodType>(schema: T, words: string) =>
  z.union([z.literal(false), schema], {
    error: ({ input }) => `found ${show(input)}, wanted false or ${words}`,
  })

export const routingSchema = z
  .strictObject({
    protocol: oneOf(ROUTING_PROTOCOLS).default('timers'),
    sessions: oneOf(SESSION_KINDS).default('fabric'),
    /** Of `sessions: reflectors`: so many nodes reflect, spread over the racks. */
    reflectors: whole(1, 16).optional(),
    /** What nodes run, and switches. */
    daemon: oneOf(DAEMON_NAMES).default('trivium'),
    switchDaemon: oneOf(DAEMON_NAMES).default('frr-datacenter'),
    /** In place of the daemons'. */
    holdSeconds: whole(3, 65_535).optional(),
    connectRetrySeconds: whole(1, 65_535).optional(),
    idleSeconds: whole(1, 3600).optional(),
    /** RFC 5880; false: sessions end when the hold time is over. */
    bfd: orFalse(bfdObject, '{ intervalMs, multiplier }').default(false),
    /** RFC 4724, in place of the daemons'. */
    gracefulRestart: orFalse(restartObject, '{ restartSeconds }').optional(),
    /** Whether a link that is cut takes the carrier away, for daemons that watch it. */
    carrier: z.boolean().default(true),
    /** Equal paths that a switch uses together. */
    multipath: whole(1, 64).default(64),
  })
  .prefault({})

export type RoutingWords = z.output<typeof routingSchema>

/** What is wrong with the routing. */
export function checkRouting(scenario: Scenario): Complaint | undefined {
  const { routing, modes, nodes, times } = scenario
  const { protocol, sessions, reflectors } = routing
  const path = (key: string): readonly string[] => ['routing', key]
  if (protocol === 'timers') return undefined
  if (times.protocol !== 'ideal') {
    const message = `${times.protocol} is for routing.protocol timers: wanted routing.daemon`
    return { path: ['times', 'protocol'], message }
  }
  if (reflectors !== undefined && sessions !== 'reflectors') {
    return { path: path('reflectors'), message: `belongs to sessions reflectors, not ${sessions}` }
  }
  if ((reflectors ?? 0) > nodes) {
    return { path: path('reflectors'), message: `found ${reflectors}, there are ${nodes} nodes` }
  }
  const summed = modes.flatMap(roadsOf).find(({ announce }) => /rack|static/.test(announce))
  if (sessions === 'fabric' || summed === undefined) return undefined
  const message = `announce: ${summed.announce} is summed up by top-of-rack switches: wanted fabric, not ${sessions}`
  return { path: path('sessions'), message }
}
