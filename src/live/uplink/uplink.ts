/**
 * Uplinks are taken over, given back, and put right after whoever did it died.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import * as nl from 'netlink-ts'
import { lockByteInPool } from 'netlink-ts/live'
import { TriviumError } from '../../errors.ts'
import { ownsLink } from '../../kernel/mod.ts'
import type { Act, TakeOver } from '../../kernel/take-over/model.ts'
import { doing, planGive, planTake, undoing, uplinkOfAlias } from '../../kernel/take-over/plan.ts'
import type { Ip, Mac } from '../../net/mod.ts'
import { silent } from './guard.ts'
import {
  type Journal,
  type JournalState,
  lockUplinks,
  openUplinkLock,
  readJournals,
  removeJournal,
  writeJournal,
} from './journal.ts'
import { type Gateway, gatewayOf, type Observed, observe } from './observe.ts'
import { type ActFailure, perform, refusedAct, type Ways } from './perform.ts'

export interface UplinkOptions {
  readonly ways: Ways
  /** The agent's socket: the journal lies beside it. */
  readonly socketPath: string
  /** How long the next machines may take to answer afterwards. */
  readonly guardMs: number
  /** Who has to answer, in place of the gateways of default routes. */
  readonly probes: readonly Ip[]
  /** The command line of a process that goes back when this one dies. undefined: none. */
  readonly guardian?: readonly string[]
  /** Answers in a row that are wanted afterwards. @default 3 */
  readonly answers?: number
  /** Whether to stop and go back. */
  readonly isOver?: () => boolean
}

export interface Planned {
  readonly link: string
  readonly bridge: string
  readonly plan: TakeOver
  readonly notes: readonly string[]
  readonly gateways: readonly Gateway[]
  /** Of the link that carries the host. */
  readonly mac: Mac
}

export interface Outcome {
  readonly link: string
  readonly bridge: string
  /** What it is now. */
  readonly state: 'taken' | 'given' | 'rolled-back' | 'gone'
  readonly guardedBy: readonly Ip[]
  readonly notes: readonly string[]
  /** Why it was rolled back, and what could not be done meanwhile. */
  readonly reason?: string
  readonly failures?: readonly string[]
}

const NAME_BYTES_MAX = 15 // IFNAMSIZ - 1
/** Answers in a row afterwards: the first may have been on its way before. */
const ANSWERS = 3
/** Most the next machines may take before anything is done. */
const BEFORE_MS = 2000

export const defaultBridge = (link: string): string => `br-${link}`

/** What would be done to take the link over. @throws {TriviumError} NOT_FOUND, CONFLICT: what is in the way. */
export function plannedTake(
  { ways }: Pick<UplinkOptions, 'ways'>,
  link: string,
  bridge: string,
  probes: readonly Ip[],
): Planned {
  checkBridgeName(bridge)
  const seen = mustSee(ways, link, 'default')
  const refusals = [...seen.refusals]
  if (seen.link.kind === 'bridge') refusals.unshift(`link ${link} is a bridge itself`)
  if (ways.indexOf(bridge) !== undefined) refusals.push(`there is a link ${bridge} already`)
  refuse(`take ${link} over`, refusals)
  return planned(seen, link, bridge, planTake(seen.laden, bridge), probes, ways)
}

/** What would be done to give the link back. @throws {TriviumError} NOT_FOUND, CONFLICT */
export function plannedGive(
  { ways }: Pick<UplinkOptions, 'ways'>,
  link: string,
  probes: readonly Ip[],
): Planned {
  const { master } = mustSee(ways, link, 'default').link
  const above = master === undefined ? undefined : ways.conn.get(nl.link.get({ index: master }))
  if (above === undefined || uplinkOfAlias(above.alias) !== link) {
    const found = above === undefined ? 'it is a port of nothing' : `it is a port of ${above.name}`
    throw new TriviumError(
      'CONFLICT',
      `Cannot give ${link} back: ${found}, wanted a bridge that took it over`,
      'trivium uplink show lists those that are taken',
    )
  }
  const seen = mustSee(ways, above.name, link)
  const others = seen.ports.filter((name) => name !== link)
  const refusals = others.map((name) => `link ${name} is a port of ${above.name}`)
  refuse(`give ${link} back`, [...refusals, ...seen.refusals])
  return planned(seen, link, above.name, planGive(seen.laden, link), probes, ways)
}

