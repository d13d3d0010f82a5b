/**
 * `trivium sim replay`: what a real cluster did, in each mode.
 *
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { collect, whole } from '../common.ts'
import { hasRoom } from '../sim-memory.ts'
import { otherSeedsRunner, type ReportFlags, simulate, withReportOptions } from '../sim-report.ts'

const HELP = `
TRACE is one of these; its first characters say which:
  at_ms,action,pod,node    CSV, a row for each pod that came (add) or went (remove); network may be a fifth
                           column, nodes have any names, an empty one leaves the choice to the scheduler
  {"kind": "List", ...     kubectl get pods -A -o json: the pods that there are, in the order of their creation
  {"trivium": "backup"     trivium ipam backup FILE, or export: the pods of a network an hour ago, and every one
                           that came and went since then, by the history of addresses

Nodes, racks, pools, rate and length are the trace's, where it says them; otherwise racks of 40 nodes
and 10.0.0.0/8. Switches are trident3-default. What is longer than an hour is played faster, so that it is one.

Examples:
  kubectl get pods -A -o json > pods.json && trivium sim replay pods.json
  trivium ipam backup store.backup && trivium sim replay store.backup --html replay.html
  trivium sim replay store.backup --last 15m --network pods
  trivium sim replay trace.csv --racks 8 --switch tomahawk-default --speed 10
  trivium sim replay trace.csv --mode vxlan --mode route-32 --seeds 1 -o json
  trivium sim replay trace.csv --nodes 200 --pool 10.42.0.0/16:26

Exit status:
  0  ran, and every checker passed; a table that overflows is a finding, not a failure
  1  a checker failed
  2  the trace or the command line makes no sense
`

/** What one run of the exact engine may hold. */
const NODES_MAX = 2000
const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

interface Flags extends ReportFlags {
  readonly mode?: readonly string[]
  readonly nodes?: number
  readonly racks?: number
  readonly pool?: readonly string[]
  readonly switch?: string
  readonly speed?: number
  readonly rate?: number
  readonly network?: string
  readonly last?: number
}

export function simReplayCommand(): Command {
  const command = new Command('replay')
    .argument('<trace>', 'file of what a real cluster did')
    .description('a recorded trace through every mode, side by side')
    .option(
      '--mode <name>',
      'only this one, repeatable; as trivium sim compare names them',
      collect,
    )
    .option('--nodes <number>', "as many or more than the trace's", whole(1, NODES_MAX))
    .option('--racks <number>', "in place of the trace's", whole(1, 1000))
    .option(
      '--pool <cidr>',
      "in place of the trace's: CIDR[:BLOCK] or NETWORK=CIDR, repeatable",
      collect,
    )
    .option('--switch <profile>', 'what every switch is; see trivium sim profiles')
    .option('--speed <factor>', 'so many times as fast', whole(1, 10_000))
    .option('--rate <number>', 'first pods a second', whole(1, 1_000_000))
    .option('--network <name>', 'of a store: this one, not the one with the most pods')
    .option('--last <time>', 'of a store: so long before it was written, like 15m or 2h', duration)
  return withReportOptions(command)
    .addHelpText('after', HELP)
    .action((file: string, flags: Flags) => replay(file, flags))
}

async function replay(file: string, given: Flags): Promise<void> {
  const { mode, nodes, racks, pool, speed, rate, network, seed, last, ...report } = given
  const { replayFile } = await import('../../../simulator/main.ts')
  await simulate((terminal) =>
    replayFile({
      ...report,
      ...(mode && { modes: mode.flatMap((names) => names.split(',')) }),
      file,
      flags: {
        ...{ nodes, racks, pool, speed, rate, network, seed },
        ...{ switch: given.switch, lastMs: last },
      },
      command: ['trivium', ...process.argv.slice(2)].join(' '),
      runTasks: otherSeedsRunner(given),
      mayUse: (bytes) => hasRoom(`replay of ${file}`, bytes, given.yes === true),
      ...terminal,
    }),
  )
}

function duration(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const ms = Number(digits) * (UNITS[unit] ?? Number.NaN)
  if (ms > 0) return ms
  throw new InvalidArgumentError(`found ${text}, wanted a time like 90s, 15m, 2h or 1d`)
}
