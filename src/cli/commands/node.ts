/**
 * `trivium node`: the nodes and what they own.
 *
 * @module
 */
import { Command } from 'commander'
import { keys } from '../../../ipam/keys.ts'
import { releaseNode } from '../../../ipam/mod.ts'
import type { NodeRecord } from '../../../ipam/records.ts'
import type { Reader } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { transact } from '../../live/transact.ts'
import { print, storeOption, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

export function nodeCommand(): Command {
  return new Command('node')
    .description('show and delete nodes')
    .addCommand(showCommand())
    .addCommand(deleteCommand())
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
      await withStore(options.store, (store) =>
        transact(store, (tx) => {
          if (tx.get(keys.node(name)) === undefined) {
            throw new TriviumError(
              'NOT_FOUND',
              `Cannot delete node ${name}: the store does not know it`,
            )
          }
          const pods = [...tx.range(keys.attachments(name))].length
          if (pods > 0 && options.force !== true) {
            throw new TriviumError(
              'CONFLICT',
              `Cannot delete node ${name}: it holds ${pods} pods`,
              'Delete them first, or add --force if the machine is gone',
            )
          }
          releaseNode(tx, name)
        }),
      )
      print(`node ${name}: deleted\n`)
    })
}
