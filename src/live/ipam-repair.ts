/**
 * Carries repairs out on a living node.
 *
 * What concerns a pod of this node happens under its attachment's lock, so no
 * ADD or DEL of it is under way, and only after another look at its link.
 *
 * @module
 */
import type { Repair } from '../../ipam/check.ts'
import { ownerOf } from '../../ipam/cluster/owners.ts'
import { keys } from '../../ipam/keys.ts'
import type { AttachmentKey, AttachmentRecord } from '../../ipam/records.ts'
import {
  applyRepairs,
  type Repaired,
  type RepairMoment,
  type StoreRepair,
} from '../../ipam/repair.ts'
import type { Reader, Store, Tx } from '../../ipam/store.ts'
import { type AttachmentLocks, attachmentLocks, byteOf } from './attachment-locks.ts'
import { bootId } from './boot.ts'
import { isNamespace, mustBeOn, podLinks } from './ipam-look.ts'
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

/**
 * What somebody asks of this node: its records in one transaction, under the locks of
 * all attachments that it concerns; links afterwards.
 *
 * @param note Runs in that transaction; what it throws undoes all of it.
 */
export function mendAtOnce(
  repairs: readonly Repair[],
  { store, node, socketPath, force }: RepairPlace & { readonly node: string },
  note: (tx: Tx, results: readonly Repaired[]) => void,
): Promise<readonly Repaired[]> {
  mustBeOn(store, node)
  const attachments = repairs.flatMap((repair) =>
    repair.kind === 'release' ? [repair.key] : repair.kind === 'remove-link' ? [repair.owner] : [],
  )
  const owners = attachments.flatMap((key) => (key === undefined ? [] : [key]))
  return holdAll(attachmentLocks(socketPath), owners, async () => {
    const names = new Set(podLinks().map(({ name }) => name))
    const refused = new Map<Repair, Repaired>()
    const refuse = (repair: Repair, why: string): void =>
      void refused.set(repair, { repair, outcome: 'refused', why })
    const records: StoreRepair[] = []
    const links: Extract<Repair, { readonly kind: 'remove-link' }>[] = []
    for (const repair of repairs) {
      if (repair.kind === 'remove-link') links.push(repair)
      else {
        const why = store.read((reader) => whyNot(reader, repair, node, force ? undefined : names))
        if (why === undefined) records.push(repair)
        else refuse(repair, why)
      }
    }
    const moment = { nowMs: Date.now(), bootId: bootId() }
    const done = await transact(store, (tx) => {
      const results = [...applyRepairs(tx, records, moment), ...refused.values()]
      note(tx, results)
      return results
    })
    const all = new Map(done.map((result) => [result.repair, result]))
    for (const link of links) all.set(link, await removeLink(link, store, node))
    return repairs.flatMap((repair) => all.get(repair) ?? [])
  })
}

/** Why the node does not do it; undefined: it does. @param links Of pods; undefined: it is done whether they live or not. */
function whyNot(
  reader: Reader,
  repair: StoreRepair,
  node: string,
  links: ReadonlySet<string> | undefined,
): string | undefined {
  if (ownerOf(reader, repair, node).kind === 'all') return 'it is shared by all nodes'
  if ('node' in repair && repair.node !== node) return `it is node ${repair.node}'s`
  if (repair.kind !== 'release') return undefined
  const record = reader.get(keys.attachment(node, repair.key))
  if (record?.sequence !== repair.sequence || links === undefined) return undefined
  return lifeOf(record, links)
}

/** What says that the pod may live; undefined: nothing. */
function lifeOf(record: AttachmentRecord, links: ReadonlySet<string>): string | undefined {
  const { hostLink, netns } = record
  const sign =
    hostLink === undefined ? `namespace ${netns}` : links.has(hostLink) ? `link ${hostLink}` : ''
  // Another plugin made its link: its namespace is all that is known of it.
  const isGone =
    hostLink === undefined && (record.bootId !== bootId() || isNamespace(netns) === false)
  if (sign === '' || isGone) return undefined
  return `${sign} is there: its pod may live, end it, or use --force`
}

/** In the order of their bytes, each once: who holds several waits for nobody who waits for it. */
function holdAll<T>(
  locks: AttachmentLocks,
  attachments: readonly AttachmentKey[],
  work: () => Promise<T>,
): Promise<T> {
  const byByte = new Map(attachments.map((key) => [byteOf(key), key]))
  const order = [...byByte].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key)
  return order.reduceRight<() => Promise<T>>((inner, key) => () => locks.hold(key, inner), work)()
}

type Release = Extract<Repair, { readonly kind: 'release' }>

async function freeHere(repair: Release, store: Store, force: boolean): Promise<Repaired> {
  const { node, key, sequence } = repair
  const record = store.read((reader) => reader.get(keys.attachment(node, key)))
  if (record?.sequence === sequence && !force) {
    const why = lifeOf(record, new Set(podLinks().map(({ name }) => name)))
    if (why !== undefined) return { repair, outcome: 'refused', why }
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
