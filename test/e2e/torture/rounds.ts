/**
 * One round: containers come side by side while somebody is killed, the runtime
 * cleans up and tries again, one GC, a look at everything; then they go in the
 * same way. A round leaves the world as it was.
 *
 * @module
 */
import { type Prng, prng } from '../../../src/prng.ts'
import { ip } from '../../support/e2e.ts'
import { type Call, call, codeOf, type Ended, start, type Verb, type Via } from './calls.ts'
import { collect } from './collect.ts'
import { type Killed, killAgent, killLauncher, killNode } from './kills.ts'
import type { Alive } from './model.ts'
import {
  addOf,
  born,
  delOf,
  insist,
  isMeant,
  killed,
  mustBeKept,
  mustBeVoid,
  noteFailure,
  type Round,
  type Scene,
  shotOf,
  TRY_LATER,
} from './scene.ts'
import { IFNAME, isKeptOrBegun, STEPS, STEPS_OF_AGENT, STEPS_OF_NODE } from './steps.ts'
import { type Attachment, NETWORKS, type TortureNode } from './world.ts'

/** Who dies in a phase: processes that the runtime started, or agents; or all agents are away. */
const PHASES = ['callers', 'agents', 'no agent'] as const
type Phase = (typeof PHASES)[number]

/** Of the phases, those without agents. */
const NO_AGENT = 0.15

/** What one container does in one phase. */
interface Act {
  readonly id: string
  readonly chance: Prng
  readonly attachment: Attachment
  readonly call: Call
}

/** Of the calls that agents could take, those that a Node of their own does. */
const BY_NODE = 0.6
/** Of the calls by which a runtime cleans up and tries again, those that are cut short, too. */
const AGAIN = 0.4
/** Of those whose ADD or DEL was cut short, the ones that only GC can collect. */
const FORGOTTEN = 0.25
/** Of the containers that go, the ones whose sandbox went before. */
const SANDBOX_GONE = 0.1
/** A runtime gives up on a pod much later. */
const TRIES = 10

/** @returns the kills, as `only` takes them. */
export async function play(
  scene: Scene,
  seed: string,
  name: string,
  only?: Round['only'],
): Promise<readonly string[]> {
  const shots: string[] = []
  const chance = prng(`${seed} ${name}`)
  const elders = new Set(scene.model.alive)
  const count = 7 + chance.below(5)
  const coming: Round = { name: `${name}a`, chance: chance.fork('coming'), only, shots }
  const adds: Act[] = []
  for (let index = 0; index < count; index++) adds.push(await newcomer(scene, coming, index))
  await Promise.all([phase(scene, coming, adds, came), doomed(scene, coming)])
  await collect(scene, coming)
  await agentsBack(scene)
  await check(scene, coming.name)

  const going: Round = { name: `${name}d`, chance: chance.fork('going'), only, shots }
  const leaving = [...scene.model.alive].filter((one) => !elders.has(one))
  const dels = await Promise.all(leaving.map((one, index) => leaver(scene, going, one, index)))
  await phase(scene, going, dels, went)
  await collect(scene, going)
  await agentsBack(scene)
  await check(scene, going.name)
  return shots
}

const pick = <T>(chance: Prng, from: readonly T[]): T => from[chance.below(from.length)] as T

const viaOf = (chance: Prng): Via => (chance.unit() < BY_NODE ? 'node' : 'agent')

async function newcomer(scene: Scene, round: Round, index: number): Promise<Act> {
  const id = `${round.name}.${index}`
  const chance = round.chance.fork(id)
  const attachment = await sandbox(
    scene,
    pick(chance, scene.world.nodes),
    pick(chance, NETWORKS),
    id,
  )
  return { id, chance, attachment, call: addOf(attachment, viaOf(chance)) }
}

async function sandbox(
  scene: Scene,
  node: TortureNode,
  network: Attachment['network'],
  containerId: string,
): Promise<Attachment> {
  const slot = await scene.world.slotOn(node)
  scene.used.push({ node, slot })
  return { node, network, containerId, slot }
}

async function leaver(scene: Scene, round: Round, one: Alive, index: number): Promise<Act> {
  const id = `${round.name}.${index}`
  const chance = round.chance.fork(id)
  scene.model.dead(one)
  if (chance.unit() < SANDBOX_GONE) await one.slot.remove()
  const prevResult = { ...one.result }
  return { id, chance, attachment: one, call: delOf(one, viaOf(chance), undefined, { prevResult }) }
}

