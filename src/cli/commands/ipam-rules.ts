/**
 * `trivium ipam reserve | unreserve | history | why`.
 *
 * @module
 */
import { Command } from 'commander'
import {
  exclude,
  type Holding,
  historyOf,
  include,
  podText,
  reserve,
  unreserve,
  type WhyFact,
  whyIp,
  whyPod,
} from '../../../ipam/mod.ts'
import type { PodName } from '../../../ipam/records.ts'
import { TriviumError } from '../../errors.ts'
import { transact } from '../../live/transact.ts'
import { parseIp, parseMac, parsePrefix, tryParseIp } from '../../net/mod.ts'
import { DEFAULTS, print, storeOption, withShared, withStore } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'

interface Options {
  readonly store: string
  readonly output: OutputFormat
  readonly network: string
  readonly pod?: string
  readonly mac?: string
  readonly node?: string
  readonly at?: string
}

const command = (name: string, description: string, examples: readonly string[]): Command =>
  new Command(name)
    .description(description)
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nExamples:\n${examples.map((example) => `  trivium ipam ${example}\n`).join('')}`,
    )

const NETWORK = ['--network <name>', 'the network', DEFAULTS.networkName] as const

/** A row of what was reserved or excluded, or is so no longer. */
interface KeptRow {
  readonly cidr: string
  readonly network: string
  readonly for: string
  readonly mac?: string
}

const KEPT: readonly Column<KeptRow>[] = [
  { title: 'CIDR', value: ({ cidr }) => cidr },
  { title: 'FOR', value: (row) => row.for },
  { title: 'NETWORK', value: ({ network }) => network },
  { title: 'MAC', value: ({ mac }) => mac ?? '', wide: true },
]

/** Addresses have no slash, ranges do. */
const isRange = (what: string): boolean => what.includes('/')

export function reserveCommand(): Command {
  return command('reserve', 'keep an address for one pod, or a range from all', [
    'reserve 10.42.0.7 --pod db/db-0',
    'reserve 10.42.0.0/28',
  ])
    .argument('<address|range>', 'an address, or a range like 10.42.0.0/28')
    .option(...NETWORK)
    .option('--pod <namespace/name>', 'whose the address is')
    .option('--mac <address>', "MAC of the pod's end (default: made from its name)")
    .action(async (what: string, { store: url, output, network, pod: text, mac }: Options) => {
      const row = await withShared(url, (store) =>
        transact(store, (tx): KeptRow => {
          if (isRange(what)) {
            if (text !== undefined) throw usage(what, 'a range and --pod', 'one address for a pod')
            const range = parsePrefix(what, 'the range')
            exclude(tx, network, range)
            return { cidr: range, network, for: 'nobody' }
          }
          const ip = parseIp(what, 'the address')
          if (text === undefined) throw usage(what, 'no --pod', `--pod, or the range ${what}/32`)
          const chosen = mac === undefined ? {} : { mac: parseMac(mac, '--mac') }
          const made = reserve(tx, { network, ip, pod: podOf(text), ...chosen, nowMs: Date.now() })
          const { reservation } = made
          return { cidr: ip, network, for: podText(reservation.pod), mac: reservation.mac }
        }),
      )
      print(renderRows([row], KEPT, output, ''))
    })
}

export function unreserveCommand(): Command {
  return command('unreserve', 'end what reserve did', [
    'unreserve 10.42.0.7',
    'unreserve 10.42.0.0/28',
  ])
    .argument('<address|range>', 'as it was reserved')
    .option(...NETWORK)
    .action(async (what: string, { store: url, output, network }: Options) => {
      const row = await withShared(url, (store) =>
        transact(store, (tx): KeptRow => {
          if (isRange(what)) {
            const range = parsePrefix(what, 'the range')
            include(tx, network, range)
            return { cidr: range, network, for: 'anybody' }
          }
          const { ip } = unreserve(tx, network, parseIp(what, 'the address'))
          return { cidr: ip, network, for: 'anybody' }
        }),
      )
      print(renderRows([row], KEPT, output, ''))
    })
}

const HISTORY: readonly Column<Holding>[] = [
  { title: 'IP', value: ({ ip }) => ip },
  { title: 'FROM', value: ({ fromMs }) => timeText(fromMs) },
  { title: 'TO', value: ({ toMs }) => optionalTime(toMs) },
  { title: 'POD', value: ({ pod }) => (pod === undefined ? '' : `${pod.namespace}/${pod.name}`) },
  { title: 'NODE', value: ({ node }) => node },
  { title: 'CONTAINER', value: ({ containerId }) => containerId, wide: true },
  { title: 'IFNAME', value: ({ ifname }) => ifname, wide: true },
  { title: 'NETWORK', value: ({ network }) => network, wide: true },
]

export function historyCommand(): Command {
  return command('history', 'who had an address, or what a pod had, and when', [
    'history 10.42.0.7',
    'history 10.42.0.7 --at 2026-03-01T14:05:00Z',
    'history db/db-0 -o json',
  ])
    .argument('<address|pod>', 'an address, or NAMESPACE/NAME')
    .option('--at <time>', 'only at this moment, as RFC 3339 writes it')
    .action(async (what: string, { store: url, output, at }: Options) => {
      const when = at === undefined ? {} : { atMs: timeOf(at) }
      const ip = tryParseIp(what)
      const question = ip === undefined ? { pod: podOf(what), ...when } : { ip, ...when }
      const rows = await withStore(url, (store) =>
        store.read((reader) => historyOf(reader, question)),
      )
      print(renderRows(rows, HISTORY, output, `nothing is remembered of ${what}`))
    })
}

const WHY: readonly Column<WhyFact>[] = [
  { title: 'ABOUT', value: ({ about }) => about },
  { title: 'FOUND', value: ({ found }) => found },
  { title: 'SINCE', value: ({ sinceMs }) => optionalTime(sinceMs) },
  { title: 'UNTIL', value: ({ untilMs }) => optionalTime(untilMs) },
  { title: 'NETWORK', value: ({ network }) => network, wide: true },
]

export function whyCommand(): Command {
  return command('why', 'why an address is whose it is, or why a pod gets none', [
    'why 10.42.0.7',
    'why db/db-0 --node n1',
  ])
    .argument('<address|pod>', 'an address, or NAMESPACE/NAME')
    .option(...NETWORK)
    .option('--node <name>', 'where a pod without an address would run')
    .action(async (what: string, { store: url, output, network, node }: Options) => {
      const ip = tryParseIp(what)
      const nowMs = Date.now()
      const rows = await withStore(url, (store) =>
        store.read((reader) => {
          if (ip !== undefined) return whyIp(reader, ip, nowMs)
          if (node === undefined) throw usage(what, 'no --node', 'the node it would run on')
          return whyPod(reader, { network, pod: podOf(what), node, mayClaim: true, nowMs })
        }),
      )
      print(renderRows(rows, WHY, output, `no pool contains ${what}`))
    })
}

function podOf(text: string): PodName {
  const [namespace = '', name = '', more] = text.split('/')
  if (namespace !== '' && name !== '' && more === undefined) return { namespace, name }
  throw new TriviumError(
    'USAGE',
    `Cannot read pod ${JSON.stringify(text.slice(0, 100))}: wanted NAMESPACE/NAME`,
  )
}

function timeOf(text: string): number {
  const ms = Date.parse(text)
  if (Number.isFinite(ms)) return ms
  throw new TriviumError(
    'USAGE',
    `Cannot read --at ${JSON.stringify(text.slice(0, 100))}: wanted a time like 2026-03-01T14:05:00Z`,
  )
}

const timeText = (ms: number): string => new Date(ms).toISOString()

const optionalTime = (ms: number | undefined): string => (ms === undefined ? '-' : timeText(ms))

const usage = (what: string, found: string, wanted: string): TriviumError =>
  new TriviumError('USAGE', `Cannot answer for ${what}: found ${found}, wanted ${wanted}`)
