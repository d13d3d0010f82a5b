/**
 * One scenario from nothing to full and to its end, in a process of its own.
 *
 *     node cold.ts '{"nodes":300,"podsPerNode":30,"modes":["vxlan"]}'
 *
 * Prints a line of JSON: seconds from the start of the process until all pods
 * are there and the cluster is quiet, and until its end.
 */
import { DONE_WHEN_FULL, runScenario } from '../../simulator/run.ts'
import { parseScenario } from '../../simulator/scenario.ts'

/** Seconds since the process began, on the wall and of its processors' time. */
function seconds(): { readonly wall: number; readonly cpu: number } {
  const { user, system } = process.cpuUsage()
  return { wall: process.uptime(), cpu: (user + system) / 1e6 }
}

let full = seconds()
const result = runScenario(parseScenario(process.argv[2] ?? '', 'bench'), (done) => {
  if (done === DONE_WHEN_FULL) full = seconds()
})
const [mode] = result.modes
const { events, kernelOperations, traceHash, podsAdded } = mode ?? {}
const whole = seconds()
const { passed } = result
console.log(JSON.stringify({ full, whole, events, kernelOperations, traceHash, podsAdded, passed }))
