/**
 * Restoring what is too large for one transaction. The whole of it is tried aside
 * first, on a store made of what this one holds; only if that is without conflict,
 * parts are restored one after the other, under a mark. Where there was no store,
 * the one aside is put in place instead. Memory is that of a part, and of what
 * is known of blocks.
 *
 * @module
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wholeImage } from '../../ipam/backup/image.ts'
import { begin, finish, frozenUses, partsOf, refuseOther, thaw } from '../../ipam/backup/parts.ts'
import {
  type RestoreConflict,
  type RestoreCounts,
  type RestoreReport,
  restore,
  restoreRun,
} from '../../ipam/backup/restore.ts'
import type { IpamFinding } from '../../ipam/check.ts'
import { fillNew, openLmdbStore, putInPlace } from '../../ipam/lmdb-store.ts'
import { refuseMember } from '../../ipam/rearrange/plan.ts'
import type { Store } from '../../ipam/store.ts'
import { TriviumError } from '../errors.ts'
import type { ImageFile } from './backup-file.ts'
import { duplicatesIn, mend, type Restored, type RestoreOptions, stoppingOf } from './restore.ts'
import { transact } from './transact.ts'

/** Characters of a part: a second of work, and some 50 MB of memory. */
const PART_MAX = 4_000_000
/** etcd takes 1.4 MB of one transaction, keys twice. */
const CLUSTER_PART_MAX = 400_000
/** Blocks that are thawed in one transaction. */
const THAWED_AT_ONCE = 1000
const CONFLICTS_TOLD = 1000

export interface PartsOptions extends RestoreOptions {
  /** Characters of a part. @default as much as the store takes at once */
  readonly partMax?: number
  /** Says what is going on, and how much of it is done. */
  readonly progress: (what: string, part?: number) => void
}

/** Of this store; its own records alone. */
export interface PartsTarget {
  /** Undefined: there is none yet, and `path` is where it will be. */
  readonly store: Store | undefined
  /** Of its files; undefined where it has none here. */
  readonly path: string | undefined
  readonly isCluster: boolean
}

/** What it would come to, without touching the store. */
export async function tryParts(
  target: PartsTarget,
  file: ImageFile,
  options: PartsOptions,
): Promise<Restored & { readonly place: () => void; readonly drop: () => void }> {
  const aside = asideOf(target.path)
  const drop = (): void => rmSync(aside, { recursive: true, force: true })
  try {
    const { store } = target
    if (store !== undefined) {
      const { header, footer } = file
      const mark = { sha256: footer.sha256, madeMs: header.madeMs, startedMs: options.nowMs }
      store.read((reader) => {
        refuseMember(reader, 'restore')
        refuseOther(reader, mark, options.force === true)
      })
      options.progress('copying the store aside')
      store.read((reader) => fillNew(aside, wholeImage(reader)))
    }
    const copy = openLmdbStore(aside)
    try {
      const report = await restoreAll(copy, target, file, { ...options, isTrial: true })
      options.progress('looking at what it would be')
      const findings = report.conflicts.length > 0 ? [] : await look(copy, target, options)
      const stopping = stoppingOf(findings, options.force === true || target.isCluster)
      const kept = report.conflicts.length === 0 && stopping.length === 0
      const place = (): void => putInPlace(aside, target.path ?? '')
      return { ...report, kept, findings, stopping, place, drop }
    } finally {
      copy.close()
    }
  } catch (thrown) {
    drop()
    throw thrown
  }
}

/** In place, part by part. @throws {TriviumError} CONFLICT where the store changed since it was tried. */
export async function restoreParts(
  target: PartsTarget & { readonly store: Store },
  file: ImageFile,
  options: PartsOptions,
): Promise<RestoreReport> {
  const { store, isCluster } = target
  const report = await restoreAll(store, target, file, { ...options, isTrial: false })
  options.progress('ending')
  if (!isCluster) await mend(store, options)
  for (;;) {
    const frozen = isCluster ? [] : store.read(frozenUses)
    if (frozen.length === 0) break
    await transact(store, (tx) => thaw(tx, frozen.slice(0, THAWED_AT_ONCE)))
  }
  await transact(store, finish)
  return report
}

const look = (
  copy: Store,
  { isCluster }: PartsTarget,
  options: PartsOptions,
): Promise<readonly IpamFinding[]> | readonly IpamFinding[] =>
  isCluster ? copy.read(duplicatesIn) : mend(copy, options)

const ASIDE = '.restore-'

/** A folder of our own on the store's file system. What a run left that was killed goes. */
function asideOf(path: string | undefined): string {
  if (path === undefined) return mkdtempSync(join(tmpdir(), 'trivium-restore-'))
  mkdirSync(path, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(path)) {
    const [, pid] = name.startsWith(ASIDE) ? name.split('-') : []
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    rmSync(join(path, name), { recursive: true, force: true })
  }
  return mkdtempSync(join(path, `${ASIDE}${process.pid}-`))
}

async function restoreAll(
  store: Store,
  { isCluster }: PartsTarget,
  file: ImageFile,
  options: PartsOptions & { readonly isTrial: boolean },
): Promise<RestoreReport> {
  const { isTrial, force = false, nowMs, progress } = options
  const { partMax = isCluster ? CLUSTER_PART_MAX : PART_MAX } = options
  const { header, footer } = file
  const mark = { sha256: footer.sha256, madeMs: header.madeMs, startedMs: nowMs }
  let run = restoreRun({ freezes: !isTrial, sharedOnly: isCluster })
  let sum = NOTHING
  const told = `${isTrial ? 'trying' : 'restoring'} ${footer.records} records`
  const pairs = file.pairs((part) => progress(told, part))
  for (const image of partsOf(header, pairs, partMax)) {
    const report = await transact(store, (tx) => {
      if (!isTrial) begin(tx, mark, force)
      const part = restore(tx, image, run)
      if (!isTrial && part.conflicts.length > 0) throw changed(part.conflicts)
      return part
    })
    if (report.skipped.size > 0)
      run = { ...run, skipped: new Set([...run.skipped, ...report.skipped]) }
    sum = together(sum, report)
  }
  return sum
}

const NOTHING: RestoreReport = {
  added: { networks: 0, nodes: 0, blocks: 0, attachments: 0, addresses: 0, reservations: 0 },
  present: 0,
  ended: 0,
  conflicts: [],
  skipped: new Set(),
}

function together(left: RestoreReport, right: RestoreReport): RestoreReport {
  const kinds = Object.keys(left.added) as (keyof RestoreCounts)[]
  const counts = kinds.map((kind) => [kind, left.added[kind] + right.added[kind]])
  return {
    added: Object.fromEntries(counts) as RestoreCounts,
    present: left.present + right.present,
    ended: left.ended + right.ended,
    conflicts: [...left.conflicts, ...right.conflicts].slice(0, CONFLICTS_TOLD),
    skipped: NOTHING.skipped,
  }
}

function changed([first]: readonly RestoreConflict[]): TriviumError {
  const { subject = '', found = '', wanted = '' } = first ?? {}
  return new TriviumError(
    'CONFLICT',
    `Cannot go on with the restore: the store has changed since it was tried, ${subject}: ${found}, wanted ${wanted}`,
    'What was restored stays, and gives no address yet: end what is in the way, and restore the same file again',
  )
}
