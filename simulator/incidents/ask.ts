/**
 * Puts an incident's question to the part of the simulator that answers it.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { answer } from '../capacity/answer.ts'
import type { ModeCapacity } from '../capacity/limit.ts'
import { modeOfName } from '../capacity/modes.ts'
import { type QuestionFlags, questionOf } from '../capacity/question.ts'
import { labelOf } from '../network.ts'
import { boundName } from '../report/capacity-words.ts'
import { TABLE_NAMES } from '../report/words.ts'
import { scenarioFrom } from '../scenario.ts'
import { placed } from '../sweep/place.ts'
import { runPoint, type SweepResult } from '../sweep/result.ts'
import { answerAllot, answerLeave } from './allot.ts'
import type { CapacityQuestion, Incident, RunQuestion } from './file.ts'
import { type Answer, type Figure, type Judged, judge } from './judge.ts'

/** Asks and judges one. */
export function askIncident(incident: Incident): Judged {
  const { question, expect } = incident
  if (question === undefined) return judge(incident, undefined)
  const wanted = expect.flatMap(({ at, missing }) => (missing === undefined ? [at ?? ''] : []))
  return judge(incident, answerTo(question, wanted, incident.name))
}

/** @param wanted What is asked of: the rest need not be run. */
function answerTo(
  question: NonNullable<Incident['question']>,
  wanted: readonly string[],
  name: string,
): Answer {
  if ('capacity' in question) return answerCapacity(question.capacity)
  if ('allot' in question) return answerAllot(question.allot, wanted)
  if ('leave' in question) return answerLeave(question.leave, wanted)
  return answerRun(question.run, wanted, name)
}

/**
 * Figures of each `mode` as `--mode` names it: `holds` (or `does not hold`), `up_to.nodes`,
 * `up_to.pods`, `breaks` (what is over its end first), `breaks.table`, `breaks.entries`,
 * and `ROLE.TABLE.entries` at the asked size.
 */
function answerCapacity(question: CapacityQuestion): Answer {
  const flags = Object.fromEntries(
    Object.entries(question).filter(([, value]) => value !== undefined),
  ) as QuestionFlags
  const { modes } = answer(questionOf(flags))
  return ({ mode = '', figure = '' }) => {
    const known = modeOfName(mode)
    const found = known && modes.find(({ label }) => label === labelOf(known))
    return found && capacityFigure(found, figure)
  }
}

function capacityFigure({ holds, upTo, breaks, demand }: ModeCapacity, figure: string): Figure {
  switch (figure) {
    case 'holds':
      return holds ? 'holds' : 'does not hold'
    case 'up_to.nodes':
      return upTo.nodes
    case 'up_to.pods':
      return upTo.pods
    case 'breaks':
      return breaks === undefined ? 'nothing' : boundName(breaks)
    case 'breaks.table':
      return breaks !== undefined && breaks.table in TABLE_NAMES
        ? TABLE_NAMES[breaks.table as keyof typeof TABLE_NAMES]
        : breaks?.table
    case 'breaks.entries':
      return breaks?.entries
    default:
      return demand.tables.find(({ role, table }) => figure === `${role}.${table}.entries`)?.entries
  }
}

/** Figures as of a sweep, `at` a point, of a `mode` by its label; the only one where it is not named. */
function answerRun(
  { scenario, points = { '': {} } }: RunQuestion,
  wanted: readonly string[],
  name: string,
): Answer {
  const refuse = (path: string, why: string): never => {
    throw new TriviumError('BAD_CONFIG', `Cannot ask incident ${name}: ${path}: ${why}`)
  }
  const results = new Map<string, SweepResult>()
  for (const [at, settings] of Object.entries(points)) {
    if (!wanted.includes(at)) continue
    const list = Object.entries(settings).map(([path, value]) => ({ path, value }))
    const whole = { name, ...(placed(scenario, list, refuse) as object) }
    const checked = scenarioFrom(whole, ({ path, message }) => refuse(path.join('.'), message))
    results.set(at, runPoint(at, checked))
  }
  return ({ at = '', mode, figure = '' }) => {
    const result = results.get(at)
    const found = result?.modes.find(({ label }) => mode === undefined || label === mode)
    if (figure === 'failed') return result?.failed.join('; ')
    return found?.figures[figure]
  }
}
