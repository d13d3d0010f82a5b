/**
 * What shows at once, in microseconds and from outside, that a verb comes to a step.
 *
 * @module
 */
import type { Subject } from './kills.ts'
import type { World } from './world.ts'

/** How long after its sign a step begins or lasts, until kills have shown better. In milliseconds. */
const LEADS_MS: Readonly<Record<string, number>> = {
  // Of ADD, from the link on, but for the record.
  unrecorded: 0.05,
  record: 0.1,
  pair: 0.15,
  pod: 0.5,
  guards: 0.8,
  routes: 1,
  answered: 2,
  // Of DEL.
  'link gone': 0.05,
  'guards gone': 0.4,
  'record gone': 0.1,
  // Of GC.
  links: 0.1,
  records: 0.02,
  'all gone': 0.1,
}

export const leadMs = (step: string): number => LEADS_MS[step] ?? 1

/** Whether the sign that leads to the step is there. */
export function hasCome(world: World, { verb, attachments }: Subject, step: string): boolean {
  const [only] = attachments
  if (only === undefined) return true
  switch (verb) {
    case 'ADD':
      if (step === 'record') return world.hasRecord(only)
      return world.hasLink(only)
    case 'DEL':
      return step === 'record gone' ? !world.hasRecord(only) : !world.hasLink(only)
    default:
      if (step === 'links') return !attachments.every((each) => world.hasLink(each))
      if (step === 'records') return !attachments.every((each) => world.hasRecord(each))
      return !attachments.some((each) => world.hasRecord(each))
  }
}
