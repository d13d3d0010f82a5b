/**
 * What counts: counters, gauges and histograms with labels.
 *
 * Labels come from closed lists or from what an administrator made (networks),
 * never from pods: a series that was made once is kept for ever, here and in
 * every scraper.
 *
 * @module
 */
import { type Family, type Labels, type MetricType, renderNumber, type Sample } from './text.ts'

/** Most series of one name. What comes beyond is not counted, rather than filling the memory. */
export const SERIES_MAX = 2000

/** Upper bounds in seconds: from a local commit to a runtime's patience. */
export const SECONDS: readonly number[] = [
  0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
]

/** Numbers by label values. */
class Series<T> {
  readonly #labels: readonly string[]
  readonly #byKey = new Map<string, { readonly labels: Labels; readonly cell: T }>()
  readonly #make: () => T

  constructor(labels: readonly string[], make: () => T) {
    this.#labels = labels
    this.#make = make
  }

  cell(values: readonly string[]): T | undefined {
    const key = values.join('\0')
    const found = this.#byKey.get(key)
    if (found !== undefined) return found.cell
    if (this.#byKey.size >= SERIES_MAX) return undefined
    const labels = Object.fromEntries(this.#labels.map((name, at) => [name, values[at] ?? '']))
    const cell = this.#make()
    this.#byKey.set(key, { labels, cell })
    return cell
  }

  samples(render: (labels: Labels, cell: T) => readonly Sample[]): readonly Sample[] {
    return [...this.#byKey.values()].flatMap(({ labels, cell }) => render(labels, cell))
  }
}

export interface Counter {
  /** @param values Of the labels, in their order. */
  add(values: readonly string[], by?: number): void
  family(): Family
}

export function counter(name: string, help: string, labels: readonly string[] = []): Counter {
  const series = new Series(labels, () => ({ value: 0 }))
  // Without labels there is one series, and it is there before anything happened.
  if (labels.length === 0) series.cell([])
  return {
    add(values, by = 1) {
      const cell = series.cell(values)
      if (cell !== undefined) cell.value += by
    },
    family: () => ({
      name,
      help,
      type: 'counter',
      samples: series.samples((each, { value }) => [{ labels: each, value }]),
    }),
  }
}

export interface Histogram {
  observe(values: readonly string[], seconds: number): void
  family(): Family
}

export function histogram(
  name: string,
  help: string,
  labels: readonly string[] = [],
  bounds: readonly number[] = SECONDS,
): Histogram {
  const series = new Series(labels, () => ({ counts: bounds.map(() => 0), sum: 0, count: 0 }))
  if (labels.length === 0) series.cell([])
  return {
    observe(values, seconds) {
      const cell = series.cell(values)
      if (cell === undefined) return
      cell.sum += seconds
      cell.count += 1
      const at = bounds.findIndex((bound) => seconds <= bound)
      if (at >= 0) cell.counts[at] = (cell.counts[at] ?? 0) + 1
    },
    family: () => ({
      name,
      help,
      type: 'histogram',
      samples: series.samples((each, cell) => {
        let below = 0
        const buckets = bounds.map((bound, at): Sample => {
          below += cell.counts[at] ?? 0
          return { suffix: '_bucket', labels: { ...each, le: renderNumber(bound) }, value: below }
        })
        return [
          ...buckets,
          { suffix: '_bucket', labels: { ...each, le: '+Inf' }, value: cell.count },
          { suffix: '_sum', labels: each, value: cell.sum },
          { suffix: '_count', labels: each, value: cell.count },
        ]
      }),
    }),
  }
}

/** A value that is asked for when somebody looks. */
export function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples }
}

/** The same of what is counted by somebody else and only grows. */
export const counted = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  help,
  type: 'counter',
  samples,
})

/** One number without labels. */
export const single = (name: string, help: string, value: number, type: MetricType = 'gauge') => ({
  name,
  help,
  type,
  samples: [{ labels: {}, value }],
})
