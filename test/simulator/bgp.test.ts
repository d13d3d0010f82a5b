/** Speakers in virtual time: sessions over the fabric, tables against the plan, faults. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { coalescedFor, DAEMON_NAMES, DAEMONS, daemonNamed } from '../../simulator/bgp/daemons.ts'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import { parseScenario } from '../../simulator/scenario.ts'
import { Cluster } from '../../simulator/world.ts'

const BASE = `nodes: 6
podsPerNode: 2
racks: 2
pools: [{ cidr: 10.42.0.0/20, blockLength: 28 }]
switch: { host: 100, lpm: 100, mac: 100 }
times: { settleMs: 20, startJitterMs: 200 }`

const run = (extra: string, modes = 'modes: [route]'): ExactModeResult => {
  const scenario = parseScenario(`${BASE}\n${modes}\n${extra}`, 'bgp.yaml')
  return runScenario(scenario).modes[0] ?? assert.fail('one mode')
}

const failed = ({ checks }: ExactModeResult) => checks.filter(({ passed }) => !passed)

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

t.test('nodes are told what the product tells nodes', async (t) => {
  const policiesOf = (sessions: string): unknown => {
    const scenario = parseScenario(
      `${BASE}\nmodes: [route]\nrouting: { protocol: bgp, sessions: ${sessions}, daemon: frr }`,
      'bgp.yaml',
    )
    const { bgp } = new Cluster(scenario, scenario.modes[0]!).fabric
    const { peers } = bgp!.plan.speakers[0]!.config
    const found = peers.map(({ importPolicy, exportPolicy, holdSeconds, isClient }) =>
      [importPolicy?.name, exportPolicy?.name, holdSeconds, isClient].join(' '),
    )
    return [...new Set(found)]
  }
  t.strictSame(policiesOf('fabric'), ['take to-fabric 180 '])
  t.strictSame(policiesOf('mesh'), ['take to-node 180 ', '  180 '], 'nodes, then switches')
  t.strictSame(
    policiesOf('reflectors'),
    ['take to-circle 180 ', 'take to-circle 180 true', '  180 true'],
    'another one that reflects, clients, switches',
  )
})

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

t.test('a rack is one summary for other racks, static or as it is', async (t) => {
  const modes =
    'modes: [{ mode: route, announce: rack, placement: rack }, { mode: route, announce: static }]'
  const scenario = parseScenario(`${BASE}\n${modes}\nrouting: { protocol: bgp }`, 'bgp.yaml')
  for (const mode of runScenario(scenario).modes) t.strictSame(failed(mode), [], mode.label)
})

/** Two racks of three nodes, something breaks, and comes back or not. */
const broken = (routing: string, fault: string): ExactModeResult =>
  run(`routing: { protocol: bgp, ${routing} }\nfaults: [${fault}]`)

const faultsOf = ({ timeline }: ExactModeResult) => timeline?.faults ?? []

t.test('a spine that hangs is found out by BFD, carrier or the hold time', async (t) => {
  const fault = '{ kind: spine, spine: 0, atMs: 500 }'
  const found = (routing: string): number | undefined => {
    const result = broken(routing, fault)
    t.strictSame(failed(result), [], routing)
    const [down] = faultsOf(result)
    t.ok((down?.lostAtOnce ?? 0) > 0, 'flows go into it as long as nobody knows')
    t.equal(down?.lostAfter, 0)
    return down?.settledMs
  }
  const none = 'gracefulRestart: false'
  t.equal(Math.round(found(`carrier: false, bfd: {}, ${none}`) ?? 0), 900)
  const heldMs = found(`carrier: false, ${none}`) ?? 0
  t.ok(heldMs > 5900 && heldMs < 9100, `${heldMs} ms of a hold time of 9 s with keepalives of 3 s`)
  t.ok((found(none) ?? 0) <= 110, 'carrier, and the ideal protocol beside')
})

t.test('an agent that restarts: with graceful restart nothing is lost', async (t) => {
  const fault = '{ kind: agent, node: 1, atMs: 500, forMs: 2000 }'
  const kept = broken('gracefulRestart: {}', fault)
  t.strictSame(failed(kept), [])
  t.equal(kept.timeline?.blackHoles.affected, 0)
  t.ok((kept.bgp?.whole.ended ?? 0) > 0, 'its session ended all the same')
  const lost = broken('gracefulRestart: false', fault)
  t.strictSame(failed(lost), [])
  t.ok((lost.timeline?.blackHoles.maxMs ?? 0) >= 2000, 'for as long as it was away')
})

