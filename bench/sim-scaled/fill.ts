/**
 * One cold start and all first pods in one mode by the scaled engine: what it took and what
 * it holds, as JSON. Called by sim-scaled.bench.ts.
 */
import { ScaledRun } from '../../simulator/scaled/mod.ts'
import { scenarioSchema } from '../../simulator/scenario.ts'

const [
  nodesText = '5000',
  podsText = '30',
  rateText = '100',
  modeText = '{"mode":"route"}',
  routing = '{}',
] = process.argv.slice(2)
const nodes = Number(nodesText)

const scenario = scenarioSchema.parse({
  nodes,
  podsPerNode: Number(podsText),
  racks: Math.ceil(nodes / 40),
  spines: 4,
  pools: [{ cidr: '10.0.0.0/8' }],
  modes: [JSON.parse(modeText)],
  routing: JSON.parse(routing),
  switch: { lpm: 20_000, host: 20_000, mac: 32_768, routesPerSecond: 19_600 },
  times: { podsPerSecond: Number(rateText) },
})
const [mode] = scenario.modes
if (mode === undefined) throw new Error('Cannot run: the scenario has no mode')
const startMs = performance.now()
const startCpu = process.cpuUsage()
const run = new ScaledRun(scenario, mode)
const isCold = run.coldStart()
const coldMs = performance.now() - startMs
const isFull = run.addPods()
const ms = performance.now() - startMs
const { user, system } = process.cpuUsage(startCpu)
if (!isCold || !isFull || run.podsRefused > 0) throw new Error('Cannot measure: it is not quiet')
const { tick, events, bytes, sharing, agents, podsAdded } = run
console.log(
  JSON.stringify({
    ms,
    coldMs,
    cpuMs: (user + system) / 1000,
    virtualMs: tick / 1000,
    events,
    notes: agents.notes,
    pods: podsAdded,
    groups: run.switches.kinds,
    bytes,
    rssBytes: process.resourceUsage().maxRSS * 1024,
    ...sharing,
  }),
)
