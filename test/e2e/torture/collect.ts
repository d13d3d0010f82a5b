/**
 * GC of both networks on both nodes, with what was forgotten and some orphans
 * to collect, and with somebody's death in the middle.
 *
 * @module
 */
import type { Prng } from '../../../src/prng.ts'
import { type Running, start, type Via } from './calls.ts'
import { killAgent, killLauncher, killNode, type Shot } from './kills.ts'
import {
  addOf,
  gcOf,
  insist,
  isMeant,
  killed,
  mustBeKept,
  mustBeVoid,
  noteFailure,
  type Round,
  type Scene,
  shotOf,
} from './scene.ts'
import { type Attachment, NETWORKS, type TortureNode } from './world.ts'

type Victim = 'nobody' | 'launcher' | 'node' | 'agent'

const VICTIMS: readonly Victim[] = [
  'nobody',
  'nobody',
  'nobody',
  'nobody',
  'launcher',
  'node',
  'node',
  'agent',
]
/** Enough for a middle. */
const ORPHANS = 3

export async function collect(scene: Scene, round: Round): Promise<void> {
  await Promise.all(
    scene.world.nodes.map(async (node) => {
      for (const network of NETWORKS) {
        const id = `${round.name}.gc.${node.lab.name}.${network}`
        await collectOne(
          scene,
          { id, chance: round.chance.fork(id), shot: shotOf(scene, round, id), node, network },
          isMeant(round, id),
        )
      }
    }),
  )
  scene.stale.length = 0
}

interface Place {
  readonly id: string
  readonly chance: Prng
  readonly shot: Shot
  readonly node: TortureNode
  readonly network: Attachment['network']
}

async function collectOne(scene: Scene, place: Place, isMeant: boolean): Promise<void> {
  const { id, chance, node, network } = place
  const drawn = VICTIMS[chance.below(VICTIMS.length)] ?? 'nobody'
  const spared = drawn === 'nobody' || !isMeant
  const victim = spared ? 'nobody' : scene.agentsAway ? 'node' : drawn
  if (drawn !== 'nobody') await orphans(scene, place)
  const stale = scene.stale.filter((each) => each.node === node && each.network === network)
  if (victim !== 'nobody') await interrupted(scene, place, victim, stale)
  const via: Via = chance.unit() < 0.7 ? 'agent' : 'node'
  await insist(scene, gcOf(scene, node, network, via), id)
  mustBeVoid(scene, stale, `${id} GC`)
}

async function orphans(scene: Scene, { id, node, network }: Place): Promise<void> {
  for (let index = 0; index < ORPHANS; index++) {
    const slot = await scene.world.slotOn(node)
    scene.used.push({ node, slot })
    const attachment = { node, network, slot, containerId: `${id}.${index}` }
    await insist(scene, addOf(attachment, 'agent'), id)
    scene.stale.push(attachment)
  }
}

async function interrupted(
  scene: Scene,
  { id, shot, node, network }: Place,
  victim: Exclude<Victim, 'nobody'>,
  stale: readonly Attachment[],
): Promise<void> {
  const { world, aim } = scene
  const what = gcOf(scene, node, network, 'agent')
  const subject = { verb: 'GC', attachments: stale } as const
  if (victim === 'launcher') {
    const { ended } = killed(scene, await killLauncher(aim, shot, what, `${id}.sock`))
    if (ended.status !== 0) noteFailure(scene, ended, `${id} GC`)
    return
  }
  if (victim === 'node') {
    const { ended, sights } = killed(scene, await killNode(world, aim, shot, what, subject))
    mustBeKept(scene, sights, `${id} GC of Node`)
    if (ended.status !== 0) noteFailure(scene, ended, `${id} GC`)
    return
  }
  let running: Running | undefined
  const [met] = await killAgent(world, aim, shot, node, 'GC', () => {
    running = start(what)
    return [{ subject, running }]
  })
  scene.kills += 1
  if (met !== undefined) mustBeKept(scene, met.sights, `${id} GC of the agent`)
  await world.restart(node)
  const ended = await running?.ended
  if (ended !== undefined && ended.status !== 0) noteFailure(scene, ended, `${id} GC`)
}
