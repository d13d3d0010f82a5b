/**
 * `trivium ipam forecast`.
 *
 * @module
 */
import { Command } from 'commander'
import {
  forecast,
  type Outlook,
  type PoolForecast,
  type Stranded,
  spanText,
} from '../../../ipam/forecast.ts'
import { print, storeOption, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Flags {
  readonly store: string
  readonly output: OutputFormat
  readonly network?: string
  readonly stranded?: boolean
}

const POOLS: readonly Column<PoolForecast>[] = [
  { title: 'CIDR', value: ({ cidr }) => cidr },
  { title: 'IPS USABLE', value: ({ ipsUsable }) => BigInt(ipsUsable) },
  { title: 'IPS IN USE', value: ({ ipsInUse }) => ipsInUse },
  {
    title: 'BLOCKS',
    value: ({ blocksClaimed, blocksTotal }) => `${blocksClaimed} of ${blocksTotal}`,
    wide: true,
  },
  { title: 'STRANDED', value: ({ ipsStranded }) => ipsStranded },
  { title: 'PER DAY', value: ({ outlook }) => rateText(outlook) },
  { title: 'OVER', value: ({ outlook }) => windowText(outlook) },
  { title: 'FULL', value: ({ outlook }) => outlookText(outlook) },
  { title: 'NETWORK', value: ({ network }) => network, wide: true },
]

const STRANDED: readonly Column<Stranded>[] = [
  { title: 'NODE', value: ({ node }) => node },
  { title: 'STATE', value: ({ known }) => (known ? 'here' : 'not registered') },
  { title: 'BLOCKS', value: ({ blocks }) => blocks },
  { title: 'IPS IN USE', value: ({ ipsInUse }) => ipsInUse },
  { title: 'STRANDED', value: ({ ipsStranded }) => ipsStranded },
  { title: 'NETWORK', value: ({ network }) => network },
]

const HELP = `
The rate is the difference between now and a month, a week or a day ago, drawn on as a line: it
knows no weekends and no plans. The longest of them is used that the store remembers whole; with
less than an hour, or fewer than ten changes, there is no forecast.

Stranded are free addresses in blocks of nodes: only pods of that node get them. Blocks of a node
that is not registered come back with: trivium node delete NODE --force

Examples:
  trivium ipam forecast
  trivium ipam forecast --stranded
  trivium ipam forecast -o json
`

export function forecastCommand(): Command {
  return new Command('forecast')
    .description('when each pool is full, and what is stranded where')
    .option('--network <name>', 'only this network')
    .option('--stranded', 'what is stranded, node by node')
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async ({ store: url, output, network, stranded }: Flags) => {
      const found = await withStore(url, (store) =>
        store.read((reader) => forecast(reader, Date.now(), network)),
      )
      print(
        stranded === true
          ? renderRows(found.stranded, STRANDED, output, 'nothing is stranded')
          : renderRows(found.pools, POOLS, output, 'no pools'),
      )
    })
}

const rateText = (outlook: Outlook): string =>
  'perDay' in outlook ? `${outlook.perDay > 0 ? '+' : ''}${rounded(outlook.perDay)}` : '-'

const rounded = (value: number): string =>
  Math.abs(value) < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value))

const windowText = (outlook: Outlook): string =>
  'windowMs' in outlook ? spanText(outlook.windowMs) : '-'

function outlookText(outlook: Outlook): string {
  switch (outlook.kind) {
    case 'full':
      return `now: no ${outlook.why} left`
    case 'grows':
      return `about ${new Date(outlook.fullMs).toISOString().slice(0, 10)}, by ${outlook.by}`
    case 'steady':
      return 'not in sight'
    case 'unknown':
      return `unknown: ${outlook.why}`
  }
}
