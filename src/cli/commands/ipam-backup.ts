/**
 * `trivium ipam backup` and `export`.
 *
 * @module
 */
import { Command } from 'commander'
import {
  type ImageKind,
  type ImagePair,
  networksImage,
  wholeImage,
} from '../../../ipam/backup/image.ts'
import type { Reader } from '../../../ipam/store.ts'
import { STANDARD, type WrittenImage, writeImageFile } from '../../live/backup-file.ts'
import { counted } from '../../words.ts'
import { collect, print, storeOption, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { startProgress } from '../progress.ts'

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
