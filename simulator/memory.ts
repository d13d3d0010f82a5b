/**
 * How much memory a run takes, before it is run: of its hungriest mode, because
 * modes run one after the other.
 *
 * Objects of all kernels and entries of all switches are counted by arithmetic
 * (capacity/demand.ts); what one takes was measured as heap in use after a full
 * collection on Node 20, runs of 50 to 400 nodes: 330 to 420 bytes a kernel
 * object, its share of plans and views included, 9 kB a pod with its namespace.
 *
 * @module
 */
import { demandOf } from './capacity/demand.ts'
import { engineFor } from './engine.ts'
import { roadsOf } from './network.ts'
import { refuseLarge } from './run.ts'
import type { Scenario, ScenarioMode } from './scenario.ts'

const OBJECT_BYTES = 450
const POD_BYTES = 10_000
const ENTRY_BYTES = 200
const BASE_BYTES = 100_000_000
/** Of the scaled engine, with twice the room while a column grows. */
const SCALED_NODE_BYTES = 2000
const SCALED_POD_BYTES = 150
/** Of its speakers: both ends of a session, and a pod in the tables that they share. */
const SESSION_BYTES = 7500
const SPOKEN_POD_BYTES = 400
const REFLECTORS = 2
/** A heap grows past what is in use before it is collected. */
const SLACK = 1.4
/** Elements of guards, which come with peers and pods and are in no table. */
const GUARDS_SHARE = 0.25

/**
 * Bytes of heap that the run will need, within a factor of about one and a half.
 *
 * @throws {TriviumError} BAD_CONFIG: too large for its engine.
 */
export function memoryNeeded(scenario: Scenario): number {
  if (engineFor(scenario) === 'scaled') return scaledBytes(scenario)
  refuseLarge(scenario)
  // Networks of several modes need at most what the most expensive does for all.
  const modes = scenario.modes.flatMap(roadsOf).map((mode) => bytesOf(scenario, mode))
  return Math.ceil((BASE_BYTES + Math.max(...modes)) * SLACK)
}

/** Columns: some hundred bytes a node, and of each pod its place, address and announcement. */
function scaledBytes(scenario: Scenario): number {
  const { nodes, podsPerNode } = scenario
  const columns = nodes * SCALED_NODE_BYTES + nodes * podsPerNode * SCALED_POD_BYTES
  return Math.ceil((BASE_BYTES + columns + spokenBytes(scenario)) * SLACK)
}

function spokenBytes(scenario: Scenario): number {
  const { routing, modes, nodes, racks, spines, podsPerNode } = scenario
  const isRouted = modes.some(({ mode }) => mode === 'route')
  if (routing.protocol !== 'bgp' || !isRouted) return 0
  const switches = racks + spines
  const { reflectors = REFLECTORS, sessions: kind } = routing
  const sessions =
    kind === 'mesh' ? nodes * (nodes / 2 + switches) : reflectors * (nodes + switches)
  return sessions * SESSION_BYTES + nodes * podsPerNode * SPOKEN_POD_BYTES
}

function bytesOf(scenario: Scenario, mode: ScenarioMode): number {
  const { nodes, podsPerNode } = scenario
  let bytes = nodes * podsPerNode * POD_BYTES
  for (const { role, devices, most } of demandOf(scenario, mode).tables) {
    const each = role === 'node' ? OBJECT_BYTES * (1 + GUARDS_SHARE) : ENTRY_BYTES
    bytes += devices * most * each
  }
  return bytes
}
