/**
 * The agent's metrics on real clocks: what is measured, and the page of it.
 *
 * @module
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Store } from '../../ipam/store.ts'
import { addressStates } from '../metrics/addresses.ts'
import { type AgentMetrics, agentMetrics, type ClusterNow } from '../metrics/agent.ts'
import type { BgpNow } from '../metrics/bgp.ts'
import { renderMetrics } from '../metrics/text.ts'
import { VERSION } from '../version.ts'
import type { FinishedCall } from './call-log.ts'
import { type MetricsAddress, type MetricsServer, serveMetrics } from './metrics-server.ts'

/** How often the event loop's delay is looked at; a stretch shorter than this may go unseen. */
const LOOK_MS = 10
/** Stretches older than twice this are forgotten. */
const WINDOW_MS = 60_000

export interface LiveMetrics extends Omit<AgentMetrics, 'call' | 'families'> {
  call(call: FinishedCall): void
  /** The same store, each transaction counted. */
  measured(store: Store): Store
  /** Starts to answer scrapers. */
  serve(
    where: MetricsAddress,
    store: Store,
    node: string,
    cluster?: () => ClusterNow,
    bgp?: () => BgpNow | undefined,
  ): Promise<MetricsServer>
}

/** @param logDropped Lines of the log that nobody took. */
export function liveMetrics(logDropped: () => number = () => 0): LiveMetrics {
  const counts = agentMetrics()
  return {
    ...counts,
    call({ env, steps }) {
      const verb = env['CNI_COMMAND'] ?? ''
      const { error, totalMs, ms: stepMs } = steps
      counts.call({ verb, totalMs, stepMs, ...(error === undefined ? {} : { code: error.code }) })
    },
    measured: (store) => measured(store, counts),
    async serve(where, store, node, cluster, bgp = () => undefined) {
      // Only where somebody looks: it wakes the process a hundred times a second.
      const stretches = watchStretches()
      const page = (): string => {
        const spoken = bgp()
        return renderMetrics(
          counts.families({
            version: VERSION,
            nodeJs: process.version,
            addresses: store.read((reader) => addressStates(reader, node)),
            stretchSeconds: stretches.maxSeconds(),
            logLinesDropped: logDropped(),
            startedUnixSeconds: performance.timeOrigin / 1000,
            cpuSeconds: cpuSeconds(),
            residentBytes: process.memoryUsage.rss(),
            ...(cluster === undefined ? {} : { cluster: cluster() }),
            ...(spoken === undefined ? {} : { bgp: spoken }),
          }),
        )
      }
      const server = await serveMetrics(where, page)
      return {
        address: server.address,
        close() {
          stretches.stop()
          return server.close()
        },
      }
    },
  }
}

function measured(store: Store, counts: AgentMetrics): Store {
  return {
    read: (body) => store.read(body),
    transact(body, done, decided) {
      const started = performance.now()
      const counted: typeof done = (outcome) => {
        counts.transaction(performance.now() - started, outcome.kind)
        done(outcome)
      }
      store.transact(body, counted, decided)
    },
    watch: (changed) => store.watch(changed),
    close: () => store.close(),
  }
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** The longest stretch of this window and the one before; looking does not reset it for others. */
function watchStretches(): { maxSeconds(): number; stop(): void } {
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS })
  delays.enable()
  let before = 0
  const turn = setInterval(() => {
    before = delays.max
    delays.reset()
  }, WINDOW_MS)
  turn.unref()
  return {
    maxSeconds: () => Math.max(0, Math.max(before, delays.max) / 1e9 - LOOK_MS / 1000),
    stop() {
      clearInterval(turn)
      delays.disable()
    },
  }
}
