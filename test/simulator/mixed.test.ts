/** Networks of several modes in one cluster: what each switch holds, and who reaches whom. */
import assert from 'node:assert/strict'
import t from 'tap'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import { smallScenario } from './support.ts'

const POOLS = `pools:
  - { cidr: 10.42.0.0/20, network: red }
  - { cidr: fd42::/112, network: red }
  - { cidr: 10.43.0.0/20, network: blue }
  - { cidr: 10.44.0.0/20, network: green }`

/** Six nodes in two racks, a pod of each network on every node. */
const run = (networks: string, extra = ''): ExactModeResult =>
  runScenario(
    smallScenario(`${POOLS}\nmodes: [{ mode: mixed, networks: { ${networks} } }]\n${extra}`, [
      'pools',
      'modes',
    ]),
  ).modes[0] ?? assert.fail('one mode')

const peak = ({ tables }: ExactModeResult, role: string, table: string): number =>
  tables.find((figure) => figure.role === role && figure.table === table)?.demandPeak ?? 0

const failed = ({ checks }: ExactModeResult): readonly unknown[] =>
  checks.filter(({ passed }) => !passed)

t.test('vxlan, route and vlan side by side', async (t) => {
  const mode = run('red: vxlan, blue: route, green: vlan', 'allow: [{ from: red, to: blue }]')
  t.equal(mode.label, 'mixed (red vxlan, blue route blocks, green vlan)')
  t.strictSame(failed(mode), [])
  // Blue: two blocks a node. Green: a MAC a node and a pod, everywhere. Red: nothing.
  t.equal(peak(mode, 'spine', 'lpm'), 2 + 12)
  t.equal(peak(mode, 'tor', 'lpm'), 1 + 12)
  t.equal(peak(mode, 'spine', 'mac'), 6 + 6)
  t.equal(peak(mode, 'tor', 'mac'), 6 + 6)
  t.equal(peak(mode, 'spine', 'host'), 0)
  const { pairs, delivered, closed } = mode.reachability
  t.equal(pairs, 3 * 6 * 5 + 6 * 6, 'of one network, and from red to blue')
  t.equal(delivered, pairs)
  t.equal(closed, 18 * 17 - pairs)
})

t.test('a VLAN ends at its data centre, tunnels and routes do not', async (t) => {
  const mode = run('red: vxlan, blue: route, green: vlan', 'fabric: { dataCenters: 2 }')
  t.strictSame(failed(mode), [])
  const { pairs, delivered, divided } = mode.reachability
  t.equal(divided, 2 * 3 * 3)
  t.equal(delivered, pairs - divided)
  t.equal(peak(mode, 'tor', 'mac'), 3 + 3)
})

t.test('every way of announcing, each for its own network', async (t) => {
  const mode = run(
    'red: { mode: route, announce: static }, blue: { mode: route, announce: rack, placement: rack }, green: { mode: route, announce: host }',
  )
  t.strictSame(failed(mode), [])
  // Two racks, red: two parts, blue: six blocks a rack are 4 and 2; green: its pods.
  t.equal(peak(mode, 'spine', 'host'), 6)
  t.equal(mode.samples.at(-1)?.entries['spine lpm'], 2 + 2 + 2 * 2)
  t.equal(mode.samples.at(-1)?.entries['spine lpm6'] ?? 0, 2 + 2)
})

t.test('tunnels of both flavours leave the rack by its router', async (t) => {
  const mode = run('red: vxlan, blue: { mode: vxlan, flavour: lightweight }, green: vxlan')
  t.strictSame(failed(mode), [])
  t.equal(peak(mode, 'spine', 'lpm'), 2)
})
