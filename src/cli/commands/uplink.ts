/**
 * `trivium uplink`: this host's link to the others becomes a port of a bridge, and back.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { TriviumError } from '../../errors.ts'
import { doing } from '../../kernel/take-over/plan.ts'
import { renderAct } from '../../kernel/take-over/render.ts'
import { openWays } from '../../live/uplink/perform.ts'
import {
  defaultBridge,
  give,
  type Outcome,
  type Planned,
  plannedGive,
  plannedTake,
  recover,
  type Standing,
  standing,
  take,
  type UplinkOptions,
} from '../../live/uplink/uplink.ts'
import { type Ip, parseIp } from '../../net/mod.ts'
import { collect, DEFAULTS, EXIT, print } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

/** The host is as it was before. */
const ROLLED_BACK = 3
const GUARD_SECONDS = 10
const GUARD_SECONDS_MAX = 600

const HELP = `
The host's link becomes a port of a bridge, and everything that made it the host's moves to the
bridge: addresses, routes of all tables, permanent neighbours, policy rules that name the link,
settings, MAC and MTU. Pods can then sit beside the host. Connections live on.

Before: the gateways of the link's default routes must answer (ARP, neighbour solicitation).
After: they must answer within --guard seconds, or everything goes back. It goes back, too, when
this process dies: a second one waits for that, and the agent looks when it starts.

Examples:
  trivium uplink take eth0 --plan                 what would be done, as iproute2 lines
  trivium uplink take eth0 --bridge br0
  trivium uplink take eth1 --probe 192.0.2.1      no default route there: this one has to answer
  trivium uplink show
  trivium uplink give eth0
  trivium uplink recover                          after a crash: back, or on, by the journal

Exit status:
  0  done
  1  refused, and why; nothing was changed
  2  the command line makes no sense
  3  rolled back: a gateway did not answer, or the kernel refused; the host is as it was
`

interface Flags {
  readonly socket: string
  readonly output: OutputFormat
}

interface WorkFlags extends Flags {
  readonly bridge?: string
  readonly guard: number
  readonly probe?: readonly Ip[]
  readonly plan?: boolean
}

export function uplinkCommand(): Command {
  const command = new Command('uplink')
    .description("take this host's uplink over into a bridge, and give it back")
    .addHelpText('after', HELP)
  command.addCommand(
    work('take', 'the link becomes a port of a bridge that has all it had')
      .option('--bridge <name>', 'the bridge to make (default: br-LINK)')
      .action((link: string, flags: WorkFlags) =>
        carry(flags, (options) => takeNow(options, link, flags)),
      ),
  )
  command.addCommand(
    work('give', 'the link gets back what is on its bridge, and the bridge goes').action(
      (link: string, flags: WorkFlags) => carry(flags, (options) => giveNow(options, link, flags)),
    ),
  )
  command.addCommand(
    plain('recover', 'put right what was left by a process that died')
      .addOption(new Option('--wait', 'wait for whoever is at work').hideHelp())
      .action((flags: Flags & { readonly wait?: boolean }) =>
        carry(flags, (options) => recoverNow(options, flags)),
      ),
  )
  command.addCommand(
    plain('show', 'uplinks that are taken').action((flags: Flags) =>
      carry(flags, async (options) => {
        print(renderRows(standing(options), STANDING, flags.output, 'no uplink is taken'))
      }),
    ),
  )
  return command
}

const plain = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option(
      '--socket <path>',
      "the agent's socket; the journal lies beside it",
      DEFAULTS.socketPath,
    )
    .addOption(outputOption())
    .addHelpText('after', HELP)

const work = (name: string, description: string): Command =>
  plain(name, description)
    .argument('<link>', 'e.g. eth0')
    .addOption(
      new Option('--guard <seconds>', 'how long the gateways may take to answer afterwards')
        .default(GUARD_SECONDS)
        .argParser(seconds),
    )
    .addOption(
      new Option(
        '--probe <address>',
        'who has to answer in place of the gateways; may be repeated',
      ).argParser(
        (value: string, earlier?: readonly Ip[]) =>
          collect(address(value), earlier) as readonly Ip[],
      ),
    )
    .option('--plan', 'print what would be done, and do nothing')

