/**
 * `trivium network set`: another mode or other options under living pods, and
 * what that does on every node.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { keys } from '../../../ipam/keys.ts'
import { type NetworkSettings, setNetwork } from '../../../ipam/mod.ts'
import type { Reader } from '../../../ipam/store.ts'
import { type NodeSwitch, planSwitch } from '../../backend/switch.ts'
import { readView } from '../../cluster/read-view.ts'
import { commandsOf } from '../../kernel/mod.ts'
import { transact } from '../../live/transact.ts'
import { print, storeOption, withShared } from '../common.ts'
import { type NetworkFlags, networkFlags, optionsOf } from '../network-flags.ts'
import { type OutputFormat, outputOption, renderRows } from '../output.ts'

const HELP = `
Pods keep addresses and connections through any change between and within vxlan and route: each node
opens the new road, goes over to it towards those that have it, and closes the old one when nobody sends
by it. A node whose agent is away stays reachable by the old one; trivium network show names it. What was
interrupted goes on; until all have followed, only the way back is allowed. Refused where a node's
net.ipv4.conf.all.rp_filter is 1. To and from vlan and ipam pods' links are others: refused while pods
are attached, which are named.

Examples:
  trivium network set pods --mode route --plan       what each node would do, as commands; nothing is changed
  trivium network set pods --mode route
  trivium network set pods --flavour lightweight --cross-subnet
`

interface SetOptions extends NetworkFlags {
  readonly mode?: string
  readonly plan?: boolean
  readonly store: string
  readonly output: OutputFormat
}

export function setCommand(): Command {
  const command = new Command('set')
    .argument('<name>', 'an existing network')
    .description('change mode or options under living pods; agents follow within a second')
    .option('--mode <mode>', 'vxlan, route, vlan or ipam')
    .addOption(new Option('--plan', "print every node's operations, and change nothing"))
    .addOption(storeOption())
    .addOption(outputOption())
  for (const flag of networkFlags()) command.addOption(flag)
  return command.addHelpText('after', HELP).action(async (name: string, options: SetOptions) => {
    const { mode, output } = options
    const change = { ...(mode === undefined ? {} : { mode }), options: optionsOf(options) }
    if (options.plan === true) {
      const rows = await withShared(options.store, (store) =>
        store.read((reader) => switchOf(reader, name, change).map(planRow)),
      )
      print(
        output === 'json' || output === 'yaml' ? renderRows(rows, [], output, '') : planText(rows),
      )
      return
    }
    await withShared(options.store, (store) =>
      transact(store, (tx) => setNetwork(tx, name, change)),
    )
    print(`network ${name}: changed\n`)
  })
}

/** What `setNetwork` would bring about, with its refusals. */
function switchOf(reader: Reader, name: string, change: NetworkSettings): readonly NodeSwitch[] {
  const { network } = setNetwork({ ...reader, put() {}, remove() {} }, name, change)
  const views = [...reader.range(keys.nodes)].flatMap(([, node]) => {
    const view = readView(reader, node.name)
    return view === undefined ? [] : [view]
  })
  return planSwitch(views, network)
}

interface PlanRow {
  readonly node: string
  /** In the words of iproute2, nft and sysctl; each step when all nodes have done the one before. */
  readonly steps: readonly (readonly string[])[]
  readonly problems: readonly string[]
}

const planRow = ({ node, steps, problems }: NodeSwitch): PlanRow => ({
  node,
  steps: steps.map((ops) => ops.flatMap(commandsOf)),
  problems,
})

/** What is no command is a comment. */
function planText(rows: readonly PlanRow[]): string {
  const parts = rows.map(({ node, steps, problems }) => {
    const lines = steps.flatMap((commands, at) => [
      ...(at === 0 ? [] : ['# when every node has come this far:']),
      ...commands,
    ])
    const none = lines.length === 0 ? ['# nothing'] : []
    const told = problems.map((each) => `# problem: ${each}`)
    return [`# node ${node}`, ...lines, ...none, ...told].map((line) => `${line}\n`).join('')
  })
  return parts.length === 0 ? '# no node is registered\n' : parts.join('\n')
}
