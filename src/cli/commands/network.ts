/**
 * `trivium network`: the one truth about modes, pools and options.
 *
 * @module
 */
import { Command } from 'commander'
import { keys } from '../../../ipam/keys.ts'
import { createNetwork, deleteNetwork, parseNetworkSpec, setNetwork } from '../../../ipam/mod.ts'
import type { Mode, NetworkRecord } from '../../../ipam/records.ts'
import { TriviumError } from '../../errors.ts'
import { transact } from '../../live/transact.ts'
import { collect, DEFAULTS, print, storeOption, withStore } from '../common.ts'
import { type NetworkFlags, networkFlags, optionsOf, specOf } from '../network-flags.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface CreateOptions extends NetworkFlags {
  readonly mode: string
  readonly pool: readonly string[]
  readonly store: string
}

export function networkCommand(): Command {
  return new Command('network')
    .description('create, change, show and delete networks')
    .addCommand(createCommand())
    .addCommand(setCommand())
    .addCommand(showCommand())
    .addCommand(deleteCommand())
}

function createCommand(): Command {
  const command = new Command('create')
    .argument('<name>', 'letters, digits, dots, dashes, underscores')
    .description('create a network')
    .option('--mode <mode>', 'vxlan, route or vlan', DEFAULTS.mode)
    .requiredOption('--pool <cidr>', 'CIDR[,block=LENGTH][,gateway=ADDRESS], repeatable', collect)
    .addOption(storeOption())
  for (const flag of networkFlags()) command.addOption(flag)
  return command
    .addHelpText(
      'after',
      '\nExamples:\n  trivium network create pods --mode vxlan --pool 10.42.0.0/16,block=26 --pool fd42::/48\n  trivium network create racks --mode vlan --vlan 100 --pool 192.0.2.0/24,gateway=192.0.2.1\n',
    )
    .action(async (name: string, options: CreateOptions) => {
      const record = parseNetworkSpec(specOf(name, options.mode, options.pool, options), Date.now())
      const { kind } = await withStore(
        options.store,
        (store) => transact(store, (tx) => createNetwork(tx, record)),
        {},
      )
      print(`network ${name}: ${kind}\n`)
    })
}

function setCommand(): Command {
  const command = new Command('set')
    .argument('<name>', 'an existing network')
    .description('change mode or options; agents follow within a second')
    .option('--mode <mode>', 'vxlan, route or vlan')
    .addOption(storeOption())
  for (const flag of networkFlags()) command.addOption(flag)
  return command
    .addHelpText('after', '\nExample:\n  trivium network set pods --mode route\n')
    .action(async (name: string, options: NetworkFlags & { mode?: string; store: string }) => {
      const { mode } = options
      const change = { ...(mode === undefined ? {} : { mode }), options: optionsOf(options) }
      await withStore(options.store, (store) =>
        transact(store, (tx) => setNetwork(tx, name, change)),
      )
      print(`network ${name}: changed\n`)
    })
}

const COLUMNS: readonly Column<NetworkRecord>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'MODE', value: ({ mode }) => mode },
  { title: 'POOLS', value: ({ pools }) => pools.map(({ cidr }) => cidr).join(' ') },
  { title: 'OPTIONS', value: (network) => optionWords(network) },
  {
    title: 'BLOCKS',
    value: ({ pools }) => pools.map(({ blockLength }) => `/${blockLength}`).join(' '),
    wide: true,
  },
  { title: 'CREATED', value: ({ createdMs }) => new Date(createdMs).toISOString(), wide: true },
]

/** Only what the mode reads. */
function optionWords({ mode, options }: NetworkRecord): string {
  const own: Readonly<Record<Mode, string>> = {
    vxlan: `vni ${options.vni} port ${options.vxlanPort}`,
    route: '-',
    vlan: `vlan ${options.vlanId}`,
  }
  return options.mtuBytes === undefined ? own[mode] : `${own[mode]} mtu ${options.mtuBytes}`
}

function showCommand(): Command {
  return new Command('show')
    .argument('[name]', 'one network (default: all)')
    .description('show networks')
    .addOption(storeOption())
    .addOption(outputOption())
    .action(async (name: string | undefined, options: { store: string; output: OutputFormat }) => {
      const all = await withStore(options.store, (store) =>
        store.read((reader) => [...reader.range(keys.networks)].map(([, network]) => network)),
      )
      const found = all.filter((network) => name === undefined || network.name === name)
      if (name !== undefined && found.length === 0) {
        throw new TriviumError(
          'NOT_FOUND',
          `Cannot show network ${name}: the store has ${all.map((each) => each.name).join(', ') || 'none'}`,
        )
      }
      print(
        renderRows(
          found,
          COLUMNS,
          options.output,
          'no networks; make one with: trivium network create',
        ),
      )
    })
}

function deleteCommand(): Command {
  return new Command('delete')
    .argument('<name>', 'a network without pods')
    .description('delete a network and give its blocks back; refused while pods use it')
    .addOption(storeOption())
    .action(async (name: string, options: { store: string }) => {
      await withStore(options.store, (store) => transact(store, (tx) => deleteNetwork(tx, name)))
      print(`network ${name}: deleted\n`)
    })
}
