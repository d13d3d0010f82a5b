/**
 * `trivium node`: the nodes and what they own.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { expel } from '../../../ipam/cluster/membership.ts'
import { keys } from '../../../ipam/keys.ts'
import { releaseNode } from '../../../ipam/mod.ts'
import type { NodeRecord } from '../../../ipam/records.ts'
import type { Reader, Store, Tx } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { forgetMirror, isCluster, lastSignMs } from '../../live/cluster-store.ts'
import { answerRequest } from '../../live/snapshot-exchange.ts'
import { transact } from '../../live/transact.ts'
import { counted } from '../../words.ts'
import { print, storeOption, withShared, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { mustKnowNode, type NodeFlags, nodeFlags, snapshotHere } from '../this-node.ts'
import { carryCommand } from './node-carry.ts'

export function nodeCommand(): Command {
  return new Command('node')
    .description('show and delete nodes, take a snapshot of this one')
    .addCommand(showCommand())
    .addCommand(snapshotCommand())
    .addCommand(deleteCommand())
    .addCommand(carryCommand(), { hidden: true })
}

interface NodeRow extends NodeRecord {
  readonly blocks: number
  readonly attachments: number
}

const COLUMNS: readonly Column<NodeRow>[] = [
  { title: 'NAME', value: ({ name }) => name },
  {
    title: 'UNDERLAY',
    value: ({ underlayLink, underlayIps }) => `${underlayLink} ${underlayIps.join(' ')}`,
  },
  { title: 'BLOCKS', value: ({ blocks }) => blocks },
  { title: 'PODS', value: ({ attachments }) => attachments },
  { title: 'RACK', value: ({ rack = '-' }) => rack, wide: true },
  { title: 'MTU', value: ({ underlayMtuBytes }) => underlayMtuBytes, wide: true },
  { title: 'VTEP MAC', value: ({ vtepMac }) => vtepMac, wide: true },
  {
    title: 'REGISTERED',
    value: ({ registeredMs }) => new Date(registeredMs).toISOString(),
    wide: true,
  },
]

function nodeRows(reader: Reader): readonly NodeRow[] {
  const networks = [...reader.range(keys.networks)].map(([, { name }]) => name)
  return [...reader.range(keys.nodes)].map(([, node]) => ({
    ...node,
    blocks: networks.reduce(
      (sum, name) => sum + [...reader.range(keys.uses(node.name, name))].length,
      0,
    ),
    attachments: [...reader.range(keys.attachments(node.name))].length,
  }))
}

function showCommand(): Command {
  return new Command('show')
    .argument('[name]', 'one node (default: all)')
    .description('show nodes, how they are reached and how much they hold')
    .addOption(storeOption())
    .addOption(outputOption())
    .action(async (name: string | undefined, options: { store: string; output: OutputFormat }) => {
      const rows = await withStore(options.store, (store) => store.read(nodeRows))
      const found = rows.filter((row) => name === undefined || row.name === name)
      if (name !== undefined && found.length === 0) {
        throw new TriviumError(
          'NOT_FOUND',
          `Cannot show node ${name}: the store has ${rows.map((row) => row.name).join(', ') || 'none'}`,
        )
      }
      print(
        renderRows(
          found,
          COLUMNS,
          options.output,
          'no nodes; an agent registers its own: trivium agent',
        ),
      )
    })
}

interface SnapshotFlags extends NodeFlags {
  readonly store: string
  readonly output: 'json'
  readonly answer?: string
}

function snapshotCommand(): Command {
  const command = new Command('snapshot')
    .description("what this node's kernel and its pods hold, for trivium explain elsewhere")
    .addOption(storeOption())
    .addOption(new Option('-o, --output <format>', 'json').choices(['json']).default('json'))
    .addOption(new Option('--answer <id>', 'put it into the store for whoever asked').hideHelp())
    .addHelpText(
      'after',
      '\nExample:\n  trivium node snapshot > n2.json      then: trivium explain A B --snapshot n2.json\n',
    )
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action(async (flags: SnapshotFlags) => {
    const node = mustKnowNode(flags)
    await withStore(flags.store, async (store) => {
      if (flags.answer !== undefined) return answerRequest(store, node, flags.answer)
      print(`${JSON.stringify(snapshotHere(store, node))}\n`)
    })
  })
}

function deleteCommand(): Command {
  return new Command('delete')
    .argument('<name>', 'a node that will not come back')
    .description('forget a node and take its blocks and addresses back')
    .option('--force', 'do it even though the node still holds pods')
    .addOption(storeOption())
    .addHelpText(
      'after',
      '\nA node that is still alive would go on using its addresses: stop its agent and its pods first.\n',
    )
    .action(async (name: string, options: { store: string; force?: boolean }) => {
      await withShared(options.store, async (store) => {
        await transact(store, (tx) => deleteNode(tx, name, options.force === true, store))
        await forgetMirror(store, name)
      })
      print(`node ${name}: deleted\n`)
    })
}

function deleteNode(tx: Tx, name: string, force: boolean, store: Store): void {
  const inCluster = isCluster(store)
  if (tx.get(keys.node(name)) === undefined) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot delete node ${name}: the store does not know it`,
      'Show those it knows: trivium node show',
    )
  }
  const pods = [...tx.range(keys.attachments(name))].length
  if (!force && (pods > 0 || inCluster)) {
    const holds = pods > 0 ? `it holds ${counted(pods, 'pod')}` : 'it may hold pods'
    const found = `${holds}${signWords(lastSignMs(store, name))}`
    throw new TriviumError(
      'CONFLICT',
      `Cannot delete node ${name}: ${found}`,
      inCluster
        ? 'Add --force once the machine is gone: if it is only cut off, its agent gives addresses until its lease ends, and its pods keep theirs'
        : 'Delete them first, or add --force if the machine is gone',
    )
  }
  if (inCluster) expel(tx, name)
  else releaseNode(tx, name, Date.now())
}

/** Why it may be alive: whoever adds --force should know. */
const signWords = (sinceMs: number | undefined): string =>
  sinceMs === undefined
    ? ''
    : `, and its last sign of life is of ${new Date(sinceMs).toISOString()} by its own clock`
