/**
 * `trivium ipam restore`, and `import` of an export.
 *
 * @module
 */
import { Command } from 'commander'
import type { Image, ImageHeader, ImageKind } from '../../../ipam/backup/image.ts'
import type { RestoreConflict, RestoreReport } from '../../../ipam/backup/restore.ts'
import type { IpamFinding } from '../../../ipam/check.ts'
import type { Store } from '../../../ipam/store.ts'
import { isTriviumError, TriviumError } from '../../errors.ts'
import { type ImageFile, openImageFile } from '../../live/backup-file.ts'
import { isClusterUrl } from '../../live/cluster-store.ts'
import { lookAtKernel } from '../../live/ipam-look.ts'
import { type Restored, restoreInto } from '../../live/restore.ts'
import { restoreParts, tryParts } from '../../live/restore-parts.ts'
import { counted } from '../../words.ts'
import { print, storeOption, withStore } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { type Progress, startProgress } from '../progress.ts'
import { type NodeFlags, nodeFlags, thisNode } from '../this-node.ts'

export interface RestoreFlags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly force?: boolean
}

const RESTORE_HELP = `
Everything or nothing. A store that is not empty keeps what it has: what is missing is added, and
where the two contradict each other nothing is done. What the store would look like is checked
first, on a node against its kernel, too: pods that live here and are not in the backup are a
reason to stop, because their addresses would be given again.

More than some 30 000 records are first restored into a copy aside, which takes as much disk, and
then in parts. Should that be broken off, trivium ipam check says so: no address of those blocks is
given before the same command has been run again. Into a cluster (--store etcd://...) come networks,
nodes, blocks and reservations; pods and their addresses come from their nodes.

Stop the node's agent first when the store was lost: trivium agent rebuilds it from the kernel.

Examples:
  trivium ipam restore /var/backups/trivium.backup --dry-run
  trivium ipam restore /var/backups/trivium.backup --yes

Exit status:
  0  the store has all of the backup
  1  conflicts, or the store would be wrong: nothing was changed; or an error, which says so
  2  the file or the options are of no use
`

