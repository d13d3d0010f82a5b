/**
 * Runs the rules, several lanes side by side, and keeps each lane as it was:
 * a rule after which it is not gives the next one a new lane.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { TriviumError } from '../errors.ts'
import { compareDumps } from '../lab/dump.ts'
import { sweepDeadLabs } from '../lab/sweep.ts'
import type { Snapshot } from './dump.ts'
import { Lane } from './lane.ts'
import {
  type Facts,
  type Finding,
  fail,
  isAtLeast,
  notApplicable,
  type Outcome,
  type Rule,
  SPEC_VERSIONS,
  Unmet,
} from './model.ts'
import { isRecord, readResult } from './result.ts'
import { RULES } from './rules/mod.ts'
import { answerOf, capabilitiesOf, type NetworkList, spokenVersions } from './runtime.ts'
import { type Settings, World } from './world.ts'

export interface SuiteOptions {
  readonly list: NetworkList
  readonly binDirs: readonly string[]
  readonly setup?: string
  /** `setup` left a daemon that the plugin relies on stopped, on purpose. @default false */
  readonly daemonStopped?: boolean
  /** Ids, or beginnings of ids that end with a dot or star; absent: every rule. */
  readonly only?: readonly string[]
  readonly timeoutMs?: number
  readonly settleMs?: number
  /** @default 2 */
  readonly lanes?: number
  readonly progress?: (text: string) => void
}

export interface SuiteResult {
  readonly facts: Facts
  readonly outcomes: readonly Outcome[]
  /** What the first ADD leaves for good: a bridge, settings. */
  readonly shared: readonly string[]
}

const DEFAULTS = { timeoutMs: 30_000, settleMs: 2000, lanes: 2, daemonStopped: false } as const

/** The rules asked for. @throws {TriviumError} USAGE for one there is not. */
export function chooseRules(only?: readonly string[]): readonly Rule[] {
  if (only === undefined || only.length === 0) return RULES
  const matches = (rule: Rule, word: string): boolean =>
    word.endsWith('*') ? rule.id.startsWith(word.slice(0, -1)) : rule.id === word
  const unknown = only.find((word) => !RULES.some((rule) => matches(rule, word)))
  if (unknown === undefined) return RULES.filter((rule) => only.some((word) => matches(rule, word)))
  throw new TriviumError(
    'USAGE',
    `Cannot run rule ${JSON.stringify(unknown)}: there is none of that id`,
    'trivium conformance --list shows them; CHK-* means all that begin so',
  )
}

/** Looks at the plugin, then runs the rules. @throws {TriviumError} No lane can be made. */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const rules = [...chooseRules(options.only)]
  const { list, binDirs } = options
  for (const { type } of list.plugins) {
    if (binDirs.some((dir) => existsSync(join(dir, String(type))))) continue
    const where = binDirs.join(', ')
    throw new TriviumError('USAGE', `Cannot find plugin ${String(type)} in ${where}`)
  }
  await sweepDeadLabs()
  const settings: Settings = { ...DEFAULTS, ...options }
  options.progress?.('first look')
  const first = await Track.open(options, settings)
  const tracks = [first]
  try {
    const count = Math.min(options.lanes ?? DEFAULTS.lanes, rules.length)
    const others = Array.from({ length: count - 1 }, () => Track.open(options, settings))
    const opened = await Promise.allSettled(others)
    for (const each of opened) if (each.status === 'fulfilled') tracks.push(each.value)
    for (const each of opened) if (each.status === 'rejected') throw each.reason
    const facts = await first.survey()
    const outcomes = new Map<Rule, Outcome>()
    const waiting = [...rules]
    const work = async (track: Track): Promise<void> => {
      for (let rule = waiting.shift(); rule !== undefined; rule = waiting.shift()) {
        options.progress?.(`${outcomes.size + 1}/${rules.length} ${rule.id} ${rule.title}`)
        outcomes.set(rule, await track.judge(rule, facts))
      }
    }
    const ends = await Promise.allSettled(tracks.map(work))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    const found = rules.flatMap((rule) => outcomes.get(rule) ?? [])
    return { facts, outcomes: tellSilent(found), shared: first.shared }
  } finally {
    await Promise.all(tracks.map((track) => track.close()))
  }
}

/** A verb that acts at all is not silent: what it misses are faults. */
export function tellSilent(outcomes: readonly Outcome[]): readonly Outcome[] {
  const acts = (subject: string): boolean =>
    outcomes.some(
      ({ subject: other, verdict, id }) =>
        other === subject && verdict === 'pass' && EFFECTS.test(id),
    )
  return outcomes.map((outcome) =>
    outcome.verdict === 'silent ok' && acts(outcome.subject)
      ? { ...outcome, verdict: 'fail' }
      : outcome,
  )
}

/** Rules that a verb which does nothing cannot keep. */
const EFFECTS = /^(CHK-04|ST-03$|ST-04$|GC-03|GC-05$)/