t.test('a top-of-rack switch that comes back knows nothing, and learns all again', async (t) => {
  const result = broken(
    'gracefulRestart: false',
    '{ kind: tor, rack: 1, atMs: 500, forMs: 3000 }, { kind: link, between: [tor-0, spine-1], atMs: 30000 }',
  )
  t.strictSame(failed(result), [])
  const [, up, cut] = faultsOf(result)
  t.equal(up?.lostAfter, 0)
  t.equal(cut?.lostAfter, 0)
})

t.test('what was deleted while a switch was down is not in its tables afterwards', async (t) => {
  const routing = 'routing: { protocol: bgp, sessions: reflectors, gracefulRestart: false }'
  // Moved pods have other addresses: the old ones are withdrawn before the switch is back.
  const drain = 'workload: [{ kind: drain, node: 1, atMs: 1000 }]'
  const fault = 'faults: [{ kind: device, name: spine-1, atMs: 500, forMs: 20000 }]'
  const text = [routing, drain, fault].join('\n')
  const result = run(text, 'modes: [{ mode: route, announce: host }]')
  t.strictSame(failed(result), [])
})

t.test('a reflector that is lost for good: the other one is enough', async (t) => {
  const result = broken(
    'sessions: reflectors, holdSeconds: 9, gracefulRestart: false',
    '{ kind: node, node: 3, atMs: 500 }',
  )
  t.strictSame(failed(result), [])
  t.equal(result.timeline?.blackHoles.affected, 0)
  t.equal(result.bgp?.whole.established, result.bgp!.whole.sessions - 9)
})

t.test('same seed, same bytes', async (t) => {
  const text = () =>
    JSON.stringify(
      broken('daemon: calico', '{ kind: tor, rack: 0, atMs: 500, forMs: 15000 }'),
      undefined,
      1,
    )
  t.equal(text(), text())
})

t.test("Calico's BIRD waits for its scan of the kernel", async (t) => {
  const host = 'modes: [{ mode: route, announce: host }]'
  const heardMs = (daemon: string) =>
    run(`routing: { protocol: bgp, daemon: ${daemon} }`, host).heardMs
  t.ok(heardMs('bird') < 100)
  const calicoMs = heardMs('calico')
  t.ok(calicoMs > 100 && calicoMs <= 2100, `${calicoMs} ms`)
})

const REFUSED = [
  ['{ protocol: bgp, sessions: mesh }', /announce: rack is summed up by top-of-rack switches/],
  ['{ protocol: bgp, reflectors: 2 }', /belongs to sessions reflectors, not fabric/],
  ['{ protocol: bgp, daemon: quagga }', /found "quagga", wanted trivium, bird/],
  ['{ protocol: bgp, bfd: true }', /found true, wanted false or \{ intervalMs, multiplier \}/],
] as const
for (const [routing, message] of REFUSED) {
  t.test(`refused: ${routing}`, async (t) => {
    const text = `${BASE}\nmodes: [{ mode: route, announce: rack }]\nrouting: ${routing}`
    t.throws(() => parseScenario(text, 'bgp.yaml'), { message })
  })
}

t.test('timers of the announcer are not those of speakers', async (t) => {
  const text = `${BASE.replace('settleMs', 'protocol: frr, settleMs')}\nmodes: [route]\nrouting: { protocol: bgp }`
  t.throws(() => parseScenario(text, 'bgp.yaml'), { message: /wanted routing.daemon/ })
})

const isLong = process.env['TRIVIUM_LONG'] === '1'
for (const name of ['racks', 'reflectors', 'tor-loss', 'agent-restart']) {
  t.test(`the built-in scenario bgp-${name}`, { skip: !isLong && 'TRIVIUM_LONG=1' }, async (t) => {
    const file = `bgp-${name}.yaml`
    const path = join(import.meta.dirname, '../../simulator/scenarios', file)
    const { modes } = runScenario(parseScenario(readFileSync(path, 'utf8'), file))
    for (const mode of modes) t.strictSame(failed(mode), [], mode.label)
    const [first] = modes
    if (name === 'agent-restart') t.equal(first?.timeline?.blackHoles.affected, 0)
    if (name === 'reflectors') t.equal(first?.bgp?.coldStart.established, 621)
  })
}
