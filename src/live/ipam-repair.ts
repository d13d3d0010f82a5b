/**
 * Carries repairs out on a living node.
 *
 * What concerns a pod of this node happens under its attachment's lock, so no
 * ADD or DEL of it is under way, and only after another look at its link.
 *
 * @module
 */
import type { Repair } from '../../ipam/check.ts'
import { keys } from '../../ipam/keys.ts'
import type { AttachmentKey } from '../../ipam/records.ts'
import {
  applyRepairs,
  type Repaired,
  type RepairMoment,
  type StoreRepair,
} from '../../ipam/repair.ts'
import type { Store } from '../../ipam/store.ts'
import { attachmentLocks } from './attachment-locks.ts'
import { bootId } from './boot.ts'
import { mustBeOn, podLinks } from './ipam-look.ts'
import { openKernel } from './kernel.ts'
import { transact } from './transact.ts'

export interface RepairPlace {
  readonly store: Store
  /** This node. undefined: not known, so no kernel can speak for a pod. */
  readonly node: string | undefined
  readonly socketPath: string
  /** Also what a living pod or another node may still use. */
  readonly force: boolean
}

/** In the order of `repairs`. A repair that does not fit any more changes nothing. */
export async function performRepairs(
  repairs: readonly Repair[],
  place: RepairPlace,
): Promise<readonly Repaired[]> {
  const { store, node, socketPath, force } = place
  if (node !== undefined && !force) mustBeOn(store, node)
  const locks = attachmentLocks(socketPath)
  const results = new Map<Repair, Repaired>()
  const records = repairs.filter(
    (repair): repair is StoreRepair => repair.kind !== 'remove-link' && repair.kind !== 'release',
  )
  if (records.length > 0) {
    const done = await transact(store, (tx) => applyRepairs(tx, records, { nowMs: Date.now() }))
    for (const result of done) results.set(result.repair, result)
  }
  for (const repair of repairs) {
    if (repair.kind === 'remove-link') {
      const { owner } = repair
      const why = "its alias does not tell whose it is: the agent's next round removes it"
      const result =
        owner === undefined
          ? ({ repair, outcome: 'refused', why } as const)
          : await locks.hold(owner, () => removeLink(repair, store, node ?? ''))
      results.set(repair, result)
    } else if (repair.kind === 'release') {
      const isHere = repair.node === node
      const why =
        force || isHere ? undefined : `it is node ${repair.node}'s, ask there, or use --force`
      if (why !== undefined) results.set(repair, { repair, outcome: 'refused', why })
      else if (!isHere) results.set(repair, await free(repair, store, { nowMs: Date.now() }))
      else {
        const work = (): Promise<Repaired> => freeHere(repair, store, force)
        results.set(repair, await locks.hold(repair.key, work))
      }
    }
  }
  return repairs.flatMap((repair) => results.get(repair) ?? [])
}

type Release = Extract<Repair, { readonly kind: 'release' }>

async function freeHere(repair: Release, store: Store, force: boolean): Promise<Repaired> {
  const { node, key, sequence } = repair
  const record = store.read((reader) => reader.get(keys.attachment(node, key)))
  const link = podLinks().find(({ name }) => name === record?.hostLink)
  if (link !== undefined && record?.sequence === sequence && !force) {
    const why = `link ${link.name} is there: its pod may live, end it, or use --force`
    return { repair, outcome: 'refused', why }
  }
  return free(repair, store, { nowMs: Date.now(), bootId: bootId() })
}

async function free(repair: Release, store: Store, moment: RepairMoment): Promise<Repaired> {
  const [result] = await transact(store, (tx) => applyRepairs(tx, [repair], moment))
  return result ?? { repair, outcome: 'stale' }
}

async function removeLink(
  repair: Extract<Repair, { readonly kind: 'remove-link' }>,
  store: Store,
  node: string,
): Promise<Repaired> {
  const { name, owner } = repair
  const record = store.read((reader) => recordOf(reader.range(keys.attachments(node)), name))
  const isTheirs = owner === undefined || record?.sequence === owner.sequence
  if (record !== undefined && isTheirs) return { repair, outcome: 'stale', why: 'a record has it' }
  if (!podLinks().some((link) => link.name === name)) {
    return { repair, outcome: 'stale', why: 'it is gone' }
  }
  const kernel = openKernel()
  try {
    const failure = await kernel.removeOwnLink(name)
    if (failure !== undefined) return { repair, outcome: 'refused', why: failure.message }
    return { repair, outcome: 'done' }
  } finally {
    kernel.close()
  }
}

function recordOf(
  attachments: Iterable<
    readonly [string, AttachmentKey & { readonly hostLink?: string; readonly sequence: number }]
  >,
  name: string,
): { readonly sequence: number } | undefined {
  for (const [, attachment] of attachments) if (attachment.hostLink === name) return attachment
  return undefined
}
