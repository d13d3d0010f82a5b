/**
 * The words of the suite: rules, what is known of the plugin, verdicts.
 *
 * @module
 */
import type { Json } from '../lab/json.ts'
import type { World } from './world.ts'

/** Every released version. Source: CNI specification 1.1.0, "Released versions". */
export const SPEC_VERSIONS = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
] as const
export type SpecVersion = (typeof SPEC_VERSIONS)[number]

export const isAtLeast = (version: SpecVersion, floor: SpecVersion): boolean =>
  SPEC_VERSIONS.indexOf(version) >= SPEC_VERSIONS.indexOf(floor)

/** What a rule is about; the columns of the summary. */
export const SUBJECTS = [
  'input',
  'output',
  'ADD',
  'DEL',
  'CHECK',
  'STATUS',
  'GC',
  'VERSION',
  'result',
  'habits',
] as const
export type Subject = (typeof SUBJECTS)[number]

/** MUST and SHOULD as the specification weighs it; a habit is what real callers do. */
export type Level = 'MUST' | 'SHOULD' | 'habit'

/** `silent ok`: the verb answers that all is well and does nothing. */
export type Verdict = 'pass' | 'fail' | 'silent ok' | 'not applicable' | 'skipped'

/** What a check found. */
export interface Finding {
  readonly verdict: Verdict
  /** One line: what was found and what was wanted, or why it does not apply. */
  readonly evidence: string
  /** Differences of dumps, answers in full. */
  readonly detail?: readonly string[]
}

export interface Rule {
  readonly id: string
  readonly subject: Subject
  /** What holds when the rule is kept. */
  readonly title: string
  readonly level: Level
  /** Section of the specification, or whose behaviour was observed. */
  readonly source: string
  /** Lowest version of the specification that has this. */
  readonly since?: SpecVersion
  /** Why the rule says nothing about this plugin; undefined: it does. */
  readonly applies?: (facts: Facts) => string | undefined
  readonly check: (world: World) => Promise<Finding>
}

/** What the first look at the plugin told. */
export interface Facts {
  /** The version that the rules run in: the highest one that every plugin of the list speaks. */
  readonly version: SpecVersion
  /** All those. */
  readonly versions: readonly SpecVersion[]
  /** Types, in the order of the list. */
  readonly plugins: readonly string[]
  /** `ipam.type` of the first plugin. */
  readonly delegate?: string
  /** Capabilities that some plugin declares. */
  readonly capabilities: readonly string[]
  /** The result of the first ADD; undefined when it failed. */
  readonly result?: Json
  /** Why the first ADD failed. */
  readonly broken?: string
  readonly hasInterfaces: boolean
  /** Somebody said that a daemon which the plugin relies on does not run. */
  readonly daemonStopped: boolean
  /** How long the first plugin's first ADD took. */
  readonly addMs: number
}

/** A rule and what came of it. */
export interface Outcome extends Finding {
  readonly id: string
  readonly subject: Subject
  readonly title: string
  readonly level: Level
  readonly source: string
  readonly ms: number
}

export const pass = (evidence: string): Finding => ({ verdict: 'pass', evidence })

export const notApplicable = (evidence: string): Finding => ({
  verdict: 'not applicable',
  evidence,
})

export const fail = (evidence: string, detail: readonly string[] = []): Finding => ({
  verdict: 'fail',
  evidence,
  detail,
})

export const silentOk = (evidence: string, detail: readonly string[] = []): Finding => ({
  verdict: 'silent ok',
  evidence,
  detail,
})

/** What a rule builds upon did not work, so that the rule says nothing. */
export class Unmet extends Error {
  override readonly name = 'Unmet'
}

/** The first that did not pass; else the first. */
export const worst = (findings: readonly Finding[]): Finding =>
  findings.find(({ verdict }) => verdict === 'fail') ??
  findings.find(({ verdict }) => verdict !== 'pass') ??
  findings[0] ??
  pass('nothing to look at')

/** What tells most to a person comes first: a file or link rather than a rule of nftables. */
const TELLING = ['file', 'link', 'addr', 'route', 'iptables', 'neigh', 'rule', 'qdisc', 'sysctl']

/** The differences of two dumps as evidence. @param what Says whose differences they are. */
export function differs(what: string, lines: readonly string[]): Finding {
  const rank = (line: string): number => {
    const at = TELLING.indexOf(line.slice(2).split(' ')[0] ?? '')
    return at === -1 ? TELLING.length : at
  }
  const sorted = [...lines].sort((a, b) => rank(a) - rank(b))
  const more = lines.length === 1 ? '' : ` (and ${lines.length - 1} more)`
  return fail(`${what}: ${sorted[0] ?? ''}${more}`, sorted)
}
