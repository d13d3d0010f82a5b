/**
 * Repairs in a cluster: each by the agent of the node that owns what it is about,
 * what all nodes share by a transaction on etcd.
 *
 * @module
 */
import type { IpamFinding, Repair } from '../../ipam/check.ts'
import { ownerOf } from '../../ipam/cluster/owners.ts'
import { REPAIRS_MAX } from '../../ipam/cluster/requests.ts'
import { applyRepairs, type Repaired, type StoreRepair } from '../../ipam/repair.ts'
import type { Store } from '../../ipam/store.ts'
import { asTriviumError, TriviumError } from '../errors.ts'
import { askOwner } from './ask-owner.ts'
import { transact } from './transact.ts'

export interface AskPlace {
  /** The cluster's. */
  readonly shared: Store
  /** The node whose agent found them. */
  readonly looked?: string
  /** Also what a living pod uses. */
  readonly force: boolean
  /** How long an owner may be silent. */
  readonly waitMs: number
  /** An owner that could not be asked, or whose answer is not known. */
  readonly silent: (error: TriviumError) => void
}

/** In the order of `repairs`. One owner's silence keeps no other from being asked. */
export async function askRepairs(
  repairs: readonly Repair[],
  { shared, looked, force, waitMs, silent }: AskPlace,
): Promise<readonly Repaired[]> {
  const results = new Map<Repair, Repaired>()
  const byNode = new Map<string, Repair[]>()
  const ofAll: StoreRepair[] = []
  for (const repair of repairs) {
    const owner = shared.read((reader) => ownerOf(reader, repair, looked))
    if (owner.kind === 'nobody') results.set(repair, { repair, outcome: 'refused', why: owner.why })
    else if (owner.kind === 'all') ofAll.push(repair as StoreRepair)
    else byNode.set(owner.node, [...(byNode.get(owner.node) ?? []), repair])
  }
  if (ofAll.length > 0) {
    const done = await transact(shared, (tx) => applyRepairs(tx, ofAll, { nowMs: Date.now() }))
    for (const result of done) results.set(result.repair, result)
  }
  const askNode = async (node: string, wanted: readonly Repair[]): Promise<void> => {
    for (let from = 0; from < wanted.length; from += REPAIRS_MAX) {
      const some = wanted.slice(from, from + REPAIRS_MAX)
      const all = await mended(shared, node, some, force, waitMs)
      for (const [index, repair] of some.entries()) {
        const { outcome, why } = all.results[index] ?? { outcome: 'refused' as const, why: all.why }
        results.set(repair, { repair, outcome, ...(why === undefined ? {} : { why }) })
      }
      if (all.error === undefined) continue
      silent(all.error)
      const why = `node ${node} was not asked: its agent does not answer`
      for (const repair of wanted.slice(from + REPAIRS_MAX)) {
        results.set(repair, { repair, outcome: 'refused', why })
      }
      return
    }
  }
  await Promise.all([...byNode].map(([node, wanted]) => askNode(node, wanted)))
  return repairs.flatMap((repair) => results.get(repair) ?? [])
}

async function mended(
  shared: Store,
  node: string,
  repairs: readonly Repair[],
  force: boolean,
  waitMs: number,
): Promise<{
  readonly results: readonly Repaired[]
  readonly why?: string
  readonly error?: TriviumError
}> {
  try {
    const answer = await askOwner(shared, node, { kind: 'mend', repairs, force }, waitMs)
    if (answer.kind === 'mended') return { results: answer.results }
    return { results: [], why: answer.kind === 'refused' ? answer.why : 'it answered otherwise' }
  } catch (thrown) {
    const error = asTriviumError(thrown)
    return { results: [], why: error.message.replace(/^Cannot [^:]*: /, ''), error }
  }
}

/**
 * What another node's agent finds wrong there, with its kernel and its pods' namespaces.
 *
 * @throws {TriviumError} TRY_LATER when it is silent; CONFLICT when it could not look.
 */
export async function askFindings(
  shared: Store,
  node: string,
  waitMs: number,
): Promise<{ readonly findings: readonly IpamFinding[]; readonly left: number }> {
  const answer = await askOwner(shared, node, { kind: 'look' }, waitMs)
  if (answer.kind === 'found') return answer
  const found = answer.kind === 'refused' ? answer.why : 'it answered otherwise'
  throw new TriviumError(
    'CONFLICT',
    `Cannot look at node ${node}: ${found}`,
    "The log of that node's agent says more",
  )
}
