/**
 * `trivium ipam configure`: how a network gives addresses and blocks.
 *
 * @module
 */
import { Command } from 'commander'
import { cooldownMs } from '../../../ipam/cooling.ts'
import { IDLE_SECONDS } from '../../../ipam/idle.ts'
import { keys } from '../../../ipam/keys.ts'
import { type OptionChanges, setNetwork } from '../../../ipam/mod.ts'
import type { NetworkRecord } from '../../../ipam/records.ts'
import type { Reader } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { transact } from '../../live/transact.ts'
import { DEFAULTS, print, storeOption, withShared } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Flags {
  readonly store: string
  readonly output: OutputFormat
  readonly network?: string
  readonly cooldown?: string
  readonly idle?: string
}

const HELP = `
Without a setting: shows what holds. A setting that is not given stays.

  --cooldown SECONDS  how long an address rests before another pod gets it (60)
  --cooldown soft     rather one that still rests than a new block (default)
  --cooldown strict   rather a new block, or a refusal, than one that still rests
  --idle SECONDS      how long a node keeps a block that it has no use for (600)

Examples:
  trivium ipam configure
  trivium ipam configure --cooldown 120
  trivium ipam configure --network shops --cooldown 300,strict --idle 3600 -o json
`

/** What holds in a network, defaults filled in. */
interface Settings {
  readonly network: string
  readonly cooldownSeconds: number
  readonly cooldownStrict: boolean
  readonly idleSeconds: number
}

const COLUMNS: readonly Column<Settings>[] = [
  { title: 'NETWORK', value: ({ network }) => network },
  { title: 'COOLDOWN', value: ({ cooldownSeconds }) => `${cooldownSeconds} s` },
  { title: 'STRICT', value: ({ cooldownStrict }) => (cooldownStrict ? 'yes' : 'no') },
  { title: 'IDLE BLOCKS KEPT', value: ({ idleSeconds }) => `${idleSeconds} s` },
]

const settingsOf = ({ name, options }: NetworkRecord): Settings => ({
  network: name,
  cooldownSeconds: cooldownMs({ options }) / 1000,
  cooldownStrict: options.cooldownStrict === true,
  idleSeconds: options.idleSeconds ?? IDLE_SECONDS,
})

export function configureCommand(): Command {
  return new Command('configure')
    .description('show or change how a network gives addresses and blocks')
    .option('--network <name>', `the network (to show: all; to change: ${DEFAULTS.networkName})`)
    .option('--cooldown <rest>', 'SECONDS, strict, soft, or SECONDS,strict')
    .option('--idle <seconds>', 'how long a node keeps a block that it has no use for')
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (flags: Flags): Promise<void> => {
      const options = { ...cooldownOf(flags.cooldown), ...idleOf(flags.idle) }
      const isQuestion = Object.keys(options).length === 0
      const rows = await withShared(flags.store, async (store) => {
        if (isQuestion) return store.read((reader) => shown(reader, flags.network))
        const name = flags.network ?? DEFAULTS.networkName
        const { network } = await transact(store, (tx) => setNetwork(tx, name, { options }))
        return [settingsOf(network)]
      })
      const none = 'no networks; make one with: trivium network create'
      print(renderRows(rows, COLUMNS, flags.output, none))
    })
}

function shown(reader: Reader, name: string | undefined): readonly Settings[] {
  const all = [...reader.range(keys.networks)].map(([, network]) => network)
  const found = all.filter((network) => name === undefined || network.name === name)
  if (name === undefined || found.length > 0) return found.map(settingsOf)
  const known = all.map((each) => each.name).join(', ') || 'none'
  throw new TriviumError('NOT_FOUND', `Cannot show network ${name}: the store has ${known}`)
}

/** `60`, `strict`, `soft`, `60,strict`: what is not named stays. */
export function cooldownOf(text: string | undefined): OptionChanges {
  if (text === undefined) return {}
  const [, seconds, kind] = /^(?:(\d{1,6})(?:,|$))?(strict|soft)?$/.exec(text) ?? []
  if ((seconds ?? kind) === undefined || text.endsWith(',')) {
    const found = JSON.stringify(text.slice(0, 100))
    const wanted = 'SECONDS, strict, soft, or SECONDS,strict'
    throw new TriviumError('USAGE', `Cannot read --cooldown ${found}: wanted ${wanted}`)
  }
  return {
    ...(seconds === undefined ? {} : { cooldownSeconds: Number(seconds) }),
    ...(kind === undefined ? {} : { cooldownStrict: kind === 'strict' ? true : undefined }),
  }
}

function idleOf(text: string | undefined): OptionChanges {
  if (text === undefined) return {}
  if (/^\d{1,8}$/.test(text)) return { idleSeconds: Number(text) }
  const found = JSON.stringify(text.slice(0, 100))
  throw new TriviumError('USAGE', `Cannot read --idle ${found}: wanted a whole number of seconds`)
}
