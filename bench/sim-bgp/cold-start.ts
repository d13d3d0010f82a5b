/**
 * One cold start of 300 nodes against two reflectors, in virtual time, until the cluster
 * is quiet: what it took and what was said, as JSON. Called by sim-bgp.bench.ts.
 */
import { EVENT, TICKS_PER_MS } from '../../simulator/clock.ts'
import { parseScenario } from '../../simulator/scenario.ts'
import { Cluster } from '../../simulator/world.ts'
import { prng } from '../../src/prng.ts'

const [nodes = '300', sessions = 'reflectors'] = process.argv.slice(2)

const scenario = parseScenario(
  `nodes: ${nodes}
podsPerNode: 0
racks: ${Math.ceil(Number(nodes) / 30)}
spines: 2
pools: [{ cidr: 10.42.0.0/16 }]
modes: [route]
switch: { profile: trident3-default }
routing: { protocol: bgp, sessions: ${sessions} }
times: { startJitterMs: 5000, settleMs: 500, repairMs: 60000 }
workload: [{ kind: batch, atMs: 0, pods: 1 }]`,
  'cold-start.yaml',
)
const [mode] = scenario.modes
if (mode === undefined) throw new Error('Cannot run: the scenario has no mode')
const startMs = performance.now()
const startCpu = process.cpuUsage()
const cluster = new Cluster(scenario, mode)
const { engine, fabric } = cluster
const chance = prng(scenario.seed).fork('start')
for (const { index } of cluster.nodes) {
  const jitterTicks = chance.below(scenario.times.startJitterMs * TICKS_PER_MS + 1)
  engine.post(jitterTicks + 4 * TICKS_PER_MS, EVENT.start, index, 0)
}
const isQuiet = engine.run(() => cluster.isQuiet, 3_600_000 * TICKS_PER_MS)
const ms = performance.now() - startMs
const { user, system } = process.cpuUsage(startCpu)
if (!isQuiet || fabric.bgp === undefined) throw new Error('Cannot measure: it is not quiet')
console.log(
  JSON.stringify({
    ms,
    cpuMs: (user + system) / 1000,
    virtualMs: engine.tick / TICKS_PER_MS,
    events: engine.events,
    rssBytes: process.resourceUsage().maxRSS * 1024,
    bgp: fabric.bgp.figure(),
    trace: engine.traceHash(),
  }),
)