function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= GUARD_SECONDS_MAX) return value
  throw new TriviumError(
    'USAGE',
    `Cannot use --guard ${text}: wanted seconds, up to ${GUARD_SECONDS_MAX}`,
  )
}

function address(text: string): Ip {
  try {
    return parseIp(text)
  } catch {
    throw new TriviumError('USAGE', `Cannot use --probe ${text}: wanted an address`)
  }
}

async function carry(
  flags: Partial<WorkFlags> & Flags,
  run: (options: UplinkOptions) => Promise<void>,
): Promise<void> {
  const ways = openWays()
  try {
    await run({
      ways,
      socketPath: flags.socket,
      guardMs: (flags.guard ?? GUARD_SECONDS) * 1000,
      probes: flags.probe ?? [],
      guardian: [...trivium(), 'uplink', 'recover', '--wait', '--socket', flags.socket],
      isOver: interrupted(),
    })
  } finally {
    ways.close()
  }
}

const trivium = (): readonly string[] => [
  process.execPath,
  ...process.execArgv,
  process.argv[1] ?? '',
]

/** Nobody ends this halfway: who asks for it has it go back. */
function interrupted(): () => boolean {
  let isOver = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      isOver = true
    })
  }
  return () => isOver
}

async function takeNow(options: UplinkOptions, link: string, flags: WorkFlags): Promise<void> {
  const bridge = flags.bridge ?? defaultBridge(link)
  if (flags.plan === true) return printPlan(plannedTake(options, link, bridge, options.probes))
  tell(await take(options, link, bridge), flags)
}

async function giveNow(options: UplinkOptions, link: string, flags: WorkFlags): Promise<void> {
  if (flags.plan === true) return printPlan(plannedGive(options, link, options.probes))
  tell(await give(options, link), flags)
}

function printPlan({ plan, notes }: Planned): void {
  const lines = [...doing(plan), ...plan.commit].flatMap(renderAct)
  print(`${[...notes.map((note) => `# ${note}`), ...lines].join('\n')}\n`)
}

async function recoverNow(
  options: UplinkOptions,
  flags: Flags & { readonly wait?: boolean },
): Promise<void> {
  const found = await recover(options, flags.wait === true)
  print(renderRows(found, OUTCOME, flags.output, 'nothing to recover'))
  if (found.some(({ failures }) => failures !== undefined)) process.exitCode = EXIT.failed
}

function tell(outcome: Outcome, { output }: Flags): void {
  if (output === 'text' || output === 'wide') print(`${sentence(outcome)}\n`)
  else print(renderRows([outcome], OUTCOME, output, ''))
  if (outcome.state === 'rolled-back') process.exitCode = ROLLED_BACK
}

function sentence({
  link,
  bridge,
  state,
  guardedBy,
  reason,
  notes,
  failures = [],
}: Outcome): string {
  const answered = `${guardedBy.join(', ')} ${guardedBy.length > 1 ? 'answer' : 'answers'}`
  const said = {
    taken: `${link} is a port of ${bridge}, which has all it had; ${answered}`,
    given: `${link} has all that ${bridge} had; ${answered}`,
    'rolled-back': `rolled back, all is as before: ${reason ?? ''}`,
    gone: `${bridge} is gone`,
  }[state]
  return [said, ...notes, ...failures].join('\n')
}

const OUTCOME: readonly Column<Outcome>[] = [
  { title: 'LINK', value: ({ link }) => link },
  { title: 'BRIDGE', value: ({ bridge }) => bridge },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'FAILURES', value: ({ failures = [] }) => failures.join('; ') || '-' },
]

const STANDING: readonly Column<Standing>[] = [
  { title: 'LINK', value: ({ link }) => link },
  { title: 'BRIDGE', value: ({ bridge }) => bridge },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'PORTS', value: ({ ports }) => ports.join(' ') || '-' },
]
