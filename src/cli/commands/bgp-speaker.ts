/**
 * `trivium bgp run`: a speaker alone in the foreground; and what people ask a speaker.
 *
 * @module
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Argument, Command, Option } from 'commander'
import type { PeerJson, RouteJson } from '../../bgp/speaker/json.ts'
import { asTriviumError } from '../../errors.ts'
import { LOG_LEVELS, type Logger, type LogLevel, openLog } from '../../live/log.ts'
import { collectRows, rowsFrom } from '../bgp/ask.ts'
import { print } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { HELP } from './bgp-help.ts'
import { policyCommand } from './bgp-policy.ts'

const SOCKET = '/run/trivium/bgp.sock'

interface Flags {
  readonly socket: string
  readonly output: OutputFormat
}

export function bgpSpeakerCommands(): readonly Command[] {
  return [runCommand(), ...questions(), policyCommand(SOCKET), dumpCommand()]
}

function runCommand(): Command {
  return new Command('run')
    .description(
      'run the speaker of a file; SIGHUP reads it again, SIGTERM ends every session with a Cease, SIGUSR1 ends without a word so that peers keep the routes (RFC 4724)',
    )
    .argument('<file>', 'YAML or JSON')
    .option('--socket <path>', 'where questions are answered', SOCKET)
    .option('--restarting', 'the routes of an earlier run are still in the kernel (RFC 4724)')
    .option(
      '--record <file>',
      'write down everything that the speaker is told, to replay it (src/bgp/speaker/recorder.ts); passwords are in it',
    )
    .option(
      '--mrt <file>',
      'append the UPDATEs of peers and the states of sessions as MRT (RFC 6396, BGP4MP); SIGHUP opens the file anew',
    )
    .addOption(
      new Option('--log-level <level>', 'least severe log line')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .action(run)
    .addHelpText('after', HELP.run)
}

function questions(): readonly Command[] {
  return [
    asking('peers', 'sessions, and what came over them').action((flags: Flags) =>
      showRows(flags, { ask: 'peers' }, PEER_COLUMNS, 'no peers'),
    ),
    asking('routes', 'best routes')
      .addArgument(new Argument('[family]').choices(['ipv4', 'ipv6']).default('ipv4'))
      .option('--within <prefix>', 'only those inside of it')
      .option('--from <peer>', "only this peer's, or `own`")
      .action((family: string, flags: Flags & { within?: string; from?: string }) => {
        const { within, from } = flags
        const question = { ask: 'routes', family, ...(within && { within }), ...(from && { from }) }
        return showRows(flags, question, ROUTE_COLUMNS, 'no routes')
      }),
    asking('show', 'every path of a prefix, and why it lost')
      .argument('<prefix>')
      .option('--to <peer>', 'instead, what this peer is told of it, and by which rule')
      .action((prefix: string, flags: Flags & { to?: string }) =>
        flags.to === undefined
          ? showRows(flags, { ask: 'show', prefix }, PATH_COLUMNS, () =>
              coveredBy(flags.socket, prefix),
            )
          : showRows(flags, { ask: 'export', prefix, peer: flags.to }, TOLD_COLUMNS, 'nothing'),
      ),
    asking('reset', 'end a session, or say things again without ending it')
      .argument('<peer>', "the peer's address")
      .addOption(
        new Option(
          '--soft <how>',
          'in: apply the import policy again; out: tell the peer everything again; refresh: ask it for everything again',
        ).choices(['in', 'out', 'refresh']),
      )
      .option('--text <words>', 'said to the peer when the session ends (RFC 9003)')
      .action(async (peer: string, flags: Flags & { soft?: string; text?: string }) => {
        const { soft = 'hard', text } = flags
        await collectRows(flags.socket, { ask: 'reset', peer, how: soft, ...(text && { text }) })
      }),
  ]
}

function dumpCommand(): Command {
  return new Command('dump')
    .description('write the table as MRT (RFC 6396, TABLE_DUMP_V2), for bgpdump and others')
    .argument('<file>', 'a new one')
    .option('--socket <path>', "the speaker's socket", SOCKET)
    .addHelpText('after', HELP.dump)
    .action(async (file: string, { socket }: Flags) => {
      const rows = rowsFrom(socket, { ask: 'dump' })
      async function* octets(): AsyncGenerator<Buffer> {
        for await (const row of rows) yield Buffer.from((row as { mrt: string }).mrt, 'base64')
      }
      const handle = await open(file, 'wx', 0o600)
      try {
        await pipeline(octets(), handle.createWriteStream())
      } catch (thrown) {
        // Half a table is none, and the next dump wants the name.
        await rm(file, { force: true })
        throw thrown
      }
    })
}

const asking = (name: 'peers' | 'routes' | 'show' | 'reset', description: string): Command =>
  new Command(name)
    .description(description)
    .addHelpText('after', HELP[name])
    .option('--socket <path>', "the speaker's socket", SOCKET)
    .addOption(outputOption())

async function showRows<Row>(
  { socket, output }: Flags,
  question: Readonly<Record<string, unknown>>,
  columns: readonly Column<Row>[],
  whenEmpty: string | (() => Promise<string>),
): Promise<void> {
  const rows = (await collectRows(socket, question)) as readonly Row[]
  const isTable = output === 'text' || output === 'wide'
  const isAsked = isTable && rows.length === 0 && typeof whenEmpty === 'function'
  const words = isAsked ? await whenEmpty() : String(whenEmpty)
  print(renderRows(rows, columns, output, words))
}

/** What a prefix without a path of its own is covered by. */
async function coveredBy(socket: string, prefix: string): Promise<string> {
  const [row] = await collectRows(socket, { ask: 'covering', prefix })
  const around = (row as { readonly prefix: string } | undefined)?.prefix
  return around === undefined
    ? `no path of ${prefix}, nor of a prefix around it`
    : `no path of ${prefix}; the longest prefix around it is ${around}: trivium bgp show ${around}`
}

