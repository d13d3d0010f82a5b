/**
 * What an agent counts, by name.
 *
 * @module
 */
import type { AgentReport } from '../agent/agent.ts'
import type { RoundListener } from '../agent/rounds.ts'
import { subjectOf } from '../kernel/mod.ts'
import type { AddressStates } from './addresses.ts'
import { type BgpNow, bgpFamilies } from './bgp.ts'
import { counter, gauge, histogram, single } from './meters.ts'
import type { Family } from './text.ts'

/** One finished CNI call. */
export interface CountedCall {
  readonly verb: string
  /** CNI error code; undefined: success. */
  readonly code?: number
  readonly totalMs: number
  readonly stepMs: Readonly<Record<string, number>>
}

/** What is true at the moment somebody looks. */
export interface AgentNow {
  readonly version: string
  readonly nodeJs: string
  readonly addresses: readonly AddressStates[]
  /** The longest time the event loop was busy with one thing in the last minute or two. */
  readonly stretchSeconds: number
  readonly logLinesDropped: number
  readonly startedUnixSeconds: number
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** undefined: the node is in no cluster. */
  readonly cluster?: ClusterNow
  /** undefined: the node does not speak BGP. */
  readonly bgp?: BgpNow
}

/** How a node stands in its cluster. */
export interface ClusterNow {
  readonly isConnected: boolean
  /** 0: no lease, or it is over. */
  readonly leaseLeftSeconds: number
  /** Records of the node that its mirror lacks, counted up to `PENDING_MAX`. */
  readonly mirrorPending: number
  /** What others ask of this node and it has not answered yet. */
  readonly requests: number
}

/** More than so many are told as so many. */
export const PENDING_MAX = 10_000

export interface AgentMetrics extends RoundListener {
  call(call: CountedCall): void
  report(report: AgentReport): void
  transaction(ms: number, outcome: 'committed' | 'failed'): void
  families(now: AgentNow): readonly Family[]
}

/** Whatever else a caller writes there is one label. */
const VERBS = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'])

const seconds = (ms: number): number => ms / 1000

export function agentMetrics(): AgentMetrics {
  const requests = counter(
    'trivium_cni_requests_total',
    'CNI calls by verb and error code; code 0 is success.',
    ['verb', 'code'],
  )
  const durations = histogram(
    'trivium_cni_request_duration_seconds',
    'Time from the request to its answer.',
    ['verb'],
  )
  const steps = histogram('trivium_cni_step_duration_seconds', 'Time of each step of a CNI call.', [
    'verb',
    'step',
  ])
  const rounds = histogram(
    'trivium_round_duration_seconds',
    'Rounds of the reconciler: whole (kernel read), step (peers changed), look (nothing to do).',
    ['kind'],
  )
  const operations = counter(
    'trivium_kernel_operations_total',
    'Kernel objects the reconciler made, changed or removed, by cause: start, change (of store or underlay), repair (somebody else changed the kernel).',
    ['object', 'action', 'cause'],
  )
  const refused = counter(
    'trivium_kernel_operations_failed_total',
    'Operations of the reconciler that the kernel refused.',
  )
  const conflicts = counter(
    'trivium_conflicts_total',
    'Foreign objects found in the place of ours, each counted when first seen.',
    ['object'],
  )
  const problems = counter(
    'trivium_problems_total',
    'Networks or settings that cannot be planned, each counted when first seen.',
  )
  const failures = counter(
    'trivium_round_failures_total',
    'Rounds that ended early, by the step that failed.',
    ['step'],
  )
  const transactions = histogram(
    'trivium_store_transaction_duration_seconds',
    'Store transactions until they are on disk, by outcome.',
    ['outcome'],
  )
  const meters = [requests, durations, steps, rounds, operations, refused, conflicts, problems]
  return {
    call({ verb, code = 0, totalMs, stepMs }) {
      const known = VERBS.has(verb) ? verb : 'other'
      requests.add([known, String(code)])
      durations.observe([known], seconds(totalMs))
      for (const [step, ms] of Object.entries(stepMs)) steps.observe([known, step], seconds(ms))
    },
    round: (kind, ms) => rounds.observe([kind], seconds(ms)),
    applied(ops, cause, failed) {
      for (const op of ops) operations.add([subjectOf(op).kind, op.kind, cause])
      refused.add([], failed)
    },
    report(report) {
      if (report.event === 'conflict') conflicts.add([report.conflict.desired.kind])
      else if (report.event === 'problem') problems.add([])
      else if (report.event === 'failed') failures.add([report.step])
    },
    transaction: (ms, outcome) => transactions.observe([outcome], seconds(ms)),
    families: (now) => [
      ...[...meters, failures, transactions].map((meter) => meter.family()),
      ...nowFamilies(now),
    ],
  }
}

function nowFamilies(now: AgentNow): readonly Family[] {
  const addresses = now.addresses.flatMap(({ network, family, ...states }) =>
    (['free', 'used', 'reserved'] as const).map((state) => ({
      labels: { network, family: `ipv${family}`, state },
      value: states[state],
    })),
  )
  const blocks = now.addresses.map(({ network, family, blocks: value }) => ({
    labels: { network, family: `ipv${family}` },
    value,
  }))
  const build = { labels: { version: now.version, nodejs: now.nodeJs }, value: 1 }
  return [
    gauge('trivium_addresses', "Addresses in this node's blocks by state.", addresses),
    gauge('trivium_blocks', 'Blocks this node owns.', blocks),
    single(
      'trivium_event_loop_stretch_max_seconds',
      'Longest time the event loop was busy with one thing in the last one to two minutes.',
      now.stretchSeconds,
    ),
    single(
      'trivium_log_lines_dropped_total',
      'Lines of the log that nobody took: whoever reads standard error stood still.',
      now.logLinesDropped,
      'counter',
    ),
    gauge('trivium_build_info', 'Always 1; the labels say which build runs.', [build]),
    single(
      'process_start_time_seconds',
      'Start of the process, Unix time.',
      now.startedUnixSeconds,
    ),
    single('process_cpu_seconds_total', 'CPU time used.', now.cpuSeconds, 'counter'),
    single('process_resident_memory_bytes', 'Resident memory.', now.residentBytes),
    ...(now.cluster === undefined ? [] : clusterFamilies(now.cluster)),
    ...(now.bgp === undefined ? [] : bgpFamilies(now.bgp)),
  ]
}

const clusterFamilies = (now: ClusterNow): readonly Family[] => [
  single('trivium_cluster_connected', 'Whether etcd answers: 1 or 0.', Number(now.isConnected)),
  single(
    'trivium_cluster_lease_left_seconds',
    'How long the node gives addresses without a word from etcd; 0: no longer.',
    now.leaseLeftSeconds,
  ),
  single(
    'trivium_cluster_mirror_pending_records',
    `Records of this node that its mirror in etcd lacks, at most ${PENDING_MAX}.`,
    now.mirrorPending,
  ),
  single(
    'trivium_cluster_requests',
    'What others ask of this node and it has not answered yet.',
    now.requests,
  ),
]
