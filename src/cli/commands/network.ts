/**
 * `trivium network`: the one truth about modes, pools and options.
 *
 * @module
 */
import { Command } from 'commander'
import { keys } from '../../../ipam/keys.ts'
import {
  allowNetwork,
  createNetwork,
  deleteNetwork,
  denyNetwork,
  parseNetworkSpec,
} from '../../../ipam/mod.ts'
import { notYetMoved } from '../../../ipam/moves.ts'
import type { AllowedPort, AllowRecord, Mode, NetworkRecord } from '../../../ipam/records.ts'
import type { Reader } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { isCluster } from '../../live/cluster-store.ts'
import { transact } from '../../live/transact.ts'
import { collect, DEFAULTS, print, storeOption, withShared, withStore } from '../common.ts'
import {
  allowedPort,
  type NetworkFlags,
  networkFlags,
  POOL_FORM,
  specOf,
} from '../network-flags.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { setCommand } from './network-set.ts'

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
    .addCommand(allowCommand())
    .addCommand(denyCommand())
    .addCommand(allowedCommand())
}

function createCommand(): Command {
  const command = new Command('create')
    .argument('<name>', 'letters, digits, dots, dashes, underscores')
    .description('create a network')
    .option('--mode <mode>', 'vxlan, route, vlan or ipam', DEFAULTS.mode)
    .requiredOption('--pool <cidr>', POOL_FORM, collect)
    .addOption(storeOption())
  for (const flag of networkFlags()) command.addOption(flag)
  return command
    .addHelpText(
      'after',
      '\nExamples:\n  trivium network create pods --mode vxlan --pool 10.42.0.0/16,block=26 --pool fd42::/48\n  trivium network create racks --mode vlan --vlan 100 --pool 192.0.2.0/24,gateway=192.0.2.1\n  trivium network create floor --mode vlan --vlan 0 --attachment macvlan --pool 198.51.100.0/24\n  trivium network create lan --mode ipam --pool 198.51.100.0/24,gateway=198.51.100.1,block=28\n  trivium network create shops --pool 10.43.0.0/16,namespaces=shop+till --pool 10.44.0.0/16\n',
    )
    .action(async (name: string, options: CreateOptions) => {
      const record = parseNetworkSpec(specOf(name, options.mode, options.pool, options), Date.now())
      const { kind } = await withShared(
        options.store,
        (store) => transact(store, (tx) => createNetwork(tx, record)),
        {},
      )
      print(`network ${name}: ${kind}\n`)
    })
}

interface NetworkRow extends NetworkRecord {
  /** Nodes that have not followed the last change of its road. */
  readonly notYet?: readonly string[]
}

function networksShown(reader: Reader): readonly NetworkRow[] {
  const nodes = [...reader.range(keys.nodes)].map(([, node]) => node)
  return [...reader.range(keys.networks)].map(([, network]) => {
    const notYet = notYetMoved(network, nodes)
    return notYet.length === 0 ? network : { ...network, notYet }
  })
}

const COLUMNS: readonly Column<NetworkRow>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'MODE', value: ({ mode }) => mode },
  { title: 'POOLS', value: ({ pools }) => pools.map(({ cidr }) => cidr).join(' ') },
  {
    title: 'OPTIONS',
    value: ({ notYet = [], ...network }) =>
      optionWords(network) + (notYet.length === 0 ? '' : `; not yet on ${notYet.join(', ')}`),
  },
  {
    title: 'BLOCKS',
    value: ({ pools }) => pools.map(({ blockLength }) => `/${blockLength}`).join(' '),
    wide: true,
  },
  { title: 'NAMESPACES', value: ({ pools }) => namespaceWords(pools), wide: true },
  { title: 'CREATED', value: ({ createdMs }) => new Date(createdMs).toISOString(), wide: true },
]

/** Which namespaces each pool is for; `any` where none is named. */
const namespaceWords = (pools: NetworkRecord['pools']): string =>
  pools.map(({ namespaces }) => namespaces?.join('+') ?? 'any').join(' ')

