/**
 * Neighbours that nodes' kernels learn when each node sends to a pod of others: every peer
 * where pods are routed, peers of the rack and the router where they are tunnelled,
 * nobody in a VLAN, whose pods ask for themselves.
 *
 * @module
 */
import type { Ip } from '../../src/net/mod.ts'
import { type Prng, prng } from '../../src/prng.ts'
import type { Plan } from './accept.ts'
import type { ScaledAgents } from './agents.ts'
import type { Places } from './places.ts'

/** Of the node that asks for most. */
export interface Learned {
  readonly node: number
  readonly asked: number
  /** The first that its kernel has no room for. */
  readonly refused: Ip | undefined
}

export interface Talkers {
  readonly plan: Plan
  readonly places: Places
  readonly agents: Pick<ScaledAgents, 'made'>
}

/** @returns undefined: nobody talks. */
export function learnedBy(run: Talkers): Learned | undefined {
  const { plan, agents } = run
  const { talk, nodes, seed, kernel } = plan.scenario
  if (talk === 'none') return undefined
  const chance = prng(seed).fork('talk')
  const targets: number[] = []
  for (let node = 0; node < nodes; node++) if (agents.made[node]! > 0) targets.push(node)
  let most: Learned = { node: 0, asked: 0, refused: undefined }
  for (let node = 0; node < nodes; node++) {
    const others = Int32Array.from(targets).filter((target) => target !== node)
    const chosen = talk === 'all' ? others : shuffledNodes(others, chance).subarray(0, talk)
    const asked = askedBy(run, node, chosen)
    if (asked.size <= most.asked) continue
    most = { node, asked: asked.size, refused: [...asked][kernel.gcThresh3] }
  }
  return most
}

/** Whom a node asks for on the underlay, each once, in order. */
function askedBy({ plan, places }: Talkers, node: number, peers: Int32Array): ReadonlySet<Ip> {
  const asked = new Set<Ip>()
  if (plan.mode === 'vlan') return asked
  const rack = places.rackOf(node)
  for (const peer of peers) {
    const isNear = plan.mode === 'route' || places.rackOf(peer) === rack
    asked.add(isNear ? places.ip(peer) : places.router(node))
  }
  return asked
}

/** In a random order (Fisher and Yates). */
function shuffledNodes(nodes: Int32Array, chance: Prng): Int32Array {
  for (let last = nodes.length - 1; last > 0; last--) {
    const other = chance.below(last + 1)
    const kept = nodes[last]!
    nodes[last] = nodes[other]!
    nodes[other] = kept
  }
  return nodes
}
