/**
 * `trivium agent`: one node's agent in the foreground.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { TriviumError } from '../../errors.ts'
import type { ClusterOptions } from '../../live/cluster-member.ts'
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
  readonly cluster?: string
  readonly lease: number
  readonly clusterTimes?: string
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
      new Option(
        '--cluster <url>',
        'where blocks come from and every node is known: etcd://HOST:PORT[,HOST:PORT]/prefix, etcds://…?ca=FILE&cert=FILE&key=FILE (default: the store alone)',
      ).env('TRIVIUM_CLUSTER'),
    )
    .addOption(
      new Option(
        '--lease <seconds>',
        'how long addresses are given without a word from the cluster',
      )
        .env('TRIVIUM_LEASE')
        .default(DEFAULTS.leaseSeconds)
        .argParser(seconds),
    )
    .addOption(new Option('--cluster-times <json>', 'for tests').hideHelp())
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
        '  trivium agent --node n1 --underlay eth0 --metrics 127.0.0.1:9478\n' +
        '  trivium agent --node n1 --underlay eth0 --cluster etcd://10.0.0.1:2379,10.0.0.2:2379/trivium\n',
    )
    .action(run)
}

async function run(options: AgentOptions): Promise<void> {
  checkName('node name', options.node, 253)
  if (options.rack !== undefined) checkName('rack', options.rack, 63)
  const metrics = options.metrics === undefined ? undefined : parseMetricsAddress(options.metrics)
  const cluster = options.cluster === undefined ? undefined : clusterOf(options, options.cluster)
  const { log, dropped } = openLog(options.logLevel, { node: options.node })
  const node = await startNode({
    node: options.node,
    storeUrl: options.store,
    stateDir: options.stateDir,
    underlay: options.underlay,
    socketPath: options.socket,
    ...(options.rack === undefined ? {} : { rack: options.rack }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(cluster === undefined ? {} : { cluster }),
    log,
    logDropped: dropped,
    trivium: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  })
  node.ready.then(() => log.info({ event: 'ready' }, 'ready'))
  const told = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
  })
  const signal = await Promise.race([told, node.failed]).catch(async (thrown: unknown) => {
    await node.stop()
    throw thrown
  })
  log.info({ event: 'stopping', signal })
  await node.stop()
  log.info({ event: 'stopped' })
}

function clusterOf({ lease, clusterTimes }: AgentOptions, url: string): ClusterOptions {
  const times = clusterTimes === undefined ? {} : { times: JSON.parse(clusterTimes) as object }
  return { url, leaseMs: lease * 1000, ...times }
}

/** A lease shorter than a few signs of life ends between two of them. */
const LEASE_SECONDS_MIN = 10

function seconds(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= LEASE_SECONDS_MIN) return value
  throw new TriviumError(
    'USAGE',
    `Cannot use --lease ${JSON.stringify(text)}: wanted whole seconds, at least ${LEASE_SECONDS_MIN}`,
  )
}

/**
 * Node names become keys of the store, where a slash separates; racks are labels of the same shape.
 *
 * @param lengthMax 253 for a node (RFC 1123 subdomain), 63 for a label.
 */
function checkName(what: string, name: string, lengthMax: number): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) && name.length <= lengthMax) return
  throw new TriviumError(
    'USAGE',
    `Cannot use ${what} ${JSON.stringify(name)}: wanted letters, digits, dots, dashes, at most ${lengthMax}`,
  )
}
