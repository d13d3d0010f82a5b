/**
 * `trivium bgp set|unset|settings|config|rack|node|peer`: how the nodes' speakers meet
 * each other and the fabric, in the store for all of them.
 *
 * @module
 */
import { Command, Option } from 'commander'
import {
  addBgpPeer,
  removeBgpPeer,
  scopeWords,
  setBgp,
  setBgpNode,
  setBgpRack,
  unsetBgp,
} from '../../../ipam/bgp.ts'
import type { BgpPeer, BgpRecord, BgpScope } from '../../../ipam/bgp-records.ts'
import { BGP_SESSIONS } from '../../../ipam/bgp-spec.ts'
import { keys } from '../../../ipam/keys.ts'
import type { Reader, Tx } from '../../../ipam/store.ts'
import { overlay } from '../../../ipam/trial.ts'
import { speakerPlan } from '../../backend/bgp/speaker-plan.ts'
import { policyLines, speakerLines } from '../../backend/bgp/words.ts'
import { readView } from '../../cluster/read-view.ts'
import { TriviumError } from '../../errors.ts'
import { transact } from '../../live/transact.ts'
import { parseIp } from '../../net/mod.ts'
import { collect, print, storeOption, withShared, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Flags {
  readonly store: string
  readonly plan?: boolean
}

/** The verbs that change or show what is in the store. */
export const bgpSettingsCommands = (): readonly Command[] => [
  setCommand(),
  unsetCommand(),
  settingsCommand(),
  configCommand(),
  rackCommand(),
  nodeCommand(),
  peerCommand(),
]

/** Carries out a change, or shows what it would change in each node's configuration. */
async function change(flags: Flags, done: string, body: (tx: Tx) => unknown): Promise<void> {
  if (flags.plan === true) {
    const text = await withShared(flags.store, (store) =>
      store.read((reader) => {
        const after = overlay(reader)
        body(after)
        return planText(linesOf(reader), linesOf(after))
      }),
    )
    print(text)
    return
  }
  await withShared(flags.store, (store) => transact(store, body))
  print(`${done}\n`)
}

type NodeLines = ReadonlyMap<string, readonly string[]>

/** What each node's speaker is told, by node. */
function linesOf(reader: Reader, wanted?: string): NodeLines {
  const names = [...reader.range(keys.nodes)].map(([, { name }]) => name)
  if (wanted !== undefined && !names.includes(wanted)) {
    const known = names.join(', ') || 'none'
    throw new TriviumError('NOT_FOUND', `Cannot show node ${wanted}: the store has ${known}`)
  }
  return new Map(
    names
      .filter((name) => wanted === undefined || name === wanted)
      .map((name) => {
        const view = readView(reader, name)
        const plan = view && speakerPlan(view)
        if (plan === undefined) return [name, []]
        const files = [...plan.passwordFiles].map(
          ([peer, path]) => `! password of ${peer}: ${path}`,
        )
        const problems = plan.problems.map((each) => `! problem: ${each}`)
        return [name, [...speakerLines(plan.config), ...files, ...problems]]
      }),
  )
}

/** Lines that go and come; a node without any is left out. */
function planText(before: NodeLines, after: NodeLines): string {
  const parts = [...after].flatMap(([name, now]) => {
    const was = before.get(name) ?? []
    const gone = was.filter((line) => !now.includes(line)).map((line) => `-${line}\n`)
    const come = now.filter((line) => !was.includes(line)).map((line) => `+${line}\n`)
    return gone.length + come.length === 0 ? [] : [`! node ${name}\n`, ...gone, ...come]
  })
  return parts.length === 0 ? '! nothing changes on any node\n' : parts.join('')
}

const planOption = (): Option =>
  new Option('--plan', "show what changes in each node's configuration, and change nothing")

interface SetFlags extends Flags {
  readonly asn?: string
  readonly sessions?: string
  readonly clusterId?: string
  readonly restart?: string
  readonly bfd?: string
  readonly multipath?: string
}

const SET_HELP = `
What is not given stays. Nodes of one AS meet each with each while they are at most 100, then over
three that reflect (RFC 4456): those that trivium bgp node --reflector names, or three that are chosen
by their names, of different racks where there are any. Nodes of different AS numbers meet
through the fabric: trivium bgp peer add.

Examples:
  trivium bgp set --asn 64512
  trivium bgp set --asn 64512 --sessions reflectors --plan
  trivium bgp set --bfd 300x3 --restart 60
`

function setCommand(): Command {
  return new Command('set')
    .description('make or change the settings of all nodes')
    .option('--asn <number>', 'AS number of the nodes, 1 to 4294967294')
    .addOption(
      new Option('--sessions <how>', 'how nodes of one AS meet (default: auto)').choices([
        ...BGP_SESSIONS,
      ]),
    )
    .option(
      '--cluster-id <id>',
      'one for all reflectors, as an address; own: each its own (default)',
    )
    .option(
      '--restart <seconds>',
      'how long peers keep routes of a speaker that restarts (120), or off',
    )
    .option('--bfd <times>', 'between nodes, as MILLISECONDSxCOUNT, e.g. 300x3; off (default)')
    .option('--multipath <ways>', 'how many equally good ways are used together (8)')
    .addOption(planOption())
    .addOption(storeOption())
    .addHelpText('after', SET_HELP)
    .action((flags: SetFlags) => {
      const { asn, sessions, clusterId, restart, bfd, multipath } = flags
      const given = {
        ...(asn !== undefined && { asn: numberOf('--asn', asn) }),
        ...(sessions !== undefined && { sessions }),
        ...(clusterId !== undefined && { clusterId: clusterId === 'own' ? undefined : clusterId }),
        ...(restart !== undefined && {
          restartSeconds: restart === 'off' ? 0 : numberOf('--restart', restart),
        }),
        ...(bfd !== undefined && { bfd: bfdOf(bfd) }),
        ...(multipath !== undefined && { multipath: numberOf('--multipath', multipath) }),
      }
      return change(flags, 'bgp: set', (tx) => setBgp(tx, given, Date.now()))
    })
}

function unsetCommand(): Command {
  return new Command('unset')
    .description('remove all settings, racks, nodes and peers: every speaker ends')
    .addOption(planOption())
    .addOption(storeOption())
    .action((flags: Flags) => change(flags, 'bgp: unset', unsetBgp))
}

const RECORD_COLUMNS: readonly Column<BgpRecord>[] = [
  { title: 'OF', value: subjectOf },
  { title: 'AS', value: (record) => record.asn ?? '-' },
  { title: 'SETTINGS', value: (record) => wordsOf(record) || '-' },
]

function subjectOf(record: BgpRecord): string {
  if (record.kind === 'settings') return 'all nodes'
  if (record.kind === 'rack') return `rack ${record.rack}`
  if (record.kind === 'node') return `node ${record.node}`
  return `peer ${record.address} of ${scopeWords(record.scope)}`
}

/** As flags, without their dashes. */
function wordsOf(record: BgpRecord): string {
  if (record.kind === 'rack')
    return (record.summaries ?? []).map((each) => `summary ${each}`).join(' ')
  if (record.kind === 'node') return record.reflector === true ? 'reflector' : ''
  const { bfd } = record
  const times = bfd && `bfd ${bfd.intervalMs}x${bfd.multiplier}`
  const words =
    record.kind === 'settings'
      ? [
          `sessions ${record.sessions}`,
          record.clusterId && `cluster-id ${record.clusterId}`,
          record.restartSeconds !== undefined && `restart ${record.restartSeconds || 'off'}`,
          times,
          record.multipath && `multipath ${record.multipath}`,
        ]
      : [
          record.families && `families ${record.families.join('+')}`,
          record.port && `port ${record.port}`,
          record.passwordFile && `password-file ${record.passwordFile}`,
          times,
          record.ttlSecurityHops && `ttl-hops ${record.ttlSecurityHops}`,
          record.prefixesMax && `max-prefixes ${record.prefixesMax}`,
        ]
  return words.filter((each) => typeof each === 'string').join(' ')
}

function settingsCommand(): Command {
  return new Command('settings')
    .description('show what is set, for all nodes, racks, nodes and peers')
    .addOption(storeOption())
    .addOption(outputOption())
    .action((flags: { readonly store: string; readonly output: OutputFormat }) =>
      show(flags, () => true, 'nobody speaks BGP; begin with: trivium bgp set --asn NUMBER'),
    )
}

async function show(
  { store: url, output }: { readonly store: string; readonly output: OutputFormat },
  isWanted: (record: BgpRecord) => boolean,
  none: string,
): Promise<void> {
  const records = await withStore(url, (store) =>
    store.read((reader) => [...reader.range(keys.bgp)].map(([, record]) => record)),
  )
  const order = ['settings', 'rack', 'node', 'peer']
  const rows = records
    .filter(isWanted)
    .sort((left, right) => order.indexOf(left.kind) - order.indexOf(right.kind))
  print(renderRows(rows, RECORD_COLUMNS, output, none))
}

function configCommand(): Command {
  return new Command('config')
    .argument('[node]', 'one node (default: all)')
    .description("what nodes' speakers are told, in FRR's words")
    .addOption(new Option('--policies', 'the policies, too'))
    .addOption(storeOption())
    .action(async (node: string | undefined, flags: Flags & { readonly policies?: boolean }) => {
      const text = await withStore(flags.store, (store) =>
        store.read((reader) => {
          const lines = [...linesOf(reader, node)].flatMap(([name, own]) => [
            `! node ${name}`,
            ...own,
            ...(flags.policies === true ? policiesOf(reader, name) : []),
          ])
          return lines.map((line) => `${line}\n`).join('')
        }),
      )
      print(text === '' ? '! no node is registered\n' : text)
    })
}

function policiesOf(reader: Reader, name: string): readonly string[] {
  const view = readView(reader, name)
  const plan = view && speakerPlan(view)
  return plan === undefined ? [] : policyLines(plan.config)
}

interface RackFlags extends Flags {
  readonly asn?: string
  readonly summary?: readonly string[]
  readonly summaries?: boolean
}

function rackCommand(): Command {
  return new Command('rack')
    .argument('<label>', 'as agents say it: --rack LABEL')
    .description('what is different for the nodes of a rack')
    .option('--asn <number>', 'their AS number (RFC 7938: one a rack), or none')
    .option(
      '--summary <cidr>',
      'told to the fabric in place of the blocks inside, repeatable',
      collect,
    )
    .option('--no-summaries', 'blocks are told one by one (default)')
    .addOption(planOption())
    .addOption(storeOption())
    .addHelpText(
      'after',
      '\nA summary draws everything inside of it to any node of the rack: give it where the nodes of a rack are\non one network, and the pool is placed by racks.\n\nExamples:\n  trivium bgp rack r1 --asn 64601\n  trivium bgp rack r1 --summary 10.42.0.0/20\n',
    )
    .action((rack: string, flags: RackFlags) => {
      const given = {
        rack,
        ...(flags.asn !== undefined && { asn: asnOrNone(flags.asn) }),
        ...(flags.summaries === false && { summaries: undefined }),
        ...(flags.summary !== undefined && { summaries: flags.summary }),
      }
      return change(flags, `bgp rack ${rack}: set`, (tx) => setBgpRack(tx, given))
    })
}

interface NodeFlags extends Flags {
  readonly asn?: string
  readonly reflector?: boolean
}

function nodeCommand(): Command {
  return new Command('node')
    .argument('<name>', 'a node')
    .description('what is different for a node')
    .option('--asn <number>', 'its AS number, or none: that of its rack, or of all')
    .option('--reflector', 'it reflects, where nodes meet so; with any such, no other does')
    .option('--no-reflector', 'it does not by label (default)')
    .addOption(planOption())
    .addOption(storeOption())
    .addHelpText('after', '\nExample:\n  trivium bgp node n1 --reflector\n')
    .action((node: string, flags: NodeFlags) => {
      const { asn, reflector } = flags
      const given = {
        node,
        ...(asn !== undefined && { asn: asnOrNone(asn) }),
        ...(reflector !== undefined && { reflector }),
      }
      return change(flags, `bgp node ${node}: set`, (tx) => setBgpNode(tx, given))
    })
}

interface ScopeFlags extends Flags {
  readonly rack?: string
  readonly node?: string
}

interface PeerFlags extends ScopeFlags {
  readonly asn: string
  readonly passwordFile?: string
  readonly bfd?: string
  readonly ttlHops?: string
  readonly maxPrefixes?: string
  readonly families?: string
  readonly port?: string
}

const PEER_HELP = `
For a node's own peer goes before its rack's of the same address, and that before one for all. A peer
carries the family of its address: add both addresses of a router for both families.

Examples:
  trivium bgp peer add 192.0.2.254 --asn 65001 --rack r1 --bfd 300x3
  trivium bgp peer add 2001:db8::fe --asn 65001 --rack r1 --ttl-hops 1 --password-file /etc/trivium/tor
  trivium bgp peer remove 192.0.2.254 --rack r1
`

function peerCommand(): Command {
  return new Command('peer')
    .description('routers of the fabric that nodes speak to')
    .addHelpText('after', PEER_HELP)
    .addCommand(peerAddCommand())
    .addCommand(peerRemoveCommand())
    .addCommand(peerListCommand())
}

const scoped = (command: Command): Command =>
  command
    .option('--rack <label>', 'for the nodes of a rack (default: for all)')
    .option('--node <name>', 'for one node')
    .addOption(planOption())
    .addOption(storeOption())

function peerAddCommand(): Command {
  const command = new Command('add')
    .argument('<address>', "the router's")
    .description('add a router, or replace what was said of it')
    .requiredOption('--asn <number>', "the router's AS number")
    .option('--password-file <path>', 'file on the nodes with the password (RFC 2385)')
    .option('--bfd <times>', 'MILLISECONDSxCOUNT, e.g. 300x3 (RFC 5880; default: none)')
    .option(
      '--ttl-hops <hops>',
      'it is so many hops away, nothing from farther is heard (RFC 5082)',
    )
    .option('--max-prefixes <count>', 'of a family; more are left out (100000)')
    .option('--families <families>', 'ipv4, ipv6 or ipv4+ipv6 (default: of its address)')
    .option('--port <port>', 'TCP port (179)')
  return scoped(command).action((address: string, flags: PeerFlags) => {
    const { passwordFile, bfd, families } = flags
    const given = {
      scope: scopeOf(flags),
      address,
      asn: numberOf('--asn', flags.asn),
      ...(passwordFile !== undefined && { passwordFile }),
      ...(bfd !== undefined && { bfd: bfdOf(bfd) }),
      ...(flags.ttlHops !== undefined && {
        ttlSecurityHops: numberOf('--ttl-hops', flags.ttlHops),
      }),
      ...(flags.maxPrefixes !== undefined && {
        prefixesMax: numberOf('--max-prefixes', flags.maxPrefixes),
      }),
      ...(families !== undefined && { families: families.split('+') }),
      ...(flags.port !== undefined && { port: numberOf('--port', flags.port) }),
    }
    const done = `bgp peer ${address} of ${scopeWords(scopeOf(flags))}: added`
    return change(flags, done, (tx) => addBgpPeer(tx, given))
  })
}

function peerRemoveCommand(): Command {
  const command = new Command('remove')
    .argument('<address>', "the router's")
    .description('remove a router')
  return scoped(command).action((text: string, flags: ScopeFlags) => {
    const [scope, address] = [scopeOf(flags), parseIp(text)]
    const done = `bgp peer ${address} of ${scopeWords(scope)}: removed`
    return change(flags, done, (tx) => removeBgpPeer(tx, scope, address))
  })
}

function peerListCommand(): Command {
  return new Command('list')
    .description('show routers and whom they are for')
    .addOption(storeOption())
    .addOption(outputOption())
    .action((flags: { readonly store: string; readonly output: OutputFormat }) =>
      show(
        flags,
        (record): record is BgpPeer => record.kind === 'peer',
        'no peers; add one with: trivium bgp peer add',
      ),
    )
}

function scopeOf({ rack, node }: ScopeFlags): BgpScope {
  if (rack !== undefined && node !== undefined) {
    throw new TriviumError(
      'USAGE',
      'Cannot use --rack with --node: a peer is for one of them, wanted one flag',
    )
  }
  if (rack !== undefined) return { kind: 'rack', name: rack }
  return node === undefined ? { kind: 'all' } : { kind: 'node', name: node }
}

/** `300x3`; `off` takes it back. */
export function bfdOf(text: string): object | undefined {
  if (text === 'off') return undefined
  const [, intervalMs, multiplier] = /^(\d{1,6})x(\d{1,4})$/.exec(text) ?? []
  if (intervalMs !== undefined)
    return { intervalMs: Number(intervalMs), multiplier: Number(multiplier) }
  const found = JSON.stringify(text.slice(0, 100))
  throw new TriviumError(
    'USAGE',
    `Cannot read --bfd ${found}: wanted MILLISECONDSxCOUNT, e.g. 300x3, or off`,
  )
}

const asnOrNone = (text: string): number | undefined =>
  text === 'none' ? undefined : numberOf('--asn', text)

function numberOf(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  const found = JSON.stringify(text.slice(0, 100))
  throw new TriviumError('USAGE', `Cannot read ${flag} ${found}: wanted a whole number`)
}
