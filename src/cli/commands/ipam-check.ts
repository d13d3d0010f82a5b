/**
 * `trivium ipam check`, `release` and `repair`.
 *
 * @module
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { Command } from 'commander'
import { readBooks } from '../../../ipam/check/books.ts'
import { checkIpam, confirmed, type IpamFinding, type Repair } from '../../../ipam/check.ts'
import type { Repaired } from '../../../ipam/repair.ts'
import {
  REPORT_BYTES_MAX,
  REPORT_VERSION,
  readReleases,
  writeReport,
} from '../../../ipam/report.ts'
import { podText } from '../../../ipam/reservations.ts'
import type { Reader, Store } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { lookAtKernel } from '../../live/ipam-look.ts'
import { performRepairs } from '../../live/ipam-repair.ts'
import { type Ip, parseIp } from '../../net/mod.ts'
import { counted } from '../../words.ts'
import { print, storeOption, withStore } from '../common.ts'
import { confirm, yesOption } from '../confirm.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { answering, type NodeFlags, nodeFlags, thisNode } from '../this-node.ts'

/** Longer than an ADD or DEL takes to have both its link and its record. */
const SECOND_LOOK_MS = 1000

interface Flags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
  readonly yes?: boolean
  readonly force?: boolean
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
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((flags: Flags & { readonly report?: string }) =>
    answering(async () => {
      const node = thisNode(flags)
      const findings = await withStore(flags.store, (store) => look(store, node))
      if (flags.report !== undefined) {
        const whose = node === undefined ? {} : { node }
        const report = { version: REPORT_VERSION, madeMs: Date.now(), ...whose, findings } as const
        writeFileSync(flags.report, writeReport(report), { mode: 0o600 })
      }
      const where = node === undefined ? 'the store alone was looked at' : `node ${node}`
      print(renderRows(findings, COLUMNS, flags.output, `nothing is wrong (${where})`))
      process.exitCode = findings.length === 0 ? 0 : 1
    }),
  )
}

/** What two looks agree on; one is enough when it finds nothing. */
async function look(store: Store, node: string | undefined): Promise<readonly IpamFinding[]> {
  const once = (): readonly IpamFinding[] => {
    const kernel = node === undefined ? undefined : lookAtKernel(store, node)
    return store.read((reader) => checkIpam(reader, kernel))
  }
  const first = once()
  if (first.length === 0) return first
  await pause(SECOND_LOOK_MS)
  return confirmed(first, once())
}

const REPAIR_HELP = `
Mends what trivium ipam check finds, after showing it. Pods go on, and so do ADD and DEL: each
repair is tried again on what the store and the kernel say by then.

Examples:
  trivium ipam repair
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
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((flags: Flags) =>
    withStore(flags.store, async (store) => {
      const findings = await look(store, thisNode(flags))
      const repairs = findings.flatMap(({ repair }) => repair ?? [])
      const left = findings.length - repairs.length
      await perform(store, repairs, flags, left)
    }),
  )
}

const RELEASE_HELP = `
A report is taken address by address: what was given again since it was made is left alone.
An address whose pod has its link on this node, or that is another node's, wants --force.

Examples:
  trivium ipam release --ip 10.42.0.7
  trivium ipam release --from-report leaks.json --yes
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
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((flags: Flags & { readonly ip?: string; readonly fromReport?: string }) =>
    withStore(flags.store, async (store) => {
      const { ip, fromReport } = flags
      if ((ip === undefined) === (fromReport === undefined)) {
        throw new TriviumError('USAGE', 'Cannot release: wanted one of --ip and --from-report')
      }
      const repairs =
        ip === undefined
          ? readReleases(readReport(fromReport ?? ''))
          : [releaseOf(store, parseIp(ip, '--ip'))]
      await perform(store, repairs, flags, 0)
    }),
  )
}

function readReport(path: string): string {
  if (statSync(path).size > REPORT_BYTES_MAX) {
    throw new TriviumError('BAD_JSON', `Cannot read the report ${path}: it is too long`)
  }
  return readFileSync(path, 'utf8')
}

/** @throws {TriviumError} NOT_FOUND */
function releaseOf(store: Store, ip: Ip): Repair {
  const found = store.read((reader) => holderOf(reader, ip))
  if (found !== undefined) return found
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot release ${ip}: nobody holds it`,
    `Show it: trivium ipam show --ip ${ip}`,
  )
}

function holderOf(reader: Reader, ip: Ip): Repair | undefined {
  const { attachments, addresses } = readBooks(reader)
  const holder = attachments.find(({ ips }) => ips.includes(ip))
  if (holder !== undefined) {
    const { node, network, containerId, ifname, sequence } = holder
    return { kind: 'release', node, key: { network, containerId, ifname }, sequence }
  }
  const address = addresses.find((each) => each.ip === ip)
  return (
    address && { kind: 'remove-address', network: address.network, ip, sequence: address.sequence }
  )
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
async function perform(
  store: Store,
  repairs: readonly Repair[],
  flags: Flags,
  left: number,
): Promise<void> {
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
  const node = thisNode(flags)
  const place = { store, node, socketPath: flags.socket, force: flags.force === true }
  const results = await performRepairs(repairs, place)
  print(renderRows(results, DONE_COLUMNS, flags.output, ''))
  process.stderr.write(byHand)
  if (results.some(({ outcome }) => outcome !== 'done')) process.exitCode = 1
}
