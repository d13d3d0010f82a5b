/**
 * `trivium ipam pool`: a network's pools come, change, drain and go.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Command } from 'commander'
import {
  createPool,
  deletePool,
  drainPool,
  editPool,
  type PoolHoldings,
  poolHoldings,
} from '../../../ipam/mod.ts'
import type { Store, Tx } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { isCluster } from '../../live/cluster-store.ts'
import { transact } from '../../live/transact.ts'
import { type Prefix, parsePrefix } from '../../net/mod.ts'
import { counted } from '../../words.ts'
import { DEFAULTS, print, storeOption, withShared } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { POOL_CHANGE_FORM, POOL_FORM, poolChangesOf, poolOf } from '../network-flags.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Flags {
  readonly store: string
  readonly output: OutputFormat
  readonly network: string
}

export function poolCommand(): Command {
  return new Command('pool')
    .description("a network's pools: create, edit, drain, delete; show them: trivium ipam show")
    .addCommand(createCommand())
    .addCommand(editCommand())
    .addCommand(drainCommand())
    .addCommand(deleteCommand())
}

const command = (name: string, what: string, help: string): Command =>
  new Command(name)
    .description(what)
    .option('--network <name>', 'the network it is of', DEFAULTS.networkName)
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', help)

/** A pool after a change, and what is there of it. */
interface Row extends Omit<PoolHoldings, 'pool' | 'nodes'> {
  readonly did: string
  readonly network: string
  readonly cidr: Prefix
  readonly blockLength: number
  readonly gateway?: string
  readonly rack?: string
  /** Who may claim blocks; `nodes` are those that have some. undefined: any node. */
  readonly forNodes?: readonly string[]
  readonly namespaces?: readonly string[]
  readonly floating?: boolean
  readonly draining?: boolean
  readonly nodes: number
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'CIDR', value: ({ cidr }) => cidr },
  { title: 'STATE', value: ({ did, draining }) => (did === 'deleted' ? did : stateOf(draining)) },
  { title: 'BLOCKS', value: ({ blocks }) => blocks },
  { title: 'IPS IN USE', value: ({ addresses }) => addresses },
  { title: 'IPS COOLING', value: ({ cooling }) => cooling, wide: true },
  { title: 'NODES', value: ({ nodes }) => nodes },
  { title: 'BLOCK', value: ({ blockLength }) => `/${blockLength}`, wide: true },
  { title: 'GATEWAY', value: ({ gateway = '-' }) => gateway, wide: true },
  { title: 'RACK', value: ({ rack = 'any' }) => rack, wide: true },
  { title: 'FOR NODES', value: ({ forNodes }) => forNodes?.join('+') ?? 'any', wide: true },
  { title: 'NAMESPACES', value: ({ namespaces }) => namespaces?.join('+') ?? 'any', wide: true },
  { title: 'FLOATING', value: ({ floating }) => (floating === true ? 'yes' : 'no'), wide: true },
  { title: 'NETWORK', value: ({ network }) => network, wide: true },
]

const stateOf = (draining: boolean | undefined): string => (draining === true ? 'draining' : 'open')

const rowOf = (did: string, network: string, { pool, nodes, ...rest }: PoolHoldings): Row => ({
  did,
  network,
  ...pool,
  ...(pool.nodes === undefined ? {} : { forNodes: pool.nodes }),
  ...rest,
  nodes: nodes.length,
})

function tell(row: Row, output: OutputFormat): void {
  print(renderRows([row], COLUMNS, output, ''))
}

/** Makes a change and tells of the pool as it is then. */
async function change(
  { store: url, network, output }: Flags,
  body: (tx: Tx) => { readonly kind: string; readonly pool: { readonly cidr: Prefix } },
): Promise<void> {
  const row = await withShared(url, (store) =>
    transact(store, (tx) => {
      const { kind, pool } = body(tx)
      return rowOf(kind, network, poolHoldings(tx, network, pool.cidr, Date.now()))
    }),
  )
  tell(row, output)
}

const CREATE_HELP = `
Nodes claim blocks of it when the network's other pools of the family are full.

Of a floating one, nodes claim single addresses, for pods that ask for them: by reservation
(trivium ipam reserve), by address, by the pool, or because it is for their namespace. Such an
address moves with its pod from node to node, with its MAC, and peers have a route for it alone.

Examples:
  trivium ipam pool create 10.45.0.0/24 --floating
  trivium ipam pool create 10.43.0.0/16
  trivium ipam pool create 10.44.0.0/20,block=27,rack=r12 --network shops -o json
`

const createCommand = (): Command =>
  command('create', 'add a pool to a network', CREATE_HELP)
    .argument('<pool>', POOL_FORM.replace(', repeatable', ''))
    .option('--floating', 'its addresses move between nodes, one by one')
    .action((text: string, flags: Flags & { readonly floating?: boolean }) => {
      const floating = flags.floating === true ? { floating: true } : {}
      return change(flags, (tx) => createPool(tx, flags.network, { ...poolOf(text), ...floating }))
    })

