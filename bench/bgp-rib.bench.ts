/**
 * The RIB alone: half a million prefixes from one eBGP peer, in UPDATEs whose octets
 * are made beforehand, learnt, decided, and packed for a group of one other peer.
 * Messages are neither read from a stream nor written. Every turn is a process of its
 * own, bgp-rib/ingest.ts, and times are the processor's for its main thread.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, summarize, type Variant } from './harness.ts'

const PROGRAM = join(import.meta.dirname, 'bgp-rib', 'ingest.ts')
const PREFIXES = 500_000
const ROUNDS_MIN = 3
const SAMPLES_PER_ROUND = 16
const INGEST_MS_MAX = 350
const ROUTE_BYTES_MAX = 100

interface Turn {
  readonly ingest: { readonly ms: number; readonly cpuMs: number; readonly stretchMs: number }
  readonly churn: { readonly cpuMs: number }
  readonly again: { readonly cpuMs: number }
  readonly downMs: number
  readonly columnsPerRoute: number
  readonly rssPerRoute: number
}

async function run(samples: number): Promise<Report> {
  const turns = new Map<number, Turn[]>()
  const variant = (perUpdate: number): Variant => ({
    name: `${perUpdate} per UPDATE`,
    async run() {
      const args = [
        ...process.execArgv,
        '--expose-gc',
        PROGRAM,
        String(PREFIXES),
        String(perUpdate),
      ]
      const turn: Turn = JSON.parse(await must([process.execPath, ...args]))
      turns.set(perUpdate, [...(turns.get(perUpdate) ?? []), turn])
      return {
        'learn, decide, pack': turn.ingest.cpuMs,
        '… by the clock on the wall': turn.ingest.ms,
        'all of them with other attributes': turn.churn.cpuMs,
        'all of them again, unchanged': turn.again.cpuMs,
        'the peer goes': turn.downMs,
      }
    },
  })
  const rounds = Math.max(ROUNDS_MIN, Math.ceil(samples / SAMPLES_PER_ROUND))
  const found = await interleave([variant(100), variant(1)], { rounds, warmUp: 0 })
  const medianOf = (of: (turn: Turn) => number): number =>
    summarize((turns.get(100) ?? []).map(of)).medianMs
  const ms = medianOf(({ ingest }) => ingest.cpuMs)
  const bytes = medianOf(({ rssPerRoute }) => rssPerRoute)
  const columns = medianOf(({ columnsPerRoute }) => columnsPerRoute)
  const stretch = medianOf(({ ingest }) => ingest.stretchMs)
  return {
    bench: `bgp-rib: ${PREFIXES.toLocaleString('en')} IPv4 prefixes, 5,000 sets of attributes`,
    rows: compare(found, undefined),
    verdicts: [
      {
        what: 'learn, decide, pack, 100 per UPDATE',
        ours: `${ms.toFixed(0)} ms`,
        beside: `${((PREFIXES / ms) * 1000).toExponential(1)} routes/s`,
        target: `<= ${INGEST_MS_MAX} ms`,
        isMet: ms <= INGEST_MS_MAX,
      },
      {
        what: 'memory a route',
        ours: `${bytes.toFixed(0)} B`,
        beside: `${columns.toFixed(0)} B in columns`,
        target: `<= ${ROUTE_BYTES_MAX} B`,
        isMet: bytes <= ROUTE_BYTES_MAX,
      },
    ],
    notes: [`Longest call of work(): ${stretch.toFixed(1)} ms (median of the longest).`],
  }
}

export const bench: Bench = {
  about: 'the RIB alone: half a million prefixes learnt, decided and packed',
  unable: () => (existsSync('/proc/thread-self/schedstat') ? undefined : 'needs Linux'),
  run: ({ samples }) => run(samples),
}
