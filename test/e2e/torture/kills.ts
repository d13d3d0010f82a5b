/**
 * One verb, and a SIGKILL for who carries it out.
 *
 * @module
 */
import { dirname, join } from 'node:path'
import type { Prng } from '../../../src/prng.ts'
import type { Aim, Where } from './aim.ts'
import { type Call, type Ended, type Running, start, type Verb } from './calls.ts'
import { overhear, type Stage } from './conversation.ts'
import { hasCome, leadMs } from './signs.ts'
import { exclusively, goOn, killAfter, killWhen, rest, sleep, stop, type Way } from './stepper.ts'
import {
  addStep,
  delStep,
  gcStep,
  type Sight,
  STEPS,
  STEPS_OF_AGENT,
  STEPS_OF_NODE,
} from './steps.ts'
import type { Attachment, TortureNode, World } from './world.ts'

/** A kill that is to be: what it aims at, and the chances on its way. */
export interface Shot {
  readonly chance: Prng
  target<S extends string>(what: string, steps: readonly S[]): S
}

/** What a verb is about: the one attachment of ADD and DEL, those that GC is to collect. */
export interface Subject {
  readonly verb: Verb
  readonly attachments: readonly Attachment[]
}

export interface Killed {
  readonly ended: Ended
  /** Whose death ended it, and where; undefined: it was through before. */
  readonly step?: string
  /** What there was when it died. */
  readonly sights: readonly Sight[]
}

/** Of the kills that go by the clock and look at nothing before. */
const BY_CLOCK = 0.2
/**
 * Of the others, those that go by what the victim does itself, where that can be
 * had. GC is not among them: how much it does is another number each time.
 */
const BY_COUNT = 0.7
/** A verb's acts upon the kernel and the disk, and a few to spare. */
const ACTS_MAX = 20
/** Until it has all of its standard input. */
const INPUT_MS = 3
/** What a Node entry takes until a step shows, and altogether, until that is known. */
const START_MS = 60
const WHOLE_MS = 150

export function stepOf(verb: Verb, sights: readonly Sight[], answered: boolean): string {
  const [sight] = sights
  if (verb === 'GC' || sight === undefined) return gcStep(sights)
  return verb === 'ADD' ? addStep(sight, answered) : delStep(sight)
}

const rank = (verb: Verb, step: string): number => (STEPS[verb] as readonly string[]).indexOf(step)

/** Kills the process that the runtime started: a Node that does the work itself. */
export async function killNode(
  world: World,
  aim: Aim,
  shot: Shot,
  call: Call,
  subject: Subject,
): Promise<Killed> {
  const { verb } = subject
  const what = `Node entry ${verb}`
  const target = shot.target(what, STEPS_OF_NODE[verb])
  const begin = () => start({ ...call, via: 'node' })
  const isAimed = target !== STEPS[verb][0] && shot.chance.unit() >= BY_CLOCK
  const isByCount = isAimed && verb !== 'GC' && shot.chance.unit() < BY_COUNT
  if (isByCount && world.death !== undefined) {
    const acts = aim.acts(what, target, ACTS_MAX, shot.chance)
    const env = world.death.environment(acts)
    const dying = start({ ...call, via: 'node', env })
    const killed = await judge(world, aim, what, subject, dying)
    if (killed.step !== undefined) aim.counted(what, killed.step, acts)
    return killed
  }
  let running: Running
  if (isAimed) {
    const freeMs = (0.5 + 0.3 * shot.chance.unit()) * aim.usualMs(`${what} start`, START_MS)
    running = await exclusively(() =>
      aimed(world, aim, shot, { what, target, freeMs }, subject, begin),
    )
  } else {
    running = begin()
    await killAfter(running, shot.chance.unit() * 1.1 * aim.usualMs(`${what} whole`, WHOLE_MS))
  }
  const killed = await judge(world, aim, what, subject, running)
  if (isAimed) aim.came(what, target, whereOf(verb, [killed.step], target))
  return killed
}

interface Goal {
  readonly what: string
  readonly target: string
  /** Until then there is nothing to be seen, and watching costs a processor. */
  readonly freeMs: number
}

/** Starts a Node entry and kills it where it is aimed. */
async function aimed(
  world: World,
  aim: Aim,
  shot: Shot,
  { what, target, freeMs }: Goal,
  subject: Subject,
  begin: () => Running,
): Promise<Running> {
  const running = begin()
  await sleep(INPUT_MS)
  rest(freeMs - (performance.now() - running.startedMs))
  await killWhen(running, wayTo(world, aim, shot, what, target, [{ subject, running }]))
  if (!running.isOver()) aim.took(`${what} start`, performance.now() - running.startedMs)
  return running
}

function whereOf(verb: Verb, steps: readonly (string | undefined)[], target: string): Where {
  const ways = steps.map((step) =>
    step === undefined ? Number.POSITIVE_INFINITY : rank(verb, step) - rank(verb, target),
  )
  if (ways.includes(0)) return 'there'
  return ways.some((way) => way < 0) ? 'before' : 'beyond'
}

