/** Latency, bandwidth and loss on the way to the store; and what went over it, counted by hand. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { keys } from '../../ipam/keys.ts'
import { AnnounceCounter, prefixOctets } from '../../simulator/announce-traffic.ts'
import { EVENT } from '../../simulator/clock.ts'
import { dataReport } from '../../simulator/report/data.ts'
import { type ModeResult, runScenario } from '../../simulator/run.ts'
import { retransmissionTicks, transmissionTicks } from '../../simulator/tcp.ts'
import { trafficFigure } from '../../simulator/traffic.ts'
import { Cluster } from '../../simulator/world.ts'
import { prng } from '../../src/prng.ts'
import { mustPrefix, smallScenario } from './support.ts'

const FOREVER = 600e6

function started(extra: string, instead: readonly string[] = []): Cluster {
  const scenario = smallScenario(extra, instead)
  const cluster = new Cluster(scenario, scenario.modes[0]!)
  for (const { index } of cluster.nodes) cluster.engine.post(5000, EVENT.start, index, 0)
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  return cluster
}

/** Ticks until node `index` has its answer, and until every other node has heard. */
function writeFrom(cluster: Cluster, index: number, note = 'x'): readonly number[] {
  const { engine, storeLinks, nodes } = cluster
  const begin = engine.tick
  const { record } = nodes[index]!
  let answered = 0
  storeLinks.view(index).transact(
    (tx) => tx.put(keys.node(record.name), { ...record, version: note } as typeof record),
    () => {
      answered = engine.tick - begin
    },
  )
  engine.run(() => answered > 0, FOREVER)
  return [answered]
}

t.test('a store in the first data centre is a WAN away from the second', async (t) => {
  const cluster = started(
    'racks: 2\nfabric: { dataCenters: 2, wanMs: 40 }\nstore: { dataCenter: 0 }',
    ['racks'],
  )
  // A commit takes a millisecond.
  t.strictSame(writeFrom(cluster, 0), [1000])
  // There and back: spine, router, router, spine, and the switch of the rack.
  t.strictSame(writeFrom(cluster, 5), [1000 + 2 * (40_000 + 4)])
})

t.test('a note arrives after its way; what happened meanwhile is in it', async (t) => {
  const cluster = started('store: { latencyMs: 7.5 }')
  const { engine } = cluster
  // Until notes of the beginning are there, and none is under way.
  engine.run(() => false, engine.tick + 5e6)
  const begin = engine.tick
  writeFrom(cluster, 0)
  t.equal(engine.tick - begin, 1000 + 15_000)
  engine.run(() => cluster.isQuiet, FOREVER)
  // Request 7.5 ms, commit 1 ms, note after 1 ms and 7.5 ms of way, then the agent settles for 20 ms.
  const ticks = engine.tick - begin
  t.ok(ticks >= 37_000 && ticks < 38_000, `${ticks}`)
})

t.test('the port of the store carries one note after the other', async (t) => {
  const quick = started('store: { mbps: 1000000 }')
  const slow = started('store: { mbps: 1 }')
  // The same is said, only later.
  t.strictSame(trafficFigure(slow).store.commits, trafficFigure(quick).store.commits)
  t.ok(slow.engine.tick > quick.engine.tick)
  const { record } = slow.nodes[0]!
  const written = { ...record, version: 'x' }
  const bytes = keys.node(record.name).length + JSON.stringify(written).length
  t.strictSame(writeFrom(slow, 0), [1000 + bytes * 8], 'a bit takes a microsecond')
})

t.test('loss delays, by whole retransmission timers, and the seed says when', async (t) => {
  const lossy = 'store: { latencyMs: 1, lossPercent: 20 }'
  const [one, two] = [runScenario(smallScenario(lossy)), runScenario(smallScenario(lossy))]
  t.equal(one.traceHash, two.traceHash)
  const sound = runScenario(smallScenario('store: { latencyMs: 1 }'))
  for (const [index, mode] of one.modes.entries()) {
    t.ok(
      mode.checks.every(({ passed }) => passed),
      `${mode.label}: slow, and right`,
    )
    t.ok(mode.coldStartMs >= sound.modes[index]!.coldStartMs + 200, 'at least one timer')
  }
})

t.test('tcp: timers as Linux has them', async (t) => {
  t.equal(transmissionTicks(1250, 1000), 10, '10 000 bits at a gigabit')
  t.equal(transmissionTicks(1, 1000), 1, 'at least a tick')
  t.equal(transmissionTicks(1, undefined), 0)
  t.equal(retransmissionTicks(prng(1), 1e6, 0, 10), 0)
  // Everything is lost: 200 ms and a round trip, doubled each time, at most 120 s each.
  let sum = 0
  for (let tries = 0, timer = 210_000; tries < 15; tries++, timer = Math.min(2 * timer, 120e6))
    sum += timer
  t.equal(retransmissionTicks(prng(1), 10, 1_000_000, 10_000), sum)
  fc.assert(
    fc.property(fc.nat(1e5), fc.nat(999_999), fc.nat(1e6), (bytes, lossPpm, roundTrip) => {
      const ticks = retransmissionTicks(prng(bytes), bytes, lossPpm, roundTrip)
      assert.ok(Number.isInteger(ticks) && ticks >= 0)
    }),
  )
  // One packet in two, alone: half of the messages wait, none less than the timer.
  const chance = prng('half')
  const waits = Array.from({ length: 1000 }, () => retransmissionTicks(chance, 100, 500_000, 0))
  const late = waits.filter((ticks) => ticks > 0)
  t.ok(late.length > 430 && late.length < 570, `${late.length}`)
  t.ok(late.every((ticks) => ticks >= 200_000))
  // Many packets follow: a round trip is enough for most.
  const long = retransmissionTicks(prng('long'), 1448 * 1000, 10_000, 500)
  t.ok(long === 500 || long >= 200_500, `${long}`)
})

