/**
 * One cold start in one mode by the scaled engine: what it took and what it holds, as
 * JSON. Called by sim-scaled.bench.ts. The exact engine's limit of nodes does not count here.
 */
import { ScaledRun } from '../../simulator/scaled/mod.ts'
import { scenarioSchema } from '../../simulator/scenario.ts'

const [nodesText = '5000', modeName = 'route'] = process.argv.slice(2)
const nodes = Number(nodesText)

const small = scenarioSchema.parse({
  nodes: 1,
  podsPerNode: 1,
  racks: Math.ceil(nodes / 40),
  spines: 4,
  pools: [{ cidr: '10.0.0.0/8' }],
  modes: [modeName],
  switch: { lpm: 20_000, host: 20_000, mac: 32_768, routesPerSecond: 750 },
})
const [mode] = small.modes
if (mode === undefined) throw new Error('Cannot run: the scenario has no mode')
const startMs = performance.now()
const startCpu = process.cpuUsage()
const run = new ScaledRun({ ...small, nodes, podsPerNode: 0 }, mode, { isWatched: true })
const isQuiet = run.coldStart()
const ms = performance.now() - startMs
const { user, system } = process.cpuUsage(startCpu)
if (!isQuiet) throw new Error('Cannot measure: it is not quiet')
const rssBytes = process.resourceUsage().maxRSS * 1024
const { tick, events, bytes, sharing, agents } = run
const ratio = sharing.entries / sharing.stored
const cpuMs = (user + system) / 1000
const batches = [...run.steps()].length
console.log(
  JSON.stringify({
    ms,
    cpuMs,
    virtualMs: tick / 1000,
    events,
    bytes,
    rssBytes,
    ...sharing,
    ratio,
    batches,
    notes: agents.notes,
  }),
)
