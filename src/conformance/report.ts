/**
 * What a run says: counts by subject, and JUnit's XML for continuous integration.
 *
 * @module
 */
import { type Outcome, SUBJECTS, type Subject, type Verdict } from './model.ts'

export interface SubjectSummary {
  readonly subject: Subject
  readonly passed: number
  /** Rules that say something about this plugin and were run. */
  readonly applicable: number
  readonly failed: number
  readonly silentOk: number
  /** Failed and silent ones that are a MUST. */
  readonly mustFailed: number
}

const isOf = (verdict: Verdict, ...others: readonly Verdict[]): boolean => others.includes(verdict)

/** Whether a rule was run and not kept. */
export const isBroken = ({ verdict }: Outcome): boolean => isOf(verdict, 'fail', 'silent ok')

/** A row a subject that any rule is about. */
export function summarise(outcomes: readonly Outcome[]): readonly SubjectSummary[] {
  return SUBJECTS.flatMap((subject) => {
    const own = outcomes.filter((outcome) => outcome.subject === subject)
    if (own.length === 0) return []
    const count = (test: (outcome: Outcome) => boolean): number => own.filter(test).length
    return [
      {
        subject,
        passed: count(({ verdict }) => verdict === 'pass'),
        applicable: count(({ verdict }) => isOf(verdict, 'pass', 'fail', 'silent ok')),
        failed: count(({ verdict }) => verdict === 'fail'),
        silentOk: count(({ verdict }) => verdict === 'silent ok'),
        mustFailed: count((outcome) => isBroken(outcome) && outcome.level === 'MUST'),
      },
    ]
  })
}

/** Whether every MUST that applies is kept. */
export const conforms = (outcomes: readonly Outcome[]): boolean =>
  !outcomes.some(
    (outcome) => outcome.level === 'MUST' && (isBroken(outcome) || outcome.verdict === 'skipped'),
  )

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
}

/** Text in an attribute or element; what XML 1.0 cannot hold becomes a question mark. */
export const xml = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '?')
    .replace(/[&<>"\n\t]/g, (character) => ENTITIES[character] ?? character)

const seconds = (ms: number): string => (ms / 1000).toFixed(3)

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([key, value]) => ` ${key}="${xml(String(value))}"`)
    .join('')

/**
 * JUnit's XML: a suite a subject, a case a rule. What breaks a MUST or silently
 * does nothing is a failure; a SHOULD or a habit that is not kept is skipped
 * with its evidence, so that a pipeline is red exactly when the exit status is 1.
 */
export function junit(name: string, outcomes: readonly Outcome[]): string {
  const suites = SUBJECTS.map((subject) => outcomes.filter((each) => each.subject === subject))
  const lines = suites.filter((own) => own.length > 0).flatMap((own) => suiteLines(name, own))
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name, ...totals(outcomes) })}>`,
    ...lines,
    '</testsuites>',
    '',
  ].join('\n')
}

const isFailure = (outcome: Outcome): boolean => isBroken(outcome) && outcome.level === 'MUST'

function totals(outcomes: readonly Outcome[]): Readonly<Record<string, string | number>> {
  const failures = outcomes.filter(isFailure).length
  const skipped = outcomes.filter((each) => each.verdict !== 'pass' && !isFailure(each)).length
  const time = seconds(outcomes.reduce((sum, { ms }) => sum + ms, 0))
  return { tests: outcomes.length, failures, errors: 0, skipped, time }
}

function suiteLines(name: string, own: readonly Outcome[]): readonly string[] {
  const subject = own[0]?.subject ?? ''
  return [
    `  <testsuite${attributes({ name: `${name} ${subject}`, ...totals(own) })}>`,
    ...own.flatMap((outcome) => caseLines(name, outcome)),
    '  </testsuite>',
  ]
}

function caseLines(name: string, outcome: Outcome): readonly string[] {
  const { id, subject, title, level, verdict, evidence, detail = [], source, ms } = outcome
  const values = { classname: `${name}.${subject}`, name: `${id} ${title}`, time: seconds(ms) }
  const open = `    <testcase${attributes(values)}`
  const out = `      <system-out>${xml([`${level}, ${source}`, evidence].join(': '))}</system-out>`
  if (verdict === 'pass') return [`${open}>`, out, '    </testcase>']
  const message = verdict === 'fail' ? evidence : `${verdict}: ${evidence}`
  const more = xml([evidence, ...detail].join('\n'))
  const found = isFailure(outcome)
    ? `      <failure${attributes({ message, type: verdict })}>${more}</failure>`
    : `      <skipped${attributes({ message: `${level}, ${message}` })}/>`
  return [`${open}>`, found, out, '    </testcase>']
}
