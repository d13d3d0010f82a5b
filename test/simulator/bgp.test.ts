/** Speakers in virtual time: sessions over the fabric, tables against the plan, faults. */
import assert from 'node:assert/strict'
import t from 'tap'
import { coalescedFor, DAEMON_NAMES, DAEMONS, daemonNamed } from '../../simulator/bgp/daemons.ts'
import { type ModeResult, runScenario } from '../../simulator/run.ts'
import { parseScenario } from '../../simulator/scenario.ts'

const BASE = `nodes: 6
podsPerNode: 2
racks: 2
pools: [{ cidr: 10.42.0.0/20, blockLength: 28 }]
switch: { host: 100, lpm: 100, mac: 100 }
times: { settleMs: 20, startJitterMs: 200 }`

const run = (extra: string, modes = 'modes: [route]'): ModeResult => {
  const scenario = parseScenario(`${BASE}\n${modes}\n${extra}`, 'bgp.yaml')
  return runScenario(scenario).modes[0] ?? assert.fail('one mode')
}

const failed = ({ checks }: ModeResult) => checks.filter(({ passed }) => !passed)

t.test('every daemon has a profile, with where its figures are', async (t) => {
  t.strictSame(
    DAEMONS.map(({ name }) => name),
    DAEMON_NAMES,
  )
  for (const { name, sources } of DAEMONS) t.ok(sources.length > 0, name)
  t.equal(coalescedFor(daemonNamed('frr'), 1), 1050)
  t.equal(coalescedFor(daemonNamed('frr'), 1000), 10_000)
  t.equal(coalescedFor(daemonNamed('bird'), 1000), 0)
})

const SESSIONS = ['fabric', 'reflectors', 'mesh'] as const

for (const sessions of SESSIONS) {
  t.test(`sessions ${sessions}: every table is as planned, every pod is reached`, async (t) => {
    const result = run(`routing: { protocol: bgp, sessions: ${sessions} }`)
    t.strictSame(failed(result), [])
    t.ok(result.checks.some(({ name }) => name === 'BGP tables as planned'))
    t.equal(result.reachability.delivered, 12 * 11)
  })
}

t.test('two families over one session', async (t) => {
  const pools = 'pools: [{ cidr: 10.42.0.0/20 }, { cidr: fd42::/104 }]'
  const text = BASE.replace(/^pools.*$/m, pools)
  const scenario = parseScenario(
    `${text}\nmodes: [route, { mode: route, announce: host }]\nrouting: { protocol: bgp }`,
    'bgp.yaml',
  )
  for (const mode of runScenario(scenario).modes) {
    t.strictSame(failed(mode), [], mode.label)
    t.equal(mode.reachability.delivered, 12 * 11)
  }
})