/** A lane with its rules, one after the other. */
class Track {
  readonly #options: SuiteOptions
  readonly #settings: Settings
  #lane: Lane
  #baseline: Snapshot | undefined
  shared: readonly string[] = []

  private constructor(options: SuiteOptions, settings: Settings, lane: Lane) {
    this.#options = options
    this.#settings = settings
    this.#lane = lane
  }

  static async open(options: SuiteOptions, settings: Settings): Promise<Track> {
    return new Track(options, settings, await Lane.open(options))
  }

  close(): Promise<void> {
    return this.#lane.close()
  }

  /** VERSION of each plugin, then one ADD and DEL. */
  async survey(): Promise<Facts> {
    const { list, daemonStopped } = this.#settings
    const plain: Facts = {
      version: SPEC_VERSIONS.find((known) => known === list.cniVersion) ?? '1.0.0',
      versions: [],
      plugins: list.plugins.map(({ type }) => String(type)),
      capabilities: capabilitiesOf(list),
      hasInterfaces: false,
      daemonStopped,
      addMs: 0,
      ...delegateOf(list),
    }
    const versions = await this.#spoken(plain)
    const known = { ...plain, versions, version: versions.at(-1) ?? plain.version }
    const { chain, hasInterfaces } = await this.#warm(known)
    const { ok, result, why } = chain
    return {
      ...known,
      ...(ok && result !== undefined ? { result } : { broken: why }),
      hasInterfaces,
      addMs: chain.calls[0]?.ms ?? 0,
    }
  }

  async #spoken(facts: Facts): Promise<Facts['versions']> {
    const world = new World(this.#lane, this.#settings, facts)
    const each = await Promise.all(
      facts.plugins.map(async (_, index) => {
        const answer = answerOf(await world.call('VERSION', undefined, {}, index))
        return answer.kind === 'ok' ? spokenVersions(answer.object) : []
      }),
    )
    return SPEC_VERSIONS.filter((version) => each.every((spoken) => spoken.includes(version)))
  }

  /** The first ADD makes what stays; what is there afterwards is the baseline. */
  async #warm(facts: Facts) {
    const world = new World(this.#lane, this.#settings, facts)
    const pristine = await world.dump()
    const pod = await world.pod()
    const chain = await world.tryAdd(pod)
    const read = readResult(chain.result ?? {})
    await world.leave()
    this.#baseline = await this.#calm(world)
    this.shared = compareDumps(pristine.lines, this.#baseline.lines)
    return { chain, hasInterfaces: read.interfaces.length > 0 }
  }

  /** A dump that is the same twice. */
  async #calm(world: World): Promise<Snapshot> {
    let last = await world.dump()
    for (let looks = 0; looks < 20; looks++) {
      await new Promise((done) => setTimeout(done, 50))
      const next = await world.dump()
      if (compareDumps(last.lines, next.lines).length === 0) return next
      last = next
    }
    return last
  }

  /** One rule, and the lane as it was. */
  async judge(rule: Rule, facts: Facts): Promise<Outcome> {
    const { id, subject, title, level, source } = rule
    const started = performance.now()
    const finding = whyNot(rule, facts) ?? (await this.#look(rule, facts))
    return { id, subject, title, level, source, ...finding, ms: performance.now() - started }
  }

  async #look(rule: Rule, facts: Facts): Promise<Finding> {
    if (this.#baseline === undefined) await this.#warm(facts)
    const world = new World(this.#lane, this.#settings, facts)
    const finding = await findingOf(rule, world, facts)
    await world.leave()
    const before = this.#baseline
    if (world.isSpoilt || before === undefined || (await world.since(before)).length > 0) {
      await this.#lane.close()
      this.#baseline = undefined
      this.#lane = await Lane.open(this.#options)
    }
    return finding
  }
}

function delegateOf({ plugins }: NetworkList): { readonly delegate?: string } {
  const ipam = plugins[0]?.['ipam']
  const type: unknown = isRecord(ipam) ? ipam['type'] : undefined
  return typeof type === 'string' && type !== plugins[0]?.['type'] ? { delegate: type } : {}
}

function whyNot({ since, applies }: Rule, facts: Facts): Finding | undefined {
  if (since !== undefined && !isAtLeast(facts.version, since)) {
    return notApplicable(`it speaks up to ${facts.version}, this came with ${since}`)
  }
  const reason = applies?.(facts)
  return reason === undefined ? undefined : notApplicable(reason)
}

async function findingOf(rule: Rule, world: World, { broken }: Facts): Promise<Finding> {
  try {
    return await rule.check(world)
  } catch (thrown) {
    if (!(thrown instanceof Unmet)) throw thrown
    if (broken === undefined) return fail(`what the rule builds on failed: ${thrown.message}`)
    return { verdict: 'skipped', evidence: `no ADD works: ${broken}` }
  }
}