t.test('commits and notes, counted by hand', async (t) => {
  const cluster = started('')
  const before = trafficFigure(cluster).store
  const { record } = cluster.nodes[0]!
  const bytes = keys.node(record.name).length + JSON.stringify({ ...record, version: 'new' }).length
  writeFrom(cluster, 0, 'new')
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  const after = trafficFigure(cluster).store
  t.equal(after.commits - before.commits, 1)
  t.equal(after.bytesWritten - before.bytesWritten, bytes)
  t.equal(after.notes - before.notes, 6, 'every node reads node records')
  t.equal(after.bytesNoted - before.bytesNoted, 6 * bytes)

  // The same again concerns nobody, but it is a commit.
  writeFrom(cluster, 0, 'new')
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  const same = trafficFigure(cluster).store
  t.equal(same.commits - after.commits, 1)
  t.equal(same.bytesWritten - after.bytesWritten, bytes)
  t.equal(same.notes, after.notes)

  cluster.storeLinks.setReachable(2, false)
  writeFrom(cluster, 0, 'a')
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  writeFrom(cluster, 0, 'b')
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  const cut = trafficFigure(cluster).store
  t.equal(cut.notes - same.notes, 10)
  cluster.storeLinks.setReachable(2, true)
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  const back = trafficFigure(cluster).store
  t.equal(back.notes - cut.notes, 1)
  t.equal(back.bytesNoted - cut.bytesNoted, 2 * (bytes - 2), 'both changes in one note')
})

t.test('UPDATE messages, byte by byte', async (t) => {
  t.strictSame(
    ['0.0.0.0/0', '10.0.0.0/8', '10.128.0.0/9', '10.42.0.0/26', '10.42.0.1/32', 'fd42::/122'].map(
      (text) => prefixOctets(mustPrefix(text)),
    ),
    [1, 2, 3, 5, 5, 17],
  )
  const counter = new AnnounceCounter(3)
  const lpm = { table: 'lpm', entry: '10.42.0.0/26', cost: 1 } as const
  counter.told(0, lpm, true)
  counter.told(0, { ...lpm, entry: '10.42.0.64/26' }, true)
  counter.told(1, lpm, true)
  counter.told(2, { table: 'mac', entry: 'pod x', cost: 1 }, true)
  counter.flush()
  t.strictSame(counter.traffic, { updates: 2, prefixesTold: 3, bytes: 53 + 10 + 53 + 5 })
  counter.told(0, lpm, false)
  counter.flush()
  t.strictSame(counter.traffic, { updates: 3, prefixesTold: 4, bytes: 121 + 23 + 5 })
  counter.flush()
  t.equal(counter.traffic.updates, 3, 'nothing is said twice')
  // 4 096 octets a message: 808 prefixes of five octets fit behind 53, the 809th does not.
  const many = new AnnounceCounter(1)
  for (let index = 0; index < 809; index++) many.told(0, lpm, true)
  many.flush()
  t.strictSame(many.traffic, { updates: 2, prefixesTold: 809, bytes: 2 * 53 + 809 * 5 })
})

t.test('what each mode says', async (t) => {
  const modes = new Map<string, ModeResult>(
    runScenario(smallScenario()).modes.map((mode) => [mode.label, mode]),
  )
  const fabric = (label: string) => modes.get(label)!.traffic.fabric
  t.strictSame(fabric('vxlan'), { updates: 0, prefixesTold: 0, bytes: 0 })
  t.strictSame(fabric('vlan'), { updates: 0, prefixesTold: 0, bytes: 0 })
  // Two blocks a node, four switches; the second one may come in a batch of its own.
  t.equal(fabric('route blocks').prefixesTold, 12 * 4)
  // Eighteen pods, four switches.
  t.equal(fabric('route /32').prefixesTold, 18 * 4)
  for (const label of ['route blocks', 'route /32']) {
    const { updates, prefixesTold, bytes } = fabric(label)
    t.ok(updates % 4 === 0 && updates <= prefixesTold, `${label}: every switch hears every batch`)
    // A /26 and a /32 take four bytes and their length.
    t.equal(bytes, updates * 53 + prefixesTold * 5, label)
  }
  for (const { label, traffic } of modes.values()) {
    t.ok(traffic.store.commits >= 6 + 18, label)
    t.ok(traffic.store.bytesNoted > traffic.store.bytesWritten, 'one writes, all read')
  }
  const [first] = dataReport(runScenario(smallScenario()))['modes'] as { traffic: unknown }[]
  t.strictSame(first?.traffic, modes.get('vxlan')?.traffic)
})
