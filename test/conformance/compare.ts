/**
 * Prints the comparison of the README: every subject, a row each, as Markdown.
 *
 *     npm run conformance                  all subjects
 *     npm run conformance -- ptp macvlan   those whose name contains one of the words
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isBroken, type Outcome, runSuite, SUBJECTS, summarise } from '../../src/conformance/mod.ts'
import { installOurs, ourSubjects, REFERENCE, REFERENCE_SUBJECTS } from './subjects.ts'

const words = process.argv.slice(2)
const dir = mkdtempSync(join(tmpdir(), 'trv-conformance-'))
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const ours = ourSubjects(await installOurs(dir))
const reference = existsSync(join(REFERENCE, 'bridge'))
if (!reference) console.error(`${REFERENCE} is not there: install containernetworking-plugins`)
const chosen = [...ours, ...(reference ? REFERENCE_SUBJECTS : [])].filter(
  ({ name, binDirs }) =>
    (reference || !binDirs.includes(REFERENCE)) &&
    (words.length === 0 || words.some((word) => name.includes(word))),
)

const rows: string[] = []
const broken: string[] = []
for (const subject of chosen) {
  const { facts, outcomes } = await runSuite(subject)
  rows.push(`| ${subject.name} | ${facts.version} | ${cells(outcomes).join(' | ')} |`)
  for (const { id, level, verdict, evidence } of outcomes.filter(isBroken)) {
    broken.push(`${subject.name}: ${id} (${level}) ${verdict}: ${evidence}`)
  }
  const file = process.env['TRIVIUM_CONFORMANCE_JSON']
  if (file !== undefined) writeFileSync(`${file}-${rows.length}.json`, JSON.stringify(outcomes))
  console.error(`${subject.name}: done`)
}

const titles = ['plugins', 'CNI', ...SUBJECTS, 'silent ok', 'MUST not kept']
console.log(`| ${titles.join(' | ')} |`)
console.log(`|${titles.map(() => '---').join('|')}|`)
console.log(rows.join('\n'))
console.log(`\n${broken.join('\n')}`)

/** Passed of applicable for each subject, then the sums. */
function cells(outcomes: readonly Outcome[]): readonly string[] {
  const summary = summarise(outcomes)
  const of = (subject: string): string => {
    const found = summary.find((each) => each.subject === subject)
    return found === undefined || found.applicable === 0
      ? '–'
      : `${found.passed}/${found.applicable}`
  }
  const sum = (key: 'silentOk' | 'mustFailed'): string =>
    String(summary.reduce((total, each) => total + each[key], 0))
  return [...SUBJECTS.map(of), sum('silentOk'), sum('mustFailed')]
}
