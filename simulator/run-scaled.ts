/**
 * Runs a scenario by the scaled engine, and says what it measured in the words of the
 * exact one. What it cannot know, packets and the end of pods among it, is left out.
 *
 * @module
 */
import { createNetwork, parseNetworkSpec } from '../ipam/networks.ts'
import type { Tx } from '../ipam/store.ts'
import { counted } from '../src/words.ts'
import type { AnnounceTraffic } from './announce-traffic.ts'
import type { BgpFigure } from './bgp/figures.ts'
import { type CheckResult, checkResult } from './checkers/check.ts'
import { TICKS_PER_MS } from './clock.ts'
import type { DeviceFigure } from './device-figures.ts'
import type { SwitchRole } from './fabric-device.ts'
import {
  NODE_TABLES,
  type OverflowFigure,
  ROUTE_BYTES,
  type Sample,
  type TableFigure,
} from './measure.ts'
import { labelOf, networkSpecs } from './network.ts'
import { SWITCH_TABLES, type SwitchTable } from './profiles.ts'
import { firstOverflow, type ModeResult, type Progress, type RunResult, sampleStep } from './run.ts'
import { learnedBy, ScaledRun } from './scaled/mod.ts'
import type { RunMode, Scenario } from './scenario.ts'

/** Roles of switches in a leaf-spine fabric. */
const ROLES: readonly SwitchRole[] = ['tor', 'spine']

/** @throws {TriviumError} BAD_CONFIG: the engine does not take the scenario; it names the word. */
export function runScaled(scenario: Scenario, progress: Progress = () => {}): RunResult {
  const count = scenario.modes.length
  const modes = scenario.modes.map((mode, index) =>
    runMode(scenario, mode, (done, what) => progress((index + done) / count, what)),
  )
  const passed = modes.every(({ checks }) => checks.every((check) => check.passed))
  return { scenario, modes, traceHash: undefined, passed }
}

function runMode(scenario: Scenario, mode: RunMode, progress: Progress): ModeResult {
  const label = labelOf(mode)
  const samples: Sample[] = []
  const step = sampleStep(scenario.nodes * scenario.podsPerNode)
  const run = new ScaledRun(scenario, mode, {
    networkBytes: networkBytes(scenario, mode),
    onPodAdded: () => {
      if (run.podsAdded % step !== 0) return
      samples.push(sampleOf(run))
      progress(0.05 + (0.95 * run.podsAdded) / run.pods.total, label)
    },
  })
  const isCold = run.coldStart()
  const coldTick = run.tick
  const cold = bgpOf(run)
  progress(0.05, label)
  samples.push(sampleOf(run))
  const isFull = run.addPods()
  const whole = bgpOf(run)
  samples.push(sampleOf(run))
  progress(1, label)
  const tables = tablesOf(run)
  const lastTick = coldTick + run.pods.lastTicks
  const checks = checksOf(run, isCold, isFull)
  return {
    label,
    mode,
    tables,
    samples,
    firstOverflow: firstOverflow(tables),
    coldStartMs: coldTick / TICKS_PER_MS,
    podsMs: (run.tick - coldTick) / TICKS_PER_MS,
    tailMs: (run.tick - lastTick) / TICKS_PER_MS,
    heardMs: Math.max(0, run.heardTick - lastTick) / TICKS_PER_MS,
    programming: programmingOf(run),
    fibBytes: most(scenario.nodes, (node) => run.entries(node, 'routes')) * ROUTE_BYTES[4],
    traffic: { store: run.storeTraffic, fabric: fabricTraffic(run) },
    bgp: cold && whole && { coldStart: cold, whole },
    podsAdded: run.podsAdded,
    podsRefused: run.podsRefused,
    kernelOperations: undefined,
    events: undefined,
    reachability: undefined,
    timeline: undefined,
    fabric: { devices: devicesOf(run, tables), downLinks: [] },
    checks,
    traceHash: undefined,
    engine: { kind: 'scaled', ...run.sharing, bytes: run.bytes },
  }
}

