/**
 * The report as data, for JSON and YAML.
 *
 * @module
 */
import { type CompareResult, largestOf } from '../compare.ts'
import type { ModeResult, RunResult } from '../run.ts'
import type { TimelineResult } from '../timeline/result.ts'
import { firstPods } from '../timeline/workload.ts'
import { compareSentence } from './compare-words.ts'
import { bestOf, measuresOf } from './measures.ts'
import { seedsData } from './seeds-report.ts'
import { acrossOf } from './ways.ts'
import { sentenceOf, verdictOf } from './words.ts'

/** A run as plain data. Times end in Ms and are virtual. */
export function dataReport(result: RunResult): Readonly<Record<string, unknown>> {
  const { scenario, modes, passed, traceHash } = result
  return {
    scenario,
    passed,
    traceHash: traceHash ?? null,
    modes: modes.map((mode) => ({
      label: mode.label,
      ...mode.mode,
      verdict: sentenceOf(mode),
      firstOverflow: mode.firstOverflow ?? null,
      tables: mode.tables.map((figure) => ({
        ...figure,
        capacity: figure.capacity ?? null,
        pressure: figure.pressure === undefined ? null : rounded(figure.pressure),
        firstOverflow: figure.firstOverflow ?? null,
        verdict: verdictOf(figure),
      })),
      coldStartMs: mode.coldStartMs,
      podsMs: mode.podsMs,
      tailMs: mode.tailMs,
      heardMs: mode.heardMs,
      programming: mode.programming,
      fibBytes: mode.fibBytes,
      traffic: mode.traffic,
      bgp: mode.bgp ?? null,
      podsAdded: mode.podsAdded,
      podsRefused: mode.podsRefused,
      kernelOperations: mode.kernelOperations ?? null,
      events: mode.events ?? null,
      reachability: reachabilityData(mode),
      timeline: mode.timeline === undefined ? null : timelineData(mode.timeline),
      devices: mode.fabric.devices.map(({ table, capacity, pressure, ...device }) => ({
        ...device,
        table: table ?? null,
        capacity: capacity ?? null,
        pressure: pressure === undefined ? null : rounded(pressure),
      })),
      checks: mode.checks,
      traceHash: mode.traceHash ?? null,
      engine: mode.engine,
      samples: mode.samples,
    })),
  }
}

function reachabilityData(mode: ModeResult): unknown {
  const { reachability } = mode
  if (reachability === undefined) return null
  return {
    pairs: reachability.pairs,
    closed: reachability.closed,
    delivered: reachability.delivered,
    software: reachability.software,
    lostToOverflow: reachability.lostToOverflow,
    lostToFailure: reachability.lostToFailure,
    divided: reachability.divided,
    latencyMaxMs: reachability.latencyMaxMs,
    ways: reachability.ways.map((way) => ({
      ...way,
      narrowestMbps: way.narrowestMbps ?? null,
      reason: way.reason ?? null,
    })),
    acrossDataCenters: acrossOf(mode) ?? null,
    sampled: reachability.sampled,
    example: reachability.example ?? null,
  }
}

/** A comparison as plain data: a run a size, then what its modes are compared by. */
export function compareData(compared: CompareResult): Readonly<Record<string, unknown>> {
  const { runs, skipped } = compared
  return {
    verdict: compareSentence(compared),
    skipped,
    runs: runs.map(({ nodes, result, others }) => ({
      nodes,
      pods: firstPods(result.scenario),
      passed: result.passed,
      traceHash: result.traceHash ?? null,
      measures: measuresOf(result.modes).map((measure) => {
        const best = bestOf(measure, result.modes)
        return {
          name: measure.name,
          unit: measure.unit,
          better: measure.better ?? null,
          values: result.modes.map((mode, index) => ({
            mode: mode.label,
            value: measure.value(mode) ?? null,
            best: best[index] === true,
          })),
        }
      }),
      seeds: others.length === 0 ? null : seedsData([result, ...others]),
    })),
    largest: dataReport(largestOf(compared)),
  }
}

const timelineData = (timeline: TimelineResult): Readonly<Record<string, unknown>> => ({
  ...timeline,
  faults: timeline.faults.map((fault) => ({ ...fault, settledMs: fault.settledMs ?? null })),
  blackHoles: { ...timeline.blackHoles, worst: timeline.blackHoles.worst ?? null },
})

const rounded = (share: number): number => Math.round(share * 1e6) / 1e6