function mustSee(ways: Ways, name: string, other: string): Observed {
  const seen = observe(ways.conn, name, other)
  if (seen !== undefined) return seen
  throw new TriviumError('NOT_FOUND', `Cannot find link ${name}: no such device`)
}

function refuse(what: string, reasons: readonly string[]): void {
  if (reasons.length === 0) return
  const hint = 'Nothing was changed. Take these away first, or use another link'
  throw new TriviumError('CONFLICT', `Cannot ${what}: ${reasons.join('; ')}`, hint)
}

function checkBridgeName(name: string): void {
  const isName = Buffer.byteLength(name) <= NAME_BYTES_MAX && /^[^\s/:]+$/.test(name)
  if (isName && !ownsLink({ name }) && name !== '.' && name !== '..') return
  throw new TriviumError(
    'USAGE',
    `Cannot name a bridge ${JSON.stringify(name)}: wanted 1 to 15 characters, not of the shape of our own links`,
    'Choose one: --bridge br0',
  )
}

function planned(
  seen: Observed,
  link: string,
  bridge: string,
  plan: TakeOver,
  probes: readonly Ip[],
  { conn }: Ways,
): Planned {
  const own = conn
    .dump<nl.Told<'addr'>>(nl.told.list('addr'))
    .filter(({ object }) => object.index === seen.link.index)
  const gateways = probes.length > 0 ? probes.map((ip) => gatewayOf(ip, own)) : seen.gateways
  return { link, bridge, plan, notes: seen.notes, gateways, mac: seen.laden.mac }
}

/** Takes the link over. @throws {TriviumError} Nothing was changed. */
export function take(options: UplinkOptions, link: string, bridge: string): Promise<Outcome> {
  return alone(options, async () => {
    const found = plannedTake(options, link, bridge, options.probes)
    return carry(options, found, { before: link, after: bridge, state: 'taking' })
  })
}

/** Gives it back. @throws {TriviumError} Nothing was changed. */
export function give(options: UplinkOptions, link: string): Promise<Outcome> {
  return alone(options, async () => {
    const found = plannedGive(options, link, options.probes)
    return carry(options, found, { before: found.bridge, after: link, state: 'giving' })
  })
}

async function alone<T>({ socketPath }: UplinkOptions, work: () => Promise<T>): Promise<T> {
  const fd = lockUplinks(socketPath)
  try {
    return await work()
  } finally {
    closeSync(fd)
  }
}

interface Way {
  /** The link that carries the host, before and after. */
  readonly before: string
  readonly after: string
  readonly state: JournalState & ('taking' | 'giving')
}

async function carry(options: UplinkOptions, found: Planned, way: Way): Promise<Outcome> {
  const { ways, socketPath, guardian } = options
  const { link, bridge, plan, gateways } = found
  await mustAnswer(found, way)
  writeJournal(socketPath, { state: way.state, link, bridge, plan })
  if (guardian !== undefined) spawnGuardian(guardian)
  const guardedBy = gateways.map(({ ip }) => ip)
  const base = { link, bridge, guardedBy, notes: found.notes }
  const refused = await perform(ways, doing(plan), true)
  const reason = await whyBack(options, found, way, refused)
  if (reason !== undefined) {
    const failures = await perform(ways, undoing(plan), false)
    if (way.state === 'taking') removeJournal(socketPath, link)
    else writeJournal(socketPath, { state: 'taken', link, bridge, plan: NOTHING })
    return { ...base, state: 'rolled-back', reason, ...told(failures) }
  }
  const failures = await perform(ways, plan.commit, false)
  if (way.state === 'giving') removeJournal(socketPath, link)
  else writeJournal(socketPath, { state: 'taken', link, bridge, plan: NOTHING })
  return { ...base, state: way.state === 'taking' ? 'taken' : 'given', ...told(failures) }
}

const NOTHING: TakeOver = { steps: [], commit: [] }

const told = (failures: readonly ActFailure[]): Pick<Outcome, 'failures'> =>
  failures.length === 0 ? {} : { failures: failures.map((each) => refusedAct(each).message) }

