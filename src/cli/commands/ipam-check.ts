/**
 * `trivium ipam check`, `release` and `repair`.
 *
 * @module
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { readBooks } from '../../../ipam/check/books.ts'
import type { IpamFinding, Repair } from '../../../ipam/check.ts'
import { ownerOf } from '../../../ipam/cluster/owners.ts'
import type { Repaired } from '../../../ipam/repair.ts'
import {
  judgeReport,
  REPORT_BYTES_MAX,
  REPORT_VERSION,
  readReport,
  storeMoment,
  writeReport,
} from '../../../ipam/report.ts'
import { podText } from '../../../ipam/reservations.ts'
import type { Reader, Store } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { OWNER_SECONDS } from '../../live/ask-owner.ts'
import { askFindings, askRepairs } from '../../live/ask-repairs.ts'
import { isCluster } from '../../live/cluster-store.ts'
import { lookTwice } from '../../live/ipam-look.ts'
import { performRepairs } from '../../live/ipam-repair.ts'
import { type Ip, parseIp } from '../../net/mod.ts'
import { counted } from '../../words.ts'
import { clusterUrlOf, print, storeOption, withShared, withStore } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { answering, type NodeFlags, nodeFlags, thisNode } from '../this-node.ts'

interface Flags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly yes?: boolean
  readonly force?: boolean
  /** Another node of the cluster. */
  readonly at?: string
  readonly timeout: string
}

/** `--at` and `--timeout`. */
const askFlags = (): readonly Option[] => [
  new Option('--at <node>', 'another node of the cluster: its agent is asked'),
  timeoutFlag(),
]

const timeoutFlag = (): Option =>
  new Option('--timeout <seconds>', "how long to wait for another node's agent").default(
    `${OWNER_SECONDS}`,
  )

function waitMsOf({ timeout }: Pick<Flags, 'timeout'>): number {
  if (/^[1-9]\d{0,2}$/.test(timeout)) return Number(timeout) * 1000
  const found = JSON.stringify(timeout.slice(0, 100))
  throw new TriviumError('USAGE', `Cannot use --timeout ${found}: wanted 1 to 999 seconds`)
}

const COLUMNS: readonly Column<IpamFinding>[] = [
  { title: 'STATE', value: ({ severity }) => (severity === 'fail' ? 'FAIL' : severity) },
  { title: 'PROBLEM', value: ({ code }) => code },
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'NODE', value: ({ node = '-' }) => node },
  { title: 'NETWORK', value: ({ network }) => network || '-', wide: true },
  { title: 'FOUND', value: ({ found }) => found },
  { title: 'WANTED', value: ({ wanted }) => wanted, wide: true },
  { title: 'REPAIR', value: ({ repair }) => (repair === undefined ? 'by hand' : repair.kind) },
]

const CHECK_HELP = `
Compares the records with each other and, on a node, with its kernel and its pods' namespaces.
Changes nothing. What only the second of two looks finds is an ADD or a DEL under way.

Examples:
  trivium ipam check
  trivium ipam check -o json
  trivium ipam check --report leaks.json      then: trivium ipam release --from-report leaks.json

Exit status:
  0  nothing is wrong
  1  findings
  2  there is no answer
`

export function checkCommand(): Command {
  const command = new Command('check')
    .description('what is wrong with the addresses: leaks, duplicates, counters, dead pods')
    .option('--report <file>', 'write the findings to a file')
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', CHECK_HELP)
  for (const flag of [...askFlags(), ...nodeFlags()]) command.addOption(flag)
  return command.action((flags: Flags & { readonly report?: string }) =>
    answering(async () => {
      // Before the look: what is given meanwhile came after it.
      const of =
        flags.report === undefined
          ? undefined
          : await withStore(flags.store, (store) => store.read(storeMoment))
      const { findings, node } = await look(flags)
      if (flags.report !== undefined) {
        const whose = node === undefined ? {} : { node }
        const made = { version: REPORT_VERSION, madeMs: Date.now(), ...whose } as const
        const report = { ...made, ...(of === undefined ? {} : { of }), findings }
        writeFileSync(flags.report, writeReport(report), { mode: 0o600 })
      }
      const where = node === undefined ? 'the store alone was looked at' : `node ${node}`
      print(renderRows(findings, COLUMNS, flags.output, `nothing is wrong (${where})`))
      process.exitCode = findings.length === 0 ? 0 : 1
    }),
  )
}

interface Looked {
  readonly findings: readonly IpamFinding[]
  /** Whose kernel was looked at. */
  readonly node: string | undefined
}

