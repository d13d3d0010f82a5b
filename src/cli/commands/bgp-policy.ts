/**
 * `trivium bgp policy test`: what a peer's policy makes of a route, and which rule says so.
 *
 * @module
 */
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import type { Attributes } from '../../bgp/attributes.ts'
import type { LocKind } from '../../bgp/rib/mod.ts'
import { withDefaults } from '../../bgp/speaker/difference.ts'
import { attributesJson } from '../../bgp/speaker/json.ts'
import { configuredPeer, type Trial, type TrialGround, tryRoute } from '../../bgp/speaker/trial.ts'
import { TriviumError } from '../../errors.ts'
import { type Ip, type Prefix, parseIp, parsePrefix } from '../../net/mod.ts'
import { askTrialGround } from '../bgp/ask.ts'
import { hasRoute, type RouteFlags, routeOf, withRouteFlags } from '../bgp/route-text.ts'
import { EXIT, print } from '../common.ts'
import { type OutputFormat, outputOption } from '../output.ts'
import { answering } from '../this-node.ts'

const HELP = `
Without attributes the running speaker's own route of the prefix is tried: as the peer taught it, or with --out
the one in use. With --file the policies are those of the file; the speaker is asked only for its route, and
what its policies make of it now is shown, too. With --file and attributes nothing needs to run.

Exit status: 0 accepted, 1 rejected, 2 there is no answer (no such peer, no route, no speaker).
Several paths of a peer (RFC 7911): 1 if any is rejected. With --file that of the file counts.

Examples:
  trivium bgp policy test 10.10.0.0/16 --peer 192.0.2.2                      what came, and what is made of it
  trivium bgp policy test 10.42.0.0/26 --peer 192.0.2.2 --out                what the peer is told
  trivium bgp policy test 10.10.0.0/16 --peer 192.0.2.2 --file new.yaml      before SIGHUP
  trivium bgp policy test 10.9.0.0/24 --peer 192.0.2.2 --as-path '65002 65010' --community 65001:100 --file new.yaml
`

interface Flags extends RouteFlags {
  readonly socket: string
  readonly output: OutputFormat
  readonly peer: string
  readonly out?: boolean
  readonly in?: boolean
  readonly file?: string
  readonly from?: LocKind
}

export function policyCommand(socket: string): Command {
  const test = new Command('test')
    .argument('<prefix>', 'e.g. 10.10.0.0/16')
    .description('what a policy makes of a route, which rule says so, and what it changes')
    .requiredOption('--peer <address>', 'whose policy')
    .option('--in', 'from the peer (default)')
    .addOption(new Option('--out', 'to the peer').conflicts('in'))
    .option('--file <path>', 'policies of this file in place of the running ones')
    .addOption(
      new Option('--from <kind>', 'with --out: whom the route is from (ebgp)').choices([
        ...['own', 'ebgp', 'ibgp', 'client'],
      ]),
    )
    .option('--socket <path>', "the speaker's socket", socket)
    .addOption(outputOption())
    .addHelpText('after', HELP)
  withRouteFlags(test).action((prefix: string, flags: Flags) =>
    answering(() => testPolicy(prefix, flags)),
  )
  return new Command('policy').description('what policies do').addCommand(test)
}

/** One policy's word on one route. */
interface Answer {
  /** `running`, or the file's name. */
  readonly of: string
  readonly prefix: string
  readonly peer: string
  readonly direction: 'in' | 'out'
  readonly verdict: 'accepted' | 'rejected'
  readonly by: string
  readonly matched: readonly string[]
  readonly before: object
  readonly after?: object
}

async function testPolicy(text: string, flags: Flags): Promise<void> {
  const prefix = parsePrefix(text, 'prefix')
  const address = parseIp(flags.peer, '--peer')
  const filed = flags.file === undefined ? undefined : await groundOf(flags.file, address)
  const isOffline = filed !== undefined && hasRoute(flags)
  const running = isOffline ? undefined : await askTrialGround(flags.socket, prefix, address)
  const ground = filed ?? running
  if (ground === undefined) return
  const routes = hasRoute(flags) ? [madeUp(flags, ground)] : known(prefix, flags, running)
  const answers = routes.flatMap((route) => [
    ...(running === undefined ? [] : [answerOf('running', running, prefix, route)]),
    ...(filed === undefined ? [] : [answerOf(flags.file ?? '', filed, prefix, route)]),
  ])
  print(textOf(answers, flags.output))
  const last = answers.filter(({ of }) => of === (flags.file ?? 'running'))
  if (last.some(({ verdict }) => verdict === 'rejected')) process.exitCode = EXIT.failed
}

