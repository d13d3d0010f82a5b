/**
 * `trivium explain`: why A cannot reach B.
 *
 * @module
 */
import { readFileSync, statSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { AllowedPort } from '../../../ipam/records.ts'
import type { Reader, Store } from '../../../ipam/store.ts'
import { readView } from '../../cluster/read-view.ts'
import type { ClusterView } from '../../cluster/view.ts'
import { TriviumError } from '../../errors.ts'
import {
  type Endpoint,
  type Explanation,
  endpointOf,
  explain,
  type NodeSnapshot,
  parseSnapshot,
  renderExplanation,
  SNAPSHOT_BYTES_MAX,
  type Verdict,
} from '../../explain/mod.ts'
import { askForSnapshot } from '../../live/snapshot-exchange.ts'
import { collect, print, storeOption, withStore } from '../common.ts'
import { type OutputFormat, outputOption, renderRows } from '../output.ts'
import { answering, type NodeFlags, nodeFlags, snapshotHere, thisNode } from '../this-node.ts'

const STATUS: Readonly<Record<Verdict, number>> = { reachable: 0, broken: 1, unknown: 3 }
const WAIT_MS = 3000

const HELP = `
A and B: NAMESPACE/NAME of a pod, an address, a node, or the beginning of a container id.
The packet's way is walked there and back, in each family that both have, over what the
store asks for and what both kernels hold: this node's own, and the other's, which its
agent sends through the store.

Examples:
  trivium explain default/web default/db             the path with the fault, hop by hop
  trivium explain default/web default/db -o wide     every path
  trivium explain 10.42.0.5 10.42.1.7 -o json        for a program
  trivium explain default/web n2 --packet tcp/80     a port, where networks are opened by port
  trivium explain default/web n2 --packet udp/8472 --vni 1   VXLAN that the pod makes itself
  trivium node snapshot > n2.json                    on n2, where its agent does not answer
  trivium explain default/web default/db --snapshot n2.json

Exit status:
  0  reachable, by all that was seen of both sides
  1  broken: the first object that breaks it is named
  2  no answer: the command line makes no sense, nobody is called A or B, no store
  3  unknown: nothing seen is broken, but a side was not seen, or something may drop it
`

interface ExplainFlags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly snapshot?: readonly string[]
  readonly packet?: AllowedPort
  readonly vni?: number
  readonly wait: number
}

export function explainCommand(): Command {
  const command = new Command('explain')
    .argument('<a>', 'where the packet starts')
    .argument('<b>', 'where it should arrive')
    .description('why A cannot reach B: hop by hop, the first broken object, and its repair')
    .option('--packet <protocol/port>', 'ask about tcp/80, udp/53, …', parsePort)
    .option('--vni <id>', 'with --packet udp/PORT: VXLAN of this id that A makes itself', parseVni)
    .option('--snapshot <file>', "a node's snapshot, - for standard input; repeatable", collect)
    .addOption(
      new Option('--wait <ms>', "how long to wait for the other node's agent")
        .argParser(parseWait)
        .default(WAIT_MS),
    )
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', HELP)
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((a: string, b: string, flags: ExplainFlags) =>
    answering(() => run(a, b, flags)),
  )
}

async function run(a: string, b: string, flags: ExplainFlags): Promise<void> {
  if (flags.vni !== undefined && flags.packet?.protocol !== 'udp') {
    throw new TriviumError(
      'USAGE',
      'Cannot ask about --vni: VXLAN is UDP, wanted --packet udp/PORT with it',
    )
  }
  const given = (flags.snapshot ?? []).map(readSnapshot)
  const explanation = await withStore(flags.store, (store) => ask(store, a, b, flags, given))
  const { output } = flags
  const isText = output === 'text' || output === 'wide'
  print(
    isText
      ? renderExplanation(explanation, output === 'wide')
      : renderRows([explanation], [], output, ''),
  )
  process.exitCode = STATUS[explanation.verdict]
}

async function ask(
  store: Store,
  a: string,
  b: string,
  flags: ExplainFlags,
  given: readonly NodeSnapshot[],
): Promise<Explanation> {
  const { from, to, views } = store.read((reader) => {
    const [from, to] = [endpointOf(reader, a), endpointOf(reader, b)]
    return { from, to, views: viewsOf(reader, [from, to]) }
  })
  const containerIds = [from, to].flatMap((end) =>
    end.kind === 'pod' ? [end.attachment.containerId] : [],
  )
  const snapshots = new Map(given.map((snapshot) => [snapshot.node, snapshot]))
  const missing = [...views.keys()].filter((name) => !snapshots.has(name))
  const here = thisNode(flags)
  const silent = new Map<string, string>()
  await Promise.all(
    missing.map(async (name) => {
      if (name === here) {
        snapshots.set(name, snapshotHere(store, name, new Set(containerIds)))
        return
      }
      const answer = await askForSnapshot(store, name, containerIds, flags.wait)
      if (answer.kind === 'seen') snapshots.set(name, answer.snapshot)
      else silent.set(name, answer.reason)
    }),
  )
  const { packet, vni } = flags
  const asked = { ...(packet !== undefined && { port: packet }), ...(vni !== undefined && { vni }) }
  return explain({ from, to, views, snapshots, silent, ...asked })
}

function viewsOf(reader: Reader, ends: readonly Endpoint[]): ReadonlyMap<string, ClusterView> {
  const views = new Map<string, ClusterView>()
  for (const end of ends) {
    if (end.kind === 'outside') continue
    const name = end.kind === 'pod' ? end.attachment.node : end.node
    const view = readView(reader, name)
    if (view !== undefined) views.set(name, view)
  }
  return views
}

const STDIN = 0

function readSnapshot(path: string): NodeSnapshot {
  const source = path === '-' ? 'standard input' : path
  const bytes = path === '-' ? 0 : statSync(path).size
  if (bytes > SNAPSHOT_BYTES_MAX) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot read snapshot ${source}: it has ${bytes} bytes, wanted at most ${SNAPSHOT_BYTES_MAX}`,
      'Take it with: trivium node snapshot',
    )
  }
  return parseSnapshot(readFileSync(path === '-' ? STDIN : path, 'utf8'), source)
}

function parsePort(text: string): AllowedPort {
  const found = /^(tcp|udp|sctp)\/(\d{1,5})$/.exec(text)
  const port = Number(found?.[2])
  if (found === null || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('wanted tcp/PORT, udp/PORT or sctp/PORT')
  }
  return { protocol: found[1] as AllowedPort['protocol'], port }
}

function parseVni(text: string): number {
  if (/^\d{1,8}$/.test(text) && Number(text) < 2 ** 24) return Number(text)
  throw new InvalidArgumentError('wanted 0 to 16777215')
}

function parseWait(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('wanted milliseconds')
}
