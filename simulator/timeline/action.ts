/**
 * What happens to a cluster after its first pods are there, as plain data.
 *
 * Planned whole before the run: the workload knows the faults and places no pod on
 * a node that kubelet could not reach. Ticks are microseconds after the timeline's start.
 *
 * @module
 */
import type { Ip } from '../../src/net/mod.ts'

/** A pod is asked for, or goes. */
export type PodAction = AddPod | RemovePod

export interface AddPod {
  readonly kind: 'add'
  readonly atTick: number
  /** Number of the pod; each sandbox has one of its own, also when it takes another's place. */
  readonly pod: number
  readonly node: number
  /** Undefined: pods go round the networks, by their number. */
  readonly network?: string
  /** The pod whose addresses it wants: a StatefulSet's replica comes back under its own. */
  readonly heirOf?: number
  /** The pod whose DEL must have ended first; the one it is heir of, when not given. */
  readonly after?: number
  /** Addresses it wants, at most one a family. */
  readonly requested?: readonly Ip[]
}

export interface RemovePod {
  readonly kind: 'remove'
  readonly atTick: number
  readonly pod: number
}

/** What breaks. Switches and links by their place in the topology. */
export type FaultTarget =
  | { readonly kind: 'link'; readonly link: number }
  | { readonly kind: 'device'; readonly device: number }
  /** Power is gone: its kernel and pods are lost, its records are not. */
  | { readonly kind: 'node'; readonly node: number }
  /** The process ends; the kernel goes on. */
  | { readonly kind: 'agent'; readonly node: number }
  /** Nobody reaches the store. */
  | { readonly kind: 'store' }
  /** These racks are cut off from all others, and from the store. */
  | { readonly kind: 'partition'; readonly racks: readonly number[] }

export interface Fault {
  readonly atTick: number
  /** Mended after so long; undefined: never. */
  readonly forTicks: number | undefined
  readonly target: FaultTarget
}
