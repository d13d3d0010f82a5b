/**
 * Where blocks of addresses lie: how many prefixes a spine needs for them, as they were
 * handed out and after nodes were replaced by others elsewhere; and when a pool is empty
 * because nobody gives back what nodes had that are gone.
 *
 * The table is a spine's: a next hop is a rack. Pods come to nodes by chance, so blocks
 * are asked for in random order.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { ipToInteger, networkAddress, parsePrefix, prefixSize } from '../../src/net/mod.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { fewestRoutes, type PlainRoute } from '../ortc.ts'
import { shuffled } from '../shuffle.ts'
import { Allotment } from './allotment.ts'
import type { AllotCase, AllotQuestion, LeaveQuestion } from './file.ts'
import type { Answer, Figure } from './judge.ts'

/** A table at a moment; what it comes to is only worked out when somebody asks. */
interface Snapshot {
  readonly blocks: readonly PlainRoute[]
  readonly pods: readonly PlainRoute[]
}

/**
 * Figures of each case, `at` its name, or `NAME after P %` of its nodes were replaced:
 * `blocks.routes`, `blocks.fewest`, `blocks.fewest.any` (unused addresses may lead
 * anywhere), and the same of `pods` where every pod is a route of its own.
 */
export function answerAllot(question: AllotQuestion, wanted: readonly string[]): Answer {
  const taken = new Map<string, Snapshot>()
  for (const [name, each] of Object.entries(question.cases)) {
    // A case that nobody asks of is not run.
    if (!wanted.some((at) => at === name || at.startsWith(`${name} after `))) continue
    for (const [at, snapshot] of snapshotsOf(question, name, each)) taken.set(at, snapshot)
  }
  return ({ at = '', figure = '' }) => figureOf(taken.get(at), figure)
}

function figureOf(snapshot: Snapshot | undefined, figure: string): Figure {
  const [whose, what, unrouted] = figure.split('.')
  if (snapshot === undefined || (whose !== 'blocks' && whose !== 'pods')) return undefined
  const routes = snapshot[whose]
  if (what === 'routes') return routes.length
  if (what !== 'fewest') return undefined
  return fewestRoutes(routes, { unrouted: unrouted === 'any' ? 'any' : 'discard' }).length
}

function* snapshotsOf(
  question: AllotQuestion,
  name: string,
  each: AllotCase,
): Generator<readonly [string, Snapshot]> {
  const { nodes, racks, podsPerNode, seed } = question
  const { pool = question.pool } = each
  const chance = prng(seed).fork(name)
  const total = nodes * podsPerNode
  const places = Array.from({ length: nodes }, (_, node) => Math.floor((node * racks) / nodes))
  if (each.placement === 'chance') {
    yield [name, { blocks: [], pods: byChance(pool, total, places, chance) }]
    return
  }
  const { blockLength, spare } = each
  const allotment = new Allotment({ pool, blockLength, spare })
  for (const [node, rack] of places.entries()) {
    allotment.join(nameOf(node), rack, each.placement === 'rack')
  }
  for (let pod = 0; pod < total; pod++) addPod(allotment, nameOf(chance.below(nodes)))
  yield [name, snapshotOf(allotment)]
  if (each.rehome === undefined) return
  const { percents, placement } = each.rehome
  const leaving = shuffled([...places.keys()], chance)
  let left = 0
  for (const percent of percents) {
    for (; left < Math.round((nodes * percent) / 100); left++) {
      const node = leaving[left]!
      const other = (places[node]! + 1 + chance.below(racks - 1)) % racks
      replace(allotment, nameOf(node), other, placement === 'rack')
    }
    yield [`${name} after ${percent} %`, snapshotOf(allotment)]
  }
}

const nameOf = (node: number): string => `node-${node}`

/** A node goes, and one with as many pods comes in another rack. */
function replace(allotment: Allotment, node: string, rack: number, says: boolean): void {
  const pods = allotment.podsOf(node)
  allotment.leave(node, true)
  const next = `${node}-next`
  allotment.join(next, rack, says)
  for (let pod = 0; pod < pods; pod++) addPod(allotment, next)
}

/** A pool that is too small would make the table of fewer pods than were asked for. */
function addPod(allotment: Allotment, node: string): void {
  if (allotment.addPod(node)) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot allot a pod on ${node}: the pool is empty, wanted a larger one`,
  )
}

const snapshotOf = (allotment: Allotment): Snapshot => ({
  blocks: allotment.blockRoutes(),
  pods: allotment.podRoutes(),
})

/** As in a range that a whole cluster shares, after a while. */
function byChance(
  pool: string,
  total: number,
  places: readonly number[],
  chance: Prng,
): readonly PlainRoute[] {
  const prefix = parsePrefix(pool, 'the pool')
  const first = Number(ipToInteger(networkAddress(prefix)))
  const size = Number(prefixSize(prefix))
  const taken = new Map<number, number>()
  while (taken.size < Math.min(total, size)) {
    taken.set(first + chance.below(size), places[chance.below(places.length)]!)
  }
  return [...taken].map(([start, nextHop]) => ({ start, length: 32, nextHop }))
}

/**
 * Figures `at: kept` (nobody says that a node is gone) and `at: released`: `nodes`, how
 * many had come when the first pod was refused, none where none was; `stranded`, blocks
 * of nodes that are gone; `stranded.share` of the pool.
 */
export function answerLeave(question: LeaveQuestion, wanted: readonly string[]): Answer {
  const ends = new Map(
    (['kept', 'released'] as const)
      .filter((at) => wanted.includes(at))
      .map((at) => [at as string, endOf(question, at === 'released')]),
  )
  return ({ at = '', figure = '' }) => {
    const end = ends.get(at)
    if (end === undefined) return undefined
    if (figure === 'refused') return end.refused === undefined ? 'none' : end.refused
    if (figure === 'stranded') return end.stranded
    return figure === 'stranded.share' ? end.stranded / end.blocks : undefined
  }
}

interface End {
  /** The node whose pod was refused, counted from 1. */
  readonly refused: number | undefined
  readonly stranded: number
  readonly blocks: number
}

function endOf(question: LeaveQuestion, released: boolean): End {
  const { pool, blockLength, living, nodes, spare } = question
  const allotment = new Allotment({ pool, blockLength, spare })
  let refused: number | undefined
  for (let node = 0; node < nodes && refused === undefined; node++) {
    if (node >= living) allotment.leave(nameOf(node - living), released)
    allotment.join(nameOf(node), 0, false)
    if (!allotment.addPod(nameOf(node))) refused = node + 1
  }
  const prefix = parsePrefix(pool, 'the pool')
  const blocks = Number(prefixSize(prefix)) / 2 ** (32 - blockLength)
  return { refused, stranded: allotment.blocks().stranded, blocks }
}
