/**
 * Holds the simulator's answer to a report, by the rules of the incident's file. Nobody
 * writes a verdict by hand.
 *
 * @module
 */
import { type Expectation, factorOf, type Incident } from './file.ts'

/** A figure of an answer; undefined: it has no such thing. */
export type Figure = number | string | undefined

/** Looks a figure up. */
export type Answer = (where: Pick<Expectation, 'at' | 'mode' | 'figure'>) => Figure

/** `reproduced`: every expectation holds; `partly`: some; `not`: none, or nothing can be asked. */
export type Verdict = 'reproduced' | 'partly' | 'not'

export interface Check {
  readonly expectation: Expectation
  readonly simulated: Figure
  /** Undefined: it is shown, and nothing was reported. */
  readonly holds: boolean | undefined
}

export interface Judged {
  readonly incident: Incident
  readonly checks: readonly Check[]
  readonly verdict: Verdict
}

/** @param answer Undefined: nothing was asked. */
export function judge(incident: Incident, answer: Answer | undefined): Judged {
  const checks = incident.expect.map((expectation): Check => {
    const simulated =
      expectation.missing === undefined && answer !== undefined ? answer(expectation) : undefined
    return { expectation, simulated, holds: isHeld(expectation, simulated) }
  })
  const judged = checks.filter(({ holds }) => holds !== undefined)
  const held = judged.filter(({ holds }) => holds).length
  const verdict = held === 0 ? 'not' : held === judged.length ? 'reproduced' : 'partly'
  return { incident, checks, verdict }
}

function isHeld({ reported, rule }: Expectation, simulated: Figure): boolean | undefined {
  if (reported === undefined) return undefined
  if (simulated === undefined) return false
  if (typeof reported === 'string' || typeof simulated === 'string') return simulated === reported
  const factor = factorOf(rule)
  if (factor !== undefined) return simulated >= reported / factor && simulated <= reported * factor
  if (rule === 'at least') return simulated >= reported
  return rule === 'at most' ? simulated <= reported : simulated === reported
}