async function mustAnswer({ gateways, mac, link }: Planned, { before, state }: Way): Promise<void> {
  const what = state === 'taking' ? `take ${link} over` : `give ${link} back`
  if (gateways.length === 0) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot ${what}: no default route by ${before}, wanted a gateway that shows whether it went well`,
      'Name a machine on that segment that answers: --probe ADDRESS',
    )
  }
  const lost = await silent(before, mac, gateways, { ms: BEFORE_MS })
  if (lost.length === 0) return
  throw new TriviumError(
    'CONFLICT',
    `Cannot ${what}: ${lost.join(', ')} does not answer on ${before}, wanted an answer to ARP or neighbour solicitation`,
    'Name who has to answer in its place: --probe ADDRESS',
  )
}

async function whyBack(
  { guardMs, isOver, answers = ANSWERS }: UplinkOptions,
  { gateways, mac }: Planned,
  { after }: Way,
  refused: readonly ActFailure[],
): Promise<string | undefined> {
  const [first] = refused
  if (first !== undefined) return refusedAct(first).message
  try {
    const asked = { ms: guardMs, times: answers, ...(isOver !== undefined && { isOver }) }
    const lost = await silent(after, mac, gateways, asked)
    if (isOver?.() === true) return 'it was interrupted'
    return lost.length === 0
      ? undefined
      : `${lost.join(', ')} did not answer on ${after} within ${guardMs / 1000} s`
  } catch (thrown) {
    return (thrown as Error).message
  }
}

/** It waits for the lock that this process holds, and finds nothing to do if all went well. */
function spawnGuardian([program = '', ...args]: readonly string[]): void {
  const child = spawn(program, args, { detached: true, stdio: 'ignore', cwd: '/' })
  child.on('error', () => {})
  child.unref()
}

export interface Recovered extends Outcome {
  /** What was found. */
  readonly was: JournalState
}

/**
 * Puts right what a process that died has left: a take-over goes back, a giving back goes on.
 *
 * @param patient Wait for whoever is at work. @throws {TriviumError} TRY_LATER otherwise.
 */
export async function recover(
  { ways, socketPath }: Pick<UplinkOptions, 'ways' | 'socketPath'>,
  patient: boolean,
): Promise<readonly Recovered[]> {
  // Without a folder for its lock, where nothing is to be done: an agent may yet be refused.
  if (!patient && readJournals(socketPath).length === 0) return []
  const fd = patient ? openUplinkLock(socketPath) : lockUplinks(socketPath)
  try {
    if (patient) await lockByteInPool(fd, 0n)
    const done: Recovered[] = []
    for (const journal of readJournals(socketPath)) {
      const outcome = await recoverOne(ways, socketPath, journal)
      if (outcome !== undefined) done.push(outcome)
    }
    return done
  } finally {
    closeSync(fd)
  }
}

async function recoverOne(
  ways: Ways,
  socketPath: string,
  { state: was, link, bridge, plan }: Journal,
): Promise<Recovered | undefined> {
  const base = { link, bridge, was, guardedBy: [], notes: [] }
  if (was === 'taken') {
    if (uplinkOfAlias(ways.conn.get(nl.link.get({ name: bridge }))?.alias) === link)
      return undefined
    removeJournal(socketPath, link)
    return { ...base, state: 'gone' }
  }
  const acts: readonly Act[] = was === 'taking' ? undoing(plan) : [...doing(plan), ...plan.commit]
  const failures = await perform(ways, acts, false)
  removeJournal(socketPath, link)
  return { ...base, state: was === 'taking' ? 'rolled-back' : 'given', ...told(failures) }
}

export interface Standing {
  readonly link: string
  readonly bridge: string
  readonly state: JournalState
  /** Other ports of the bridge. */
  readonly ports: readonly string[]
}

/** Uplinks that are taken, by what the kernel says, and what is under way, by the journal. */
export function standing({
  ways,
  socketPath,
}: Pick<UplinkOptions, 'ways' | 'socketPath'>): readonly Standing[] {
  const links = ways.conn.dump(nl.link.list())
  const journals = new Map(readJournals(socketPath).map((each) => [each.link, each]))
  return links.flatMap((bridge): readonly Standing[] => {
    const link = uplinkOfAlias(bridge.alias)
    if (bridge.kind !== 'bridge' || link === undefined) return []
    const ports = links.filter(({ master }) => master === bridge.index).map(({ name }) => name)
    const state = journals.get(link)?.state ?? 'taken'
    return [{ link, bridge: bridge.name, state, ports: ports.filter((name) => name !== link) }]
  })
}