/** An ADD that must fail in the middle, by the agent if it lives, takes back what it made. */
async function doomed(scene: Scene, { name, chance }: Round): Promise<void> {
  const own = chance.fork('doomed')
  const id = `${name}.doomed`
  const attachment = await sandbox(scene, pick(own, scene.world.nodes), pick(own, NETWORKS), id)
  const { netns } = attachment.slot
  await ip(netns, 'link', 'add', IFNAME, 'type', 'veth', 'peer', 'name', 'other')
  const ended = await call(addOf(attachment, viaOf(own)))
  if (ended.status === 0) scene.faults.push(`${id}: ADD over an interface of that name succeeds`)
  await ip(netns, 'link', 'del', IFNAME)
  // What an agent that was killed has begun is for DEL to take away.
  if (codeOf(ended) === TRY_LATER) await insist(scene, delOf(attachment, viaOf(own)), id)
  mustBeVoid(scene, [attachment], `${id} ADD that failed`)
}

type Outcome = Pick<Killed, 'ended'>
type After = (scene: Scene, round: Round, act: Act, outcome: Outcome) => Promise<void>

/** All acts at once, somebody's death in them, and what the runtime makes of it. */
async function phase(
  scene: Scene,
  round: Round,
  acts: readonly Act[],
  after: After,
): Promise<void> {
  const kind = kindOf(scene, round, acts[0]?.call.verb ?? 'ADD')
  if (kind === 'agents') return agentsDie(scene, round, acts, after)
  if (kind === 'no agent') {
    await Promise.all(scene.world.nodes.map(({ agent }) => agent.kill()))
    scene.agentsAway = true
  }
  await Promise.all(
    acts.map(async (act) => {
      // One in six goes through undisturbed.
      const spared = act.chance.below(6) === 0 || !isMeant(round, act.id)
      const via = kind === 'no agent' ? 'node' : act.call.via
      const outcome = spared
        ? await undisturbed(act, via)
        : await callerDies(scene, round, act, via)
      await after(scene, round, act, outcome)
    }),
  )
}

/** Where steps are missing; told with the kills, because what others hit decides about it. */
function kindOf({ aim }: Scene, round: Round, verb: Verb): Phase {
  const chance = round.chance.fork('phase')
  // One or two of them die in a phase, and many callers.
  const agents = 10 / (1 + aim.fewest(`agent ${verb}`, STEPS_OF_AGENT[verb]))
  const callers =
    1 / (1 + aim.fewest(`Node entry ${verb}`, STEPS_OF_NODE[verb])) +
    1 / (1 + aim.fewest(`launcher ${verb}`, STEPS.launcher))
  const drawn = chance.unit() * (agents + callers)
  const usual = chance.unit() < NO_AGENT ? 'no agent' : drawn < agents ? 'agents' : 'callers'
  const id = `${round.name}.phase`
  const kind = PHASES[round.only?.get(id) ?? -1] ?? usual
  round.shots.push(`${id}@${PHASES.indexOf(kind)}`)
  return kind
}

async function agentsBack(scene: Scene): Promise<void> {
  if (!scene.agentsAway) return
  scene.agentsAway = false
  await Promise.all(scene.world.nodes.map((node) => scene.world.restart(node)))
}

const undisturbed = async ({ call: what }: Act, via: Via): Promise<Outcome> => ({
  ended: await call({ ...what, via }),
})

async function callerDies(scene: Scene, round: Round, act: Act, via: Via): Promise<Outcome> {
  const { world, aim } = scene
  const { id, attachment } = act
  const verb = act.call.verb
  const shot = shotOf(scene, round, id)
  if (via === 'agent') {
    return killed(scene, await killLauncher(aim, shot, act.call, `${id}.sock`))
  }
  const subject = { verb, attachments: [attachment] }
  const outcome = await killNode(world, aim, shot, act.call, subject)
  if (outcome.step !== undefined) {
    const when = `${act.id} ${verb} of Node at ${outcome.step}`
    // A DEL that had not begun leaves what an agent's ADD had left.
    mustBeKept(scene, outcome.sights, when, verb === 'DEL' ? isKeptOrBegun : undefined)
  }
  return killed(scene, outcome)
}

/** One agent or both, with all that they have at hand. */
async function agentsDie(
  scene: Scene,
  round: Round,
  acts: readonly Act[],
  after: After,
): Promise<void> {
  const chance = round.chance.fork('agents')
  const { nodes } = scene.world
  const one = pick(chance, nodes)
  const isDying = (node: TortureNode): boolean => node === one || both
  const both = chance.below(3) > 0
  await Promise.all(
    nodes.map(async (node) => {
      const id = `${round.name}.${node.lab.name}`
      const ours = acts.filter(({ attachment }) => attachment.node === node)
      if (ours.length === 0) return
      if (isDying(node) && isMeant(round, id)) await agentDies(scene, round, id, node, ours, after)
      else {
        await Promise.all(
          ours.map(async (act) => after(scene, round, act, await undisturbed(act, 'agent'))),
        )
      }
    }),
  )
}

