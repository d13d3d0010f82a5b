/** What stops a packet on nodes and switches: learned neighbours, full and slow tables. */
import t from 'tap'
import { SimKernel } from '../../simulator/kernel.ts'
import { NeighborTable, neighborFor } from '../../simulator/neighbors.ts'
import { textReport } from '../../simulator/report/text.ts'
import { sentenceOf, verdictOf } from '../../simulator/report/words.ts'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import { mustIp, mustMac, mustPrefix, smallScenario } from './support.ts'

const byLabel = (
  scenario: ReturnType<typeof smallScenario>,
): ReadonlyMap<string, ExactModeResult> =>
  new Map(runScenario(scenario).modes.map((mode) => [mode.label, mode]))

const learned = (mode: ExactModeResult | undefined) =>
  mode?.tables.find(({ table }) => table === 'learned')

t.test('NeighborTable: 1 024 of 2 999 stay, as on Linux', async (t) => {
  const table = new NeighborTable()
  let held = 0
  for (let index = 0; index < 2999; index++) {
    if (table.resolve(mustIp(`10.0.${index >> 8}.${index & 255}`))) held++
  }
  t.equal(held, 1024)
  t.strictSame(table.counts, { held: 1024, asked: 2999 })
  t.ok(table.resolve(mustIp('10.0.0.0')), 'who is known stays known')
  t.ok(table.resolve(mustIp('fd42::1')), 'IPv6 has a table of its own')
})

t.test('neighborFor(): the next hop, and nobody where the entry is permanent', async (t) => {
  const kernel = new SimKernel('n0')
  const add = (object: KernelObject): boolean =>
    t.equal(kernel.apply({ kind: 'add', object }), undefined, object.kind)
  const mac = mustMac('02:00:00:00:00:02')
  add({
    kind: 'link',
    name: 'eth0',
    link: { type: 'other', name: 'ether' },
    up: true,
    mtuBytes: 1500,
  })
  add({ kind: 'addr', link: 'eth0', ip: mustIp('192.0.2.1'), prefixLength: 24 })
  const via = mustIp('192.0.2.2')
  const dst = mustPrefix('10.42.0.0/26')
  add({ kind: 'route', dst, type: 'unicast', link: 'eth0', via, metric: 0, protocol: 4 })
  t.equal(neighborFor({ kernel }, mustIp('10.42.0.5')), '192.0.2.2')
  add({ kind: 'neigh', link: 'eth0', ip: via, mac })
  t.equal(neighborFor({ kernel }, mustIp('10.42.0.5')), undefined)
  t.equal(neighborFor({ kernel }, mustIp('203.0.113.1')), undefined, 'no route')
})

t.test('talk: all, in each mode', async (t) => {
  const modes = byLabel(smallScenario('talk: all'))
  // Route: five peers on one network. VXLAN: two peers in the rack, and the rack's router.
  t.match(learned(modes.get('route blocks')), { demandPeak: 5, capacity: 1024 })
  t.match(learned(modes.get('vxlan')), { demandPeak: 3, entriesPeak: 3 })
  t.match(learned(modes.get('vlan')), { demandPeak: 0 }, 'pods ask, not nodes')
  for (const mode of modes.values()) t.equal(mode.reachability.lostToOverflow, 0)
})

t.test('a peer too many is cut off', async (t) => {
  const modes = byLabel(smallScenario('talk: all\nkernel: { gcThresh3: 4 }'))
  const route = modes.get('route blocks')
  t.match(learned(route), { demandPeak: 5, entriesPeak: 4, capacity: 4 })
  t.match(route?.firstOverflow, { role: 'node', table: 'learned', pods: 18 })
  // Each of six nodes lacks one of five peers: 3 x 3 ordered pairs of pods each.
  t.equal(route?.reachability.lostToOverflow, 6 * 9)
  t.match(route?.reachability.example, /neighbor table overflow, no room for 100\.64\./)
  t.equal(modes.get('vxlan')?.firstOverflow, undefined)
  t.equal(learned(byLabel(smallScenario('talk: 2')).get('route blocks'))?.demandPeak, 2)
})

t.test('nobody talks: nothing is learned and nothing is said', async (t) => {
  for (const mode of byLabel(smallScenario()).values()) t.equal(learned(mode), undefined)
})

t.test('memory of routes', async (t) => {
  const modes = byLabel(smallScenario())
  const routes = modes.get('route blocks')?.tables.find(({ table }) => table === 'routes')
  t.equal(modes.get('route blocks')?.fibBytes, (routes?.demandPeak ?? 0) * 130)
})

t.test('software: packets go on, and are counted', async (t) => {
  const small = { lpm: 100, lpm6: 100, host: 10, mac: 100 } as const
  const scenario = smallScenario()
  const refuse = byLabel({ ...scenario, switch: small }).get('route /32')
  const slow = byLabel({ ...scenario, switch: { ...small, overflow: 'software' } }).get('route /32')
  t.ok((refuse?.reachability.lostToOverflow ?? 0) > 0)
  t.equal(refuse?.reachability.software, 0)
  t.equal(slow?.reachability.lostToOverflow, 0)
  t.equal(slow?.reachability.delivered, 18 * 17)
  t.equal(slow?.reachability.software, refuse?.reachability.lostToOverflow, 'the same pairs')
  t.match(slow?.firstOverflow, { table: 'host', capacity: 10 })
  for (const check of slow?.checks ?? []) t.ok(check.passed, check.name)
})

t.test('a slow device: heard is not programmed', async (t) => {
  const small = { lpm: 100, lpm6: 100, host: 100, mac: 100 } as const
  const scenario = smallScenario()
  const fast = byLabel({ ...scenario, switch: small }).get('route /32')!
  const slow = byLabel({ ...scenario, switch: { ...small, routesPerSecond: 20 } }).get('route /32')!
  t.equal(fast.programming.lagMaxMs, 50, 'announceMs')
  t.equal(fast.programming.queuePeak, 0)
  // Eighteen pods in 180 ms; the last of them is written 900 ms after the first was heard.
  t.ok(slow.programming.lagMaxMs > 600, `${slow.programming.lagMaxMs}`)
  t.ok(slow.tailMs > slow.heardMs + 500, `${slow.tailMs} ms, heard after ${slow.heardMs} ms`)
  t.ok(slow.programming.queuePeak > 5)
  t.equal(slow.reachability.delivered, 18 * 17)
  for (const check of slow.checks) t.ok(check.passed, check.name)
})

t.test('a switch of which nothing is known: no limit, and no promise', async (t) => {
  const result = runScenario({ ...smallScenario(), switch: { profile: 'slx-9150' } })
  for (const mode of result.modes) {
    t.equal(mode.firstOverflow, undefined)
    t.match(sentenceOf(mode), /^unknown: no public size/)
    const tor = mode.tables.find(({ role, table }) => role === 'tor' && table === 'mac')
    t.equal(tor && verdictOf(tor), 'unknown')
  }
  t.match(textReport(result, false), /ToR switch x2 +MAC +\d+ +unknown +- +unknown/)
})
