/**
 * `trivium ipam backup`, `export` and `restore`, and `import` of an export.
 *
 * @module
 */
import { getHeapStatistics } from 'node:v8'
import { Command } from 'commander'
import {
  type Image,
  type ImageKind,
  type ImagePair,
  networksImage,
  wholeImage,
} from '../../../ipam/backup/image.ts'
import type { RestoreConflict } from '../../../ipam/backup/restore.ts'
import type { IpamFinding } from '../../../ipam/check.ts'
import type { Reader, Store } from '../../../ipam/store.ts'
import { isTriviumError, TriviumError } from '../../errors.ts'
import {
  readImageFile,
  STANDARD,
  type WrittenImage,
  writeImageFile,
} from '../../live/backup-file.ts'
import { lookAtKernel } from '../../live/ipam-look.ts'
import { type Restored, restoreInto } from '../../live/restore.ts'
import { counted } from '../../words.ts'
import { collect, print, storeOption, withStore } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { startProgress } from '../progress.ts'
import { type NodeFlags, nodeFlags, thisNode } from '../this-node.ts'

interface WriteFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly network?: readonly string[]
}

interface WrittenRow extends WrittenImage {
  readonly file: string
}

const WRITTEN: readonly Column<WrittenRow>[] = [
  { title: 'FILE', value: ({ file }) => file },
  { title: 'RECORDS', value: ({ records }) => records },
  { title: 'BYTES', value: ({ bytes }) => bytes },
  { title: 'SHA256', value: ({ sha256 }) => sha256, wide: true },
]

const BACKUP_HELP = `
All of a store in one file (0600): networks, nodes, blocks, addresses, reservations, history and
sequence numbers, as they are at one instant. Pods go on, and so do ADD and DEL. FILE - is
standard output.

Examples:
  trivium ipam backup /var/backups/trivium.backup
  trivium ipam backup - | ssh backups 'cat > n1.backup'
`

export function backupCommand(): Command {
  return new Command('backup')
    .argument('<file>', 'where to write it; - for standard output')
    .description('write all of the store to one file')
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', BACKUP_HELP)
    .action((file: string, flags: WriteFlags) => write(file, 'backup', flags, wholeImage))
}

const EXPORT_HELP = `
Networks with their blocks, addresses, reservations and history, to become part of another store
with: trivium ipam import FILE

Examples:
  trivium ipam export --network pods pods.export
  trivium ipam export --network pods --network lan both.export
`

export function exportCommand(): Command {
  return new Command('export')
    .argument('<file>', 'where to write it; - for standard output')
    .description('write some networks and their addresses to one file')
    .requiredOption('--network <name>', 'which; may be given several times', collect)
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', EXPORT_HELP)
    .action((file: string, flags: WriteFlags) =>
      write(file, 'export', flags, (reader) => networksImage(reader, flags.network ?? [])),
    )
}

async function write(
  file: string,
  kind: ImageKind,
  { store: url, output }: WriteFlags,
  pairsOf: (reader: Reader) => Iterable<ImagePair>,
): Promise<void> {
  const progress = startProgress()
  try {
    const tell = (records: number): void => progress.tell(counted(records, 'record'))
    const written = await withStore(url, (store) =>
      store.read((reader) => writeImageFile(file, kind, Date.now(), pairsOf(reader), tell)),
    )
    progress.end()
    if (file === STANDARD) return
    print(renderRows([{ file, ...written }], WRITTEN, output, ''))
  } finally {
    progress.end()
  }
}

export interface RestoreFlags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly force?: boolean
}

const RESTORE_HELP = `
Everything in one transaction, or nothing. A store that is not empty keeps what it has: what is
missing is added, and where the two contradict each other nothing is done. What the store would
look like is checked first, on a node against its kernel, too: pods that live here and are not in
the backup are a reason to stop, because their addresses would be given again.

Stop the node's agent first when the store was lost: trivium agent rebuilds it from the kernel.

Examples:
  trivium ipam restore /var/backups/trivium.backup --dry-run
  trivium ipam restore /var/backups/trivium.backup --yes

Exit status:
  0  the store has all of the backup
  1  conflicts, or the store would be wrong: nothing was changed
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

/** Reads the file, shows what would be done, asks and does it. */
export async function restoreFile(
  file: string,
  kind: ImageKind,
  flags: RestoreFlags,
): Promise<void> {
  const progress = startProgress()
  try {
    const image = readImageFile(file, (part) => progress.tell(`reading ${file}`, part))
    mustBe(image, kind)
    mustFit(image)
    const tried = flags.dryRun === true || flags.yes !== true
    const work = (dryRun: boolean): Promise<Restored> => {
      progress.tell(`${dryRun ? 'trying' : 'restoring'} ${counted(image.pairs.size, 'record')}`)
      return restoreOnce(image, flags, dryRun)
    }
    if (tried) {
      const trial = await work(true)
      progress.end()
      if (flags.dryRun === true || isRefused(trial)) return tellRestored(trial, flags.output, true)
      process.stderr.write(renderRows(rowsOf(trial), ADDED, 'text', ''))
      if (!(await confirm(`Restore what was written at ${timeOf(image)}?`, flags.yes))) {
        process.stderr.write('nothing was changed\n')
        process.exitCode = 1
        return
      }
    }
    const restored = await work(false)
    progress.end()
    tellRestored(restored, flags.output, false)
  } finally {
    progress.end()
  }
}

const timeOf = ({ header }: Image): string => new Date(header.madeMs).toISOString()

function mustBe({ header }: Image, kind: ImageKind): void {
  if (header.trivium === kind) return
  const verb = header.trivium === 'backup' ? 'restore' : 'import'
  throw new TriviumError(
    'USAGE',
    `Cannot read the file: it is of trivium ipam ${header.trivium}, wanted ${kind}`,
    `Use: trivium ipam ${verb} FILE`,
  )
}

/** Of the file, of the transaction, and of the look at what the store would be; as measured. */
const RECORD_BYTES = 2500

/** @throws {TriviumError} USAGE rather than minutes of collecting garbage, and an end. */
function mustFit({ pairs }: Image): void {
  const limit = getHeapStatistics().heap_size_limit
  const wanted = pairs.size * RECORD_BYTES
  if (wanted <= limit) return
  const [has, wants] = [limit, wanted].map((bytes) => Math.ceil(bytes / 2 ** 20))
  throw new TriviumError(
    'USAGE',
    `Cannot restore ${counted(pairs.size, 'record')}: Node may use ${has} MiB here, wanted ${wants}`,
    `Set NODE_OPTIONS=--max-old-space-size=${wants} and do it again`,
  )
}

async function restoreOnce(image: Image, flags: RestoreFlags, dryRun: boolean): Promise<Restored> {
  const node = thisNode(flags)
  const { force = false } = flags
  const work = (store: Store): Promise<Restored> => {
    const look = node === undefined ? undefined : lookAtKernel(store, node)
    return restoreInto(store, image, { look, nowMs: Date.now(), force, dryRun })
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

function tellRestored(restored: Restored, output: OutputFormat, dryRun: boolean): void {
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
    ...(dryRun ? ['nothing was changed'] : []),
  ]
  if (notes.length > 0) process.stderr.write(`${notes.join('; ')}\n`)
}