/** What speakers did so far; undefined: there are none. */
export function bgpOf({ announcements }: ScaledRun): BgpFigure | undefined {
  const figure = announcements.spoken?.figure()
  if (figure === undefined) return undefined
  const { sent, upTick, learnedTick, prefixesTold: _told, bytes: tableBytes, ...rest } = figure
  const { bytes, ...messages } = sent
  return {
    ...rest,
    messages: { ...messages, refresh: 0 },
    bytes,
    upMs: upTick / TICKS_PER_MS,
    learnedMs: learnedTick / TICKS_PER_MS,
    tableBytes,
  }
}

/** What announcements cost: as speakers said them, or as it is estimated. */
export function fabricTraffic({ announcements, switches }: ScaledRun): AnnounceTraffic {
  const figure = announcements.spoken?.figure()
  if (figure === undefined) return switches.traffic
  const { sent, prefixesTold } = figure
  return { updates: sent.update, prefixesTold, bytes: sent.bytes }
}

/** Octets of the network's record, as the product would write it. */
export function networkBytes(scenario: Scenario, mode: RunMode): number {
  let bytes = 0
  const tx: Tx = {
    get: () => undefined,
    range: () => [],
    put: (key, value) => {
      bytes += key.length + JSON.stringify(value).length
    },
    remove: () => {},
  }
  for (const spec of networkSpecs(scenario, mode)) createNetwork(tx, parseNetworkSpec(spec, 0))
  return bytes
}

function checksOf(run: ScaledRun, isCold: boolean, isFull: boolean): readonly CheckResult[] {
  const nodes = counted(run.plan.scenario.nodes, 'node')
  const late = 'not quiet after an hour of virtual time'
  const refused = run.podsRefused === 0 ? [] : [`${counted(run.podsRefused, 'pod')} got no address`]
  return [
    checkResult('converged: cold start', nodes, isCold ? [] : [late]),
    checkResult('converged: pods added', nodes, isFull ? [] : [late]),
    checkResult('no pod refused', counted(run.pods.total, 'pod'), refused),
  ]
}

function rangeOf(run: ScaledRun, role: SwitchRole): readonly number[] {
  const { racks, spines } = run.plan.scenario
  const [from, length] = role === 'tor' ? [0, racks] : [racks, spines]
  return Array.from({ length }, (_, at) => from + at)
}

function tablesOf(run: ScaledRun): readonly TableFigure[] {
  const ofSwitches = ROLES.flatMap((role) =>
    SWITCH_TABLES.map((table) => switchFigure(run, role, table)),
  )
  return [
    ...ofSwitches.filter(({ demandPeak }) => demandPeak > 0),
    ...nodeFigures(run),
    ...learnedFigures(run),
  ]
}

/** Neighbours that nodes learned; nothing when nobody talks. */
function learnedFigures(run: ScaledRun): readonly TableFigure[] {
  const learned = learnedBy(run)
  if (learned === undefined) return []
  const { nodes, kernel } = run.plan.scenario
  const { asked, refused } = learned
  const device = run.places.name(learned.node)
  const atMs = run.tick / TICKS_PER_MS
  return [
    {
      role: 'node',
      table: 'learned',
      device,
      devices: nodes,
      demandPeak: asked,
      entriesPeak: Math.min(asked, kernel.gcThresh3),
      capacity: kernel.gcThresh3,
      pressure: asked / kernel.gcThresh3,
      firstOverflow: refused && { device, pods: run.podsAdded, atMs, entry: refused },
    },
  ]
}

