/**
 * `trivium agent`: one node's agent in the foreground.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { TriviumError } from '../../errors.ts'
import { LOG_LEVELS, type LogLevel, openLog } from '../../live/log.ts'
import { parseMetricsAddress } from '../../live/metrics-server.ts'
import { startNode } from '../../live/node.ts'
import { DEFAULTS, storeOption } from '../common.ts'

interface AgentOptions {
  readonly node: string
  readonly store: string
  readonly stateDir: string
  readonly underlay: string
  readonly socket: string
  readonly rack?: string
  readonly metrics?: string
  readonly logLevel: LogLevel
}

export function agentCommand(): Command {
  return new Command('agent')
    .description("run this node's agent in the foreground; SIGTERM ends it, kernel state stays")
    .requiredOption('--node <name>', "this node's name, the same after every restart")
    .requiredOption('--underlay <link>', 'link that reaches the other nodes, e.g. eth0')
    .addOption(storeOption())
    .option('--state-dir <dir>', "this node's own files", DEFAULTS.stateDir)
    .option('--socket <path>', 'where CNI requests arrive', DEFAULTS.socketPath)
    .addOption(
      new Option(
        '--rack <label>',
        'where this node stands: blocks of one rack are placed together, so that its switch can announce few prefixes',
      ).env('TRIVIUM_RACK'),
    )
    .addOption(
      new Option('--log-level <level>', 'least severe log line')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .option(
      '--metrics <where>',
      "serve Prometheus' metrics on ADDRESS:PORT, [IPV6]:PORT or unix:/PATH (default: nowhere)",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  trivium agent --node n1 --underlay eth0 --store lmdb:/var/lib/trivium/store\n' +
        '  trivium agent --node n1 --underlay eth0 --rack r12\n' +
        '  trivium agent --node n1 --underlay eth0 --metrics 127.0.0.1:9478\n',
    )
    .action(run)
}

async function run(options: AgentOptions): Promise<void> {
  checkName('node name', options.node)
  if (options.rack !== undefined) checkName('rack', options.rack)
  const metrics = options.metrics === undefined ? undefined : parseMetricsAddress(options.metrics)
  const { log, dropped } = openLog(options.logLevel, { node: options.node })
  const node = await startNode({
    node: options.node,
    storeUrl: options.store,
    stateDir: options.stateDir,
    underlay: options.underlay,
    socketPath: options.socket,
    ...(options.rack === undefined ? {} : { rack: options.rack }),
    ...(metrics === undefined ? {} : { metrics }),
    log,
    logDropped: dropped,
    trivium: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  })
  node.ready.then(() => log.info({ event: 'ready' }, 'ready'))
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
  })
  log.info({ event: 'stopping', signal })
  await node.stop()
  log.info({ event: 'stopped' })
}

/** Node names become keys of the store, where a slash separates; racks are labels of the same shape. */
function checkName(what: string, name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/.test(name)) return
  throw new TriviumError(
    'USAGE',
    `Cannot use ${what} ${JSON.stringify(name)}: wanted letters, digits, dots, dashes, at most 63`,
  )
}
