/**
 * Runs benchmarks and prints what they compare, with the machine they ran on.
 *
 *     npm run bench                       all of them
 *     npm run bench -- cni                by name
 *     npm run bench -- sim                a group: all whose names begin with sim-
 *     npm run bench -- cni --samples 200  more rounds
 *     npm run bench -- -o json            for programs
 *     npm run bench -- dataplane --html roads.html
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { bench as bgp } from './bgp.bench.ts'
import { bench as bgpRib } from './bgp-rib.bench.ts'
import { bench as cni } from './cni.bench.ts'
import { bench as cniSteps } from './cni-steps.bench.ts'
import { bench as cniStretch } from './cni-stretch.bench.ts'
import { bench as containerd } from './containerd.bench.ts'
import type { Origin } from './dataplane/html.ts'
import { bench as dataplane } from './dataplane.bench.ts'
import { type Bench, type Report, renderReport } from './harness.ts'
import { bench as ipam } from './ipam.bench.ts'
import { bench as netlink } from './netlink.bench.ts'
import { bench as peers } from './peers.bench.ts'
import { bench as simBgp } from './sim-bgp.bench.ts'
import { bench as simBird } from './sim-bird.bench.ts'
import { bench as simCluster } from './sim-cluster.bench.ts'
import { bench as simEngine } from './sim-engine.bench.ts'
import { bench as simScaled } from './sim-scaled.bench.ts'
import { bench as simScaledBgp } from './sim-scaled-bgp.bench.ts'
import { bench as simSweep } from './sim-sweep.bench.ts'

const BENCHES: Readonly<Record<string, Bench>> = {
  bgp,
  'bgp-rib': bgpRib,
  cni,
  'cni-steps': cniSteps,
  'cni-stretch': cniStretch,
  containerd,
  dataplane,
  ipam,
  netlink,
  peers,
  'sim-bgp': simBgp,
  'sim-bird': simBird,
  'sim-cluster': simCluster,
  'sim-engine': simEngine,
  'sim-scaled': simScaled,
  'sim-scaled-bgp': simScaledBgp,
  'sim-sweep': simSweep,
}

const OUTPUTS = ['text', 'json', 'markdown'] as const
const withFormat = (format: 'markdown' | 'html'): readonly string[] =>
  Object.keys(BENCHES).filter((name) => BENCHES[name]?.formats?.[format] !== undefined)
const [SMALL, PAGED] = [withFormat('markdown'), withFormat('html')]

/** Names begin with these, and no bench has one of them. */
const GROUPS: readonly string[] = [
  ...new Set(Object.keys(BENCHES).map((name) => name.replace(/-.*/, ''))),
].filter((group) => BENCHES[group] === undefined)

/** Benches of these names and groups, each once; undefined: there is no such. */
function named(words: readonly string[]): readonly string[] | undefined {
  const names = words.map((word) =>
    GROUPS.includes(word)
      ? Object.keys(BENCHES).filter((name) => name.startsWith(`${word}-`))
      : Object.keys(BENCHES).filter((name) => name === word),
  )
  return names.some((found) => found.length === 0) ? undefined : [...new Set(names.flat())]
}

const USAGE = `usage: npm run bench -- [NAME|GROUP…] [--samples N] [-o text|json|markdown] [--json FILE] [--html FILE]

${Object.entries(BENCHES)
  .map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`)
  .join('\n')}

  GROUP          ${GROUPS.map((group) => `${group}: ${named([group])?.join(', ')}`).join('; ')}
  --samples N    rounds at most; benches that take long have a limit of their own
  -o, --output   markdown: a small table for the docs (${SMALL.join(', ')})
  --json FILE    what -o json prints, besides
  --html FILE    a page with charts (${PAGED.join(', ')})

examples:
  npm run bench -- cni --samples 200
  npm run bench -- sim
  npm run bench -- dataplane --samples 2
  npm run bench -- dataplane --html roads.html --json roads.json`

interface Asked {
  readonly names: readonly string[]
  readonly samples: number
  readonly output: (typeof OUTPUTS)[number]
  readonly json: string | undefined
  readonly html: string | undefined
}

/** Undefined: the command line makes no sense. */
function askedFor(args: readonly string[]): Asked | 'help' | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      output: { type: 'string', short: 'o', default: 'text' },
      samples: { type: 'string', default: '80' },
      json: { type: 'string' },
      html: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  const names = positionals.length > 0 ? named(positionals) : Object.keys(BENCHES)
  const samples = Number(values.samples)
  const output = OUTPUTS.find((each) => each === values.output)
  const can = (list: readonly string[]): boolean =>
    names?.length === 1 && list.includes(names[0] ?? '')
  if (names === undefined) return undefined
  if (!Number.isInteger(samples) || samples < 1 || output === undefined) return undefined
  if (output === 'markdown' && !can(SMALL)) return undefined
  if (values.html !== undefined && !can(PAGED)) return undefined
  return { names, samples, output, json: values.json, html: values.html }
}

function machine(): Readonly<Record<string, string>> {
  const [cpu] = cpus()
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
  const isDirty = git('status', '--porcelain') !== ''
  return {
    machine: `${cpus().length} x ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
    commit: `${git('rev-parse', '--short', 'HEAD')}${isDirty ? ' with changes' : ''}`,
  }
}

function printed(chosen: Bench, report: Report, output: Asked['output']): string {
  if (output === 'markdown') return chosen.formats?.markdown(report) ?? ''
  return `\n${chosen.formats === undefined ? renderReport(report) : `${report.bench}\n\n${chosen.formats.text(report)}`}`
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const asked = askedFor(args)
  if (asked === 'help') {
    console.log(USAGE)
    return 0
  }
  if (asked === undefined) {
    console.error(USAGE)
    return 2
  }
  const { names, samples, output } = asked
  const where = machine()
  const origin: Origin = {
    command: ['npm run bench --', ...args].join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: where,
  }
  if (output === 'text') {
    for (const [key, value] of Object.entries(where)) console.log(`${key.padEnd(8)} ${value}`)
  }
  const reports: Report[] = []
  for (const name of names) {
    const chosen = BENCHES[name]
    const reason = chosen?.unable()
    if (chosen === undefined || reason !== undefined) {
      console.error(`bench: ${name} left out: ${reason}`)
      continue
    }
    const report = await chosen.run({ samples, say: (text) => console.error(`bench: ${text}`) })
    reports.push(report)
    if (output !== 'json') console.log(printed(chosen, report, output))
    const page = asked.html === undefined ? undefined : chosen.formats?.html?.(report, origin)
    if (asked.html !== undefined && page !== undefined) writeFileSync(asked.html, page)
  }
  const json = JSON.stringify({ date: origin.date, ...where, reports }, undefined, 2)
  if (output === 'json') console.log(json)
  if (asked.json !== undefined) writeFileSync(asked.json, `${json}\n`)
  return reports.length > 0 ? 0 : 1
}

process.exitCode = await main()
