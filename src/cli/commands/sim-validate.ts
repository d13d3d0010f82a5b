/**
 * `trivium sim validate`: is the simulated kernel the real one?
 *
 * @module
 */
import { realpathSync } from 'node:fs'
import { Command } from 'commander'
import { stringify } from 'yaml'
import { VALIDATE_EXCLUDED } from '../../../simulator/validate-rows.ts'
import { collect, EXIT, print, whole } from '../common.ts'
import { type OutputFormat, outputOption, renderTable } from '../output.ts'
import { type ModeResult, type ValidateOptions, validate } from '../validate.ts'
import type { Difference } from '../validate-look.ts'

const HELP = `
Makes throw-away nodes (network namespaces, real agents, the real plugin) and simulated ones
of the same names, does the same to both (agents start and restart, pods come and go, options
change, a link flaps, a tunnel is deleted, a node leaves and comes back), and compares every
table after each batch: the real ones as ip, bridge, nft, sysctl and ethtool tell them.
Nothing is left behind.

Not compared, because the simulated kernel does not model it:
${VALIDATE_EXCLUDED.map((what) => `  ${what}\n`).join('')}
Examples:
  trivium sim validate                              every mode that this kernel can do
  trivium sim validate --mode vxlan --nodes 6       one mode, more nodes
  trivium sim validate --seed 7 -o json             other pods go first; for a program

Exit status:
  0  no difference
  1  a difference; it is listed
  2  the command line makes no sense, or this is not root
`

/** What one machine carries: each node has namespaces and an agent of its own. */
const NODES = { least: 2, most: 40, usual: 4 } as const
const PODS = { least: 1, most: 100, usual: 3 } as const

interface Flags {
  readonly nodes: number
  readonly pods: number
  readonly seed: number
  readonly mode?: readonly string[]
  readonly output: OutputFormat
}

export function simValidateCommand(): Command {
  return new Command('validate')
    .description('hold the simulated kernel to this one: same events, same tables (needs root)')
    .option('--nodes <number>', 'how many', whole(NODES.least, NODES.most), NODES.usual)
    .option('--pods <number>', 'pods a node', whole(PODS.least, PODS.most), PODS.usual)
    .option('--seed <number>', 'order of the pods', whole(0, 2 ** 32 - 1), 1)
    .option(
      '--mode <name>',
      'only this one, repeatable: vxlan, lightweight, crosssubnet, underlay6, route, mixed, vlan, networks',
      collect,
    )
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(run)
}

async function run({ mode = [], output, ...size }: Flags): Promise<void> {
  // The simulator loads only when somebody simulates.
  const simulator = await import('../../../simulator/validate.ts')
  const script = realpathSync(process.argv[1] ?? '')
  const options: ValidateOptions = {
    ...size,
    modes: mode,
    trivium: [process.execPath, ...process.execArgv, script],
    progress: process.stderr.isTTY ? showProgress : () => {},
  }
  const results = await validate(simulator, options)
  if (process.stderr.isTTY) showProgress('')
  print(report(results, options, simulator.VALIDATE_TABLES, output))
  const differs = results.some(({ differences }) => differences.length > 0)
  if (differs) process.exitCode = EXIT.failed
}

function report(
  results: readonly ModeResult[],
  { nodes, pods, seed }: ValidateOptions,
  tables: readonly string[],
  output: OutputFormat,
): string {
  if (output === 'json')
    return `${JSON.stringify({ seed, nodes, pods, modes: results }, null, 2)}\n`
  if (output === 'yaml') return stringify({ seed, nodes, pods, modes: results })
  const checked = results.filter(({ skipped }) => skipped === undefined)
  const differences = checked.flatMap((result) => result.differences)
  return [
    `seed ${seed}  nodes ${nodes}  pods ${pods} a node\n\n`,
    output === 'wide' ? longTable(checked, tables) : wideTable(checked, tables),
    ...results.flatMap(({ mode, skipped }) =>
      skipped === undefined ? [] : [`${mode}: skipped, ${skipped}\n`],
    ),
    ...checked.flatMap(({ mode, leftOut }) => leftOut.map((what) => `${mode}: without ${what}\n`)),
    ...[...new Set(checked.flatMap(({ unread }) => unread))].map(
      (table) => `${table}: not compared, no program here shows them\n`,
    ),
    ...checked.flatMap(differenceLines),
    `\n${sumOf(checked.flatMap(({ rows }) => Object.values(rows)))} rows compared, ${differences.length} differences\n`,
  ].join('')
}

/** A line a mode: rows compared in each table. */
function wideTable(results: readonly ModeResult[], tables: readonly string[]): string {
  return renderTable(results, [
    { title: 'MODE', value: ({ mode }) => mode },
    { title: 'BATCHES', value: ({ batches }) => batches },
    { title: 'EVENTS', value: ({ events }) => events },
    { title: 'NAMESPACES', value: ({ comparisons }) => comparisons },
    ...tables.map((table) => ({
      title: table.toUpperCase(),
      value: ({ rows }: ModeResult) => rows[table] ?? 0,
    })),
    { title: 'DIFFERENCES', value: ({ differences }) => differences.length },
  ])
}

/** A line a mode and table. */
function longTable(results: readonly ModeResult[], tables: readonly string[]): string {
  const lines = results.flatMap((result) => tables.map((table) => ({ result, table })))
  return renderTable(lines, [
    { title: 'MODE', value: ({ result }) => result.mode },
    { title: 'TABLE', value: ({ table }) => table },
    { title: 'ROWS', value: ({ result, table }) => result.rows[table] ?? 0 },
    {
      title: 'DIFFERENCES',
      value: ({ result, table }) =>
        result.differences.filter((difference) => difference.table === table).length,
    },
  ])
}

/** Most that a person reads; `-o json` has all. */
const LINES_MAX = 40

/** As diff marks them: `-` only the real kernel has it, `+` only the simulated one. */
function differenceLines({ mode, differences }: ModeResult): readonly string[] {
  if (differences.length === 0) return []
  const line = ({ place, table, side, row }: Difference): string =>
    `  ${side === 'real' ? '-' : '+'} ${`${place} ${table}`.trim()}: ${row}\n`
  const more = differences.length - LINES_MAX
  return [
    `\n${mode}, after "${differences[0]?.batch}" (- only the real kernel, + only the simulated one):\n`,
    ...differences.slice(0, LINES_MAX).map(line),
    ...(more > 0 ? [`  … and ${more} more\n`] : []),
  ]
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0)

function showProgress(what: string): void {
  process.stderr.write(`\r\u001b[K${what}`)
}
