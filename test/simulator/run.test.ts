/** The same seed gives the same bytes; another seed another history. */

import t from 'tap'
import { parse } from 'yaml'
import { checkConverged } from '../../simulator/checkers/converged.ts'
import { checkNoLeak } from '../../simulator/checkers/no-leak.ts'
import { checkReachability } from '../../simulator/checkers/reachability.ts'
import { checkUniqueAddresses } from '../../simulator/checkers/unique-ip.ts'
import { EVENT } from '../../simulator/clock.ts'
import { dataReport } from '../../simulator/report/data.ts'
import { htmlReport } from '../../simulator/report/html.ts'
import { textReport } from '../../simulator/report/text.ts'
import { runScenario } from '../../simulator/run.ts'
import { Cluster } from '../../simulator/world.ts'
import { prng } from '../../src/prng.ts'
import { mustIp, smallScenario } from './support.ts'

const origin = { text: 'nodes: 6\n', command: 'trivium sim run small.yaml --seed 1' }

t.test('the same seed gives the same trace and the same bytes', async (t) => {
  const [one, two] = [runScenario(smallScenario()), runScenario(smallScenario())]
  t.equal(one.traceHash, two.traceHash)
  t.equal(textReport(one, true), textReport(two, true))
  t.equal(JSON.stringify(dataReport(one)), JSON.stringify(dataReport(two)))
  t.equal(htmlReport(one, origin), htmlReport(two, origin))
  const other = runScenario(smallScenario('seed: 2'))
  t.not(other.traceHash, one.traceHash)
  // A change here is a change of behavior on every machine: say so in the changelog.
  t.match(one.traceHash, /^[0-9a-f]{16}$/)
})

t.test('reports are whole', async (t) => {
  const result = runScenario(smallScenario('about: <b>bold</b> & "quoted"'))
  const html = htmlReport(result, origin)
  t.notMatch(html, /<script|src=|href=|@import|url\((?!#)/, 'nothing from elsewhere, no script')
  t.match(html, /&lt;b&gt;bold/, 'text is escaped')
  t.equal(
    html.match(/<svg /g)?.length,
    4 + result.modes.length,
    'four plots, a picture of the fabric a mode',
  )
  for (const mode of result.modes) t.ok(html.includes(mode.traceHash))
  const data = dataReport(result)
  t.strictSame(parse(JSON.stringify(data)), JSON.parse(JSON.stringify(data)))
  t.ok(
    textReport(result, false)
      .split('\n')
      .every((line) => line.length < 160),
  )
})

/** A cluster that is quiet, with all its pods. */
function full(mode: number): Cluster {
  const scenario = smallScenario()
  const cluster = new Cluster(scenario, scenario.modes[mode]!)
  for (const { index } of cluster.nodes) cluster.engine.post(5000, EVENT.start, index, 0)
  cluster.engine.run(() => cluster.isQuiet, 60e6)
  for (let pod = 0; pod < 18; pod++) {
    cluster.podsUnderWay++
    cluster.engine.post(pod * 1000, EVENT.podAdd, pod % 6, pod)
  }
  cluster.engine.run(() => cluster.isQuiet, 60e6)
  return cluster
}

t.test('checkers see what they are for', async (t) => {
  const scenario = smallScenario()
  const good = full(0)
  t.ok(checkUniqueAddresses(good).passed)
  t.ok(checkConverged(good, scenario).passed)
  t.ok(checkReachability(good, prng(1)).check.passed)
  t.notOk(checkNoLeak(good).passed, 'pods are still there')

  const doubled = full(0)
  const [first, second] = doubled.pods()
  const [ip] = first!.attachment.ips
  second!.kernel.apply({
    kind: 'add',
    object: { kind: 'addr', link: 'eth0', ip: ip!, prefixLength: 32 },
  })
  t.match(checkUniqueAddresses(doubled).findings[0], /is pod-\d+'s and pod-\d+'s/)

  const cut = full(0)
  const fdb = [...cut.nodes[0]!.kernel.objects()].find(({ kind }) => kind === 'fdb')
  cut.nodes[0]!.kernel.apply({ kind: 'remove', object: fdb! })
  t.match(checkConverged(cut, scenario).findings[0], /node-0000 lacks: bridge fdb add/)
  t.match(checkReachability(cut, prng(1)).check.findings[0], /no forwarding entry/)

  const forgotten = full(1)
  forgotten.fabric.tor(0)!.tables.lpm.remove('10.42.0.0/26')
  t.match(
    checkConverged(forgotten, scenario).findings[0],
    /tor-0 lpm: 0 entries too many, 1 too few/,
  )
  t.match(checkReachability(forgotten, prng(1)).check.findings[0], /tor-0 never heard of/)

  const small = full(0)
  const underlay = small.nodes[1]!.kernel.link('eth0')!
  small.nodes[1]!.kernel.apply({
    kind: 'change',
    from: underlay,
    to: { ...underlay, mtuBytes: 1450 },
  })
  t.match(checkReachability(small, prng(1)).check.findings[0], /1500 bytes do not fit through eth0/)
})

t.test('agents repair what somebody broke, without being told', async (t) => {
  const scenario = smallScenario()
  const cluster = full(0)
  const { kernel } = cluster.nodes[2]!
  const stale = { kind: 'fdb', link: 'trvx.1', mac: '02:00:00:00:00:99', dst: mustIp('192.0.2.99') }
  for (const object of kernel.snapshot().values()) {
    if (object.kind === 'route' && object.via !== undefined)
      kernel.apply({ kind: 'remove', object })
  }
  kernel.apply({ kind: 'add', object: stale as never })
  t.notOk(checkConverged(cluster, scenario).passed)
  const until = cluster.engine.tick + 11e6
  cluster.engine.run(() => false, until)
  t.ok(checkConverged(cluster, scenario).passed, 'within one repair interval')
})
