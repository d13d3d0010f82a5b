/**
 * How to compare: every variant takes its turn in every round, in an order that
 * rotates, so that a slow minute of the machine hits all of them alike. What is
 * reported is the median, with the spread beside it.
 */
import { renderTable } from '../src/cli/output.ts'
import type { Origin } from './dataplane/html.ts'

/** Milliseconds by what was done, e.g. `{ ADD: 1.4, DEL: 2.1 }`. */
export type Sample = Readonly<Record<string, number>>

export interface Variant {
  readonly name: string
  /** One turn. Only what it times itself counts: it may prepare and verify around that. */
  run(round: number): Promise<Sample>
}

export interface Rounds {
  /** Rounds that count. */
  readonly rounds: number
  /** Rounds before them that do not. */
  readonly warmUp: number
}

export interface Summary {
  readonly samples: number
  readonly medianMs: number
  readonly p10Ms: number
  readonly p90Ms: number
}

/** One line of a report: a variant against the peer, doing the same thing. */
export interface Row extends Summary {
  readonly what: string
  readonly variant: string
  /** Median over the peer's; undefined for the peer itself. */
  readonly ratio: number | undefined
}

/** What was promised, and what came of it; figures as text with their units. */
export interface Verdict {
  readonly what: string
  readonly ours: string
  /** The peer, or the floor: what it is, and its figure of the same run. */
  readonly beside: string
  readonly ratio?: number | undefined
  readonly target: string
  readonly isMet: boolean
}

export interface Report {
  readonly bench: string
  readonly rows: readonly Row[]
  readonly verdicts?: readonly Verdict[]
  readonly notes: readonly string[]
  /** What is no time in milliseconds, as JSON; read by the bench's own `formats`. */
  readonly findings?: unknown
}

/** How a bench with findings shows them. */
export interface Formats {
  text(report: Report): string
  /** The small table for the docs. */
  markdown(report: Report): string
  /** A page with charts. */
  html?(report: Report, origin: Origin): string
}

/** A benchmark as `run.ts` finds it. */
export interface Bench {
  readonly about: string
  /** Why it cannot run here; undefined when it can. */
  unable(): string | undefined
  run(options: { readonly samples: number; readonly say: (text: string) => void }): Promise<Report>
  readonly formats?: Formats
}

/** What a part of a bench found beside its peer. */
export interface Measured {
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  /** The variant that ratios are of. */
  readonly peer: string
  readonly verdicts: readonly Verdict[]
  readonly notes?: readonly string[]
}

/** Runs every variant in every round and returns all samples by variant. */
export async function interleave(
  variants: readonly Variant[],
  { rounds, warmUp }: Rounds,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(variants.map(({ name }) => [name, []]))
  for (let round = 0; round < warmUp + rounds; round++) {
    for (let turn = 0; turn < variants.length; turn++) {
      const variant = variants[(round + turn) % variants.length]
      if (variant === undefined) continue
      const sample = await variant.run(round)
      if (round >= warmUp) samples.get(variant.name)?.push(sample)
    }
  }
  return samples
}

/** @throws {RangeError} There are no values. */
export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((left, right) => left - right)
  const quantile = (share: number): number => {
    const at = share * (sorted.length - 1)
    const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
    if (low === undefined || high === undefined) throw new RangeError('Cannot summarize no values')
    return low + (high - low) * (at - Math.floor(at))
  }
  return {
    samples: sorted.length,
    medianMs: quantile(0.5),
    p10Ms: quantile(0.1),
    p90Ms: quantile(0.9),
  }
}

/** Rows grouped by what was done, the peer last in each group. */
export function compare(
  samples: ReadonlyMap<string, readonly Sample[]>,
  peer: string | undefined,
): readonly Row[] {
  const whats = new Set([...samples.values()].flatMap(([first]) => Object.keys(first ?? {})))
  return [...whats].flatMap((what) => {
    const valuesOf = (variant: string): readonly number[] =>
      (samples.get(variant) ?? []).flatMap((sample) => sample[what] ?? [])
    const theirs = peer === undefined ? [] : valuesOf(peer)
    const base = theirs.length === 0 ? undefined : summarize(theirs).medianMs
    return [...samples.keys()]
      .filter((variant) => valuesOf(variant).length > 0)
      .sort((left, right) => Number(left === peer) - Number(right === peer))
      .map((variant): Row => {
        const summary = summarize(valuesOf(variant))
        const ratio = base === undefined || variant === peer ? undefined : summary.medianMs / base
        return { what, variant, ...summary, ratio }
      })
  })
}

/** A report as a table for people. */
export function renderReport({ bench, rows, verdicts = [], notes }: Report): string {
  const parts = [renderRows(rows), ...(verdicts.length === 0 ? [] : [renderVerdicts(verdicts)])]
  return `${bench}\n\n${parts.join('\n')}${notes.map((note) => `\n${note}`).join('')}\n`
}

const times = (ratio: number | undefined): string =>
  ratio === undefined ? '' : `${ratio.toFixed(2).padStart(5)} x`

function renderVerdicts(verdicts: readonly Verdict[]): string {
  return renderTable(verdicts, [
    { title: 'WHAT', value: ({ what }) => what },
    { title: 'OURS', value: ({ ours }) => ours },
    { title: 'BESIDE', value: ({ beside }) => beside },
    { title: 'RATIO', value: ({ ratio }) => times(ratio) },
    { title: 'TARGET', value: ({ target }) => target },
    { title: '', value: ({ isMet }) => (isMet ? 'ok' : 'missed') },
  ])
}

function renderRows(rows: readonly Row[]): string {
  const ms = (value: number): string => value.toFixed(value < 0.1 ? 4 : 2).padStart(8)
  return renderTable(rows, [
    { title: 'WHAT', value: ({ what }) => what },
    { title: 'HOW', value: ({ variant }) => variant },
    { title: 'SAMPLES', value: ({ samples }) => samples },
    { title: 'MEDIAN ms', value: ({ medianMs }) => ms(medianMs) },
    { title: 'P10 ms', value: ({ p10Ms }) => ms(p10Ms) },
    { title: 'P90 ms', value: ({ p90Ms }) => ms(p90Ms) },
    {
      title: 'RATIO',
      value: ({ ratio }) => times(ratio),
    },
  ])
}
