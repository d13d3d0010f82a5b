/**
 * One step of a packet's way, as a line of the answer.
 *
 * @module
 */
import { type KernelObject, type KernelOp, renderOp } from '../kernel/mod.ts'
import type { Ip } from '../net/mod.ts'
import type { Tables } from './tables.ts'

/**
 * - `ok`: seen, and as it has to be.
 * - `assumed`: the node was not seen; this is what it was asked to hold.
 * - `suspect`: may stop the packet; what decides was not read.
 * - `broken`: stops the packet.
 */
export type HopStatus = 'ok' | 'assumed' | 'suspect' | 'broken'

export interface Hop {
  readonly status: HopStatus
  /** `pod default/web`, `node n1`, `store`. */
  readonly place: string
  /** The node whose state this is. */
  readonly node: string
  /** The object in the words of iproute2. */
  readonly object: string
  readonly found?: string
  readonly wanted?: string
  /** What repairs it, or shows it. */
  readonly command?: string
  /** Whether a running agent repairs it by itself. */
  readonly byAgent?: boolean
}

/** Where a step happens. */
export interface Place {
  readonly words: string
  readonly node: string
  readonly seen: boolean
  readonly tables: Tables
  /** What the tables should hold. */
  readonly planned: Tables
  /** Whether the node's agent keeps what is here; a pod's namespace is ADD's alone. */
  readonly agentRepairs: boolean
  /** What shows why there is no route to an address; undefined: the kernel. */
  readonly asks?: (dst: Ip) => string | undefined
  /** Puts a command where it has to run. */
  readonly at: (command: string) => string
}

/** Steps in order; the answer, or undefined where the packet ends. */
export type Steps<T> = Generator<Hop, T | undefined>

export function fine(place: Place, object: string): Hop {
  const { words, node, seen } = place
  return { status: seen ? 'ok' : 'assumed', place: words, node, object }
}

export interface Fault {
  readonly object: string
  readonly found: string
  readonly wanted: string
  /** As typed on the spot; undefined: nothing that a command could repair. */
  readonly command?: string
  /** The object that the plan asks for here, if any: the agent's to repair. */
  readonly planned?: KernelObject | undefined
}

export function broken(place: Place, { command, planned, ...fault }: Fault): Hop {
  const { words, node } = place
  const doing = command === undefined ? {} : { command: place.at(command) }
  const byAgent = planned !== undefined && place.agentRepairs ? { byAgent: true } : {}
  return { status: 'broken', place: words, node, ...fault, ...doing, ...byAgent }
}

export const suspect = (place: Place, fault: Fault): Hop => ({
  ...broken(place, fault),
  status: 'suspect',
})

/** An object's own words, e.g. `neigh 10.42.0.64 lladdr 02:… dev trvx.1 nud permanent`. */
export const wordsOf = (object: KernelObject): string =>
  object.kind === 'vni' ? `vni ${object.vni} dev ${object.link}` : shortened(object)

const shortened = (object: KernelObject): string =>
  renderOp({ kind: 'add', object }).replace(
    /^(?:ip -6|ip|bridge|nft|ethtool|sysctl) (?:(\S+) add|add (\S+)|-\S+) /,
    (_all, after?: string, before?: string) => `${after ?? before ?? 'sysctl'} `,
  )

export const commandOf = (op: KernelOp): string => renderOp(op)

/** The command that makes `wanted` out of whatever is there. */
export const repairOf = (wanted: KernelObject): string =>
  renderOp(
    wanted.kind === 'link' ||
      wanted.kind === 'sysctl' ||
      wanted.kind.startsWith('nft-') ||
      wanted.kind === 'vni'
      ? { kind: 'add', object: wanted }
      : { kind: 'change', from: wanted, to: wanted },
  )