/** Only what the mode reads. */
function optionWords({ mode, options }: NetworkRecord): string {
  const own: Readonly<Record<Mode, string>> = {
    vxlan: [
      options.flavour === 'lightweight' ? 'lightweight ' : '',
      `vni ${options.vni} port ${options.vxlanPort}`,
      options.crossSubnet === true ? ' cross-subnet' : '',
      options.conflictProbe === true ? ' conflict-probe' : '',
      options.checksumOffload === false ? ' checksum-offload off' : '',
    ].join(''),
    route: options.peerRoutes === 'bgp' ? 'bgp' : '-',
    vlan: [
      options.vlanId === 0 ? 'untagged' : `vlan ${options.vlanId}`,
      options.attachment === 'macvlan' ? ' macvlan' : '',
      options.conflictProbe === true ? ' conflict-probe' : '',
    ].join(''),
    ipam: '-',
  }
  const words = [own[mode]]
  if (mode !== 'vlan' && mode !== 'ipam' && options.masquerade === false)
    words.push('no-masquerade')
  if (options.mtuBytes !== undefined) words.push(`mtu ${options.mtuBytes}`)
  return words.join(' ').replace(/^- /, '')
}

function showCommand(): Command {
  return new Command('show')
    .argument('[name]', 'one network (default: all)')
    .description('show networks')
    .addOption(storeOption())
    .addOption(outputOption())
    .action(async (name: string | undefined, options: { store: string; output: OutputFormat }) => {
      const all = await withStore(options.store, (store) => store.read(networksShown))
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
      await withShared(options.store, (store) =>
        transact(store, (tx) => deleteNetwork(tx, name, isCluster(store))),
      )
      print(`network ${name}: deleted\n`)
    })
}

function allowCommand(): Command {
  return new Command('allow')
    .argument('<from>', 'network whose pods open connections')
    .argument('<to>', 'network that they may reach')
    .description('open one network to another; without this, networks are closed to each other')
    .option('--port <port>', 'tcp/PORT, udp/PORT or sctp/PORT, repeatable (default: all)', collect)
    .addOption(storeOption())
    .addHelpText(
      'after',
      '\nAnswers pass; connections the other way need an opening of their own.\n\nExamples:\n  trivium network allow web db --port tcp/5432\n  trivium network allow monitoring web\n',
    )
    .action(
      async (
        from: string,
        to: string,
        options: { readonly port?: readonly string[]; readonly store: string },
      ) => {
        const ports = (options.port ?? []).map(allowedPort)
        await withShared(options.store, (store) =>
          transact(store, (tx) => allowNetwork(tx, from, to, ports, Date.now())),
        )
        print(`network ${to}: open to ${from}${portWords(ports, ' on ')}\n`)
      },
    )
}

function denyCommand(): Command {
  return new Command('deny')
    .argument('<from>', 'network')
    .argument('<to>', 'network')
    .description('take an opening back; connections under way go on')
    .addOption(storeOption())
    .addHelpText('after', '\nExample:\n  trivium network deny web db\n')
    .action(async (from: string, to: string, options: { readonly store: string }) => {
      await withShared(options.store, (store) => transact(store, (tx) => denyNetwork(tx, from, to)))
      print(`network ${to}: closed to ${from}\n`)
    })
}

const ALLOW_COLUMNS: readonly Column<AllowRecord>[] = [
  { title: 'FROM', value: ({ from }) => from },
  { title: 'TO', value: ({ to }) => to },
  { title: 'PORTS', value: ({ ports }) => portWords(ports, '') || 'all' },
  { title: 'SINCE', value: ({ createdMs }) => new Date(createdMs).toISOString(), wide: true },
]

const portWords = (ports: readonly AllowedPort[], before: string): string =>
  ports.length === 0
    ? ''
    : before + ports.map(({ protocol, port }) => `${protocol}/${port}`).join(' ')

function allowedCommand(): Command {
  return new Command('allowed')
    .description('show openings between networks')
    .addOption(storeOption())
    .addOption(outputOption())
    .action(async (options: { readonly store: string; readonly output: OutputFormat }) => {
      const rows = await withStore(options.store, (store) =>
        store.read((reader) => [...reader.range(keys.allows)].map(([, allow]) => allow)),
      )
      const none = 'networks are closed to each other; open one with: trivium network allow'
      print(renderRows(rows, ALLOW_COLUMNS, options.output, none))
    })
}