async function agentDies(
  scene: Scene,
  round: Round,
  id: string,
  node: TortureNode,
  acts: readonly Act[],
  after: After,
): Promise<void> {
  const { world, aim } = scene
  const lives: Promise<void>[] = []
  const begin = () =>
    acts.map((act) => {
      const running = start({ ...act.call, via: 'agent' })
      lives.push(running.ended.then((ended) => after(scene, round, act, { ended })))
      return { subject: { verb: act.call.verb, attachments: [act.attachment] }, running }
    })
  const verb = acts[0]?.call.verb ?? 'ADD'
  const met = await killAgent(world, aim, shotOf(scene, round, id), node, verb, begin)
  scene.kills += 1
  for (const each of met)
    if (each !== undefined) mustBeKept(scene, each.sights, `${id} at ${each.step}`, isKeptOrBegun)
  await world.restart(node)
  await Promise.all(lives)
}

/** After an ADD: a result, or DEL at once, DEL again, and another container in its place. */
async function came(scene: Scene, round: Round, act: Act, { ended }: Outcome): Promise<void> {
  let { attachment } = act
  let last: Ended = ended
  for (let attempt = 1; last.status !== 0; attempt++) {
    noteFailure(scene, last, `${act.id} ADD`)
    if (attempt > TRIES) {
      scene.faults.push(`${act.id}: ADD does not succeed`)
      return
    }
    if (act.chance.unit() < FORGOTTEN) scene.stale.push(attachment)
    else await tearDown(scene, round, act, attachment)
    const id = `${act.id}-${attempt}`
    attachment = await sandbox(scene, attachment.node, attachment.network, id)
    const next = { ...act, id, attachment, call: addOf(attachment, viaOf(act.chance)) }
    last = (await perhapsKilled(scene, round, next)).ended
  }
  born(scene, attachment, last, `${act.id} ADD`)
}

/** As containerd does after a failed ADD: at once, and once more without the namespace. */
async function tearDown(
  scene: Scene,
  round: Round,
  act: Act,
  attachment: Attachment,
): Promise<void> {
  const first = delOf(attachment, viaOf(act.chance))
  const { ended } = await perhapsKilled(scene, round, {
    ...act,
    id: `${attachment.containerId}-d`,
    attachment,
    call: first,
  })
  if (ended.status !== 0) {
    noteFailure(scene, ended, `${act.id} DEL`)
    await insist(scene, first, act.id)
  }
  await insist(scene, delOf(attachment, viaOf(act.chance), ''), act.id)
  mustBeVoid(scene, [attachment], `${act.id} DEL after a failed ADD`)
}

async function perhapsKilled(scene: Scene, round: Round, act: Act): Promise<Outcome> {
  const via = act.call.via
  if (act.chance.unit() > AGAIN || !isMeant(round, act.id)) return undisturbed(act, via)
  return callerDies(scene, round, act, via)
}

/** After a DEL: again until it succeeds, and once more without the namespace; or never again. */
async function went(scene: Scene, _round: Round, act: Act, { ended }: Outcome): Promise<void> {
  const { attachment } = act
  if (ended.status !== 0) {
    noteFailure(scene, ended, `${act.id} DEL`)
    if (act.chance.unit() < FORGOTTEN) {
      scene.stale.push(attachment)
      return
    }
    await insist(scene, act.call, act.id)
  }
  mustBeVoid(scene, [attachment], `${act.id} DEL`)
  await insist(scene, delOf(attachment, viaOf(act.chance), ''), act.id)
  mustBeVoid(scene, [attachment], `${act.id} second DEL`)
}

/** Nothing too many, nothing too few; and what nobody uses may be used again. */
async function check(scene: Scene, where: string): Promise<void> {
  const alive = new Set([...scene.model.alive].map(({ slot }) => slot))
  for (const { node, slot } of scene.used) {
    if (!alive.has(slot) && slot.isOpen() && !node.free.includes(slot)) node.free.push(slot)
  }
  const kept = scene.used.filter(({ slot }) => alive.has(slot))
  scene.used.splice(0, scene.used.length, ...kept)
  const wrong = await scene.model.differences()
  scene.faults.push(...wrong.map((line) => `${where}: ${line}`))
  const lost = await scene.model.unreachable()
  scene.faults.push(...lost.map((line) => `${where}: ${line}`))
}