/** Here, or where `--at` says. In a cluster's store no kernel is this node's alone. */
async function look(flags: Flags): Promise<Looked> {
  const { at } = flags
  if (at !== undefined) {
    const asked = await withShared(flags.store, (store) => {
      if (isCluster(store)) return askFindings(store, at, waitMsOf(flags))
      throw new TriviumError(
        'USAGE',
        `Cannot ask node ${at}: store ${flags.store} is no cluster's, wanted one that nodes share`,
        'Without a cluster the store alone has all there is: leave --at out',
      )
    })
    if (asked.left > 0) process.stderr.write(`${counted(asked.left, 'more finding')} not shown\n`)
    return { findings: asked.findings, node: at }
  }
  return withStore(flags.store, async (store) => {
    const node = isCluster(store) ? undefined : thisNode(flags)
    return { findings: await lookTwice(store, node), node }
  })
}

const REPAIR_HELP = `
Mends what trivium ipam check finds, after showing it. Pods go on, and so do ADD and DEL: each
repair is tried again on what the store and the kernel say by then. In a cluster each is done by
the agent of the node that owns what it is about.

Examples:
  trivium ipam repair
  trivium ipam repair --at n2
  trivium ipam repair --yes -o json

Exit status:
  0  everything that can be mended is
  1  something is left, or was refused
`

