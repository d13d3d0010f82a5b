/**
 * What all rounds share: the world, the model, what was hit, what went wrong.
 *
 * @module
 */
import type { Prng } from '../../../src/prng.ts'
import { converged, ipsOf, type Json, type Result, resultOf } from '../../support/e2e.ts'
import { type Aim, aim } from './aim.ts'
import { type Call, call, codeOf, type Ended, type Via } from './calls.ts'
import type { Killed, Shot } from './kills.ts'
import { type Alive, createModel, type Model } from './model.ts'
import { isKept, isVoid, isWhole, type Sight } from './steps.ts'
import { type Attachment, NETWORKS, type Slot, type TortureNode, type World } from './world.ts'

export interface Scene {
  readonly world: World
  readonly model: Model
  readonly aim: Aim
  /** What must not be, with the kill after which it was. */
  readonly faults: string[]
  /** Calls that were told to come again later, by the text of their error. */
  readonly later: Map<string, number>
  /** What the runtime forgot: GC is to collect it. */
  readonly stale: Attachment[]
  /** Namespaces that a round has taken. */
  readonly used: { readonly node: TortureNode; readonly slot: Slot }[]
  kills: number
  /** Nobody is there who repairs what a verb forgets. */
  agentsAway: boolean
}

export interface Round {
  readonly name: string
  readonly chance: Prng
  /** The only kills that are carried out, with the places of the steps they aim at; undefined: all. */
  readonly only: ReadonlyMap<string, number | undefined> | undefined
  /** The kills of this round, each as KILL@PLACE: what `only` is made of. */
  readonly shots: string[]
}

/** A kill of a call that a runtime tries again, ID-1, is of use only after that of the first. */
export const isMeant = ({ only }: Round, id: string): boolean =>
  only === undefined || [...only.keys()].some((each) => each === id || each.startsWith(`${id}-`))

/** @param id Of the kill, told with what it aims at: what others hit before decides about that. */
export function shotOf({ aim }: Scene, { chance, only, shots }: Round, id: string): Shot {
  const own = chance.fork(`kill ${id}`)
  return {
    chance: own,
    target(what, steps) {
      const place = only?.get(id)
      const target =
        (place === undefined ? undefined : steps[place]) ?? aim.target(what, steps, own)
      shots.push(`${id}@${steps.indexOf(target)}`)
      return target
    },
  }
}

/** "Try again later". Source: CNI specification 1.1.0, section "Error". */
export const TRY_LATER = 11
/** A runtime repeats for minutes; these are enough for an agent to be back. */
const TRIES = 40
const PAUSE_MS = 100

export async function createScene(world: World): Promise<Scene> {
  const elders: Alive[] = []
  for (const node of world.nodes) {
    for (const network of NETWORKS) {
      const slot = await world.slotOn(node)
      const containerId = `elder-${node.lab.name}-${network}`
      const attachment = { node, network, slot, containerId }
      elders.push({
        ...attachment,
        result: resultOf(whole(await call(addOf(attachment, 'agent')))),
      })
    }
  }
  // The spare blocks follow the first addresses, and the peers' routes follow them.
  await converged(world.lab)
  const model = await createModel(world, elders)
  return {
    world,
    model,
    aim: aim(),
    faults: [],
    later: new Map(),
    stale: [],
    used: [],
    kills: 0,
    agentsAway: false,
  }
}

const whole = ({ status, ...rest }: Ended) => ({ status: status ?? 137, ...rest })

export const addOf = ({ node, network, slot, containerId }: Attachment, via: Via): Call => ({
  verb: 'ADD',
  via,
  node: node.lab,
  network,
  containerId,
  netnsPath: slot.path,
})

/** @param netnsPath Empty when the runtime says it again later. */
export const delOf = (
  { node, network, slot, containerId }: Attachment,
  via: Via,
  netnsPath = slot.path,
  extra: Json = {},
): Call => ({ verb: 'DEL', via, node: node.lab, network, containerId, netnsPath, extra })

export const gcOf = (
  { model }: Scene,
  node: TortureNode,
  network: Attachment['network'],
  via: Via,
): Call => {
  const ours = [...model.alive].filter((one) => one.node === node && one.network === network)
  const valid = ours.map(({ containerId }) => ({ containerID: containerId, ifname: 'eth0' }))
  const extra = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }
  return { verb: 'GC', via, node: node.lab, network, extra }
}

/** Repeats a call until it succeeds, as runtimes do with DEL and GC. */
export async function insist(scene: Scene, what: Call, id: string): Promise<Ended> {
  for (let attempt = 0; ; attempt++) {
    const ended = await call(what)
    if (ended.status === 0) return ended
    noteFailure(scene, ended, `${id} ${what.verb} by ${what.via}`)
    if (attempt > TRIES) {
      scene.faults.push(`${id}: ${what.verb} does not succeed`)
      return ended
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/** Errors other than "try again later" are faults. */
export function noteFailure(scene: Scene, ended: Ended, where: string): void {
  if (ended.status === undefined) return
  const said = `${ended.stdout.trim()} ${ended.stderr.trim()}`
  if (codeOf(ended) !== TRY_LATER) scene.faults.push(`${where}: ${said}`)
  const message = /"msg":"([^"]*)"/.exec(said)?.[1] ?? said
  scene.later.set(message, (scene.later.get(message) ?? 0) + 1)
}

/** Counts a kill that met its victim. */
export function killed(scene: Scene, outcome: Killed): Killed {
  if (outcome.step !== undefined) scene.kills += 1
  return outcome
}

const told = (sight: Sight | undefined): string => JSON.stringify(sight)

/**
 * Guards alone are another matter while there is an agent: a round that it planned
 * before may let a dead link's addresses in once more, until the next.
 */
const settled = ({ agentsAway }: Scene, sight: Sight): Sight =>
  agentsAway || sight.link !== 'none' ? sight : { ...sight, guards: 0 }

/** After DEL and GC nothing is left, not only after the agent has looked. */
export function mustBeVoid(scene: Scene, attachments: readonly Attachment[], when: string): void {
  for (const [index, sight] of scene.world.look(attachments).entries()) {
    if (isVoid(settled(scene, sight))) continue
    scene.faults.push(`${when}: of ${attachments[index]?.containerId} is left ${told(sight)}`)
  }
}

/** After ADD everything is there. */
export function mustBeWhole(scene: Scene, attachment: Attachment, when: string): void {
  const [sight] = scene.world.look([attachment])
  if (sight !== undefined && isWhole(sight)) return
  scene.faults.push(`${when}: of ${attachment.containerId} there is only ${told(sight)}`)
}

/**
 * Whatever was cut short: no link, route or guard without a record.
 *
 * @param isIt What counts as that.
 */
export function mustBeKept(
  scene: Scene,
  sights: readonly Sight[],
  when: string,
  isIt = isKept,
): void {
  for (const sight of sights) {
    if (!isIt(settled(scene, sight)))
      scene.faults.push(`${when}: there is no record of ${told(sight)}`)
  }
}

/** A container that the runtime has a result for. */
export function born(scene: Scene, attachment: Attachment, ended: Ended, when: string): void {
  const result: Result = resultOf(whole(ended))
  try {
    scene.model.born({ ...attachment, result })
  } catch (thrown) {
    scene.faults.push(`${when}: ${(thrown as Error).message}`)
  }
  if (ipsOf(result).length !== 2) scene.faults.push(`${when}: ${ipsOf(result).length} addresses`)
  mustBeWhole(scene, attachment, when)
}
