/**
 * Calls that must be refused, as data: what is wrong with them, and the code
 * that says so.
 *
 * @module
 */
import { type Finding, fail, pass, type Rule } from '../model.ts'
import { answerOf, tellAnswer } from '../runtime.ts'
import type { CallOptions, Pod, World } from '../world.ts'

export interface Case {
  /** What is wrong, in few words. */
  readonly what: string
  /** @default ADD */
  readonly verb?: string
  readonly options: CallOptions
}

export interface Refusals extends Omit<Rule, 'check'> {
  readonly cases: (pod: Pod, world: World) => readonly Case[]
  /** Codes that are right; absent: any. */
  readonly codes?: readonly number[]
  /** What the error has to name. */
  readonly names?: (one: Case) => readonly string[]
}

/** Every case in a call of its own, side by side. */
export function refusals({ cases, codes, names, ...rule }: Refusals): Rule {
  return {
    ...rule,
    async check(world) {
      const pod = await world.pod()
      const judged = await Promise.all(
        cases(pod, world).map(async (each) => ({
          each,
          fault: await refusalFault(world, pod, each, codes, names?.(each)),
        })),
      )
      const wrong = judged.filter(({ fault }) => fault !== undefined)
      const total = judged.length === 1 ? 'refused' : `all ${judged.length} refused`
      const [first] = wrong
      if (first === undefined) {
        return pass(codes === undefined ? total : `${total}, code ${codes.join(' or ')}`)
      }
      const more = wrong.length === 1 ? '' : ` (and ${wrong.length - 1} more)`
      const detail = wrong.map(({ each, fault }) => `${each.what}: ${fault}`)
      return fail(`${first.each.what}: ${first.fault}${more}`, detail)
    },
  }
}

async function refusalFault(
  world: World,
  pod: Pod,
  { verb = 'ADD', options }: Case,
  codes: readonly number[] | undefined,
  names: readonly string[] = [],
): Promise<string | undefined> {
  const call = await world.call(verb, pod, options)
  const answer = answerOf(call)
  const wanted = codes === undefined ? 'a refusal' : `code ${codes.join(' or ')}`
  if (answer.kind === 'ok') return `exit status 0, wanted ${wanted}`
  if (answer.kind === 'broken') return `${answer.why}`
  if (codes !== undefined && !codes.includes(Number(answer.code))) {
    return `code ${String(answer.code)} (${answer.msg.slice(0, 120)}), wanted ${wanted}`
  }
  const unnamed = names.filter((name) => !answer.msg.includes(name))
  if (unnamed.length === 0) return undefined
  return `"${answer.msg.slice(0, 120)}" does not name ${unnamed.join(', ')}`
}

/** A finding for one call that must succeed. */
export function mustServe(call: Parameters<typeof answerOf>[0], evidence: string): Finding {
  return answerOf(call).kind === 'ok' ? pass(evidence) : fail(tellAnswer(call))
}
