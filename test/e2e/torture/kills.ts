/**
 * One verb, and a SIGKILL for who carries it out.
 *
 * @module
 */
import { dirname, join } from 'node:path'
import type { Prng } from '../../../src/prng.ts'
import type { Aim } from './aim.ts'
import { type Call, type Ended, type Running, start, type Verb } from './calls.ts'
import { overhear, type Stage } from './conversation.ts'
import { killAfter, killAt, type Victim } from './stepper.ts'
import { addStep, delStep, gcStep, type Sight, STEPS } from './steps.ts'
import type { Attachment, TortureNode, World } from './world.ts'

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
const BY_CLOCK = 0.25
/** What a Node entry takes before anything can be seen of it, until that is known. */
const START_MS = 60
const WHOLE_MS = 150

export function stepNow(world: World, { verb, attachments }: Subject, answered: boolean): string {
  const [only] = attachments
  if (verb === 'ADD' && only !== undefined && !answered && !world.hasRecord(only)) return 'nothing'
  if (verb === 'DEL' && only !== undefined && world.hasLink(only)) return 'untouched'
  return stepOf(verb, world.look(attachments), answered)
}

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
  chance: Prng,
  call: Call,
  subject: Subject,
): Promise<Killed> {
  const { verb } = subject
  const what = `Node entry ${verb}`
  const running = start({ ...call, via: 'node' })
  const target = aim.target(what, STEPS[verb], chance)
  if (chance.unit() < BY_CLOCK || target === STEPS[verb][0]) {
    await killAfter(running, chance.unit() * 1.1 * aim.usualMs(`${what} whole`, WHOLE_MS))
  } else {
    await killAt(running, {
      freeMs: (0.5 + 0.45 * chance.unit()) * aim.usualMs(`${what} start`, START_MS),
      ...wayTo(
        world,
        subject,
        target,
        chance,
        () => running.hasPrinted(),
        () => aim.took(`${what} start`, performance.now() - running.startedMs),
      ),
    })
  }
  return judge(world, aim, what, subject, running)
}

/** In small steps once there is something to be seen. */
function wayTo(
  world: World,
  subject: Subject,
  target: string,
  chance: Prng,
  answered: () => boolean,
  begun: () => void,
): { sliceMs(): number; reached(): boolean } {
  const { verb } = subject
  let seen = 0
  return {
    sliceMs: () => (seen === 0 ? 0.1 + 0.5 * chance.unit() : 0.02 + 0.2 * chance.unit() ** 2),
    reached() {
      const now = rank(verb, stepNow(world, subject, answered()))
      if (seen === 0 && now > 0) begun()
      seen = now
      return now >= rank(verb, target)
    },
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
  chance: Prng,
  call: Call,
  name: string,
): Promise<Killed> {
  const what = `launcher ${call.verb}`
  const stage: Stage = aim.target(what, STEPS.launcher, chance)
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

/** Kills an agent, aiming at a step of the first verb; tells where all of them were. */
export async function killAgent(
  world: World,
  aim: Aim,
  chance: Prng,
  node: TortureNode,
  hands: readonly AtHand[],
): Promise<readonly (Omit<Killed, 'ended'> | undefined)[]> {
  const [first] = hands
  if (first === undefined) return []
  const { verb } = first.subject
  const what = `agent ${verb}`
  const target = aim.target(what, STEPS[verb], chance)
  // Its launchers are on their way: what is over is over only when all of them are.
  const victim: Victim = {
    pid: node.agent.pid,
    isOver: () => hands.every(({ running }) => running.isOver()),
  }
  if (chance.unit() < BY_CLOCK) {
    await killAfter(
      { ...victim, isOver: () => false },
      chance.unit() * aim.usualMs(`${what} whole`, 20),
    )
  } else {
    const way = wayTo(
      world,
      first.subject,
      target,
      chance,
      () => first.running.hasPrinted(),
      () => {},
    )
    await killAt(
      { ...victim, isOver: () => false },
      { freeMs: chance.unit() * 4, ...way, reached: () => victim.isOver() || way.reached() },
    )
  }
  await node.agent.kill()
  return hands.map(({ subject, running }) => {
    if (running.isOver()) {
      aim.took(`${what} whole`, performance.now() - running.startedMs)
      return undefined
    }
    const sights = world.look(subject.attachments)
    const step = stepOf(subject.verb, sights, running.hasPrinted())
    aim.hit(what, step)
    return { step, sights }
  })
}