export function restoreCommand(): Command {
  const command = new Command('restore')
    .argument('<file>', 'what trivium ipam backup wrote; - for standard input')
    .description('bring the records of a backup back')
    .option('--dry-run', 'show what would be done, and the conflicts')
    .option('--force', 'also where check would find something wrong, but never a duplicate')
    .addOption(storeOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .addHelpText('after', RESTORE_HELP)
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((file: string, flags: RestoreFlags) => restoreFile(file, 'backup', flags))
}

/** Larger ones, in characters, are restored in parts: about 30 000 records. */
const AT_ONCE_MAX = 8_000_000
/** etcd takes 1.4 MB of one transaction, keys twice. */
const CLUSTER_AT_ONCE_MAX = 400_000

/** Reads the file, shows what would be done, asks and does it. */
export async function restoreFile(
  path: string,
  kind: ImageKind,
  flags: RestoreFlags,
): Promise<void> {
  const progress = startProgress()
  const atOnceMax = isClusterUrl(flags.store) ? CLUSTER_AT_ONCE_MAX : AT_ONCE_MAX
  let file: ImageFile | undefined
  try {
    file = openImageFile(path, atOnceMax, (part) => progress.tell(`reading ${path}`, part))
    mustBe(file, kind)
    if (file.image === undefined) await restoreLarge(file, flags, progress)
    else await restoreSmall(file.image, flags, progress)
  } finally {
    progress.end()
    file?.close()
  }
}

/** In one transaction. */
async function restoreSmall(image: Image, flags: RestoreFlags, progress: Progress): Promise<void> {
  const work = (dryRun: boolean): Promise<Restored> => {
    progress.tell(`${dryRun ? 'trying' : 'restoring'} ${counted(image.pairs.size, 'record')}`)
    return restoreOnce(image, flags, dryRun)
  }
  if (flags.dryRun === true || flags.yes !== true) {
    const trial = await work(true)
    progress.end()
    if (!(await isWanted(trial, image, flags))) return
  }
  const restored = await work(false)
  progress.end()
  tellRestored(restored, flags, false)
}

/** In parts, tried aside as a whole before. */
async function restoreLarge(
  file: ImageFile,
  flags: RestoreFlags,
  progress: Progress,
): Promise<void> {
  const { force = false } = flags
  const path = /^lmdb:(.+)$/.exec(flags.store)?.[1]
  await withStoreIfAny(flags.store, async (store) => {
    const node = thisNode(flags)
    const look =
      node === undefined ? undefined : await withLook(store, (some) => lookAtKernel(some, node))
    const target = { store, path, isCluster: isClusterUrl(flags.store) }
    const options = { look, nowMs: Date.now(), force, progress: progress.tell }
    const trial = await tryParts(target, file, options)
    try {
      progress.end()
      if (isRefused(trial)) return tellRestored(trial, flags, true)
      if (!(await isWanted(trial, file, flags))) return
      const { store: known } = target
      const report = known === undefined ? trial : await inPlace(known)
      if (known === undefined) trial.place()
      progress.end()
      tellRestored({ ...trial, ...report }, flags, false)
    } finally {
      trial.drop()
    }

    function inPlace(known: Store): Promise<RestoreReport> {
      return restoreParts({ ...target, store: known }, file, options)
    }
  })
}

/** A kernel is looked at with what a store says of its node, or with nothing. */
const withLook = <T>(store: Store | undefined, work: (store: Store) => T): Promise<T> | T =>
  store === undefined ? withStore('memory:', work) : work(store)

async function withStoreIfAny(
  url: string,
  work: (store: Store | undefined) => Promise<void>,
): Promise<void> {
  let opened = false
  try {
    await withStore(url, (store) => {
      opened = true
      return work(store)
    })
  } catch (thrown) {
    if (opened || !isTriviumError(thrown) || thrown.code !== 'NOT_FOUND') throw thrown
    if (isClusterUrl(url)) await withStore(url, work, { mustExist: false })
    else await work(undefined)
  }
}

/** Shows what was tried, and asks. */
async function isWanted(
  trial: Restored,
  { header }: { readonly header: ImageHeader },
  flags: RestoreFlags,
): Promise<boolean> {
  if (flags.dryRun === true || isRefused(trial)) {
    tellRestored(trial, flags, true)
    return false
  }
  if (flags.yes === true) return true
  process.stderr.write(renderRows(rowsOf(trial), ADDED, 'text', ''))
  const when = new Date(header.madeMs).toISOString()
  if (await confirm(`Restore what was written at ${when}?`, flags.yes)) return true
  process.stderr.write('nothing was changed\n')
  process.exitCode = 1
  return false
}

function mustBe({ header }: { readonly header: ImageHeader }, kind: ImageKind): void {
  if (header.trivium === kind) return
  const verb = header.trivium === 'backup' ? 'restore' : 'import'
  throw new TriviumError(
    'USAGE',
    `Cannot read the file: it is of trivium ipam ${header.trivium}, wanted ${kind}`,
    `Use: trivium ipam ${verb} FILE`,
  )
}

async function restoreOnce(image: Image, flags: RestoreFlags, dryRun: boolean): Promise<Restored> {
  const node = thisNode(flags)
  const { force = false } = flags
  const isCluster = isClusterUrl(flags.store)
  const work = (store: Store): Promise<Restored> => {
    const look = node === undefined ? undefined : lookAtKernel(store, node)
    return restoreInto(store, image, { look, nowMs: Date.now(), force, dryRun, isCluster })
  }
  try {
    return await withStore(flags.store, work, { mustExist: dryRun })
  } catch (thrown) {
    // A trial makes no store.
    if (dryRun && isTriviumError(thrown) && thrown.code === 'NOT_FOUND') {
      return withStore('memory:', work)
    }
    throw thrown
  }
}

const isRefused = ({ conflicts, stopping }: Restored): boolean =>
  conflicts.length > 0 || stopping.length > 0

interface AddedRow {
  readonly what: string
  readonly added: number
}

const ADDED: readonly Column<AddedRow>[] = [
  { title: 'WHAT', value: ({ what }) => what },
  { title: 'ADDED', value: ({ added }) => added },
]

const rowsOf = ({ added }: Restored): readonly AddedRow[] =>
  Object.entries(added).map(([what, count]) => ({ what, added: count }))

const CONFLICTS: readonly Column<RestoreConflict>[] = [
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'IN THE STORE', value: ({ found }) => found },
  { title: 'IN THE FILE', value: ({ wanted }) => wanted },
]

const STOPPING: readonly Column<IpamFinding>[] = [
  { title: 'PROBLEM', value: ({ code }) => code },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'FOUND', value: ({ found }) => found },
  { title: 'WANTED', value: ({ wanted }) => wanted, wide: true },
]

function tellRestored(restored: Restored, { output, store }: RestoreFlags, dryRun: boolean): void {
  const { conflicts, stopping, findings, present, ended } = restored
  if (isRefused(restored)) {
    print(
      conflicts.length > 0
        ? renderRows(conflicts, CONFLICTS, output, '')
        : renderRows(stopping, STOPPING, output, ''),
    )
    const why =
      conflicts.length > 0
        ? counted(conflicts.length, 'conflict')
        : `${counted(stopping.length, 'finding')} that would be there afterwards`
    process.stderr.write(`nothing was changed: ${why}\n`)
    process.exitCode = 1
    return
  }
  print(renderRows(rowsOf(restored), ADDED, output, ''))
  const notes = [
    ...(present === 0 ? [] : [`${counted(present, 'attachment')} here already`]),
    ...(ended === 0 ? [] : [`${counted(ended, 'attachment')} ended since, left out`]),
    ...(findings.length === 0
      ? []
      : [`${counted(findings.length, 'finding')} of trivium ipam check`]),
    ...(isClusterUrl(store) ? ['addresses and pods are left to their nodes'] : []),
    ...(dryRun ? ['nothing was changed'] : []),
  ]
  if (notes.length > 0) process.stderr.write(`${notes.join('; ')}\n`)
}
