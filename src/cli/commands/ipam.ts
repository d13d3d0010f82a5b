/**
 * `trivium ipam`: who has which address.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { type IpState, showIp, showUsage, type UsageRow } from '../../../ipam/mod.ts'
import {
  type NamespaceUsageRow,
  type NodeUsageRow,
  usageByNamespace,
  usageByNode,
} from '../../../ipam/show-by.ts'
import { parseIp } from '../../net/mod.ts'
import { print, storeOption, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { backupCommand, exportCommand } from './ipam-backup.ts'
import { checkCommand, releaseCommand, repairCommand } from './ipam-check.ts'
import { configureCommand } from './ipam-configure.ts'
import { forecastCommand } from './ipam-forecast.ts'
import { importCommand } from './ipam-import.ts'
import { poolCommand } from './ipam-pool.ts'
import { mergeCommand, resizeCommand, splitCommand } from './ipam-rearrange.ts'
import { restoreCommand } from './ipam-restore.ts'
import { historyCommand, reserveCommand, unreserveCommand, whyCommand } from './ipam-rules.ts'

interface ShowOptions {
  readonly store: string
  readonly output: OutputFormat
  readonly showBlocks?: boolean
  readonly network?: string
  readonly ip?: string
  readonly by?: 'node' | 'namespace'
}

export function ipamCommand(): Command {
  return new Command('ipam')
    .description('addresses: pools, blocks and who holds what')
    .addCommand(showCommand())
    .addCommand(forecastCommand())
    .addCommand(checkCommand())
    .addCommand(releaseCommand())
    .addCommand(repairCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(splitCommand())
    .addCommand(mergeCommand())
    .addCommand(resizeCommand())
    .addCommand(reserveCommand())
    .addCommand(unreserveCommand())
    .addCommand(historyCommand())
    .addCommand(whyCommand())
    .addCommand(configureCommand())
    .addCommand(poolCommand())
}

const COLUMNS: readonly Column<UsageRow>[] = [
  { title: 'GROUPING', value: ({ grouping }) => grouping },
  { title: 'CIDR', value: ({ cidr }) => cidr },
  { title: 'IPS TOTAL', value: ({ ipsTotal }) => BigInt(ipsTotal) },
  { title: 'IPS IN USE', value: ({ ipsInUse, percentInUse }) => `${ipsInUse} (${percentInUse}%)` },
  {
    title: 'IPS FREE',
    value: ({ ipsFree, percentInUse }) => `${ipsFree} (${100 - percentInUse}%)`,
  },
  { title: 'IPS COOLING', value: ({ ipsCooling }) => ipsCooling, wide: true },
  { title: 'IPS RESERVED', value: ({ ipsReserved }) => BigInt(ipsReserved), wide: true },
  { title: 'STATE', value: ({ draining, floating }) => stateWords(draining, floating), wide: true },
  { title: 'NODE', value: ({ node }) => node ?? '' },
  { title: 'NETWORK', value: ({ network }) => network, wide: true },
]

const stateWords = (draining = false, floating = false): string =>
  [...(floating ? ['floating'] : []), ...(draining ? ['draining'] : [])].join(', ')

const BY_NODE: readonly Column<NodeUsageRow>[] = [
  { title: 'NODE', value: ({ node }) => node },
  { title: 'BLOCKS', value: ({ blocks }) => blocks },
  { title: 'IPS TOTAL', value: ({ ipsTotal }) => ipsTotal },
  { title: 'IPS IN USE', value: ({ ipsInUse, ipsTotal }) => share(ipsInUse, ipsTotal) },
  { title: 'IPS FREE', value: ({ ipsFree, ipsTotal }) => share(ipsFree, ipsTotal) },
  { title: 'IPS COOLING', value: ({ ipsCooling }) => ipsCooling, wide: true },
  { title: 'RACK', value: ({ rack = '' }) => rack, wide: true },
  { title: 'STATE', value: ({ known }) => (known ? 'here' : 'not registered'), wide: true },
  { title: 'NETWORK', value: ({ network }) => network },
]

const BY_NAMESPACE: readonly Column<NamespaceUsageRow>[] = [
  { title: 'NAMESPACE', value: ({ namespace }) => namespace || '-' },
  { title: 'PODS', value: ({ pods }) => pods },
  { title: 'NODES', value: ({ nodes }) => nodes },
  { title: 'IPS IN USE', value: ({ ipsInUse }) => ipsInUse },
  { title: 'IPS RESERVED', value: ({ ipsReserved }) => ipsReserved },
  { title: 'NETWORK', value: ({ network }) => network },
]

const share = (part: number, all: number): string => `${part} (${Math.round((part / all) * 100)}%)`

const SHOW_HELP = `
Without options: a line a pool. IPS FREE counts cooling and reserved addresses, too, which -o wide
tells apart. No node ever gives an address of another node's block, so none is borrowed.

Examples:
  trivium ipam show
  trivium ipam show --show-blocks -o json
  trivium ipam show --by node
  trivium ipam show --by namespace -o wide
  trivium ipam show --ip 10.42.0.7
`

function showCommand(): Command {
  return new Command('show')
    .description('show how full pools and blocks are, or who holds one address')
    .option('--show-blocks', 'also each block and the node that owns it')
    .option('--network <name>', 'only this network')
    .option('--ip <address>', 'who holds this address')
    .addOption(new Option('--by <what>', 'who uses them').choices(['node', 'namespace']))
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', SHOW_HELP)
    .action(show)
}

async function show({
  store: url,
  output,
  showBlocks,
  network,
  ip,
  by,
}: ShowOptions): Promise<void> {
  if (ip !== undefined) {
    const address = parseIp(ip, '--ip')
    const state = await withStore(url, (store) =>
      store.read((reader) => showIp(reader, address, Date.now())),
    )
    const row = { ip: address, ...state }
    print(
      output === 'text' || output === 'wide'
        ? `${ipSentence(ip, state)}\n`
        : renderRows([row], [], output, ''),
    )
    return
  }
  const nowMs = Date.now()
  if (by !== undefined) {
    const which = { nowMs, ...(network === undefined ? {} : { network }) }
    const text = await withStore(url, (store) =>
      store.read((reader) =>
        by === 'node'
          ? renderRows(usageByNode(reader, which), BY_NODE, output, 'no node has a block')
          : renderRows(usageByNamespace(reader, which), BY_NAMESPACE, output, 'no pod is attached'),
      ),
    )
    print(text)
    return
  }
  const options = {
    blocks: showBlocks === true,
    nowMs,
    ...(network === undefined ? {} : { network }),
  }
  const rows = await withStore(url, (store) => store.read((reader) => showUsage(reader, options)))
  const columns = COLUMNS.filter(({ title }) => title !== 'NODE' || showBlocks === true)
  print(renderRows(rows, columns, output, 'no pools; make a network with: trivium network create'))
}

function ipSentence(ip: string, state: IpState): string {
  switch (state.kind) {
    case 'outside':
      return `IP ${ip} is in no pool`
    case 'unclaimed':
      return `IP ${ip} is free: no node has claimed its block of pool ${state.pool}`
    case 'free':
      return `IP ${ip} is free: block ${state.block} of node ${state.node}`
    case 'cooling':
      return `IP ${ip} is free, and rests since ${new Date(state.sinceMs).toISOString()}: block ${state.block} of node ${state.node}`
    case 'kept':
      return `IP ${ip} is free, but ${state.why}: block ${state.block} of node ${state.node}`
    case 'reserved':
      return `IP ${ip} is never a pod's: ${state.why} (block ${state.block} of node ${state.node})`
    case 'held': {
      const { containerId, ifname, node, pod, addedMs, network } = state.attachment
      const who = pod === undefined ? '' : `pod ${pod.namespace}/${pod.name}, `
      return `IP ${ip} is in use: ${who}container ${containerId} ${ifname} on node ${node}, network ${network}, since ${new Date(addedMs).toISOString()}`
    }
  }
}
