/**
 * `trivium ipam import`: addresses that another plugin gave become ours.
 *
 * @module
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { parse } from 'yaml'
import { readCalico } from '../../../ipam/import/calico.ts'
import { readKubeSubnets, readSubnetEnv } from '../../../ipam/import/flannel.ts'
import { ENTRIES_MAX, type Foreign } from '../../../ipam/import/foreign.ts'
import {
  type FolderFile,
  HOST_LOCAL_BYTES_MAX,
  readHostLocal,
} from '../../../ipam/import/host-local.ts'
import {
  applyImport,
  type ImportConflict,
  type ImportInto,
  type ImportOperation,
  type ImportPlan,
  planImport,
} from '../../../ipam/import/plan.ts'
import { readWhereabouts } from '../../../ipam/import/whereabouts.ts'
import { keys } from '../../../ipam/keys.ts'
import type { NetworkRecord } from '../../../ipam/records.ts'
import type { Store } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { bootId } from '../../live/boot.ts'
import { transact } from '../../live/transact.ts'
import { counted } from '../../words.ts'
import { DEFAULTS, print, storeOption, withStore } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { mustKnowNode, type NodeFlags, nodeFlags } from '../this-node.ts'
import { restoreFile } from './ipam-restore.ts'

const SOURCES = ['host-local', 'whereabouts', 'calico', 'flannel'] as const
type SourceKind = (typeof SOURCES)[number]

/** `kubectl get -o json` of a large cluster. */
const FILE_BYTES_MAX = 512 * 1024 * 1024
/** Ten seconds of reading. */
const YAML_LENGTH_MAX = 32 * 1024 * 1024

interface Flags extends NodeFlags {
  readonly from?: SourceKind
  readonly network: string
  readonly store: string
  readonly output: OutputFormat
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly force?: boolean
}

const HELP = `
Without --from: a file of trivium ipam export, whose networks become part of this store. With it:
  host-local    its folder of one network, /var/lib/cni/networks/NAME
  whereabouts   kubectl get ippools.whereabouts.cni.cncf.io -A -o json > FILE
  calico        kubectl get ipamblocks.crd.projectcalico.org -o json > FILE
  flannel       /run/flannel/subnet.env, kubectl get nodes -o json > FILE, and host-local's folder

Of another plugin only pods of this node are taken, so import on every node. Give new pods to
trivium-ipam first: the other plugin would go on giving addresses. Nothing is changed at the source.

Examples:
  trivium ipam import pods.export --dry-run
  trivium ipam import --from host-local /var/lib/cni/networks/lan --network lan --dry-run
  trivium ipam import --from flannel /run/flannel/subnet.env /var/lib/cni/networks/cbr0

Exit status:
  0  everything is ours
  1  conflicts: what has none was imported, of an export nothing
`

export function importCommand(): Command {
  const command = new Command('import')
    .argument('<source...>', "a file of trivium ipam export, or the other plugin's files")
    .description('take over the addresses of an export, or those that another plugin gave')
    .addOption(new Option('--from <plugin>', 'who gave them').choices(SOURCES))
    .option(
      '--network <name>',
      'the network of ours that they become part of',
      DEFAULTS.networkName,
    )
    .option('--dry-run', 'show what would be done, and the conflicts')
    .option('--force', 'an export also where check would find something wrong')
    .addOption(storeOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .addHelpText('after', HELP)
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((sources: readonly string[], flags: Flags) => run(sources, flags))
}

interface Row {
  readonly state: 'claim' | 'attach' | 'conflict'
  readonly subject: string
  readonly addresses: string
  readonly why: string
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'STATE', value: ({ state }) => state },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'ADDRESSES', value: ({ addresses }) => addresses },
  { title: 'WHY', value: ({ why }) => why },
]

const rowsOf = ({ operations, conflicts }: ImportPlan): readonly Row[] => [
  ...operations.map(operationRow),
  ...conflicts.map(conflictRow),
]

function operationRow(operation: ImportOperation): Row {
  if (operation.kind === 'claim') {
    return { state: 'claim', subject: `block ${operation.cidr}`, addresses: '', why: '' }
  }
  const { key, ips } = operation
  const subject = `${key.ifname} of container ${key.containerId}`
  return { state: 'attach', subject, addresses: ips.join(' '), why: '' }
}