const EDIT_HELP = `
Changes where new addresses come from; blocks and addresses that somebody has stay theirs.
An empty value takes a setting back. Whether it floats changes only while no node has a block of it
and nothing of it is reserved; the history of its addresses goes with that.

Examples:
  trivium ipam pool edit 10.45.0.0/24 --no-floating
  trivium ipam pool edit 10.43.0.0/16,namespaces=shop+till
  trivium ipam pool edit 10.43.0.0/16,rack=,namespaces= -o yaml
`

const editCommand = (): Command =>
  command('edit', 'change who gets addresses of a pool, or its gateway', EDIT_HELP)
    .argument('<pool>', POOL_CHANGE_FORM)
    .option('--floating', 'its addresses move between nodes, one by one')
    .option('--no-floating', 'nodes have blocks of it')
    .action((text: string, flags: Flags & { readonly floating?: boolean }) => {
      const [cidr, given] = poolChangesOf(text)
      const pool = parsePrefix(cidr, 'the pool')
      const { floating } = flags
      const changes = floating === undefined ? given : { ...given, floating }
      return change(flags, (tx) => editPool(tx, flags.network, pool, changes))
    })

const DRAIN_HELP = `
Pods keep the addresses that they have. As they end, their nodes give the blocks back, and move
their tunnel endpoints to another pool. Pods of a Deployment are best restarted: kubectl rollout.

Examples:
  trivium ipam pool drain 10.42.0.0/16
  trivium ipam pool drain 10.42.0.0/16 --wait 3600   then: trivium ipam pool delete 10.42.0.0/16
  trivium ipam pool drain 10.42.0.0/16 --undo

Exit status:
  1  with --wait: something of it was still in use
`

const drainCommand = (): Command =>
  command('drain', 'give no more addresses of a pool', DRAIN_HELP)
    .argument('<cidr>', 'the pool')
    .option('--undo', 'give addresses of it again')
    .option('--wait <seconds>', 'until nothing of it is in use, at most so long')
    .action(
      async (
        text: string,
        flags: Flags & { readonly undo?: boolean; readonly wait?: string },
      ): Promise<void> => {
        const cidr = parsePrefix(text, 'the pool')
        const waitMs = flags.wait === undefined ? undefined : secondsOf(flags.wait) * 1000
        if (flags.undo === true && waitMs !== undefined) {
          throw new TriviumError('USAGE', 'Cannot drain: wanted one of --undo and --wait')
        }
        const draining = flags.undo !== true
        const drain = (tx: Tx) => drainPool(tx, flags.network, cidr, draining)
        if (waitMs === undefined) return change(flags, drain)
        await withShared(flags.store, async (store) => {
          await transact(store, drain)
          const left = await emptied(store, flags.network, cidr, waitMs)
          tell(rowOf('draining', flags.network, left), flags.output)
          if (left.blocks > 0) process.exitCode = 1
        })
      },
    )

const LOOK_MS = 500

/** What is left of a pool when nothing is, or when the time is over; tells how it goes. */
async function emptied(
  store: Store,
  network: string,
  cidr: Prefix,
  waitMs: number,
): Promise<PoolHoldings> {
  const endMs = performance.now() + waitMs
  let told = ''
  for (;;) {
    const left = store.read((reader) => poolHoldings(reader, network, cidr, Date.now()))
    const words = `${counted(left.addresses, 'address')} in use, ${left.cooling} cooling, ${counted(left.blocks, 'block')} of ${counted(left.nodes.length, 'node')}`
    if (words !== told) process.stderr.write(`${cidr}: ${words}\n`)
    told = words
    if (left.blocks === 0 || performance.now() > endMs) return left
    await pause(LOOK_MS)
  }
}

const DELETE_HELP = `
Refused while a pod has an address of it, a node its tunnel endpoint there, or one is reserved.
Blocks, excluded ranges and the history of its addresses go with it.

Examples:
  trivium ipam pool drain 10.42.0.0/16 --wait 3600 && trivium ipam pool delete 10.42.0.0/16 --yes
`

const deleteCommand = (): Command =>
  command('delete', 'remove a pool that is not used', DELETE_HELP)
    .argument('<cidr>', 'the pool')
    .addOption(yesOption())
    .action(async (text: string, flags: Flags & { readonly yes?: boolean }): Promise<void> => {
      const cidr = parsePrefix(text, 'the pool')
      const { network, output } = flags
      await withShared(flags.store, async (store) => {
        const found = store.read((reader) => poolHoldings(reader, network, cidr, Date.now()))
        if (flags.yes !== true) {
          process.stderr.write(renderRows([rowOf('delete', network, found)], COLUMNS, 'text', ''))
          if (!(await confirm(`Delete pool ${cidr} (${lossWords(found)})?`, flags.yes))) {
            process.stderr.write('nothing was changed\n')
            process.exitCode = 1
            return
          }
        }
        const gone = await transact(store, (tx) => deletePool(tx, network, cidr, isCluster(store)))
        tell(rowOf('deleted', network, gone), output)
      })
    })

const lossWords = ({ blocks, exclusions }: PoolHoldings): string =>
  `${counted(blocks, 'block')} and ${counted(exclusions.length, 'excluded range')} go with it`

function secondsOf(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text)
  throw new TriviumError(
    'USAGE',
    `Cannot read --wait ${JSON.stringify(text.slice(0, 100))}: wanted a whole number of seconds`,
  )
}