async function groundOf(path: string, address: Ip): Promise<TrialGround> {
  const { readSpeakerFile } = await import('../bgp/file.ts')
  const { config } = readSpeakerFile(path)
  const peer = withDefaults(config).find((each) => each.address === address)
  if (peer === undefined) {
    const has = config.peers.map((each) => each.address).slice(0, 10)
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot find peer ${address} in ${path}: it has ${has.join(', ') || 'none'}`,
    )
  }
  return { self: config, peer: configuredPeer(peer, config.asn), received: [] }
}

type Route = Pick<Trial, 'attributes' | 'direction'>

function madeUp(flags: Flags, { peer }: TrialGround): Route {
  const from = flags.from ?? 'ebgp'
  if (flags.out === true) {
    const nextHop = parseIp('0.0.0.0')
    return { attributes: routeOf(flags, { nextHop, asPath: [] }), direction: { from } }
  }
  const asPath = peer.kind === 'ebgp' ? [{ kind: 'sequence', asns: [peer.asn] } as const] : []
  return { attributes: routeOf(flags, { nextHop: peer.address, asPath }), direction: 'in' }
}

/** What the running speaker has of the prefix. */
function known(prefix: Prefix, flags: Flags, ground: TrialGround | undefined): readonly Route[] {
  const { received = [], used } = ground ?? {}
  const say = 'Say one: --as-path, --community, --next-hop, …'
  if (flags.out === true) {
    if (used?.peer === flags.peer) {
      throw new TriviumError(
        'NOT_FOUND',
        `Cannot try ${prefix}: the path in use is from ${flags.peer} itself, which is told no route of its own`,
        say,
      )
    }
    if (used !== undefined) return [{ attributes: used.attributes, direction: { from: used.from } }]
    throw new TriviumError('NOT_FOUND', `Cannot try ${prefix}: no path of it is in use`, say)
  }
  if (received.length > 0) return received.map((attributes) => ({ attributes, direction: 'in' }))
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot try ${prefix}: ${flags.peer} taught no route of it`,
    say,
  )
}

function answerOf(of: string, { self, peer }: TrialGround, prefix: Prefix, route: Route): Answer {
  const { outcome, matched } = tryRoute({ self, peer, prefix, ...route })
  const policy = route.direction === 'in' ? peer.importPolicy : peer.exportPolicy
  const isAccepted = outcome.kind === 'accept'
  const rule = isAccepted
    ? policy === undefined
      ? outcome.rule
      : `policy ${policy.name}, ${outcome.rule}`
    : outcome.reason
  return {
    of,
    prefix,
    peer: peer.address,
    direction: route.direction === 'in' ? 'in' : 'out',
    verdict: isAccepted ? 'accepted' : 'rejected',
    by: rule,
    matched,
    before: shown(route.attributes),
    ...(isAccepted && { after: shown(outcome.attributes) }),
  }
}

/** Before a session nobody knows which address its own end has. */
function shown(attributes: Attributes): object {
  const json = attributesJson(attributes)
  const isUnknown = attributes.nextHop === '0.0.0.0' || attributes.nextHop === '::'
  return isUnknown ? { ...json, nextHop: 'self' } : json
}

function textOf(answers: readonly Answer[], format: OutputFormat): string {
  if (format === 'json') return `${JSON.stringify(answers, undefined, 2)}\n`
  if (format === 'yaml') return stringify(answers)
  return answers.map((answer) => answerText(answer, format === 'wide')).join('\n')
}

/** What stays the same is said only when asked for. */
function answerText(answer: Answer, isWide: boolean): string {
  const { prefix, peer, direction, verdict, by, matched, before, after = {} } = answer
  const way = direction === 'in' ? 'from' : 'to'
  const rows: (readonly [string, string])[] = [['matched', matched.join(', ') || 'no rule']]
  const [was, is] = [Object.entries(before), new Map(Object.entries(after))]
  const names = [...new Set([...was.map(([name]) => name), ...is.keys()])]
  for (const name of names) {
    const [old, now] = [wordsOf(new Map(was).get(name)), wordsOf(is.get(name))]
    if (verdict === 'rejected') rows.push([name, old])
    else if (old !== now) rows.push([name, `${old} -> ${now}`])
    else if (isWide) rows.push([name, old])
  }
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}\n`)
  return `${answer.of}: ${prefix} ${way} ${peer}: ${verdict} by ${by}\n${lines.join('')}`
}

function wordsOf(value: unknown): string {
  if (value === undefined || value === '') return '-'
  return Array.isArray(value) ? value.join(' ') : String(value)
}
