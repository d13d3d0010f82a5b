/**
 * `trivium ipam split`, `merge` and `resize`.
 *
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { applyPools, type Obstacle, type PoolsPlan } from '../../../ipam/rearrange/plan.ts'
import { planMerge, planResize, planSplit } from '../../../ipam/rearrange/requests.ts'
import type { Pool } from '../../../ipam/records.ts'
import type { Reader } from '../../../ipam/store.ts'
import { isCluster } from '../../live/cluster-store.ts'
import { transact } from '../../live/transact.ts'
import { type Prefix, parsePrefix } from '../../net/mod.ts'
import { counted } from '../../words.ts'
import { print, storeOption, withShared } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Flags {
  readonly store: string
  readonly output: OutputFormat
  readonly dryRun?: boolean
  readonly yes?: boolean
}

const ABOUT = `
One transaction under living pods, without a lock: every address keeps its pod, every block its
node. What is in the way is listed, and then nothing is changed. Pods that ask for a pool by its
old prefix (annotation) are refused from then on.
`

const EXIT = `
Exit status:
  0  done
  1  something is in the way, or the answer was no: nothing was changed
`

const command = (name: string, description: string, examples: readonly string[]): Command => {
  const lines = examples.map((example) => `  trivium ipam ${example}\n`).join('')
  return new Command(name)
    .description(description)
    .option('--dry-run', 'show what would be done, and what is in the way')
    .addOption(storeOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .addHelpText('after', `${ABOUT}\nExamples:\n${lines}${EXIT}`)
}

export function splitCommand(): Command {
  return command('split', 'cut a pool into equal pools', [
    'split 4 --cidr 10.42.0.0/16',
    'split 2 --cidr 10.42.0.0/16 --dry-run',
  ])
    .argument('<number>', 'into how many: 2, 4, 8 and so on', whole)
    .requiredOption('--cidr <pool>', 'the pool', prefix('--cidr'))
    .action((parts: number, flags: Flags & { readonly cidr: Prefix }) =>
      change(flags, (reader, shared) => planSplit(reader, flags.cidr, parts, Date.now(), shared)),
    )
}

export function mergeCommand(): Command {
  return command('merge', 'make one pool of neighbours with the same settings', [
    'merge 10.42.0.0/17 10.42.128.0/17',
  ])
    .argument('<pool...>', 'pools that fill one prefix together')
    .action((cidrs: readonly string[], flags: Flags) => {
      const pools = cidrs.map((cidr) => parsePrefix(cidr, 'the pool'))
      return change(flags, (reader, shared) => planMerge(reader, pools, Date.now(), shared))
    })
}

export function resizeCommand(): Command {
  return command('resize', 'make a pool larger or smaller, or its blocks', [
    'resize 10.42.0.0/17 10.42.0.0/16',
    'resize 10.42.0.0/16 10.42.0.0/18 --dry-run',
    'resize 10.42.0.0/16 --block-length 27',
  ])
    .argument('<pool>', 'the pool as it is', prefix('the pool'))
    .argument('[cidr]', 'a prefix around it or within it', prefix('the new prefix'))
    .option('--block-length <bits>', 'prefix length of its blocks', whole)
    .action(
      (
        pool: Prefix,
        cidr: Prefix | undefined,
        flags: Flags & { readonly blockLength?: number },
      ) => {
        const { blockLength } = flags
        const wanted = {
          ...(cidr === undefined ? {} : { cidr }),
          ...(blockLength === undefined ? {} : { blockLength }),
        }
        return change(flags, (reader, shared) =>
          planResize(reader, pool, wanted, Date.now(), shared),
        )
      },
    )
}

const prefix =
  (subject: string) =>
  (text: string): Prefix =>
    parsePrefix(text, subject)

function whole(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('wanted a whole number')
}

interface PoolRow {
  readonly cidr: Prefix
  readonly blockLength: number
  readonly network: string
}

const POOLS: readonly Column<PoolRow>[] = [
  { title: 'CIDR', value: ({ cidr }) => cidr },
  { title: 'BLOCKS', value: ({ blockLength }) => `/${blockLength}` },
  { title: 'NETWORK', value: ({ network }) => network },
]

const OBSTACLES: readonly Column<Obstacle>[] = [
  { title: 'IN THE WAY', value: ({ subject }) => subject },
  { title: 'FOUND', value: ({ found }) => found },
  { title: 'WANTED', value: ({ wanted }) => wanted },
]

const rowsOf = ({ network }: PoolsPlan): readonly PoolRow[] =>
  network.pools.map(({ cidr, blockLength }: Pool) => ({ cidr, blockLength, network: network.name }))

function tell({ kept, cut, givenBack, moved }: PoolsPlan): string {
  const words = [
    ...(kept === 0 ? [] : [`${counted(kept, 'block')} as before`]),
    ...(cut === 0 ? [] : [`${counted(cut, 'block')} cut anew, with ${counted(moved, 'address')}`]),
    ...(givenBack === 0 ? [] : [`${counted(givenBack, 'empty block')} given back`]),
  ]
  return words.length === 0 ? 'no block is claimed' : words.join(', ')
}

/** Shows, asks, and does it on what the store says then. */
async function change(
  flags: Flags,
  body: (reader: Reader, inCluster: boolean) => PoolsPlan,
): Promise<void> {
  await withShared(flags.store, async (store) => {
    const plan = (reader: Reader): PoolsPlan => body(reader, isCluster(store))
    const planned = store.read(plan)
    if (isStopped(planned, flags)) return
    if (flags.dryRun === true) {
      print(renderRows(rowsOf(planned), POOLS, flags.output, ''))
      process.stderr.write(`${tell(planned)}; nothing was changed\n`)
      return
    }
    if (flags.yes !== true) {
      process.stderr.write(renderRows(rowsOf(planned), POOLS, 'text', ''))
      if (!(await confirm(`Make these the pools (${tell(planned)})?`, flags.yes))) {
        process.stderr.write('nothing was changed\n')
        process.exitCode = 1
        return
      }
    }
    const done = await transact(store, (tx) => {
      const now = plan(tx)
      if (now.obstacles.length === 0) applyPools(tx, now)
      return now
    })
    if (isStopped(done, flags)) return
    print(renderRows(rowsOf(done), POOLS, flags.output, ''))
    process.stderr.write(`${tell(done)}\n`)
  })
}

function isStopped({ obstacles }: PoolsPlan, { output }: Flags): boolean {
  if (obstacles.length === 0) return false
  print(renderRows(obstacles, OBSTACLES, output, ''))
  process.stderr.write(`nothing was changed: ${counted(obstacles.length, 'obstacle')}\n`)
  process.exitCode = 1
  return true
}