/** Until the first of the verbs shows the sign that leads to the step, and a while more. */
function wayTo(
  world: World,
  aim: Aim,
  { chance }: Shot,
  what: string,
  target: string,
  hands: readonly AtHand[],
): Way {
  return {
    delayMs: aim.delayMs(what, target, leadMs(target)) * (0.3 + 1.4 * chance.unit()),
    hasCome: () => hands.some(({ subject }) => hasCome(world, subject, target)),
    isOver: () => hands.every(({ running }) => running.isOver()),
  }
}

/** What was left, looked at right after the end. */
async function judge(
  world: World,
  aim: Aim,
  what: string,
  subject: Subject,
  running: Running,
): Promise<Killed> {
  const ended = await running.ended
  const sights = world.look(subject.attachments)
  if (ended.status !== undefined) {
    aim.took(`${what} whole`, performance.now() - running.startedMs)
    return { ended, sights }
  }
  const step = stepOf(subject.verb, sights, ended.stdout !== '')
  aim.hit(what, step)
  return { ended, step, sights }
}

/** Kills a launcher somewhere in its conversation with the agent. */
export async function killLauncher(
  aim: Aim,
  shot: Shot,
  call: Call,
  name: string,
): Promise<Killed> {
  const what = `launcher ${call.verb}`
  const { chance } = shot
  const stage: Stage = shot.target(what, STEPS.launcher)
  const path = join(dirname(call.node.socketPath), name)
  let running: Running | undefined
  let reached = (): void => {}
  const there = new Promise<void>((resolve) => {
    reached = resolve
  })
  const overheard = await overhear(path, call.node.socketPath, {
    stage,
    ms: chance.below(2) * 5,
    reached,
    freeze: () => running?.signal('SIGSTOP'),
  })
  running = start({ ...call, via: 'agent', socketPath: path })
  if (stage !== 'start') await Promise.race([there, running.ended])
  await killAfter(running, chance.unit() * 3)
  const said = overheard.stage()
  const ended = await running.ended
  overheard.close()
  if (ended.status !== undefined) return { ended, sights: [] }
  aim.hit(what, said)
  return { ended, step: said, sights: [] }
}

/** A verb that an agent has at hand, by its launcher. */
export interface AtHand {
  readonly subject: Subject
  readonly running: Running
}

/**
 * Kills an agent while it has verbs at hand, aiming at a step of any of them;
 * tells where each was, undefined for those that were over.
 *
 * @param begin Starts the verbs, all of one kind. The agent stands still meanwhile:
 *   it would be through with the first before the last has begun.
 */
export async function killAgent(
  world: World,
  aim: Aim,
  shot: Shot,
  node: TortureNode,
  verb: Verb,
  begin: () => readonly AtHand[],
): Promise<readonly (Omit<Killed, 'ended'> | undefined)[]> {
  const { chance } = shot
  const what = `agent ${verb}`
  const target = shot.target(what, STEPS_OF_AGENT[verb])
  const victim = { pid: node.agent.pid, isOver: () => false }
  const isByClock = target === STEPS[verb][0] || chance.unit() < BY_CLOCK
  const isByCount =
    !isByClock && verb !== 'GC' && world.death !== undefined && chance.unit() < BY_COUNT
  await stop(victim)
  const hands = begin()
  let acts = 0
  if (isByCount) {
    const most = Math.ceil(hands.length * aim.usualMs(`${what} acts`, ACTS_MAX))
    acts = aim.acts(what, target, most, chance)
    world.death?.arm(node.agent.pid, acts, target === 'unrecorded' || chance.below(2) === 0)
    goOn(victim)
    await Promise.race([node.agent.ended, Promise.all(hands.map(({ running }) => running.ended))])
    const left = world.death?.left(node.agent.pid) ?? 0
    if (left > 0) aim.took(`${what} acts`, (acts - left) / hands.length)
  } else if (isByClock) {
    goOn(victim)
    await killAfter(victim, chance.unit() * 1.2 * aim.usualMs(`${what} whole`, 20))
  } else {
    await exclusively(() => {
      goOn(victim)
      return killWhen(victim, wayTo(world, aim, shot, what, target, hands))
    })
  }
  // Nothing has been heard since the kill: what is over now was over before.
  const isThrough = hands.map(({ running }) => running.isOver())
  const goneMs = performance.now()
  await node.agent.kill()
  const met = hands.map(({ subject, running }, index) => {
    if (isThrough[index]) {
      aim.took(`${what} whole`, goneMs - running.startedMs)
      return undefined
    }
    const sights = world.look(subject.attachments)
    // Its launcher says so, too, when the agent is gone; but that is no result.
    const step = stepOf(verb, sights, running.printed().includes('"ips"'))
    aim.hit(what, step)
    if (isByCount) aim.counted(what, step, acts)
    return { step, sights }
  })
  const steps = met.map((each) => each?.step)
  if (!isByClock && !isByCount) aim.came(what, target, whereOf(verb, steps, target))
  return met
}
