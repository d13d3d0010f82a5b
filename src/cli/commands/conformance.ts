/**
 * `trivium conformance`: does a CNI plugin do what the specification asks?
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { stringify } from 'yaml'
import {
  chooseRules,
  conforms,
  junit,
  type Outcome,
  parseNetworkList,
  type Rule,
  runSuite,
  type SubjectSummary,
  type SuiteResult,
  summarise,
} from '../../conformance/mod.ts'
import { TriviumError } from '../../errors.ts'
import { counted } from '../../words.ts'
import { collect, EXIT, print, whole } from '../common.ts'
import { type Column, outputOption, renderRows, renderTable } from '../output.ts'

const HELP = `
Runs the plugins of FILE (a .conf or a .conflist) as libcni would, on throw-away nodes: network,
mount and process namespaces with an empty /run and /var/lib, an underlay link eth0 and pods of
their own. Whole dumps of node and pod before and after say what each call did; exit codes alone
prove nothing. Works for any plugin; the host is not touched.

Rules about variables, configuration and errors call the first plugin of the list, all others the
whole list. Give the plugin a small pool (a /28, say): some rules use it up.

Verdicts:
  pass, fail
  silent ok        the verb answers that all is well and does nothing
  not applicable   with the reason, e.g. a version that the plugin does not speak
  skipped          what the rule builds upon does not work

Examples:
  trivium conformance --bin-dir /opt/cni/bin --config /etc/cni/net.d/10-pods.conflist
  trivium conformance --bin-dir /usr/lib/cni --config bridge.conflist --only 'DEL-*' -o wide
  trivium conformance --bin-dir /opt/cni/bin --config mine.conf --setup 'mine-agent & sleep 1'
  trivium conformance --bin-dir /opt/cni/bin --config mine.conf -o junit > junit.xml
  trivium conformance --list

Exit status:
  0  every MUST that applies is kept
  1  some MUST is not
  2  the command line makes no sense, or this is not root
`

interface Flags {
  readonly binDir?: readonly string[]
  readonly config?: string
  readonly setup?: string
  readonly daemonStopped?: boolean
  readonly only?: readonly string[]
  readonly list?: boolean
  readonly timeout: number
  readonly lanes: number
  readonly output: 'text' | 'table' | 'wide' | 'json' | 'yaml' | 'junit'
}

const TIMEOUT_SECONDS = { least: 1, most: 600, usual: 30 } as const
const LANES = { least: 1, most: 16, usual: 2 } as const

export function conformanceCommand(): Command {
  return new Command('conformance')
    .description('does a CNI plugin, ours or any other, keep the specification? (needs root)')
    .option('--bin-dir <dir>', 'where its executables are, repeatable', collect)
    .option('--config <file>', 'a network configuration that a runtime would load')
    .option('--setup <command>', 'shell command that gets each node ready, e.g. starts an agent')
    .option(
      '--daemon-stopped',
      'the setup leaves a daemon of the plugin stopped: STATUS should say so',
    )
    .option(
      '--only <ids>',
      "rules by id, separated by commas; 'CHK-*' means all that begin so",
      words,
    )
    .option('--list', 'show the rules and where they come from')
    .option(
      '--timeout <seconds>',
      'of one call',
      whole(TIMEOUT_SECONDS.least, TIMEOUT_SECONDS.most),
      TIMEOUT_SECONDS.usual,
    )
    .option('--lanes <number>', 'nodes side by side', whole(LANES.least, LANES.most), LANES.usual)
    .addOption(outputOption(['table', 'junit']))
    .addHelpText('after', HELP)
    .action(run)
}

const RULE_COLUMNS: readonly Column<Omit<Rule, 'check' | 'applies'>>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'LEVEL', value: ({ level }) => level },
  { title: 'SINCE', value: ({ since = '' }) => since },
  { title: 'WHAT', value: ({ title }) => title },
  { title: 'SOURCE', value: ({ source }) => source },
]

const OUTCOME_COLUMNS: readonly Column<Outcome>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'VERB', value: ({ subject }) => subject },
  { title: 'LEVEL', value: ({ level }) => level },
  { title: 'VERDICT', value: ({ verdict }) => (verdict === 'fail' ? 'FAIL' : verdict) },
  { title: 'WHAT', value: ({ title }) => title },
  { title: 'EVIDENCE', value: ({ evidence }) => oneLine(evidence) },
  { title: 'SOURCE', value: ({ source }) => source, wide: true },
]

const SUMMARY_COLUMNS: readonly Column<SubjectSummary>[] = [
  { title: 'SUBJECT', value: ({ subject }) => subject },
  { title: 'PASSED', value: ({ passed, applicable }) => `${passed}/${applicable}` },
  { title: 'FAILED', value: ({ failed }) => failed },
  { title: 'SILENT OK', value: ({ silentOk }) => silentOk },
  { title: 'OF THEM MUST', value: ({ mustFailed }) => mustFailed },
]

async function run(flags: Flags): Promise<void> {
  if (flags.list === true) return list(flags)
  const { config, binDir = [], setup, daemonStopped = false, only, timeout, lanes } = flags
  if (config === undefined || binDir.length === 0) {
    throw new TriviumError(
      'USAGE',
      'Cannot test a plugin: wanted --bin-dir and --config',
      'Or show the rules: trivium conformance --list',
    )
  }
  if (process.getuid?.() !== 0) {
    throw new TriviumError(
      'USAGE',
      'Cannot make throw-away nodes: this is not root',
      'Run it with sudo',
    )
  }
  const isWatched = process.stderr.isTTY === true
  const result = await runSuite({
    list: parseNetworkList(readConfig(config), config),
    binDirs: binDir.map((dir) => resolve(dir)),
    daemonStopped,
    lanes,
    timeoutMs: timeout * 1000,
    ...(setup === undefined ? {} : { setup }),
    ...(only === undefined ? {} : { only }),
    ...(isWatched ? { progress: showProgress } : {}),
  })
  if (isWatched) showProgress('')
  print(report(result, flags.output))
  if (!conforms(result.outcomes)) process.exitCode = EXIT.failed
}

function list({ output, only }: Flags): void {
  const format = output === 'table' || output === 'junit' ? 'text' : output
  const rules = chooseRules(only).map(({ check: _check, applies: _applies, ...told }) => told)
  print(renderRows(rules, RULE_COLUMNS, format, 'no rules'))
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new TriviumError('USAGE', `Cannot read ${path}: ${(thrown as Error).message}`)
  }
}

function report(result: SuiteResult, format: Flags['output']): string {
  const { facts, outcomes, shared } = result
  const summary = summarise(outcomes)
  const { plugins, version } = facts
  const whole = { plugins, version, conforms: conforms(outcomes), summary, outcomes, shared }
  if (format === 'json') return `${JSON.stringify(whole, undefined, 2)}\n`
  if (format === 'yaml') return stringify(whole)
  if (format === 'junit') return junit(`cni.${plugins.join('+')}`, outcomes)
  const isWide = format === 'wide'
  const told = OUTCOME_COLUMNS.filter(({ wide }) => isWide || wide !== true)
  return [
    `${plugins.join(' + ')}, CNI ${version}\n\n`,
    renderTable(outcomes, told),
    ...(isWide ? outcomes.flatMap(detailLines) : []),
    '\n',
    renderTable(summary, SUMMARY_COLUMNS),
    `\n${verdict(result)}\n`,
  ].join('')
}

const detailLines = ({ id, detail = [] }: Outcome): readonly string[] =>
  detail.length === 0 ? [] : [`\n${id}\n`, ...detail.map((line) => `  ${line}\n`)]

function verdict({ outcomes }: SuiteResult): string {
  const broken = summarise(outcomes).reduce((sum, { mustFailed }) => sum + mustFailed, 0)
  if (conforms(outcomes)) return 'Every MUST that applies is kept.'
  return `Not kept: ${counted(broken, 'MUST')}.`
}

/** A cell of a table. */
const oneLine = (text: string): string => {
  const line = text.replace(/\s+/g, ' ')
  return line.length > EVIDENCE_MAX ? `${line.slice(0, EVIDENCE_MAX - 1)}…` : line
}
const EVIDENCE_MAX = 110

const words = (text: string): readonly string[] => text.split(',').map((word) => word.trim())

function showProgress(what: string): void {
  process.stderr.write(`\r\u001b[K${what.slice(0, 100)}`)
}
