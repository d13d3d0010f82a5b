/**
 * Runs benchmarks and prints what they compare, with the machine they ran on.
 *
 *     npm run bench                       all of them
 *     npm run bench -- cni                by name
 *     npm run bench -- cni --samples 200  more rounds
 *     npm run bench -- -o json            for programs
 */
import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { bench as cni } from './cni.bench.ts'
import { bench as cniSteps } from './cni-steps.bench.ts'
import { bench as cniStretch } from './cni-stretch.bench.ts'
import { bench as containerd } from './containerd.bench.ts'
import { type Bench, type Report, renderReport } from './harness.ts'
import { bench as ipam } from './ipam.bench.ts'
import { bench as netlink } from './netlink.bench.ts'
import { bench as peers } from './peers.bench.ts'
import { bench as simCluster } from './sim-cluster.bench.ts'
import { bench as simEngine } from './sim-engine.bench.ts'

const BENCHES: Readonly<Record<string, Bench>> = {
  cni,
  'cni-steps': cniSteps,
  'cni-stretch': cniStretch,
  containerd,
  ipam,
  netlink,
  peers,
  'sim-cluster': simCluster,
  'sim-engine': simEngine,
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

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: 'string', short: 'o', default: 'text' },
      samples: { type: 'string', default: '80' },
    },
  })
  const unknown = positionals.filter((name) => BENCHES[name] === undefined)
  const samples = Number(values.samples)
  if (unknown.length > 0 || !Number.isInteger(samples) || samples < 1) {
    const all = Object.entries(BENCHES).map(([name, { about }]) => `  ${name}  ${about}`)
    console.error(`usage: npm run bench -- [NAME…] [--samples N] [-o json]\n\n${all.join('\n')}`)
    return 2
  }
  const isJson = values.output === 'json'
  const where = machine()
  if (!isJson) {
    for (const [key, value] of Object.entries(where)) console.log(`${key.padEnd(8)} ${value}`)
  }
  const reports: Report[] = []
  for (const name of positionals.length > 0 ? positionals : Object.keys(BENCHES)) {
    const chosen = BENCHES[name]
    const reason = chosen?.unable()
    if (chosen === undefined || reason !== undefined) {
      console.error(`bench: ${name} left out: ${reason}`)
      continue
    }
    const report = await chosen.run({ samples, say: (text) => console.error(`bench: ${text}`) })
    reports.push(report)
    if (!isJson) console.log(`\n${renderReport(report)}`)
  }
  if (isJson) console.log(JSON.stringify({ ...where, reports }, undefined, 2))
  return reports.length > 0 ? 0 : 1
}

process.exitCode = await main()
