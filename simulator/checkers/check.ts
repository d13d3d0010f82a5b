/**
 * What a checker answers.
 *
 * @module
 */

/** Findings that are shown; all are counted. */
const FINDINGS_MAX = 5

export interface CheckResult {
  readonly name: string
  readonly passed: boolean
  /** What was looked at, e.g. `1200 addresses`. */
  readonly scope: string
  /** The first findings, in words; empty when it passed. */
  readonly findings: readonly string[]
}

/** A result that passed when nothing was found. */
export function checkResult(name: string, scope: string, findings: readonly string[]): CheckResult {
  const more = findings.length - FINDINGS_MAX
  const shown = findings.slice(0, FINDINGS_MAX)
  return {
    name,
    scope,
    passed: findings.length === 0,
    findings: more > 0 ? [...shown, `and ${more} more`] : shown,
  }
}