function switchFigure(run: ScaledRun, role: SwitchRole, table: SwitchTable): TableFigure {
  const { switches } = run
  const devices = rangeOf(run, role)
  let [fullest = 0] = devices
  let overflow: OverflowFigure | undefined
  for (const device of devices) {
    if (switches.demand(device, table) > switches.demand(fullest, table)) fullest = device
    const first = switches.firstOverflow(device, table)
    if (first === undefined || (overflow !== undefined && overflow.pods <= first.pods)) continue
    const { pods, atTick, entry } = first
    overflow = { device: switches.name(device), pods, atMs: atTick / TICKS_PER_MS, entry }
  }
  const demandPeak = switches.demand(fullest, table)
  const { [table]: capacity } = switches.model.capacities
  return {
    role,
    table,
    device: switches.name(fullest),
    devices: devices.length,
    demandPeak,
    entriesPeak: switches.used(fullest, table),
    capacity,
    // Of tables that share their memory only one is used here.
    pressure: capacity === undefined ? undefined : demandPeak / capacity,
    firstOverflow: overflow,
  }
}

function nodeFigures(run: ScaledRun): readonly TableFigure[] {
  const { nodes } = run.plan.scenario
  return NODE_TABLES.map((table): TableFigure => {
    let fullest = 0
    for (let node = 1; node < nodes; node++) {
      if (run.entries(node, table) > run.entries(fullest, table)) fullest = node
    }
    const entries = run.entries(fullest, table)
    return {
      role: 'node',
      table,
      device: run.places.name(fullest),
      devices: nodes,
      demandPeak: entries,
      entriesPeak: entries,
      capacity: undefined,
      pressure: undefined,
      firstOverflow: undefined,
    }
  })
}

function sampleOf(run: ScaledRun): Sample {
  const entries: Record<string, number> = {}
  for (const role of ROLES) {
    const devices = rangeOf(run, role)
    for (const table of SWITCH_TABLES) {
      const demand = devices.reduce(
        (high, device) => Math.max(high, run.switches.demand(device, table)),
        0,
      )
      if (demand > 0) entries[`${role} ${table}`] = demand
    }
  }
  const { nodes } = run.plan.scenario
  for (const table of NODE_TABLES) {
    entries[`node ${table}`] = most(nodes, (node) => run.entries(node, table))
  }
  return { pods: run.podsAdded, atMs: run.tick / TICKS_PER_MS, entries }
}

function programmingOf({ switches }: ScaledRun): ModeResult['programming'] {
  let slowest = 0
  let queuePeak = 0
  for (let device = 0; device < switches.count; device++) {
    if (switches.lagMaxTicks(device) > switches.lagMaxTicks(slowest)) slowest = device
    queuePeak = Math.max(queuePeak, switches.queuePeak(device))
  }
  const lagMaxMs = switches.lagMaxTicks(slowest) / TICKS_PER_MS
  return { lagMaxMs, device: switches.name(slowest), queuePeak }
}

function devicesOf(run: ScaledRun, tables: readonly TableFigure[]): readonly DeviceFigure[] {
  return ROLES.flatMap((role) => {
    const used = tables.filter((figure) => figure.role === role).map(({ table }) => table)
    return rangeOf(run, role).map((device) => deviceOf(run, role, device, used))
  })
}

function deviceOf(
  run: ScaledRun,
  role: SwitchRole,
  device: number,
  used: readonly string[],
): DeviceFigure {
  const { switches, places } = run
  let [table, demandPeak, pressure]: [SwitchTable | undefined, number, number | undefined] = [
    undefined,
    0,
    undefined,
  ]
  for (const each of SWITCH_TABLES) {
    const { [each]: capacity } = switches.model.capacities
    const demand = switches.demand(device, each)
    if (!used.includes(each) || demand === 0 || capacity === undefined) continue
    if (pressure !== undefined && demand / capacity <= pressure) continue
    ;[table, demandPeak, pressure] = [each, demand, demand / capacity]
  }
  const isTor = role === 'tor'
  return {
    name: switches.name(device),
    role,
    rack: isTor ? device : -1,
    nodes: isTor ? places.nodesOf(device).length : 0,
    table,
    demandPeak,
    capacity: table && switches.model.capacities[table],
    pressure,
    isDown: false,
  }
}

function most(count: number, value: (index: number) => number): number {
  let high = 0
  for (let index = 0; index < count; index++) high = Math.max(high, value(index))
  return high
}
