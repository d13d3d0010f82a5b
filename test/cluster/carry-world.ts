/** How a node of the simulated cluster carries a request out: as `trivium node carry` does. */
import { type DeedAnswer, noteCarried, type OwnerRequest } from '../../ipam/cluster/requests.ts'
import { applyRepairs, type StoreRepair } from '../../ipam/repair.ts'
import type { Tx } from '../../ipam/store.ts'
import type { Node } from './member-world.ts'

/** The records of pods that are gone; of living ones by force, which then are gone. */
export function carryOn(
  node: Node,
  { deed, id }: OwnerRequest,
  done: (answer: DeedAnswer | undefined) => void,
): void {
  if (deed.kind !== 'mend') throw new Error('nobody asks for it here')
  const { world, pods } = node
  const repairs = deed.repairs.filter(
    (each) => deed.force || each.kind !== 'release' || !pods.has(each.key.containerId),
  ) as StoreRepair[]
  const body = (tx: Tx): DeedAnswer => {
    const results = applyRepairs(tx, repairs, { nowMs: node.wallMs() })
    const answer: DeedAnswer = { kind: 'mended', results }
    if (noteCarried(tx, id, answer) !== undefined) throw new Error('it was carried out before')
    world.carried.set(id, (world.carried.get(id) ?? 0) + 1)
    for (const each of repairs) if ('key' in each) pods.delete(each.key.containerId)
    return answer
  }
  // What it answers comes to nobody when the agent is dead by then.
  const run = node.run
  node.local.transact(body, (outcome) => {
    if (run === node.run) done(outcome.kind === 'committed' ? outcome.answer : undefined)
  })
}