export function repairCommand(): Command {
  const command = new Command('repair')
    .description('mend what check finds')
    .addOption(storeOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .addHelpText('after', REPAIR_HELP)
  for (const flag of [...askFlags(), ...nodeFlags()]) command.addOption(flag)
  return command.action(async (flags: Flags) => {
    const { findings } = await look(flags)
    const repairs = findings.flatMap(({ repair }) => repair ?? [])
    await perform(repairs, flags, findings.length - repairs.length)
  })
}

const RELEASE_HELP = `
A report is taken address by address: what was given again since it was made is left alone. One of
another store, or of a newer one than this, is refused; what else speaks against it is said.
An address whose pod has its link wants --force. In a cluster the agent of the node that owns the
address is asked, and looks; in a store without one, another node's address wants --force.

Examples:
  trivium ipam release --ip 10.42.0.7
  trivium ipam release --ip 10.42.0.7 --store etcd://10.0.0.1:2379/trivium
  trivium ipam release --from-report leaks.json --yes

Exit status:
  0  all of it is done
  1  something was refused or is another's by now (stale), or the answer was no
`

export function releaseCommand(): Command {
  const command = new Command('release')
    .description('give addresses back that nobody uses')
    .option('--ip <address>', 'the one to release')
    .option('--from-report <file>', 'what trivium ipam check --report found')
    .option('--force', "also a living pod's, or another node's")
    .addOption(storeOption())
    .addOption(outputOption())
    .addOption(yesOption())
    .addHelpText('after', RELEASE_HELP)
  for (const flag of [timeoutFlag(), ...nodeFlags()]) command.addOption(flag)
  return command.action(
    async (flags: Flags & { readonly ip?: string; readonly fromReport?: string }) => {
      const { ip, fromReport } = flags
      if ((ip === undefined) === (fromReport === undefined)) {
        throw new TriviumError('USAGE', 'Cannot release: wanted one of --ip and --from-report')
      }
      const repairs =
        ip === undefined
          ? await releasesOf(fromReport ?? '', flags)
          : [await releaseOf(flags.store, parseIp(ip, '--ip'))]
      await perform(repairs, flags, 0)
    },
  )
}

async function releasesOf(path: string, flags: Flags): Promise<readonly Repair[]> {
  const report = readReport(textOf(path))
  const now = { node: thisNode(flags), nowMs: Date.now() }
  const words = await withStore(flags.store, (store) =>
    store.read((reader) => judgeReport(reader, report, now)),
  )
  if (words.length > 0) process.stderr.write(`${words.join('; ')}: what changed is left alone\n`)
  return report.releases
}

function textOf(path: string): string {
  if (statSync(path).size > REPORT_BYTES_MAX) {
    throw new TriviumError('BAD_JSON', `Cannot read the report ${path}: it is too long`)
  }
  return readFileSync(path, 'utf8')
}

/** By this node's store, which is never behind, then by all nodes'. @throws {TriviumError} NOT_FOUND */
async function releaseOf(url: string, ip: Ip): Promise<Repair> {
  const find = (store: Store): Repair | undefined => store.read((reader) => holderOf(reader, ip))
  const found = (await withStore(url, find)) ?? (await withShared(url, find))
  if (found !== undefined) return found
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot release ${ip}: nobody holds it`,
    `Show it: trivium ipam show --ip ${ip}`,
  )
}

function holderOf(reader: Reader, ip: Ip): Repair | undefined {
  const { attachments, addresses } = readBooks(reader)
  const holder = firstOf(attachments(), ({ ips }) => ips.includes(ip))
  if (holder !== undefined) {
    const { node, network, containerId, ifname, sequence } = holder
    return { kind: 'release', node, key: { network, containerId, ifname }, sequence }
  }
  const address = firstOf(addresses(), (each) => each.ip === ip)
  return (
    address && { kind: 'remove-address', network: address.network, ip, sequence: address.sequence }
  )
}

function firstOf<T>(all: Iterable<T>, isIt: (one: T) => boolean): T | undefined {
  for (const one of all) if (isIt(one)) return one
  return undefined
}

const PLAN_COLUMNS: readonly Column<Repair>[] = [
  { title: 'DO', value: ({ kind }) => kind },
  { title: 'WITH', value: tellSubject },
  { title: 'NODE', value: (repair) => ('node' in repair ? repair.node : '-') },
]

const DONE_COLUMNS: readonly Column<Repaired>[] = [
  { title: 'STATE', value: ({ outcome }) => outcome },
  { title: 'DO', value: ({ repair }) => repair.kind },
  { title: 'WITH', value: ({ repair }) => tellSubject(repair) },
  { title: 'WHY', value: ({ why = '' }) => why },
]

function tellSubject(repair: Repair): string {
  switch (repair.kind) {
    case 'remove-address':
    case 'write-address':
      return repair.ip
    case 'count-block':
    case 'remove-use':
      return `block ${repair.cidr}`
    case 'release':
      return `${repair.key.ifname} of container ${repair.key.containerId}`
    case 'place-reservation':
      return `reservation of ${repair.ip}`
    case 'index-reservations':
      return podText(repair.pod)
    case 'trim-history':
      return `network ${repair.network}`
    case 'raise-sequence':
      return `sequence ${repair.to}`
    case 'remove-link':
      return `link ${repair.name}`
  }
}

/** Shows, asks, does and tells. */
async function perform(repairs: readonly Repair[], flags: Flags, left: number): Promise<void> {
  const byHand =
    left === 0 ? '' : `${counted(left, 'finding')} wanted by hand: trivium ipam check -o wide\n`
  process.exitCode = left === 0 ? 0 : 1
  if (repairs.length === 0) {
    print(renderRows([], DONE_COLUMNS, flags.output, `nothing to do\n${byHand}`.trimEnd()))
    return
  }
  if (flags.yes !== true) {
    process.stderr.write(renderRows(repairs, PLAN_COLUMNS, 'text', ''))
    if (!(await confirm(`Do ${repairs.length === 1 ? 'it' : 'all of them'}?`, flags.yes))) {
      process.stderr.write('nothing was changed\n')
      process.exitCode = 1
      return
    }
  }
  const results = await carriedOut(repairs, flags)
  print(renderRows(results, DONE_COLUMNS, flags.output, ''))
  process.stderr.write(byHand)
  if (results.some(({ outcome }) => outcome !== 'done')) process.exitCode = 1
}

/** In the order of `repairs`: what is this node's here, the rest where its owner is. */
function carriedOut(repairs: readonly Repair[], flags: Flags): Promise<readonly Repaired[]> {
  const node = thisNode(flags)
  const force = flags.force === true
  const ask = (shared: Store, some: readonly Repair[]): Promise<readonly Repaired[]> =>
    askRepairs(some, {
      ...{ shared, force, waitMs: waitMsOf(flags) },
      ...(flags.at === undefined ? {} : { looked: flags.at }),
      silent: ({ message, details }) => process.stderr.write(`${message}\n  ${details}\n`),
    })
  return withStore(flags.store, async (store) => {
    if (isCluster(store)) return ask(store, repairs)
    const here = { store, node, socketPath: flags.socket, force }
    const cluster = clusterUrlOf(store)
    if (cluster === undefined) return performRepairs(repairs, here)
    const isOwn = (repair: Repair): boolean => {
      const owner = store.read((reader) => ownerOf(reader, repair, flags.at ?? node))
      return owner.kind === 'node' && owner.node === node
    }
    const own = await performRepairs(repairs.filter(isOwn), here)
    const others = repairs.filter((repair) => !isOwn(repair))
    const asked =
      others.length === 0 ? [] : await withStore(cluster, (shared) => ask(shared, others))
    const all = new Map([...own, ...asked].map((result) => [result.repair, result]))
    return repairs.flatMap((repair) => all.get(repair) ?? [])
  })
}
