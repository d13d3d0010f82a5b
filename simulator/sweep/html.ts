/**
 * A sweep as one HTML file.
 *
 * @module
 */
import { heatMap } from '../report/heat-map.ts'
import { card, escaped, page, plot, reproduction, table } from '../report/page.ts'
import { cellWords } from '../report/seeds-report.ts'
import { count } from '../report/words.ts'
import { type FigureMaps, mapsOf } from './maps.ts'
import type { SweepSummary } from './summary.ts'
import { engineSentence } from './text.ts'

export function sweepHtml(summary: SweepSummary): string {
  const { plan, rows, shown, there, failed } = summary
  const heads = [
    ...plan.paths.map(escaped),
    'Mode',
    ...shown.map(({ title }) => `+${escaped(title)}`),
  ]
  const lines = rows.map(({ settings, label, cells }) =>
    [
      ...settings.map((words) => words ?? '-'),
      label,
      ...shown.map(({ name }) => cellWords(cells.get(name), plan.seeds.length)),
    ].map(escaped),
  )
  const wanted = plan.points.length * plan.seeds.length
  const checks =
    failed.length === 0
      ? `<p class="answer good">${count(there)} of ${count(wanted)} runs; every checker passed.</p>`
      : `<p class="answer bad">${count(there)} of ${count(wanted)} runs; a checker failed in ${count(failed.length)}.</p>`
  return page(plan.name, [
    `<h1>${escaped(plan.name)}: a sweep</h1>`,
    plan.about === '' ? '' : `<p class="about">${escaped(plan.about)}</p>`,
    checks,
    ...mapsOf(summary).map(mapsCard),
    card(
      'Every point',
      `Mean over ${count(plan.seeds.length)} seeds, ± half of the 95 % interval (Student's t). Times are virtual. ${engineSentence(plan)}.`,
      table(heads, lines, 'dense'),
    ),
    reproduction(
      `Sweep <code>${plan.id}</code> by program <code>${escaped(plan.program)}</code>, seeds ${plan.seeds[0]} to ${plan.seeds.at(-1)}. The same program and file give the same figures.`,
      { text: plan.text, command: 'trivium sim sweep FILE --html report.html' },
    ),
  ])
}

/** Every map of one figure, by one scale. */
function mapsCard({ measure, maps, more }: FigureMaps): string {
  const prefix = `map-${measure.name.replaceAll(/[^a-z0-9]/g, '-')}`
  const body = maps.map(({ title, map }, index) => {
    const head = title === '' ? '' : `<p><b>${escaped(title)}</b></p>`
    return `${head}${plot(heatMap(`${prefix}-${index}`, map))}`
  })
  const left = more === 0 ? '' : ` ${count(more)} more are left out: the table below has them.`
  return card(
    escaped(measure.title),
    `Mean over seeds, ± half of the 95 % interval; darker is more.${left}`,
    body.join('\n'),
  )
}
