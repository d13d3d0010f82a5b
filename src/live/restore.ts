/**
 * Restoring into a store that is in use: one transaction that is looked at
 * before it is kept, also against the kernel of this node.
 *
 * @module
 */
import type { Image } from '../../ipam/backup/image.ts'
import { type RestoreReport, restore, restoreRun } from '../../ipam/backup/restore.ts'
import { checkIpam, type FindingCode, type IpamFinding, type KernelLook } from '../../ipam/check.ts'
import { applyRepairs, type StoreRepair } from '../../ipam/repair.ts'
import type { Reader, Store, Tx } from '../../ipam/store.ts'
import { transact } from './transact.ts'

export interface RestoreOptions {
  /** What this node's kernel says; undefined: no kernel speaks. */
  readonly look: KernelLook | undefined
  readonly nowMs: number
  /** Also where the store is wrong afterwards, but never with an address that two have. */
  readonly force?: boolean
  /** The store is a cluster's: what nodes keep themselves is left to them. */
  readonly isCluster?: boolean
  /** Nothing of it stays. */
  readonly dryRun?: boolean
}

export interface Restored extends RestoreReport {
  /** Whether it stays. */
  readonly kept: boolean
  /** What is wrong with the store afterwards. */
  readonly findings: readonly IpamFinding[]
  /** Those of the findings that do not let it stay. */
  readonly stopping: readonly IpamFinding[]
}

/** Two would have one address, now or soon. */
const DUPLICATES: readonly FindingCode[] = [
  'claim-overlap',
  'first-twice',
  'address-twice',
  'address-outside-block',
  'attachment-without-address',
]
/** Of a pod that ends, or of a reboot: no reason to be without the backup. */
const HARMLESS: readonly FindingCode[] = ['record-without-link', 'address-without-attachment']
/** What the records alone tell, and no pod would miss. */
const MENDED: readonly StoreRepair['kind'][] = [
  'count-block',
  'remove-use',
  'raise-sequence',
  'place-reservation',
  'index-reservations',
  'trim-history',
]

/** Restores all of the image or nothing. */
export async function restoreInto(
  store: Store,
  image: Image,
  options: RestoreOptions,
): Promise<Restored> {
  try {
    return await transact(store, (tx) => {
      const restored = attempt(tx, image, options)
      if (!restored.kept) throw new Undone(restored)
      return restored
    })
  } catch (thrown) {
    if (thrown instanceof Undone) return thrown.restored
    throw thrown
  }
}

/** Thrown out of a transaction, so that nothing of it stays. */
class Undone extends Error {
  readonly restored: Restored

  constructor(restored: Restored) {
    super('undone')
    this.restored = restored
  }
}

function attempt(tx: Tx, image: Image, options: RestoreOptions): Restored {
  const { force = false, dryRun = false, isCluster = false } = options
  const report = restore(tx, image, restoreRun({ sharedOnly: isCluster }))
  if (report.conflicts.length > 0) return { ...report, kept: false, findings: [], stopping: [] }
  const findings = isCluster ? duplicatesIn(tx) : mended(tx, options)
  const stopping = stoppingOf(findings, force || isCluster)
  return { ...report, kept: stopping.length === 0 && !dryRun, findings, stopping }
}

/** @param only Only what would give an address to two. */
export const stoppingOf = (
  findings: readonly IpamFinding[],
  only: boolean,
): readonly IpamFinding[] =>
  findings.filter(({ code, severity }) =>
    only ? DUPLICATES.includes(code) : severity === 'fail' && !HARMLESS.includes(code),
  )

/** What is wrong with what all nodes of a cluster share; they may not have said yet what they have. */
export const duplicatesIn = (reader: Reader): readonly IpamFinding[] =>
  stoppingOf(checkIpam(reader), true)

type Looking = Pick<RestoreOptions, 'look' | 'nowMs'>

/** What is left to be found when counters, indexes and the like are right. */
function mended(tx: Tx, { look, nowMs }: Looking): readonly IpamFinding[] {
  const findings = checkIpam(tx, look)
  const repairs = repairsOf(findings)
  if (repairs.length === 0) return findings
  applyRepairs(tx, repairs, { nowMs })
  return checkIpam(tx, look)
}

/** The same where the restore is in the store already. */
export async function mend(
  store: Store,
  { look, nowMs }: Looking,
): Promise<readonly IpamFinding[]> {
  const findings = store.read((reader) => checkIpam(reader, look))
  const repairs = repairsOf(findings)
  if (repairs.length === 0) return findings
  await transact(store, (tx) => applyRepairs(tx, repairs, { nowMs }))
  return store.read((reader) => checkIpam(reader, look))
}

const repairsOf = (findings: readonly IpamFinding[]): readonly StoreRepair[] =>
  findings.flatMap(({ repair }) =>
    repair !== undefined && isMended(repair.kind) ? [repair as StoreRepair] : [],
  )

const isMended = (kind: string): boolean => MENDED.some((each) => each === kind)