const conflictRow = ({ subject, found, wanted }: ImportConflict): Row => ({
  state: 'conflict',
  subject,
  addresses: '',
  why: `${found}, wanted ${wanted}`,
})

async function run(sources: readonly string[], flags: Flags): Promise<void> {
  const { from } = flags
  if (from === undefined) {
    const [file, ...more] = sources
    if (file !== undefined && more.length === 0) return restoreFile(file, 'export', flags)
    throw new TriviumError('USAGE', 'Cannot import: wanted one file of an export, or --from PLUGIN')
  }
  const node = mustKnowNode(flags)
  const foreign = joined(sources.map((path) => readSource(path, from)))
  await withStore(flags.store, async (store) => {
    const network = networkOf(store, flags.network)
    const into: ImportInto = { network, node, bootId: bootId(), nowMs: Date.now() }
    const planned = store.read((reader) => planImport(reader, foreign, into))
    const summary = tell(planned)
    if (flags.dryRun === true || planned.operations.length === 0) {
      print(renderRows(rowsOf(planned), COLUMNS, flags.output, summary))
      process.exitCode = planned.conflicts.length === 0 ? 0 : 1
      return
    }
    if (flags.yes !== true) {
      process.stderr.write(renderRows(rowsOf(planned), COLUMNS, 'text', summary))
      if (!(await confirm(`Import (${summary})?`, flags.yes))) {
        process.stderr.write('nothing was changed\n')
        process.exitCode = 1
        return
      }
    }
    const done = await transact(store, (tx) => applyImport(tx, foreign, into))
    print(renderRows(rowsOf(done), COLUMNS, flags.output, tell(done)))
    process.exitCode = done.conflicts.length === 0 ? 0 : 1
  })
}

function tell({ operations, conflicts, present }: ImportPlan): string {
  const attaches = operations.filter(({ kind }) => kind === 'attach').length
  const known = present === 0 ? '' : `, ${present} here already`
  return `${counted(attaches, 'attachment')}, ${counted(conflicts.length, 'conflict')}${known}`
}

function networkOf(store: Store, name: string): NetworkRecord {
  const network = store.read((reader) => reader.get(keys.network(name)))
  if (network !== undefined) return network
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot import into network ${name}: there is none`,
    'Create it with the same pools: trivium network create',
  )
}

const joined = (all: readonly Foreign[]): Foreign => ({
  addresses: all.flatMap(({ addresses }) => addresses),
  blocks: all.flatMap(({ blocks }) => blocks),
  ignored: all.flatMap(({ ignored }) => ignored),
})

/** @throws {TriviumError} BAD_CONFIG */
function readSource(path: string, from: SourceKind): Foreign {
  try {
    if (from === 'host-local' || (from === 'flannel' && statSync(path).isDirectory())) {
      return readHostLocal(readFolder(path))
    }
    if (statSync(path).size > FILE_BYTES_MAX) throw new Error('it is too long')
    const text = readFileSync(path, 'utf8')
    if (from === 'flannel' && /^FLANNEL_/m.test(text)) return readSubnetEnv(text)
    // YAML reads JSON as well; JSON is much quicker.
    const isJson = /^\s*[[{]/.test(text)
    if (!isJson && text.length > YAML_LENGTH_MAX) throw new Error('YAML is too long: use -o json')
    const value: unknown = isJson ? JSON.parse(text) : parse(text)
    const read = { whereabouts: readWhereabouts, calico: readCalico, flannel: readKubeSubnets }
    return read[from](value)
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('BAD_CONFIG', `Cannot read ${path} as ${from}: ${why}`, '', thrown)
  }
}

/** Regular files only, and of each no more than an allocation takes. */
function readFolder(path: string): readonly FolderFile[] {
  const names = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .slice(0, ENTRIES_MAX)
  return names.map(({ name }) => ({ name, text: readStart(join(path, name)) }))
}

function readStart(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(HOST_LOCAL_BYTES_MAX)
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}