const PEER_COLUMNS: readonly Column<PeerJson>[] = [
  { title: 'PEER', value: ({ address }) => address },
  { title: 'AS', value: ({ asn }) => asn },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'FOR', value: ({ seconds }) => durationText(seconds) },
  { title: 'PATHS', value: ({ families }) => families.reduce((sum, { paths }) => sum + paths, 0) },
  { title: 'UPDATES IN', value: ({ updatesIn }) => updatesIn, wide: true },
  { title: 'UPDATES OUT', value: ({ updatesOut }) => updatesOut, wide: true },
  { title: 'PROBLEMS', value: ({ problems }) => problems },
  { title: 'DESCRIPTION', value: ({ description = '' }) => description, wide: true },
  { title: 'LAST ERROR', value: ({ lastError = '' }) => lastError },
]

const ROUTE_COLUMNS: readonly Column<RouteJson>[] = [
  { title: 'PREFIX', value: ({ prefix }) => prefix },
  { title: 'NEXT HOP', value: ({ nextHop }) => nextHop },
  { title: 'FROM', value: ({ from }) => from },
  { title: 'LOCAL PREF', value: ({ localPref = '' }) => localPref, wide: true },
  { title: 'MED', value: ({ med = '' }) => med, wide: true },
  { title: 'COMMUNITIES', value: ({ communities = [] }) => communities.join(' '), wide: true },
  { title: 'AS PATH', value: ({ asPath }) => asPath },
]

const PATH_COLUMNS: readonly Column<RouteJson & { readonly standing: string }>[] = [
  { title: 'FROM', value: ({ from }) => from },
  ...ROUTE_COLUMNS.filter(({ title }) => !['PREFIX', 'FROM'].includes(title)),
  { title: 'STANDING', value: ({ standing }) => standing },
]

const TOLD_COLUMNS: readonly Column<
  Partial<RouteJson> & { readonly to: string; readonly standing: string }
>[] = [
  { title: 'TO', value: ({ to }) => to },
  { title: 'NEXT HOP', value: ({ nextHop = '' }) => nextHop },
  { title: 'MED', value: ({ med = '' }) => med, wide: true },
  { title: 'COMMUNITIES', value: ({ communities = [] }) => communities.join(' '), wide: true },
  { title: 'AS PATH', value: ({ asPath = '' }) => asPath },
  { title: 'STANDING', value: ({ standing }) => standing },
]

/** The two largest units. */
function durationText(seconds: number): string {
  const parts = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24]
  const rest = [Math.floor(seconds / 60) % 60, seconds % 60]
  const all = [...parts, ...rest].map((count, at) => `${count}${'dhms'[at]}`)
  const first = [...parts, ...rest].findIndex((count) => count > 0)
  return first < 0 ? '0s' : all.slice(first, first + 2).join('')
}

interface RunFlags {
  readonly socket: string
  readonly restarting?: boolean
  readonly record?: string
  readonly mrt?: string
  readonly logLevel: LogLevel
}

/** What it takes is loaded only here: no other command needs it. */
async function run(path: string, flags: RunFlags): Promise<void> {
  const { readSpeakerFile } = await import('../bgp/file.ts')
  const { startAlone } = await import('../../live/bgp/alone.ts')
  const file = readSpeakerFile(path)
  const { log } = openLog(flags.logLevel)
  const recording =
    flags.record === undefined
      ? undefined
      : createWriteStream(flags.record, { flags: 'wx', mode: 0o600 })
  recording?.on('error', ({ message }) => log.error({ event: 'record', error: message }))
  const mrt = flags.mrt === undefined ? undefined : appendTo(flags.mrt, log)
  const running = await startAlone({
    ...file,
    log,
    socketPath: flags.socket,
    isRestarting: flags.restarting ?? false,
    ...(recording && { record: (bytes) => void recording.write(bytes) }),
    ...(mrt && { writeMrt: mrt.write }),
  })
  process.on('SIGHUP', () => {
    mrt?.reopen()
    reload(log, () => running.speaker.configure(readSpeakerFile(path).config))
  })
  log.info({ event: 'ready', peers: file.config.peers.length }, 'ready')
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT', 'SIGUSR1'] as const) {
      process.once(name, () => resolve(name))
    }
  })
  log.info({ event: 'stopping', signal })
  await running.stop(signal === 'SIGUSR1')
  if (recording !== undefined) await new Promise<void>((done) => recording.end(done))
  await mrt?.end()
  log.info({ event: 'stopped' })
}

/** A file with a mistake changes nothing. */
function reload(log: Logger, act: () => void): void {
  try {
    act()
    log.info({ event: 'reloaded' }, 'the file was read again')
  } catch (thrown) {
    log.error({ event: 'reload', error: asTriviumError(thrown).message }, 'nothing was changed')
  }
}

/** A file that grows; after `reopen` the one that has the name then. */
function appendTo(path: string, log: Logger) {
  const open = (): WriteStream => {
    const stream = createWriteStream(path, { flags: 'a', mode: 0o600 })
    stream.on('error', ({ message }) => log.error({ event: 'mrt', error: message }))
    return stream
  }
  let stream = open()
  return {
    write: (bytes: Uint8Array) => void stream.write(bytes),
    reopen(): void {
      stream.end()
      stream = open()
    },
    end: () =>
      new Promise<void>((done) => {
        // Also of one that could not be opened.
        if (stream.destroyed) done()
        else stream.end(() => done())
      }),
  }
}
