/**
 * Which engine ran, in words, and what one of them does not know.
 *
 * @module
 */
import type { ModeResult, RunResult } from '../run.ts'
import { escaped } from './page.ts'
import { count } from './words.ts'

/** A dash where an engine does not know. */
export const countOrDash = (value: number | undefined): string =>
  value === undefined ? '-' : count(value)

/** `380 of 380` pairs. */
export function pairsOf({ reachability }: ModeResult): string {
  if (reachability === undefined) return '-'
  const { delivered, pairs } = reachability
  return `${count(delivered)} of ${count(pairs)}`
}

/** What a scaled engine shared. */
function engineWords({ engine, label }: ModeResult): readonly string[] {
  if (engine.kind === 'exact') return []
  const { entries, stored, bytes } = engine
  const ratio = count(Math.round(entries / Math.max(1, stored)))
  const size = `${count(Math.round(bytes / 1e6))} MB`
  return [`${label}: ${count(entries)} entries, ${count(stored)} stored (1 for ${ratio}), ${size}`]
}

/** The trace of exact engines, the sharing of scaled ones. */
export function traceLines({ modes, traceHash }: RunResult): readonly string[] {
  const scaled = modes.flatMap(engineWords)
  if (traceHash !== undefined) return [`trace ${traceHash}`]
  return ['engine scaled: up to all pods known everywhere, no packets', ...scaled]
}

/** How the run is had again. */
export function seedSentence({ scenario, traceHash, modes }: RunResult): string {
  if (traceHash === undefined) {
    const what = modes.flatMap(engineWords).map(escaped).join('; ')
    return `Seed ${scenario.seed}, scaled engine: up to all pods known everywhere, no packets. ${what}. The same version, scenario and seed give this very file, byte for byte.`
  }
  return `Seed ${scenario.seed}, trace <code>${traceHash}</code>. The same version, scenario and seed give the same trace and this very file, byte for byte.`
}
